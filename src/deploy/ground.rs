//! What every part of a deploy stands on: the registry, the engines, the way to hosts, the stream of events.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::UnboundedSender;
use tokio_util::sync::CancellationToken;

use crate::deploy::far::Far;
use crate::journal::Journal;
use crate::model::{Clock, Event, HostName, RunId};
use crate::plan::Engine;
use crate::registry::{Mask, Registry};
use crate::transport::{Lost, Patience, Seat, Seats, Transport};

/// How long a guest waits for a host on which it is none: the one that let it in waits, too.
const GUEST: Duration = Duration::from_secs(20);

/// Opens the way to a host, or gives the one that stands.
pub type Reach = Arc<dyn Fn(HostName) -> Reaching + Send + Sync>;

/// A way to a host that is being opened.
pub type Reaching = Pin<Box<dyn Future<Output = Result<Arc<dyn Transport>, Lost>> + Send>>;

/// The ground of one run.
pub struct Ground {
    pub run: RunId,
    /// The verb that the user gave.
    pub verb: String,
    pub registry: Arc<Registry>,
    pub engines: &'static [&'static dyn Engine],
    pub clock: Arc<dyn Clock>,
    /// The folder of this machine where what is fetched is kept; none where nothing can be kept.
    pub keep: Option<PathBuf>,
    /// What this machine remembers.
    pub journal: Journal,
    /// `user@machine`, as locks and records name the one who runs this.
    pub who: String,
    /// How long to wait for a host that another run has locked.
    pub wait_lock: Duration,
    pub reach: Reach,
    /// For the hosts that are visited at once.
    pub seats: Seats,
    pub tell: UnboundedSender<Event>,
    /// Whether it was told that the run begins.
    pub begun: AtomicBool,
    /// What must not be shown of what hosts say.
    pub mask: Arc<Mask>,
    /// Cancelled when the user wants the run to end in good order.
    pub stop: CancellationToken,
    /// The run in whose locks this one works, where it has them.
    pub guest: Option<Guest>,
}

/// A run that waits for its verdict, and lets others work within its locks.
#[derive(Clone, Debug)]
pub struct Guest {
    pub of: RunId,
    pub hosts: BTreeSet<HostName>,
}

impl Ground {
    /// Tells what happened, without what must not be shown: all that is said of a run goes through here. When nobody listens any
    /// more, the run goes on all the same.
    pub fn tell(&self, mut event: Event) {
        event.each_text(|text| *text = self.mask.text(text));
        let _ = self.tell.send(event);
    }

    /// The same ground where nothing is told, for questions that are no part of the story.
    #[must_use]
    pub(crate) fn hushed(&self) -> Arc<Self> {
        Arc::new(self.silent())
    }

    /// The same ground for one who wants to hear what is told before anybody else does, and tells it on.
    #[must_use]
    pub(crate) fn overheard(&self) -> (Arc<Self>, tokio::sync::mpsc::UnboundedReceiver<Event>) {
        let (tell, events) = tokio::sync::mpsc::unbounded_channel();
        (Arc::new(Self { tell, ..self.silent() }), events)
    }

    /// The same ground within the locks of a run that waits, where nothing is told but by that run.
    #[must_use]
    pub(crate) fn guest(&self, guest: Guest) -> Arc<Self> {
        Arc::new(Self { guest: Some(guest), wait_lock: self.wait_lock.min(GUEST), ..self.silent() })
    }

    fn silent(&self) -> Self {
        Self {
            run: self.run.clone(),
            verb: self.verb.clone(),
            registry: self.registry.clone(),
            engines: self.engines,
            clock: self.clock.clone(),
            keep: self.keep.clone(),
            journal: self.journal.clone(),
            who: self.who.clone(),
            wait_lock: self.wait_lock,
            reach: self.reach.clone(),
            seats: self.seats.clone(),
            tell: tokio::sync::mpsc::unbounded_channel().0,
            begun: AtomicBool::new(false),
            mask: self.mask.clone(),
            stop: self.stop.clone(),
            guest: self.guest.clone(),
        }
    }

    /// The run in whose lock this one works on the host, if it is a guest there.
    #[must_use]
    pub(crate) fn within(&self, host: &HostName) -> Option<&RunId> {
        self.guest.as_ref().filter(|guest| guest.hosts.contains(host)).map(|guest| &guest.of)
    }

    /// A host in reach.
    pub async fn reach(&self, host: &HostName) -> Result<Far, Lost> {
        let link = (self.reach)(host.clone()).await?;
        let platform = self.registry.hosts.get(host).map(|host| host.platform).unwrap_or_default();
        Ok(Far::new(host.clone(), link, platform))
    }

    /// A host in reach, when it is its turn: hosts are many, and only so many are visited at once.
    ///
    /// # Errors
    /// Why the host cannot be had.
    pub(crate) async fn visit(&self, host: &HostName) -> Result<(Far, Visit), Lost> {
        let mut seat = self.seats.take().await;
        let began = Instant::now();
        let far = seat.hold(self.seats.answers.now(), self.reach(host)).await?;
        self.seats.answers.learn(began.elapsed());
        if !seat.is_held() {
            seat = self.seats.again().await;
        }
        Ok((far, Visit { began, seat, patience: self.seats.visits.clone() }))
    }

    /// Whether other hosts of the registry are reached through it.
    pub(crate) fn leads_on(&self, host: &HostName) -> bool {
        self.registry.hosts.values().any(|other| other.jump.contains(host))
    }

    /// Ends the connections in good order. Those that a guest found stay open for the run that let it in.
    pub async fn part(&self, far: &BTreeMap<HostName, Far>) {
        for (host, far) in far {
            if self.within(host).is_none() {
                far.part().await;
            }
        }
    }
}

/// What the work comes to; none when somebody wishes the run to stop. Where both come together, the wish wins: what was cut short may
/// look like a failure.
pub async fn unless_stopped<T>(stop: &CancellationToken, work: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        () = stop.cancelled() => None,
        ended = work => Some(ended),
    }
}

/// A host whose turn it is.
pub(crate) struct Visit {
    /// When its turn came.
    pub began: Instant,
    seat: Seat,
    patience: Arc<Patience>,
}

impl Visit {
    /// Does what there is to do on the host. The next one's turn comes when it is done.
    pub(crate) async fn work<T>(mut self, work: impl Future<Output = T>) -> T {
        let began = Instant::now();
        let done = self.seat.hold(self.patience.now(), work).await;
        self.patience.learn(began.elapsed());
        done
    }
}
