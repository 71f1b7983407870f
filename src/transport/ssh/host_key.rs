//! What to do with a key that the known_hosts files do not vouch for. Nothing here trusts by itself, and no flag does.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use russh::keys::PublicKey;

use crate::transport::Lost;

use super::client::fingerprint;
use super::known_hosts::{Verdict, trust};
use super::target::Target;

/// A key that a server showed.
#[derive(Clone, Debug)]
pub struct ShownKey {
    /// The name in the registry, or the word in `ProxyJump`.
    pub host: String,
    /// The name and port that known_hosts has it under.
    pub known_as: (String, u16),
    /// `ssh-ed25519` and the like.
    pub algorithm: String,
    /// As `ssh-keygen -l` prints it: `SHA256:...`.
    pub fingerprint: String,
    /// What the files say about it.
    pub verdict: Verdict,
    /// The file that a trusted key is written to.
    pub file: Option<PathBuf>,
    key: PublicKey,
}

impl ShownKey {
    pub(super) fn new(target: &Target, key: PublicKey, verdict: Verdict) -> Self {
        Self {
            host: target.label.clone(),
            known_as: target.known_as.clone(),
            algorithm: key.algorithm().to_string(),
            fingerprint: fingerprint(&key),
            verdict,
            file: target.known_hosts.first().cloned(),
            key,
        }
    }

    /// Pins the key: appends it to the user's known_hosts file. Only an unknown key can be pinned; a changed one is first
    /// taken out by a person.
    ///
    /// # Errors
    /// `Lost::HostKey` when the key is not an unknown one, `Lost::Config` when the file cannot be written.
    pub fn trust(&self) -> Result<(), Lost> {
        match self.verdict {
            Verdict::Trusted => return Ok(()),
            Verdict::Unknown => {}
            Verdict::Changed { .. } | Verdict::Revoked { .. } => return Err(Lost::HostKey(Box::new(self.clone()))),
        }
        let (name, port) = &self.known_as;
        let Some(file) = &self.file else {
            return Err(Lost::Config(
                format!("no known_hosts file to write the key of `{}` to", self.host),
                "name one with UserKnownHostsFile".into(),
            ));
        };
        trust(file, name, *port, &self.key).map_err(|error| {
            Lost::Config(
                format!("cannot write the key of `{}` to {}: {error}", self.host, file.display()),
                format!("make {} writable", file.display()),
            )
        })
    }

    /// The next move of a person whose host showed this key.
    #[must_use]
    pub fn hint(&self) -> String {
        let Self { host, known_as: (name, port), .. } = self;
        let entry = if *port == 22 { name.clone() } else { format!("[{name}]:{port}") };
        match &self.verdict {
            Verdict::Changed { file, .. } => format!(
                "someone may be in between; if the host was set up anew, run `ssh-keygen -R '{entry}' -f {}`, \
                 then `portoser host trust {host}`",
                file.display()
            ),
            Verdict::Revoked { .. } => "give the host a new key, or take the line out if it is wrong".into(),
            Verdict::Trusted | Verdict::Unknown => {
                format!("compare the fingerprint with the host's own, then run `portoser host trust {host}`")
            }
        }
    }
}

impl fmt::Display for ShownKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, fingerprint, algorithm, .. } = self;
        match &self.verdict {
            Verdict::Changed { file, line } => write!(
                f,
                "the host key of `{host}` has changed: it shows {algorithm} {fingerprint}, which is not the key in {}:{line}",
                file.display()
            ),
            Verdict::Revoked { file, line } => {
                write!(
                    f,
                    "the host key of `{host}` ({algorithm} {fingerprint}) is revoked in {}:{line}",
                    file.display()
                )
            }
            Verdict::Unknown => write!(f, "the host key of `{host}` is not known: {algorithm} {fingerprint}"),
            Verdict::Trusted => write!(f, "the host key of `{host}` is known: {algorithm} {fingerprint}"),
        }
    }
}

/// Decides about a key that no file knows. Called on a thread that may block, one key at a time.
pub type AskAboutKey = Arc<dyn Fn(&ShownKey) -> bool + Send + Sync>;

/// What happens to an unknown key. A changed or a revoked key is always refused.
#[derive(Clone, Default)]
pub enum HostKeys {
    /// It is refused, with its fingerprint.
    #[default]
    Refuse,
    /// A person decides; `true` pins it.
    Ask(AskAboutKey),
}
