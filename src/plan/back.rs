//! The plan of a rollback: from the records that lie on the hosts, and from nothing else of this machine than the graph of needs.
//! It goes to what was proven before, never on to what was left: after a rollback, another one goes further back.

use std::collections::{BTreeMap, BTreeSet};

use crate::host::{Layout, Record, Seen, SeenService};
use crate::model::{HostName, ReleaseId, ServiceName};
use crate::plan::change::{Action, Change, Plan};
use crate::plan::diff::differences;
use crate::plan::engine::{Engine, Refused};
use crate::plan::make::{RefusedAt, altered, edited, same_project};
use crate::plan::once;
use crate::registry::Registry;

/// What a rollback goes back to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Target {
    /// The last release that was proven before the one that is there.
    #[default]
    Before,
    /// The release whose id begins so.
    Named(String),
}

/// All that the plan of a rollback depends on.
pub struct BackInputs<'a> {
    pub registry: &'a Registry,
    /// The services, in waves of the graph of needs.
    pub waves: Vec<Vec<ServiceName>>,
    pub hosts: BTreeSet<HostName>,
    /// With the records of all releases (`Question::past`).
    pub seen: &'a BTreeMap<HostName, Seen>,
    pub engines: &'a [&'a dyn Engine],
    pub target: &'a Target,
    /// Whether units that were edited on the host may be written over.
    pub overwrite: bool,
    /// Whether services without a way back may stay as they are. One that was named may not: who names it wants it back.
    pub some: bool,
}

/// Makes the plan, or says for every service and host why there is no way back. A service goes back on all of its hosts, or stays as
/// it is on all of them.
pub fn back(inputs: &BackInputs<'_>) -> Result<Plan, Vec<RefusedAt>> {
    let mut plan = Plan { waves: inputs.waves.clone(), ..Plan::default() };
    let mut refused = Vec::new();
    let nothing = SeenService::default();
    for name in inputs.waves.iter().flatten() {
        let Some(service) = inputs.registry.services.get(name) else { continue };
        let here: Vec<(&HostName, &Seen, &SeenService)> = service
            .hosts
            .iter()
            .filter(|host| inputs.hosts.contains(*host))
            .filter_map(|host| inputs.seen.get(host).map(|seen| (host, seen)))
            .map(|(host, seen)| (host, seen, seen.services.get(name).unwrap_or(&nothing)))
            .collect();
        let before: Vec<Option<&ReleaseId>> = here.iter().map(|(_, _, found)| proven_before(found)).collect();
        let (mut changes, mut faults, mut ways) = (Vec::new(), Vec::new(), true);
        for (number, (host, seen, found)) in here.iter().enumerate() {
            // A host that the last change did not reach is where the others go: it stays.
            let others = before.iter().enumerate().filter(|(other, _)| *other != number);
            let stays = found.current.is_some()
                && found.current.as_ref().is_some_and(|current| found.proven.contains(current))
                && others.into_iter().any(|(_, other)| *other == found.current.as_ref());
            let target = match inputs.target {
                Target::Named(prefix) => named(found, prefix),
                Target::Before if stays => Ok(found.current.as_ref()),
                Target::Before => Ok(before[number]),
            };
            ways &= !matches!(target, Ok(None));
            let change = target.and_then(|target| {
                let target = target.ok_or_else(|| no_way_back(found))?;
                change(inputs, name, host, (seen, found), target)
            });
            match change {
                Ok(change) => changes.push(change),
                Err(why) => faults.push((name.clone(), (*host).clone(), why)),
            }
        }
        if ways || !inputs.some {
            plan.changes.extend(changes);
            refused.extend(faults);
        } else {
            plan.left.extend(faults);
        }
    }
    // Where nothing goes back, what stays is all there is to say.
    if refused.is_empty() && (plan.left.is_empty() || !plan.changes.is_empty()) {
        return Ok(plan);
    }
    refused.extend(plan.left);
    Err(refused)
}

/// The last release that was proven here before the current one first was, and that still lies here. What was proven since
/// was left for a reason.
pub(super) fn proven_before(found: &SeenService) -> Option<&ReleaseId> {
    let current = found.current.as_ref()?;
    let known = found.proven.iter().position(|id| id == current).unwrap_or(found.proven.len());
    found.proven[..known].iter().rev().find(|id| found.releases.contains(*id))
}

fn no_way_back(found: &SeenService) -> Refused {
    let Some(current) = &found.current else {
        return Refused::new("nothing is deployed here", "see `portoser plan`");
    };
    let others: Vec<&str> = found.releases.iter().filter(|id| *id != current).map(ReleaseId::as_str).collect();
    let hint = match others.as_slice() {
        [] => "no other release lies on the host; bring the old source back and deploy it".into(),
        others => format!("name one of those that lie there: --to {}", others.join(", --to ")),
    };
    Refused::new(format!("nothing was proven here before {current}"), hint)
}

