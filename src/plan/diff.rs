//! What differs between two releases, in words that a person can judge.

use std::collections::BTreeMap;

use crate::host::{OURS, Record, Supervisor, UnitFile};

/// The most lines that name single files; the rest is counted.
const FILES: usize = 6;

/// The units that a release manages and that are the host's own.
pub(super) fn theirs(record: &Record) -> impl Iterator<Item = &UnitFile> {
    let own = record.supervisor == Supervisor::Systemd;
    record.units.iter().filter(move |unit| own && unit.path.is_none())
}

/// The units of the host's own that a release managed and the next one does not: nothing of ours stops them.
pub(super) fn left<'a>(before: &'a Record, after: &'a Record) -> impl Iterator<Item = &'a str> {
    let stays = |unit: &&UnitFile| !after.units.iter().any(|new| new.name == unit.name);
    theirs(before).filter(stays).map(|unit| unit.name.as_str())
}

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
        if old != new && key == "user" && after.supervisor != Supervisor::Compose {
            lines.push(format!("user: {old} -> {new}; its shared folder goes along, what lies in it keeps its owner"));
        } else if old != new && key == "unit" && left(before, after).any(|unit| unit == old) {
            lines.push(format!("unit: {old} -> {new}; {old} belongs to the host, and stays as it is"));
        } else if old != new {
            lines.push(format!("{key}: {old} -> {new}"));
        }
    }
    let mut files = Vec::new();
    // Several files of ours hold the environment, which is one thing to a person.
    let env = |path: &String| path.strip_prefix(OURS).is_some_and(|rest| rest.starts_with("/env."));
    let all = |record: &Record| -> Vec<(String, String)> {
        record.files.iter().filter(|(path, _)| env(path)).map(|(path, mark)| (path.clone(), mark.clone())).collect()
    };
    if all(before) != all(after) {
        files.push("~ environment".to_owned());
    }
    let after = &after.files.iter().filter(|(path, _)| !env(path)).collect::<BTreeMap<_, _>>();
    let before = &before.files.iter().filter(|(path, _)| !env(path)).collect::<BTreeMap<_, _>>();
    for (path, mark) in after {
        match before.get(path) {
            None => files.push(format!("+ {path}")),
            Some(old) if old != mark => files.push(format!("~ {path}")),
            Some(_) => {}
        }
    }
    files.extend(before.keys().filter(|path| !after.contains_key(*path)).map(|path| format!("- {path}")));
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
