//! The wire format of a run: orders that go in, reports that come out. What cannot be read is `Noise`.

use jiff::Timestamp;

use crate::host::run::line::decode;
use crate::model::{ReleaseId, RunId, ServiceName};

/// What a line of ours begins with; every other line is noise of the host's login files.
const MARK: &str = "@run ";

/// An order to a run. Stages are counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The controller is there. Said every few seconds where the run has a `contact`.
    Here,
    /// The stage may begin.
    Go(usize),
    /// The stage is proven.
    Keep(usize),
    /// Take the stage back; also one that was kept, until `Finish`.
    Undo(usize),
    /// No stage will be taken back any more, and no other will begin.
    Finish,
    /// Stop at the next boundary of a step; take the unproven stage back, and end.
    Stop,
}

impl Order {
    /// The line to send.
    #[must_use]
    pub fn line(self) -> String {
        match self {
            Self::Here => "here\n".into(),
            Self::Go(stage) => format!("go {stage}\n"),
            Self::Keep(stage) => format!("keep {stage}\n"),
            Self::Undo(stage) => format!("undo {stage}\n"),
            Self::Finish => "finish\n".into(),
            Self::Stop => "stop\n".into(),
        }
    }
}

/// What a host says about a run.
#[derive(Clone, Debug, PartialEq)]
pub enum Report {
    /// The payload arrived whole. From now on orders may be sent.
    Received,
    /// The follower lives, and has nothing to tell.
    Lives,
    /// The host did not take the payload, and did nothing.
    Refused(String),
    /// There is no such run.
    Unknown,
    /// The runner is dead, and the run has no end. It will be settled by the next one.
    Orphaned,
    /// A line of the run's journal.
    Told(Entry),
    /// A line that is not ours, or not readable.
    Noise(String),
}

/// A line of a run's journal.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Counted from 1. 0 when the line was not in the journal but follows from the host's record of the end.
    pub line: u64,
    /// When, by the host's clock.
    pub at: Timestamp,
    pub event: Happened,
}

/// What happened in a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Happened {
    /// The runner began.
    Run {
        stages: usize,
        who: String,
    },
    /// It has a place in the queue. The ticket can be given to the next attempt (`HostRun::ticket`).
    Queued {
        ticket: String,
    },
    /// The lock is held, or others came before.
    Waiting(Holder),
    /// The lock is ours: its generation.
    Locked {
        generation: u64,
    },
    /// An earlier run that stopped in the middle is being brought to its end.
    Settling {
        run: RunId,
    },
    /// It is at its end.
    Settled {
        run: RunId,
        end: End,
    },
    /// `current` of this stage's service is not what was expected: the release that was found, if any.
    Stale {
        stage: usize,
        found: String,
    },
    /// The stage begins: what it is about. Nothing of it when an earlier portoser wrote the line.
    Stage {
        stage: usize,
        about: Option<About>,
    },
    /// The step begins: what is done, for a person.
    Begin {
        stage: usize,
        step: usize,
        what: String,
    },
    Done {
        stage: usize,
        step: usize,
    },
    /// The step failed with this exit code; lines of evidence follow.
    Failed {
        stage: usize,
        step: usize,
        code: u32,
    },
    /// One line that the step before said.
    Evidence(String),
    /// All steps are done; the verdict is awaited.
    Switched {
        stage: usize,
    },
    /// No verdict came in time.
    Late {
        stage: usize,
    },
    /// The stage stays: because it is proven, or because contact was lost and its policy says so.
    Kept {
        stage: usize,
        proven: bool,
    },
    /// The stage is being taken back.
    Undoing {
        stage: usize,
        why: Why,
    },
    /// An undo failed twice; lines of evidence follow, and the other undos go on.
    UndoFailed {
        stage: usize,
        step: usize,
        code: u32,
    },
    /// The stage could not be taken back whole.
    Stuck {
        stage: usize,
    },
    /// The stage is as it was before.
    Undone {
        stage: usize,
    },
    /// Something worth saying.
    Note(String),
    /// The run is over, and the lock free.
    End(End),
}

