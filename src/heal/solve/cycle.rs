//! The loop: look until the problem is sure, choose, ask whether it is allowed, apply, look again. One remedy at a time on a host,
//! as each changes what the next look sees; it ends when all is well or nothing more may be done.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::deploy::{Far, Fault, Ground, Selection};
use crate::heal::diagnose::reach;
use crate::heal::learn::Noted;
use crate::heal::left::aside;
use crate::heal::observe::came_too_late;
use crate::heal::playbook::{Library, Risk};
use crate::heal::{Diagnosis, Problem};
use crate::journal::{Journal, JournalError, Verdict};
use crate::model::{Event, HostName, ServiceName};
use crate::registry::{Heal, HealPolicy, Service};

/// The most remedies that one healing applies on a host, whatever the budgets say.
const MOST: usize = 20;

/// The most hosts that are healed at once.
const SEATS: usize = 32;

/// Why a remedy did not begin.
pub(super) const LATE: &str = "the time of this pass is over";
pub(super) const STOPPED: &str = "the run was stopped";

/// What the one who asks allows.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cure {
    /// The risk that a person takes now, whatever the policy says.
    pub risk: Option<Risk>,
    /// No more than this, whatever the registry allows.
    pub at_most: Option<HealPolicy>,
    /// Nothing is done; what would be done is told.
    pub only_look: bool,
    /// Whether this is a further pass of one run: it was told before what is not looked at.
    pub again: bool,
    /// When it has to be over: a host that was not seen by then is unseen, and no remedy begins any more.
    pub until: Option<Instant>,
}

impl Cure {
    /// Whether its time is over.
    pub(super) fn is_over(&self) -> bool {
        self.until.is_some_and(|until| Instant::now() >= until)
    }
}

/// A remedy that was applied.
#[derive(Clone, Debug)]
pub struct Treated {
    pub problem: Problem,
    /// The playbook's name, or `ladder: NAME`.
    pub remedy: String,
    /// What was done, in words.
    pub did: String,
    pub verdict: Verdict,
    pub took: Duration,
    /// What was still wrong.
    pub says: Option<String>,
    /// What was written down of it beside the registry.
    pub noted: Option<Noted>,
}

/// A root problem for which nothing was done, or nothing more.
#[derive(Clone, Debug)]
pub struct Refrained {
    pub problem: Problem,
    /// For each remedy that was thought of: its name, and why it was not applied.
    pub why: Vec<(String, String)>,
}

/// How it stood at the first look. Of many hosts the observations themselves are many, and are kept once.
#[derive(Clone, Copy, Debug)]
pub struct Before {
    /// As `Diagnosis::score`.
    pub score: u8,
    /// How many problems there were.
    pub problems: usize,
}

