//! Observe: every look about a host and its services in one exec, the services' checks asked beside it. Changes nothing.
//! A look is one file under `looks/` and one line in `ALL`.

mod looks;
mod scene;

use std::collections::{BTreeMap, BTreeSet};
use std::future::pending;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::check::{self, Verdict};
use crate::deploy::{Far, Ground, Unseen, subject};
use crate::heal::{Observation, Sight};
use crate::host::SeenUnit;
use crate::host::look::{Beside, Question};
use crate::model::{Check, Event, HostName, ServiceName, quote, spread};
use crate::registry::{Host, Mask, Registry, Service};
use looks::ALL;
pub(super) use looks::{join_needs, silence};
use scene::{About, Heard, Placed, Scene, Way};

const PRELUDE: &str = include_str!("prelude.sh");

/// How long a host has to accept a connection to what a service needs.
const DIAL: Duration = Duration::from_secs(3);

/// The longest pause between two questions of a check that answered badly.
const PAUSE: Duration = Duration::from_millis(500);

/// What did not answer for so long is no blip; to ask it again would take as long again.
const BLIP: Duration = Duration::from_secs(2);

/// How long a look may go on after the wish to stop.
const STOP: Duration = Duration::from_secs(3);

/// So many connections stay open for whoever goes on with them; where more hosts are ill, they are made again.
const KEPT: usize = 64;

/// How often a check that answers badly is asked at most.
const TURNS: u32 = 3;

/// The names of all looks.
#[must_use]
pub fn look_names() -> Vec<&'static str> {
    std::iter::once(looks::REACH).chain(ALL.iter().map(|look| look.name)).collect()
}

/// The names of the looks that are about services.
pub(super) fn service_looks() -> Vec<&'static str> {
    ALL.iter().filter(|look| look.about == About::Service).map(|look| look.name).collect()
}

/// What was observed by host, and the connections to hosts of which more may be asked.
#[derive(Default)]
pub struct Observed {
    pub found: BTreeMap<HostName, Vec<Observation>>,
    pub far: BTreeMap<HostName, Far>,
}

/// What ends a look before all hosts have answered, or have had their time to.
#[derive(Clone, Copy, Debug)]
pub enum Patience {
    /// Nothing: what was done is kept or undone by what is seen.
    Whole,
    /// The wish to stop, and this moment.
    Pass(Option<Instant>),
}

/// Looks at these services on these hosts, side by side. Every host has an answer, be it that it was not seen: when patience is over
/// whatever has not answered is.
pub async fn observe(
    ground: &Arc<Ground>,
    services: &BTreeSet<ServiceName>,
    hosts: &BTreeSet<HostName>,
    patience: Patience,
) -> Observed {
    let mut tasks = JoinSet::new();
    for host in hosts.iter().filter_map(|name| ground.registry.hosts.get(name)) {
        let (ground, host, services) = (ground.clone(), host.clone(), services.clone());
        tasks.spawn(async move {
            let (far, found) = tokio::select! {
                biased;
                found = one(&ground, &host, &services) => found,
                why = over(&ground, patience) => (None, blind(&scene(&ground, &host, &services), why)),
            };
            (host.name.clone(), far, found)
        });
    }
    let mut all = Observed::default();
    while let Some(ended) = tasks.join_next().await {
        match ended {
            Ok((host, far, found)) => {
                let room = all.far.len() < KEPT || ground.leads_on(&host);
                all.far.extend(far.filter(|_| room).map(|far| (host.clone(), far)));
                all.found.insert(host, found);
            }
            Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
        }
    }
    all
}

/// Comes when the time is over, or when who wished to stop has waited long enough for what would have answered soon.
async fn over(ground: &Ground, patience: Patience) -> &'static str {
    let Patience::Pass(until) = patience else { return pending().await };
    let late = async {
        match until {
            Some(until) => tokio::time::sleep_until(until.into()).await,
            None => pending().await,
        }
    };
    let stopped = async {
        ground.stop.cancelled().await;
        tokio::time::sleep(STOP).await;
    };
    tokio::select! {
        () = late => OVER,
        () = stopped => STOPPED,
    }
}