/// What a stage is about, for those who have not made the plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    pub service: ServiceName,
    /// How many steps it has.
    pub steps: usize,
    /// The release that is there before.
    pub before: Option<ReleaseId>,
    /// The release that is to be there afterwards; none where no release comes.
    pub release: Option<ReleaseId>,
}

/// Why a stage is taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// A step failed.
    Failed,
    /// The controller said so.
    Ordered,
    /// No verdict came in time.
    Late,
    /// The run was told to stop.
    Stop,
    /// The runner had died, and a later run found the stage open.
    Settled,
}

/// How a run ended on a host: the worst that happened to any of its stages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Stages were kept, and none was taken back.
    Committed,
    /// A stage was taken back, and all that was taken back is as before.
    RolledBack,
    /// A stage could not be taken back whole.
    RollbackFailed,
    /// The host was not as the plan expected; nothing was touched.
    Stale,
    /// The lock could not be had in time; nothing was touched.
    LockTimeout,
    /// No stage was begun.
    Nothing,
}

/// Who holds the lock of a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    pub run: String,
    /// Since when, by the host's clock.
    pub since: Option<Timestamp>,
    /// `user@machine`, or `next in the queue`.
    pub who: String,
}

impl std::fmt::Display for Holder {
    /// Who, which run, since when: what a person who waits wants to know.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.run, self.who)?;
        match self.since {
            Some(since) => write!(f, " since {since:.0}"),
            None => Ok(()),
        }
    }
}

impl Holder {
    /// Reads the line of a lease: run, seconds since 1970, who.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut words = text.trim().splitn(3, ' ');
        let run = words.next().filter(|run| !run.is_empty())?;
        let since = words.next()?.parse().ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
        Some(Self { run: run.into(), since, who: decode(words.next().unwrap_or_default()) })
    }
}

impl End {
    const ALL: [(Self, &'static str); 6] = [
        (Self::Committed, "committed"),
        (Self::RolledBack, "rolled-back"),
        (Self::RollbackFailed, "rollback-failed"),
        (Self::Stale, "stale"),
        (Self::LockTimeout, "lock-timeout"),
        (Self::Nothing, "nothing"),
    ];

    pub(crate) fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().find(|end| end.1 == text).map(|end| end.0)
    }
}

impl Report {
    /// Reads one line, without its newline. Never fails: what is not ours is `Noise`.
    #[must_use]
    pub fn parse(line: &str) -> Self {
        let read = || {
            let rest = line.strip_prefix(MARK)?;
            match rest.strip_prefix("- ") {
                Some(own) => follower(own),
                None => entry(rest).map(Self::Told),
            }
        };
        read().unwrap_or_else(|| Self::Noise(line.to_owned()))
    }
}

fn follower(text: &str) -> Option<Report> {
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    Some(match word {
        "received" => Report::Received,
        "lives" => Report::Lives,
        "refused" => Report::Refused(rest.to_owned()),
        "unknown" => Report::Unknown,
        "orphaned" => Report::Orphaned,
        "end" => Report::Told(Entry { line: 0, at: Timestamp::UNIX_EPOCH, event: Happened::End(End::parse(rest)?) }),
        _ => return None,
    })
}

/// Reads a line of the journal itself.
#[must_use]
pub fn entry(text: &str) -> Option<Entry> {
    let (line, rest) = text.split_once(' ')?;
    let (at, rest) = rest.split_once(' ')?;
    let (seconds, hundredths) = at.split_once('.')?;
    let nanos = hundredths.parse::<u8>().ok().filter(|_| hundredths.len() == 2)?;
    let at = Timestamp::new(seconds.parse().ok()?, i32::from(nanos) * 10_000_000).ok()?;
    Some(Entry { line: line.parse().ok()?, at, event: event(rest)? })
}