impl Before {
    /// What is kept of the first look.
    #[must_use]
    pub fn of(first: &Diagnosis) -> Self {
        Self { score: first.score(), problems: first.problems.len() }
    }
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Healing {
    pub before: Before,
    pub last: Diagnosis,
    pub treated: Vec<Treated>,
    pub refrained: Vec<Refrained>,
    /// The hosts that are out of service.
    pub aside: BTreeSet<HostName>,
    /// What was not looked at, as its healing is off: services and hosts.
    pub off: BTreeSet<String>,
    /// Whether it was stopped before it was over: what is left was not looked at as often as it has to be.
    pub cut: bool,
}

/// Why healing could not go on.
#[derive(Debug, thiserror::Error)]
pub enum HealFault {
    #[error(transparent)]
    Deploy(#[from] Fault),
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// One who heals: what it goes by.
pub(super) struct Healer {
    pub ground: Arc<Ground>,
    /// Where it is told what is done.
    pub told: Arc<Ground>,
    pub library: Arc<Library>,
    pub journal: Journal,
    pub cure: Cure,
    pub services: BTreeSet<ServiceName>,
    pub hosts: BTreeSet<HostName>,
    /// The services of which only what a deploy would stumble over is healed; nothing: whatever is wrong is.
    pub way_for: Option<BTreeSet<ServiceName>>,
    /// What is not looked at.
    pub off: BTreeSet<String>,
    /// The connections to hosts where something is wrong.
    pub kept: Mutex<BTreeMap<HostName, Far>>,
}

impl Healer {
    /// One who heals all that is wrong in the selection, and tells it where it is done.
    pub(super) fn new(
        ground: &Arc<Ground>,
        selection: &Selection,
        (library, journal): (&Arc<Library>, &Journal),
        cure: Cure,
    ) -> Result<Self, Fault> {
        let (services, hosts) = reach(&ground.registry, selection)?;
        Ok(Self {
            ground: ground.clone(),
            told: ground.clone(),
            library: library.clone(),
            journal: journal.clone(),
            cure,
            services,
            hosts,
            way_for: None,
            off: BTreeSet::new(),
            kept: Mutex::default(),
        })
    }
}

/// What was done in one round, and what was left.
#[derive(Default)]
pub(super) struct Round {
    pub treated: Vec<Treated>,
    pub refrained: Vec<Refrained>,
    /// What is not as it was seen, for the first time: it is judged by a new look.
    pub passed: Vec<Problem>,
}

/// Heals the selection, as far as registry and journal allow.
///
/// # Errors
/// When the selection means nothing, or what is done could not be written down.
pub async fn heal(
    ground: &Arc<Ground>,
    selection: &Selection,
    library: &Arc<Library>,
    journal: &Journal,
    cure: Cure,
) -> Result<Healing, HealFault> {
    let healer = Healer::new(ground, selection, (library, journal), cure)?;
    Ok(Arc::new(healer.willing()).rounds().await?)
}

/// Looks at the selection with all that it needs, also at what nobody wants to be healed, and judges: what is the matter, and for each
/// root what `heal` would choose, and what holds it. Changes nothing.
///
/// # Errors
/// When the selection means nothing, or the journal cannot be read.
pub async fn diagnose(
    ground: &Arc<Ground>,
    selection: &Selection,
    library: &Arc<Library>,
    journal: &Journal,
) -> Result<(Diagnosis, Vec<Refrained>), HealFault> {
    let cure = Cure { only_look: true, ..Cure::default() };
    let healer = Arc::new(Healer::new(ground, selection, (library, journal), cure)?);
    let found = healer.clone().rounds().await;
    let kept = std::mem::take(&mut *healer.kept.lock().unwrap_or_else(PoisonError::into_inner));
    ground.part(&kept).await;
    let found = found?;
    Ok((found.last, found.refrained))
}

/// Heals what a deploy of these services would stumble over: their hosts, what they need, and what holds their ports or closes
/// their folders. What a deploy does by itself is left to it. The deeds are done on `ground`, and told on `told`.
///
/// # Errors
/// As `heal`.
pub async fn clear_way(
    (ground, told): (&Arc<Ground>, &Arc<Ground>),
    selection: &Selection,
    library: &Arc<Library>,
    journal: &Journal,
) -> Result<Healing, HealFault> {
    let healer = Healer::new(ground, selection, (library, journal), Cure::default())?;
    let chosen = crate::deploy::select(&ground.registry, selection).map_err(Fault::Select)?.0;
    let healer = Healer { told: told.clone(), way_for: Some(chosen), ..healer };
    Ok(Arc::new(healer.willing()).rounds().await?)
}

impl Healer {
    /// Leaves out what nobody wants to be looked at. A person who takes a risk wants it.
    fn willing(mut self) -> Self {
        if self.cure.risk.is_some() {
            return self;
        }
        let registry = self.ground.registry.clone();
        let (mut all, told) = (BTreeSet::new(), (!self.cure.again).then(|| self.told.clone()));
        let mut off = |what: &dyn std::fmt::Display, is_off: bool| {
            if is_off {
                all.insert(what.to_string());
                let text = format!("{what} is not looked at: its healing is off");
                told.iter().for_each(|told| told.tell(Event::Note { host: None, text: text.clone() }));
            }
            !is_off
        };
        let host_off = |name: &HostName| registry.hosts.get(name)?.heal_most.map(|most| most == HealPolicy::Off);
        let service_off = |name: &ServiceName| Some(registry.services.get(name)?.heal.policy == HealPolicy::Off);
        self.hosts.retain(|name| off(name, host_off(name) == Some(true)));
        self.services.retain(|name| off(name, service_off(name) == Some(true)));
        self.off = all;
        self
    }

    /// Rounds until a round does nothing.
    async fn rounds(self: Arc<Self>) -> Result<Healing, JournalError> {
        let mut last = self.look().await;
        let (before, mut cut) = (Before::of(&last), last.observations.iter().any(came_too_late));
        let (mut treated, mut refrained) = (Vec::new(), Vec::<Refrained>::new());
        let mut passed = Vec::<Problem>::new();
        for _ in 0..MOST {
            last = self.started(last, &treated).await;
            let (mut sure, seen) = self.sure(last).await;
            let seen = Arc::new(seen);
            let once = |one: &Problem| passed.iter().any(|other| other.is_same(one));
            // What passes again and again keeps nobody from the others.
            sure.sort_by_key(once);
            let round = self.clone().round(sure, (&seen, &passed)).await?;
            refrained = round.refrained;
            if round.treated.is_empty() && round.passed.is_empty() {
                last = Arc::unwrap_or_clone(seen);
                break;
            }
            passed.extend(round.passed);
            last = self.passed(self.look_again(&seen).await, &round.treated).await;
            treated.extend(round.treated);
            if self.ground.stop.is_cancelled() || self.cure.is_over() {
                let over = if self.ground.stop.is_cancelled() { STOPPED } else { LATE };
                refrained = self.left(&last, &refrained, over)?;
                cut |= refrained.iter().any(|one| one.why.iter().any(|(_, why)| why == over));
                break;
            }
        }
        // Only hosts near the problems, and none that was silent, were looked at again; what was done may have been felt elsewhere.
        let over = self.cure.is_over() || self.ground.stop.is_cancelled();
        if !treated.is_empty() && self.near(&last) != self.hosts && !over {
            last = self.look().await;
            refrained.retain(|one| last.roots().any(|root| root.is_same(&one.problem)));
        }
        let aside = aside(&self.ground, &last);
        // A pass that only took its time and left nothing out was not cut.
        let late = |one: &Refrained| one.why.iter().any(|(_, why)| why == LATE);
        let decided = |root: &Problem| refrained.iter().any(|one| one.problem.is_same(root) && !late(one));
        cut |= self.ground.stop.is_cancelled() || self.cure.is_over() && !last.roots().all(decided);
        Ok(Healing { before, last, treated, refrained, aside, off: self.off.clone(), cut })
    }

    /// Applies the first remedy that may be applied on each host, hosts side by side.
    async fn round(
        self: Arc<Self>,
        sure: Vec<Problem>,
        (seen, passed): (&Arc<Diagnosis>, &[Problem]),
    ) -> Result<Round, JournalError> {
        let mut hosts: BTreeMap<HostName, Vec<Problem>> = BTreeMap::new();
        for problem in sure {
            hosts.entry(problem.host.clone()).or_default().push(problem);
        }
        let seats = Arc::new(Semaphore::new(SEATS));
        let mut tasks = JoinSet::new();
        for (host, problems) in hosts {
            let (healer, seats, seen, passed) = (self.clone(), seats.clone(), seen.clone(), passed.to_vec());
            tasks.spawn(async move {
                // It is never closed, so that there is a seat in the end.
                let _seat = seats.acquire_owned().await;
                (host, healer.on_host(problems, (&seen, &passed)).await)
            });
        }
        let mut all: BTreeMap<HostName, Round> = BTreeMap::new();
        while let Some(ended) = tasks.join_next().await {
            match ended {
                Ok((host, round)) => drop(all.insert(host, round?)),
                Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
            }
        }
        let mut whole = Round::default();
        for round in all.into_values() {
            whole.treated.extend(round.treated);
            whole.refrained.extend(round.refrained);
            whole.passed.extend(round.passed);
        }
        Ok(whole)
    }

    /// The service that a problem is about, as the registry has it.
    pub(super) fn service(&self, problem: &Problem) -> Option<&Service> {
        problem.service.as_ref().and_then(|name| self.ground.registry.services.get(name))
    }

    /// What holds for a problem: the service's own words, or those of the host for what is the host's own.
    pub(super) fn of(&self, problem: &Problem) -> Heal {
        let service = self.service(problem);
        let own = || self.ground.registry.hosts.get(&problem.host).map(|host| host.heal.clone());
        service.map(|service| service.heal.clone()).or_else(own).unwrap_or_default()
    }

    /// The most that the host and the one who asks allow, with the host's own breaker and windows.
    pub(super) fn of_host(&self, name: &HostName) -> Heal {
        let host = self.ground.registry.hosts.get(name);
        let most = host.and_then(|host| host.heal_most).into_iter().chain(self.cure.at_most).min();
        let most = most.unwrap_or(HealPolicy::Full);
        Heal { policy: most, ..host.map(|host| host.heal.clone()).unwrap_or_default() }
    }

    /// Whether a root is ours to treat.
    pub(super) fn concerns(&self, seen: &Diagnosis, root: &Problem) -> bool {
        let Some(chosen) = &self.way_for else { return true };
        let number = seen.problems.iter().position(|other| root.is_same(other));
        let breaks = !root.latent || number.is_some_and(|number| !seen.brings_about(number).is_empty());
        let own = root.service.as_ref().is_some_and(|service| chosen.contains(service));
        breaks && (!own || root.deeds.iter().any(|deed| !deed.is_part_of_a_deploy()))
    }
}
