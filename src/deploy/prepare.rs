//! From a request to a plan, with everything that was read and seen on the way.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::deploy::compare::compare;
use crate::deploy::cordon::{self, Whom};
use crate::deploy::fault::Fault;
use crate::deploy::git::{self, Hold};
use crate::deploy::ground::{Ground, unless_stopped};
use crate::deploy::image;
use crate::deploy::login;
use crate::deploy::quiet::{look, quiet};
use crate::deploy::select::{Idle, Selection, idle, is_placed, nowhere, select, select_with, strays};
use crate::deploy::source;
use crate::deploy::strays::{elsewhere, seen_by};
use crate::deploy::survey::{Depth, Survey};
use crate::host::Seen;
use crate::model::{Event, HostName, ServiceName, UnitChange};
use crate::plan::{
    Action, Asked, BackInputs, Change, Graph, Health, Inputs, Mend, Plan, Sources, Target, Turn, back, closed,
    compared, keep_rest, plan, turn,
};

/// What is asked for, as far as the plan depends on it.
#[derive(Clone, Debug, Default)]
pub struct Request {
    pub selection: Selection,
    /// Files that were edited on the host may be written over.
    pub overwrite: bool,
    /// Nothing will be changed: runs that stopped in the middle are left as they are.
    pub only_look: bool,
    /// What is in place is brought into force again, however well it is.
    pub renew: bool,
}

/// What is asked of services that are on their hosts.
#[derive(Clone, Debug)]
pub struct TurnRequest {
    pub turn: Turn,
    /// Hosts that cannot be seen may be left out.
    pub skip_unseen: bool,
    /// Where an earlier run did it already. What is healthy there is not restarted or reloaded again.
    pub done: BTreeSet<(ServiceName, HostName)>,
    /// What a remedy does, where one is applied.
    pub mends: BTreeMap<(ServiceName, HostName), Vec<Mend>>,
}

/// A plan, and what it was made from.
pub struct Prepared {
    pub plan: Arc<Plan>,
    pub survey: Survey,
    pub services: BTreeSet<ServiceName>,
    pub hosts: BTreeSet<HostName>,
    /// The hosts that could not be seen and are left out, because the user said so.
    pub skipped: BTreeSet<HostName>,
    aim: Aim,
}

/// What the plan is for.
enum Aim {
    /// Releases come into force. Files that were edited on the host may be written over or not. What was fetched is held.
    Deploy { sources: Sources, overwrite: bool, renew: bool, _held: Vec<Hold> },
    /// A release that lies on the hosts comes into force again. What has none may stay as it is or not.
    Back { target: Target, overwrite: bool, some: bool },
    /// What is there is started, stopped and so on. The strays are there without being in the registry.
    Turn { request: TurnRequest, strays: BTreeSet<ServiceName> },
}

impl Aim {
    fn depth(&self) -> Depth {
        match self {
            Self::Deploy { .. } => Depth::Fetches,
            Self::Back { .. } => Depth::Past,
            // What is ended is ended wherever it lies on the hosts that are named.
            Self::Turn { strays, .. } if !strays.is_empty() => Depth::Anywhere,
            // What was done is left alone only if it is proven.
            Self::Turn { request, .. } if !request.done.is_empty() => Depth::Health,
            Self::Turn { .. } => Depth::State,
        }
    }

    /// What is asked of a cordoned host by a verb's own name is that person's own work.
    fn whom(&self) -> Whom {
        match self {
            Self::Turn { request, .. } if request.turn != Turn::Mend => Whom::All,
            _ => Whom::Open,
        }
    }
}

/// Reads, looks and plans. All hosts must be seen.
pub async fn prepare(ground: &Arc<Ground>, request: &Request) -> Result<Prepared, Fault> {
    let (services, hosts) = select(&ground.registry, &request.selection).map_err(Fault::Select)?;
    login::demand(&ground.registry, services.iter().filter_map(|name| ground.registry.services.get(name)))?;
    started(ground, (&services, &hosts), &idle(&ground.registry, &request.selection));
    let reading = read(ground, &services);
    let elsewhere = elsewhere(ground, &request.selection, &services, &hosts);
    let ((sources, held), survey, elsewhere) = if request.only_look {
        let (mut sources, held) = reading.await?;
        // Which texts a host is asked for depends on what is here.
        sources.open = source::open(&sources);
        let texts = Arc::new(compared(&ground.registry, &services, &sources));
        let look = look(ground, &services, &hosts, Depth::Texts(texts), Whom::Open);
        let (survey, elsewhere) = tokio::join!(look, elsewhere);
        let survey = survey?;
        source::read_compared(&survey, &mut sources);
        ((sources, held), survey, elsewhere)
    } else {
        let look = quiet(ground, &services, &hosts, Depth::Fetches, Whom::Open);
        // Hashing a large source takes a while; the looks go on beside it.
        let (sources, survey, elsewhere) = tokio::join!(reading, look, elsewhere);
        let survey = survey?;
        (sources?, survey, elsewhere)
    };
    let lying = survey.seen.iter().map(|(host, seen)| (host, &seen.lying));
    let mut strays = seen_by(ground, &request.selection, &services, lying);
    strays.extend(elsewhere);
    strays.sort_by(|a, b| a.host.cmp(&b.host));
    let aim = Aim::Deploy { sources, overwrite: request.overwrite, renew: request.renew, _held: held };
    let mut prepared = conclude(ground, services, hosts, survey, aim).await?;
    for strays in &strays {
        ground.tell(Event::Note { host: Some(strays.host.clone()), text: strays.to_string() });
    }
    Arc::make_mut(&mut prepared.plan).strays = strays;
    Ok(prepared)
}

