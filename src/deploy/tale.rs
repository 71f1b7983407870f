//! What a run's journal tells, line by line: into the state that a walk waits on, and into events for those who watch.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::watch;

use crate::deploy::ground::Ground;
use crate::deploy::state::{HostEnd, HostState, Lock, Phase};
use crate::host::cause::{cause, distinct};
use crate::host::run::{About, End, Entry, Happened, Holder, Report, Stage, Why};
use crate::model::{Event, HostName, Outcome, RunId, ServiceName};
use crate::transport::Lost;

/// The reader of one host's run.
pub(super) struct Tale {
    ground: Arc<Ground>,
    host: HostName,
    /// What each stage is about, by number from 1.
    stages: BTreeMap<usize, About>,
    /// When each stage began, for one who watches; no walk tells the rest of the story then.
    began: Option<BTreeMap<usize, Timestamp>>,
    state: watch::Sender<HostState>,
    /// The number of the last line of the journal that was heard.
    count: u64,
    /// A step that failed, whose evidence is still being told: its stage, what it was, its exit code.
    failure: Option<(usize, String, u32)>,
    evidence: Vec<String>,
    /// What the last step was.
    step: String,
    /// Why what is undone by our order is undone.
    because: Option<&'static str>,
}

impl Tale {
    pub(super) fn new(ground: Arc<Ground>, host: HostName, stages: &[Stage], state: watch::Sender<HostState>) -> Self {
        let about = |stage: &Stage| About {
            service: stage.service.clone(),
            steps: stage.steps.len(),
            before: stage.expect.clone(),
            release: stage.release.clone(),
        };
        let stages = (1..).zip(stages.iter().map(about)).collect();
        let (failure, evidence, step) = (None, Vec::new(), String::new());
        Self { ground, host, stages, began: None, state, count: 0, failure, evidence, step, because: None }
    }

    /// The reader of a run of which only the host knows what it is about.
    pub(super) fn watching(ground: Arc<Ground>, host: HostName, state: watch::Sender<HostState>) -> Self {
        Self { began: Some(BTreeMap::new()), ..Self::new(ground, host, &[], state) }
    }

    /// The number of the last line that was heard; an attach goes on behind it.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// Whether the run has ended on the host.
    pub(super) fn is_over(&self) -> bool {
        self.state.borrow().over()
    }

    /// From now on, what the host undoes by our order is undone for this reason.
    pub(super) fn because(&mut self, why: &'static str) {
        self.because = Some(why);
    }

    /// The host did not take the run; nothing was touched.
    pub(super) fn refused(&mut self, why: &str) {
        self.end(HostEnd::Refused(why.to_owned()));
    }

    /// The link was lost before the host had said that it has all.
    pub(super) fn sent_again(&self, lost: &Lost) {
        let text = format!("{lost}, before all had arrived; it is sent again");
        self.ground.tell(Event::Note { host: Some(self.host.clone()), text });
    }

    /// The host cannot be followed any more.
    pub(super) fn lost(&mut self, why: &str) {
        self.state.send_modify(|state| state.lost = Some(why.to_owned()));
    }

    /// Nothing more will be heard.
    pub(super) fn over(&mut self) {
        if !self.is_over() {
            self.lost("the run was not followed to its end");
        }
    }

    /// Hears one report; true when it says that the payload has arrived.
    pub(super) fn hear(&mut self, report: Report) -> bool {
        match report {
            Report::Received => return true,
            Report::Refused(why) => self.refused(&why),
            Report::Unknown => self.refused("the host has no such run any more"),
            Report::Orphaned => self.end(HostEnd::Orphaned),
            Report::Noise(_) | Report::Lives => {}
            Report::Told(entry) => {
                // After a lost link the follower may repeat what we know. Line 0 is the host's record of the end.
                if entry.line == 0 || entry.line > self.count {
                    self.count = self.count.max(entry.line);
                    self.take(entry);
                }
            }
        }
        false
    }

