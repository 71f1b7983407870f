//! The first look at all hosts, side by side, with the services' checks asked in the same breath: what the plan is made from.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::check::{self, Verdict};
use crate::deploy::far::{Far, Unseen, subject};
use crate::deploy::fetched::fetched;
use crate::deploy::ground::Ground;
use crate::deploy::login;
use crate::host::look::{Compared, Others, Question};
use crate::host::{Record, Seen, Supervisor};
use crate::model::{Ask, Check, Event, HostName, Pull, ServiceName};
use crate::plan::{Engine, Health};
use crate::registry::{Kind, Service};

/// The longest pause between two questions of a service that answered badly at the first look.
const PAUSE: Duration = Duration::from_secs(1);

/// What was found.
#[derive(Default)]
pub struct Survey {
    pub far: BTreeMap<HostName, Far>,
    pub seen: BTreeMap<HostName, Seen>,
    pub health: BTreeMap<(ServiceName, HostName), Health>,
    /// The hosts that could not be seen.
    pub unseen: BTreeMap<HostName, Unseen>,
    /// The hosts that are left alone, as a person took them out of service, and why. They stand nowhere else here.
    pub cordoned: BTreeMap<HostName, String>,
}

impl Survey {
    /// Takes every service for ill, for this reason.
    pub(super) fn doubt(&mut self, why: &str) {
        self.health.values_mut().for_each(|health| *health = Health::Bad(why.to_owned()));
    }
}

/// How much is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Depth {
    /// What the look sees.
    State,
    /// That, and of each service on each host, whether the registry puts it there or not.
    Anywhere,
    /// That, and the records of what was there before.
    Past,
    /// The services' checks, too.
    Health,
    /// That, what image registries offer, and the names of what lies on the hosts besides.
    Fetches,
    /// That, and the texts that a plan compares.
    Texts(Arc<BTreeMap<ServiceName, Vec<Compared>>>),
    /// The services' checks, and what lies on the hosts besides.
    Whole,
}

/// Looks at these hosts, for these services.
pub(super) async fn survey(
    ground: &Arc<Ground>,
    services: &BTreeSet<ServiceName>,
    hosts: &BTreeSet<HostName>,
    depth: Depth,
) -> Survey {
    // Each service is met once, however many hosts there are.
    let mut here: BTreeMap<&HostName, Vec<Service>> = hosts.iter().map(|host| (host, Vec::new())).collect();
    for service in ground.registry.services.values().filter(|service| services.contains(&service.name)) {
        for host in &service.hosts {
            if let Some(here) = here.get_mut(host) {
                here.push(service.clone());
            }
        }
    }
    let mut tasks = JoinSet::new();
    for (host, here) in here {
        let strays =
            services.iter().filter(|name| depth == Depth::Anywhere && !here.iter().any(|one| one.name == **name));
        let strays = strays.cloned().collect();
        tasks.spawn(one(ground.clone(), host.clone(), (here, strays), depth.clone()));
    }
    let mut survey = Survey::default();
    while let Some(ended) = tasks.join_next().await {
        let (host, found) = match ended {
            Ok(found) => found,
            Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
        };
        match found {
            Ok((far, seen, health)) => {
                survey.health.extend(health.into_iter().map(|(service, health)| ((service, host.clone()), health)));
                survey.far.insert(host.clone(), far);
                survey.seen.insert(host, seen);
            }
            Err(unseen) => {
                survey.unseen.insert(host, unseen);
            }
        }
    }
    survey
}

type Found = Result<(Far, Seen, Vec<(ServiceName, Health)>), Unseen>;

/// The services that the registry puts on a host, and those that only the host may know.
type Here = (Vec<Service>, Vec<ServiceName>);

async fn one(ground: Arc<Ground>, host: HostName, (services, strays): Here, depth: Depth) -> (HostName, Found) {
    ground.tell(Event::Looking { host: host.clone() });
    let began = Instant::now();
    let found = look(&ground, &host, (&services, strays), depth).await;
    if let Ok((_, seen, _)) = &found {
        ground.tell(Event::Looked { host: host.clone(), took: began.elapsed() });
        for service in &services {
            let release = seen.services.get(&service.name).and_then(|found| found.current.clone());
            ground.tell(Event::Found { host: host.clone(), service: service.name.clone(), release });
        }
    }
    (host, found)
}

async fn look(
    ground: &Ground,
    host: &HostName,
    (services, strays): (&[Service], Vec<ServiceName>),
    depth: Depth,
) -> Found {
    let (far, visit) = ground.visit(host).await?;
    visit.work(look_at(ground, far, (services, strays), depth)).await
}

