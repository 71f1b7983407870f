//! Walks a plan: wave by wave, service by service in its own batches, host by host; each proven before the next begins.
//! What fails goes back, and what goes back is proven too.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::check;
use crate::check::gate::{self, Red, Told};
use crate::deploy::drive::Drive;
use crate::deploy::far::subject;
use crate::deploy::ground::Ground;
use crate::deploy::groups::groups;
use crate::deploy::rescue::Rescue;
use crate::deploy::state::Phase;
use crate::host::run::Order;
use crate::host::{Facts, Record, SeenUnit};
use crate::model::{Check, Event, HostName, Outcome, ReleaseId, ServiceName};
use crate::plan::{Action, Change, Plan, Turn};
use crate::registry::Batch;

/// How long the undo of a stage may take to be told, beyond the time that its steps have.
const UNDO: Duration = Duration::from_secs(120);

/// How a walk differs from the registry's policy.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pace {
    pub batch: Option<Batch>,
    pub max_fail: Option<usize>,
    /// Hosts already changed stay as they are when another fails.
    pub keep: bool,
}

/// What says whether a remedy helped.
#[derive(Clone)]
pub struct SecondLook {
    /// Looks at a service on a host, and says what is still wrong if something is.
    pub look: Arc<dyn Fn(ServiceName, HostName) -> Looking + Send + Sync>,
    /// How long it may take.
    pub within: Duration,
}

/// A second look that is being taken.
pub type Looking = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

/// A plan on its way.
pub(super) struct Walk {
    pub ground: Arc<Ground>,
    pub plan: Arc<Plan>,
    pub pace: Pace,
    pub second_look: Option<SecondLook>,
    pub rescue: Option<Rescue>,
    pub facts: BTreeMap<HostName, Facts>,
    /// The units of each host, as they were when the plan was made.
    pub units: BTreeMap<HostName, BTreeMap<String, SeenUnit>>,
    /// The open runs, for the hosts where something changes.
    pub drives: BTreeMap<HostName, Drive>,
    /// Which part of its host's run a change is.
    pub stages: BTreeMap<(ServiceName, HostName), Part>,
}

/// A stage of a host's run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    /// Its number, from 1.
    pub stage: usize,
    /// How long its steps may take at most, done or undone.
    pub longest: Duration,
}

/// How a service ended on a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    pub service: ServiceName,
    pub host: HostName,
    pub outcome: Outcome,
    pub release: Option<ReleaseId>,
}

/// Why a change did not come to be proven.
enum Failed {
    /// A step failed, the gate was red, or the user stopped the run; the change must be or was undone.
    Here,
    /// The host was lost. What it does now, it does by itself.
    Lost,
}

impl Walk {
    /// Goes through all waves. Every change of the plan ends in exactly one `Ended`.
    pub(super) async fn go(self: Arc<Self>) -> Vec<Ended> {
        let mut ended = Vec::new();
        let all = self.plan.by_service();
        for wave in &self.plan.waves {
            let failed = ended.iter().any(|one: &Ended| one.outcome.is_failure());
            let mut services = JoinSet::new();
            for service in wave {
                let changes = all.get(service).into_iter().flatten();
                let changes: Vec<Change> = changes.map(|change| (*change).clone()).collect();
                if failed || self.ground.stop.is_cancelled() {
                    ended.extend(changes.iter().map(|change| self.untouched(change)));
                } else {
                    services.spawn(self.clone().service(changes));
                }
            }
            while let Some(done) = services.join_next().await {
                match done {
                    Ok(done) => ended.extend(done),
                    Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
                }
            }
        }
        for one in &ended {
            let Ended { service, host, outcome, release } = one.clone();
            self.ground.tell(Event::Ended { host, service, outcome, release });
        }
        ended
    }

