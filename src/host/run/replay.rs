//! What a run's journal amounts to: the state of each stage, from the lines alone.

use std::collections::BTreeMap;

use crate::host::run::wire::{End, Entry, Happened};

/// How far a stage has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StageState {
    /// In its steps; how many are done.
    Working { done: usize },
    /// All steps are done; the verdict is awaited.
    Switched,
    /// It stays.
    Kept { proven: bool },
    /// It is being taken back.
    Undoing,
    /// It is as it was before.
    Undone,
    /// It could not be taken back whole.
    Stuck,
}

/// A run as its journal tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunState {
    /// The last line that was read; `attach` goes on behind it.
    pub line: u64,
    /// Whether the lock was had.
    pub locked: bool,
    /// The ticket of its place in the queue.
    pub ticket: Option<String>,
    /// By number, from 1. A stage that was not begun is not here.
    pub stages: BTreeMap<usize, StageState>,
    pub end: Option<End>,
}

impl RunState {
    /// Takes the next line.
    pub fn take(&mut self, entry: &Entry) {
        self.line = self.line.max(entry.line);
        let (stage, state) = match &entry.event {
            Happened::Locked { .. } => {
                self.locked = true;
                return;
            }
            Happened::Queued { ticket } => {
                self.ticket = Some(ticket.clone());
                return;
            }
            Happened::End(end) => {
                self.end = Some(*end);
                return;
            }
            Happened::Stage { stage, .. } => (*stage, StageState::Working { done: 0 }),
            Happened::Done { stage, step } => (*stage, StageState::Working { done: *step }),
            Happened::Switched { stage } => (*stage, StageState::Switched),
            Happened::Kept { stage, proven } => (*stage, StageState::Kept { proven: *proven }),
            Happened::Undoing { stage, .. } => (*stage, StageState::Undoing),
            Happened::Undone { stage } => (*stage, StageState::Undone),
            Happened::Stuck { stage } => (*stage, StageState::Stuck),
            _ => return,
        };
        self.stages.insert(stage, state);
    }

    /// The state after these lines.
    #[must_use]
    pub fn replay<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> Self {
        let mut state = Self::default();
        for entry in entries {
            state.take(entry);
        }
        state
    }
}
