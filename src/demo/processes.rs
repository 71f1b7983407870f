//! The processes of the demo's host, wherever they went: each carries the sandbox's mark in its environment. They are found
//! by it, so that the demo leaves nothing running and never touches a process that is not its own.

use std::fs;
use std::process::Stdio;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::sandbox::MARK;

/// How long processes get to end by themselves, and again after they were killed.
const GRACE: Duration = Duration::from_secs(3);
/// Between two looks at who is left.
const AGAIN: Duration = Duration::from_millis(20);

/// Ends every process with this mark: first asked, then killed. Returns those that are still there.
pub(super) async fn end(mark: &str) -> Vec<u32> {
    for signal in ["TERM", "KILL"] {
        let until = Instant::now() + GRACE;
        // A supervisor may start a process while the others are told, so each look tells all it sees.
        loop {
            let left = marked(mark).await;
            if left.is_empty() {
                return left;
            }
            if Instant::now() >= until {
                break;
            }
            for pid in left {
                kill(signal, &pid.to_string()).await;
            }
            sleep(AGAIN).await;
        }
    }
    marked(mark).await
}

/// Sends a signal to the process group of a command.
pub(super) async fn signal(group: Option<u32>, name: &str) {
    let word = |c: char| c.is_ascii_alphanumeric();
    if let Some(group) = group
        && name.chars().all(word)
    {
        kill(name, &format!("-{group}")).await;
    }
}

#[expect(clippy::disallowed_methods, reason = "the demo's host ends its own processes")]
async fn kill(signal: &str, pid: &str) {
    // The process may have ended meanwhile; whoever wants to know looks again.
    let _ = tokio::process::Command::new("/bin/sh")
        .args(["-c", r#"kill -s "$1" -- "$2""#, "sh", signal, pid])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .await;
}

/// The processes with this mark.
pub(super) async fn marked(mark: &str) -> Vec<u32> {
    let wanted = format!("{MARK}={mark}");
    match fs::read_dir("/proc") {
        Ok(entries) => entries
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .filter(|pid| has(*pid, wanted.as_bytes()))
            .collect(),
        Err(_) => listed(&wanted).await,
    }
}

/// Whether the process has this variable. A process that has ended, a zombie among them, has an empty environment.
fn has(pid: u32, variable: &[u8]) -> bool {
    let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    environment.split(|&byte| byte == 0).any(|one| one == variable)
}

/// Where there is no /proc: `ps` with the environments of the user's processes.
#[expect(clippy::disallowed_methods, reason = "the demo's host looks for its own processes")]
async fn listed(variable: &str) -> Vec<u32> {
    let output = tokio::process::Command::new("ps").args(["-axEww", "-o", "pid=,command="]).output().await;
    let Ok(output) = output else { return Vec::new() };
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let lines = text.lines().filter(|line| line.split(' ').any(|word| word == variable));
    lines.filter_map(|line| line.split_whitespace().next()?.parse().ok()).collect()
}
