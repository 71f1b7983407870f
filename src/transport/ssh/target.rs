//! Where a host is and how to get in: the registry's word first, then ssh_config's, then the defaults of ssh(1).

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::registry::{Host, Registry};
use crate::transport::{Lost, Options};

use super::ask_ssh;
use super::config::{Config, Said};

/// How long a TCP connection may take when nobody says otherwise.
const CONNECT: Duration = Duration::from_secs(10);

/// How often a silent server is asked whether it is there. Three unanswered questions end the connection, within 15 s.
const ALIVE: Duration = Duration::from_secs(4);

/// The keys that ssh(1) tries when none is named; sk- keys are left to the agent.
const USUAL_KEYS: &[&str] = &["id_ed25519", "id_ecdsa", "id_rsa"];

/// Everything that a connection is made from; nothing is left to be looked up but the address itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// What messages call it: the name in the registry, or the word in `ProxyJump`.
    pub label: String,
    pub address: String,
    pub port: u16,
    pub user: String,
    /// The name and port under which its key is known.
    pub known_as: (String, u16),
    /// The files of known host keys; a key that is newly trusted goes into the first.
    pub known_hosts: Vec<PathBuf>,
    /// Private key files, in the order in which they are tried.
    pub identity: Vec<PathBuf>,
    /// Certificates beside those that lie next to the keys.
    pub certificates: Vec<PathBuf>,
    /// Whether the agent may only be asked for the keys named here.
    pub identities_only: bool,
    pub agent: Option<PathBuf>,
    /// The hops on the way, first hop first; each has no hops of its own.
    pub jump: Vec<Target>,
    pub connect_within: Duration,
    pub alive_interval: Duration,
}

impl Target {
    /// Resolves a host of the registry.
    ///
    /// # Errors
    /// `Lost::Config` when the SSH configuration cannot be understood or names what is not supported.
    pub async fn resolve(host: &Host, registry: &Registry, config: &Config, options: &Options) -> Result<Self, Lost> {
        let mut target = one(Wanted::from(host), config, options).await?;
        if host.jump.is_empty() {
            return Ok(target);
        }
        target.jump.clear();
        for name in &host.jump {
            let hop = registry.hosts.get(name).ok_or_else(|| no_such_hop(name.as_str()))?;
            target.jump.extend(hops(one(Wanted::from(hop), config, options).await?, target.jump.is_empty()));
        }
        Ok(target)
    }
}

fn no_such_hop(name: &str) -> Lost {
    Lost::Config(format!("no host named `{name}` to jump through"), "name a host of the registry in `jump`".into())
}

/// A hop and, when it is the first one, the way to it.
fn hops(mut hop: Target, first: bool) -> Vec<Target> {
    let mut way = std::mem::take(&mut hop.jump);
    if !first {
        way.clear();
    }
    way.push(hop);
    way
}

/// What is known of a host before the configuration is asked.
#[derive(Default)]
struct Wanted {
    label: String,
    alias: String,
    user: Option<String>,
    port: Option<u16>,
    identity: Vec<PathBuf>,
}

impl From<&Host> for Wanted {
    fn from(host: &Host) -> Self {
        Self {
            label: host.name.to_string(),
            alias: host.address.clone(),
            user: host.user.clone(),
            port: host.port,
            identity: host.identity.clone(),
        }
    }
}

/// One word of `ProxyJump`: `[user@]host[:port]`, or the same as `ssh://`.
fn hop_word(word: &str) -> Result<Wanted, Lost> {
    let word = word.trim();
    let word = word.strip_prefix("ssh://").unwrap_or(word);
    let (user, rest) = match word.rsplit_once('@') {
        Some((user, rest)) => (Some(user.to_owned()), rest),
        None => (None, word),
    };
    let bracketed = rest.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    let (alias, port) = match (bracketed, rest.rsplit_once(':')) {
        (Some((inside, after)), _) => (inside, after.strip_prefix(':')),
        // More than one colon is a bare IPv6 address.
        (None, Some((name, port))) if !name.contains(':') => (name, Some(port)),
        (None, _) => (rest, None),
    };
    // Another host than the one that is meant may listen at the usual port.
    let port = port.map(|port| port.parse().ok().filter(|port| *port > 0));
    if alias.is_empty() || port == Some(None) {
        let hint = "a hop is written as [user@]host[:port]; mend it in the SSH configuration".to_owned();
        return Err(Lost::Config(format!("`{word}` in ProxyJump names no host, or no port"), hint));
    }
    let (label, alias, port) = (word.to_owned(), alias.to_owned(), port.flatten());
    Ok(Wanted { label, alias, user, port, identity: Vec::new() })
}