    /// One service over its hosts.
    async fn service(self: Arc<Self>, changes: Vec<Change>) -> Vec<Ended> {
        let policy = changes.first().and_then(|change| self.ground.registry.services.get(&change.service));
        let policy = policy.map(|service| service.deploy.clone());
        let (still, moving): (Vec<_>, Vec<_>) =
            changes.into_iter().partition(|change| change.action == Action::Nothing);
        let mut ended: Vec<Ended> = still.iter().map(|change| done(change, Outcome::NothingToDo)).collect();
        let mut kept: Vec<(Change, Outcome)> = Vec::new();
        let most = self.pace.max_fail.unwrap_or(policy.as_ref().map_or(0, |policy| policy.max_fail));
        let (mut failures, mut too_many) = (0, false);
        let mut groups = match &policy {
            Some(policy) => groups(moving, policy, self.pace.batch),
            // What only its hosts know is stopped or removed everywhere at once.
            None => vec![moving],
        }
        .into_iter();
        for group in groups.by_ref() {
            // Without what runs once, the release is of no use to any other host.
            let most = if group.iter().any(|change| change.once) { 0 } else { most };
            let mut hosts = JoinSet::new();
            for change in group {
                let walk = self.clone();
                hosts.spawn(async move {
                    let outcome = walk.host(&change).await;
                    (change, outcome)
                });
            }
            while let Some(end) = hosts.join_next().await {
                match end {
                    Ok((change, Ok(outcome))) => {
                        failures += usize::from(outcome.is_failure());
                        kept.push((change, outcome));
                    }
                    Ok((change, Err(failed))) => {
                        failures += 1;
                        let why =
                            if self.ground.stop.is_cancelled() { "the run was stopped" } else { "it was not proven" };
                        ended.push(self.back(&change, failed, why).await);
                    }
                    Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
                }
            }
            too_many = failures > most;
            if too_many || self.ground.stop.is_cancelled() {
                break;
            }
        }
        ended.extend(groups.flatten().map(|change| self.untouched(&change)));
        if too_many && !self.pace.keep {
            let mut backs = JoinSet::new();
            for (change, _) in kept.drain(..) {
                let walk = self.clone();
                backs.spawn(async move { walk.back(&change, Failed::Here, "another host failed").await });
            }
            ended.extend(backs.join_all().await);
        }
        ended.extend(kept.iter().map(|(change, outcome)| done(change, *outcome)));
        ended
    }

    /// One change on one host, up to proven and kept.
    async fn host(&self, change: &Change) -> Result<Outcome, Failed> {
        let began = Instant::now();
        let (Some(drive), Some(Part { stage, .. })) = (self.drives.get(&change.host), self.part(change)) else {
            return Err(Failed::Lost);
        };
        drive.order(Order::Go(stage));
        let done = |phase| !matches!(phase, Phase::Waiting | Phase::Working);
        let state = tokio::select! {
            state = drive.until(|state| state.over() || done(state.phase(stage))) => state,
            () = self.ground.stop.cancelled() => {
                // The step in hand is finished; then the host takes back what is not proven, and ends its run.
                drive.order(Order::Stop);
                return Err(Failed::Here);
            }
        };
        match state.phase(stage) {
            Phase::Switched => {}
            Phase::Undoing | Phase::Undone | Phase::UndoFailed => return Err(Failed::Here),
            Phase::Waiting | Phase::Working | Phase::Kept => return Err(self.lost(change, state.lost.as_deref())),
        }
        if let Some(turn) = change.action.turn() {
            let outcome = match self.took_effect(change, turn).await {
                Ok(outcome) => outcome,
                Err(red) => {
                    self.failed(change, &change.record, red).await;
                    return Err(Failed::Here);
                }
            };
            self.keep(change, drive, stage).await?;
            return Ok(outcome);
        }
        let soak = self.ground.registry.services.get(&change.service).map(|service| service.deploy.soak);
        let mut soak = soak.unwrap_or_default();
        if change.action == Action::Refresh {
            // Its process goes on as it was; only what is asked of it is new. With nothing new, it is the release that is proven.
            if change.before_record.as_ref() != Some(&change.record) {
                soak = Duration::ZERO;
            }
        } else {
            let release = Some(change.record.release.clone());
            self.tell(change, |host, service| Event::Switched { host, service, release });
        }
        let proven = tokio::select! {
            proven = self.proven(change, soak) => proven,
            () = self.ground.stop.cancelled() => return Err(Failed::Here),
            state = drive.until(|state| state.over() || state.phase(stage) != Phase::Switched) => {
                return Err(self.lost(change, state.lost.as_deref()));
            }
        };
        let proven = match proven {
            // A gate proves the release; whether the problem is gone is another question.
            Ok(()) if self.second_look.is_some() => self.helped(change).await.map(drop),
            proven => proven,
        };
        if let Err(red) = proven {
            self.failed(change, &change.record, red).await;
            return Err(Failed::Here);
        }
        self.keep(change, drive, stage).await?;
        self.tell(change, |host, service| Event::Proven { host, service, took: began.elapsed() });
        Ok(Outcome::Committed)
    }

    async fn keep(&self, change: &Change, drive: &Drive, stage: usize) -> Result<(), Failed> {
        drive.order(Order::Keep(stage));
        let state = drive.until(|state| state.over() || state.phase(stage) != Phase::Switched).await;
        if state.phase(stage) == Phase::Kept { Ok(()) } else { Err(self.lost(change, state.lost.as_deref())) }
    }

