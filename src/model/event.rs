//! What happens during a run, told once. The terminal, `--json`, `--events` and the journal all read this stream.

use std::time::Duration;

use serde::Serialize;

use crate::model::{HostName, ReleaseId, RunId, ServiceName};

/// How a service ended on a host, or a run as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Everything was in place already, and proven so.
    NothingToDo,
    /// The new state is there, and proven.
    Committed,
    /// What was asked for is done, but the service is not healthy.
    Unhealthy,
    /// The run did not come to this one.
    NotTouched,
    /// It failed; the old state is back, and proven.
    RolledBack,
    /// It failed; the old state could not be brought or proven back.
    RollbackFailed,
}

impl Outcome {
    /// Whether what was asked for was not reached.
    #[must_use]
    pub fn is_failure(self) -> bool {
        matches!(self, Self::Unhealthy | Self::RolledBack | Self::RollbackFailed)
    }
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Serialize, serde::Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// A run begins.
    Started { run: RunId, verb: String, services: Vec<ServiceName>, hosts: Vec<HostName> },
    /// A host is being looked at.
    Looking { host: HostName },
    /// The look came back.
    Looked {
        host: HostName,
        #[serde(with = "seconds")]
        took: Duration,
    },
    /// The look found this release of the service (`None`: none), before anything is changed.
    Found { host: HostName, service: ServiceName, release: Option<ReleaseId> },
    /// An earlier run left something unfinished on the host; it is being settled.
    Settling { host: HostName, run: RunId },
    /// It is settled: the services are as this outcome says.
    Settled { host: HostName, run: RunId, outcome: Outcome },
    /// The host's lock is held; the run waits in the queue.
    Waiting { host: HostName, holder: String },
    /// The host's lock is ours.
    Locked { host: HostName },
    /// The payload is being sent: its size in bytes.
    Sending { host: HostName, bytes: u64 },
    /// A step of a service's transaction begins. `number` counts from 1.
    Step { host: HostName, service: ServiceName, number: usize, of: usize, what: String },
    /// All steps are done; the new state stands, not yet proven.
    Switched { host: HostName, service: ServiceName, release: Option<ReleaseId> },
    /// A check was asked and gave this verdict.
    Checked { host: HostName, service: ServiceName, check: String, good: bool, says: String },
    /// The service's gate is green; the soak begins.
    Soaking {
        host: HostName,
        service: ServiceName,
        #[serde(with = "seconds")]
        until: Duration,
    },
    /// The service is proven on the host.
    Proven {
        host: HostName,
        service: ServiceName,
        #[serde(with = "seconds")]
        took: Duration,
    },
    /// Something failed on the host: what was being done, and the evidence.
    Failed { host: HostName, service: Option<ServiceName>, error: String, hint: Option<String>, evidence: Vec<String> },
    /// The service's change is being undone on the host.
    Undoing { host: HostName, service: ServiceName, why: String },
    /// How the service ended on this host.
    Ended { host: HostName, service: ServiceName, outcome: Outcome, release: Option<ReleaseId> },
    /// Something worth saying that is none of the above.
    Note { host: Option<HostName>, text: String },
    /// The run is over. `code` is the exit code.
    Finished {
        run: RunId,
        code: u8,
        #[serde(with = "seconds")]
        took: Duration,
    },
}

impl Event {
    /// Changes every text that was made of what hosts, services or steps say.
    pub fn each_text(&mut self, change: impl Fn(&mut String)) {
        match self {
            Self::Failed { error, hint, evidence, .. } => {
                change(error);
                hint.iter_mut().chain(evidence).for_each(change);
            }
            Self::Checked { check, says, .. } => {
                change(check);
                change(says);
            }
            Self::Step { what: text, .. } | Self::Undoing { why: text, .. } | Self::Note { text, .. } => change(text),
            Self::Started { .. }
            | Self::Looking { .. }
            | Self::Looked { .. }
            | Self::Found { .. }
            | Self::Settling { .. }
            | Self::Settled { .. }
            | Self::Waiting { .. }
            | Self::Locked { .. }
            | Self::Sending { .. }
            | Self::Switched { .. }
            | Self::Soaking { .. }
            | Self::Proven { .. }
            | Self::Ended { .. }
            | Self::Finished { .. } => {}
        }
    }
}

/// A time as seconds with three decimals.
mod seconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(time: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_f64((time.as_secs_f64() * 1000.0).round() / 1000.0)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        Duration::try_from_secs_f64(f64::deserialize(from)?).map_err(de::Error::custom)
    }
}
