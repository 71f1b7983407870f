//! The connections of one run: each target is dialled once, however many ask for it, and hops are shared.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use tokio::sync::{Mutex, OnceCell};

use crate::registry::{Become, Host, Registry};
use crate::transport::shell::Rights;
use crate::transport::{Lost, Options, Transport};

use super::Ssh;
use super::config::Config;
use super::connection::{Connection, Shared};
use super::host_key::{HostKeys, ShownKey};
use super::keys::Keys;
use super::known_hosts::{KnownHosts, Verdict};
use super::limits::Limits;
use super::target::Target;

/// Where the connection to one target is, or is being made.
#[derive(Default)]
struct Place {
    /// How many attempts have ended. Whoever waited for one takes its outcome, so a host that is down costs its deadline
    /// once; whoever comes later makes an attempt of their own.
    attempts: AtomicU64,
    last: Mutex<Last>,
}

#[derive(Default)]
struct Last {
    connection: Weak<Connection>,
    lost: Option<Lost>,
}

/// All SSH connections of one run, and what they share.
#[derive(Default)]
pub(in crate::transport) struct Links {
    config: OnceCell<Config>,
    keys: Keys,
    limits: Limits,
    places: Mutex<HashMap<Target, Arc<Place>>>,
    known: Mutex<HashMap<Vec<PathBuf>, Arc<KnownHosts>>>,
    /// One question about a host key at a time.
    asking: Mutex<()>,
}

impl Links {
    /// The way to a host: the connection that is there, or a new one.
    pub(in crate::transport) async fn connect(
        &self,
        host: &Host,
        registry: &Registry,
        options: &Options,
    ) -> Result<Arc<dyn Transport>, Lost> {
        let target = self.target(host, registry, options).await?;
        let connection = self.to(&target, options).await?;
        let root = match host.r#become {
            Become::Sudo if target.user != "root" => Rights::Sudo(options.become_password.clone()),
            Become::Sudo | Become::None => Rights::Plain,
        };
        Ok(Arc::new(Ssh { name: host.name.clone(), connection, root }))
    }

    /// The key that a host shows now, and what the known_hosts files say about it. Nothing is asked and nobody logs in.
    pub(in crate::transport) async fn host_key(
        &self,
        host: &Host,
        registry: &Registry,
        options: &Options,
    ) -> Result<ShownKey, Lost> {
        let target = self.target(host, registry, options).await?;
        let through = self.way(&target, options).await?;
        let known = self.known(&target).await;
        Connection::show_key(&target, through, known, &self.limits).await
    }

    async fn target(&self, host: &Host, registry: &Registry, options: &Options) -> Result<Target, Lost> {
        let read = || async { options.read_config() };
        let config = self.config.get_or_try_init(read).await?;
        Target::resolve(host, registry, config, options).await
    }

    /// The connection to a target, and through its hops. Whoever comes while it is being made waits for it.
    async fn to(&self, target: &Target, options: &Options) -> Result<Arc<Connection>, Lost> {
        let place = self.places.lock().await.entry(target.clone()).or_default().clone();
        let attempts = place.attempts.load(Ordering::SeqCst);
        let mut last = place.last.lock().await;
        if let Some(connection) = last.connection.upgrade().filter(|connection| connection.is_open()) {
            return Ok(connection);
        }
        if let Some(lost) = last.lost.clone().filter(|_| place.attempts.load(Ordering::SeqCst) > attempts) {
            return Err(lost);
        }
        let made = match self.way(target, options).await {
            Ok(through) => self.dial(target, through, options).await.map(Arc::new),
            Err(lost) => Err(lost),
        };
        *last = match &made {
            Ok(connection) => Last { connection: Arc::downgrade(connection), lost: None },
            Err(lost) => Last { connection: Weak::new(), lost: Some(lost.clone()) },
        };
        place.attempts.fetch_add(1, Ordering::SeqCst);
        made
    }

    /// The connection to the last hop before `target`.
    async fn way(&self, target: &Target, options: &Options) -> Result<Option<Arc<Connection>>, Lost> {
        let Some((last, before)) = target.jump.split_last() else { return Ok(None) };
        let mut hop = last.clone();
        hop.jump = before.to_vec();
        match Box::pin(self.to(&hop, options)).await {
            Ok(connection) => Ok(Some(connection)),
            // A failure further up is told with the name of the hop where it happened.
            Err(lost @ Lost::Jump { .. }) => Err(lost),
            Err(lost) => Err(Lost::Jump { jump: last.label.clone(), why: Box::new(lost) }),
        }
    }

    async fn dial(
        &self,
        target: &Target,
        through: Option<Arc<Connection>>,
        options: &Options,
    ) -> Result<Connection, Lost> {
        let shared = Shared { keys: &self.keys, prompter: options.prompter.as_ref(), limits: &self.limits };
        let known = self.known(target).await;
        match Connection::open(target, through.clone(), known, &shared).await {
            Err(Lost::HostKey(shown)) => {
                self.ask(*shown, target, options).await?;
                let known = self.known(target).await;
                Connection::open(target, through, known, &shared).await
            }
            ended => ended,
        }
    }

    /// Asks about an unknown key, outside of the handshake: a person takes longer than a server waits.
    async fn ask(&self, shown: ShownKey, target: &Target, options: &Options) -> Result<(), Lost> {
        let HostKeys::Ask(ask) = &options.host_keys else { return Err(Lost::HostKey(Box::new(shown))) };
        if shown.verdict != Verdict::Unknown {
            return Err(Lost::HostKey(Box::new(shown)));
        }
        let _one = self.asking.lock().await;
        let (asked, ask) = (shown.clone(), ask.clone());
        let yes = tokio::task::spawn_blocking(move || ask(&asked)).await.unwrap_or(false);
        if !yes {
            return Err(Lost::HostKey(Box::new(shown)));
        }
        shown.trust()?;
        self.known.lock().await.remove(&target.known_hosts);
        Ok(())
    }

    /// Ends all connections in good order, side by side; what goes through others before those.
    pub(in crate::transport) async fn close(&self) {
        let places: Vec<Arc<Place>> = self.places.lock().await.values().cloned().collect();
        let mut all = Vec::new();
        for place in places {
            // Who is making a connection holds its place, and has no command there yet.
            if let Ok(last) = place.last.try_lock() {
                all.extend(last.connection.upgrade());
            }
        }
        let most = all.iter().map(|connection| connection.target.jump.len()).max().unwrap_or_default();
        for hops in (0..=most).rev() {
            let (far, near): (Vec<_>, Vec<_>) = all.into_iter().partition(|one| one.target.jump.len() == hops);
            all = near;
            let mut closing: tokio::task::JoinSet<()> = tokio::task::JoinSet::new();
            for connection in far {
                closing.spawn(async move { connection.close().await });
            }
            while closing.join_next().await.is_some() {}
        }
    }

    /// What could not be read in the known_hosts files so far.
    pub(in crate::transport) async fn warnings(&self) -> Vec<String> {
        let known = self.known.lock().await;
        let mut warnings: Vec<String> = known.values().flat_map(|known| known.warnings.iter().cloned()).collect();
        warnings.sort();
        warnings.dedup();
        warnings
    }

    /// The known hosts of these files, read once in a run.
    async fn known(&self, target: &Target) -> Arc<KnownHosts> {
        let mut known = self.known.lock().await;
        let read = || Arc::new(KnownHosts::read(&target.known_hosts));
        known.entry(target.known_hosts.clone()).or_insert_with(read).clone()
    }
}
