//! Why something could not be had from a host, told so that a person knows the next move.

use std::time::Duration;

use super::ssh::ShownKey;

/// Why something could not be had from a host. Each tells a different next move; `hint` names it.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Lost {
    #[error("cannot resolve `{name}`")]
    Resolve { name: String },
    #[error("{address} refused the connection")]
    Refused { address: String },
    #[error("{address} cannot be reached: {says}")]
    Unreachable { address: String, says: String },
    #[error("{what} took longer than {} s", .after.as_secs_f64())]
    TimedOut { what: String, after: Duration },
    /// A command's own deadline passed, and it was ended on the host.
    #[error("{what} ran longer than {} s, and was ended", .after.as_secs_f64())]
    Overdue { what: String, after: Duration },
    /// The server showed a key that is not trusted.
    #[error("{0}")]
    HostKey(Box<ShownKey>),
    /// The agent may have had the key, where it was mute for so long.
    #[error("authentication as `{user}` failed: tried {}; the server offers {}{}", join(.tried), join(.offered), muted(.mute))]
    Authentication { user: String, tried: Vec<String>, offered: Vec<String>, mute: Option<Duration> },
    #[error("the login shell of `{user}` does not run /bin/sh: {says}")]
    NoShell { user: String, says: String },
    #[error("the host has no sudo, and `{user}` is not root")]
    SudoMissing { user: String },
    #[error("sudo needs a password for `{user}`")]
    SudoPassword { user: String },
    #[error("sudo is refused for `{user}`: {says}")]
    SudoRefused { user: String, says: String },
    #[error("the link was lost: {what}")]
    Link { what: String },
    /// The other side said nothing for so long that it is taken for dead, or the way to it.
    #[error("the link was lost: the server has said nothing for {} s", .after.as_secs_f64())]
    Silent { after: Duration },
    /// The server hung up before it said who it is, as one that has too many unauthenticated connections does.
    #[error("{address} hung up before the handshake: {says}")]
    Busy { address: String, says: String },
    #[error("the server refused a channel: {what}")]
    Channel { what: String },
    #[error("the command line is {length} bytes long on its way to the host; {limit} is the most")]
    TooLong { length: usize, limit: usize },
    #[error("the answer is longer than {limit} bytes")]
    TooMuch { limit: usize },
    /// The hop before it cannot be reached, or cannot reach it. It is told in a line, and the reason belongs to it.
    #[error("cannot reach it through `{jump}`: {why}")]
    Jump { jump: String, why: Box<Lost> },
    /// The SSH configuration or a key file of this machine cannot be used as it is: what, and the next move.
    #[error("{0}")]
    Config(String, String),
    #[error("{0}")]
    Local(String),
}

impl Lost {
    /// The next move, as one line without a full stop.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Resolve { .. } => "check `address` in the registry, or the name in ~/.ssh/config".into(),
            Self::Refused { .. } => "check that sshd runs on the host, and the port in the registry".into(),
            Self::Unreachable { .. } => "check `address` in the registry, and the network and routes on the way".into(),
            Self::TimedOut { .. } => {
                "the host may be down, overloaded or behind a firewall; try `ssh HOST true`".into()
            }
            Self::Silent { .. } => {
                "the host may be down, overloaded or behind a firewall; once `ssh HOST true` answers, run the same command \
                 again; what was running on the host went on by itself"
                    .into()
            }
            Self::Overdue { .. } => {
                "see on the host what it waits for; where the verb has `--timeout`, it can be given more time".into()
            }
            Self::HostKey(key) => key.hint(),
            Self::Config(_, hint) => hint.clone(),
            Self::Authentication { mute: Some(_), .. } => {
                "restart the ssh-agent, or do without it: unset SSH_AUTH_SOCK, and name a key file in `identity`".into()
            }
            Self::Authentication { user, tried, .. } if tried.is_empty() => {
                format!(
                    "give a key for `{user}`: `identity` in the registry, ssh-add, or IdentityFile in ~/.ssh/config"
                )
            }
            Self::Authentication { user, .. } => {
                format!("put the public key into `{user}`'s authorized_keys, or name another in `identity`")
            }
            Self::NoShell { user, .. } => {
                format!(
                    "give `{user}` a login shell that runs commands (`chsh -s /bin/sh {user}`), remove a forced command \
                     from its key, or log in as another `user`"
                )
            }
            Self::SudoMissing { .. } => {
                "install sudo there, log in as root (`user: root`), or set `become: none` and a `base` that the user owns"
                    .into()
            }
            Self::SudoPassword { .. } => {
                "use --ask-become-pass, or allow the user sudo without a password (NOPASSWD)".into()
            }
            Self::SudoRefused { .. } => "allow the user to run /bin/sh with sudo, or set `become: none`".into(),
            Self::Link { .. } => "run the same command again; what was running on the host went on by itself".into(),
            Self::Busy { .. } => {
                "the server has too many unauthenticated connections (MaxStartups) or blocks this address; try again"
                    .into()
            }
            Self::Channel { .. } => {
                "raise MaxSessions in the host's sshd_config, or allow TCP forwarding for checks".into()
            }
            Self::TooLong { .. } => "send the text as a file or on the standard input".into(),
            Self::TooMuch { .. } => "ask for less, for example fewer log lines".into(),
            Self::Jump { why, .. } => why.hint(),
            Self::Local(_) => "check that this machine can start processes".into(),
        }
    }

    /// Whether the same attempt may succeed a moment later, with nothing changed by anyone. Never true of what was refused
    /// for a reason (keys, authentication, sudo).
    #[must_use]
    pub fn retryable(&self) -> bool {
        match self {
            Self::Link { .. }
            | Self::Silent { .. }
            | Self::Busy { .. }
            | Self::TimedOut { .. }
            | Self::Overdue { .. }
            | Self::Channel { .. } => true,
            Self::Jump { why, .. } => why.retryable(),
            _ => false,
        }
    }
}

fn muted(mute: &Option<Duration>) -> String {
    mute.map_or(String::new(), |mute| format!("; the ssh-agent did not answer within {} s", mute.as_secs_f64()))
}

fn join(words: &[String]) -> String {
    if words.is_empty() { "nothing".into() } else { words.join(", ") }
}
