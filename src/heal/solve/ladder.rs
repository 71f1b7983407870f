//! The ladder: general remedies for what no playbook has one for, the least first. It is short, and each rung is bounded by
//! policy like any remedy.

use crate::heal::playbook::Risk;
use crate::heal::solve::deed::Way;
use crate::model::UnitChange;
use crate::plan::Mend;

/// A general remedy.
pub(super) struct Rung {
    pub name: &'static str,
    /// As a step of a playbook.
    pub deed: (&'static str, &'static str),
    pub risk: Risk,
    pub way: fn() -> Way,
    pub says: &'static str,
}

/// Before the name of a rung, in the journal.
pub(super) const LADDER: &str = "ladder: ";

/// From the least to the most.
pub(super) const RUNGS: &[Rung] = &[
    Rung {
        name: "start",
        deed: ("start", "unit"),
        risk: Risk::Safe,
        way: || Way::Mend(Mend::Change(UnitChange::Start)),
        says: "start it",
    },
    Rung {
        name: "restart",
        deed: ("restart", "unit"),
        risk: Risk::Disruptive,
        way: || Way::Mend(Mend::Change(UnitChange::Restart)),
        says: "restart it",
    },
    Rung {
        name: "roll-back",
        deed: ("roll-back", "release"),
        risk: Risk::Disruptive,
        way: || Way::Back,
        says: "go back to the release that was proven before",
    },
];
