//! Opens a run on every host where something changes, takes all locks before anything is touched, and walks the plan.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::check::gate;
use crate::deploy::drive::{Drive, END, Start};
use crate::deploy::fault::Fault;
use crate::deploy::ground::{Ground, unless_stopped};
use crate::deploy::image::Shelf;
use crate::deploy::login;
use crate::deploy::prepare::{Prepared, by_host};
use crate::deploy::push::push;
use crate::deploy::quiet::{abandon, longest_stop};
use crate::deploy::rescue::{RESCUE, Rescue};
use crate::deploy::state::{HostEnd, Lock};
use crate::deploy::walk::{Ended, Pace, Part, SecondLook, Walk};
use crate::host::Layout;
use crate::host::run::{Compression, HostRun, Order, Stage, Treatment, Tree, WORD_WITHIN, longest};
use crate::model::{Event, HostName, OnLostContact, Outcome, RunId, ServiceName};
use crate::plan::{Change, Plan, Turn};

/// How a plan is carried out.
#[derive(Clone)]
pub struct Terms {
    pub run: RunId,
    pub pace: Pace,
    /// What says whether a remedy helped.
    pub second_look: Option<SecondLook>,
    /// What the run is a remedy for.
    pub treatment: Option<Treatment>,
    /// What heals that which keeps a release from being proven.
    pub rescue: Option<Rescue>,
}

/// How long the steps of one stage may take before the others stop waiting for it. Steps have their own deadlines.
const STAGE: Duration = Duration::from_secs(600);

/// How long a run goes on without a sign of life from us, for a service that the registry no longer knows.
const CONTACT: Duration = Duration::from_secs(30);

/// How many plans in a row may turn out to be stale.
const TIMES: usize = 40;

/// The shortest pause after locks were given back: those who wait in a queue look several times in it.
const PAUSE: Duration = Duration::from_millis(400);

/// Carries a plan out, and gives back the one that was carried out: where somebody else was at work meanwhile, it is another one. Every
/// change of the plan ends in exactly one `Ended`; a `Fault` means that nothing was touched.
pub async fn deploy(ground: &Arc<Ground>, prepared: Prepared, terms: &Terms) -> Result<(Vec<Ended>, Arc<Plan>), Fault> {
    deploy_if(ground, prepared, terms, async |_| true).await
}

/// As `deploy`; whether it is still wanted is asked when all locks are ours, as nobody else changes anything from then on. It is told
/// whether somebody else had one of them when it was asked for.
pub(crate) async fn deploy_if(
    ground: &Arc<Ground>,
    mut prepared: Prepared,
    terms: &Terms,
    wanted: impl AsyncFnOnce(bool) -> bool,
) -> Result<(Vec<Ended>, Arc<Plan>), Fault> {
    let until = Instant::now() + ground.wait_lock;
    let (mut ticket, shelf) = (None, Arc::new(Shelf::default()));
    for _ in 0..TIMES {
        if let Err(fault) = push(ground, &mut prepared, &shelf).await {
            ground.part(&prepared.survey.far).await;
            return Err(fault);
        }
        let walk = match open(ground, &prepared, terms, ticket.take(), until).await? {
            Opened::All(walk) => Arc::new(walk),
            Opened::Stale(_) if terms.second_look.is_some() => {
                // The remedy was chosen for what was seen, and that is not there any more.
                let host = prepared.hosts.iter().next().cloned();
                ground.part(&prepared.survey.far).await;
                return Err(host.map_or(Fault::Interrupted, |host| Fault::Stale { host, times: 1 }));
            }
            Opened::Stale(place) => {
                ticket = place;
                prepared = prepared.again(ground).await?;
                continue;
            }
        };
        let queued = walk.drives.values().any(|drive| drive.now().queued);
        if !wanted(queued).await {
            abandon(&walk.drives.values().cloned().collect::<Vec<_>>()).await;
            ground.part(&prepared.survey.far).await;
            return Err(Fault::Interrupted);
        }
        stayed(ground, &prepared);
        let ended = walk.clone().go().await;
        close(&walk).await;
        ground.part(&prepared.survey.far).await;
        return Ok((ended, prepared.plan));
    }
    ground.part(&prepared.survey.far).await;
    let host = prepared.hosts.iter().next().cloned();
    Err(host.map_or(Fault::Interrupted, |host| Fault::Stale { host, times: TIMES }))
}

/// Tells of what has no way back that it ends as it was.
fn stayed(ground: &Ground, prepared: &Prepared) {
    for (service, host, _) in &prepared.plan.left {
        let there = prepared.survey.seen.get(host).and_then(|seen| seen.services.get(service));
        let release = there.and_then(|there| there.current.clone());
        let (service, host, outcome) = (service.clone(), host.clone(), Outcome::NotTouched);
        ground.tell(Event::Ended { host, service, outcome, release });
    }
}