/// Reads what the services are made of: from this machine's disk and its engine, and from repositories.
async fn read(ground: &Ground, services: &BTreeSet<ServiceName>) -> Result<(Sources, Vec<Hold>), Fault> {
    let sources = async {
        let fetched = unless_stopped(&ground.stop, git::fetch(ground, services)).await;
        let fetched = fetched.ok_or(Fault::Interrupted)?.map_err(Fault::Git)?;
        let held = fetched.values().map(|checkout| checkout.hold.clone()).collect();
        let (registry, names) = (ground.registry.clone(), services.clone());
        let reading = tokio::task::spawn_blocking(move || {
            source::read(&registry, names.iter().filter_map(|name| registry.services.get(name)), &fetched)
        });
        match reading.await {
            Ok(sources) => sources.map(|sources| (sources, held)).map_err(Fault::Source),
            Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
        }
    };
    let (sources, images) = tokio::join!(sources, image::read(&ground.registry, services));
    let (mut sources, held) = sources?;
    sources.images = images.map_err(Fault::Image)?;
    Ok((sources, held))
}

/// Looks, and plans the way back to what was proven before, or to a release by its name. Nothing is read from this machine.
pub async fn prepare_back(ground: &Arc<Ground>, request: &Request, target: &Target) -> Result<Prepared, Fault> {
    let (services, hosts) = select(&ground.registry, &request.selection).map_err(Fault::Select)?;
    started(ground, (&services, &hosts), &idle(&ground.registry, &request.selection));
    let survey = match request.only_look {
        true => look(ground, &services, &hosts, Depth::Past, Whom::Open).await?,
        false => quiet(ground, &services, &hosts, Depth::Past, Whom::Open).await?,
    };
    let some = request.selection.services.is_empty();
    let aim = Aim::Back { target: target.clone(), overwrite: request.overwrite, some };
    let mut prepared = conclude(ground, services, hosts, survey, aim).await?;
    if request.only_look {
        compare(ground, Arc::make_mut(&mut prepared.plan), &prepared.survey.seen).await;
    }
    Ok(prepared)
}

/// Looks, and plans to start, stop and so on what is there. All hosts must be seen, unless those that are not may be skipped.
pub async fn prepare_turn(
    ground: &Arc<Ground>,
    selection: &Selection,
    request: TurnRequest,
) -> Result<Prepared, Fault> {
    // What only a host knows can be ended, but there is nothing to start it by.
    let strays = if request.turn.ends() { strays(&ground.registry, selection) } else { BTreeSet::new() };
    let (services, hosts) = select_with(&strays, &ground.registry, selection).map_err(Fault::Select)?;
    // Where strays are looked for, no host that is named is left out.
    let idle = if strays.is_empty() { idle(&ground.registry, selection) } else { Vec::new() };
    started(ground, (&services, &hosts), &idle);
    let aim = Aim::Turn { request, strays };
    let survey = quiet(ground, &services, &hosts, aim.depth(), aim.whom()).await?;
    conclude(ground, services, hosts, survey, aim).await
}

/// Tells that the run begins, and what of its request is left out; a plan that is made once more, when something was healed, is
/// no other run.
fn started(ground: &Ground, (services, hosts): (&BTreeSet<ServiceName>, &BTreeSet<HostName>), idle: &[Idle]) {
    if ground.begun.swap(true, Ordering::SeqCst) {
        return;
    }
    ground.tell(Event::Started {
        run: ground.run.clone(),
        verb: ground.verb.clone(),
        services: services.iter().cloned().collect(),
        hosts: hosts.iter().cloned().collect(),
    });
    idle.iter().for_each(|idle| ground.tell(idle.note()));
}

/// With less space than this on the disk of the base folder, a host is looked at more closely before a deploy.
const SPARE: u64 = 32 << 20;