    fn take(&mut self, Entry { at, event, .. }: Entry) {
        if let Happened::Evidence(line) = event {
            self.evidence.push(line);
            return;
        }
        self.conclude();
        match event {
            Happened::Queued { ticket } => self.state.send_modify(|state| state.ticket = Some(ticket)),
            Happened::Waiting(holder) => self.waiting(&holder),
            Happened::Locked { .. } => {
                self.ground.tell(Event::Locked { host: self.host.clone() });
                self.state.send_modify(|state| state.lock = Lock::Ours);
            }
            Happened::Settling { run } => self.ground.tell(Event::Settling { host: self.host.clone(), run }),
            Happened::Settled { run, end } => {
                let outcome = outcome(end);
                self.ground.tell(Event::Settled { host: self.host.clone(), run, outcome });
            }
            Happened::Stage { stage, about } => self.begins(stage, about, at),
            Happened::Begin { stage, step, what } => {
                self.phase(stage, Phase::Working);
                self.step.clone_from(&what);
                self.about(stage, |host, service, of| Event::Step { host, service, number: step, of, what });
            }
            Happened::Failed { stage, code, .. } => self.failure = Some((stage, self.step.clone(), code)),
            Happened::UndoFailed { stage, step, code } => {
                self.failure = Some((stage, format!("undo step {step}"), code));
            }
            Happened::Switched { stage } => {
                self.phase(stage, Phase::Switched);
                if self.began.is_some()
                    && let Some(About { service, release, .. }) = self.stages.get(&stage).cloned()
                {
                    self.ground.tell(Event::Switched { host: self.host.clone(), service, release });
                }
            }
            Happened::Kept { stage, proven } => {
                self.phase(stage, Phase::Kept);
                self.kept(stage, proven, at);
            }
            Happened::Undoing { stage, why } => {
                self.phase(stage, Phase::Undoing);
                let why = match why {
                    Why::Ordered => self.because.unwrap_or_else(|| reason(why)),
                    _ => reason(why),
                };
                let why = why.to_owned();
                self.about(stage, |host, service, _| Event::Undoing { host, service, why });
            }
            Happened::Undone { stage } => self.phase(stage, Phase::Undone),
            Happened::Stuck { stage } => self.phase(stage, Phase::UndoFailed),
            Happened::Note(text) => self.ground.tell(Event::Note { host: Some(self.host.clone()), text }),
            Happened::End(end) => self.end(ended(end)),
            Happened::Run { .. }
            | Happened::Stale { .. }
            | Happened::Done { .. }
            | Happened::Late { .. }
            | Happened::Evidence(_) => {}
        }
    }

    /// What the host says of a stage counts only where nobody here made the plan.
    fn begins(&mut self, stage: usize, about: Option<About>, at: Timestamp) {
        let (Some(began), Some(about)) = (&mut self.began, about) else { return };
        began.insert(stage, at);
        let (host, service, release) = (self.host.clone(), about.service.clone(), about.before.clone());
        self.ground.tell(Event::Found { host, service, release });
        self.state.send_modify(|state| _ = state.abouts.insert(stage, about.clone()));
        self.stages.insert(stage, about);
        self.phase(stage, Phase::Working);
    }

    fn kept(&mut self, stage: usize, proven: bool, at: Timestamp) {
        let Some(began) = &self.began else { return };
        self.state.send_modify(|state| _ = proven && state.proven.insert(stage));
        let took = began.get(&stage).and_then(|began| at.duration_since(*began).try_into().ok()).unwrap_or_default();
        self.about(stage, |host, service, _| match proven {
            true => Event::Proven { host, service, took },
            false => Event::Note {
                host: Some(host),
                text: format!("{service} was kept without a verdict, as its policy says for a lost contact"),
            },
        });
    }

    fn waiting(&mut self, holder: &Holder) {
        let text = holder.to_string();
        self.ground.tell(Event::Waiting { host: self.host.clone(), holder: text.clone() });
        let run = RunId::try_from(holder.run.as_str()).ok();
        self.state.send_modify(|state| {
            state.lock = Lock::Waiting { holder: text, run };
            state.queued = true;
        });
    }

    /// A failure is told when its evidence is complete.
    fn conclude(&mut self) {
        let Some((stage, what, code)) = self.failure.take() else { return };
        let evidence = std::mem::take(&mut self.evidence);
        self.about(stage, |host, service, _| {
            let port = self.ground.registry.services.get(&service).and_then(|service| service.port);
            let (says, hint) = match cause(&evidence, port) {
                Some(cause) => (cause.says, Some(cause.hint)),
                None => (format!("exit code {code}"), None),
            };
            let (error, evidence) = (format!("{what}: {says}"), distinct(evidence, port));
            Event::Failed { host, service: Some(service), error, hint, evidence }
        });
    }

    fn end(&mut self, end: HostEnd) {
        self.conclude();
        self.state.send_modify(|state| state.end = Some(end));
    }

    fn phase(&mut self, stage: usize, phase: Phase) {
        if self.stages.contains_key(&stage) {
            self.state.send_modify(|state| _ = state.stages.insert(stage, phase));
        }
    }

    fn about(&self, stage: usize, event: impl FnOnce(HostName, ServiceName, usize) -> Event) {
        if let Some(About { service, steps, .. }) = self.stages.get(&stage) {
            self.ground.tell(event(self.host.clone(), service.clone(), *steps));
        }
    }
}

fn reason(why: Why) -> &'static str {
    match why {
        Why::Failed => "a step failed",
        Why::Ordered => "it was not proven",
        Why::Late => "no verdict came in time",
        Why::Stop => "the run was stopped",
        Why::Settled => "its run had stopped in the middle",
    }
}

fn ended(end: End) -> HostEnd {
    match end {
        End::Committed | End::RolledBack | End::Nothing => HostEnd::Done,
        End::RollbackFailed => HostEnd::UndoFailed,
        End::Stale => HostEnd::Stale,
        End::LockTimeout => HostEnd::LockTimeout,
    }
}

fn outcome(end: End) -> Outcome {
    match end {
        End::Committed => Outcome::Committed,
        End::RolledBack => Outcome::RolledBack,
        End::RollbackFailed => Outcome::RollbackFailed,
        End::Stale | End::LockTimeout | End::Nothing => Outcome::NotTouched,
    }
}
