//! The planner of what is asked of services that are on their hosts already: start, stop, restart, reload, remove.
//! It goes by the records on the hosts, so that no source is read and what the registry changed since then does not matter.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::host::{Layout, OURS, Record, Seen, SeenService};
use crate::model::{Cmd, Content, HostName, ProjectChange, Scope, ServiceName, Step, UnitChange};
use crate::plan::back::proven_before;
use crate::plan::change::{Action, Change, Plan, Turn};
use crate::plan::engine::{Engine, Refused};
use crate::plan::make::RefusedAt;
use crate::registry::Registry;

/// A part of a remedy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mend {
    /// What runs is changed, in its engine's way.
    Change(UnitChange),
    /// Steps of the host's, whatever the engine.
    Steps(Vec<Step>),
    /// The release in force is brought into force again, from what lies on the host; its containers are made anew.
    Again,
    /// The hook of this name, as it was deployed.
    Hook(String),
    /// What it runs from is fetched again; nothing is restarted.
    Images,
    /// Its units may be started again: what masked them goes, and their files are as they were.
    Unmask,
    /// Old releases of the services that were looked at go: all but the one in force and the one to go back to.
    PruneReleases,
}

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
    let (mut changes, mut absent, mut refused) = (Vec::new(), Vec::new(), Vec::new());
    for name in waves.iter().flatten() {
        let placed = asked.registry.services.get(name).map(|service| service.hosts.iter()).into_iter().flatten();
        let mut hosts: Vec<&HostName> = placed.filter(|host| asked.hosts.contains(*host)).collect();
        if asked.strays.contains(name) {
            let lies = |host: &&HostName| asked.seen.get(*host).is_some_and(|seen| seen.services.contains_key(name));
            hosts = asked.hosts.iter().filter(lies).collect();
        }
        for host in hosts {
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
        Turn::Change(change) => (Action::Turn(asked.turn), engine.change(record, &layout, change)),
        Turn::Remove => (Action::Turn(asked.turn), engine.remove(record, &layout)),
        Turn::Mend => {
            let Some(mends) = asked.mends.get(&(service.clone(), host.clone())) else { return Ok(None) };
            let steps = mends.iter().map(|mend| mended(mend, engine, (record, &layout), (seen, found)));
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
        fetch: None,
        steps,
        after: if asked.turn == Turn::Remove { engine.after(record, &layout) } else { Vec::new() },
    }))
}

fn reloads_not(service: &ServiceName) -> Refused {
    let hint = format!("give it `reload: SIGHUP` and deploy, or run `portoser restart {service}`");
    Refused::new("nothing says how it reloads", hint)
}

/// The steps of a part of a remedy.
fn mended(
    mend: &Mend,
    engine: &dyn Engine,
    (record, layout): (&Record, &Layout),
    (seen, found): (&Seen, Option<&SeenService>),
) -> Result<Vec<Step>, Refused> {
    let again = || engine.activate(record, layout, found.unwrap_or(&SeenService::default()));
    Ok(match mend {
        Mend::Hook(name) => {
            let hook = record.hooks.named.get(name).ok_or_else(|| {
                Refused::new(format!("it was deployed without a hook `{name}`"), "give it `hooks.named`, and deploy")
            })?;
            vec![hook_step(&layout.release(&record.service, &record.release), hook)]
        }
        Mend::Change(UnitChange::Reload) if !engine.reloads(record) => return Err(reloads_not(&record.service)),
        Mend::Change(change) => engine.change(record, layout, *change),
        Mend::Steps(steps) => steps.clone(),
        Mend::Again => again().into_iter().map(anew).collect(),
        Mend::Images => images(&record.service, again())?,
        Mend::Unmask => unmask(record),
        Mend::PruneReleases => prune(seen, layout),
    })
}

