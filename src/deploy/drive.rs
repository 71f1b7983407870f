//! Drives the run on one host: sends it, follows its journal, carries orders. When the link is lost it connects again and goes
//! on from the line that it had; the run on the host does not notice.

use std::io::Read as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::deploy::far::Far;
use crate::deploy::ground::Ground;
use crate::deploy::state::{HostState, Phase};
use crate::deploy::tale::Tale;
use crate::host::run::{self, Compression, HostRun, Opening, Order, Payload, Reader, Tree};
use crate::model::{Event, RunId};
use crate::transport::{Lost, Running, Said};

/// The longest pause between two signs of life. Several fit into the time after which we count as lost.
const SIGN: Duration = Duration::from_secs(5);

/// How long a follower may say nothing. It tells every few seconds that it lives; one that reads from a disk that hangs does not. Longer
/// than a dead link takes to be noticed, and shorter than the host usually waits for a sign of ours.
const SILENT: Duration = Duration::from_secs(20);

/// How long a lost host is tried again where the run itself does not say; by then it has noticed, too.
const GIVE_UP: Duration = Duration::from_secs(30);

/// How long one connection may follow a run.
const FOLLOW: Duration = Duration::from_secs(24 * 3600);

/// Between two attempts to reach a lost host.
const AGAIN: Duration = Duration::from_millis(500);

/// How long the end of a run may take to be told, once all is decided.
pub(super) const END: Duration = Duration::from_secs(60);

/// A connection that held for so long was no dead one: that is noticed sooner.
const DEAD: Duration = Duration::from_secs(15);

/// How often a payload is sent at most.
const SENDINGS: usize = 4;

/// How much of a payload is handed over at once.
const PIECE: usize = 256 << 10;

/// What a drive begins with.
pub(super) struct Start {
    pub run: HostRun,
    pub trees: Vec<Tree>,
    pub compression: Compression,
}

