//! From a request to a plan, with everything that was read and seen on the way.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::deploy::drive::{Drive, Start};
use crate::deploy::fault::Fault;
use crate::deploy::ground::Ground;
use crate::deploy::select::{Selection, select};
use crate::deploy::source;
use crate::deploy::survey::{Depth, Survey, survey};
use crate::host::run::{Compression, HostRun};
use crate::model::{Event, HostName, ServiceName};
use crate::plan::{Asked, Graph, Inputs, Plan, Sources, Turn, plan, turn};

/// How long bringing earlier runs to their end may take.
const SETTLE: Duration = Duration::from_secs(300);

/// What is asked for, as far as the plan depends on it.
#[derive(Clone, Debug, Default)]
pub struct Request {
    pub selection: Selection,
    /// Files that were edited on the host may be written over.
    pub overwrite: bool,
    /// Nothing will be changed: runs that stopped in the middle are left as they are.
    pub only_look: bool,
}

/// A plan, and what it was made from.
pub struct Prepared {
    pub plan: Arc<Plan>,
    pub survey: Survey,
    pub services: BTreeSet<ServiceName>,
    pub hosts: BTreeSet<HostName>,
    aim: Aim,
}

/// What the plan is for.
enum Aim {
    /// Releases come into force. Files that were edited on the host may be written over or not.
    Deploy { sources: Sources, overwrite: bool },
    /// What is there is started, stopped and so on.
    Turn(Turn),
}

impl Aim {
    fn depth(&self) -> Depth {
        match self {
            Self::Deploy { .. } => Depth::Health,
            Self::Turn(_) => Depth::State,
        }
    }
}

/// Reads, looks and plans. All hosts must be seen.
pub async fn prepare(ground: &Arc<Ground>, request: &Request) -> Result<Prepared, Fault> {
    let (services, hosts) = select(&ground.registry, &request.selection).map_err(Fault::Select)?;
    started(ground, &services, &hosts);
    let (registry, names) = (ground.registry.clone(), services.clone());
    // Hashing a large source takes a while; the looks go on beside it.
    let reading = tokio::task::spawn_blocking(move || {
        source::read(&registry, names.iter().filter_map(|name| registry.services.get(name)))
    });
    let look = async {
        let mut found = survey(ground, &services, &hosts, Depth::Health).await;
        if !request.only_look {
            settle(ground, &services, &mut found, Depth::Health).await;
        }
        found
    };
    let (sources, survey) = tokio::join!(reading, look);
    let sources = match sources {
        Ok(sources) => sources.map_err(Fault::Source)?,
        Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
    };
    conclude(ground, services, hosts, survey, Aim::Deploy { sources, overwrite: request.overwrite }).await
}

/// Looks, and plans to start, stop and so on what is there. All hosts must be seen.
pub async fn prepare_turn(ground: &Arc<Ground>, selection: &Selection, turn: Turn) -> Result<Prepared, Fault> {
    let (services, hosts) = select(&ground.registry, selection).map_err(Fault::Select)?;
    started(ground, &services, &hosts);
    let mut survey = survey(ground, &services, &hosts, Depth::State).await;
    settle(ground, &services, &mut survey, Depth::State).await;
    conclude(ground, services, hosts, survey, Aim::Turn(turn)).await
}

fn started(ground: &Ground, services: &BTreeSet<ServiceName>, hosts: &BTreeSet<HostName>) {
    ground.tell(Event::Started {
        run: ground.run.clone(),
        verb: ground.verb.clone(),
        services: services.iter().cloned().collect(),
        hosts: hosts.iter().cloned().collect(),
    });
}

impl Prepared {
    /// Looks again and plans again, because somebody else was on a host in between.
    pub async fn again(self, ground: &Arc<Ground>) -> Result<Self, Fault> {
        let Self { services, hosts, aim, .. } = self;
        let mut survey = survey(ground, &services, &hosts, aim.depth()).await;
        settle(ground, &services, &mut survey, aim.depth()).await;
        conclude(ground, services, hosts, survey, aim).await
    }
}

/// Brings runs that stopped in the middle to their end before anything is planned: what they left is neither old nor new.
/// A run without stages does that and nothing else. Then the host is looked at again.
async fn settle(ground: &Arc<Ground>, services: &BTreeSet<ServiceName>, survey: &mut Survey, depth: Depth) {
    let mut drives = Vec::new();
    for (host, seen) in survey.seen.iter().filter(|(_, seen)| !seen.unfinished.is_empty()) {
        let Some(far) = survey.far.get(host) else { continue };
        let run = HostRun {
            id: ground.run.clone(),
            base: seen.facts.base.clone(),
            who: ground.who.clone(),
            wait_lock: SETTLE,
            ticket: None,
            contact: None,
            stages: Vec::new(),
        };
        let start = Start { run, trees: Vec::new(), compression: Compression::None };
        drives.push((host.clone(), Drive::start(ground.clone(), far.clone(), start)));
    }
    let mut hosts = BTreeSet::new();
    for (host, drive) in drives {
        drive.finished_within(SETTLE).await;
        hosts.insert(host);
    }
    if !hosts.is_empty() {
        let again = super::survey::survey(ground, services, &hosts, depth).await;
        survey.far.extend(again.far);
        survey.seen.extend(again.seen);
        survey.health.extend(again.health);
        survey.unseen.extend(again.unseen);
    }
}

async fn conclude(
    ground: &Arc<Ground>,
    services: BTreeSet<ServiceName>,
    hosts: BTreeSet<HostName>,
    mut survey: Survey,
    aim: Aim,
) -> Result<Prepared, Fault> {
    let unseen = std::mem::take(&mut survey.unseen);
    if !unseen.is_empty() {
        ground.part(&survey.far).await;
        return Err(Fault::Unseen(unseen.into_iter().collect()));
    }
    let waves = Graph::of(&ground.registry).waves(&services);
    let (registry, seen, engines) = (&*ground.registry, &survey.seen, ground.engines);
    let planned = match &aim {
        Aim::Deploy { sources, overwrite } => {
            let (health, overwrite, hosts) = (&survey.health, *overwrite, hosts.clone());
            plan(&Inputs { registry, waves, hosts, seen, health, sources, engines, overwrite })
        }
        Aim::Turn(wanted) => {
            turn(&Asked { registry, waves, hosts: &hosts, seen, engines, turn: *wanted }).map(|turned| {
                for (service, host) in turned.absent {
                    ground.tell(Event::Note { host: Some(host), text: format!("{service} is not there") });
                }
                turned.plan
            })
        }
    };
    match planned {
        Ok(plan) => Ok(Prepared { plan: Arc::new(plan), survey, services, hosts, aim }),
        Err(refused) => {
            ground.part(&survey.far).await;
            Err(Fault::Refused(refused))
        }
    }
}

/// The hosts on which something changes, each with its changes in the order of the plan.
#[must_use]
pub(super) fn by_host(plan: &Plan) -> BTreeMap<HostName, Vec<&crate::plan::Change>> {
    let mut all: BTreeMap<HostName, Vec<_>> = BTreeMap::new();
    for change in plan.changes.iter().filter(|change| change.action != crate::plan::Action::Nothing) {
        all.entry(change.host.clone()).or_default().push(change);
    }
    all
}
