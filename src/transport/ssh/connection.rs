//! One authenticated connection: made with deadlines and bounded retries, shared by every command and stream to its host.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use russh::client::{self, Handle, Msg};
use russh::{Channel, ChannelOpenFailure, Disconnect};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::transport::{Lost, Stream};

use super::auth::Login;
use super::client::{Client, Seen, config};
use super::host_key::ShownKey;
use super::keys::{Keys, Prompter};
use super::known_hosts::KnownHosts;
use super::limits::{COMPUTES, Limits, pause};
use super::target::Target;
use super::wire::{self, Guarded, Quick};

/// Commands on one connection at a time. sshd's MaxSessions is 10 by default and frees a slot late.
const SESSIONS: usize = 5;

/// From the first byte to the end of the key exchange.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// How long the server may take to open a channel.
const OPEN: Duration = Duration::from_secs(10);

/// For how long a refused channel is asked for again: the slot of a command that ended may not be free yet, or other
/// commands may hold every slot.
const OPEN_AGAIN: Duration = Duration::from_secs(30);

/// How long the last commands may take to end when the connection is closed.
const CLOSE: Duration = Duration::from_secs(5);

/// One connection to one target.
pub(super) struct Connection {
    pub(super) target: Target,
    /// What let us in: a key, a certificate, a password.
    pub(super) proof: String,
    handle: Handle<Client>,
    seen: Arc<Mutex<Seen>>,
    sessions: Arc<Semaphore>,
    /// The tasks that listen to commands.
    pub(super) commands: TaskTracker,
    /// The tasks that carry streams.
    streams: TaskTracker,
    /// Ends the stream under the connection.
    cut: CancellationToken,
    /// Counts the connections that go through this one.
    riders: Arc<()>,
    /// The connection that this one goes through, and our place in its count; it lives as long as this one.
    _through: Option<(Arc<()>, Arc<Connection>)>,
}

/// What every connection of a run shares.
pub(super) struct Shared<'a> {
    pub(super) keys: &'a Keys,
    pub(super) prompter: Option<&'a Prompter>,
    pub(super) limits: &'a Limits,
}

impl Connection {
    /// Connects and authenticates, straight or through another connection. What fails before the server has said anything
    /// is tried again a few times; nothing else is.
    pub(super) async fn open(
        target: &Target,
        through: Option<Arc<Connection>>,
        known: Arc<KnownHosts>,
        shared: &Shared<'_>,
    ) -> Result<Self, Lost> {
        let mut attempt = 0;
        loop {
            match Self::once(target, through.clone(), known.clone(), shared).await {
                Err(lost @ Lost::Busy { .. }) => match pause(attempt) {
                    Some(time) => sleep(time).await,
                    None => return Err(lost),
                },
                ended => return ended,
            }
            attempt += 1;
        }
    }

    async fn once(
        target: &Target,
        through: Option<Arc<Connection>>,
        known: Arc<KnownHosts>,
        shared: &Shared<'_>,
    ) -> Result<Self, Lost> {
        let _seat = shared.limits.address(&format!("{}:{}", target.address, target.port)).await;
        let mut reached = reach(target, through.as_ref(), known, shared.limits).await?;
        let login = Login::new(&mut reached.handle, target, shared.keys, shared.prompter, &reached.seen);
        let proof = login.run().await?;
        Ok(Self {
            target: target.clone(),
            proof,
            handle: reached.handle,
            seen: reached.seen,
            sessions: Arc::new(Semaphore::new(SESSIONS)),
            commands: TaskTracker::new(),
            streams: TaskTracker::new(),
            cut: reached.cut.disarm(),
            riders: Arc::default(),
            _through: through.map(|hop| (hop.riders.clone(), hop)),
        })
    }

