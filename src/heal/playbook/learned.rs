//! What was learned, as a playbook holds it: which problem the steps are for, from whom they are, and how often they helped.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use crate::heal::playbook::draft;
use crate::registry::number::Named;
use crate::registry::read::Reader;
use crate::registry::tree::Trail;

/// How far something that was learned is trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It is never applied.
    Retired,
    /// It helped; words of a person in it are run again only where the policy allows drafts.
    Draft,
    /// It is applied like any playbook.
    Promoted,
}

/// How it was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// A person gave the words.
    Fix,
    /// The ladder of general remedies.
    Ladder,
}

/// How often it was applied, and what came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Record {
    pub worked: u32,
    pub failed: u32,
    /// How often it had helped when its state was changed last: what makes a draft trusted comes after that.
    #[serde(skip)]
    pub before: u32,
    #[serde(skip)]
    pub last: Option<Timestamp>,
    /// The middle of the times until it was good again.
    #[serde(skip)]
    pub median: Option<Duration>,
}

/// What was learned of a problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Learned {
    pub state: State,
    /// The fingerprint or the name of the problem.
    pub solves: String,
    pub by: String,
    pub source: Source,
    /// The time until it was good again when it was found, with all that was tried in vain.
    pub took: Option<Duration>,
    pub record: Record,
}

impl Learned {
    /// Gives it a state; what it did before that is no word for another one.
    pub(in crate::heal) fn enter(&mut self, state: State) {
        self.state = state;
        self.record.before = self.record.worked;
    }
}

impl Named for State {
    const WHAT: &'static str = "a state of what was learned";
    const NAMES: &'static [(&'static str, Self)] =
        &[("draft", Self::Draft), ("promoted", Self::Promoted), ("retired", Self::Retired)];
}

impl Named for Source {
    const WHAT: &'static str = "a way to learn";
    const NAMES: &'static [(&'static str, Self)] = &[("fix", Self::Fix), ("ladder", Self::Ladder)];
}

/// The word of a state, as files hold it.
#[must_use]
pub fn word(state: State) -> &'static str {
    State::NAMES.iter().find(|(_, other)| *other == state).map_or("", |(name, _)| name)
}

/// Reads what a playbook says of how it was learned; nothing for one that somebody wrote.
pub(super) fn settle(draft: &draft::Playbook, to: &mut Reader) -> Option<Learned> {
    let Some(learned) = draft.learned.given() else {
        for (key, place) in [
            ("state", draft.state.given().map(|given| given.place)),
            ("record", draft.record.given().map(|given| given.place)),
        ] {
            if let Some(place) = place {
                to.fault(place, &Trail::TOP.key(key), "only what was learned has this").hint("take the key away");
            }
        }
        return None;
    };
    let record = draft.record.value();
    let time = record.and_then(|record| record.last.given());
    let last = time.and_then(|given| given.value.0.parse().ok());
    if let Some(given) = time.filter(|_| last.is_none()) {
        to.fault(given.place, &Trail::TOP.key("record").key("last"), "this is not a time")
            .hint("write it as 2026-01-31T23:59:59Z");
    }
    let learned = &learned.value;
    Some(Learned {
        state: draft.state.value().map_or(State::Draft, |state| state.0),
        solves: learned.solves.value()?.0.clone(),
        by: learned.by.value()?.0.clone(),
        source: learned.from.value()?.0,
        took: learned.took.value().map(|time| time.0),
        record: Record {
            worked: record.and_then(|record| record.worked.value()).map_or(0, |count| count.get()),
            failed: record.and_then(|record| record.failed.value()).map_or(0, |count| count.get()),
            before: record.and_then(|record| record.before.value()).map_or(0, |count| count.get()),
            last,
            median: record.and_then(|record| record.median.value()).map(|time| time.0),
        },
    })
}
