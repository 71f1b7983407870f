//! `portoser playbook`: the known problems, and whether their examples hold.

mod edit;
mod list;
mod show;
mod test;
mod trust;

use std::path::Path;
use std::time::Duration;

pub(super) use list::learned_document;

use crate::app::App;
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
/// As `whole`, for those that a person wrote.
pub(super) fn library(face: &Face, registry: &Path) -> Result<Library, Failure> {
    let (library, left_out) = readable(registry)?;
    left_out.iter().for_each(|line| face.warn(line));
    Ok(library)
}

/// The same for who may hear only of news: what is left out is told when it was not told lately.
pub(super) fn quietly(face: &Face, app: &App, lately: Option<Duration>) -> Result<Library, Failure> {
    let Some(lately) = lately else { return library(face, &app.registry.file) };
    let (library, left_out) = readable(&app.registry.file)?;
    let about = format!("playbooks {}", app.registry.file.display());
    if !left_out.is_empty() && app.journal.is_news(&about, &left_out.join("\n"), lately)? {
        left_out.iter().for_each(|line| face.warn(line));
    }
    Ok(library)
}

/// The same, with what is to be told of those that are left out.
fn readable(registry: &Path) -> Result<(Library, Vec<String>), Failure> {
    let own = |faults: &Faults| faults.file.parent().is_none_or(|at| !at.ends_with(LEARNED));
    match Library::load(folder(registry)) {
        Ok(library) => Ok((library, Vec::new())),
        Err((_, faults)) if faults.iter().any(own) => Err(failure(&faults)),
        Err((rest, faults)) => {
            let lines = faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
            Ok((rest, lines.lines().map(|line| safe(&format!("left out: {line}")).into_owned()).collect()))
        }
    }
}

/// The same, where nothing is left out.
///
/// # Errors
/// The faults of those that cannot be read: a problem that is not recognized is worse than a fault that is told.
pub(super) fn whole(registry: &Path) -> Result<Library, Failure> {
    Library::load(folder(registry)).map_err(|(_, faults)| failure(&faults))
}

fn folder(registry: &Path) -> &Path {
    registry.parent().unwrap_or(Path::new("."))
}

/// The same, where there need not be a registry.
fn anywhere(face: &Face) -> Result<Library, Failure> {
    whole(&face.registry_path().unwrap_or_else(|_| "registry.yml".into()))
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