fn named<'a>(found: &'a SeenService, prefix: &str) -> Result<Option<&'a ReleaseId>, Refused> {
    let lying = found.releases.iter().filter(|id| !prefix.is_empty() && id.as_str().starts_with(prefix));
    let lying: Vec<&ReleaseId> = lying.collect();
    let all: Vec<&str> = found.releases.iter().map(ReleaseId::as_str).collect();
    match lying.as_slice() {
        [one] => Ok(Some(one)),
        [] if all.is_empty() => Err(Refused::new("no release lies here", "see `portoser history`")),
        [] => Err(Refused::new(
            format!("no release {prefix:?} lies here"),
            format!(
                "there are: {}; the same release may have another id on another host, so give --host",
                all.join(", ")
            ),
        )),
        several => {
            let several: Vec<&str> = several.iter().map(|id| id.as_str()).collect();
            Err(Refused::new(format!("{prefix:?} is the beginning of several releases"), several.join(", ")))
        }
    }
}

fn change(
    inputs: &BackInputs<'_>,
    service: &ServiceName,
    host: &HostName,
    (seen, found): (&Seen, &SeenService),
    target: &ReleaseId,
) -> Result<Change, Refused> {
    let record = match found.past.get(target) {
        Some(Ok(record)) => record.clone(),
        Some(Err(why)) => {
            return Err(Refused::new(format!("{target} cannot come back: {why}"), "name another with --to"));
        }
        None => return Err(Refused::new(format!("{target} lies here without its record"), "name another with --to")),
    };
    let engine = inputs.engines.iter().find(|engine| engine.name() == record.engine);
    let engine = *engine.ok_or_else(|| {
        Refused::new(format!("no engine is named `{}`", record.engine), "use the portoser that made the release")
    })?;
    // Files of a release stay in their folder; what lies elsewhere is written over.
    let units: Vec<&str> = found.drift.iter().map(String::as_str).filter(|line| line.starts_with('/')).collect();
    if !units.is_empty() && !inputs.overwrite {
        return Err(edited(&units, "keep a copy of the edits, and give --overwrite to lose them"));
    }
    if let Some(blind) = engine.blind(seen) {
        return Err(blind);
    }
    altered(found, inputs.overwrite)?;
    same_project(found, &record)?;
    let (action, reasons) = judge(engine, &record, found, seen);
    let layout = Layout::new(&seen.facts.base);
    let steps = if action == Action::Nothing { Vec::new() } else { engine.activate(&record, &layout, found) };
    let mut change = Change {
        service: service.clone(),
        host: host.clone(),
        action,
        reasons,
        texts: Vec::new(),
        edited: found.edits(),
        before: found.current.clone(),
        before_record: found.readable().cloned(),
        once: once::runs(&record, found, action),
        after: engine.alone(&record, &layout),
        record,
        files: None,
        copied: BTreeSet::new(),
        besides: None,
        images: Vec::new(),
        fetches: Vec::new(),
        steps,
    };
    let across = change.across();
    change.reasons.splice(0..0, across);
    Ok(change)
}

fn judge(engine: &dyn Engine, record: &Record, found: &SeenService, seen: &Seen) -> (Action, Vec<String>) {
    if found.current.as_ref() == Some(&record.release) {
        return match engine.runs(record, seen) {
            true => (Action::Nothing, Vec::new()),
            false => (Action::Restart, vec!["it does not run".into()]),
        };
    }
    let mut reasons = Vec::new();
    if !found.proven.contains(&record.release) {
        reasons.push("it was never proven on this host".into());
    }
    reasons.extend(differences(found.readable(), record));
    (Action::Deploy, reasons)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(digit: char) -> ReleaseId {
        ReleaseId::try_from(digit.to_string().repeat(16)).expect("a release")
    }

    fn found(current: char, proven: &str, lying: &str) -> SeenService {
        SeenService {
            current: Some(id(current)),
            proven: proven.chars().map(id).collect(),
            releases: lying.chars().map(id).collect(),
            ..SeenService::default()
        }
    }

    #[test]
    fn the_way_back_is_what_was_proven_before() {
        for (current, proven, lying, expected) in [
            ('3', "123", "123", Some('2')),
            ('3', "1233", "123", Some('2')),
            // The one before was pruned.
            ('3', "123", "13", Some('1')),
            // After a rollback from 3, never on to 3 again.
            ('2', "1232", "123", Some('1')),
            ('1', "121", "12", None),
            // A current one that was never proven here: whatever was proven last.
            ('9', "12", "129", Some('2')),
            ('1', "1", "1", None),
        ] {
            let found = found(current, proven, lying);
            assert_eq!(proven_before(&found), expected.map(id).as_ref(), "{current} after {proven}");
        }
        assert_eq!(proven_before(&SeenService::default()), None);
    }

    #[test]
    fn only_what_healing_may_mend_is_of_the_host() {
        assert!(!no_way_back(&found('1', "1", "1")).host);
        for (lines, host) in [
            (["/etc/a: was changed", "/etc/b: was changed"], false),
            (["/etc/a: was changed", "/etc/b: is missing"], true),
        ] {
            assert_eq!(edited(&lines, "").host, host, "{lines:?}");
        }
    }

    #[test]
    fn a_release_is_named_by_the_beginning_of_its_id() {
        let found = found('1', "12", "12");
        assert_eq!(named(&found, "22"), Ok(Some(&id('2'))));
        assert!(named(&found, "3").is_err());
        assert!(named(&found, "").is_err());
        let why = no_way_back(&found);
        assert_eq!(why.what, "nothing was proven here before 1111111111111111");
        assert_eq!(why.hint.as_deref(), Some("name one of those that lie there: --to 2222222222222222"));
    }
}
