//! Diagnosis bundles: all that was seen and concluded, as a file for a ticket. Who heals in vain leaves one in the state folder.

use std::io::{BufWriter, ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use crate::app::{App, Leave};
use crate::cli::diagnose::{Document, document};
use crate::cli::{Face, Failure, heal, safe, write_json};
use crate::heal::{HealFault, Healing, gives_up};
use crate::journal::{Journal, make_folder};
use crate::model::{FailureKind, RunId};

/// So many bundles are kept in the state folder.
const KEPT: usize = 20;

/// Writes a bundle, wholly or not at all. It may tell much of the hosts, so nobody else may read it.
pub(super) fn write(file: &Path, run: &RunId, diagnosis: Document<'_>, healing: Option<Value>) -> Result<(), Failure> {
    let failed = |error: &std::io::Error| {
        Failure::new(FailureKind::Internal, error).doing(format!("writing {}", file.display()))
    };
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Made with mode 0600.
    let mut new = tempfile::Builder::new().prefix(".bundle-").tempfile_in(folder).map_err(|error| failed(&error))?;
    let bundle = Bundle { portoser: env!("CARGO_PKG_VERSION"), run, diagnosis, healing };
    let mut to = BufWriter::new(&mut new);
    let written = write_json(&mut to, &bundle, true).map_err(std::io::Error::from);
    written.and_then(|()| writeln!(to)).and_then(|()| to.flush()).map_err(|error| failed(&error))?;
    drop(to);
    new.persist_noclobber(file).map(drop).map_err(|error| match error.error.kind() {
        ErrorKind::AlreadyExists => failed(&error.error).hint("name a file that is not there yet"),
        _ => failed(&error.error),
    })
}

/// What is in the file.
#[derive(Serialize)]
struct Bundle<'a> {
    portoser: &'a str,
    run: &'a RunId,
    diagnosis: Document<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    healing: Option<Value>,
}

/// Leaves a bundle where a healing gives something up: its path. What keeps it from being written is said, and stops nothing.
pub(super) fn leave(face: &Face, app: &App, run: &RunId, healing: &Healing) -> Result<Option<PathBuf>, HealFault> {
    if !gives_up(&app.registry, &app.journal, healing, app.clock.now())? {
        return Ok(None);
    }
    Ok(put(&app.journal, app.clock.now(), run, healing).unwrap_or_else(|failure| {
        face.warn(safe(&format!("no diagnosis bundle is left: {}", failure.text())));
        None
    }))
}

/// What leaves bundles while a run of the app deploys.
pub(super) fn leaver(app: &App, run: &RunId) -> Leave {
    let (registry, journal, clock, run) = (app.registry.clone(), app.journal.clone(), app.clock.clone(), run.clone());
    Arc::new(move |healing| match gives_up(&registry, &journal, healing, clock.now()) {
        Ok(true) => put(&journal, clock.now(), &run, healing).map_err(|failure| failure.text()),
        Ok(false) => Ok(None),
        Err(fault) => Err(fault.to_string()),
    })
}

fn put(journal: &Journal, now: Timestamp, run: &RunId, healing: &Healing) -> Result<Option<PathBuf>, Failure> {
    let Some(folder) = journal.folder() else { return Ok(None) };
    // A watch gives up more than once in its one run.
    let folder = folder.join("diagnoses");
    let file = folder.join(format!("{}.json", RunId::fresh(now)));
    make_folder(&folder)
        .map_err(Failure::from)
        .and_then(|()| room(&folder).map_err(|error| Failure::new(FailureKind::Internal, &error)))
        .map_err(|failure| failure.doing("making room for a diagnosis bundle"))?;
    write(&file, run, document(&healing.last, &healing.refrained), Some(heal::document(healing)))?;
    Ok(Some(file))
}

/// Makes room for one more in the folder. The names begin with the time, so that the first are the oldest.
fn room(folder: &Path) -> std::io::Result<()> {
    let names = std::fs::read_dir(folder)?.filter_map(Result::ok).map(|entry| entry.path());
    let mut all: Vec<PathBuf> = names.filter(|file| file.extension().is_some_and(|end| end == "json")).collect();
    all.sort();
    let over = (all.len() + 1).saturating_sub(KEPT);
    all.iter().take(over).try_for_each(std::fs::remove_file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_make_room() {
        let place = tempfile::tempdir().expect("a folder");
        let folder = place.path().join("diagnoses");
        make_folder(&folder).expect("made");
        for number in 0..KEPT + 5 {
            std::fs::write(folder.join(format!("{number:03}.json")), "{}").expect("written");
        }
        std::fs::write(folder.join("000.txt"), "not ours").expect("written");
        room(&folder).expect("room");
        let mut left: Vec<_> =
            std::fs::read_dir(&folder).expect("read").map(|one| one.expect("one").file_name()).collect();
        left.sort();
        assert_eq!((left.len(), left[0].to_str(), left[1].to_str()), (KEPT, Some("000.txt"), Some("006.json")));
    }
}
