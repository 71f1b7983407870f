//! The planner of what is asked of services that are on their hosts already: start, stop, restart, reload, remove.
//! It goes by the records on the hosts, so that no source is read and what the registry changed since then does not matter.

use std::collections::{BTreeMap, BTreeSet};

use crate::host::{Layout, Seen};
use crate::model::{HostName, ServiceName, Step, UnitChange};
use crate::plan::change::{Action, Change, Plan, Turn};
use crate::plan::engine::{Engine, Refused};
use crate::plan::make::RefusedAt;
use crate::plan::mend::{Mend, changed, mended, reloads_not};
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
    /// The services that are meant wherever they lie, whatever the registry says.
    pub strays: &'a BTreeSet<ServiceName>,
    /// Where it was done and is proven: what runs there is left alone.
    pub done: &'a BTreeSet<(ServiceName, HostName)>,
    /// What a remedy does, where one is applied.
    pub mends: &'a BTreeMap<(ServiceName, HostName), Vec<Mend>>,
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
    let (mut changes, mut absent, mut refused): (Vec<Change>, _, _) = (Vec::new(), Vec::new(), Vec::new());
    // Where the registry does not put what is not there.
    let mut elsewhere = Vec::new();
    for name in waves.iter().flatten() {
        let placed = asked.registry.services.get(name).map(|service| service.hosts.as_slice()).unwrap_or_default();
        let hosts: Vec<&HostName> = match asked.strays.contains(name) {
            true => asked.hosts.iter().collect(),
            false => placed.iter().filter(|host| asked.hosts.contains(*host)).collect(),
        };
        for host in hosts {
            let Some(seen) = asked.seen.get(host) else { continue };
            match change(asked, name, host, seen) {
                Ok(Some(change)) => changes.push(change),
                Ok(None) if placed.contains(host) => absent.push((name.clone(), host.clone())),
                Ok(None) => elsewhere.push((name.clone(), host.clone())),
                Err(why) => refused.push((name.clone(), host.clone(), why)),
            }
        }
    }
    // Who names two services and two hosts need not have each of them on each.
    elsewhere.retain(|(_, host)| !changes.iter().any(|change| change.host == *host));
    absent.extend(elsewhere);
    if refused.is_empty() {
        Ok(Turned { plan: Plan { waves, changes, ..Plan::default() }, absent })
    } else {
        Err(refused)
    }
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
    if let Some(blind) = engine.blind(seen).filter(|_| asks_the_engine(asked, service, host)) {
        return Err(blind);
    }
    let ran = engine.runs(record, seen);
    let names = engine.names(record);
    // A unit that waits to be started again does not run, and still has to be stopped.
    let rests = names.iter().all(|name| seen.units.get(name).is_some_and(|unit| unit.rests()));
    let (action, steps) = match asked.turn {
        Turn::Change(UnitChange::Start) if ran => (Action::Nothing, Vec::new()),
        Turn::Change(UnitChange::Stop) if rests => (Action::Nothing, Vec::new()),
        Turn::Change(UnitChange::Restart | UnitChange::Reload)
            if ran && asked.done.contains(&(service.clone(), host.clone())) =>
        {
            (Action::Nothing, Vec::new())
        }
        Turn::Change(UnitChange::Reload) if !engine.reloads(record) => return Err(reloads_not(service)),
        Turn::Change(change) => (Action::Turn(asked.turn), changed(engine, (record, &layout), found, change)?),
        Turn::Remove => (Action::Turn(asked.turn), engine.remove(record, &layout)),
        Turn::Mend => {
            let Some(mends) = asked.mends.get(&(service.clone(), host.clone())) else { return Ok(None) };
            let steps = mends.iter().map(|mend| match mend {
                Mend::Aside { word, drain } => aside(asked, (word, *drain), host, seen),
                mend => mended(mend, engine, (record, &layout), (seen, found)),
            });
            (Action::Turn(asked.turn), steps.collect::<Result<Vec<_>, _>>()?.concat())
        }
    };
    Ok(Some(Change {
        service: service.clone(),
        host: host.clone(),
        action,
        reasons: Vec::new(),
        texts: Vec::new(),
        edited: Vec::new(),
        before: found.and_then(|found| found.current.clone()),
        before_record: ran.then(|| record.clone()),
        record: record.clone(),
        files: None,
        copied: BTreeSet::new(),
        besides: None,
        images: Vec::new(),
        fetches: Vec::new(),
        steps,
        once: false,
        after: if asked.turn == Turn::Remove { engine.after(record, &layout) } else { Vec::new() },
    }))
}

