//! The loop: look until the problem is sure, choose, ask whether it is allowed, apply, look again. One remedy at a time, as each
//! changes what the next look sees; it ends when all is well or nothing more may be done.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::deploy::{Fault, Ground, Selection};
use crate::heal::diagnose::{look, reach};
use crate::heal::playbook::{Library, Risk};
use crate::heal::solve::choose::{Candidate, known};
use crate::heal::solve::remedy::plan;
use crate::heal::{Diagnosis, Problem};
use crate::journal::{Journal, JournalError, StartOfRemedy, Verdict};
use crate::model::{Event, HostName, RunId, ServiceName};
use crate::registry::{Heal, HealPolicy, Service};

/// The most remedies that one healing applies, whatever the budgets say.
const MOST: usize = 20;

/// What the one who asks allows.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cure {
    /// The risk that a person takes now, whatever the policy says.
    pub risk: Option<Risk>,
    /// Nothing is done; what would be done is told.
    pub only_look: bool,
}

/// A remedy that was applied.
#[derive(Clone, Debug)]
pub struct Treated {
    pub problem: Problem,
    /// The playbook's name, or `ladder: NAME`.
    pub remedy: String,
    pub verdict: Verdict,
    pub took: Duration,
    /// What was still wrong.
    pub says: Option<String>,
}

/// A root problem for which nothing was done, or nothing more.
#[derive(Clone, Debug)]
pub struct Refrained {
    pub problem: Problem,
    /// For each remedy that was thought of: its name, and why it was not applied.
    pub why: Vec<(String, String)>,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Healing {
    pub first: Diagnosis,
    pub last: Diagnosis,
    pub treated: Vec<Treated>,
    pub refrained: Vec<Refrained>,
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
pub(super) struct Healer<'a> {
    pub ground: &'a Arc<Ground>,
    pub library: &'a Arc<Library>,
    pub journal: &'a Journal,
    pub cure: Cure,
    pub services: BTreeSet<ServiceName>,
    pub hosts: BTreeSet<HostName>,
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
    let (services, hosts) = reach(&ground.registry, selection)?;
    let healer = Healer { ground, library, journal, cure, services, hosts };
    let first = healer.look().await;
    let mut last = first.clone();
    let mut treated = Vec::new();
    let refrained = loop {
        let (sure, seen) = healer.sure(&last).await;
        let mut refrained = Vec::new();
        let mut done = None;
        for problem in &sure {
            let mut why = Vec::new();
            for candidate in healer.candidates(problem, &seen) {
                match healer.attempt(problem, &candidate).await? {
                    Ok(one) => {
                        done = Some(one);
                        break;
                    }
                    Err(held) => why.push((candidate.says, held)),
                }
            }
            if done.is_some() {
                break;
            }
            refrained.push(Refrained { problem: problem.clone(), why });
        }
        let Some(one) = done else { break refrained };
        treated.push(one);
        last = healer.look().await;
        if treated.len() >= MOST || ground.stop.is_cancelled() {
            break last.roots().map(|problem| Refrained { problem: problem.clone(), why: Vec::new() }).collect();
        }
    };
    Ok(Healing { first, last, treated, refrained })
}

impl Healer<'_> {
    async fn look(&self) -> Diagnosis {
        let quiet = self.ground.hushed();
        let (found, _) = look(&quiet, &self.services, &self.hosts, self.library).await;
        found
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

    /// The most that the host allows, with its own breaker and windows.
    pub(super) fn of_host(&self, name: &HostName) -> Heal {
        let host = self.ground.registry.hosts.get(name);
        let most = host.and_then(|host| host.heal_most).unwrap_or(HealPolicy::Full);
        Heal { policy: most, ..host.map(|host| host.heal.clone()).unwrap_or_default() }
    }

    /// The roots that all looks agree on, in the order of the first. A blip is gone before it is treated.
    async fn sure(&self, first: &Diagnosis) -> (Vec<Problem>, Diagnosis) {
        let mut last = first.clone();
        let mut roots: Vec<Problem> = first.roots().cloned().collect();
        let services = roots.iter().map(|root| self.of(root));
        let (mut looks, mut apart) = (1, Duration::ZERO);
        for heal in services {
            (looks, apart) = (looks.max(heal.looks), apart.max(heal.apart));
        }
        if self.cure.only_look {
            looks = 1;
        }
        for _ in 1..looks {
            if roots.is_empty() {
                break;
            }
            if self.ground.stop.is_cancelled() {
                // What was seen less often than it has to be is not acted on.
                return (Vec::new(), last);
            }
            tokio::time::sleep(apart).await;
            last = self.look().await;
            let still = |root: &Problem| last.roots().find(|other| same(root, other)).cloned();
            // The last look's own words and numbers are what is acted on.
            roots = roots.iter().filter_map(still).collect();
        }
        (roots, last)
    }

    /// Applies a remedy, if it may be; otherwise says why not.
    async fn attempt(&self, problem: &Problem, candidate: &Candidate) -> Result<Result<Treated, String>, JournalError> {
        let remedy = match self.allowed(problem, candidate)? {
            Ok(remedy) => remedy,
            Err(why) => return Ok(Err(why)),
        };
        self.ground.tell(Event::Note {
            host: Some(problem.host.clone()),
            text: format!("{}; remedy: {}", problem.because, candidate.says),
        });
        // Each remedy is a run of its own on its host.
        let run = RunId::fresh(self.ground.clock.now());
        let ready = match plan(self.ground, self.library, remedy, run).await {
            Ok(ready) => ready,
            Err(why) => return Ok(Err(why)),
        };
        // Whoever was at work there may have mended it while we waited for the host.
        if !self.look().await.roots().any(|root| same(root, problem)) {
            return Ok(Err("it passed by itself".into()));
        }
        if self.ground.stop.is_cancelled() {
            return Ok(Err("the run was stopped".into()));
        }
        let began = Instant::now();
        let number = self.journal.begin_remedy(&StartOfRemedy {
            run: self.ground.run.clone(),
            service: problem.service.clone(),
            host: problem.host.clone(),
            problem: known(problem),
            remedy: candidate.name.clone(),
            evidence: serde_json::json!({ "because": problem.because, "sure": problem.sure }),
        })?;
        let (verdict, says) = ready.apply(self.ground).await;
        self.journal.end_remedy(number, verdict)?;
        let (problem, remedy) = (problem.clone(), candidate.name.clone());
        Ok(Ok(Treated { problem, remedy, verdict, took: began.elapsed(), says }))
    }
}

/// Whether two looks mean the same problem.
fn same(one: &Problem, other: &Problem) -> bool {
    one.name == other.name && one.host == other.host && one.service == other.service
}
