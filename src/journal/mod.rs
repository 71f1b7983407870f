//! What this machine remembers of its runs: who did what to which service on which host, and how it ended; what each
//! release was. One SQLite file in the state folder, which any number of portosers write at once.
//! It is a memory, not the truth: that is on the hosts. It never holds a secret, and only the lines of old runs are ever deleted from it.

mod cordon;
mod database;
mod entry;
mod error;
mod folder;
mod lease;
mod prune;
mod read;
mod release;
mod remedy;
mod said;
#[cfg(test)]
mod tests;
mod trouble;
mod write;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::Connection;

use crate::model::Clock;

pub use cordon::Cordoned;
pub use entry::{EndOfRun, HistoryEntry, Run, StartOfRun};
pub use error::JournalError;
pub use folder::{make_folder, usual_folder};
pub use lease::Lease;
pub use release::{Difference, Release, differences};
pub use remedy::{Remedy, StartOfRemedy, Verdict};
pub use trouble::Trouble;
pub use write::OpenRun;

/// The journal of this machine. Clones share one connection.
#[derive(Clone)]
pub struct Journal {
    connection: Arc<Mutex<Connection>>,
    file: Arc<Path>,
    clock: Arc<dyn Clock>,
}

impl Journal {
    /// The state folder in which it lies; none where it is in memory.
    #[must_use]
    pub fn folder(&self) -> Option<PathBuf> {
        self.file.parent().filter(|folder| folder.is_absolute() || folder.is_dir()).map(Path::to_owned)
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        // A panic elsewhere leaves no transaction open: rusqlite rolls it back when it is dropped.
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Journal").field("file", &self.file).finish_non_exhaustive()
    }
}