impl Prepared {
    /// Whether the first look shows that something is wrong where something is to change, though not why.
    #[must_use]
    pub fn is_troubled(&self, ground: &Ground) -> bool {
        let ill = |change: &Change| {
            let health = self.survey.health.get(&(change.service.clone(), change.host.clone()));
            let engine = ground.engines.iter().find(|engine| engine.name() == change.record.engine);
            let seen = self.survey.seen.get(&change.host);
            let there = seen.and_then(|seen| seen.services.get(&change.service)?.readable());
            let runs = |seen: &Seen| there.is_none_or(|record| engine.is_none_or(|engine| engine.runs(record, seen)));
            let host = |seen: &Seen| seen.blind.is_some() || seen.facts.disk.is_some_and(|(free, _)| free < SPARE);
            matches!(health, Some(Health::Bad(_))) || seen.is_some_and(|seen| host(seen) || !runs(seen))
        };
        self.plan.moving().any(ill)
    }

    /// Looks again and plans again, because somebody else was on a host in between. What is protected and would change only now was
    /// approved by nobody.
    pub async fn again(self, ground: &Arc<Ground>) -> Result<Self, Fault> {
        let guarded = |plan: &Plan| ground.registry.guarded(plan.moving().map(|change| &change.service));
        let approved = guarded(&self.plan);
        let Self { services, hosts, aim, .. } = self;
        let survey = quiet(ground, &services, &hosts, aim.depth(), aim.whom()).await?;
        let now = conclude(ground, services, hosts, survey, aim).await?;
        if let Some(name) = guarded(&now.plan).into_iter().find(|name| !approved.contains(name)) {
            ground.part(&now.survey.far).await;
            return Err(Fault::Unapproved(name));
        }
        Ok(now)
    }
}

/// Refuses to go on without the hosts that could not be seen, unless the user said that they may be left out.
async fn skip_unseen(ground: &Ground, survey: &mut Survey, aim: &Aim) -> Result<BTreeSet<HostName>, Fault> {
    let unseen = std::mem::take(&mut survey.unseen);
    let skip = matches!(aim, Aim::Turn { request, .. } if request.skip_unseen) && !survey.seen.is_empty();
    if !unseen.is_empty() && !skip {
        ground.part(&survey.far).await;
        return Err(Fault::Unseen(unseen.into_iter().collect()));
    }
    for (host, why) in &unseen {
        let text = format!("left out, as it cannot be seen: {why}");
        ground.tell(Event::Note { host: Some(host.clone()), text });
    }
    Ok(unseen.into_keys().collect())
}

/// Leaves out what a person took out of service.
async fn leave_cordoned(
    ground: &Ground,
    survey: &Survey,
    services: &BTreeSet<ServiceName>,
    mut hosts: BTreeSet<HostName>,
) -> Result<BTreeSet<HostName>, Fault> {
    hosts.retain(|host| !survey.cordoned.contains_key(host));
    if hosts.is_empty() {
        ground.part(&survey.far).await;
        return Err(Fault::Cordoned(survey.cordoned.clone().into_iter().collect()));
    }
    for (host, why) in &survey.cordoned {
        ground.tell(Event::Note { host: Some(host.clone()), text: format!("left out, as it is cordoned: {why}") });
    }
    for text in cordon::missed(ground, &survey.cordoned, services) {
        ground.tell(Event::Note { host: None, text });
    }
    Ok(hosts)
}

/// Has the hosts keep what a person stops for good, and forget it when it runs again. To drain a host is no such word.
fn rested(ground: &Ground, aim: &Aim, plan: &mut Plan, survey: &Survey) {
    let by = (*ground.verb == *"stop").then(|| format!("{} in run {}", ground.who, ground.run));
    let turn = match aim {
        Aim::Turn { request, .. } => Some(request),
        Aim::Deploy { .. } | Aim::Back { .. } => None,
    };
    let starts = |mend: &Mend| matches!(mend, Mend::Change(UnitChange::Start | UnitChange::Restart) | Mend::Again);
    let mended = |change: &Change| {
        let mends = turn.and_then(|turn| turn.mends.get(&(change.service.clone(), change.host.clone())));
        mends.is_some_and(|mends| mends.iter().any(starts))
    };
    keep_rest(plan, &survey.seen, (turn.map(|turn| turn.turn), by.as_deref()), mended);
}

