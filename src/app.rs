//! Wiring: the registry, the journal, the way to hosts and the clock of this machine, put together for a verb.

mod rescue;

use std::num::NonZero;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_util::sync::CancellationToken;

use crate::deploy::{Ground, Reach};
use crate::engine;
use crate::host::{Hooks, Record};
use crate::journal::{Journal, JournalError, OpenRun, StartOfRun};
use crate::model::{Clock, Event, RunId, hex, sha256};
use crate::plan::{Action, Plan};
use crate::registry::{Host, Mask, Registry};
use crate::transport::ssh::ShownKey;
use crate::transport::{Lost, Options, Pool, Seats};

pub use rescue::{Healers, Leave};

/// How long to wait for a locked host when nobody says otherwise.
pub const WAIT_LOCK: Duration = Duration::from_secs(300);

/// What verbs that talk to hosts are given.
pub struct App {
    pub registry: Arc<Registry>,
    pub journal: Journal,
    pub clock: Arc<dyn Clock>,
    /// `user@machine`.
    pub who: String,
    /// How long to wait for a host that another run has locked.
    pub wait_lock: Duration,
    /// The run that the next one goes on with.
    pub resumes: Option<RunId>,
    /// What must not be shown of what hosts say.
    pub mask: Arc<Mask>,
    pool: Arc<Pool>,
    seats: Seats,
}

impl App {
    /// Puts it together. `options` say how hosts are reached.
    #[must_use]
    pub fn new(registry: Registry, journal: Journal, clock: Arc<dyn Clock>, options: Options) -> Self {
        let who = format!("{}@{}", options.local_user, machine());
        let (registry, pool) = (Arc::new(registry), Arc::new(Pool::new(options)));
        let seats = Seats::new(registry.at_once.unwrap_or_else(at_once));
        let mask = Arc::new(Mask::of(&registry));
        Self { registry, journal, clock, who, wait_lock: WAIT_LOCK, resumes: None, mask, pool, seats }
    }

    /// A new run's id.
    #[must_use]
    pub fn run_id(&self) -> RunId {
        RunId::fresh(self.clock.now())
    }

    /// The key that a host shows now, and what known_hosts says of it.
    pub async fn host_key(&self, host: &Host) -> Result<ShownKey, Lost> {
        self.pool.host_key(host, &self.registry).await
    }

    /// Hands this terminal over to the system's own ssh, for a session on the host; gives its exit code.
    pub async fn hand_over(&self, host: &Host) -> Result<u8, Lost> {
        self.pool.hand_over(host, &self.registry).await
    }

    /// Ends what nobody listens to any more on all hosts, and the connections. It takes some seconds at most.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    /// The ground of a run, and the stream of what happens on it.
    #[must_use]
    pub fn ground(&self, run: &RunId, verb: &str, stop: CancellationToken) -> (Arc<Ground>, UnboundedReceiver<Event>) {
        let (tell, events) = unbounded_channel();
        let (pool, registry) = (self.pool.clone(), self.registry.clone());
        let reach: Reach = Arc::new(move |name| {
            let (pool, registry) = (pool.clone(), registry.clone());
            Box::pin(async move {
                match registry.hosts.get(&name) {
                    Some(host) => pool.connect(host, &registry).await,
                    None => Err(Lost::Resolve { name: name.to_string() }),
                }
            })
        });
        let ground = Ground {
            run: run.clone(),
            verb: verb.to_owned(),
            registry: self.registry.clone(),
            engines: engine::ALL,
            clock: self.clock.clone(),
            keep: self.journal.folder(),
            journal: self.journal.clone(),
            who: self.who.clone(),
            wait_lock: self.wait_lock,
            reach,
            seats: self.seats.clone(),
            tell,
            begun: AtomicBool::new(false),
            mask: self.mask.clone(),
            stop,
            guest: None,
        };
        (Arc::new(ground), events)
    }

    /// Opens a run in the journal.
    pub fn begin(&self, id: &RunId, verb: &str, request: serde_json::Value) -> Result<OpenRun, JournalError> {
        self.journal.begin_run(&StartOfRun {
            id: id.clone(),
            verb: verb.into(),
            who: self.who.clone(),
            registry: Some(self.registry.file.display().to_string()),
            environment: self.registry.environment.clone(),
            request,
            digest: digest(&self.registry.file),
            resumes: self.resumes.clone(),
        })
    }
}

impl App {
    /// Keeps what the releases of a plan are, those that are there and those that come, so that history can show and
    /// compare them.
    pub fn remember(&self, run: &RunId, plan: &Plan) -> Result<(), JournalError> {
        let moving = plan.changes.iter().filter(|change| change.action != Action::Nothing);
        for record in moving.flat_map(|change| change.before_record.iter().chain([&change.record])) {
            self.journal.record_release(run, &masked(record, &self.mask))?;
        }
        Ok(())
    }
}

/// Writes what happens into the journal and hands it on. A journal that cannot be written is said once and stops nothing.
pub async fn record(run: &OpenRun, mut events: UnboundedReceiver<Event>, onward: UnboundedSender<Event>) {
    let mut said = false;
    while let Some(event) = events.recv().await {
        if let Err(error) = run.tell(&event)
            && !said
        {
            said = true;
            let text = format!("the journal cannot be written: {error}");
            let _ = onward.send(Event::Note { host: None, text });
        }
        let last = matches!(event, Event::Finished { .. });
        let _ = onward.send(event);
        if last {
            break;
        }
    }
}

/// A record as this machine keeps it. The host's own holds what its checks send; here it is kept for people to read.
fn masked(record: &Record, mask: &Mask) -> Record {
    let masked = serde_json::to_value(record).map(|mut value| {
        mask.json(&mut value);
        value
    });
    // Masked texts are texts, so that it can be read again.
    let bare = || Record { checks: Vec::new(), units: Vec::new(), hooks: Hooks::default(), ..record.clone() };
    masked.and_then(serde_json::from_value).unwrap_or_else(|_| bare())
}

/// The SHA-256 of a registry's file, in hexadecimal; none when it cannot be read any more.
#[must_use]
pub fn digest(file: &Path) -> Option<String> {
    let text = std::fs::read(file).ok()?;
    Some(hex(&sha256(&text)))
}

/// How many hosts are visited at once when the registry does not say: what this machine's processors can compute for.
fn at_once() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get).saturating_mul(16).clamp(32, 256)
}

/// This machine's name.
fn machine() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}
