//! The record of a release. It lies in the release on the host and says all that is needed to bring the release back and to
//! prove it, so that going back needs neither the registry nor the network.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::{Check, ReleaseId, Scope, ServiceName};

/// The version of the record's format. A release with another version is not ours to read.
pub const FORMAT: u32 = 1;

/// What a release is. Written as one line of JSON to `.portoser/release.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    pub format: u32,
    pub service: ServiceName,
    pub release: ReleaseId,
    /// The engine's name.
    pub engine: String,
    /// What runs it on this host.
    pub supervisor: Supervisor,
    pub scope: Scope,
    /// What is put in place when the release is activated, one for each instance.
    pub units: Vec<UnitFile>,
    /// The user that it runs as.
    pub user: Option<String>,
    pub checks: Vec<Check>,
    /// The user's commands before the switch and after it.
    pub hooks: Hooks,
    /// How many seconds it may take to stop, where that is long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop: Option<u64>,
    /// The virtual environment that it runs in, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub venv: Option<Venv>,
    /// What a deploy of it runs on one host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub once: Option<Once>,
    /// What a person wants to compare: the command, the environment's names and open values, ports, limits.
    pub summary: BTreeMap<String, String>,
    /// The files of the release: path relative to it, and the hash of the content (a link: its target).
    pub files: BTreeMap<String, String>,
}

/// The user's own commands at fixed points of a deploy: words, and the seconds that they may take.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hooks {
    pub before: Vec<(Vec<String>, u64)>,
    pub after: Vec<(Vec<String>, u64)>,
    /// What playbooks may run by its name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub named: BTreeMap<String, (Vec<String>, u64)>,
}

/// A virtual environment of Python. How it is made anew stands in the release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Venv {
    /// Its name beside the others of the service: a digest of all that it depends on.
    pub id: ReleaseId,
    /// The wheels that are sent along to make it, where nothing else may be installed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wheels: Option<ReleaseId>,
}

/// A command that a deploy runs on one host before any host is switched, such as a migration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Once {
    pub words: Vec<String>,
    pub seconds: u64,
    /// Whether this is that host.
    pub here: bool,
}

/// What runs a service on a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Supervisor {
    Systemd,
    Launchd,
    /// Our small supervising loop, on a host that has neither.
    Process,
    /// A compose project; its units are named `PROJECT/PART`.
    Compose,
}

/// One unit of a release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitFile {
    /// The unit's name (`portoser-api.service`), the job's label, or the instance's number for a supervised process.
    pub name: String,
    /// Where the file lies, absolute; none for a unit that is the user's own.
    pub path: Option<String>,
    /// The link that makes it start with the host, absolute, where the supervisor wants one.
    pub enable: Option<String>,
    /// The file's text; empty for a unit that is the user's own.
    pub text: String,
}

impl UnitFile {
    /// The mode of its file: a job of launchd holds its environment, and a unit of systemd names a file for it.
    #[must_use]
    pub fn mode(&self) -> u32 {
        if self.path.as_deref().is_some_and(|path| path.ends_with(".plist")) { 0o600 } else { 0o644 }
    }
}

impl Record {
    /// Reads a record from its line. The error says what is wrong with it.
    pub fn parse(line: &str) -> Result<Self, String> {
        let record: Self =
            serde_json::from_str(line).map_err(|e| format!("the release's record cannot be read: {e}"))?;
        if record.format != FORMAT {
            return Err(format!("the release's record has format {}, this portoser reads {FORMAT}", record.format));
        }
        Ok(record)
    }

    /// The compose project that it is, if it is one.
    #[must_use]
    pub fn project(&self) -> Option<&str> {
        let unit = self.units.first().filter(|_| self.supervisor == Supervisor::Compose)?;
        unit.name.split('/').next()
    }

    /// The line that is written to the host.
    #[must_use]
    pub fn line(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}
