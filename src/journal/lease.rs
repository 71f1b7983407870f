//! Locks of this machine: one process at a time does a thing. The system takes them back when the process ends, however it ends.

use std::fs::{File, TryLockError};

use crate::journal::{Journal, JournalError, folder};
use crate::model::{hex, sha256};

/// A lock that is held until this is dropped.
#[derive(Debug)]
pub struct Lease(#[expect(dead_code, reason = "the open file is the lock")] File);

impl Journal {
    /// Takes the lock of a verb on a thing (a registry's file, say); nothing when another process has it.
    ///
    /// # Errors
    /// When the lock's file cannot be opened.
    pub fn lease(&self, verb: &str, thing: &str) -> Result<Option<Lease>, JournalError> {
        let name = format!("{verb}-{}.lock", &hex(&sha256(thing.as_bytes()))[..12]);
        let path = self.file.with_file_name(name);
        let file = folder::private(&path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Lease(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(source)) => Err(JournalError::File { file: path, source }),
        }
    }
}