async fn one(ground: &Arc<Ground>, host: &Host, services: &BTreeSet<ServiceName>) -> (Option<Far>, Vec<Observation>) {
    let scene = scene(ground, host, services);
    ground.tell(Event::Looking { host: host.name.clone() });
    let (far, visit) = match ground.visit(&host.name).await {
        Ok(reached) => reached,
        Err(lost) => return (None, unseen(&scene, &Unseen::Lost(lost))),
    };
    let began = visit.began;
    let found = match visit.work(hear(ground, &scene, &far)).await {
        Ok(heard) => {
            ground.tell(Event::Looked { host: host.name.clone(), took: began.elapsed() });
            let mut found = vec![looks::reach(&scene, None)];
            found.extend(ALL.iter().flat_map(|look| (look.judge)(&scene, &heard)));
            let mask = Mask::of(&ground.registry);
            found.iter_mut().for_each(|one| masked(one, &mask));
            found
        }
        Err(why) => unseen(&scene, &why),
    };
    // Of a host that is well nothing more is asked, so that there are never many connections open.
    let well = found.iter().all(|one| one.sight == Sight::Good);
    let far = (!well || ground.leads_on(&host.name)).then_some(far);
    (far, found)
}

/// Masks what must not be shown of an observation.
fn masked(one: &mut Observation, mask: &Mask) {
    one.says = mask.text(&one.says);
    one.of = mask.text(&one.of);
    one.lines.iter_mut().for_each(|line| *line = mask.text(line));
    one.values.values_mut().for_each(|value| *value = mask.text(value));
}

/// What is said of a host that could not be seen: that, and nothing about what is on it.
fn unseen(scene: &Scene<'_>, why: &Unseen) -> Vec<Observation> {
    let mut found = vec![looks::reach(scene, Some(why))];
    found.extend(ALL.iter().flat_map(|look| scene.blind(look, &why.to_string())));
    found
}

/// Why a host was not seen that is not to blame for it.
const OVER: &str = "the time of this pass was over before the host was looked at";

/// The same of one who wished to stop.
const STOPPED: &str = "the run was stopped before the host had answered";

/// Whether this was not seen because the time was over.
pub(super) fn came_too_late(one: &Observation) -> bool {
    one.sight == Sight::Unseen && (one.says == OVER || one.says == STOPPED)
}

/// What is said of a host whose turn did not come in time: nothing is known of it, not even whether it can be reached.
fn blind(scene: &Scene<'_>, why: &str) -> Vec<Observation> {
    let mut found = vec![Observation::host(looks::REACH, &scene.host.name).unseen(why)];
    found.extend(ALL.iter().flat_map(|look| scene.blind(look, why)));
    found
}

fn scene<'a>(ground: &'a Ground, host: &'a Host, services: &BTreeSet<ServiceName>) -> Scene<'a> {
    let here = |service: &&Service| services.contains(&service.name) && service.hosts.contains(&host.name);
    let placed = |service: &'a Service| {
        let engine = ground.engines.iter().find(|engine| engine.serves(&service.kind));
        Placed { service, units: engine.map(|engine| engine.units(service)).unwrap_or_default() }
    };
    Scene {
        registry: &ground.registry,
        host,
        services: ground.registry.services.values().filter(here).map(placed).collect(),
    }
}

