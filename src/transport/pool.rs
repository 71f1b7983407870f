//! The ways to all hosts of one run: whoever asks for a host gets the one connection to it.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use crate::model::Secret;
use crate::registry::{Connection, Host, Registry};

use super::ssh::config::Config;
use super::ssh::{HostKeys, Links, Prompter, ShownKey};
use super::{Local, Lost, Transport};

/// What a run brings along to reach its hosts.
#[derive(Clone, Default)]
pub struct Options {
    /// The user's home folder, where `.ssh` is.
    pub home: PathBuf,
    /// The user of this machine, the login user where nobody names another.
    pub local_user: String,
    /// An ssh_config file that is read instead of the user's and the machine's, as `ssh -F`.
    pub config: Option<PathBuf>,
    /// The agent's socket.
    pub agent: Option<PathBuf>,
    /// What happens to a host key that is not known.
    pub host_keys: HostKeys,
    /// Who answers questions for passphrases and passwords; without it, nothing that needs an answer is tried.
    pub prompter: Option<Prompter>,
    /// The password for sudo; it travels on the standard input only.
    pub become_password: Option<Secret>,
}

impl Options {
    /// What this machine's environment says: home, user, agent.
    #[must_use]
    pub fn from_environment() -> Self {
        let user = ["USER", "LOGNAME"].iter().find_map(|name| std::env::var(name).ok().filter(|user| !user.is_empty()));
        Self {
            home: etcetera::home_dir().unwrap_or_default(),
            local_user: user.unwrap_or_else(|| "root".into()),
            agent: std::env::var_os("SSH_AUTH_SOCK").filter(|path| !path.is_empty()).map(PathBuf::from),
            ..Self::default()
        }
    }

    pub(super) fn read_config(&self) -> Result<Config, Lost> {
        match &self.config {
            Some(file) => Config::read(file, &PathBuf::new(), &self.home),
            None => Config::read(&self.home.join(".ssh/config"), "/etc/ssh/ssh_config".as_ref(), &self.home),
        }
    }
}

/// The ways to the hosts of one run.
pub struct Pool {
    options: Options,
    links: Links,
    /// What listens to the commands on this machine.
    tasks: Arc<TaskTracker>,
}

impl Pool {
    /// A pool without any connection yet.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self { options, links: Links::default(), tasks: Arc::default() }
    }

    /// The way to `host`: the connection that is there and still open, or a new one. Connections end when the last
    /// transport that uses them is dropped or closed.
    ///
    /// # Errors
    /// Why the host cannot be had; what may be tried again was tried again already.
    pub async fn connect(&self, host: &Host, registry: &Registry) -> Result<Arc<dyn Transport>, Lost> {
        match host.connection {
            Connection::Local => Ok(Arc::new(Local::new(host, &self.options, self.tasks.clone()).await)),
            Connection::Ssh => self.links.connect(host, registry, &self.options).await,
        }
    }

    /// The key that `host` shows now, and what known_hosts says of it; `ShownKey::trust` pins it.
    ///
    /// # Errors
    /// Why the host cannot be had. A host on this machine has no key.
    pub async fn host_key(&self, host: &Host, registry: &Registry) -> Result<ShownKey, Lost> {
        match host.connection {
            Connection::Local => Err(Lost::Local(format!("`{}` is this machine; it has no host key", host.name))),
            Connection::Ssh => self.links.host_key(host, registry, &self.options).await,
        }
    }

    /// Hands this process's terminal over to the system's own ssh, for a session on the host; gives its exit code.
    ///
    /// # Errors
    /// When the host is this machine, or there is no ssh here.
    pub async fn hand_over(&self, host: &Host, registry: &Registry) -> Result<u8, Lost> {
        match host.connection {
            Connection::Local => Err(Lost::Local(format!("`{}` is this machine; you are there already", host.name))),
            Connection::Ssh => super::ssh::hand_over(host, registry, &self.options).await,
        }
    }

    /// Ends everything that nobody listens to any more, on all hosts, and then the connections. It has an end.
    pub async fn close(&self) {
        self.tasks.close();
        tokio::join!(self.links.close(), async { drop(timeout(super::local::CANCEL, self.tasks.wait()).await) });
    }

    /// What could not be read in the known_hosts files that were looked at so far; such lines are skipped.
    pub async fn warnings(&self) -> Vec<String> {
        self.links.warnings().await
    }
}
