//! Our side of the SSH handshake: what we offer, and whether the server is who it should be.

use std::borrow::Cow;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use russh::client::{ChannelOpenHandle, DisconnectReason, Handler, Msg, Session};
use russh::keys::{Algorithm, HashAlg, PublicKey, PublicKeyOrCertificate};
use russh::{Channel, Preferred, cipher, client};

use crate::transport::Lost;

use super::known_hosts::{KnownHosts, Verdict};
use super::target::Target;
use super::wire;

/// So many times a silent server is asked whether it is there; when it is silent for as long once more, it is gone.
const UNANSWERED: u32 = 2;

/// What our side of a connection has seen; shared with the connection.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// The key that the server showed, and what is thought of it.
    pub(super) key: Option<(PublicKey, Verdict)>,
    /// Why the connection ended.
    pub(super) ended: Option<Lost>,
    /// Whether the server ended it, with a word of its own.
    pub(super) hung_up: bool,
}

/// Judges the server's key, and remembers why the connection ended.
pub(super) struct Client {
    known: Arc<KnownHosts>,
    known_as: (String, u16),
    /// How long the server may say nothing.
    alive: Duration,
    seen: Arc<Mutex<Seen>>,
}

impl Client {
    pub(super) fn new(known: Arc<KnownHosts>, target: &Target, seen: Arc<Mutex<Seen>>) -> Self {
        Self { known, known_as: target.known_as.clone(), alive: target.alive_interval * (UNANSWERED + 1), seen }
    }
}

impl Handler for Client {
    type Error = russh::Error;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, russh::Error> {
        let (name, port) = &self.known_as;
        let (key, verdict) = match shown {
            PublicKeyOrCertificate::PublicKey { key, .. } => (key.clone(), self.known.judge(name, *port, key)),
            PublicKeyOrCertificate::Certificate(certificate) => (
                PublicKey::from(certificate.public_key().clone()),
                self.known.judge_certificate(name, *port, certificate),
            ),
        };
        let trusted = verdict == Verdict::Trusted;
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).key = Some((key, verdict));
        Ok(trusted)
    }

    // russh lets a server open channels to us by default. Nothing of ours asks for one, so all are refused, which is what
    // happens to a channel whose handle is dropped.

    async fn server_channel_open_session(
        &mut self,
        _: Channel<Msg>,
        _refused: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), russh::Error> {
        Ok(())
    }

    async fn server_channel_open_agent_forward(
        &mut self,
        _: Channel<Msg>,
        _refused: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), russh::Error> {
        Ok(())
    }

    async fn server_channel_open_x11(
        &mut self,
        _: Channel<Msg>,
        _address: &str,
        _port: u32,
        _refused: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), russh::Error> {
        Ok(())
    }

    async fn server_channel_open_forwarded_tcpip(
        &mut self,
        _: Channel<Msg>,
        _address: &str,
        _port: u32,
        _from: &str,
        _from_port: u32,
        _refused: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), russh::Error> {
        Ok(())
    }

    async fn server_channel_open_direct_tcpip(
        &mut self,
        _: Channel<Msg>,
        _address: &str,
        _port: u32,
        _from: &str,
        _from_port: u32,
        _refused: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), russh::Error> {
        Ok(())
    }

    async fn server_channel_open_forwarded_streamlocal(
        &mut self,
        _: Channel<Msg>,
        _path: &str,
        _refused: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), russh::Error> {
        Ok(())
    }

    async fn server_channel_open_direct_streamlocal(
        &mut self,
        _: Channel<Msg>,
        _path: &str,
        _refused: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), russh::Error> {
        Ok(())
    }

    async fn disconnected(&mut self, reason: DisconnectReason<russh::Error>) -> Result<(), russh::Error> {
        let hung_up = matches!(reason, DisconnectReason::ReceivedDisconnect(_));
        let link = |what| Lost::Link { what };
        let why = match reason {
            DisconnectReason::ReceivedDisconnect(told) => link(format!("the server said: {}", told.message.trim())),
            DisconnectReason::Error(russh::Error::KeepaliveTimeout) => Lost::Silent { after: self.alive },
            DisconnectReason::Error(russh::Error::IO(error)) if wire::is_stalled(&error) => {
                Lost::Silent { after: wire::STALLED }
            }
            DisconnectReason::Error(russh::Error::Disconnect) => link("the connection was closed".into()),
            DisconnectReason::Error(error) => link(error.to_string()),
        };
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        (seen.ended, seen.hung_up) = (Some(why), hung_up);
        Ok(())
    }
}

/// What we offer. Bytes of a command's output wait at most `window` before the host waits.
pub(super) fn config(known: &KnownHosts, target: &Target) -> client::Config {
    let (name, port) = &target.known_as;
    let preferred = Preferred {
        key: Cow::Owned(key_order(&known.algorithms(name, *port))),
        host_key_certificates: match known.has_authority(name, *port) {
            true => Cow::Owned(key_order(&[])),
            false => Cow::Borrowed(&[]),
        },
        cipher: Cow::Borrowed(if has_aes() { AES_FIRST } else { CHACHA_FIRST }),
        compression: Cow::Borrowed(&[russh::compression::NONE]),
        ..Preferred::DEFAULT
    };
    client::Config {
        nodelay: true,
        preferred,
        keepalive_interval: Some(target.alive_interval),
        keepalive_max: UNANSWERED as usize,
        inactivity_timeout: None,
        window_size: 2 << 20,
        limits: russh::Limits::new(1 << 30, 1 << 30, Duration::from_secs(3600)),
        ..client::Config::default()
    }
}

/// The key types of which this host is already known go first, or a host known by one type would look unknown by another.
/// The SHA-1 signature of RSA (`ssh-rsa`) is not offered.
fn key_order(known: &[Algorithm]) -> Vec<Algorithm> {
    let all = Preferred::DEFAULT.key;
    let usual = all.iter().filter(|algorithm| !matches!(algorithm, Algorithm::Rsa { hash: None }));
    let is_known = |algorithm: &Algorithm| match algorithm {
        Algorithm::Rsa { .. } => known.iter().any(|known| matches!(known, Algorithm::Rsa { .. })),
        other => known.contains(other),
    };
    let (mut first, rest): (Vec<_>, Vec<_>) = usual.cloned().partition(is_known);
    first.extend(rest);
    first
}

const AES_FIRST: &[cipher::Name] = &[
    cipher::AES_256_GCM,
    cipher::AES_128_GCM,
    cipher::CHACHA20_POLY1305,
    cipher::AES_256_CTR,
    cipher::AES_192_CTR,
    cipher::AES_128_CTR,
];

const CHACHA_FIRST: &[cipher::Name] = &[
    cipher::CHACHA20_POLY1305,
    cipher::AES_256_GCM,
    cipher::AES_128_GCM,
    cipher::AES_256_CTR,
    cipher::AES_192_CTR,
    cipher::AES_128_CTR,
];

fn has_aes() -> bool {
    #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
    return std::arch::is_x86_feature_detected!("aes");
    #[cfg(target_arch = "aarch64")]
    return std::arch::is_aarch64_feature_detected!("aes");
    #[cfg(not(any(target_arch = "x86", target_arch = "x86_64", target_arch = "aarch64")))]
    return false;
}

/// How a key is shown to a person: as `ssh-keygen -l` prints it.
pub(super) fn fingerprint(key: &PublicKey) -> String {
    key.fingerprint(HashAlg::Sha256).to_string()
}
