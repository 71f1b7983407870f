//! Where local state lives: a folder that only its owner can read.

use std::fs;
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;

use crate::journal::JournalError;

/// The platform's state folder for portoser, such as `~/.local/state/portoser`. Nothing is created.
///
/// # Errors
/// When this user has no home folder.
pub fn usual_folder() -> Result<PathBuf, JournalError> {
    let strategy = etcetera::choose_base_strategy().map_err(|_| JournalError::NoHome)?;
    Ok(strategy.state_dir().unwrap_or_else(|| strategy.data_dir()).join("portoser"))
}

/// Makes the folder, for its owner alone. One that exists keeps its permissions, as it may be shared on purpose.
///
/// # Errors
/// When it is not there and cannot be made.
pub fn make_folder(folder: &Path) -> Result<(), JournalError> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder).map_err(|source| JournalError::Folder { folder: folder.to_owned(), source })
}

/// Opens a file for its owner alone, and makes it if it is not there.
pub(super) fn private(file: &Path) -> Result<fs::File, JournalError> {
    let mut options = fs::OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(file).map_err(|source| JournalError::File { file: file.to_owned(), source })
}