enum Opened {
    All(Walk),
    /// Somebody else was on a host since the look; with the place in that host's queue.
    Stale(Option<String>),
}

async fn open(
    ground: &Arc<Ground>,
    prepared: &Prepared,
    terms: &Terms,
    ticket: Option<String>,
    until: Instant,
) -> Result<Opened, Fault> {
    loop {
        let (drives, stages) = begin(ground, prepared, terms, ticket.clone(), until)?;
        match locks(ground, &drives).await {
            Locks::Ours => {
                let seen = &prepared.survey.seen;
                let facts = seen.iter().map(|(host, seen)| (host.clone(), seen.facts.clone()));
                let units = seen.iter().map(|(host, seen)| (host.clone(), seen.units.clone()));
                return Ok(Opened::All(Walk {
                    ground: ground.clone(),
                    plan: prepared.plan.clone(),
                    pace: terms.pace,
                    second_look: terms.second_look.clone(),
                    rescue: terms.rescue.clone(),
                    facts: facts.collect(),
                    units: units.collect(),
                    drives,
                    stages,
                }));
            }
            Locks::Stale => {
                let ticket = drives.values().find_map(|drive| drive.now().ticket).or(ticket);
                abandon(&drives.into_values().collect::<Vec<_>>()).await;
                return Ok(Opened::Stale(ticket));
            }
            Locks::Yield => {
                abandon(&drives.into_values().collect::<Vec<_>>()).await;
                // An odd pause keeps two young runs from meeting again and again.
                let odd = u32::from(terms.run.as_str().bytes().next_back().unwrap_or_default() % 8);
                tokio::time::sleep(PAUSE + PAUSE / 8 * odd).await;
            }
            Locks::Fault(fault) => {
                abandon(&drives.into_values().collect::<Vec<_>>()).await;
                ground.part(&prepared.survey.far).await;
                return Err(fault);
            }
        }
    }
}

type Drives = BTreeMap<HostName, Drive>;
type Stages = BTreeMap<(ServiceName, HostName), Part>;

fn begin(
    ground: &Arc<Ground>,
    prepared: &Prepared,
    terms: &Terms,
    ticket: Option<String>,
    until: Instant,
) -> Result<(Drives, Stages), Fault> {
    let (mut drives, mut stages) = (BTreeMap::new(), BTreeMap::new());
    let whole = whole(ground, &prepared.plan, terms);
    // A journal that cannot be read has been told of by then, and stops nothing.
    let asked = ground.journal.run(&terms.run).ok().flatten().and_then(|run| run.asked());
    let mut logins = login::of_plan(&ground.registry, prepared)?;
    for (host, changes) in by_host(&prepared.plan) {
        let (Some(far), Some(seen)) = (prepared.survey.far.get(&host), prepared.survey.seen.get(&host)) else {
            continue;
        };
        let run = HostRun {
            id: terms.run.clone(),
            base: Layout::new(&seen.facts.base).base().to_owned(),
            who: ground.who.clone(),
            wait_lock: until.saturating_duration_since(Instant::now()),
            ticket: ticket.clone(),
            within: ground.within(&host).cloned(),
            contact: changes.iter().map(|change| lost_after(ground, change)).max(),
            logins: logins.remove(&host).unwrap_or_default(),
            asked: asked.clone(),
            treatment: terms.treatment.clone(),
            stages: changes.iter().map(|change| stage(ground, change, terms, whole)).collect(),
        };
        for (index, stage) in run.stages.iter().enumerate() {
            let part = Part { stage: index + 1, longest: longest(stage) };
            stages.insert((stage.service.clone(), host.clone()), part);
        }
        let trees: Vec<Tree> = changes.iter().flat_map(|change| change.trees()).collect();
        let start = Start { run, trees, compression: Compression::best(&seen.facts.tools) };
        drives.insert(host, Drive::start(ground.clone(), far.clone(), start));
    }
    Ok((drives, stages))
}

/// The longest that the whole plan may take; no stage waits longer for its turn.
fn whole(ground: &Ground, plan: &Plan, terms: &Terms) -> Duration {
    // A stage stops and starts, and may have to do so again to go back.
    let words = |change: &Change| (word_within(ground, change) - WORD_WITHIN) * 4;
    let one = |change: &Change| STAGE + words(change) + verdict_within(ground, change, terms);
    plan.changes.iter().map(one).sum()
}

fn verdict_within(ground: &Ground, change: &Change, terms: &Terms) -> Duration {
    let gate = gate::budget(&change.record.checks, soak(ground, change));
    // What is healed within is followed by the gate once more; of a remedy, the second look is the gate.
    let healed = if terms.rescue.is_some() { RESCUE + gate } else { Duration::ZERO };
    let second = terms.second_look.as_ref().map_or(Duration::ZERO, |look| look.within);
    gate + healed + second + lost_after(ground, change)
}

