//! Brings to each host what its engine lacks of the images that a plan has loaded there, before any lock is taken. Nothing that
//! runs is touched. When the link is cut, what arrived is not sent again.

mod load;

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::deploy::far::Far;
use crate::deploy::fault::Fault;
use crate::deploy::ground::{Ground, unless_stopped};
use crate::deploy::image::{self, Bundle, ImageFault, Shelf};
use crate::deploy::prepare::Prepared;
use crate::host::Layout;
use crate::host::cause::cause;
use crate::host::push::{self, Had, Image, Place};
use crate::model::{Event, FailureKind, HostName, Step};
use crate::registry::Push;
use crate::transport::Lost;
use load::Load;

/// How long a host is tried again without anything more having arrived.
const GIVE_UP: Duration = Duration::from_secs(60);

/// Between two attempts.
const AGAIN: Duration = Duration::from_millis(500);

/// What stays free in the base folder.
const SPARE: u64 = 64 << 20;

/// The slowest link that is waited for, in bytes a second, beyond a time for whatever is small.
const SLOWEST: u64 = 32 << 10;
const SMALL: Duration = Duration::from_secs(600);

/// Why an image did not come to a host.
#[derive(Debug, thiserror::Error)]
pub enum PushFault {
    #[error(transparent)]
    Image(#[from] ImageFault),
    #[error("cannot read what is to be sent")]
    Read(#[source] io::Error),
    #[error("the host was lost: {0}")]
    Lost(Lost),
    #[error("docker does not answer there: {0}")]
    Blind(String),
    #[error("it is made for {made}, and the engine of the host is {host}")]
    Platform { made: String, host: String },
    #[error("it needs {need} bytes in {mount}, and {free} are free")]
    Room { need: u64, free: u64, mount: String },
    #[error("the host did not take it: {0}")]
    Host(String),
}

impl PushFault {
    pub(super) fn kind(&self) -> FailureKind {
        match self {
            Self::Image(_) | Self::Read(_) => FailureKind::Invalid,
            Self::Lost(_) => FailureKind::Unreachable,
            Self::Platform { .. } => FailureKind::Refused,
            Self::Blind(_) | Self::Room { .. } | Self::Host(_) => FailureKind::RolledBack,
        }
    }

    /// The next move.
    pub(super) fn hint(&self, host: &HostName) -> String {
        let known = |says: &String| cause(std::slice::from_ref(says), None).map(|cause| cause.hint);
        let usual = || format!("see `portoser host check {host}`");
        match self {
            Self::Image(fault) => fault.hint().into(),
            Self::Read(_) => "deploy again, when nobody writes it any more".into(),
            Self::Lost(_) => "deploy again; what arrived is not sent again".into(),
            Self::Platform { .. } => "build it for that platform: `docker build --platform ...`".into(),
            Self::Room { .. } => {
                "make room there: `docker image prune` takes images that no container or release needs".into()
            }
            Self::Blind(says) | Self::Host(says) => known(says).unwrap_or_else(usual),
        }
    }
}

/// How far the sending has come, over all attempts.
#[derive(Default)]
struct Progress {
    attempt: u32,
    /// How much the host said that it has.
    arrived: u64,
    /// How long all attempts together may take.
    within: Option<Duration>,
}

/// One image for one host.
struct Errand {
    host: HostName,
    push: Push,
    image: Image,
    base: String,
    folder: String,
    tag: String,
    /// The layers of the images that are loaded there before this one, by the same deploy of the same service.
    before: Vec<Vec<String>>,
}

/// Sends all that the plan needs. A fault means that nothing was touched anywhere.
pub(super) async fn push(ground: &Arc<Ground>, prepared: &mut Prepared, shelf: &Arc<Shelf>) -> Result<(), Fault> {
    let mut hosts: BTreeMap<HostName, Vec<Errand>> = BTreeMap::new();
    for errand in errands(ground, prepared) {
        hosts.entry(errand.host.clone()).or_default().push(errand);
    }
    let mut tasks = JoinSet::new();
    for (host, errands) in hosts {
        let Some(far) = prepared.survey.far.get(&host).cloned() else { continue };
        tasks.spawn(one_host(ground.clone(), far, errands, shelf.clone()));
    }
    let mut first = Ok(());
    loop {
        let ended = unless_stopped(&ground.stop, tasks.join_next()).await;
        match ended.ok_or(Fault::Interrupted)? {
            None => return first,
            Some(Ok((far, Ok(())))) => _ = prepared.survey.far.insert(far.name.clone(), far),
            Some(Ok((far, Err((image, why))))) => {
                first = first.and(Err(Fault::Push { host: far.name, image, why: Box::new(why) }));
            }
            Some(Err(panicked)) => std::panic::resume_unwind(panicked.into_panic()),
        }
    }
}

fn errands(ground: &Ground, prepared: &Prepared) -> Vec<Errand> {
    let changes = prepared.plan.changes.iter();
    let of = |change: &crate::plan::Change| {
        let push = image::way(&ground.registry.services.get(&change.service)?.kind)?.clone();
        let base = Layout::new(&prepared.survey.seen.get(&change.host)?.facts.base).base().to_owned();
        let mut all: Vec<Errand> = Vec::new();
        // In the order in which they are loaded.
        for step in &change.steps {
            let Step::Load { tag, folder, image: id, .. } = step else { continue };
            let Some(image) = change.images.iter().find(|image| image.id == *id) else { continue };
            let before = all.iter().map(|one| one.image.layers.clone()).collect();
            if all.iter().all(|one| one.image.id != *id) {
                let (host, push, image) = (change.host.clone(), push.clone(), image.clone());
                let (base, folder, tag) = (base.clone(), folder.clone(), tag.clone());
                all.push(Errand { host, push, image, base, folder, tag, before });
            }
        }
        Some(all)
    };
    changes.filter_map(of).flatten().collect()
}

type Told = (Far, Result<(), (String, PushFault)>);

async fn one_host(ground: Arc<Ground>, mut far: Far, errands: Vec<Errand>, shelf: Arc<Shelf>) -> Told {
    if errands.len() > 1
        && let Err(why) = room_for_all(&errands, &far, &shelf).await
    {
        let names: Vec<&str> = errands.iter().map(|errand| errand.image.reference.as_str()).collect();
        return (far, Err((names.join(", "), why)));
    }
    for errand in errands {
        let done = errand.run(&ground, &mut far, &shelf).await;
        if let Err(why) = done {
            return (far, Err((errand.image.reference, why)));
        }
    }
    (far, Ok(()))
}

/// Whether there is room for all of them together: each lies there until it is loaded, and its layers stay.
async fn room_for_all(errands: &[Errand], far: &Far, shelf: &Shelf) -> Result<(), PushFault> {
    let mut all = Vec::new();
    for errand in errands {
        let standing = match errand.look(far, shelf).await {
            // A link that was cut is made anew for the sending itself, which looks again.
            Err(PushFault::Lost(_)) => return Ok(()),
            other => other?,
        };
        let need = standing.need().await?;
        all.push((standing.had, need));
    }
    together(&all)
}

/// Whether there is room for what all of these need. The answer about an image that is there whole tells of no room.
fn together(all: &[(Had, u64)]) -> Result<(), PushFault> {
    let (total, largest) = (all.iter().map(|(_, need)| need).sum(), all.iter().map(|(_, need)| *need).max());
    let rooms = all.iter().map(|(had, _)| had).find(|had| !had.whole);
    rooms.map_or(Ok(()), |had| room(had, total, largest.unwrap_or_default()))
}

/// How an image stands on its host.
struct Standing {
    had: Had,
    /// How many of its lowest layers need not be sent.
    has: usize,
    /// None where nothing is to be sent.
    bundle: Option<Arc<Bundle>>,
}

impl Standing {
    /// How many bytes are to be sent, before they are packed.
    async fn need(&self) -> Result<u64, PushFault> {
        let Some(bundle) = self.bundle.clone() else { return Ok(0) };
        let from = self.has + 1;
        blocking(move || bundle.bytes(from)).await.map_err(PushFault::Read)
    }
}

impl Errand {
    /// Asks and sends until all is there, over as many connections as it takes.
    async fn run(&self, ground: &Ground, far: &mut Far, shelf: &Shelf) -> Result<(), PushFault> {
        let (began, sent) = (Instant::now(), Arc::new(AtomicU64::new(0)));
        let (mut progress, mut give_up) = (Progress::default(), Instant::now() + GIVE_UP);
        loop {
            let before = progress.arrived;
            let turn = self.turn(ground, far, shelf, (&sent, &mut progress)).await;
            let lost = match turn {
                Ok(had) => {
                    let layers = self.image.layers.len() - had;
                    let bytes = sent.load(Ordering::Relaxed);
                    if bytes > 0 {
                        let (reference, seconds) = (&self.image.reference, began.elapsed().as_secs_f64());
                        let of = self.image.layers.len();
                        let text =
                            format!("{reference}: sent {layers} of {of} layers, {bytes} bytes, in {seconds:.1} s");
                        ground.tell(Event::Note { host: Some(far.name.clone()), text });
                    }
                    return Ok(());
                }
                Err(PushFault::Lost(lost)) => lost,
                Err(fault) => return Err(fault),
            };
            // What was handed over may never have arrived; only what the host has is a step forward.
            if progress.arrived > before {
                give_up = Instant::now() + GIVE_UP;
            }
            if Instant::now() > give_up || progress.within.is_some_and(|within| began.elapsed() > within) {
                return Err(PushFault::Lost(lost));
            }
            tokio::time::sleep(AGAIN).await;
            progress.attempt += 1;
            if let Ok(again) = ground.reach(&far.name).await {
                *far = again;
            }
        }
    }

    /// Asks the host what it has of the image.
    async fn look(&self, far: &Far, shelf: &Shelf) -> Result<Standing, PushFault> {
        let ask =
            async { far.link.start(&push::ask(&self.place(), &self.image), true).await?.finish(Vec::new()).await };
        // What a plan wants loaded is hardly ever there, so it is made ready while the host is asked.
        let (reply, bundle) = tokio::join!(ask, shelf.bundle(&self.push, &self.image));
        let reply = reply.map_err(PushFault::Lost)?;
        let Some(mut had) = push::read(&reply.out) else {
            let says = String::from_utf8_lossy(&reply.err).trim().chars().take(300).collect();
            return Err(PushFault::Host(says));
        };
        if let Some(why) = had.blind {
            return Err(PushFault::Blind(why));
        }
        if let Some(host) = had.platform.as_ref().filter(|host| **host != self.image.platform()) {
            return Err(PushFault::Platform { made: self.image.platform(), host: host.clone() });
        }
        if had.partial {
            had.images.extend(self.before.iter().cloned());
        }
        let has = had.layers(&self.image);
        // What was sent whole was cut for what the engine had then; it may have less by now.
        let there = had.whole || had.from.is_some_and(|from| from <= has + 1);
        let bundle = if there { None } else { Some(bundle?) };
        Ok(Standing { had, has, bundle })
    }

    /// One attempt; gives how many layers need not be sent.
    async fn turn(
        &self,
        ground: &Ground,
        far: &Far,
        shelf: &Shelf,
        (sent, progress): (&Arc<AtomicU64>, &mut Progress),
    ) -> Result<usize, PushFault> {
        let standing = self.look(far, shelf).await?;
        let need = standing.need().await?;
        let Standing { had, has, bundle } = standing;
        progress.arrived =
            progress.arrived.max(had.pieces.len() as u64 * push::PIECE + had.parts.values().sum::<u64>());
        let Some(bundle) = bundle else { return Ok(has) };
        room(&had, need, need)?;
        let within = SMALL + Duration::from_secs(need / SLOWEST);
        progress.within.get_or_insert(within);
        let cmd = push::receive(&self.place(), &format!("{}-{}", ground.run, progress.attempt), within);
        let running = far.link.start(&cmd, true).await.map_err(PushFault::Lost)?;
        let load = Load { bundle, from: has + 1, digests: self.image.layers.clone(), had };
        load::send(running, load, sent.clone()).await.map(|()| has)
    }

    fn place(&self) -> Place<'_> {
        Place { base: &self.base, folder: &self.folder, tag: &self.tag }
    }
}

/// What arrives lies in the base folder until it is loaded, and there must be room left for the runs of others. The engine keeps what
/// it reads for a while beside what it makes of it.
fn room(had: &Had, total: u64, largest: u64) -> Result<(), PushFault> {
    let (base, engine) = (had.room.0.as_ref(), had.room.1.as_ref());
    let one = base.zip(engine).is_some_and(|(base, engine)| base.mount == engine.mount);
    let loaded = if total == 0 { 0 } else { total + largest + if one { total + SPARE } else { 0 } };
    let wanted = [(base, if total == 0 { 0 } else { total + SPARE }), (engine, loaded)];
    let short = wanted.into_iter().find_map(|(room, need)| room.filter(|room| room.bytes < need).zip(Some(need)));
    match short {
        Some((room, need)) => Err(PushFault::Room { need, free: room.bytes, mount: room.mount.clone() }),
        None => Ok(()),
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::push::Room;

    #[test]
    fn room_is_wanted_for_all_that_is_sent() {
        let at = |mount: &str, bytes: u64| Some(Room { bytes, mount: mount.into() });
        let had = |base, engine| Had { room: (base, engine), ..Had::default() };
        let short = |had: &Had, total, largest| match room(had, total, largest) {
            Err(PushFault::Room { need, mount, .. }) => Some((need, mount)),
            _ => None,
        };
        // Apart, the engine holds all of it, and reads the largest; together, all of it lies there twice.
        let apart = had(at("/", SPARE + 30), at("/var", 50));
        assert_eq!(short(&apart, 30, 20), None);
        assert_eq!(short(&apart, 31, 20), Some((SPARE + 31, "/".into())));
        assert_eq!(short(&apart, 30, 21), Some((51, "/var".into())));
        let one = had(at("/", SPARE + 80), at("/", SPARE + 80));
        assert_eq!(short(&one, 30, 20), None);
        assert_eq!(short(&one, 30, 21), Some((SPARE + 81, "/".into())));
        assert_eq!(short(&had(at("/", 0), at("/", 0)), 0, 0), None, "what is there needs none");
    }

    #[test]
    fn room_is_asked_together_also_behind_an_image_that_is_there() {
        let there = push::read(b"platform linux/amd64\nhave\nend\n").expect("an answer");
        let lacks = format!("platform linux/amd64\nroom base {} /\nroom engine 1000 /var\nend\n", SPARE + 50);
        let lacks = push::read(lacks.as_bytes()).expect("an answer");
        let fits = |second: u64, third: u64| {
            together(&[(there.clone(), 0), (lacks.clone(), second), (lacks.clone(), third)]).is_ok()
        };
        assert!(fits(20, 30));
        assert!(!fits(20, 31), "each of them would fit alone");
        assert!(together(&[(there.clone(), 0)]).is_ok());
    }
}
