//! `portoser playbook edit`: a playbook in the user's editor. It is replaced only by a text that is valid.

use std::io::Write as _;
use std::path::PathBuf;

use crate::cli::playbook::{anywhere, failure, unknown};
use crate::cli::{Exit, Face, Failure, safe};
use crate::heal::playbook::{Origin, read, shipped};
use crate::model::FailureKind;
use crate::registry::{rewrite, write_new};
use crate::transport::edit_file;

/// Edit a playbook with $VISUAL or $EDITOR; one that comes with portoser is copied beside the registry first
#[derive(Debug, clap::Args)]
pub(super) struct Edit {
    /// Its name
    name: String,
}

impl Edit {
    pub(super) fn run(self, face: &Face) -> Result<Exit, Failure> {
        let library = anywhere(face)?;
        let Some((_, origin)) = library.books.get(&self.name) else { return Err(unknown(&library, &self.name)) };
        let internal =
            |doing: String| move |error: std::io::Error| Failure::new(FailureKind::Internal, &error).doing(doing);
        let (file, old): (PathBuf, String) = match origin {
            Origin::File(file) => {
                let text = std::fs::read_to_string(file);
                (file.clone(), text.map_err(internal(format!("reading {}", file.display())))?)
            }
            Origin::Shipped => {
                let registry = face.registry_path()?;
                let folder = registry.parent().map(PathBuf::from).unwrap_or_default().join("playbooks");
                let text = shipped().iter().find(|one| one.0 == self.name).map_or("", |one| one.1);
                (folder.join(format!("{}.yml", self.name)), text.to_owned())
            }
        };
        // The copy has the playbook's name, so that what is wrong with it is told as it would be of the file.
        let folder = tempfile::Builder::new().prefix("portoser-edit-").tempdir();
        let folder = folder.map_err(internal("making a folder for the copy".into()))?.keep();
        let copy = folder.join(format!("{}.yml", self.name));
        let written = std::fs::File::create_new(&copy).and_then(|mut to| to.write_all(old.as_bytes()));
        written.map_err(internal(format!("writing {}", copy.display())))?;
        edit_file(&copy).map_err(|error| {
            internal("starting the editor".into())(error).hint("set EDITOR to the editor that you use")
        })?;
        let new = std::fs::read_to_string(&copy).map_err(internal(format!("reading {}", copy.display())))?;
        let kept = || format!("what was typed is in {}", copy.display());
        read(&new, &copy).map_err(|faults| failure(&[faults]).hint(kept()))?;
        let changed = new != old;
        if changed && !(write_new(&file, &new)? || rewrite(&file, |now| (now == old).then(|| new.clone()))?) {
            return Err(
                Failure::say(FailureKind::Refused, format!("{} was changed meanwhile", file.display())).hint(kept())
            );
        }
        std::fs::remove_dir_all(&folder).map_err(internal(format!("removing {}", folder.display())))?;
        face.talk(safe(&format!("{}: {}", file.display(), if changed { "changed" } else { "as it was" })));
        Ok(Exit::DONE)
    }
}
