//! The planner.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZero;

use crate::host::push::Image;
use crate::host::run::TreeKind;
use crate::host::{Fetch, Layout, OURS, Record, Seen, SeenService, Supervisor, room_for};
use crate::model::{HostName, ReleaseId, ServiceName, Step, size};
use crate::plan::change::{Action, Change, Plan};
use crate::plan::diff::{differences, without_its_name};
use crate::plan::engine::{Engine, Refused, Subject, Wanted};
use crate::plan::once;
use crate::plan::projects;
use crate::plan::render::Sources;
use crate::plan::seal::{mark, seal};
use crate::plan::texts::changed;
use crate::registry::{Registry, Service};

/// What the checks said when the host was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    Good,
    /// A check was bad; it says this.
    Bad(String),
    /// No check could be asked.
    Unseen(String),
}

/// All that a plan depends on.
pub struct Inputs<'a> {
    pub registry: &'a Registry,
    /// The services to plan, in waves of the graph of needs.
    pub waves: Vec<Vec<ServiceName>>,
    /// The hosts to plan for; a service's other hosts are left alone.
    pub hosts: BTreeSet<HostName>,
    pub seen: &'a BTreeMap<HostName, Seen>,
    pub health: &'a BTreeMap<(ServiceName, HostName), Health>,
    pub sources: &'a Sources,
    pub engines: &'a [&'a dyn Engine],
    /// Whether files that were edited on the host may be written over.
    pub overwrite: bool,
}

/// A refusal, and where.
pub type RefusedAt = (ServiceName, HostName, Refused);

/// So many services are planned by one thread before a second one is worth its start.
const SHARE: usize = 100;

/// Makes the plan, or says for every service and host why it cannot be made. Many services are planned on all processors, and
/// stand in the same order as if one had planned them.
pub fn plan(inputs: &Inputs<'_>) -> Result<Plan, Vec<RefusedAt>> {
    let names: Vec<&ServiceName> = inputs.waves.iter().flatten().collect();
    let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
    let share = names.len().div_ceil(processors).max(SHARE);
    let mut parts = Vec::new();
    std::thread::scope(|scope| {
        let mut shares = names.chunks(share);
        let mine = shares.next();
        let others: Vec<_> = shares.map(|share| scope.spawn(|| part(inputs, share))).collect();
        parts.extend(mine.map(|share| part(inputs, share)));
        parts.extend(others.into_iter().map(|other| match other.join() {
            Ok(part) => part,
            Err(panicked) => std::panic::resume_unwind(panicked),
        }));
    });
    let (mut changes, mut refused) = (Vec::with_capacity(names.len()), Vec::new());
    for part in parts {
        changes.extend(part.0);
        refused.extend(part.1);
    }
    refused.extend(room(inputs.seen, &changes));
    refused.extend(projects::shared(inputs.seen, &changes));
    if refused.is_empty() { Ok(Plan { waves: inputs.waves.clone(), changes, ..Plan::default() }) } else { Err(refused) }
}

fn part(inputs: &Inputs<'_>, names: &[&ServiceName]) -> (Vec<Change>, Vec<RefusedAt>) {
    let (mut changes, mut refused) = (Vec::with_capacity(names.len()), Vec::new());
    for service in names.iter().filter_map(|name| inputs.registry.services.get(*name)) {
        let began = changes.len();
        for host in service.hosts.iter().filter(|host| inputs.hosts.contains(*host)) {
            let Some(seen) = inputs.seen.get(host) else { continue };
            match change(inputs, service, (host, seen), false) {
                Ok(change) => changes.push(change),
                Err(why) => refused.push((service.name.clone(), host.clone(), why)),
            }
        }
        // Which host it is depends on what the others are to do.
        let first = once::first(inputs.seen, &changes[began..]).and_then(|number| changes.get_mut(began + number));
        let Some(first) = first else { continue };
        let Some(seen) = inputs.seen.get(&first.host) else { continue };
        match change(inputs, service, (&first.host, seen), true) {
            Ok(change) => *first = change,
            Err(why) => refused.push((service.name.clone(), first.host.clone(), why)),
        }
    }
    (changes, refused)
}

