//! What a look found: facts about the host, and the state of each service on it. What was not seen is `None`, never bad.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::host::look::{Made, REMADE};
use crate::host::{Fetches, Record};
use crate::model::{ReleaseId, RunId, ServiceName};

/// A host as the look found it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// `Linux`, `Darwin`, ...: the first word of `uname -sm`.
    pub system: String,
    /// `x86_64`, `aarch64`, ...: the second.
    pub machine: String,
    pub init: Init,
    /// The numeric user that the look ran as; 0 is root.
    pub uid: u32,
    /// Its name.
    pub user: String,
    /// Its home folder.
    pub home: String,
    /// Whether systemd keeps its services when its last login ends; none where that is not asked.
    pub linger: Option<bool>,
    /// Seconds since 1970 on the host's clock.
    pub clock: Option<i64>,
    /// How long the host is up.
    pub uptime: Option<Duration>,
    /// The tools of `TOOLS` that the host has; and `compose`, whichever docker has.
    pub tools: BTreeSet<String>,
    /// The versions of tools, as they tell them, where the look asked for them.
    pub versions: BTreeMap<String, String>,
    /// The interpreters of Python that were asked for, by major and minor version, empty for any; with their own version.
    pub pythons: BTreeMap<String, String>,
    /// The base folder on this host.
    pub base: String,
    /// Free bytes and all bytes where the base folder is.
    pub disk: Option<(u64, u64)>,
    /// Where the file system of the base folder is mounted.
    pub mount: Option<String>,
    /// Why the base folder (or the folder where it will be made) cannot be written, in the host's words; none where it can.
    pub unwritable: Option<String>,
    /// What image registries offer it, where the look asked them.
    pub fetches: Fetches,
}

impl Facts {
    /// That the base folder cannot be written, if so, and the next move.
    #[must_use]
    pub fn closed(&self) -> Option<(String, &'static str)> {
        let says = self.unwritable.as_ref()?;
        let why = says.rsplit(": ").next().unwrap_or_default();
        let told = format!("its base folder {} cannot be written as {}: {}", self.base, self.user, why.to_lowercase());
        let hint = match says.contains("Read-only file system") {
            true => "mount it writable, or name another `base`; `dmesg` on the host says whether a disk failed",
            false if self.uid == 0 => "see its mode and its attributes on the host, or name another `base`",
            false => "set `become: sudo`, or a `base` that the user owns",
        };
        Some((told, hint))
    }
}

/// The init system of a host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Init {
    Systemd,
    Launchd,
    /// Neither, or none that answers.
    #[default]
    None,
}

/// The tools whose presence the look notes.
pub const TOOLS: &[&str] = &[
    "curl",
    "docker",
    "docker-compose",
    "gzip",
    "python3",
    "setsid",
    "sha256sum",
    "shasum",
    "ss",
    "sudo",
    "systemd-run",
    "tar",
    "uv",
    "wget",
    "zstd",
];

/// Everything that one look found on one host.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    pub facts: Facts,
    pub services: BTreeMap<ServiceName, SeenService>,
    /// The names of all services that lie there, where the look wanted to know.
    pub lying: BTreeSet<ServiceName>,
    /// The containers of compose projects, by `PROJECT/PART`.
    pub containers: BTreeMap<String, Vec<SeenContainer>>,
    /// Why the host's docker could not be asked, where it was to be.
    pub blind: Option<String>,
    /// The units that were asked for, by name.
    pub units: BTreeMap<String, SeenUnit>,
    /// Runs that stopped in the middle: their runner is dead and their journal has no end.
    pub unfinished: Vec<RunId>,
    /// Who holds the host's lock, alive.
    pub holder: Option<String>,
    /// Who took the host out of service, since when and why; deploys and remedies leave it alone then.
    pub cordon: Option<String>,
    /// Whether that run has begun to change something; until it is over, what is seen may go back.
    pub busy: bool,
    /// What hangs, where something of the base folder or of the runs in it was not seen for that.
    pub hangs: Option<String>,
}