/// Takes a host out of service. All of it is one stage, so that either all of it holds or nothing of it.
fn aside(asked: &Asked<'_>, (word, drain): (&Step, bool), host: &HostName, seen: &Seen) -> Result<Vec<Step>, Refused> {
    let (mut steps, layout) = (vec![word.clone()], Layout::new(&seen.facts.base));
    for name in asked.waves.iter().rev().flatten().filter(|_| drain) {
        let placed = asked.registry.services.get(name).is_some_and(|service| service.hosts.contains(host));
        let Some(found) = seen.services.get(name).filter(|_| placed) else { continue };
        let Some(record) = found.readable() else { continue };
        let engine = asked.engines.iter().find(|engine| engine.name() == record.engine);
        let engine = engine
            .ok_or_else(|| Refused::new(format!("the engine of {name} is not one of ours"), "use a newer portoser"))?;
        if let Some(blind) = engine.blind(seen) {
            return Err(blind);
        }
        steps.extend(engine.change(record, &layout, UnitChange::Stop));
    }
    Ok(steps)
}

/// Whether it is done in the engine's way. A remedy for the host needs no sight of the service in whose name it is done: it may
/// be what brings the sight back.
fn asks_the_engine(asked: &Asked<'_>, service: &ServiceName, host: &HostName) -> bool {
    let mends = asked.mends.get(&(service.clone(), host.clone())).map(Vec::as_slice).unwrap_or_default();
    asked.turn != Turn::Mend
        || mends
            .iter()
            .any(|mend| !matches!(mend, Mend::Steps(_) | Mend::PruneReleases { .. } | Mend::Aside { drain: false, .. }))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::host::{FORMAT, Hooks, Record, SeenService, SeenUnit, Supervisor};
    use crate::model::{ReleaseId, Scope};
    use crate::plan::engine::{Subject, Wanted};
    use crate::registry::{Format, Kind, Service, load_text};

    /// Every service is one unit of its own name.
    struct Units;

    impl Engine for Units {
        fn name(&self) -> &'static str {
            "units"
        }
        fn serves(&self, _: &Kind) -> bool {
            true
        }
        fn units(&self, _: &Service) -> Vec<(Scope, String)> {
            Vec::new()
        }
        fn wanted(&self, subject: &Subject<'_>) -> Result<Wanted, Refused> {
            Ok(Wanted {
                record: record(subject.service.name.as_str()),
                files: Vec::new(),
                besides: None,
                images: Vec::new(),
            })
        }
        fn activate(&self, _: &Record, _: &Layout, _: &SeenService) -> Vec<Step> {
            Vec::new()
        }
        fn change(&self, record: &Record, _: &Layout, change: UnitChange) -> Vec<Step> {
            vec![Step::Unit { unit: record.service.to_string(), scope: Scope::System, change }]
        }
        fn reloads(&self, record: &Record) -> bool {
            record.service.as_str() == "api"
        }
        fn remove(&self, record: &Record, layout: &Layout) -> Vec<Step> {
            vec![Step::Remove { path: layout.releases(&record.service) }]
        }
        fn names(&self, record: &Record) -> Vec<String> {
            vec![record.service.to_string()]
        }
        fn runs(&self, record: &Record, seen: &Seen) -> bool {
            seen.units.get(record.service.as_str()).is_some_and(SeenUnit::runs)
        }
    }

    fn record(service: &str) -> Record {
        Record {
            format: FORMAT,
            service: ServiceName::try_from(service).expect("a name"),
            release: ReleaseId::from_digest(&[7; 32]),
            engine: "units".into(),
            supervisor: Supervisor::Systemd,
            scope: Scope::System,
            units: Vec::new(),
            user: None,
            checks: Vec::new(),
            hooks: Hooks::default(),
            stop: None,
            venv: None,
            once: None,
            summary: BTreeMap::new(),
            files: BTreeMap::new(),
        }
    }

    fn host_name() -> HostName {
        HostName::try_from("box").expect("a name")
    }

    /// `api` needs `db`; each is on the host in this state, or is not there. An earlier run came to its end with `api`.
    fn turned(turn_wanted: Turn, states: &[(&str, &str)]) -> Result<Turned, Vec<RefusedAt>> {
        turned_with(turn_wanted, states, "", &[])
    }

    /// The same where this was done to a container of `api`, and a remedy for it is wanted.
    fn turned_with(
        turn_wanted: Turn,
        states: &[(&str, &str)],
        altered: &str,
        mends: &[Mend],
    ) -> Result<Turned, Vec<RefusedAt>> {
        let text = "version: 1\nhosts: { box: { connection: local } }\nservices:\n  \
                    db: { type: native, host: box, run: [a] }\n  \
                    api: { type: native, host: box, run: [a], needs: [db] }\n";
        let registry = load_text(text, Format::Yaml, Path::new("registry.yml"), None).expect("valid");
        let name = |name: &str| ServiceName::try_from(name).expect("a name");
        let host = host_name();
        let mut seen = Seen::default();
        for (service, state) in states {
            let changed = (*service == "api" && !altered.is_empty()).then(|| format!("container c: {altered}"));
            let altered = changed.into_iter().collect();
            let found = SeenService { record: Some(Ok(record(service))), altered, ..SeenService::default() };
            seen.services.insert(name(service), found);
            let unit = SeenUnit { loaded: true, active: (*state).into(), ..SeenUnit::default() };
            seen.units.insert((*service).into(), unit);
        }
        turn(&Asked {
            registry: &registry,
            waves: vec![vec![name("db")], vec![name("api")]],
            hosts: &BTreeSet::from([host.clone()]),
            seen: &BTreeMap::from([(host, seen)]),
            engines: &[&Units],
            turn: turn_wanted,
            strays: &BTreeSet::new(),
            mends: &BTreeMap::from([((name("api"), host_name()), mends.to_vec())]),
            done: &BTreeSet::from([(name("api"), host_name())]),
        })
    }

    fn order(turned: &Turned) -> Vec<(&str, Action)> {
        turned.plan.changes.iter().map(|change| (change.service.as_str(), change.action)).collect()
    }

    #[test]
    fn what_is_needed_starts_first_and_stops_last() {
        let start = Turn::Change(UnitChange::Start);
        let both = turned(start, &[("api", "inactive"), ("db", "failed")]).expect("planned");
        assert_eq!(order(&both), [("db", Action::Turn(start)), ("api", Action::Turn(start))]);
        let stop = Turn::Change(UnitChange::Stop);
        let both = turned(stop, &[("api", "active"), ("db", "active")]).expect("planned");
        assert_eq!(order(&both), [("api", Action::Turn(stop)), ("db", Action::Turn(stop))]);
    }

    #[test]
    fn what_is_so_already_is_left_alone() {
        let start = turned(Turn::Change(UnitChange::Start), &[("api", "active"), ("db", "active")]).expect("planned");
        assert!(start.plan.is_nothing());
        // A unit that waits to be started again must be stopped.
        let stop = Turn::Change(UnitChange::Stop);
        let both = turned(stop, &[("api", "activating"), ("db", "inactive")]).expect("planned");
        assert_eq!(order(&both), [("api", Action::Turn(stop)), ("db", Action::Nothing)]);
    }

    #[test]
    fn what_an_earlier_run_restarted_is_left_while_it_runs() {
        let restart = Turn::Change(UnitChange::Restart);
        let both = turned(restart, &[("api", "active"), ("db", "active")]).expect("planned");
        assert_eq!(order(&both), [("db", Action::Turn(restart)), ("api", Action::Nothing)]);
        let both = turned(restart, &[("api", "failed"), ("db", "active")]).expect("planned");
        assert_eq!(order(&both), [("db", Action::Turn(restart)), ("api", Action::Turn(restart))]);
    }

    #[test]
    fn containers_that_others_made_are_not_made_anew() {
        let (start, restart) = (UnitChange::Start, UnitChange::Restart);
        let ([remade, updated], mend) =
            (["made anew with other settings", "other memory than it was made with"], Turn::Mend);
        for (turn, altered, mends, refused) in [
            (Turn::Change(start), remade, vec![], true),
            (Turn::Change(start), updated, vec![], false),
            (Turn::Change(restart), remade, vec![], false),
            (mend, remade, vec![Mend::Change(start)], true),
            (mend, updated, vec![Mend::Change(start)], false),
            (mend, remade, vec![Mend::Change(restart)], false),
            (mend, updated, vec![Mend::Again], true),
            (mend, "", vec![Mend::Again], false),
        ] {
            let planned = turned_with(turn, &[("api", "failed")], altered, &mends);
            let says = planned.map_or_else(|all| all, |_| Vec::new());
            let says: Vec<&str> =
                says.iter().filter(|one| one.0.as_str() == "api").map(|one| one.2.what.as_str()).collect();
            let wanted = format!("containers were changed on the host since the last deploy: container c: {altered}");
            assert_eq!(says, if refused { vec![wanted.as_str()] } else { vec![] }, "{turn:?} {altered} {mends:?}");
        }
    }

    #[test]
    fn a_reload_that_nothing_describes_is_refused() {
        let reload = Turn::Change(UnitChange::Reload);
        let refused = turned(reload, &[("api", "active"), ("db", "active")]).map_or_else(|all| all, |_| Vec::new());
        assert_eq!(refused.iter().map(|one| one.0.as_str()).collect::<Vec<_>>(), ["db"]);
    }

    #[test]
    fn what_is_not_there_cannot_be_started_and_need_not_be_removed() {
        assert_eq!(turned(Turn::Change(UnitChange::Start), &[("db", "active")]).map_or_else(|all| all.len(), |_| 0), 1);
        let removed = turned(Turn::Remove, &[("db", "active")]).expect("planned");
        assert_eq!(order(&removed), [("db", Action::Turn(Turn::Remove))]);
        assert_eq!(removed.absent.len(), 1);
    }
}