    /// Brings a change back, for this reason, and proves what was there before.
    async fn back(&self, change: &Change, failed: Failed, why: &'static str) -> Ended {
        let outcome = match (failed, self.drives.get(&change.host), self.part(change)) {
            (Failed::Here, Some(drive), Some(Part { stage, longest })) => {
                drive.undo(stage, why);
                let over = |phase| matches!(phase, Phase::Undone | Phase::UndoFailed | Phase::Waiting);
                let wait = drive.until(|state| state.over() || over(state.phase(stage)));
                match tokio::time::timeout(UNDO + longest, wait).await {
                    Ok(state) if matches!(state.phase(stage), Phase::Undone | Phase::Waiting) => self.old(change).await,
                    _ => Outcome::RollbackFailed,
                }
            }
            _ => Outcome::RollbackFailed,
        };
        let release = if outcome == Outcome::RolledBack { change.before.clone() } else { None };
        Ended { service: change.service.clone(), host: change.host.clone(), outcome, release }
    }

    /// Whether the release before is healthy again. Where there was none, there is nothing to prove.
    async fn old(&self, change: &Change) -> Outcome {
        if self.second_look.is_some() {
            // It was not healthy before the remedy, and is as it was.
            return Outcome::Unhealthy;
        }
        let Some(record) = &change.before_record else {
            // What did not run before and could not be made to run is as it was, which is not healthy. A release whose
            // record cannot be read cannot be proven.
            return match &change.before {
                _ if change.action.turn().is_some() => Outcome::Unhealthy,
                None => Outcome::RolledBack,
                Some(_) => Outcome::RollbackFailed,
            };
        };
        match self.prove(change, record, Duration::ZERO).await {
            Ok(()) => Outcome::RolledBack,
            Err(red) => {
                self.failed(change, record, red).await;
                Outcome::RollbackFailed
            }
        }
    }

    /// Asks the gate of a release until it is green to the end of the soak, or red.
    pub(super) async fn prove(&self, change: &Change, record: &Record, soak: Duration) -> Result<(), Red> {
        let (Some(drive), Some(facts)) = (self.drives.get(&change.host), self.facts.get(&change.host)) else {
            return Ok(());
        };
        let subject = subject(record, facts);
        let ask = |check: &Check| {
            // A link that was lost meanwhile is no reason to call a release bad: the next question goes by the next one.
            let (check, subject, far) = (check.clone(), subject.clone(), drive.far());
            async move { check::ask(&check, &subject, |need| far.fetch(need)).await }
        };
        gate::watch(&record.checks, soak, ask, |event| self.heard(change, event)).await
    }
}

/// The rest of a walk: small things that the road above uses.
impl Walk {
    fn part(&self, change: &Change) -> Option<Part> {
        self.stages.get(&(change.service.clone(), change.host.clone())).copied()
    }

    pub(super) fn tell(&self, change: &Change, event: impl FnOnce(HostName, ServiceName) -> Event) {
        self.ground.tell(event(change.host.clone(), change.service.clone()));
    }

    fn untouched(&self, change: &Change) -> Ended {
        let outcome = if change.action == Action::Nothing { Outcome::NothingToDo } else { Outcome::NotTouched };
        done(change, outcome)
    }

    /// The host cannot be followed, or has gone its own way.
    fn lost(&self, change: &Change, why: Option<&str>) -> Failed {
        if let Some(why) = why {
            let error = format!("the host was lost: {why}");
            let within = "the host settles by itself; `portoser attach` follows it when it can be reached again";
            self.tell(change, |host, service| Event::Failed {
                host,
                service: Some(service),
                error,
                hint: Some(within.into()),
                evidence: Vec::new(),
            });
            return Failed::Lost;
        }
        Failed::Here
    }

    fn heard(&self, change: &Change, told: Told<'_>) {
        self.tell(change, |host, service| match told {
            Told::Checked { check, verdict } => {
                let (good, says) = (verdict.is_good(), verdict.says().to_owned());
                Event::Checked { host, service, check: check::title(check), good, says }
            }
            Told::Soaking { soak } => Event::Soaking { host, service, until: soak },
        });
    }
}

fn done(change: &Change, outcome: Outcome) -> Ended {
    let release = match outcome {
        Outcome::Committed if change.action == Action::Turn(Turn::Remove) => None,
        Outcome::Committed | Outcome::NothingToDo | Outcome::Unhealthy => Some(change.record.release.clone()),
        Outcome::NotTouched | Outcome::RolledBack | Outcome::RollbackFailed => change.before.clone(),
    };
    Ended { service: change.service.clone(), host: change.host.clone(), outcome, release }
}