    /// The key that the server shows; the connection ends there.
    pub(super) async fn show_key(
        target: &Target,
        through: Option<Arc<Connection>>,
        known: Arc<KnownHosts>,
        limits: &Limits,
    ) -> Result<ShownKey, Lost> {
        match reach(target, through.as_ref(), known, limits).await {
            Err(Lost::HostKey(shown)) => Ok(*shown),
            Err(lost) => Err(lost),
            Ok(reached) => match reached.seen.lock().unwrap_or_else(PoisonError::into_inner).key.take() {
                Some((key, verdict)) => Ok(ShownKey::new(target, key, verdict)),
                None => Err(Lost::Link { what: "the server showed no key".into() }),
            },
        }
    }

    /// Whether it can still be used.
    pub(super) fn is_open(&self) -> bool {
        !self.handle.is_closed() && !self.cut.is_cancelled()
    }

    /// Why the connection ended, as a loss.
    pub(super) fn lost(&self, what: &str) -> Lost {
        let ended = self.seen.lock().unwrap_or_else(PoisonError::into_inner).ended.clone();
        ended.unwrap_or_else(|| Lost::Link { what: what.to_owned() })
    }

    /// Opens a channel for a command. It waits for one of our seats, and for the server's.
    pub(super) async fn session(&self) -> Result<(Channel<Msg>, OwnedSemaphorePermit), Lost> {
        let closed = |_| self.lost("the connection was closed");
        let seat = self.sessions.clone().acquire_owned().await.map_err(closed)?;
        Ok((self.extra_session().await?, seat))
    }

    /// Opens a channel for a command that may not wait for one of our seats.
    pub(super) async fn extra_session(&self) -> Result<Channel<Msg>, Lost> {
        let until = Instant::now() + OPEN_AGAIN;
        let mut attempt = 0;
        loop {
            let reason = match timeout(OPEN, self.handle.channel_open_session()).await {
                Ok(Ok(channel)) => return Ok(channel),
                Ok(Err(russh::Error::ChannelOpenFailure(reason))) => reason,
                Ok(Err(error)) => return Err(self.lost(&error.to_string())),
                Err(_) => return Err(Lost::TimedOut { what: "opening a channel".into(), after: OPEN }),
            };
            // OpenSSH says "connect failed" when MaxSessions is reached.
            let again = matches!(reason, ChannelOpenFailure::ConnectFailed | ChannelOpenFailure::ResourceShortage);
            if !again || Instant::now() >= until {
                return Err(Lost::Channel { what: format!("a command's channel: {}", name_of(&reason)) });
            }
            sleep(pause(attempt).unwrap_or(Duration::from_millis(500))).await;
            attempt += 1;
        }
    }

    /// Opens a stream from the host to `address:port`.
    pub(super) async fn dial(&self, address: &str, port: u16, within: Duration) -> Result<Box<dyn Stream>, Lost> {
        let open = self.handle.channel_open_direct_tcpip(address, port.into(), "127.0.0.1", 0);
        let to = format!("{address}:{port}");
        match timeout(within, open).await {
            Ok(Ok(channel)) => Ok(Box::new(super::stream::pump(channel, &self.streams))),
            Ok(Err(russh::Error::ChannelOpenFailure(ChannelOpenFailure::ConnectFailed))) => {
                Err(Lost::Refused { address: to })
            }
            Ok(Err(russh::Error::ChannelOpenFailure(reason))) => {
                Err(Lost::Channel { what: format!("a stream to {to}: {}", name_of(&reason)) })
            }
            Ok(Err(error)) => Err(self.lost(&error.to_string())),
            Err(_) => Err(Lost::TimedOut { what: format!("connecting from the host to {to}"), after: within }),
        }
    }

    /// Ends the connection in good order: commands that nobody listens to any more are ended on the host first, which takes a
    /// channel; then the server is told, and the stream is cut. A hop that others go through stays until they are gone.
    pub(super) async fn close(&self) {
        if Arc::strong_count(&self.riders) > 1 {
            return;
        }
        self.sessions.close();
        self.commands.close();
        self.streams.close();
        if self.is_open() {
            let _ = timeout(CLOSE, self.commands.wait()).await;
        }
        let _ = self.handle.disconnect(Disconnect::ByApplication, "", "").await;
        let both = async { tokio::join!(self.commands.wait(), self.streams.wait()) };
        let _ = timeout(CLOSE, both).await;
        self.cut.cancel();
    }
}

