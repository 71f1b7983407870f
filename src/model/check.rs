//! A health check as words: what is asked, by whom, how often. The registry writes them, a release on a host keeps them, so
//! that an old release is proven by its own checks.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// One health check, with its timing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    pub ask: Ask,
    pub from: From,
    /// How long after the start a failure is not yet counted.
    pub start_period: Duration,
    /// Between two questions.
    pub interval: Duration,
    /// For one question.
    pub timeout: Duration,
    /// How many failures in a row make it bad, after the start period.
    pub retries: u32,
}

/// Who asks a check.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum From {
    /// This machine, through the SSH connection it already has.
    #[default]
    Controller,
    /// The host itself.
    Host,
}

/// What a check asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ask {
    Http(Box<Http>),
    /// A TCP connection to this port succeeds.
    Tcp {
        port: u16,
    },
    /// This port speaks TLS from its first byte, and its certificate is good.
    Tls {
        port: u16,
        tls: Tls,
    },
    /// The words exit with 0 on the host.
    Command {
        words: Vec<String>,
    },
    /// The service's unit (or process) is active and not restarting.
    Unit,
    /// A regular expression is found in the service's log since the start.
    Log {
        pattern: String,
    },
}

impl Ask {
    /// The port that it is about, if it is about one.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        match self {
            Self::Http(http) => Some(http.port),
            Self::Tcp { port } | Self::Tls { port, .. } => Some(*port),
            Self::Command { .. } | Self::Unit | Self::Log { .. } => None,
        }
    }
}

impl Check {
    /// Whether the controller asks it through a connection of its own; all else is asked on the host.
    #[must_use]
    pub fn connects(&self) -> bool {
        self.from == From::Controller && self.ask.port().is_some()
    }
}

/// An HTTP question and the answer that is good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Http {
    pub port: u16,
    /// Path and query, beginning with `/`.
    pub path: String,
    /// The `Host` header; when none is given, `127.0.0.1`.
    pub host: Option<String>,
    /// Good status codes; never empty.
    pub status: Vec<u16>,
    /// Headers to send.
    pub send: BTreeMap<String, String>,
    /// Headers that must be in the answer, with the text their value must contain.
    pub header: BTreeMap<String, String>,
    pub body: Option<Body>,
    pub tls: Option<Tls>,
}

/// What an HTTP body must say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Body {
    Contains(String),
    Matches(String),
    /// An RFC 6901 pointer and the JSON value that must be there.
    Json {
        pointer: String,
        equals: serde_json::Value,
    },
}

/// HTTPS, and what makes the certificate good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tls {
    /// The name that the certificate must carry.
    pub name: String,
    /// A PEM file of authorities, absolute; when none is given, this machine's.
    pub ca: Option<PathBuf>,
}

/// The checks as they are asked: one about the service's main port is asked of every instance, whose ports follow on it.
/// The record of a release holds them so, because the number of instances belongs to the release.
#[must_use]
pub fn spread(checks: &[Check], port: Option<u16>, instances: u16) -> Vec<Check> {
    let mut all = Vec::new();
    for check in checks {
        let asked = check.ask.port();
        let times = if asked.is_some() && asked == port { instances.max(1) } else { 1 };
        for instance in 0..times {
            let mut check = check.clone();
            match &mut check.ask {
                Ask::Http(http) => http.port = http.port.saturating_add(instance),
                Ask::Tcp { port } | Ask::Tls { port, .. } => *port = port.saturating_add(instance),
                Ask::Command { .. } | Ask::Unit | Ask::Log { .. } => {}
            }
            all.push(check);
        }
    }
    all
}