/// How many hops may follow from hops of hops.
const DEPTH: usize = 8;

async fn one(wanted: Wanted, config: &Config, options: &Options) -> Result<Target, Lost> {
    at_depth(wanted, config, options, DEPTH).await
}

/// Only the first hop's own `ProxyJump` counts: the others are reached through the hop before them. A host that is its own
/// hop, as under `Host *`, is reached directly.
async fn at_depth(wanted: Wanted, config: &Config, options: &Options, depth: usize) -> Result<Target, Lost> {
    let said = about(&wanted, config, options).await?;
    let alias = wanted.alias.clone();
    let mut target = merge(wanted, &said, options);
    for word in said.jump.iter().flat_map(|words| words.split(',')) {
        let hop = hop_word(word)?;
        if hop.alias.eq_ignore_ascii_case(&alias) {
            continue;
        }
        let Some(depth) = depth.checked_sub(1) else {
            return Err(Lost::Config("hosts jump through each other without end".into(), "mend ProxyJump".into()));
        };
        let hop = Box::pin(at_depth(hop, config, options, depth)).await?;
        target.jump.extend(hops(hop, target.jump.is_empty()));
    }
    Ok(target)
}

async fn about(wanted: &Wanted, config: &Config, options: &Options) -> Result<Said, Lost> {
    let mut said = config.about(&wanted.alias);
    let why = config.undecided.clone().or_else(|| said.canonical.then(|| "CanonicalizeHostname".into()));
    if let Some(why) = why {
        said = ask_ssh::about(&wanted.alias, wanted.user.as_deref(), wanted.port, options, &why).await?;
    }
    match said.unsupported {
        None => said.filled(|name| std::env::var(name).ok()),
        Some(keyword) => Err(Lost::Config(
            format!("`{keyword}` in the SSH configuration of `{}` is not supported", wanted.alias),
            format!("set `{keyword} none` for this host; a chain of hosts is written as ProxyJump or `jump`"),
        )),
    }
}

fn merge(wanted: Wanted, said: &Said, options: &Options) -> Target {
    let user = wanted.user.or_else(|| said.user.clone()).unwrap_or_else(|| options.local_user.clone());
    let port = wanted.port.or(said.port).unwrap_or(22);
    let address = match &said.hostname {
        Some(name) => expand(name, &[('h', &wanted.alias), ('n', &wanted.alias)]),
        None => wanted.alias.clone(),
    };
    let home = options.home.display().to_string();
    let port_word = port.to_string();
    let tokens: &[(char, &str)] = &[
        ('h', &address),
        ('n', &wanted.alias),
        ('p', &port_word),
        ('r', &user),
        ('u', &options.local_user),
        ('d', &home),
        ('k', said.host_key_alias.as_deref().unwrap_or(&wanted.alias)),
    ];
    let path = |text: &String| in_home(&expand(text, tokens), &options.home);
    let named = !wanted.identity.is_empty();
    let identity = match (named, said.identity.is_empty()) {
        (true, _) => wanted.identity,
        (false, false) => said.identity.iter().map(path).collect(),
        (false, true) => USUAL_KEYS.iter().map(|name| options.home.join(".ssh").join(name)).collect(),
    };
    let usual_known = ["known_hosts", "known_hosts2"].map(|name| options.home.join(".ssh").join(name));
    let global_known = ["ssh_known_hosts", "ssh_known_hosts2"].map(|name| Path::new("/etc/ssh").join(name));
    let files = |said: &Option<Vec<String>>, usual: [PathBuf; 2]| match said {
        Some(files) if files.first().is_some_and(|word| word.eq_ignore_ascii_case("none")) => Vec::new(),
        Some(files) => files.iter().map(path).collect(),
        None => usual.to_vec(),
    };
    let mut known_hosts = files(&said.user_known_hosts, usual_known);
    known_hosts.extend(files(&said.global_known_hosts, global_known));
    let known_as = match &said.host_key_alias {
        Some(alias) => (alias.clone(), 22),
        None => (address.clone(), port),
    };
    let certificates = said.certificates.iter().map(path).collect();
    let agent = agent(said.agent.as_ref(), path, options);
    Target {
        label: wanted.label,
        known_as,
        port,
        known_hosts,
        identity,
        certificates,
        identities_only: said.identities_only || named,
        agent,
        jump: Vec::new(),
        connect_within: said.connect_timeout.unwrap_or(CONNECT),
        alive_interval: said.alive_interval.map_or(ALIVE, |interval| interval.min(ALIVE)),
        user,
        address,
    }
}

