//! Healing as checked: what may be done for a service, and how much of it.

use std::collections::BTreeSet;
use std::time::Duration;

use super::window::Window;

/// What may be done without a person, from nothing to everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum HealPolicy {
    /// It is not even looked at.
    Off,
    /// Problems are told.
    Observe,
    /// Problems are told, with what would be done.
    Suggest,
    /// Remedies without risk are applied.
    Safe,
    /// Remedies that interrupt the service are applied too.
    Full,
}

/// How a service on its hosts is healed, or what a host allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heal {
    pub policy: HealPolicy,
    /// At most so many remedies for one service on one host ...
    pub tries: usize,
    /// ... in this time.
    pub within: Duration,
    /// Between two remedies for the same problem.
    pub cooldown: Duration,
    /// So many looks in a row must show a problem before it is believed; at least 1.
    pub looks: usize,
    /// The time between these looks.
    pub apart: Duration,
    /// So many remedies in `within` that did not help, or had to be done again, open the breaker of a host.
    pub breaker: usize,
    /// When what interrupts may be done; empty: always.
    pub windows: Vec<Window>,
    /// Whether words that helped elsewhere may be run before a person or repeated success has promoted them.
    pub drafts: bool,
    /// The looks that need not be taken where they cannot be.
    pub unseen: BTreeSet<String>,
}

impl Default for Heal {
    fn default() -> Self {
        Self {
            policy: HealPolicy::Safe,
            tries: 3,
            within: Duration::from_secs(3600),
            cooldown: Duration::from_secs(300),
            looks: 2,
            apart: Duration::from_secs(2),
            breaker: 5,
            windows: Vec::new(),
            drafts: false,
            unseen: BTreeSet::new(),
        }
    }
}

impl Heal {
    /// Whether what interrupts may be done at this moment, given in seconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub fn open(&self, seconds: i64) -> bool {
        self.windows.is_empty() || self.windows.iter().any(|window| window.open(seconds))
    }
}
