//! What differs between two releases, in words that a person can judge.

use crate::host::Record;

/// The most lines that name single files; the rest is counted.
const FILES: usize = 6;

/// One line for each difference that matters.
#[must_use]
pub fn differences(before: Option<&Record>, after: &Record) -> Vec<String> {
    let Some(before) = before else { return vec!["first release on this host".into()] };
    let mut lines = Vec::new();
    let keys = before.summary.keys().chain(after.summary.keys().filter(|key| !before.summary.contains_key(*key)));
    for key in keys {
        let none = "(none)".to_owned();
        let old = before.summary.get(key).unwrap_or(&none);
        let new = after.summary.get(key).unwrap_or(&none);
        if old != new {
            lines.push(format!("{key}: {old} -> {new}"));
        }
    }
    let mut files = Vec::new();
    for (path, mark) in &after.files {
        match before.files.get(path) {
            None => files.push(format!("+ {path}")),
            Some(old) if old != mark => files.push(format!("~ {path}")),
            Some(_) => {}
        }
    }
    files.extend(before.files.keys().filter(|path| !after.files.contains_key(*path)).map(|path| format!("- {path}")));
    let more = files.len().saturating_sub(FILES);
    lines.extend(files.into_iter().take(FILES));
    if more > 0 {
        lines.push(format!("and {more} more files"));
    }
    if lines.is_empty() {
        lines.push("the text of its unit".into());
    }
    lines
}