async fn look_at(ground: &Ground, far: Far, (services, strays): (&[Service], Vec<ServiceName>), depth: Depth) -> Found {
    let host = &far.name;
    let mut question = question(ground, host, services, ground.engines);
    question.past = depth == Depth::Past;
    question.strays = strays;
    if depth == Depth::Whole {
        question.others = Others::All;
    }
    if matches!(depth, Depth::Fetches | Depth::Texts(_)) {
        question.others = Others::Names;
        question.images = services.iter().flat_map(images).collect();
        question.logins = login::at_hand(&ground.registry, services);
    }
    if let Depth::Texts(texts) = &depth {
        let here = services.iter().filter_map(|service| texts.get_key_value(&service.name));
        question.texts = here.map(|(name, texts)| (name.clone(), texts.clone())).collect();
    }
    if matches!(depth, Depth::State | Depth::Anywhere | Depth::Past) {
        let seen = far.look(&question).await?;
        return Ok((far, seen, Vec::new()));
    }
    // The checks through the connection travel beside the look, and cost no time of their own.
    let early = async {
        let mut asked = JoinSet::new();
        for service in services {
            for check in spread(service).into_iter().filter(Check::connects) {
                let (far, name) = (far.clone(), service.name.clone());
                asked.spawn(async move {
                    let nobody = check::Subject::nobody();
                    let verdict = check::ask(&check, &nobody, |need| far.fetch(need)).await;
                    (name, verdict)
                });
            }
        }
        asked.join_all().await
    };
    let (seen, early) = tokio::join!(far.look(&question), early);
    let seen = seen?;
    let mut health = Vec::new();
    for service in services {
        let found = seen.services.get(&service.name).and_then(|found| found.readable());
        let engine = ground.engines.iter().find(|engine| engine.serves(&service.kind));
        let (Some(record), Some(engine)) = (found, engine) else { continue };
        if let Some(blind) = engine.blind(&seen) {
            health.push((service.name.clone(), Health::Unseen(blind.what)));
            continue;
        }
        // What is not there or does not run needs no check to say so.
        if !engine.runs(record, &seen) {
            continue;
        }
        let bad = early.iter().any(|(name, verdict)| *name == service.name && !verdict.is_good());
        // A container runs on while its own health check fails.
        let unwell =
            |name: &String| seen.units.get(name).is_some_and(|unit| matches!(&*unit.sub, "unhealthy" | "starting"));
        let bad = bad || (record.supervisor == Supervisor::Compose && engine.names(record).iter().any(unwell));
        let verdict =
            if bad { again(&far, service, record, &seen).await } else { late(&far, service, record, &seen).await };
        health.push((service.name.clone(), verdict));
    }
    Ok((far, seen, health))
}

fn question(ground: &Ground, host: &HostName, services: &[Service], engines: &[&dyn Engine]) -> Question {
    let base = ground.registry.hosts.get(host).and_then(|host| host.base.clone());
    let units = services.iter().flat_map(|service| {
        let engine = engines.iter().find(|engine| engine.serves(&service.kind));
        engine.map(|engine| engine.units(service)).unwrap_or_default()
    });
    let docker = services.iter().any(|service| matches!(service.kind, Kind::Docker(_)));
    let pythons = services.iter().filter_map(|service| match &service.kind {
        Kind::Python(python) => Some(python.version.clone().unwrap_or_default()),
        Kind::Native(_) | Kind::Docker(_) => None,
    });
    let (pythons, units) = (pythons.collect(), units.collect());
    let services = services.iter().map(|service| service.name.clone()).collect();
    Question { base, services, units, pythons, docker, ..Question::default() }
}

/// What the registries of images are asked for a service.
fn images(service: &Service) -> Vec<(ServiceName, String, Pull)> {
    let Kind::Docker(docker) = &service.kind else { return Vec::new() };
    let images = fetched(docker).into_iter();
    images.map(|reference| (service.name.clone(), reference, docker.pull)).collect()
}

/// The checks of a service as they are asked.
fn spread(service: &Service) -> Vec<Check> {
    crate::model::spread(&service.checks, service.port, service.instances)
}

/// The checks that need words on the host; the unit's state came with the look.
async fn late(far: &Far, service: &Service, record: &Record, seen: &Seen) -> Health {
    let subject = subject(record, &seen.facts);
    for check in spread(service).iter().filter(|check| !check.connects() && check.ask != Ask::Unit) {
        let verdict = check::ask(check, &subject, |need| far.fetch(need)).await;
        if !verdict.is_good() {
            return again(far, service, record, seen).await;
        }
    }
    Health::Good
}

/// One bad answer may be a blip: each check is asked as often as its `retries` say before it counts.
async fn again(far: &Far, service: &Service, record: &Record, seen: &Seen) -> Health {
    let subject = subject(record, &seen.facts);
    for check in spread(service) {
        let mut last = Verdict::Unseen("it was not asked".into());
        for turn in 0..check.retries.max(1) {
            if turn > 0 {
                tokio::time::sleep(check.interval.min(PAUSE)).await;
            }
            last = check::ask(&check, &subject, |need| far.fetch(need)).await;
            if last.is_good() {
                break;
            }
        }
        let says = format!("{}: {}", check::title(&check), last.says());
        match last {
            Verdict::Good(_) => {}
            Verdict::Bad(_) => return Health::Bad(says),
            Verdict::Unseen(_) => return Health::Unseen(says),
        }
    }
    Health::Good
}
