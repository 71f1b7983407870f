//! `portoser playbook show`.

use jiff::Timestamp;

use crate::cli::lessons::lessons;
use crate::cli::playbook::{anywhere, unknown};
use crate::cli::{Exit, Face, Failure, safe, session};
use crate::heal::playbook::{Origin, shipped};
use crate::model::FailureKind;

/// Print a playbook as it is written, and what this machine remembers of it
#[derive(Debug, clap::Args)]
pub(super) struct Show {
    /// Its name
    name: String,
}

impl Show {
    pub(super) fn run(self, face: &Face) -> Result<Exit, Failure> {
        let library = anywhere(face)?;
        let Some((_, origin)) = library.books.get(&self.name) else { return Err(unknown(&library, &self.name)) };
        let text = match origin {
            Origin::Shipped => shipped().iter().find(|one| one.0 == self.name).map_or("", |one| one.1).to_owned(),
            Origin::File(file) => std::fs::read_to_string(file).map_err(|error| {
                Failure::new(FailureKind::Internal, &error).doing(format!("reading {}", file.display()))
            })?,
        };
        text.lines().for_each(|line| face.data(safe(line)));
        // What comes with the program cannot be written into, so its record is in the journal alone.
        let past = match face.journal() {
            Ok(journal) => journal.remedies(Timestamp::UNIX_EPOCH)?,
            Err(failure) => {
                session::without_journal(face, &failure);
                Vec::new()
            }
        };
        for ((_, _), lesson) in lessons(&past).iter().filter(|((_, remedy), _)| *remedy == self.name) {
            face.data(safe(&format!("# on this machine: {}", lesson.says())));
        }
        Ok(Exit::DONE)
    }
}
