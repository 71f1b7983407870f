//! A host without an init system: a supervised process in a folder of ours. The supervising loop itself is part of the run
//! script (`host/run`); here are its settings and the steps.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::host::{Layout, OURS, Record, UnitFile, look};
use crate::model::{Content, Probe, ReleaseId, Step, UnitChange, quote};
use crate::plan::Subject;
use crate::registry::RestartPolicy;

/// How long a process may take to start.
const START: Duration = Duration::from_secs(10);

/// The settings of the supervising loop for an instance, as assignments for a POSIX shell.
pub(super) fn unit(subject: &Subject<'_>, id: &ReleaseId, instance: u16, words: &[String]) -> UnitFile {
    let service = subject.service;
    let layout = Layout::new(&subject.facts.base);
    let release = layout.release(&service.name, id);
    let restart = &service.restart;
    let policy = match restart.policy {
        RestartPolicy::Always => "always",
        RestartPolicy::OnFailure => "on-failure",
        RestartPolicy::Never => "never",
    };
    let line: Vec<_> = words.iter().map(|word| quote(word)).collect();
    let mut text = String::new();
    let settings: [(&str, String); 9] = [
        ("dir", release.clone()),
        ("env", format!("{release}/{OURS}/env.{instance}")),
        ("policy", policy.into()),
        ("max", restart.max.to_string()),
        ("window", restart.within.as_secs().max(1).to_string()),
        ("delay", restart.delay.as_secs().to_string()),
        ("signal", service.stop.signal.trim_start_matches("SIG").into()),
        ("timeout", service.stop.timeout.as_secs().max(1).to_string()),
        ("log_max", service.log.max_size.unwrap_or(10 << 20).to_string()),
    ];
    for (name, value) in settings {
        text.push_str(&format!("{name}={}\n", quote(&value)));
    }
    if let Some(signal) = &service.reload {
        text.push_str(&format!("reload={}\n", signal.trim_start_matches("SIG")));
    }
    if let Some(user) = &service.user {
        text.push_str(&format!("user={}\n", quote(user)));
    }
    text.push_str(&format!("set -- {}\n", line.join(" ")));
    UnitFile {
        name: instance.to_string(),
        path: Some(format!("{}/supervise", layout.process(&service.name, instance))),
        enable: None,
        text,
    }
}

/// What a shell goes by or sets itself: bash ends at an assignment to some of them, and gives others a value of its own.
const SHELLS: [&str; 13] = [
    "BASHOPTS",
    "BASHPID",
    "DIRSTACK",
    "EUID",
    "FUNCNAME",
    "GROUPS",
    "LINENO",
    "OPTIND",
    "PPID",
    "RANDOM",
    "SECONDS",
    "SHELLOPTS",
    "UID",
];

/// The environment as assignments that a POSIX shell reads, whose positional parameters are the words that it then runs: what no
/// shell can be given is put before them.
pub(super) fn env_file(env: &BTreeMap<String, String>) -> String {
    let mut text = String::with_capacity(256);
    for (name, value) in env {
        let value = quote(value);
        let (before, after) =
            if SHELLS.contains(&name.as_str()) { ("set -- /usr/bin/env ", " \"$@\"\n") } else { ("export ", "\n") };
        for part in [before, name, "=", &value, after] {
            text.push_str(part);
        }
    }
    text
}

/// The name under which the look reports an instance.
pub(super) fn seen_name(record: &Record, unit: &UnitFile) -> String {
    look::process_name(record.service.as_str(), &unit.name)
}

fn folder(unit: &UnitFile) -> String {
    let path = unit.path.as_deref().unwrap_or_default();
    path.rsplit_once('/').map_or(path, |(folder, _)| folder).to_owned()
}

pub(super) fn activate(record: &Record, _layout: &Layout, before: Option<&Record>, link: Step) -> Vec<Step> {
    let old = before.map(|before| before.units.as_slice()).unwrap_or_default();
    let gone = old.iter().filter(|unit| record.units.iter().all(|new| new.path != unit.path));
    let mut steps = Vec::new();
    for unit in &record.units {
        steps.push(Step::Folder { path: folder(unit), mode: 0o755, owner: None });
        steps.push(Step::HoldProcess { folder: folder(unit) });
    }
    for unit in gone {
        steps.push(Step::HoldProcess { folder: folder(unit) });
        steps.push(Step::Process { folder: folder(unit), change: UnitChange::Stop });
        steps.push(Step::Remove { path: folder(unit) });
    }
    for unit in &record.units {
        if let Some(path) = &unit.path {
            let content = Content::open(unit.text.clone());
            steps.push(Step::Put { path: path.clone(), content, mode: 0o644, owner: None });
        }
    }
    steps.push(link);
    for unit in &record.units {
        steps.push(Step::Process { folder: folder(unit), change: UnitChange::Restart });
    }
    steps.extend(record.units.iter().map(alive));
    steps
}

pub(super) fn change(record: &Record, _layout: &Layout, change: UnitChange) -> Vec<Step> {
    let mut steps = Vec::new();
    for unit in &record.units {
        steps.push(Step::HoldProcess { folder: folder(unit) });
        steps.push(Step::Process { folder: folder(unit), change });
        if change != UnitChange::Stop {
            steps.push(alive(unit));
        }
    }
    steps
}

pub(super) fn remove(record: &Record, layout: &Layout) -> Vec<Step> {
    let mut steps = Vec::new();
    for unit in &record.units {
        steps.push(Step::HoldProcess { folder: folder(unit) });
        steps.push(Step::Process { folder: folder(unit), change: UnitChange::Stop });
    }
    let all = format!("{}/process", layout.service(&record.service));
    steps.push(Step::Remove { path: all });
    steps
}

fn alive(unit: &UnitFile) -> Step {
    Step::Wait { probe: Probe::ProcessAlive { folder: folder(unit) }, within: START }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_is_quoted_for_a_shell() {
        let env = BTreeMap::from([("A".to_owned(), "it's $(x)".to_owned())]);
        assert_eq!(env_file(&env), "export A='it'\\''s $(x)'\n");
        let env = BTreeMap::from([("UID".to_owned(), "a b".to_owned())]);
        assert_eq!(env_file(&env), "set -- /usr/bin/env UID='a b' \"$@\"\n");
    }
}
