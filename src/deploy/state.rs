//! What is known of a run on one host: the lock, its stages, its end. Built from the lines that the run's journal sends.

use std::collections::{BTreeMap, BTreeSet};

use crate::host::run::About;
use crate::model::RunId;

/// A run on one host, as far as its journal was read.
#[derive(Clone, Debug, Default)]
pub(super) struct HostState {
    pub lock: Lock,
    /// By number, from 1.
    pub stages: BTreeMap<usize, Phase>,
    /// What the host says that they are about, for one who only watches.
    pub abouts: BTreeMap<usize, About>,
    /// The stages that were proven, for one who only watches.
    pub proven: BTreeSet<usize>,
    /// Our place in the host's queue, to be used again when the run must begin anew.
    pub ticket: Option<String>,
    /// Whether somebody else had the lock when it was asked for.
    pub queued: bool,
    /// How the run ended on the host.
    pub end: Option<HostEnd>,
    /// The host cannot be followed any more, and why. The run goes on there by its own rules.
    pub lost: Option<String>,
}

/// The host's lock.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Lock {
    #[default]
    NotYet,
    /// Somebody else has it: who, as a person reads it, and the run.
    Waiting {
        holder: String,
        run: Option<RunId>,
    },
    Ours,
}

/// How far a stage is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Phase {
    #[default]
    Waiting,
    Working,
    /// The steps are done, the verdict is due.
    Switched,
    /// It stays: proven, or because its policy says so when contact is lost.
    Kept,
    Undoing,
    Undone,
    UndoFailed,
}

/// How a run ended on a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum HostEnd {
    /// All that was decided is done.
    Done,
    /// The state was not the one that was planned from; nothing was touched.
    Stale,
    /// The lock was not to be had in time; nothing was touched.
    LockTimeout,
    /// Something went wrong before the first step; nothing was touched.
    Refused(String),
    /// An undo failed.
    UndoFailed,
    /// The runner on the host is gone without an end; the next run settles it.
    Orphaned,
}

impl HostEnd {
    /// What became of the run, for a person.
    pub(super) fn told(&self) -> &str {
        match self {
            Self::Done => "the run ended before anything was begun here",
            Self::Stale => "it was not as the plan expected; nothing was touched",
            Self::LockTimeout => "its lock was not to be had in time; nothing was touched",
            Self::Refused(why) => why,
            Self::UndoFailed => "a step could not be taken back",
            Self::Orphaned => "its runner is gone, and the run has no end",
        }
    }
}

impl HostState {
    /// Whether nothing more will come.
    #[must_use]
    pub(super) fn over(&self) -> bool {
        self.end.is_some() || self.lost.is_some()
    }

    /// How far a stage is, counted from 1.
    #[must_use]
    pub(super) fn phase(&self, stage: usize) -> Phase {
        self.stages.get(&stage).copied().unwrap_or_default()
    }
}