fn change(
    inputs: &Inputs<'_>,
    service: &Service,
    (host, seen): (&HostName, &Seen),
    first: bool,
) -> Result<Change, Refused> {
    let engine = inputs.engines.iter().find(|engine| engine.serves(&service.kind));
    let engine =
        *engine.ok_or_else(|| Refused::new("no engine deploys this type of service", "see `portoser schema`"))?;
    let far = inputs.registry.hosts.get(host);
    let far = far.ok_or_else(|| Refused::new(format!("no host named `{host}`"), "see `portoser validate`"))?;
    if let Some(blind) = engine.blind(seen) {
        return Err(blind);
    }
    let mut wanted =
        engine.wanted(&Subject { service, host: far, facts: &seen.facts, sources: inputs.sources, first })?;
    let nothing = SeenService::default();
    let found = seen.services.get(&service.name).unwrap_or(&nothing);
    once::keep(&mut wanted.record, found);
    in_the_way(found, &wanted.record, inputs.overwrite)?;
    let health = inputs.health.get(&(service.name.clone(), host.clone()));
    let (action, mut reasons) = judge(engine, &wanted.record, found, seen, health);
    let layout = Layout::new(&seen.facts.base);
    let mut steps = steps(engine, action, &wanted, found, &layout);
    let send = match action {
        Action::Nothing | Action::Refresh | Action::Restart | Action::Turn(_) => false,
        Action::Repair => true,
        Action::Deploy => !found.releases.contains(&wanted.record.release),
    };
    let copied = if send { copied(service, &layout, found, &wanted, &mut steps) } else { BTreeSet::new() };
    let before = found.readable().filter(|_| action == Action::Deploy && !found.texts.is_empty());
    let texts = before.map(|before| changed(before, found, &wanted, inputs.sources)).unwrap_or_default();
    without_its_name(&mut reasons, &texts, before, &found.texts);
    let mut after = Vec::new();
    if action != Action::Nothing {
        after.extend(engine.alone(&wanted.record, &layout));
        let left = found.current.as_ref().filter(|current| **current != wanted.record.release);
        after.extend(left.map(|left| Step::Unnamed { folder: layout.release(&service.name, left) }));
        after.extend(prune(service, &layout, found, &wanted.record.release));
        after.extend(engine.after(&wanted.record, &layout));
    }
    Ok(Change {
        service: service.name.clone(),
        host: host.clone(),
        action,
        reasons,
        texts,
        edited: found.edits(),
        before: found.current.clone(),
        before_record: found.readable().cloned(),
        once: once::runs(&wanted.record, found, action),
        record: wanted.record,
        files: send.then_some(wanted.files),
        copied,
        besides: wanted.besides.filter(|tree| unpacks(&steps, &tree.release)),
        images: wanted.images.into_iter().filter(|image| loads(&steps, image)).collect(),
        fetches: fetches(seen, &steps, send),
        steps,
        after,
    })
}

fn loads(steps: &[Step], image: &Image) -> bool {
    steps.iter().any(|step| matches!(step, Step::Load { image: id, .. } if *id == image.id))
}

/// The images that these steps fetch, as far as their registries told of them. What only compose knows is told of for a release that
/// is new.
fn fetches(seen: &Seen, steps: &[Step], new: bool) -> Vec<(String, Result<Fetch, String>)> {
    let told = |wanted: &str| {
        let is_it = |(reference, fetch): &(&String, &Result<Fetch, String>)| {
            *reference == wanted || fetch.as_ref().is_ok_and(|fetch| fetch.pinned(reference) == wanted)
        };
        let found = seen.facts.fetches.images.iter().find(is_it);
        found.map(|(reference, fetch)| (reference.clone(), fetch.clone()))
    };
    let one = |step: &Step| match step {
        Step::Image { reference, .. } => told(reference),
        Step::Part { part, .. } if new => {
            let why = "only compose knows it there: it is built, has a variable in its name, or stands in what the part extends";
            Some((format!("the image of {part}"), Err(why.to_owned())))
        }
        _ => None,
    };
    let mut all: Vec<_> = steps.iter().filter_map(one).collect();
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all.dedup_by(|a, b| a.0 == b.0);
    all
}

