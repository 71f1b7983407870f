//! Login shells that are no POSIX shells: a service lives its whole life through each of them.

use std::path::Path;

use libtest_mimic::Trial;

use crate::cli::portoser;
use crate::fixture::sshd::{self, Sshd};

use super::{Outcome, trial};

pub fn trials() -> Vec<Trial> {
    let fish = trial("a_service_lives_under_the_login_shell_fish", || async { life("fish") });
    let tcsh = trial("a_service_lives_under_the_login_shell_tcsh", || async { life("tcsh") });
    [("fish", fish), ("tcsh", tcsh)].into_iter().map(|(shell, trial)| where_there_is(shell, trial)).collect()
}

fn where_there_is(shell: &str, trial: Trial) -> Trial {
    if sshd::missing().is_some() || Path::new("/usr/bin").join(shell).exists() {
        return trial;
    }
    eprintln!("skipped: {}: {shell} is not installed", trial.name());
    trial.with_ignored_flag(true)
}

/// What each shell reads when it begins, also for a command that comes over SSH.
const START: &[(&str, &str)] =
    &[(".config/fish/config.fish", "echo hello from fish\nset -gx IFS x\n"), (".tcshrc", "echo hello from tcsh\n")];

/// Text that each shell would read in its own way.
const GREETING: &str = "it's $(me) (echo x) \\ ! {a,b} * ~ %self \\$d";

fn life(shell: &str) -> Outcome {
    // What sshd does for a user with this login shell.
    let sshd = Sshd::prepare(&format!("ForceCommand HOME={{folder}}/home exec {shell} -c \"$SSH_ORIGINAL_COMMAND\""));
    let folder = sshd.folder().to_owned();
    for (file, text) in START {
        let file = folder.join("home").join(file);
        std::fs::create_dir_all(file.parent().unwrap_or(&folder))?;
        std::fs::write(file, text)?;
    }
    let sshd = sshd.up();
    let _ = sshd.options("");
    let registry = serde_json::json!({
        "version": 1,
        "hosts": { "box": { "address": "127.0.0.1", "port": sshd.port(), "identity": sshd.key(), "base": folder.join("base") } },
        "services": { "api": {
            "type": "native", "host": "box", "env": { "GREETING": GREETING },
            "run": ["/bin/sh", "-c", "echo \"$GREETING\"; exec sleep 600"],
            "checks": [{ "unit": true }, { "command": ["test", GREETING, "=", GREETING] }],
            "deploy": { "soak": "100ms" },
        } },
    });
    std::fs::write(folder.join("registry.json"), registry.to_string())?;
    let outcome = verbs(&folder);
    // Whatever failed, no process is left.
    let left = said(&folder, &["remove", "api", "--yes", "--quiet"]);
    outcome?;
    left.map(drop)
}

fn verbs(folder: &Path) -> Outcome {
    said(folder, &["deploy", "api"])?;
    said(folder, &["restart", "api"])?;
    said(folder, &["status"])?;
    assert_eq!(said(folder, &["logs", "api", "--lines", "1"])?, format!("{GREETING}\n"));
    let words = ["exec", "api", "--", "/bin/sh", "-c", "printf '%s|%s' \"$GREETING\" \"$0\"", GREETING];
    assert_eq!(said(folder, &words)?, format!("{GREETING}|{GREETING}"));
    assert!(said(folder, &["runs", "--from-hosts"])?.lines().count() == 3);
    said(folder, &["host", "check"])?;
    Ok(())
}

/// Runs it, wants a good end, and gives what it printed.
fn said(folder: &Path, words: &[&str]) -> Result<String, libtest_mimic::Failed> {
    let mut command = portoser(&folder.join("state"), words);
    command
        .env("PORTOSER_REGISTRY", folder.join("registry.json"))
        .env("PORTOSER_SSH_CONFIG", folder.join("ssh_config"));
    command.env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin");
    let output = command.output()?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() {
        return Ok(text(&output.stdout));
    }
    Err(format!("{words:?}: {}\n{}\n{}", output.status, text(&output.stdout), text(&output.stderr)).into())
}