/// The one exec, with the checks and the needs that travel through the connection beside it.
async fn hear(ground: &Ground, scene: &Scene<'_>, far: &Far) -> Result<Heard, Unseen> {
    let question = Question {
        base: scene.host.base.clone(),
        services: scene.services.iter().map(|placed| placed.service.name.clone()).collect(),
        units: scene.services.iter().flat_map(|placed| placed.units.clone()).collect(),
        docker: scene.services.iter().any(|placed| placed.service.kind.is_docker()),
        ..Question::default()
    };
    let script = script(scene);
    let (tell, down) = watch::channel(BTreeSet::new());
    let early = early(scene, far, &down);
    let now = || ground.clock.now().as_second();
    let began = now();
    let told = async { (far.look_beside(&question, &script).await, now()) };
    let ((found, now), ways) = tokio::join!(told, ways(scene, far));
    let found = found?;
    // Of what has no release here nobody wants to know it.
    let known =
        |placed: &Placed<'_>| found.seen.services.get(&name(placed)).is_some_and(|there| there.readable().is_some());
    let idle = scene.services.iter().filter(|placed| !known(placed) || !runs(placed, &found));
    tell.send_replace(idle.map(name).collect());
    let early = early.join_all().await;
    let verdicts = verdicts(scene, far, &found, early).await;
    // Of most hosts nothing more is asked; to be ended later would cost a command of its own.
    far.hush().await;
    Ok(Heard { found, verdicts, ways, began, now })
}

/// The shell text of all looks, and their calls.
fn script(scene: &Scene<'_>) -> String {
    let mut script = PRELUDE.to_owned();
    for (scope, flag) in [(crate::model::Scope::System, "system"), (crate::model::Scope::User, "user")] {
        let units = scene.services.iter().flat_map(|placed| &placed.units).filter(|unit| unit.0 == scope);
        let names: Vec<_> = units.map(|unit| quote(&unit.1)).collect();
        if !names.is_empty() {
            script.push_str(&format!("shown {flag} {}\n", names.join(" ")));
        }
    }
    for placed in &scene.services {
        script.push_str(&format!("lost {0} || supervised {0}\n", placed.service.name));
    }
    script.push_str("listeners\n");
    for look in ALL {
        script.push_str(look.shell);
        for call in (look.calls)(scene) {
            let (key, words) = call.split_first().map_or(("", &call[..]), |(key, words)| (key.as_str(), words));
            let words: Vec<_> = words.iter().map(|word| quote(word)).collect();
            // A folder that hangs would do so again; it was said of the whole service.
            let lost = if look.about == About::Service { format!("lost {} || ", quote(key)) } else { String::new() };
            let key = quote(&format!("heal/{} {key}", look.name)).into_owned();
            script.push_str(&format!("{lost}say {key} \"$(look_{} {})\"\n", look.name, words.join(" ")));
        }
    }
    script
}

fn checks<'a>(scene: &'a Scene<'_>) -> impl Iterator<Item = (&'a Service, Check)> {
    let of = |service: &'a Service| spread(&service.checks, service.port, service.instances).into_iter();
    scene.services.iter().flat_map(move |placed| of(placed.service).map(|check| (placed.service, check)))
}

/// What a check of a service says.
type Asked = (ServiceName, Check, Verdict);

fn name(placed: &Placed<'_>) -> ServiceName {
    placed.service.name.clone()
}

/// Whether all of a service runs, as far as its supervisor tells.
fn runs(placed: &Placed<'_>, found: &Beside) -> bool {
    let mut units = placed.units.iter().map(|unit| found.seen.units.get(&unit.1));
    units.all(|unit| unit.is_none_or(|unit| unit.runs()))
}

/// The checks through the connection, beside the look: they cost no time of their own. What is `down` is not asked again.
fn early(scene: &Scene<'_>, far: &Far, down: &watch::Receiver<BTreeSet<ServiceName>>) -> JoinSet<Asked> {
    let mut asked = JoinSet::new();
    for (service, check) in checks(scene).filter(|(_, check)| check.connects()) {
        let (far, name, mut down) = (far.clone(), service.name.clone(), down.clone());
        asked.spawn(async move {
            let own = name.clone();
            let down = pin!(async { drop(down.wait_for(|down| down.contains(&own)).await) });
            let verdict = often(&check, &check::Subject::nobody(), &far, (TURNS, down)).await;
            (name, check, verdict)
        });
    }
    asked
}

