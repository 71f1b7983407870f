//! Brings to each host what its engine lacks of the images that a plan has loaded there, before any lock is taken. Nothing that
//! runs is touched. When the link is cut, what arrived is not sent again.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tar::{Builder, EntryType, Header};
use tokio::sync::mpsc::Sender;
use tokio::task::JoinSet;

use crate::deploy::far::Far;
use crate::deploy::fault::Fault;
use crate::deploy::ground::Ground;
use crate::deploy::image::{self, Bundle, ImageFault, Shelf};
use crate::deploy::prepare::Prepared;
use crate::host::Layout;
use crate::host::cause::cause;
use crate::host::push::{self, Had, Image, Place, file};
use crate::model::{Event, FailureKind, HostName, Step};
use crate::registry::Push;
use crate::transport::{End, Lost, Running, Said};

/// How long a host is tried again without anything more having arrived.
const GIVE_UP: Duration = Duration::from_secs(60);

/// Between two attempts.
const AGAIN: Duration = Duration::from_millis(500);

/// What stays free in the base folder.
const SPARE: u64 = 64 << 20;

/// How much is handed over at once.
const PIECE: usize = 256 << 10;

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
    /// How many files the host said that it has.
    arrived: usize,
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
        let ended = tokio::select! {
            ended = tasks.join_next() => ended,
            () = ground.stop.cancelled() => return Err(Fault::Interrupted),
        };
        match ended {
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
        let one = |image: &Image| {
            let load = |step: &Step| match step {
                Step::Load { tag, folder, image: id, .. } if *id == image.id => Some((tag.clone(), folder.clone())),
                _ => None,
            };
            let (tag, folder) = change.steps.iter().find_map(load)?;
            let (host, push, base) = (change.host.clone(), push.clone(), base.clone());
            Some(Errand { host, push, image: image.clone(), base, folder, tag })
        };
        Some(change.images.iter().filter_map(one).collect::<Vec<_>>())
    };
    changes.filter_map(of).flatten().collect()
}

type Told = (Far, Result<(), (String, PushFault)>);

async fn one_host(ground: Arc<Ground>, mut far: Far, errands: Vec<Errand>, shelf: Arc<Shelf>) -> Told {
    for errand in errands {
        let done = errand.run(&ground, &mut far, &shelf).await;
        if let Err(why) = done {
            return (far, Err((errand.image.reference, why)));
        }
    }
    (far, Ok(()))
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

    /// One attempt; gives how many layers the engine had.
    async fn turn(
        &self,
        ground: &Ground,
        far: &Far,
        shelf: &Shelf,
        (sent, progress): (&Arc<AtomicU64>, &mut Progress),
    ) -> Result<usize, PushFault> {
        let place = Place { base: &self.base, folder: &self.folder, tag: &self.tag };
        let ask = async { far.link.start(&push::ask(&place, &self.image), true).await?.finish(Vec::new()).await };
        // What a plan wants loaded is hardly ever there, so it is made ready while the host is asked.
        let (reply, bundle) = tokio::join!(ask, shelf.bundle(&self.push, &self.image));
        let reply = reply.map_err(PushFault::Lost)?;
        let Some(had) = push::read(&reply.out) else {
            let says = String::from_utf8_lossy(&reply.err).trim().chars().take(300).collect();
            return Err(PushFault::Host(says));
        };
        if let Some(why) = had.blind {
            return Err(PushFault::Blind(why));
        }
        if let Some(host) = had.platform.as_ref().filter(|host| **host != self.image.platform()) {
            return Err(PushFault::Platform { made: self.image.platform(), host: host.clone() });
        }
        let has = had.layers(&self.image);
        progress.arrived = progress.arrived.max(had.pieces.len());
        // What was sent whole was cut for what the engine had then; it may have less by now.
        if had.whole || had.from.is_some_and(|from| from <= has + 1) {
            return Ok(has);
        }
        let bundle = bundle?;
        let need = {
            let bundle = bundle.clone();
            blocking(move || bundle.bytes(has + 1)).await.map_err(PushFault::Read)?
        };
        self.room(&had, need)?;
        let within = SMALL + Duration::from_secs(need / SLOWEST);
        progress.within.get_or_insert(within);
        let cmd = push::receive(&place, &format!("{}-{}", ground.run, progress.attempt), within);
        let running = far.link.start(&cmd, true).await.map_err(PushFault::Lost)?;
        let load = Load { bundle, from: has + 1, digests: self.image.layers.clone(), had };
        send(running, load, sent.clone()).await.map(|()| has)
    }

    /// What arrives lies in the base folder until it is loaded, and there must be room left for the runs of others. The engine
    /// keeps what it reads for a while beside what it makes of it.
    fn room(&self, had: &Had, need: u64) -> Result<(), PushFault> {
        let (base, engine) = (had.room.0.as_ref(), had.room.1.as_ref());
        let one = base.zip(engine).is_some_and(|(base, engine)| base.mount == engine.mount);
        let wanted = [(base, need + SPARE), (engine, need * 2 + if one { need + SPARE } else { 0 })];
        let short = wanted.into_iter().find_map(|(room, need)| room.filter(|room| room.bytes < need).zip(Some(need)));
        match short {
            Some((room, need)) => Err(PushFault::Room { need, free: room.bytes, mount: room.mount.clone() }),
            None => Ok(()),
        }
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
    }
}

