//! `portoser playbook`: the known problems, and whether their examples hold.

mod edit;
mod list;
mod show;
mod test;
mod trust;

use std::path::Path;

pub(super) use list::learned_document;

use crate::cli::{Exit, Face, Failure, safe, verbs};
use crate::heal::playbook::{LEARNED, Learned, Library, Origin};
use crate::model::FailureKind;
use crate::registry::Faults;

/// Known problems and what was learned: list, show, try, edit, promote, demote
#[derive(Debug, clap::Args)]
pub(super) struct Playbook {
    #[command(subcommand)]
    verb: Verb,
}

verbs! {
    /// The verbs under `playbook`.
    Verb {
        trust::Demote,
        edit::Edit,
        list::List,
        trust::Promote,
        trust::Rm,
        show::Show,
        test::Test,
    }
}

impl Playbook {
    pub(super) fn run(self, face: &Face) -> Result<Exit, Failure> {
        self.verb.run(face)
    }
}

/// The playbooks of the program, and those beside the registry in this file. One that was learned and cannot be read, as a merge may
/// leave it, is told and left out.
///
/// # Errors
/// The faults of those that a person wrote: a problem that is not recognized is worse than a fault that is told.
pub(super) fn library(face: &Face, registry: &Path) -> Result<Library, Failure> {
    let folder = registry.parent().unwrap_or(Path::new("."));
    Library::load(folder).or_else(|(rest, faults)| {
        if !faults.iter().all(|faults| faults.file.parent().is_some_and(|at| at.ends_with(LEARNED))) {
            return Err(failure(&faults));
        }
        for line in faults.iter().flat_map(|faults| faults.to_string().lines().map(str::to_owned).collect::<Vec<_>>()) {
            face.warn(safe(&format!("left out: {line}")));
        }
        Ok(rest)
    })
}

/// The same, where there need not be a registry; nothing is left out.
fn anywhere(face: &Face) -> Result<Library, Failure> {
    let registry = face.registry_path().unwrap_or_else(|_| "registry.yml".into());
    Library::load(registry.parent().unwrap_or(Path::new("."))).map_err(|(_, faults)| failure(&faults))
}

/// A playbook that was learned, and its file.
fn learned<'a>(library: &'a Library, name: &str) -> Result<(&'a Learned, &'a Path), Failure> {
    let (book, origin) = library.books.get(name).ok_or_else(|| unknown(library, name))?;
    match (&book.learned, origin) {
        (Some(learned), Origin::File(file)) => Ok((learned, file)),
        (_, Origin::File(file)) => Err(Failure::say(FailureKind::Usage, format!("`{name}` was not learned"))
            .hint(format!("it is yours: {}", file.display()))),
        (_, Origin::Shipped) => Err(Failure::say(FailureKind::Usage, format!("`{name}` comes with portoser"))
            .hint("a playbook of this name in `playbooks/` beside the registry goes before it; `portoser playbook edit` begins one")),
    }
}

fn failure(faults: &[Faults]) -> Failure {
    let count: usize = faults.iter().map(|faults| faults.list.len()).sum();
    let lines = faults.iter().map(ToString::to_string).collect();
    Failure::say(
        FailureKind::Invalid,
        match count {
            1 => "the playbooks have 1 fault".to_owned(),
            count => format!("the playbooks have {count} faults"),
        },
    )
    .lines(lines)
}

/// The failure of a name that no playbook has.
fn unknown(library: &Library, name: &str) -> Failure {
    crate::cli::registry::unknown("playbook", name, library.books.keys().map(String::as_str))
}