/// Whether it is done in the engine's way. A remedy for the host needs no sight of the service in whose name it is done: it may
/// be what brings the sight back.
fn asks_the_engine(asked: &Asked<'_>, service: &ServiceName, host: &HostName) -> bool {
    let mends = asked.mends.get(&(service.clone(), host.clone())).map(Vec::as_slice).unwrap_or_default();
    asked.turn != Turn::Mend || mends.iter().any(|mend| !matches!(mend, Mend::Steps(_) | Mend::PruneReleases))
}

/// A hook runs in the release's folder with the service's environment. The environment comes from a file, because a value may
/// be a secret and a secret is never a word.
#[must_use]
pub fn hook_step(folder: &str, (words, seconds): &(Vec<String>, u64)) -> Step {
    let script = format!("cd \"$1\" && . ./{OURS}/env.sh && shift && exec \"$@\"");
    let cmd = Cmd::new("/bin/sh").args(["-c", script.as_str(), "hook", folder]).args(words.clone());
    Step::Run { cmd: cmd.within(Duration::from_secs(*seconds)), undo: None }
}

/// The steps that fetch images.
fn images(service: &ServiceName, mut steps: Vec<Step>) -> Result<Vec<Step>, Refused> {
    if steps.iter().any(|step| matches!(step, Step::Load { .. })) {
        return Err(Refused::new(
            "its image is sent from the operator's machine, which only a deploy does",
            format!("run `portoser deploy {service}`"),
        ));
    }
    steps.retain(|step| matches!(step, Step::Image { .. } | Step::Part { .. }));
    Ok(steps)
}

/// A step that brings a project up makes it anew.
fn anew(step: Step) -> Step {
    match step {
        Step::Project { project, folder, change: ProjectChange::Up | ProjectChange::Beside | ProjectChange::Renew } => {
            Step::Project { project, folder, change: ProjectChange::Recreate }
        }
        step => step,
    }
}

/// A unit of ours lies where systemd looks first, so that what masked it took its place.
fn unmask(record: &Record) -> Vec<Step> {
    let scope = if record.scope == Scope::User { "--user" } else { "--system" };
    let mut steps = Vec::new();
    for unit in &record.units {
        let systemctl = |verb: &str| Cmd::new("systemctl").args([scope, verb, "--", unit.name.as_str()]);
        steps.push(match &unit.path {
            Some(path) => {
                let content = Content::open(unit.text.clone());
                Step::Put { path: path.clone(), content, mode: 0o644, owner: None }
            }
            None => Step::Run { cmd: systemctl("unmask"), undo: Some(systemctl("mask")) },
        });
    }
    steps.push(Step::ReloadUnits { scope: record.scope });
    steps
}

/// Removes what no rollback needs. What is not proven to be old stays.
fn prune(seen: &Seen, layout: &Layout) -> Vec<Step> {
    let old = |(name, found): (&ServiceName, &SeenService)| {
        let current = found.current.clone()?;
        // Without a release to go back to it is not known what is old.
        let before = proven_before(found)?.clone();
        let newest = found.proven.last().cloned();
        let keep: BTreeSet<_> = [current, before].into_iter().chain(newest).collect();
        (!found.releases.is_subset(&keep)).then(|| Step::Prune {
            folder: layout.releases(name),
            keep: keep.into_iter().collect(),
            older_than: Duration::ZERO,
        })
    };
    seen.services.iter().filter_map(old).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::host::{FORMAT, Hooks, SeenUnit, Supervisor};
    use crate::model::ReleaseId;
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
        let text = "version: 1\nhosts: { box: { connection: local } }\nservices:\n  \
                    db: { type: native, host: box, run: [a] }\n  \
                    api: { type: native, host: box, run: [a], needs: [db] }\n";
        let registry = load_text(text, Format::Yaml, Path::new("registry.yml"), None).expect("valid");
        let name = |name: &str| ServiceName::try_from(name).expect("a name");
        let host = host_name();
        let mut seen = Seen::default();
        for (service, state) in states {
            let found = SeenService { record: Some(Ok(record(service))), ..SeenService::default() };
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
            mends: &BTreeMap::new(),
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
