//! What differs between two releases, in words that a person can judge.

use std::collections::BTreeMap;

use crate::host::{OURS, Record, Supervisor, UnitFile};
use crate::plan::texts::{self, TextChange};

/// The most lines that name single files; the rest is counted.
const FILES: usize = 6;

/// That variables differ, or a release's own name in them.
const ENVIRONMENT: &str = "~ environment";

/// What differs where nothing else does.
const UNIT: &str = "the text of its unit";

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
        files.push(ENVIRONMENT.to_owned());
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
        lines.push(UNIT.into());
    }
    lines
}

/// A release's own name stands in its environment. Where the one before was brought, and no variable differs but for that, it is no reason.
pub fn without_its_name(
    reasons: &mut Vec<String>,
    changes: &[TextChange],
    before: Option<&Record>,
    brought: &BTreeMap<String, String>,
) {
    let Some(before) = before else { return };
    let mut paths = before.files.keys().filter(|path| texts::is_environment(path));
    let known = paths.all(|path| brought.contains_key(path)) && texts::environments(texts::written(brought)).is_some();
    if known && !changes.iter().any(|one| one.path == texts::ENVIRONMENT) {
        reasons.retain(|reason| reason != ENVIRONMENT);
        if reasons.is_empty() {
            reasons.push(UNIT.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_a_release_in_its_environment_is_no_reason() {
        const ENV: &str = ".portoser/env.sh";
        let before = Record::parse(
            r#"{"format":1,"service":"web","release":"1111111111111111","engine":"python","supervisor":"systemd","scope":"system","units":[],
            "user":null,"checks":[],"hooks":{"before":[],"after":[]},"summary":{},"files":{".portoser/env.sh":"a","app.py":"b"}}"#,
        )
        .expect("a record");
        let reasons = |brought: &[(&str, &str)], changes: &[TextChange]| {
            let brought = brought.iter().map(|(path, text)| ((*path).into(), (*text).into())).collect();
            let mut reasons = vec![ENVIRONMENT.to_owned(), "~ app.py".to_owned()];
            without_its_name(&mut reasons, changes, Some(&before), &brought);
            reasons.len()
        };
        let env = (ENV, "export PYTHONPATH=/r/1111111111111111\n");
        assert_eq!(reasons(&[env], &[]), 1);
        assert_eq!(reasons(&[env], &[TextChange { path: texts::ENVIRONMENT.into(), diff: "~A\n".into() }]), 2);
        assert_eq!((reasons(&[], &[]), reasons(&[(ENV, "export 'A")], &[])), (2, 2), "nobody knows what it was");
    }
}
