//! What the journal tells of a run, and of a service on a host.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::{HostName, Outcome, ReleaseId, RunId, ServiceName};

/// What is known of a run when it begins.
#[derive(Clone, Debug)]
pub struct StartOfRun {
    pub id: RunId,
    /// The verb, such as `deploy`.
    pub verb: String,
    /// `user@machine`.
    pub who: String,
    /// The registry file.
    pub registry: Option<String>,
    /// The environment chosen with `--env`.
    pub environment: Option<String>,
    /// What was asked, as JSON; without secrets.
    pub request: Value,
    /// The SHA-256 of the registry's file, in hexadecimal.
    pub digest: Option<String>,
    /// The run that this one goes on with.
    pub resumes: Option<RunId>,
}

/// The end of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct EndOfRun {
    #[serde(serialize_with = "time")]
    pub at: Timestamp,
    /// The exit code.
    pub code: u8,
}

/// A run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Run {
    pub id: RunId,
    pub verb: String,
    pub who: String,
    pub registry: Option<String>,
    pub environment: Option<String>,
    pub request: Value,
    /// The SHA-256 of the registry's file, in hexadecimal; none where an earlier portoser wrote the run.
    pub digest: Option<String>,
    /// The run that this one goes on with.
    pub resumes: Option<RunId>,
    #[serde(serialize_with = "time")]
    pub started: Timestamp,
    /// None: it is still running, or its controller was lost.
    pub end: Option<EndOfRun>,
    /// How many services on hosts ended in each way.
    pub outcomes: Vec<(Option<Outcome>, u64)>,
}

/// What was asked, as hosts keep it for other machines.
#[derive(Serialize, Deserialize)]
struct Asked {
    verb: String,
    environment: Option<String>,
    request: Value,
    digest: Option<String>,
    resumes: Option<RunId>,
}

/// The longest that hosts are given to keep, and believed, in bytes: names that somebody wrote on a command line.
const ASKED: usize = 64 << 10;

impl Run {
    /// What was asked, in one line for the hosts to keep; none where it is too long. It has no secrets.
    #[must_use]
    pub fn asked(&self) -> Option<String> {
        let Self { verb, environment, request, digest, resumes, .. } = self.clone();
        let line = serde_json::to_string(&Asked { verb, environment, request, digest, resumes }).ok()?;
        (line.len() <= ASKED).then_some(line)
    }

    /// The run that a host keeps such a line of; none when it cannot be read. Where its registry lay, and how it ended, is not known.
    #[must_use]
    pub fn heard(id: &RunId, asked: &str) -> Option<Self> {
        let asked = Some(asked).filter(|asked| asked.len() <= ASKED)?;
        let Asked { verb, environment, request, digest, resumes } = serde_json::from_str(asked).ok()?;
        let word = !verb.is_empty() && verb.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
        Some(Self {
            id: id.clone(),
            verb,
            who: String::new(),
            registry: None,
            environment,
            request,
            digest,
            resumes,
            started: id.began().filter(|_| word)?,
            end: None,
            outcomes: Vec::new(),
        })
    }
}

/// What a run did to a service on a host. The local journal gives these, and so may the records of a host.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HistoryEntry {
    pub run: RunId,
    pub verb: String,
    pub who: String,
    pub environment: Option<String>,
    #[serde(serialize_with = "time")]
    pub began: Timestamp,
    pub service: ServiceName,
    pub host: HostName,
    /// The release that was there; none if there was none, or nobody looked.
    pub before: Option<ReleaseId>,
    /// The release that was there afterwards.
    pub after: Option<ReleaseId>,
    /// None: the change began, and its end was not seen from here.
    pub outcome: Option<Outcome>,
    /// In seconds.
    #[serde(serialize_with = "seconds")]
    pub took: Option<Duration>,
    /// What failed.
    pub error: Option<String>,
}

fn seconds<S: serde::Serializer>(time: &Option<Duration>, to: S) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => to.serialize_some(&time.as_secs_f64()),
        None => to.serialize_none(),
    }
}

/// As RFC 3339 writes it, in UTC.
pub(super) fn time<S: serde::Serializer>(time: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(time)
}
