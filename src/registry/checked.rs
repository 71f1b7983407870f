//! The registry as checked: every name resolves, every value is in range, every path is absolute.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use super::docker::Docker;
use crate::model::{HostName, OnLostContact, Scope, ServiceName};

use super::harden::Hardening;
use super::healing::{Heal, HealPolicy};
use super::login::ImageLogin;
use super::notify::Notify;
use super::packages::Lock;
use super::source::Source;
pub use crate::model::{Ask, Body, Check, From, Http, Tls};

/// All that the registry says, for one chosen environment.
#[derive(Clone, Debug)]
pub struct Registry {
    /// The file it was read from, absolute.
    pub file: PathBuf,
    /// The environment chosen with `--env`, whose overlay is already applied.
    pub environment: Option<String>,
    /// Whether a change to this environment needs its typed name or `--approve`.
    pub protected: bool,
    /// The hosts, by name.
    pub hosts: BTreeMap<HostName, Host>,
    /// The services, by name.
    pub services: BTreeMap<ServiceName, Service>,
    /// How image registries know us, by their names.
    pub registries: BTreeMap<String, ImageLogin>,
    /// Who is told of news.
    pub notify: Vec<Notify>,
    /// How many hosts are worked on at once at most; when none is given, what this machine can do.
    pub at_once: Option<usize>,
}

impl Registry {
    /// The names by which a person has to approve that these services change; none where none does.
    pub fn guarded<'a>(&self, moving: impl IntoIterator<Item = &'a ServiceName>) -> BTreeSet<String> {
        let mut moving = moving.into_iter().peekable();
        if let (true, Some(environment)) = (self.protected && moving.peek().is_some(), &self.environment) {
            return BTreeSet::from([environment.clone()]);
        }
        let protected = |name: &&ServiceName| self.services.get(*name).is_some_and(|service| service.protected);
        moving.filter(protected).map(ToString::to_string).collect()
    }
}

/// How a host is reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Connection {
    /// Over SSH.
    #[default]
    Ssh,
    /// This very machine.
    Local,
}

/// An operating system that portoser deploys to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Os {
    Linux,
    Macos,
}

/// What starts services on a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Init {
    Systemd,
    Launchd,
    /// Neither: services are detached processes with a small restart loop.
    None,
}

/// What is known about a host beforehand; it goes before what the host says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Platform {
    pub os: Option<Os>,
    pub init: Option<Init>,
}

/// How a host's commands gain rights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Become {
    /// They run as the login user.
    #[default]
    None,
    /// They run as root, through sudo.
    Sudo,
}

/// A machine.
#[derive(Clone, Debug)]
pub struct Host {
    pub name: HostName,
    /// A name or address, or an alias that the SSH configuration knows. Defaults to the host's name.
    pub address: String,
    /// The login user; when none is given, the SSH configuration's, then this machine's user.
    pub user: Option<String>,
    /// The port; when none is given, the SSH configuration's, then 22.
    pub port: Option<u16>,
    /// Private key files, absolute; when empty, the SSH configuration's, then the usual ones.
    pub identity: Vec<PathBuf>,
    pub labels: BTreeMap<String, String>,
    /// The base folder on the host, absolute; when none is given, `/opt/portoser` as root, else `~/.local/share/portoser`.
    pub base: Option<String>,
    /// The jump hosts on the whole way, first hop first. Each is a host of this registry.
    pub jump: Vec<HostName>,
    pub connection: Connection,
    pub r#become: Become,
    pub platform: Platform,
    /// Environment variables for every service on this host.
    pub env: BTreeMap<String, String>,
    /// How problems of its own, which are no service's, are healed.
    pub heal: Heal,
    /// The most that may be done for services on it, where the host itself says so.
    pub heal_most: Option<HealPolicy>,
}

/// What kind of thing a service is, and what that kind needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A command or uploaded program that the host's init system runs.
    Native(Native),
    /// Containers that compose brings up.
    Docker(Box<Docker>),
    /// A Python program with a virtual environment of its own, run by the host's init system.
    Python(Python),
}

impl Kind {
    /// Whether it runs in containers.
    #[must_use]
    pub fn is_docker(&self) -> bool {
        matches!(self, Self::Docker(_))
    }
}

/// A native service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Native {
    /// A command that we render a unit for. The first word may be relative to the release (`./bin/api`).
    Run { words: Vec<String> },
    /// A unit that exists on the host; we manage its state alone.
    Unit { name: String },
}

/// A Python service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Python {
    /// A first word without a slash is a program of the virtual environment (`uvicorn`, `python`).
    pub words: Vec<String>,
    /// What names its packages; none where that is known only once the source was fetched.
    pub lock: Option<Lock>,
    /// Major and minor version (`3.12`); any when none is given.
    pub version: Option<String>,
    pub extras: Vec<String>,
    pub groups: Vec<String>,
    /// The environment for installing packages.
    pub build_env: BTreeMap<String, String>,
    /// The package index; when none is given, what the host is set to.
    pub index: Option<String>,
    /// A folder of wheels on this machine, absolute; nothing else is installed then.
    pub wheels: Option<PathBuf>,
    /// Runs on the first host only, before anything is switched.
    pub once: Option<Hook>,
}

