//! An interactive session is the business of the system's own ssh: it gets the registry's words as options, and the
//! terminal. What the registry does not say, it finds in its own configuration, which is the one that we read too.

use std::process::Stdio;

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
    let hops = host.jump.iter().filter_map(|name| registry.hosts.get(name));
    let hops: Vec<String> = hops.map(hop).collect();
    if !hops.is_empty() {
        add("-J", hops.join(","));
    }
    words.extend(["--".to_owned(), host.address.clone()]);
    words
}

fn hop(host: &Host) -> String {
    let user = host.user.as_ref().map(|user| format!("{user}@")).unwrap_or_default();
    let address = if host.address.contains(':') { format!("[{}]", host.address) } else { host.address.clone() };
    let port = host.port.map(|port| format!(":{port}")).unwrap_or_default();
    format!("{user}{address}{port}")
}
