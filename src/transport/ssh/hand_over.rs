//! An interactive session is the business of the system's own ssh: it gets the registry's words as options, and the
//! terminal. What the registry does not say, it finds in its own configuration, which is the one that we read too.

use std::process::Stdio;

use crate::model::quote;
use crate::registry::{Host, Registry};
use crate::transport::{Lost, Options};

/// Starts `ssh` and waits for its end; gives its exit code.
pub(in crate::transport) async fn hand_over(host: &Host, registry: &Registry, options: &Options) -> Result<u8, Lost> {
    #[expect(clippy::disallowed_methods, reason = "this room starts processes")]
    let mut ssh = tokio::process::Command::new("ssh");
    ssh.args(words(host, registry, options));
    ssh.stdin(Stdio::inherit()).stdout(Stdio::inherit()).stderr(Stdio::inherit());
    let status = ssh.status().await.map_err(|error| {
        Lost::Config(
            format!("cannot start this machine's ssh: {error}"),
            format!("install an OpenSSH client, or use `portoser ssh {} -- WORDS`", host.name),
        )
    })?;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(255))
}

/// The words after `ssh`.
fn words(host: &Host, registry: &Registry, options: &Options) -> Vec<String> {
    let hops: Vec<&Host> = host.jump.iter().filter_map(|name| registry.hosts.get(name)).collect();
    let mut words = login(host, options);
    if hops.iter().any(|hop| !hop.identity.is_empty()) {
        // `-J` has no word for the keys of hops, so the way through them is spelled out.
        words.extend(["-o".to_owned(), format!("ProxyCommand={}", through(&hops, options))]);
    } else if !hops.is_empty() {
        words.extend(["-J".to_owned(), hops.into_iter().map(hop).collect::<Vec<_>>().join(",")]);
    }
    words.extend(["--".to_owned(), host.address.clone()]);
    words
}

/// Who logs in, and with what; the same words for a host and for a hop.
fn login(host: &Host, options: &Options) -> Vec<String> {
    let mut words = Vec::new();
    let mut add = |flag: &str, value: String| words.extend([flag.to_owned(), value]);
    if let Some(file) = &options.config {
        add("-F", file.display().to_string());
    }
    if let Some(user) = &host.user {
        add("-l", user.clone());
    }
    if let Some(port) = host.port {
        add("-p", port.to_string());
    }
    for file in &host.identity {
        add("-i", file.display().to_string());
    }
    words
}

/// The line that brings a stream to the next host through all of these, as `-J` makes it for one (ssh_config(5), ProxyCommand):
/// ssh reads its `%` tokens once at each level, so whatever is text has them doubled.
fn through(hops: &[&Host], options: &Options) -> String {
    let Some((last, before)) = hops.split_last() else { return String::new() };
    let mut words = vec!["ssh".to_owned()];
    words.extend(login(last, options));
    // A `none` keeps a ProxyJump of the configuration out, as the registry has named the whole way.
    let way = if before.is_empty() { "none".to_owned() } else { through(before, options) };
    words.extend(["-o".to_owned(), format!("ProxyCommand={way}")]);
    let text: Vec<String> = words.iter().map(|word| quote(&word.replace('%', "%%")).into_owned()).collect();
    let address = quote(&last.address.replace('%', "%%")).into_owned();
    format!("{} -W '[%h]:%p' -- {address}", text.join(" "))
}

fn hop(host: &Host) -> String {
    let user = host.user.as_ref().map(|user| format!("{user}@")).unwrap_or_default();
    let address = if host.address.contains(':') { format!("[{}]", host.address) } else { host.address.clone() };
    let port = host.port.map(|port| format!(":{port}")).unwrap_or_default();
    format!("{user}{address}{port}")
}
