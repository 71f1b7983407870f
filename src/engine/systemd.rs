//! systemd: the units of a service, their environment files (systemd.exec(5)), and the steps that bring them into force.

mod text;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::host::{Record, UnitFile};
use crate::model::{Probe, ReleaseId, Scope, Step, UnitChange};
use crate::plan::{Refused, Subject};
use crate::registry::Service;

/// How long a unit may take to become active after the start; a service that needs longer says so in its checks.
const START: Duration = Duration::from_secs(30);

/// The name of the unit of an instance. The prefix keeps clear of the distribution's own units.
pub(super) fn unit_name(service: &Service, instance: u16) -> String {
    if service.instances > 1 {
        ["portoser-", service.name.as_str(), "@", &instance.to_string(), ".service"].concat()
    } else {
        ["portoser-", service.name.as_str(), ".service"].concat()
    }
}

/// The unit of an instance, as a file.
pub(super) fn unit(
    subject: &Subject<'_>,
    id: &ReleaseId,
    instance: u16,
    words: &[String],
) -> Result<UnitFile, Refused> {
    let service = subject.service;
    let name = unit_name(service, instance);
    let (folder, target) = match service.scope {
        Scope::System => ("/etc/systemd/system".to_owned(), "multi-user.target"),
        Scope::User => (format!("{}/.config/systemd/user", subject.facts.home), "default.target"),
    };
    let text = text::render(subject, id, instance, words, target)?;
    Ok(UnitFile {
        path: Some([folder.as_str(), "/", &name].concat()),
        enable: Some([folder.as_str(), "/", target, ".wants/", &name].concat()),
        name,
        text,
    })
}

/// The environment in the format of `EnvironmentFile=`: in double quotes only `"`, `\`, `` ` `` and `$` are escaped, and a newline
/// is itself. systemd drops a value with any other control character, so such a value is refused here.
pub(super) fn env_file(env: &BTreeMap<String, String>) -> Result<String, Refused> {
    let mut text = String::with_capacity(256);
    for (name, value) in env {
        if value.chars().any(|c| c.is_control() && c != '\n' && c != '\t') {
            return Err(Refused::new(
                format!("the value of the environment variable `{name}` holds a control character"),
                "systemd carries only newline and tab; put the value into a file",
            ));
        }
        text.push_str(name);
        text.push_str("=\"");
        for c in value.chars() {
            if matches!(c, '"' | '\\' | '`' | '$') {
                text.push('\\');
            }
            text.push(c);
        }
        text.push_str("\"\n");
    }
    Ok(text)
}

/// Brings our own units into force. The unit's file decides which release runs; `current` follows at once.
pub(super) fn activate(record: &Record, before: Option<&Record>, link: Step) -> Vec<Step> {
    let scope = record.scope;
    let mut steps = end_old(record, before);
    for unit in &record.units {
        steps.push(Step::HoldUnit { unit: unit.name.clone(), scope });
    }
    for unit in &record.units {
        steps.extend(put(unit));
    }
    steps.push(link);
    steps.push(Step::ReloadUnits { scope });
    for unit in &record.units {
        steps.push(Step::Unit { unit: unit.name.clone(), scope, change: UnitChange::Restart });
    }
    steps.extend(record.units.iter().map(|unit| active(unit, scope)));
    steps
}

/// Starts units that are the user's own; their files are not ours.
pub(super) fn adopt(record: &Record, before: Option<&Record>, link: Step) -> Vec<Step> {
    let scope = record.scope;
    let mut steps = end_old(record, before);
    steps.push(link);
    for unit in &record.units {
        steps.push(Step::HoldUnit { unit: unit.name.clone(), scope });
        steps.push(Step::Unit { unit: unit.name.clone(), scope, change: UnitChange::Start });
        steps.push(active(unit, scope));
    }
    steps
}

pub(super) fn change(record: &Record, change: UnitChange) -> Vec<Step> {
    let scope = record.scope;
    let mut steps = Vec::new();
    for unit in &record.units {
        steps.push(Step::HoldUnit { unit: unit.name.clone(), scope });
        steps.push(Step::Unit { unit: unit.name.clone(), scope, change });
        if change != UnitChange::Stop {
            steps.push(active(unit, scope));
        }
    }
    steps
}

pub(super) fn remove(record: &Record) -> Vec<Step> {
    end(record.units.iter().filter(|unit| unit.path.is_some()), record.scope)
}

/// Ends the units of the release before that have no successor: there are fewer instances, another scope, or a unit of the user's own
/// in their place. They belong to the scope in which they were started.
fn end_old(record: &Record, before: Option<&Record>) -> Vec<Step> {
    let Some(before) = before else { return Vec::new() };
    // A unit of ours that is named as the user's own from now on is that user's.
    let follows = |old: &UnitFile, new: &UnitFile| new.path == old.path || (new.path.is_none() && new.name == old.name);
    let gone = |old: &&UnitFile| old.path.is_some() && !record.units.iter().any(|new| follows(old, new));
    let mut gone = before.units.iter().filter(gone).peekable();
    if gone.peek().is_none() { Vec::new() } else { end(gone, before.scope) }
}

fn end<'a>(units: impl Iterator<Item = &'a UnitFile>, scope: Scope) -> Vec<Step> {
    let mut steps = Vec::new();
    for unit in units {
        steps.push(Step::HoldUnit { unit: unit.name.clone(), scope });
        steps.push(Step::Unit { unit: unit.name.clone(), scope, change: UnitChange::Stop });
        steps.extend(take(unit));
    }
    steps.push(Step::ReloadUnits { scope });
    steps
}

fn put(unit: &UnitFile) -> Vec<Step> {
    let mut steps = Vec::new();
    if let Some(path) = &unit.path {
        let content = crate::model::Content::open(unit.text.clone());
        steps.push(Step::Put { path: path.clone(), content, mode: unit.mode(), owner: None });
        if let Some(enable) = &unit.enable {
            // The link that `systemctl enable` makes for this [Install] section; made by us, it can be put back exactly.
            let folder = enable.rsplit_once('/').map_or("/", |(folder, _)| folder).to_owned();
            steps.insert(0, Step::Folder { path: folder, mode: 0o755, owner: None });
            steps.push(Step::Link { path: enable.clone(), target: path.clone() });
        }
    }
    steps
}

fn take(unit: &UnitFile) -> Vec<Step> {
    unit.enable.iter().chain(&unit.path).map(|path| Step::Remove { path: path.clone() }).collect()
}

fn active(unit: &UnitFile, scope: Scope) -> Step {
    Step::Wait { probe: Probe::UnitActive { unit: unit.name.clone(), scope }, within: START }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_environment_value_keeps_its_newline_and_refuses_other_controls() {
        let env = BTreeMap::from([("A".to_owned(), "x\"$`\\\ny".to_owned())]);
        assert_eq!(env_file(&env).ok().as_deref(), Some("A=\"x\\\"\\$\\`\\\\\ny\"\n"));
        assert!(env_file(&BTreeMap::from([("A".to_owned(), "\u{1b}".to_owned())])).is_err());
    }
}
