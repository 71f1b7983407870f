//! Cases that are files: what was expected is beside the input; `UPDATE=1` writes it anew, to be read in the diff.

use std::path::{Path, PathBuf};

use libtest_mimic::Failed;

/// The files of `tests/cases/<room>/` with this extension, sorted.
pub fn files(room: &str, extension: &str) -> Vec<PathBuf> {
    let folder = root().join("tests/cases").join(room);
    let found = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<_> = found.filter_map(Result::ok).map(|entry| entry.path()).collect();
    files.retain(|path| path.extension().is_some_and(|found| found == extension));
    files.sort();
    files
}

/// The name of a case: its file's without extension.
pub fn name(file: &Path) -> String {
    file.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

/// The root of the repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Compares with the text of a file, or writes it when `UPDATE` is set.
pub fn expect(file: &Path, found: &str) -> Result<(), Failed> {
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(file, found)?;
        return Ok(());
    }
    let expected = std::fs::read_to_string(file).unwrap_or_default();
    if expected == found {
        return Ok(());
    }
    let shown = file.strip_prefix(root()).unwrap_or(file).display();
    let differs = expected.lines().zip(found.lines()).position(|(expected, found)| expected != found);
    let line = differs.unwrap_or_else(|| expected.lines().count().min(found.lines().count())) + 1;
    let at = |text: &str| text.lines().nth(line - 1).unwrap_or("(end)").to_owned();
    Err(format!(
        "{shown}:{line}: expected and found differ (UPDATE=1 writes what was found)\n  expected: {}\n  found:    {}",
        at(&expected),
        at(found)
    )
    .into())
}
