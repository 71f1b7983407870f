//! The planner of what is asked of services that are on their hosts already: start, stop, restart, reload, remove.
//! It goes by the records on the hosts, so that no source is read and what the registry changed since then does not matter.

use std::collections::{BTreeMap, BTreeSet};

use crate::host::{Layout, Seen};
use crate::model::{HostName, ServiceName, UnitChange};
use crate::plan::change::{Action, Change, Plan, Turn};
use crate::plan::engine::{Engine, Refused};
use crate::plan::make::RefusedAt;
use crate::registry::Registry;

/// All that the plan depends on.
pub struct Asked<'a> {
    pub registry: &'a Registry,
    /// The services, in waves of the graph of needs: what is needed first.
    pub waves: Vec<Vec<ServiceName>>,
    pub hosts: &'a BTreeSet<HostName>,
    pub seen: &'a BTreeMap<HostName, Seen>,
    pub engines: &'a [&'a dyn Engine],
    pub turn: Turn,
}

/// The plan, and the places where nothing is there to be stopped or removed.
pub struct Turned {
    pub plan: Plan,
    pub absent: Vec<(ServiceName, HostName)>,
}

/// Makes the plan. What ends services begins with those that nobody needs.
pub fn turn(asked: &Asked<'_>) -> Result<Turned, Vec<RefusedAt>> {
    let mut waves = asked.waves.clone();
    if asked.turn.ends() {
        waves.reverse();
    }
    let (mut changes, mut absent, mut refused) = (Vec::new(), Vec::new(), Vec::new());
    for name in waves.iter().flatten() {
        let hosts = asked.registry.services.get(name).map(|service| service.hosts.as_slice()).unwrap_or_default();
        for host in hosts.iter().filter(|host| asked.hosts.contains(*host)) {
            let Some(seen) = asked.seen.get(host) else { continue };
            match change(asked, name, host, seen) {
                Ok(Some(change)) => changes.push(change),
                Ok(None) => absent.push((name.clone(), host.clone())),
                Err(why) => refused.push((name.clone(), host.clone(), why)),
            }
        }
    }
    if refused.is_empty() { Ok(Turned { plan: Plan { waves, changes }, absent }) } else { Err(refused) }
}

fn change(asked: &Asked<'_>, service: &ServiceName, host: &HostName, seen: &Seen) -> Result<Option<Change>, Refused> {
    let found = seen.services.get(service);
    let record = match found.and_then(|found| found.record.as_ref()) {
        Some(Ok(record)) => record,
        Some(Err(why)) => return Err(Refused::new(why.clone(), "deploy it again, which writes its record anew")),
        None if asked.turn.ends() => return Ok(None),
        None => return Err(Refused::new("it is not on the host", format!("run `portoser deploy {service}`"))),
    };
    let engine = asked.engines.iter().find(|engine| engine.name() == record.engine);
    let engine = *engine.ok_or_else(|| {
        Refused::new(format!("its engine `{}` is not one of ours", record.engine), "use a newer portoser")
    })?;
    let layout = Layout::new(&seen.facts.base);
    let ran = engine.runs(record, seen);
    let names = engine.names(record);
    // A unit that waits to be started again does not run, and still has to be stopped.
    let rests = names.iter().all(|name| seen.units.get(name).is_some_and(|unit| unit.rests()));
    let (action, steps) = match asked.turn {
        Turn::Change(UnitChange::Start) if ran => (Action::Nothing, Vec::new()),
        Turn::Change(UnitChange::Stop) if rests => (Action::Nothing, Vec::new()),
        Turn::Change(change) => (Action::Turn(asked.turn), engine.change(record, &layout, change)),
        Turn::Remove => (Action::Turn(asked.turn), engine.remove(record, &layout)),
    };
    Ok(Some(Change {
        service: service.clone(),
        host: host.clone(),
        action,
        reasons: Vec::new(),
        before: found.and_then(|found| found.current.clone()),
        before_record: ran.then(|| record.clone()),
        record: record.clone(),
        tree: None,
        steps,
        after: Vec::new(),
    }))
}
