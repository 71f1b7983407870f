//! Private keys of this machine: read once in a run, and opened with a passphrase that is asked once in a run.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use russh::keys::agent::AgentIdentity;
use russh::keys::signature::{self, Signer as _};
use russh::keys::ssh_encoding::{self, Encode as _};
use russh::keys::ssh_key::private::KeypairData;
use russh::keys::{Certificate, HashAlg, PrivateKey, PublicKey, load_openssh_certificate, load_secret_key, ssh_key};
use tokio::sync::Mutex;

use crate::model::Secret;

/// A question that only a person can answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// The passphrase of a private key; `again` says that what was given before did not fit.
    Passphrase { file: PathBuf, again: bool },
    /// The login password of a user; `again` as above.
    Password { user: String, host: String, again: bool },
    /// What the server asks (keyboard-interactive); `echo` says whether the answer may be seen.
    Server { host: String, prompt: String, echo: bool },
}

/// Answers questions, or declines with `None`. It is called on a thread that may block, one question at a time.
pub type Prompter = Arc<dyn Fn(&Question) -> Option<Secret> + Send + Sync>;

/// One way to prove who we are.
#[derive(Clone)]
pub(super) enum Proof {
    /// A key that we hold.
    Key(Arc<PrivateKey>),
    /// A certificate and the key that we hold for it.
    Certificate(Arc<PrivateKey>, Box<Certificate>),
    /// A key that the agent holds.
    AgentKey(PublicKey),
    /// A certificate whose key the agent holds.
    AgentCertificate(Box<Certificate>),
}

/// What is known of a key file without opening it.
#[derive(Clone)]
pub(super) struct KeyFile {
    pub(super) path: PathBuf,
    pub(super) public: Option<PublicKey>,
    /// The key, when it needs no passphrase.
    pub(super) open: Option<Arc<PrivateKey>>,
    pub(super) certificates: Vec<Certificate>,
}

/// The key files of one run.
#[derive(Default)]
pub(super) struct Keys {
    files: Mutex<HashMap<PathBuf, Option<KeyFile>>>,
    /// Keys that a passphrase opened, and those for which none was given.
    opened: Mutex<HashMap<PathBuf, Option<Arc<PrivateKey>>>>,
}

/// How often a wrong passphrase may be given.
const PASSPHRASES: usize = 3;

impl Keys {
    /// Reads a key file; `None` when there is none that we can read.
    pub(super) async fn file(&self, path: &Path) -> Option<KeyFile> {
        let mut files = self.files.lock().await;
        files.entry(path.into()).or_insert_with(|| read(path)).clone()
    }

    /// Opens an encrypted key with a passphrase that `prompter` gives. It asks once for each key, however many hosts want
    /// it, and again only after a wrong answer.
    pub(super) async fn opened(&self, path: &Path, prompter: Option<&Prompter>) -> Option<Arc<PrivateKey>> {
        let prompter = prompter?;
        let mut opened = self.opened.lock().await;
        if let Some(known) = opened.get(path) {
            return known.clone();
        }
        let (file, prompter) = (path.to_path_buf(), prompter.clone());
        let key = tokio::task::spawn_blocking(move || unlock(&file, &prompter)).await.ok().flatten().map(Arc::new);
        opened.insert(path.into(), key.clone());
        key
    }
}

fn unlock(file: &Path, prompter: &Prompter) -> Option<PrivateKey> {
    for attempt in 0..PASSPHRASES {
        let passphrase = prompter(&Question::Passphrase { file: file.into(), again: attempt > 0 })?;
        let text = std::str::from_utf8(passphrase.reveal_for_sending()).ok()?;
        if let Ok(key) = load_secret_key(file, Some(text)) {
            return Some(key);
        }
    }
    None
}

fn read(path: &Path) -> Option<KeyFile> {
    let open = load_secret_key(path, None).ok().map(Arc::new);
    let beside = with_suffix(path, ".pub");
    let public = match &open {
        Some(key) => Some(key.public_key().clone()),
        // The public half of an encrypted OpenSSH key is not encrypted.
        None => PrivateKey::read_openssh_file(path)
            .map(|key| key.public_key().clone())
            .ok()
            .or_else(|| PublicKey::read_openssh_file(&beside).ok())
            // A registry may name the public half alone: the agent holds the key.
            .or_else(|| PublicKey::read_openssh_file(path).ok()),
    };
    if open.is_none() && public.is_none() && !path.exists() {
        return None;
    }
    let certificates = load_openssh_certificate(with_suffix(path, "-cert.pub")).into_iter().collect();
    Some(KeyFile { path: path.into(), public, open, certificates })
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// A key of ours that signs as an agent would.
pub(super) struct Held(pub(super) Arc<PrivateKey>);

/// Why a key of ours would not sign.
#[derive(Debug, thiserror::Error)]
pub(super) enum CannotSign {
    #[error("the connection was closed")]
    Closed(#[from] russh::SendError),
    #[error("the key cannot sign")]
    Key(#[from] signature::Error),
    #[error("the signature cannot be written")]
    Encoding(#[from] ssh_encoding::Error),
}

impl russh::Signer for Held {
    type Error = CannotSign;

    /// Returns what was to be signed, followed by the signature as a string (RFC 4252, section 7).
    async fn auth_sign(
        &mut self,
        _key: &AgentIdentity,
        hash: Option<HashAlg>,
        mut data: Vec<u8>,
    ) -> Result<Vec<u8>, CannotSign> {
        let signed: ssh_key::Signature = match self.0.key_data() {
            KeypairData::Rsa(key) => (key, hash).try_sign(&data)?,
            key => key.try_sign(&data)?,
        };
        let mut encoded = Vec::new();
        signed.encode(&mut encoded)?;
        encoded.encode(&mut data)?;
        Ok(data)
    }
}
