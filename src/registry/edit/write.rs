//! Replacing a file: whoever reads it sees the old text or the new one, also after a power failure.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

/// Writes the bytes beside the file, makes sure that they are on disk, and renames. Permissions stay.
pub(super) fn replace(file: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = file.parent().unwrap_or(Path::new("/"));
    let mut new = tempfile::Builder::new().prefix(".registry-").tempfile_in(folder)?;
    new.write_all(bytes)?;
    new.as_file().set_permissions(std::fs::metadata(file)?.permissions())?;
    new.as_file().sync_all()?;
    new.persist(file).map_err(|error| error.error)?;
    // The rename itself is on disk only once the folder is.
    if cfg!(unix) {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

/// Writes a new file; refuses when there is one.
pub(super) fn create(file: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut new = tempfile::Builder::new().prefix(".registry-").tempfile_in(folder)?;
    new.write_all(bytes)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        new.as_file().set_permissions(std::fs::Permissions::from_mode(0o644))?;
    }
    new.as_file().sync_all()?;
    new.persist_noclobber(file).map_err(|error| error.error)?;
    Ok(())
}