async fn conclude(
    ground: &Arc<Ground>,
    services: BTreeSet<ServiceName>,
    hosts: BTreeSet<HostName>,
    mut survey: Survey,
    aim: Aim,
) -> Result<Prepared, Fault> {
    let skipped = skip_unseen(ground, &mut survey, &aim).await?;
    let hosts = leave_cordoned(ground, &survey, &services, hosts).await?;
    let mut waves = Graph::of(&ground.registry).waves(&services);
    let none = BTreeSet::new();
    let strays = if let Aim::Turn { strays, .. } = &aim { strays } else { &none };
    // They need nobody that we know of, and nobody needs them.
    let unknown = strays.iter().filter(|name| !ground.registry.services.contains_key(*name));
    waves.extend(unknown.map(|name| vec![name.clone()]));
    let (registry, engines) = (&*ground.registry, ground.engines);
    let planned = match &aim {
        Aim::Deploy { sources, overwrite, renew, .. } => {
            if *renew {
                survey.doubt("it is brought into force again");
            }
            let seen = &survey.seen;
            let (health, overwrite, hosts) = (&survey.health, *overwrite, hosts.clone());
            plan(&Inputs { registry, waves, hosts, seen, health, sources, engines, overwrite })
        }
        Aim::Back { target, overwrite, some } => {
            let seen = &survey.seen;
            let (overwrite, some, hosts) = (*overwrite, *some, hosts.clone());
            let planned = back(&BackInputs { registry, waves, hosts, seen, engines, target, overwrite, some });
            planned.inspect(|plan| warn(ground, plan))
        }
        Aim::Turn { request, .. } => {
            let proven = |place: &&(ServiceName, HostName)| survey.health.get(place) == Some(&Health::Good);
            let done = &request.done.iter().filter(proven).cloned().collect();
            let seen = &survey.seen;
            let (hosts, mends, wanted) = (&hosts, &request.mends, request.turn);
            turn(&Asked { registry, waves, hosts, seen, engines, turn: wanted, strays, done, mends }).map(|turned| {
                // A remedy is for one of those that were looked at.
                let absent = turned.absent.into_iter().filter(|_| wanted != Turn::Mend);
                for (service, host) in absent {
                    ground.tell(Event::Note { host: Some(host), text: format!("{service} is not there") });
                }
                turned.plan
            })
        }
    };
    match planned {
        Ok(mut plan) => {
            rested(ground, &aim, &mut plan, &survey);
            tell_left(ground, &plan);
            if let Some(fault) = unfit(ground, (&plan, &survey), (strays, &hosts)) {
                ground.part(&survey.far).await;
                return Err(fault);
            }
            Ok(Prepared { plan: Arc::new(plan), survey, services, hosts, skipped, aim })
        }
        Err(refused) => {
            ground.part(&survey.far).await;
            Err(Fault::Refused(refused))
        }
    }
}

/// Why a plan that can be made is not to be carried out: of a stray that is nowhere, nobody knows what was meant; and nothing can be
/// begun on a host that takes no file.
fn unfit(
    ground: &Ground,
    (plan, survey): (&Plan, &Survey),
    (strays, hosts): (&BTreeSet<ServiceName>, &BTreeSet<HostName>),
) -> Option<Fault> {
    let registry = &ground.registry;
    let is_there = |name: &ServiceName| plan.changes.iter().any(|change| change.service == *name);
    if let Some(nobody) = strays.iter().find(|name| !is_there(name) && !is_placed(registry, name, hosts)) {
        return Some(Fault::Select(nowhere(registry, nobody, hosts)));
    }
    let closed = closed(plan, &survey.seen);
    (!closed.is_empty()).then_some(Fault::Closed(closed))
}

/// Tells which units of the host are not managed any more.
fn tell_left(ground: &Ground, plan: &Plan) {
    for change in &plan.changes {
        for unit in change.left() {
            let text = format!("{}: {unit} belongs to the host, and stays as it is", change.service);
            ground.tell(Event::Note { host: Some(change.host.clone()), text });
        }
    }
}

/// Tells what a way back does not take back, and for what there is none.
fn warn(ground: &Ground, plan: &Plan) {
    for (service, host, why) in &plan.left {
        let text = format!("{service} stays as it is: {why}");
        ground.tell(Event::Note { host: Some(host.clone()), text });
    }
    for change in &plan.changes {
        if let Some(text) = change.across() {
            let text = format!("{}: {text}", change.service);
            ground.tell(Event::Note { host: Some(change.host.clone()), text });
        }
    }
}

/// The hosts on which something changes, each with all of its services in the order of the plan: those that stay are part of
/// what the plan was made from, and must still be as they were when the lock is ours.
#[must_use]
pub(super) fn by_host(plan: &Plan) -> BTreeMap<HostName, Vec<&Change>> {
    let mut all: BTreeMap<HostName, Vec<_>> = BTreeMap::new();
    for change in &plan.changes {
        all.entry(change.host.clone()).or_default().push(change);
    }
    all.retain(|_, changes| changes.iter().any(|change| change.action != Action::Nothing));
    all
}