fn agent(said: Option<&String>, path: impl Fn(&String) -> PathBuf, options: &Options) -> Option<PathBuf> {
    match said.map(String::as_str) {
        None | Some("SSH_AUTH_SOCK") => options.agent.clone(),
        Some("none") => None,
        Some(_) => said.map(path),
    }
}

/// Replaces `%` tokens; `%%` is a percent sign, and a token that is not listed stays as it is.
fn expand(text: &str, tokens: &[(char, &str)]) -> String {
    let mut expanded = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            expanded.push(c);
            continue;
        }
        match chars.next() {
            Some('%') => expanded.push('%'),
            Some(token) => match tokens.iter().find(|(name, _)| *name == token) {
                Some((_, value)) => expanded.push_str(value),
                None => expanded.extend(['%', token]),
            },
            None => expanded.push('%'),
        }
    }
    expanded
}

fn in_home(text: &str, home: &Path) -> PathBuf {
    match text.strip_prefix("~/") {
        Some(rest) => home.join(rest),
        None if text == "~" => home.into(),
        None => PathBuf::from(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_proxy_jump_are_read() {
        let read = |word: &str| {
            let hop = hop_word(word).unwrap_or_else(|lost| panic!("{lost}"));
            (hop.user, hop.alias, hop.port)
        };
        assert_eq!(read("bastion"), (None, "bastion".into(), None));
        assert_eq!(read("a@b:2222"), (Some("a".into()), "b".into(), Some(2222)));
        assert_eq!(read(" ssh://a@b:2222"), (Some("a".into()), "b".into(), Some(2222)));
        assert_eq!(read("[::1]:22"), (None, "::1".into(), Some(22)));
        assert_eq!(read("::1"), (None, "::1".into(), None));
        assert_eq!(read("me@corp@b"), (Some("me@corp".into()), "b".into(), None));
        for wrong in ["a@b:port", "b:0", "b:70000", "b:", "[::1]:x", "a@", ""] {
            assert!(matches!(hop_word(wrong), Err(Lost::Config(..))), "{wrong}");
        }
    }

    #[test]
    fn tokens_are_replaced_once() {
        assert_eq!(expand("%h.example.com", &[('h', "%h")]), "%h.example.com");
        assert_eq!(expand("100%% of %x%", &[]), "100% of %x%");
    }

    #[test]
    fn the_registry_wins_over_ssh_config() {
        let config = Config::from_text(
            "HostName real.example\nUser theirs\nPort 2200\nIdentityFile ~/.ssh/%n\nHostKeyAlias known\nServerAliveInterval 60",
        )
        .expect("readable");
        let options = Options { home: "/home/me".into(), local_user: "me".into(), ..Options::default() };
        let wanted = |user: Option<&str>, port| Wanted {
            label: "web".into(),
            alias: "web".into(),
            user: user.map(str::to_owned),
            port,
            identity: Vec::new(),
        };
        let theirs = merge(wanted(None, None), &config.about("web"), &options);
        assert_eq!((theirs.user.as_str(), theirs.port, theirs.address.as_str()), ("theirs", 2200, "real.example"));
        assert_eq!(theirs.identity, [PathBuf::from("/home/me/.ssh/web")]);
        assert_eq!(theirs.known_as, ("known".into(), 22));
        assert_eq!(theirs.alive_interval, ALIVE, "a dead link is noticed in time whatever the file says");
        let ours = merge(wanted(Some("mine"), Some(22)), &config.about("web"), &options);
        assert_eq!((ours.user.as_str(), ours.port), ("mine", 22));
        let plain = merge(wanted(None, None), &Said::default(), &options);
        assert_eq!((plain.user.as_str(), plain.port, plain.address.as_str()), ("me", 22, "web"));
        assert_eq!(plain.known_hosts[0], PathBuf::from("/home/me/.ssh/known_hosts"));
    }
}