/// Refuses what a host cannot hold. Where it could not be seen what its engine has, nobody knows how much it lacks.
fn room(seen: &BTreeMap<HostName, Seen>, changes: &[Change]) -> Vec<RefusedAt> {
    let known = |change: &'_ Change| -> Vec<(String, Fetch)> {
        let all = change.fetches.iter().filter_map(|(reference, fetch)| Some((reference, fetch.as_ref().ok()?)));
        all.filter(|(_, fetch)| fetch.held.is_some()).map(|(name, fetch)| (name.clone(), fetch.clone())).collect()
    };
    let mut hosts: BTreeMap<&HostName, Vec<Fetch>> = BTreeMap::new();
    for change in changes {
        hosts.entry(&change.host).or_default().extend(known(change).into_iter().map(|(_, fetch)| fetch));
    }
    let wanted: BTreeMap<_, u64> = hosts.into_iter().map(|(host, all)| (host, room_for(&all))).collect();
    let short = |change: &Change| {
        let wanted = *wanted.get(&change.host)?;
        let room = seen.get(&change.host)?.facts.fetches.room.as_ref().filter(|room| room.bytes < wanted)?;
        let names: Vec<String> = known(change).into_iter().map(|(name, _)| format!("`{name}`")).collect();
        let why = Refused::new(
            format!(
                "there is no room to fetch {}: what is fetched there takes {} at least, and {} are free in {}",
                names.join(", "),
                size(wanted),
                size(room.bytes),
                room.mount
            ),
            "make room there: `docker image prune` takes images that no container or release needs",
        );
        (!names.is_empty()).then(|| (change.service.clone(), change.host.clone(), why.of_host()))
    };
    changes.iter().filter_map(short).collect()
}

/// Refuses what would take from the user what is there.
fn in_the_way(found: &SeenService, wanted: &Record, overwrite: bool) -> Result<(), Refused> {
    if let Some(other) = found.readable().filter(|record| contained(record) != contained(wanted)) {
        return Err(Refused::new(
            format!("it is on the host as a {} service", other.engine),
            format!("take that away first, with `portoser remove {}`; its shared folder stays", wanted.service),
        ));
    }
    same_project(found, wanted)?;
    if let Some(why) = found.hangs.as_ref().filter(|_| !overwrite) {
        return Err(Refused::new(
            format!("whether its files are as they were written could not be seen: {why}"),
            "see what is the matter on the host, or give --overwrite to lose edits that may be there",
        )
        .of_host());
    }
    if !found.drift.is_empty() && !overwrite {
        let lines: Vec<&str> = found.drift.iter().map(String::as_str).collect();
        return Err(edited(&lines, "bring the edits into the source and deploy, or give --overwrite to lose them"));
    }
    altered(found, overwrite)
}

/// The refusal of writing over files that are not as they were written. What is missing healing may bring back; an edit stays.
pub(super) fn edited(lines: &[&str], hint: &str) -> Refused {
    let why = Refused::new(format!("files were changed on the host since the last deploy: {}", lines.join("; ")), hint);
    if lines.iter().all(|line| line.ends_with(": was changed")) { why } else { why.of_host() }
}

/// Refuses to write over containers that somebody made anew or changed.
pub(super) fn altered(found: &SeenService, overwrite: bool) -> Result<(), Refused> {
    if !found.namesakes.is_empty() {
        return Err(Refused::new(
            format!("another container stands in the way: {}", found.namesakes.join("; ")),
            "somebody made it, as by `docker run`: rename it (`docker rename`) or take it away on the host, and deploy again",
        ));
    }
    if found.altered.is_empty() || overwrite {
        return Ok(());
    }
    Err(Refused::new(
        format!("containers were changed on the host since the last deploy: {}", found.altered.join("; ")),
        "bring the change into the source and deploy, or give --overwrite to lose it",
    ))
}

/// Refuses a release of another compose project than the one that is there: that one would go on to run, and nobody would know of it.
pub(super) fn same_project(found: &SeenService, wanted: &Record) -> Result<(), Refused> {
    let before = found.readable().and_then(Record::project);
    match (before, wanted.project()) {
        (Some(before), Some(after)) if before != after => Err(Refused::new(
            format!("it is on the host as the compose project `{before}`, and would be `{after}` now"),
            format!(
                "give it the name `{before}` again; or take it away with `portoser remove {}`, which leaves its volumes: those \
                 of `{after}` are other ones",
                wanted.service
            ),
        )),
        _ => Ok(()),
    }
}

