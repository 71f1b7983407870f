//! `portoser host trust`: pins a host's key, after a person or a script compared its fingerprint.

use serde_json::json;

use crate::cli::{Exit, Face, Failure, prompt, safe, session};
use crate::model::{FailureKind, HostName};
use crate::transport::Lost;
use crate::transport::ssh::ShownKey;
use crate::transport::ssh::known_hosts::Verdict;

/// Pin the key of a host, when its fingerprint is the right one
///
/// On a terminal the fingerprint is shown and asked about. A script must name it, as `--yes` alone trusts no key. A key
/// that has changed is refused.
#[derive(Debug, clap::Args)]
pub(super) struct Trust {
    /// The host
    #[arg(value_name = "HOST")]
    name: HostName,
    /// The fingerprint that the key must have, as `ssh-keygen -l` prints it on the host
    #[arg(long, value_name = "SHA256:...")]
    fingerprint: Option<String>,
}

impl Trust {
    pub(super) fn run(self, face: &Face) -> Result<Exit, Failure> {
        let app = session::look(face)?;
        let Some(host) = app.registry.hosts.get(&self.name) else {
            let known = app.registry.hosts.keys().map(|name| name.as_str());
            return Err(crate::cli::registry::unknown("host", self.name.as_str(), known));
        };
        let key = session::looking(&app, async |_| {
            app.host_key(host).await.map_err(|lost| failed(&lost).doing(format!("asking `{}` for its key", self.name)))
        })?;
        match key.verdict {
            Verdict::Trusted => face.talk(safe(&key.to_string())),
            Verdict::Unknown => {
                self.judge(face, &key)?;
                key.trust().map_err(|lost| failed(&lost))?;
                let file = key.file.as_ref().map(|file| file.display().to_string()).unwrap_or_default();
                face.talk(safe(&format!("pinned {} {} of `{}` in {file}", key.algorithm, key.fingerprint, key.host)));
            }
            Verdict::Changed { .. } | Verdict::Revoked { .. } => {
                return Err(Failure::say(FailureKind::Refused, key.to_string()).hint(key.hint()));
            }
        }
        if face.flags.json || face.flags.events {
            face.document(&json!({ "host": key.host, "algorithm": key.algorithm, "fingerprint": key.fingerprint }));
        }
        Ok(Exit::DONE)
    }

    /// Whether somebody says that the key is the right one.
    fn judge(&self, face: &Face, key: &ShownKey) -> Result<(), Failure> {
        let refuse = |text: String| Failure::say(FailureKind::Refused, text);
        if let Some(wanted) = &self.fingerprint {
            if *wanted == key.fingerprint {
                return Ok(());
            }
            return Err(refuse(format!(
                "`{}` shows {} {}, and not {wanted}",
                key.host, key.algorithm, key.fingerprint
            ))
            .hint("someone may be in between; look at `ssh-keygen -lf /etc/ssh/ssh_host_*_key.pub` on the host"));
        }
        if !face.can_ask() {
            return Err(refuse(key.to_string())
                .hint(format!("compare it with the host's own, then give --fingerprint {}", key.fingerprint)));
        }
        let question = format!("{key}\nis this the right fingerprint, and shall the key be pinned?");
        if prompt::agrees(&question) { Ok(()) } else { Err(refuse("the key is not trusted".into())) }
    }
}

fn failed(lost: &Lost) -> Failure {
    let kind = if matches!(lost, Lost::HostKey(_)) { FailureKind::Refused } else { FailureKind::Unreachable };
    Failure::new(kind, lost).hint(lost.hint())
}