/// Asks a check. One bad answer may be a blip, so it is asked again, a few times and until it is known to be down.
async fn often(
    check: &Check,
    subject: &check::Subject,
    far: &Far,
    (turns, mut down): (u32, Pin<&mut impl Future<Output = ()>>),
) -> Verdict {
    let mut turn = 1;
    loop {
        let began = Instant::now();
        let verdict = check::ask(check, subject, |need| far.fetch(need)).await;
        if verdict.is_good() || began.elapsed() > BLIP || turn >= check.retries.min(turns) {
            return verdict;
        }
        tokio::select! {
            biased;
            () = down.as_mut() => return verdict,
            () = tokio::time::sleep(check.interval.min(PAUSE)) => turn += 1,
        }
    }
}

/// What all checks say, in the registry's order; those that need words on the host are asked now.
async fn verdicts(scene: &Scene<'_>, far: &Far, found: &Beside, early: Vec<Asked>) -> Vec<Asked> {
    let mut all = Vec::new();
    for (service, check) in checks(scene) {
        let there = found.seen.services.get(&service.name).and_then(|there| there.readable());
        let Some(record) = there else { continue };
        let asked = early.iter().find(|(name, other, _)| *name == service.name && *other == check);
        let verdict = match asked {
            Some((.., verdict)) => verdict.clone(),
            None => {
                let placed = scene.services.iter().find(|placed| placed.service.name == service.name);
                let turns = if placed.is_none_or(|placed| runs(placed, found)) { TURNS } else { 1 };
                let subject = subject(record, &found.seen.facts);
                let mut units = subject.units.iter().map(|unit| found.seen.units.get(unit));
                let settled = units.clone().all(|unit| unit.is_none_or(|unit| unit.runs() || unit.rests()));
                let down = settled && units.any(|unit| unit.is_none_or(SeenUnit::rests));
                match check::seen(&check, &subject, &found.seen) {
                    // What starts, or runs and is not well yet, may be in a moment.
                    Some(verdict) if verdict.is_good() || down => verdict,
                    _ => often(&check, &subject, far, (turns, pin!(pending()))).await,
                }
            }
        };
        all.push((service.name.clone(), check, verdict));
    }
    all
}

/// Tries the ports of what the services here need, from this host, as the services themselves would.
async fn ways(scene: &Scene<'_>, far: &Far) -> Vec<Way> {
    let mut asked = JoinSet::new();
    for (service, need, at, address, port) in wanted(scene.registry, scene) {
        let far = far.clone();
        asked.spawn(async move {
            let open = match tokio::time::timeout(2 * DIAL, far.link.dial(&address, port, DIAL)).await {
                Ok(Ok(_)) => Ok(true),
                Ok(Err(crate::transport::Lost::Refused { .. })) => Ok(false),
                Ok(Err(lost)) => Err(lost.to_string()),
                Err(_) => Err(format!("no answer within {} s", DIAL.as_secs())),
            };
            Way { service, need, at, address, port, open }
        });
    }
    let mut all = asked.join_all().await;
    all.sort_by(|a, b| (&a.service, &a.need, &a.at, a.port).cmp(&(&b.service, &b.need, &b.at, b.port)));
    all
}

type Wanted = (ServiceName, ServiceName, HostName, String, u16);

fn wanted(registry: &Registry, scene: &Scene<'_>) -> Vec<Wanted> {
    let mut all = Vec::new();
    for placed in &scene.services {
        for need in placed.service.needs.iter().filter_map(|name| registry.services.get(name)) {
            let Some(port) = need.port else { continue };
            for at in need.hosts.iter().filter_map(|name| registry.hosts.get(name)) {
                let here = at.name == scene.host.name;
                let address = if here { check::ADDRESS.to_owned() } else { at.address.clone() };
                all.push((placed.service.name.clone(), need.name.clone(), at.name.clone(), address, port));
            }
        }
    }
    all
}