/// A service.
#[derive(Clone, Debug)]
pub struct Service {
    pub name: ServiceName,
    pub kind: Kind,
    /// Where it runs, in the registry's order; never empty.
    pub hosts: Vec<HostName>,
    /// How many of it run on each host; at least 1. Instance `n` (from 1) gets the port `port + n - 1`.
    pub instances: u16,
    /// What must be proven before it.
    pub needs: Vec<ServiceName>,
    /// The folder or file that is sent along.
    pub source: Option<Source>,
    /// Environment variables; values may hold `${PORT}` and the like (`VARIABLES`).
    pub env: BTreeMap<String, String>,
    /// Files written into the release, by their path relative to it.
    pub files: BTreeMap<String, ManagedFile>,
    /// The main port.
    pub port: Option<u16>,
    /// Further ports that it binds.
    pub ports: Vec<u16>,
    pub checks: Vec<Check>,
    pub deploy: Policy,
    pub restart: Restart,
    pub limits: Limits,
    /// Whom it runs as: a user of the host; when none is given, root for system units, the login user else. In a container a user
    /// of the image, perhaps by number and with a group behind `:`; when none is given, the image's own.
    pub user: Option<String>,
    pub scope: Scope,
    pub log: LogLimits,
    pub stop: Stop,
    /// The signal, with `SIG`, that makes it read its settings again.
    pub reload: Option<String>,
    pub hooks: Hooks,
    /// What its unit is cut off from.
    pub harden: BTreeSet<Hardening>,
    pub labels: BTreeMap<String, String>,
    pub protected: bool,
    pub heal: Heal,
}

impl Service {
    /// The account of the host that it runs as, where one is named. In a container its image knows the user.
    #[must_use]
    pub fn account(&self) -> Option<&str> {
        self.user.as_deref().filter(|_| !self.kind.is_docker())
    }
}

/// The variables that `run`, `env`, hooks and templates may name as `${NAME}` (templates: `{{ NAME }}`).
pub const VARIABLES: &[&str] = &["PORT", "HOST", "ADDRESS", "SERVICE", "INSTANCE", "RELEASE_DIR", "SHARED_DIR"];

/// Where the content of a managed file comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileSource {
    /// A minijinja template on this machine, absolute.
    Template(PathBuf),
    /// A file on this machine that is sent as it is, absolute.
    Copy(PathBuf),
    /// The text itself.
    Text(String),
}

/// A file that we write on the host beside the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManagedFile {
    pub source: FileSource,
    /// Permission bits.
    pub mode: u32,
}

/// A number of hosts, or a share of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Batch {
    Count(usize),
    Percent(u8),
}

impl Batch {
    /// How many of so many hosts go at once; at least one, as a batch of none would never end. A share is rounded up.
    #[must_use]
    pub fn size(self, all: usize) -> usize {
        let size = match self {
            Self::Count(count) => count,
            Self::Percent(percent) => (all * usize::from(percent)).div_ceil(100),
        };
        size.max(1)
    }
}

/// How a deploy goes over the hosts of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// How many hosts go first, alone.
    pub canary: usize,
    /// How many go at once after that.
    pub batch: Batch,
    /// How many hosts may fail before the rest is not touched.
    pub max_fail: usize,
    /// How long the gate must stay green before the change is kept.
    pub soak: Duration,
    pub on_lost_contact: OnLostContact,
    /// How long a host goes without a sign of life from the controller before it counts as lost.
    pub lost_after: Duration,
    /// How many old releases stay on a host, besides the current one and the rollback target.
    pub keep_releases: usize,
    /// Releases younger than this stay too.
    pub keep_for: Duration,
}

/// When a service that ended is started again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RestartPolicy {
    #[default]
    Always,
    OnFailure,
    Never,
}

/// Restarting by the host's supervisor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restart {
    pub policy: RestartPolicy,
    /// At most so many starts ...
    pub max: u32,
    /// ... in this time; then it stays down.
    pub within: Duration,
    /// Between the end and the next start.
    pub delay: Duration,
}

/// What a service may use at most.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of memory.
    pub memory: Option<u64>,
    /// Thousandths of a processor.
    pub cpu_millis: Option<u32>,
    /// Open files.
    pub files: Option<u64>,
    /// Processes and threads.
    pub tasks: Option<u64>,
}

/// How much a service may log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogLimits {
    /// At most so many lines ...
    pub lines: Option<u32>,
    /// ... in this time.
    pub per: Option<Duration>,
    /// For hosts without a journal: the size in bytes at which the log file is turned over.
    pub max_size: Option<u64>,
}

/// The longest that a service may take to stop.
pub const STOP_MOST: Duration = Duration::from_secs(3600);

/// How a service is stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stop {
    /// A signal name with `SIG`, such as `SIGTERM`.
    pub signal: String,
    /// How long it has before it is killed, at most `STOP_MOST`.
    pub timeout: Duration,
}

/// Commands of the user's at fixed points; they run on the host, in the release.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hooks {
    /// Before the switch; a failure fails the deploy.
    pub before: Vec<Hook>,
    /// After the switch, before the gate; a failure undoes the deploy.
    pub after: Vec<Hook>,
    /// What playbooks may run by its name.
    pub named: BTreeMap<String, Hook>,
}

/// One hook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hook {
    pub words: Vec<String>,
    pub timeout: Duration,
}