/// A service as the look found it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SeenService {
    /// The release that `current` points to.
    pub current: Option<ReleaseId>,
    /// Its record, or why it cannot be read.
    pub record: Option<Result<Record, String>>,
    /// The records of all releases that lie on the host, where the look asked for them.
    pub past: BTreeMap<ReleaseId, Result<Record, String>>,
    /// All releases that lie on the host.
    pub releases: BTreeSet<ReleaseId>,
    /// The releases that were proven here, oldest first.
    pub proven: Vec<ReleaseId>,
    /// The virtual environments that are whole.
    pub venvs: BTreeSet<ReleaseId>,
    /// The small files that the look asked for, by their path in the release in force.
    pub texts: BTreeMap<String, String>,
    /// The same of other releases than the one in force.
    pub past_texts: BTreeMap<ReleaseId, BTreeMap<String, String>>,
    /// Files of ours that differ from what we wrote, by path; with what is the matter.
    pub drift: Vec<String>,
    /// How its containers were made by us.
    pub made: Vec<Made>,
    /// Containers that others made anew or changed since, each with what is the matter.
    pub altered: Vec<String>,
    /// Containers that no compose made and that are called as those of the service are which are gone, each with what is the matter.
    pub namesakes: Vec<String>,
    /// By whom it was stopped on purpose, in one line.
    pub stopped: Option<String>,
    /// What hangs or was ended: without a record nothing of it was seen for that, with one only whether its files are as we wrote
    /// them was not.
    pub hangs: Option<String>,
}

/// A unit, a job or a supervised process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SeenUnit {
    /// Whether the supervisor knows it at all.
    pub loaded: bool,
    /// `active`, `inactive`, `failed`, `activating`, ...
    pub active: String,
    /// `running`, `dead`, `auto-restart`, ...
    pub sub: String,
    /// Why it ended: `success`, `exit-code`, `oom-kill`, ...
    pub result: String,
    /// The exit status of its last process.
    pub status: String,
    /// How often the supervisor started it again.
    pub restarts: u32,
    /// The main process, 0 if there is none.
    pub pid: u32,
    /// Whether it starts with the host.
    pub enabled: bool,
    /// When it came into this state, counted from the host's start.
    pub since_boot: Option<Duration>,
}

/// A container of a compose project.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct SeenContainer {
    pub name: String,
    /// `running`, `exited`, `restarting`, `created`, `paused`, `dead`.
    pub state: String,
    /// What its own health check says: `starting`, `healthy`, `unhealthy`; none where it has no such check.
    pub health: Option<String>,
    /// How often docker started it again.
    pub restarts: u32,
    pub exit_code: i64,
    pub oom_killed: bool,
    /// Since when, as docker says it (RFC 3339).
    pub started_at: String,
    /// Why it could not be started.
    pub error: String,
    /// The id of its image.
    pub image_id: String,
    /// The image's name.
    pub image: String,
    /// When docker starts it again: `no`, `on-failure`, `unless-stopped`, `always`.
    pub policy: String,
    /// The ports that the host listens on for it, as `8080->80/tcp`.
    pub ports: Vec<String>,
    pub pid: u32,
    /// To how many networks it is joined; the host's own counts.
    pub networks: Option<u32>,
    /// How it was made, where docker tells.
    #[serde(skip)]
    pub made: Option<Made>,
}

impl SeenUnit {
    /// Whether it runs, or has done what it is for.
    #[must_use]
    pub fn runs(&self) -> bool {
        matches!(self.active.as_str(), "active" | "reloading" | "done")
    }

    /// How long it is in this state, on a host that is up for `uptime`.
    #[must_use]
    pub fn age(&self, uptime: Option<Duration>) -> Option<Duration> {
        uptime?.checked_sub(self.since_boot?)
    }

    /// Whether it is down and nothing will start it again by itself.
    #[must_use]
    pub fn rests(&self) -> bool {
        !self.loaded || matches!(self.active.as_str(), "inactive" | "failed" | "done")
    }
}

impl SeenService {
    /// The record, if there is one that can be read.
    #[must_use]
    pub fn readable(&self) -> Option<&Record> {
        self.record.as_ref().and_then(|record| record.as_ref().ok())
    }

    /// Whether all files that we wrote were seen to be as we wrote them, and no container as others made it.
    #[must_use]
    pub fn is_as_written(&self) -> bool {
        self.edits().is_empty() && self.hangs.is_none()
    }

    /// Whether bringing it up makes containers anew that others made.
    #[must_use]
    pub fn is_remade(&self) -> bool {
        self.altered.iter().any(|line| line.ends_with(REMADE))
    }

    /// What others changed since we wrote or made it: files, and containers.
    #[must_use]
    pub fn edits(&self) -> Vec<String> {
        [self.drift.as_slice(), &self.altered, &self.namesakes].concat()
    }
}
