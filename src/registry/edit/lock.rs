//! One writer at a time. The lock is on the registry's file itself, so nothing is left behind; as a writer replaces the
//! file, whoever got the lock looks whether the file is still the one that it has locked.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::time::{Duration, Instant};

use super::EditError;

/// How often a held lock is asked for again.
const PAUSE: Duration = Duration::from_millis(20);

/// Waits for the lock. It is given back when the file that is returned is closed.
pub(super) fn lock(path: &Path, wait: Duration) -> Result<File, EditError> {
    let io = |source| EditError::Io { doing: "locking", file: path.to_owned(), source };
    let start = Instant::now();
    loop {
        let file = File::open(path).map_err(io)?;
        match file.try_lock() {
            Ok(()) if is_at(&file, path).map_err(io)? => return Ok(file),
            Ok(()) => continue,
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => return Err(io(error)),
        }
        if start.elapsed() >= wait {
            return Err(EditError::Locked { file: path.to_owned(), waited: wait });
        }
        std::thread::sleep(PAUSE);
    }
}

#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> std::io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    let (ours, theirs) = (file.metadata()?, std::fs::metadata(path)?);
    Ok((ours.dev(), ours.ino()) == (theirs.dev(), theirs.ino()))
}

/// Where an open file cannot be replaced, it is still the same one.
#[cfg(not(unix))]
fn is_at(_: &File, _: &Path) -> std::io::Result<bool> {
    Ok(true)
}
