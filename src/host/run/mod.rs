//! One run on one host: stages of steps, rendered as a script and a payload; and the journal lines that come back.

mod line;
mod open;
mod payload;
mod render;
mod replay;
pub(super) mod sign;
mod wire;
mod within;

pub use line::Reader;
pub(crate) use line::decode;
pub use open::{Opening, attach, open, peek, peeked, settle, watch};
pub use payload::{Compression, Payload, PayloadError};
pub use render::{WORD_WITHIN, longest};
pub use replay::{RunState, StageState};
pub(crate) use wire::run_id;
pub use wire::{About, End, Entry, Happened, Holder, Order, Report, Why, entry, service_of};
pub use within::within;

use std::path::PathBuf;
use std::time::Duration;

use crate::model::{Login, OnLostContact, ReleaseId, RunId, ServiceName, Step};

/// All that one run does on one host, in one exec.
#[derive(Clone, Debug)]
pub struct HostRun {
    pub id: RunId,
    /// The base folder on the host, absolute.
    pub base: String,
    /// `user@machine` of the controller, for the lock and the records. From outside: any text.
    pub who: String,
    /// How long to wait in the queue for the host's lock.
    pub wait_lock: Duration,
    /// The ticket of an earlier attempt of this run, so that planning again does not lose the place in the queue.
    pub ticket: Option<String>,
    /// The run in whose lock this one works, as its guest: it waits there for its verdict meanwhile. When it takes something
    /// back or ends, its guests are ended before.
    pub within: Option<RunId>,
    /// How long the run goes on without a sign of life (`Order::Here`) of the controller; then what is not proven is judged by
    /// `on_lost_contact`, no other stage begins, and the run ends. With it, the first stage too waits for its `go`, so that the
    /// locks of all hosts can be taken before anything is touched. Without it the first stage begins by itself, and the first
    /// failure ends the run.
    pub contact: Option<Duration>,
    /// The image registries that images may be fetched from, and want to know who asks. They lie in the run's folder until the last
    /// stage has what it needs.
    pub logins: Vec<Login>,
    /// What was asked of the controller, in one line of its own words. The host keeps it with the run, so that another machine can
    /// tell it and go on with it. From outside: any text.
    pub asked: Option<String>,
    /// What it is a remedy for, if it is one. The host keeps it with the run.
    pub treatment: Option<Treatment>,
    /// The services' transactions, in order. Each begins when it is told to, and is judged by itself.
    pub stages: Vec<Stage>,
}

impl HostRun {
    /// A run that does nothing of its own: it waits for its turn, and brings runs that stopped in the middle to their end.
    #[must_use]
    pub fn stageless(id: &RunId, base: &str, who: &str, wait_lock: Duration) -> Self {
        Self {
            id: id.clone(),
            base: base.to_owned(),
            who: who.to_owned(),
            wait_lock,
            ticket: None,
            within: None,
            contact: None,
            logins: Vec::new(),
            asked: None,
            treatment: None,
            stages: Vec::new(),
        }
    }
}

/// What a run is a remedy for, so that everybody who heals on the host can count it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Treatment {
    /// The run in whose course it was done, as the journal of its controller has it.
    pub of: RunId,
    /// None when the problem is the host's own.
    pub service: Option<ServiceName>,
    /// The playbook that knows the problem, or the fingerprint of one that none knows: one word.
    pub problem: String,
    /// The playbook whose remedy it is, or the rung of the ladder.
    pub remedy: String,
}

impl Treatment {
    /// Its line on the host.
    pub(super) fn line(&self) -> String {
        let service = self.service.as_ref().map_or("-", ServiceName::as_str);
        format!("{} {service} {} {}\n", self.of, line::encode(&self.problem), line::encode(&self.remedy))
    }

    /// Reads such a line; nothing when it is none of ours.
    #[must_use]
    pub fn parse(line: &str) -> Option<Self> {
        let mut words = line.trim_end().splitn(4, ' ');
        let of = run_id(words.next()?)?;
        let service = match words.next()? {
            "-" => None,
            name => Some(ServiceName::try_from(name).ok()?),
        };
        let (problem, remedy) = (decode(words.next()?), decode(words.next()?));
        Some(Self { of, service, problem, remedy })
    }
}

/// One service's transaction.
#[derive(Clone, Debug)]
pub struct Stage {
    pub service: ServiceName,
    /// The release that `current` must point to when the lock is ours (`None`: no release at all); if it points elsewhere,
    /// somebody else was here since the look, and the run ends as `stale` before anything is touched.
    pub expect: Option<ReleaseId>,
    /// The release that `current` points to afterwards.
    pub release: Option<ReleaseId>,
    /// Done before the verdict, undone in reverse on a failure.
    pub steps: Vec<Step>,
    /// Done after the run's end was decided as kept; never undone (pruning).
    pub after: Vec<Step>,
    /// The dead man's switch: how long after the switch the verdict may take.
    pub verdict_within: Duration,
    /// A unit that was started again since its start was waited for must be up this long when the verdict is to keep it.
    pub soak: Duration,
    /// How long the init system or docker may take for one word: a start, or a stop.
    pub word_within: Duration,
    /// How long the stage may wait for its `go`, counted from the last thing that happened in the run.
    pub go_within: Duration,
    pub on_lost_contact: OnLostContact,
}

/// A tree to be sent: the files of a release, read from this machine's disk when the payload is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    pub release: ReleaseId,
    /// Sorted by path.
    pub entries: Vec<TreeEntry>,
}

/// One file, link or folder of a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeEntry {
    /// Relative, `/` between parts, no `..`, no leading `/`.
    pub path: String,
    pub kind: TreeKind,
}

/// What a tree entry is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TreeKind {
    Folder,
    /// A file on this machine's disk.
    File {
        from: PathBuf,
        mode: u32,
        size: u64,
        sha256: [u8; 32],
    },
    /// A file whose bytes we made (templates, env files, manifests).
    Made {
        content: crate::model::Content,
        mode: u32,
    },
    /// A symbolic link; its target stays inside the tree.
    Link {
        target: String,
    },
}