/// An order, and why it is given.
type Told = (Order, Option<&'static str>);

/// A run on one host. Clones are the same drive; when the last is dropped, the host is no longer followed.
#[derive(Clone)]
pub(super) struct Drive {
    run: RunId,
    orders: mpsc::UnboundedSender<Told>,
    state: watch::Receiver<HostState>,
    far: watch::Receiver<Far>,
    _task: Arc<Mutex<JoinSet<()>>>,
}

impl Drive {
    /// Starts the run on the host.
    #[must_use]
    pub(super) fn start(ground: Arc<Ground>, far: Far, start: Start) -> Self {
        let (orders, inbox) = mpsc::unbounded_channel();
        let stages = (1..=start.run.stages.len()).map(|stage| (stage, Phase::default())).collect();
        let (state, watch) = watch::channel(HostState { stages, ..HostState::default() });
        let (far, link) = watch::channel(far);
        let run = start.run.id.clone();
        let mut task = JoinSet::new();
        task.spawn(async move {
            let Start { run, trees, compression } = start;
            let name = far.borrow().name.clone();
            let tale = Tale::new(ground.clone(), name, &run.stages, state);
            let course = Course { run: run.id.clone(), base: run.base.clone(), contact: run.contact, watch: false };
            let heard = Instant::now();
            let road = Road { ground, far, course, inbox, unsent: None, heard, given: Vec::new(), tale };
            road.travel(run, trees, compression).await;
        });
        Self { run, orders, state: watch, far: link, _task: Arc::new(Mutex::new(task)) }
    }

    /// Watches a run that somebody else began, from its beginning. Orders are not carried.
    #[must_use]
    pub(super) fn watch(ground: Arc<Ground>, far: Far, base: &str, run: &RunId) -> Self {
        let (orders, inbox) = mpsc::unbounded_channel();
        let (state, watch) = watch::channel(HostState::default());
        let name = far.name.clone();
        let (far, link) = watch::channel(far);
        let course = Course { run: run.clone(), base: base.to_owned(), contact: None, watch: true };
        let mut task = JoinSet::new();
        task.spawn(async move {
            let tale = Tale::watching(ground.clone(), name, state);
            let (opening, heard) = (course.again(0), Instant::now());
            Road { ground, far, course, inbox, unsent: None, heard, given: Vec::new(), tale }.follow(opening).await;
        });
        Self { run: run.clone(), orders, state: watch, far: link, _task: Arc::new(Mutex::new(task)) }
    }

    /// The run.
    #[must_use]
    pub(super) fn run(&self) -> &RunId {
        &self.run
    }

    /// Gives an order. It is carried as soon as the host can be told; an order twice is an order once.
    pub(super) fn order(&self, order: Order) {
        let _ = self.orders.send((order, None));
    }

    /// Orders a stage to be undone; the reason is told when the host obeys.
    pub(super) fn undo(&self, stage: usize, why: &'static str) {
        let _ = self.orders.send((Order::Undo(stage), Some(why)));
    }

    /// The host by the link that the run is followed on, which is another one when the first was lost.
    #[must_use]
    pub(super) fn far(&self) -> Far {
        self.far.borrow().clone()
    }

    /// The host by the next link, after this one was lost; none when there is none in time.
    pub(super) async fn far_after(&self, lost: &Far) -> Option<Far> {
        let mut far = self.far.clone();
        let next = far.wait_for(|far| !Arc::ptr_eq(&far.link, &lost.link));
        let next = tokio::time::timeout(GIVE_UP, next).await;
        next.ok()?.ok().map(|far| far.clone())
    }

    /// Waits until what is known of the run is as wanted. `wanted` must hold for a run that is over.
    pub(super) async fn until(&self, wanted: impl FnMut(&HostState) -> bool) -> HostState {
        let mut state = self.state.clone();
        // An error means that the drive has ended; what is known then is all that ever will be.
        let reached = state.wait_for(wanted).await.map(|state| state.clone());
        reached.unwrap_or_else(|_| self.now())
    }

    /// What is known now.
    #[must_use]
    pub(super) fn now(&self) -> HostState {
        self.state.borrow().clone()
    }

    /// Waits for the end of the run, at most as long as an end may take.
    pub(super) async fn finished(&self) -> HostState {
        self.finished_within(END).await
    }

    /// Waits for the end of the run, at most this long.
    pub(super) async fn finished_within(&self, time: Duration) -> HostState {
        tokio::time::timeout(time, self.until(HostState::over)).await.unwrap_or_else(|_| self.now())
    }
}

/// The inside of a drive.
struct Road {
    ground: Arc<Ground>,
    far: watch::Sender<Far>,
    course: Course,
    inbox: mpsc::UnboundedReceiver<Told>,
    /// What the host has not said that it has.
    unsent: Option<Opening>,
    /// When something was heard last.
    heard: Instant,
    /// All orders so far; given again when the link was lost, as the host takes each only once.
    given: Vec<Order>,
    tale: Tale,
}

/// Which run is followed, and how.
struct Course {
    run: RunId,
    base: String,
    contact: Option<Duration>,
    /// Whether it is another's run, which takes no orders from us.
    watch: bool,
}

impl Course {
    /// Goes on behind this line of the journal.
    fn again(&self, seen: u64) -> Opening {
        let follow = if self.watch { run::watch } else { run::attach };
        follow(&self.base, &self.run, seen, FOLLOW)
    }
}

/// How one connection's share of the road ended.
enum Leg {
    /// The run is over, or there is nothing to follow.
    Over,
    Lost(Lost),
}

impl Road {
    async fn travel(mut self, run: HostRun, trees: Vec<Tree>, compression: Compression) {
        let made = tokio::task::spawn_blocking(move || run::open(&run, &trees, compression)).await;
        let opening = match made {
            Ok(Ok(opening)) => opening,
            Ok(Err(error)) => return self.tale.refused(&error.to_string()),
            Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
        };
        let host = self.far.borrow().name.clone();
        self.ground.tell(Event::Sending { host, bytes: opening.payload.len() });
        self.follow(opening).await;
    }

    /// Follows to the end, over as many connections as it takes.
    async fn follow(mut self, opening: Opening) {
        self.unsent = (!opening.payload.is_empty()).then(|| opening.clone());
        let mut leg = self.leg(opening).await;
        let patience = self.course.contact.unwrap_or(GIVE_UP);
        let (mut give_up, mut sendings) = (Instant::now() + patience, 1);
        while let Leg::Lost(lost) = leg {
            if Instant::now() > give_up || (self.unsent.is_some() && sendings == SENDINGS) {
                return self.tale.lost(&lost.to_string());
            }
            tokio::time::sleep(AGAIN).await;
            let (before, sent, mut held) = (self.tale.count(), sendings, false);
            let host = self.far.borrow().name.clone();
            leg = match self.ground.reach(&host).await {
                Ok(far) => {
                    self.far.send_replace(far);
                    let opening = match self.unsent.clone() {
                        Some(opening) => {
                            self.tale.sent_again(&lost);
                            sendings += 1;
                            opening
                        }
                        None => self.course.again(before),
                    };
                    let began = Instant::now();
                    let leg = self.leg(opening).await;
                    held = self.heard.saturating_duration_since(began) > patience.max(DEAD);
                    leg
                }
                Err(lost) => Leg::Lost(lost),
            };
            // To send takes its time, too; and a long step has nothing to tell while the link is well.
            if self.tale.count() > before || sent < sendings || held {
                give_up = Instant::now() + patience;
            }
        }
        self.tale.over();
    }

    /// Follows over one connection.
    async fn leg(&mut self, opening: Opening) -> Leg {
        let link = self.far.borrow().link.clone();
        let Running { input, mut output } = match link.start(&opening.cmd, true).await {
            Ok(running) => running,
            Err(lost) => return Leg::Lost(lost),
        };
        // Orders may follow the payload only when the host said that it has it: until then they would be read as a part of it.
        let mut listening = opening.payload.is_empty() && !self.course.watch;
        let _sending = send(input.clone(), opening.payload);
        if listening {
            self.repeat(&input).await;
        }
        let (mut reader, mut errors) = (Reader::default(), Vec::new());
        let pause = self.course.contact.map_or(SIGN, |contact| (contact / 4).min(SIGN));
        // A run that begins counts from its beginning; one that missed us needs a sign at once.
        let first = if listening { Instant::now() } else { Instant::now() + pause };
        let mut sign = tokio::time::interval_at(first, pause);
        self.heard = Instant::now();
        loop {
            tokio::select! {
                // To take in what is sent may take its time.
                () = tokio::time::sleep_until(self.heard + SILENT), if listening || self.course.watch => {
                    return Leg::Lost(Lost::TimedOut { what: "a sign of life of what tells of the run".into(), after: SILENT });
                }
                _ = sign.tick(), if listening => {
                    let _ = input.send(Order::Here.line().into_bytes()).await;
                }
                said = output.recv() => match said {
                    Some(Said::Out(bytes)) => {
                        self.heard = Instant::now();
                        for report in reader.push(&bytes) {
                            if self.tale.hear(report) && !listening {
                                (listening, self.unsent) = (true, None);
                                self.repeat(&input).await;
                            }
                        }
                    }
                    Some(Said::Err(bytes)) => errors.extend(bytes.into_iter().take(4096)),
                    Some(Said::End(_)) if self.tale.is_over() => return Leg::Over,
                    Some(Said::End(_)) => return self.ended(&errors, listening),
                    Some(Said::Lost(lost)) => return Leg::Lost(lost),
                    None => return Leg::Lost(Lost::Link { what: "the command ended without a word".into() }),
                },
                order = self.inbox.recv() => {
                    // All drives gone: nobody wants to know; what the host does without us is its own rule.
                    let Some(told) = order else { return Leg::Over };
                    let line = self.note(told);
                    if listening {
                        let _ = input.send(line).await;
                    }
                }
            }
        }
    }

    /// Keeps an order, to be given again; gives its line.
    fn note(&mut self, (order, why): Told) -> Vec<u8> {
        if let Some(why) = why {
            self.tale.because(why);
        }
        self.given.push(order);
        order.line().into_bytes()
    }

    async fn repeat(&self, input: &mpsc::Sender<Vec<u8>>) {
        for order in &self.given {
            let _ = input.send(order.line().into_bytes()).await;
        }
    }

    /// The follower ended though the run did not.
    fn ended(&mut self, errors: &[u8], listening: bool) -> Leg {
        if listening || self.course.watch {
            return Leg::Lost(Lost::Link { what: "the follower on the host ended".into() });
        }
        let says = String::from_utf8_lossy(errors).trim().to_owned();
        self.tale.refused(if says.is_empty() { "the host did not take the run" } else { &says });
        Leg::Over
    }
}

/// Hands a payload over, beside everything else.
fn send(to: mpsc::Sender<Vec<u8>>, mut payload: Payload) -> JoinSet<()> {
    let mut sending = JoinSet::new();
    sending.spawn_blocking(move || {
        loop {
            let mut piece = vec![0; PIECE];
            // A payload that cannot be read to its end arrives cut, and the host refuses it.
            let Ok(read @ 1..) = payload.read(&mut piece) else { return };
            piece.truncate(read);
            if to.blocking_send(piece).is_err() {
                return;
            }
        }
    });
    sending
}
