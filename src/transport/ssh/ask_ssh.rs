//! `ssh -G`, for configurations that only ssh itself can judge. It costs a process for each host, so it comes last.

use std::process::Stdio;
use std::time::Duration;

use super::config::{Config, Said};
use crate::transport::{Lost, Options};

const WITHIN: Duration = Duration::from_secs(10);

/// What `ssh -G` says about `alias`. `why` names the place in the configuration that makes it necessary.
pub(super) async fn about(
    alias: &str,
    user: Option<&str>,
    port: Option<u16>,
    options: &Options,
    why: &str,
) -> Result<Said, Lost> {
    if alias.starts_with('-') {
        return Err(Lost::Config(format!("`{alias}` is not a host name"), "mend `address` in the registry".into()));
    }
    #[expect(clippy::disallowed_methods, reason = "this room starts processes")]
    let mut ssh = tokio::process::Command::new("ssh");
    if let Some(file) = &options.config {
        ssh.arg("-F").arg(file);
    }
    if let Some(user) = user {
        ssh.arg("-l").arg(user);
    }
    if let Some(port) = port {
        ssh.arg("-p").arg(port.to_string());
    }
    ssh.arg("-G").arg("--").arg(alias).stdin(Stdio::null()).kill_on_drop(true);
    let output = match tokio::time::timeout(WITHIN, ssh.output()).await {
        Ok(Ok(output)) => output,
        Ok(Err(error)) => {
            return Err(Lost::Config(
                format!("the SSH configuration needs `ssh -G` ({why}), and ssh cannot be started: {error}"),
                "install an OpenSSH client, or take the `Match` out".into(),
            ));
        }
        Err(_) => return Err(Lost::TimedOut { what: format!("`ssh -G {alias}`"), after: WITHIN }),
    };
    if !output.status.success() {
        let says = String::from_utf8_lossy(&output.stderr);
        return Err(Lost::Config(
            format!("`ssh -G {alias}` failed: {}", says.trim()),
            "mend the SSH configuration".into(),
        ));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    Config::from_text(&text).map(|config| config.about(alias))
}