/// Sends an archive, and waits until the host has it.
async fn send(running: Running, load: Load, sent: Arc<AtomicU64>) -> Result<(), PushFault> {
    let Running { input, mut output } = running;
    let mut writing = JoinSet::new();
    writing.spawn_blocking(move || load.write(Pipe { to: input, sent, held: Vec::new() }));
    let (mut out, mut end) = (Vec::new(), None);
    while let Some(said) = output.recv().await {
        match said {
            Said::Out(bytes) | Said::Err(bytes) => out.extend(bytes.into_iter().take(4096)),
            Said::End(code) => end = Some(Ok(code)),
            Said::Lost(lost) => end = Some(Err(lost)),
        }
    }
    // Nobody reads any more, so the writer ends, too.
    drop(output);
    let written = match writing.join_next().await {
        Some(Err(panicked)) => std::panic::resume_unwind(panicked.into_panic()),
        Some(Ok(written)) => written,
        None => Ok(()),
    };
    match (end, written) {
        (Some(Ok(End::Code(0))), Ok(())) => Ok(()),
        (_, Err(error)) if error.kind() != io::ErrorKind::BrokenPipe => Err(PushFault::Read(error)),
        (Some(Ok(_)), _) => Err(PushFault::Host(String::from_utf8_lossy(&out).trim().replace('\n', "; "))),
        (Some(Err(lost)), _) => Err(PushFault::Lost(lost)),
        (None, _) => Err(PushFault::Lost(Lost::Link { what: "the command ended without a word".into() })),
    }
}

/// What is sent in one attempt.
struct Load {
    bundle: Arc<Bundle>,
    /// The first layer that the engine lacks, counted from 1.
    from: usize,
    digests: Vec<String>,
    had: Had,
}

impl Load {
    /// Writes what the host lacks: the pieces, in the order in which they are loaded; then the list of them, and what the engine
    /// must know of the whole.
    fn write(self, pipe: Pipe) -> io::Result<()> {
        let mut archive = Builder::new(pipe);
        let mut parts = String::new();
        for (member, pieces) in self.bundle.members(self.from)? {
            for number in 0..pieces {
                let name = image::name(member, number);
                let pack = match self.had.piece(&name) {
                    Some(pack) => pack,
                    None => {
                        let pack = self.had.pack;
                        let bytes = self.bundle.piece(member, number, pack)?;
                        put(&mut archive, &file(&name, pack), &bytes)?;
                        put(&mut archive, &format!("{}.ok", file(&name, pack)), &[])?;
                        pack
                    }
                };
                let _ = writeln!(parts, "{} {}", pack.word(), file(&name, pack));
            }
        }
        let titles: Vec<String> =
            (1..=self.digests.len()).map(|layer| format!("\"{}\"", image::title(layer))).collect();
        put(&mut archive, "layers", titles.join(",").as_bytes())?;
        put(&mut archive, "digests", serde_json::to_string(&self.digests)?.as_bytes())?;
        put(&mut archive, "parts", parts.as_bytes())?;
        put(&mut archive, "whole", format!("{}\n", self.from).as_bytes())?;
        archive.into_inner()?.flush()
    }
}

fn put(archive: &mut Builder<Pipe>, name: &str, bytes: &[u8]) -> io::Result<()> {
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Regular);
    header.set_mode(0o600);
    header.set_size(bytes.len() as u64);
    archive.append_data(&mut header, name, bytes)
}

/// The standard input of the command on the host. Small writes are gathered: each that is handed over costs a message.
struct Pipe {
    to: Sender<Vec<u8>>,
    sent: Arc<AtomicU64>,
    held: Vec<u8>,
}

impl io::Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.held.extend(bytes);
        if self.held.len() >= PIECE {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let held = std::mem::take(&mut self.held);
        let len = held.len() as u64;
        if len > 0 {
            self.to.blocking_send(held).map_err(|_| io::ErrorKind::BrokenPipe)?;
            self.sent.fetch_add(len, Ordering::Relaxed);
        }
        Ok(())
    }
}