/// How long one word about the service may take on its host: what stops may be the release before or the new one, and `compose up` may
/// wait for a part to become healthy.
fn word_within(ground: &Ground, change: &Change) -> Duration {
    let records = change.before_record.iter().chain([&change.record]);
    let stop = longest_stop(ground.registry.services.get(&change.service), records);
    let start = change.record.checks.iter().map(|check| check.start_period).max();
    WORD_WITHIN + stop + start.unwrap_or_default()
}

fn soak(ground: &Ground, change: &Change) -> Duration {
    ground.registry.services.get(&change.service).map(|service| service.deploy.soak).unwrap_or_default()
}

/// The services of one host share one run, and the most patient of them decides for it.
fn lost_after(ground: &Ground, change: &Change) -> Duration {
    ground.registry.services.get(&change.service).map_or(CONTACT, |service| service.deploy.lost_after)
}

fn stage(ground: &Ground, change: &Change, terms: &Terms, whole: Duration) -> Stage {
    let policy = ground.registry.services.get(&change.service).map(|service| service.deploy.on_lost_contact);
    let turn = change.action.turn().is_some();
    let lost = match change.action.turn() {
        None => policy.unwrap_or(OnLostContact::Undo),
        // Nobody is left to say whether it helped.
        Some(Turn::Mend) => OnLostContact::Undo,
        // What the user stopped or started on purpose stays so, whoever is lost; and it proves no release.
        Some(_) => OnLostContact::Keep,
    };
    Stage {
        service: change.service.clone(),
        expect: change.before.clone(),
        release: (!turn).then(|| change.record.release.clone()),
        steps: change.steps.clone(),
        after: change.after.clone(),
        verdict_within: verdict_within(ground, change, terms),
        soak: soak(ground, change),
        word_within: word_within(ground, change),
        go_within: whole,
        on_lost_contact: lost,
    }
}

enum Locks {
    Ours,
    Stale,
    /// An older run holds a lock while we hold another: it goes first, or both would wait for ever.
    Yield,
    Fault(Fault),
}

/// Waits until every host's lock is ours, or until it is clear that they will not be.
async fn locks(ground: &Ground, drives: &Drives) -> Locks {
    let mut waits = JoinSet::new();
    for (host, drive) in drives {
        let (host, drive) = (host.clone(), drive.clone());
        waits.spawn(async move {
            let state = drive.until(|state| state.over() || state.lock != Lock::NotYet).await;
            (host, state)
        });
    }
    let mut ours = 0;
    let mut waiting = BTreeMap::new();
    loop {
        let (host, state) = match unless_stopped(&ground.stop, waits.join_next()).await {
            None => return Locks::Fault(Fault::Interrupted),
            Some(None) => return Locks::Ours,
            Some(Some(Ok(found))) => found,
            Some(Some(Err(panicked))) => std::panic::resume_unwind(panicked.into_panic()),
        };
        match (&state.end, &state.lost, state.lock) {
            (Some(HostEnd::Stale), _, _) => return Locks::Stale,
            (Some(HostEnd::LockTimeout), _, _) => {
                let holder = waiting.remove(&host).unwrap_or_else(|| "another run holds it".into());
                return Locks::Fault(Fault::Locked { host, holder, waited: ground.wait_lock });
            }
            (Some(HostEnd::Refused(why)), _, _) => {
                return Locks::Fault(Fault::Begin { host, why: why.clone() });
            }
            (Some(end), _, _) => {
                return Locks::Fault(Fault::Begin { host, why: end.told().to_owned() });
            }
            (_, Some(lost), _) => {
                return Locks::Fault(Fault::Gone { host, why: lost.clone() });
            }
            (_, _, Lock::Ours) => ours += 1,
            (_, _, Lock::NotYet) => {}
            (_, _, Lock::Waiting { holder, run }) => {
                let drive = drives[&host].clone();
                let older = run.is_some_and(|run| run < *drive.run());
                waiting.insert(host.clone(), holder);
                if older && drives.len() > 1 && (ours > 0 || drives.len() > waiting.len()) {
                    return Locks::Yield;
                }
                waits.spawn(async move {
                    let state = drive.until(|state| state.over() || state.lock == Lock::Ours).await;
                    (host, state)
                });
            }
        }
    }
}

/// Tells every host that all is decided, and waits for their ends.
async fn close(walk: &Walk) {
    for drive in walk.drives.values() {
        drive.order(Order::Finish);
    }
    for (host, drive) in &walk.drives {
        // What ran beside the new release until it was proven stops only now.
        let parts = walk.stages.iter().filter(|((_, on), _)| on == host);
        let longest: Duration = parts.map(|(_, part)| part.longest).sum();
        let state = drive.finished_within(END + longest).await;
        if let Some(why) = state.lost {
            let text = format!("its run could not be followed to the end: {why}");
            walk.ground.tell(Event::Note { host: Some(host.clone()), text });
        }
    }
}
