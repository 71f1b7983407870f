//! The folders of the cache on this machine's disk: made whole or not at all, held by those who use them, and tidied away when
//! nobody does.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// How many are kept, those that were asked for last; and none that was not asked for in this time.
type Most = (usize, Duration);

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Of the folders of one repository.
pub(super) const FOLDERS: Most = (20, DAY.saturating_mul(7));

/// Of repositories.
pub(super) const REPOSITORIES: Most = (100, DAY.saturating_mul(90));

/// Nobody works on what is not whole for so long.
const UNFINISHED: Duration = Duration::from_secs(1800);

/// How a file begins that stands for one in Git LFS (github.com/git-lfs/git-lfs/blob/main/docs/spec.md).
const LFS: &[u8] = b"version https://git-lfs.github.com/spec/";

/// How the name of a folder begins that is not whole yet.
pub(super) const MAKING: &str = ".making-";

/// Holds a folder that is there, so that nobody tidies it away. One that was taken away meanwhile is not there.
pub(super) fn hold(folder: &Path) -> Option<fs::File> {
    let open = fs::File::open(folder).ok()?;
    // Who has it for itself is about to take it away.
    open.try_lock_shared().ok()?;
    folder.is_dir().then_some(open)
}

/// Removes what nobody asked for in a long time, what is more than may be kept, and what one that was killed left behind.
/// What a run holds stays, and so does what cannot be removed.
pub(super) fn sweep(trees: &Path, now: SystemTime, (most, unused): Most) {
    let mut all = Vec::new();
    for entry in fs::read_dir(trees).into_iter().flatten().flatten() {
        let old = entry.metadata().and_then(|found| found.modified());
        let age = old.ok().and_then(|old| now.duration_since(old).ok()).unwrap_or_default();
        if !entry.file_name().to_string_lossy().starts_with(MAKING) {
            all.push((age, entry.path()));
        } else if age > UNFINISHED {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    all.sort();
    let needless = all.into_iter().enumerate().filter(|(number, (age, _))| *number >= most || *age > unused);
    for (_, (_, folder)) in needless {
        let Ok(open) = fs::File::open(&folder) else { continue };
        if open.try_lock().is_err() {
            continue;
        }
        // It goes at once; what is left of one that is killed here is swept by the next.
        if let Ok(making) = tempfile::Builder::new().prefix(MAKING).tempdir_in(trees) {
            let _ = fs::rename(&folder, making.path().join("old"));
        }
    }
}

/// Has the disk keep all that is in a folder: a power cut must not leave a whole name with half of its files.
pub(super) fn sync(folder: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        match entry.file_type()? {
            kind if kind.is_dir() => sync(&entry.path())?,
            kind if kind.is_file() => fs::File::open(entry.path())?.sync_all()?,
            _ => {}
        }
    }
    fs::File::open(folder)?.sync_all()
}

pub(super) fn unpack(archive: &Path, files: &Path, to: &Path) -> std::io::Result<Vec<String>> {
    fs::create_dir(files)?;
    let mut lfs = Vec::new();
    let mut archive = tar::Archive::new(fs::File::open(archive)?);
    for entry in archive.entries()? {
        let mut entry = entry?;
        let (name, size) = (entry.path()?.into_owned(), entry.size());
        let is_file = entry.header().entry_type().is_file();
        if !entry.unpack_in(files)? {
            return Err(std::io::Error::other(format!("`{}` leads out of the repository", name.display())));
        }
        if is_file && size < 1024 && fs::read(files.join(&name))?.starts_with(LFS) {
            lfs.push(name.display().to_string());
        }
    }
    if !lfs.is_empty() {
        return Ok(lfs);
    }
    sync(files)?;
    if let Err(error) = fs::rename(files, to)
        && !to.is_dir()
    {
        return Err(error);
    }
    to.parent().map_or(Ok(()), |trees| fs::File::open(trees)?.sync_all())?;
    Ok(lfs)
}

/// Makes a folder for its owner alone.
pub(super) fn private(folder: &Path) -> std::io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_stays_and_what_is_too_much_goes() {
        let trees = tempfile::tempdir().expect("a folder");
        let now = SystemTime::UNIX_EPOCH + DAY * 20_000;
        let make = |name: String, age: Duration| {
            let folder = trees.path().join(name);
            fs::create_dir(&folder).expect("made");
            fs::write(folder.join("file"), "x").expect("written");
            fs::File::open(&folder).and_then(|open| open.set_modified(now - age)).expect("dated");
            folder
        };
        let (young, old): (Vec<_>, Vec<_>) = (
            (0..FOLDERS.0 + 3)
                .map(|number| make(format!("young-{number:02}"), Duration::from_secs(number as u64 + 1)))
                .collect(),
            (0..2).map(|number| make(format!("old-{number}"), DAY * 30)).collect(),
        );
        let held = [hold(&young[FOLDERS.0 + 1]), hold(&old[0])];
        make(format!("{MAKING}left"), DAY);
        sweep(trees.path(), now, FOLDERS);
        let mut left: Vec<_> = fs::read_dir(trees.path()).expect("read").flatten().map(|entry| entry.path()).collect();
        left.sort();
        let mut want: Vec<_> = young[..FOLDERS.0].to_vec();
        want.extend([young[FOLDERS.0 + 1].clone(), old[0].clone()]);
        want.sort();
        assert_eq!(left, want);
        drop(held);
        sweep(trees.path(), now, FOLDERS);
        assert_eq!(fs::read_dir(trees.path()).expect("read").count(), FOLDERS.0);
        assert!(hold(&old[0]).is_none(), "it is gone");
    }
}