/// The files that lie on the host as they are wanted, in the release that is there; the step that unpacks is told to copy them.
fn copied(
    service: &Service,
    layout: &Layout,
    found: &SeenService,
    wanted: &Wanted,
    steps: &mut [Step],
) -> BTreeSet<String> {
    let (Some(current), Some(before)) = (&found.current, found.readable().filter(|_| found.is_as_written())) else {
        return BTreeSet::new();
    };
    let same = wanted.files.iter().filter(|entry| matches!(entry.kind, TreeKind::File { .. }));
    let same = same.filter(|entry| mark(&entry.kind).as_ref() == before.files.get(&entry.path));
    // In a list of names tar gives a backslash a meaning.
    let same: BTreeSet<String> = same.map(|entry| entry.path.clone()).filter(|path| !path.contains('\\')).collect();
    for step in steps.iter_mut().filter(|_| !same.is_empty()) {
        if let Step::Unpack { release, from, .. } = step
            && *release == wanted.record.release
        {
            *from = Some(layout.release(&service.name, current));
        }
    }
    same
}

fn unpacks(steps: &[Step], tree: &ReleaseId) -> bool {
    steps.iter().any(|step| matches!(step, Step::Unpack { release, .. } if release == tree))
}

/// Whether it runs in containers, which no unit follows on, nor they on a unit.
fn contained(record: &Record) -> bool {
    record.supervisor == Supervisor::Compose
}

fn judge(
    engine: &dyn Engine,
    wanted: &Record,
    found: &SeenService,
    seen: &Seen,
    health: Option<&Health>,
) -> (Action, Vec<String>) {
    if found.current.as_ref() != Some(&wanted.release) {
        return (Action::Deploy, differences(found.readable(), wanted));
    }
    if !found.is_as_written() {
        return (Action::Repair, found.edits().into_iter().chain(found.hangs.clone()).collect());
    }
    if !engine.runs(wanted, seen) {
        return (Action::Restart, vec!["it does not run".into()]);
    }
    if let Some(Health::Bad(says)) = health {
        return (Action::Restart, vec![format!("it is not healthy: {says}")]);
    }
    // What was kept when nobody could look may be well all the same.
    let proven = found.proven.contains(&wanted.release) || health != Some(&Health::Good);
    match found.readable() {
        Some(record) if record == wanted && proven => (Action::Nothing, Vec::new()),
        Some(record) if record == wanted => (Action::Refresh, vec!["it was never proven here".into()]),
        Some(record) if record.checks != wanted.checks => (Action::Refresh, vec!["its checks".into()]),
        Some(record) if record.hooks != wanted.hooks => (Action::Refresh, vec!["its hooks".into()]),
        Some(record) if record.summary != wanted.summary => (Action::Refresh, differences(Some(record), wanted)),
        Some(_) => (Action::Refresh, vec!["its record".into()]),
        None => (Action::Refresh, vec!["its record cannot be read".into()]),
    }
}

fn steps(engine: &dyn Engine, action: Action, wanted: &Wanted, found: &SeenService, layout: &Layout) -> Vec<Step> {
    let record = &wanted.record;
    let folder = layout.release(&record.service, &record.release);
    match action {
        Action::Nothing | Action::Turn(_) => Vec::new(),
        Action::Refresh => {
            let tree = seal(record, &wanted.files);
            let ours = tree.entries.iter().filter(|entry| entry.path.split('/').next() == Some(OURS));
            let put =
                |(path, content, mode)| Step::Put { path: format!("{folder}/{path}"), content, mode, owner: None };
            let made = ours.filter_map(|entry| match &entry.kind {
                TreeKind::Made { content, mode } => Some((&entry.path, content.clone(), *mode)),
                _ => None,
            });
            made.map(put).collect()
        }
        Action::Restart | Action::Deploy => engine.activate(record, layout, found),
        Action::Repair => {
            let mut steps = vec![Step::Remove { path: folder }];
            steps.extend(engine.activate(record, layout, found));
            steps
        }
    }
}

/// Old releases go, but never the new one, the one before it, or the last ones that were proven.
fn prune(service: &Service, layout: &Layout, found: &SeenService, new: &ReleaseId) -> Vec<Step> {
    let mut keep = BTreeSet::from([new.clone()]);
    keep.extend(found.current.clone());
    for id in found.proven.iter().rev() {
        if keep.len() >= service.deploy.keep_releases + 2 {
            break;
        }
        keep.insert(id.clone());
    }
    if found.releases.is_subset(&keep) {
        return Vec::new();
    }
    let keep = keep.into_iter().collect();
    vec![Step::Prune { folder: layout.releases(&service.name), keep, older_than: service.deploy.keep_for }]
}
