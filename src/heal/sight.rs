//! What a look found: good, bad with its evidence, or unseen and why. The three are never mixed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::{HostName, ServiceName};

/// How something stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sight {
    Good,
    Bad,
    /// It could not be seen. No remedy is chosen on this.
    Unseen,
}

/// What one look found of one thing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observation {
    /// The look's name.
    pub look: String,
    pub host: HostName,
    /// The service that it is about; none when it is about the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceName>,
    /// Which one, where there are several: a mount point, a port, a unit; else empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub of: String,
    pub sight: Sight,
    /// One line for a person: what is the matter, or why it was not seen.
    pub says: String,
    /// What was measured, by name. Playbooks compare these and put them into their sentences.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub values: BTreeMap<String, String>,
    /// What a program said, line by line.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<String>,
}

/// The `state` of what was started just now and is not there yet: unseen, and looked at again by the next pass.
pub(super) const STARTING: &str = "starting";

/// What `there` says of a need that is well where it runs, and refuses who needs it.
pub(super) const WELL: &str = "well";

impl Observation {
    /// Something good about a host.
    #[must_use]
    pub fn host(look: &str, host: &HostName) -> Self {
        Self {
            look: look.into(),
            host: host.clone(),
            service: None,
            of: String::new(),
            sight: Sight::Good,
            says: String::new(),
            values: BTreeMap::new(),
            lines: Vec::new(),
        }
    }

    /// Whether it is bad, and not because of the way to something that is well itself.
    pub(super) fn is_ill_there(&self) -> bool {
        self.sight == Sight::Bad && self.values.get("there").is_none_or(|there| there != WELL)
    }

    /// Something good about a service on a host.
    #[must_use]
    pub fn service(look: &str, host: &HostName, service: &ServiceName) -> Self {
        Self { service: Some(service.clone()), ..Self::host(look, host) }
    }

    /// Whether it is about what was started just now and is not there yet.
    pub(super) fn is_starting(&self) -> bool {
        self.sight == Sight::Unseen && self.values.get("state").is_some_and(|state| state == STARTING)
    }

    /// Which one it is about.
    #[must_use]
    pub fn of(mut self, of: impl Into<String>) -> Self {
        self.of = of.into();
        self
    }

    /// Adds what was measured.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl ToString) -> Self {
        self.values.insert(name.into(), value.to_string());
        self
    }

    /// Adds what a program said.
    #[must_use]
    pub fn saying(mut self, lines: Vec<String>) -> Self {
        self.lines = lines;
        self
    }

    /// It is good, and how.
    #[must_use]
    pub fn good(self, says: impl Into<String>) -> Self {
        Self { sight: Sight::Good, says: says.into(), ..self }
    }

    /// It is bad, and in what way.
    #[must_use]
    pub fn bad(self, says: impl Into<String>) -> Self {
        Self { sight: Sight::Bad, says: says.into(), ..self }
    }

    /// It was not seen, and why.
    #[must_use]
    pub fn unseen(self, why: impl Into<String>) -> Self {
        Self { sight: Sight::Unseen, says: why.into(), ..self }
    }

    /// Good or bad, in the same words.
    #[must_use]
    pub fn judged(self, good: bool, says: impl Into<String>) -> Self {
        if good { self.good(says) } else { self.bad(says) }
    }
}