fn event(text: &str) -> Option<Happened> {
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    let stage = || rest.parse::<usize>().ok();
    Some(match word {
        "run" => {
            let (stages, who) = rest.split_once(' ')?;
            Happened::Run { stages: stages.parse().ok()?, who: decode(who) }
        }
        "queued" => Happened::Queued { ticket: rest.to_owned() },
        "waiting" => Happened::Waiting(Holder::parse(rest)?),
        "locked" => Happened::Locked { generation: rest.parse().ok()? },
        "settling" => Happened::Settling { run: run_id(rest)? },
        "settled" => {
            let (run, end) = rest.split_once(' ')?;
            Happened::Settled { run: run_id(run)?, end: End::parse(end)? }
        }
        "stale" => {
            let (stage, found) = rest.split_once(' ')?;
            Happened::Stale { stage: stage.parse().ok()?, found: found.to_owned() }
        }
        "stage" => {
            let (stage, rest) = rest.split_once(' ').unwrap_or((rest, ""));
            Happened::Stage { stage: stage.parse().ok()?, about: about(rest) }
        }
        "begin" => {
            let (stage, step, what) = step(rest)?;
            Happened::Begin { stage, step, what: decode(what) }
        }
        "done" => {
            let (stage, step, _) = step(rest)?;
            Happened::Done { stage, step }
        }
        "failed" => {
            let (stage, step, code) = step(rest)?;
            Happened::Failed { stage, step, code: code.parse().ok()? }
        }
        "evidence" => Happened::Evidence(rest.to_owned()),
        "switched" => Happened::Switched { stage: stage()? },
        "late" => Happened::Late { stage: stage()? },
        "kept" => {
            let (stage, how) = rest.split_once(' ')?;
            Happened::Kept { stage: stage.parse().ok()?, proven: how == "proven" }
        }
        "undoing" => {
            let (stage, why) = rest.split_once(' ')?;
            Happened::Undoing { stage: stage.parse().ok()?, why: reason(why)? }
        }
        "undo-failed" => {
            let (stage, step, code) = step(rest)?;
            Happened::UndoFailed { stage, step, code: code.parse().ok()? }
        }
        "stuck" => Happened::Stuck { stage: stage()? },
        "undone" => Happened::Undone { stage: stage()? },
        "note" => Happened::Note(rest.to_owned()),
        "end" => Happened::End(End::parse(rest)?),
        _ => return None,
    })
}

/// Service, number of steps, the release before and the one to come; `-` for none.
fn about(text: &str) -> Option<About> {
    let mut words = text.split(' ');
    let service = ServiceName::try_from(words.next()?).ok()?;
    let steps = words.next()?.parse().ok()?;
    let mut release = || words.next().and_then(|word| ReleaseId::try_from(word).ok());
    Some(About { service, steps, before: release(), release: release() })
}

/// Stage, step, and what stands behind them.
fn step(text: &str) -> Option<(usize, usize, &str)> {
    let mut words = text.splitn(3, ' ');
    Some((words.next()?.parse().ok()?, words.next()?.parse().ok()?, words.next().unwrap_or_default()))
}

fn reason(word: &str) -> Option<Why> {
    Some(match word {
        "failed" => Why::Failed,
        "ordered" => Why::Ordered,
        "late" => Why::Late,
        "stop" => Why::Stop,
        "settled" => Why::Settled,
        _ => return None,
    })
}

/// A run's folder; an earlier attempt of the same run has `.N` behind its name.
pub(crate) fn run_id(text: &str) -> Option<RunId> {
    RunId::try_from(text.split('.').next()?).ok()
}

/// The service of a stage, by the number that reports use.
#[must_use]
pub fn service_of(run: &super::HostRun, stage: usize) -> Option<&ServiceName> {
    run.stages.get(stage.checked_sub(1)?).map(|stage| &stage.service)
}

#[cfg(test)]
mod tests;
