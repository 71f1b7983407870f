//! Why a run ended before its walk, told with place and next move. Nothing was touched then.

use std::time::Duration;

use crate::deploy::far::Unseen;
use crate::deploy::git::GitFault;
use crate::deploy::image::ImageFault;
use crate::deploy::push::PushFault;
use crate::deploy::select::SelectFault;
use crate::deploy::source::SourceFault;
use crate::host::cause::cause;
use crate::model::{FailureKind, HostName, ServiceName};
use crate::plan::{Refused, RefusedAt};
use crate::secrets::SecretFault;

/// Why nothing was begun.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    #[error("cannot tell which services are meant")]
    Select(#[source] SelectFault),
    #[error("cannot read the source")]
    Source(#[source] SourceFault),
    #[error("cannot fetch the source")]
    Git(#[source] GitFault),
    #[error("cannot read what is sent")]
    Image(#[source] ImageFault),
    /// Hosts that could not be seen.
    #[error("{}", unseen(.0))]
    Unseen(Vec<(HostName, Unseen)>),
    #[error("the plan is refused")]
    Refused(Vec<RefusedAt>),
    #[error("`{host}` is still locked after {} s: {holder}", .waited.as_secs_f64())]
    Locked { host: HostName, holder: String, waited: Duration },
    #[error("`{host}` changed under every one of {times} plans; somebody else is deploying there")]
    Stale { host: HostName, times: usize },
    /// The host did not take the run; nothing was touched, and what ran there runs on.
    #[error("the run cannot begin on `{host}`: {why}")]
    Begin { host: HostName, why: String },
    #[error("`{host}` was lost before anything was touched: {why}")]
    Gone { host: HostName, why: String },
    #[error("the payload for `{host}` cannot be made")]
    Payload {
        host: HostName,
        #[source]
        source: crate::host::run::PayloadError,
    },
    #[error("the image `{image}` cannot be sent to `{host}`")]
    Push {
        host: HostName,
        image: String,
        #[source]
        why: Box<PushFault>,
    },
    /// Hosts that were taken out of service; and there is no other.
    #[error("{}", cordoned(.0))]
    Cordoned(Vec<(HostName, String)>),
    /// Hosts on which nothing can be begun, as they take no file.
    #[error("{}", closed(.0))]
    Closed(Vec<(HostName, Refused)>),
    /// Services of which no other host was seen to be able to take the place of this one, and why each.
    #[error("draining `{host}` would end what no other host carries")]
    Alone { host: HostName, services: Vec<(ServiceName, String)> },
    /// What is protected would change only by the plan that was made anew.
    #[error("`{0}` is protected, and would change only since somebody else was at work meanwhile")]
    Unapproved(String),
    /// The host does not write down what it is to keep.
    #[error("`{host}` did not keep the word that it is out of service: its base folder cannot be written")]
    Wordless { host: HostName },
    #[error("the password for the image registry `{server}` is not here")]
    Secret {
        server: String,
        #[source]
        why: SecretFault,
    },
    #[error("stopped before the change itself began")]
    Interrupted,
}

fn unseen(hosts: &[(HostName, Unseen)]) -> String {
    match hosts {
        [(host, _)] => format!("cannot see `{host}`"),
        _ => format!("cannot see {} hosts", hosts.len()),
    }
}

fn cordoned(hosts: &[(HostName, String)]) -> String {
    match hosts {
        [(host, why)] => format!("`{host}` is cordoned: {why}"),
        _ => format!("all {} hosts are cordoned", hosts.len()),
    }
}

fn closed(hosts: &[(HostName, Refused)]) -> String {
    match hosts {
        [(host, why)] => format!("nothing can be begun on `{host}`: {}", why.what),
        _ => format!("nothing can be begun on {} hosts", hosts.len()),
    }
}

impl Fault {
    /// The kind, which gives the exit code.
    #[must_use]
    pub fn kind(&self) -> FailureKind {
        match self {
            Self::Select(_) => FailureKind::Usage,
            Self::Source(_) | Self::Image(_) => FailureKind::Invalid,
            Self::Git(fault) => fault.kind(),
            Self::Push { why, .. } => why.kind(),
            Self::Unseen(_) | Self::Gone { .. } => FailureKind::Unreachable,
            Self::Begin { .. } => FailureKind::RolledBack,
            Self::Refused(_) | Self::Cordoned(_) | Self::Closed(_) | Self::Alone { .. } | Self::Unapproved(_) => {
                FailureKind::Refused
            }
            Self::Locked { .. } | Self::Stale { .. } => FailureKind::Locked,
            Self::Payload { .. } | Self::Wordless { .. } => FailureKind::Internal,
            Self::Secret { .. } => FailureKind::Secret,
            Self::Interrupted => FailureKind::Interrupted,
        }
    }

    /// Whether it may be over when a host is healed.
    #[must_use]
    pub fn is_of_host(&self) -> bool {
        match self {
            Self::Closed(_) => true,
            Self::Refused(all) => all.iter().any(|(_, _, why)| why.host),
            _ => false,
        }
    }

    /// One line for each thing that is wrong, where there are several.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        match self {
            Self::Unseen(hosts) => hosts.iter().map(|(host, why)| format!("{host}: {}", chain(why))).collect(),
            Self::Refused(all) => {
                all.iter().map(|(service, host, why)| format!("{service} on {host}: {why}")).collect()
            }
            Self::Closed(hosts) if hosts.len() > 1 => {
                hosts.iter().map(|(host, why)| format!("{host}: {}", why.what)).collect()
            }
            Self::Alone { services, .. } => services.iter().map(|(name, why)| format!("{name}: {why}")).collect(),
            Self::Cordoned(hosts) if hosts.len() > 1 => {
                hosts.iter().map(|(host, why)| format!("{host}: {why}")).collect()
            }
            _ => Vec::new(),
        }
    }

    /// The next moves, without repetition.
    #[must_use]
    pub fn hints(&self) -> Vec<String> {
        let mut hints: Vec<String> = match self {
            Self::Select(fault) => vec![fault.hint()],
            Self::Unseen(hosts) => hosts.iter().map(|(_, why)| why.hint()).collect(),
            Self::Refused(all) => all.iter().filter_map(|(_, _, why)| why.hint.clone()).collect(),
            Self::Closed(hosts) => hosts.iter().filter_map(|(_, why)| why.hint.clone()).collect(),
            Self::Locked { .. } => vec!["wait longer with --wait-lock, or see `portoser runs`".into()],
            Self::Stale { .. } => vec!["see `portoser runs`, and deploy again when the other run is over".into()],
            Self::Begin { host, why } => {
                let known = cause(std::slice::from_ref(why), None).map(|cause| cause.hint);
                vec![known.unwrap_or_else(|| format!("see `portoser host check {host}`"))]
            }
            Self::Cordoned(_) => vec!["take it in again with `portoser host uncordon`".into()],
            Self::Alone { .. } => vec!["nothing was stopped; bring them to other hosts first, or give --alone".into()],
            Self::Unapproved(name) => vec![format!("see `portoser plan`, and give --approve {name}")],
            Self::Gone { host, .. } | Self::Wordless { host } => vec![format!("see `portoser host check {host}`")],
            Self::Git(fault) => fault.hints(),
            Self::Image(fault) => vec![fault.hint().into()],
            Self::Push { host, why, .. } => vec![why.hint(host)],
            Self::Secret { why, .. } => vec![why.hint()],
            Self::Source(_) | Self::Payload { .. } | Self::Interrupted => Vec::new(),
        };
        hints.sort();
        hints.dedup();
        hints
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
