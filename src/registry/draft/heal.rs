//! Healing as written.

use crate::registry::healing::HealPolicy;
use crate::registry::number::{Bool, Choice, Count, Named, Time};
use crate::registry::read::{List, draft};
use crate::registry::text::{Line, Week};

draft! {
    /// How services are healed.
    struct Heal {
        /// What may be done without a person: off, observe, suggest, safe or full.
        policy: Choice<HealPolicy>,
        /// At most so many remedies for a service on a host ...
        tries: Count,
        /// ... in this time.
        within: Time,
        /// Between two remedies for the same problem of a service.
        cooldown: Time,
        /// So many looks in a row must show the problem.
        looks: Count,
        /// The time between these looks.
        apart: Time,
        /// After so many remedies on a host that did not help, within the time above, the host is left alone.
        breaker: Count,
        /// Times of the week, in UTC, in which what interrupts may be done; always, if not given.
        windows: List<Week>,
        /// Whether words that helped elsewhere (`portoser fix`) are run here before they are promoted; false, if not given.
        drafts: Bool,
        /// Looks that cannot be taken there and need not be, by their names in `diagnose -v`.
        unseen: List<Line>,
    }
}

impl Named for HealPolicy {
    const WHAT: &'static str = "a policy of healing";
    const NAMES: &'static [(&'static str, Self)] = &[
        ("off", Self::Off),
        ("observe", Self::Observe),
        ("suggest", Self::Suggest),
        ("safe", Self::Safe),
        ("full", Self::Full),
    ];
}