fn name_of(reason: &ChannelOpenFailure) -> &'static str {
    match reason {
        ChannelOpenFailure::AdministrativelyProhibited => "prohibited by its administrator",
        ChannelOpenFailure::ConnectFailed => "no free session (MaxSessions)",
        ChannelOpenFailure::UnknownChannelType => "it does not know this kind of channel",
        ChannelOpenFailure::ResourceShortage => "it is short of resources",
        _ => "it gives no reason",
    }
}

/// A server that has shown a trusted key, and that does not know yet who we are.
struct Reached {
    handle: Handle<Client>,
    seen: Arc<Mutex<Seen>>,
    /// Whatever drops this ends the stream, and with it the task that russh keeps for an unfinished handshake.
    cut: DropGuard,
}

async fn reach(
    target: &Target,
    through: Option<&Arc<Connection>>,
    known: Arc<KnownHosts>,
    limits: &Limits,
) -> Result<Reached, Lost> {
    let token = CancellationToken::new();
    let cut = token.clone().drop_guard();
    let seen = Arc::new(Mutex::new(Seen::default()));
    let settings = Arc::new(config(&known, target));
    let client = Client::new(known, target, seen.clone());
    let handle = match through {
        None => {
            let stream = wire::connect(&target.address, target.port, target.connect_within).await?;
            let stream = Quick::new(stream).map_err(|error| Lost::Link { what: error.to_string() })?;
            let mut seat = limits.any().await;
            seat.hold(COMPUTES, shake(settings, Guarded::new(stream, token), client, &seen, target)).await?
        }
        Some(hop) => {
            let dialled = hop.dial(&target.address, target.port, target.connect_within).await;
            let stream = dialled.map_err(|lost| behind(&hop.target.label, lost))?;
            let mut seat = limits.any().await;
            seat.hold(COMPUTES, shake(settings, Guarded::new(stream, token), client, &seen, target)).await?
        }
    };
    Ok(Reached { handle, seen, cut })
}

/// What it means that a hop did not connect: it does not tell a port that is closed from an address that it has no way to.
fn behind(hop: &str, lost: Lost) -> Lost {
    let Lost::Refused { address } = lost else { return lost };
    let why = Lost::Unreachable { address, says: format!("`{hop}` was refused there, or has no way to it") };
    Lost::Jump { jump: hop.to_owned(), why: Box::new(why) }
}

/// The handshake up to the keys, with its deadline; and what its failure means.
async fn shake<S>(
    settings: Arc<client::Config>,
    stream: S,
    client: Client,
    seen: &Mutex<Seen>,
    target: &Target,
) -> Result<Handle<Client>, Lost>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin + 'static,
{
    let address = format!("{}:{}", target.address, target.port);
    let error = match timeout(HANDSHAKE, client::connect_stream(settings, stream, client)).await {
        Ok(Ok(handle)) => return Ok(handle),
        Ok(Err(error)) => error,
        Err(_) => return Err(Lost::TimedOut { what: format!("the SSH handshake with {address}"), after: HANDSHAKE }),
    };
    let judged = seen.lock().unwrap_or_else(PoisonError::into_inner).key.take();
    match (error, judged) {
        (russh::Error::UnknownKey, Some((key, verdict))) => {
            Err(Lost::HostKey(Box::new(ShownKey::new(target, key, verdict))))
        }
        // Nothing was agreed on yet when the stream ended: the server is full, or something in between is not ready.
        (russh::Error::IO(error), None) => Err(Lost::Busy { address, says: error.to_string() }),
        (russh::Error::Disconnect | russh::Error::HUP, None) => {
            Err(Lost::Busy { address, says: "the connection was closed".into() })
        }
        (error, _) => Err(Lost::Link { what: format!("the SSH handshake with {address} failed: {error}") }),
    }
}
