//! `portoser playbook`: the known problems, and whether their examples hold.

mod list;
mod show;
mod test;

use std::path::Path;

use crate::cli::{Exit, Face, Failure, verbs};
use crate::heal::playbook::Library;
use crate::model::FailureKind;
use crate::registry::Faults;

/// Known problems: list them, show one, try their examples
#[derive(Debug, clap::Args)]
pub(super) struct Playbook {
    #[command(subcommand)]
    verb: Verb,
}

verbs! {
    /// The verbs under `playbook`.
    Verb {
        list::List,
        show::Show,
        test::Test,
    }
}

impl Playbook {
    pub(super) fn run(self, face: &Face) -> Result<Exit, Failure> {
        self.verb.run(face)
    }
}

/// The playbooks of the program, and those beside the registry in this file. Those that cannot be read end the verb: a problem
/// that is not recognized is worse than a fault that is told.
pub(super) fn library(_: &Face, registry: &Path) -> Result<Library, Failure> {
    Library::load(registry.parent().unwrap_or(Path::new("."))).map_err(|(_, faults)| failure(&faults))
}

/// The same, where there need not be a registry.
fn anywhere(face: &Face) -> Result<Library, Failure> {
    library(face, &face.registry_path().unwrap_or_else(|_| "registry.yml".into()))
}

fn failure(faults: &[Faults]) -> Failure {
    let count: usize = faults.iter().map(|faults| faults.list.len()).sum();
    let lines = faults.iter().map(ToString::to_string).collect();
    Failure::say(FailureKind::Invalid, format!("the playbooks have {count} faults")).lines(lines)
}

/// The failure of a name that no playbook has.
fn unknown(library: &Library, name: &str) -> Failure {
    crate::cli::registry::unknown("playbook", name, library.books.keys().map(String::as_str))
}
