//! log: a regular expression is found in what the service wrote since its last start. The lines are fetched, and the
//! expression is tried here: the tools of the hosts speak other dialects.

use super::shown::{expression, last_line, shown};
use super::{Need, Ran, Subject, Verdict};
use crate::host::Supervisor;
use crate::model::{Cmd, Scope};

/// The lines since the start of each unit's current invocation; the last of them, if there are many.
const JOURNAL: &str = r#"
scope=$1; shift
for unit; do
  id=$(systemctl "$scope" show -p InvocationID --value -- "$unit") || exit
  [ -n "$id" ] || continue
  if [ "$scope" = --user ]; then
    journalctl --user --no-pager -o cat -n 2000 "_SYSTEMD_INVOCATION_ID=$id" || exit
  else
    journalctl --no-pager -o cat -n 2000 "_SYSTEMD_INVOCATION_ID=$id" || exit
  fi
done | tail -c 262144"#;

/// The log files of supervised processes.
const FILES: &str = r#"for folder; do tail -c 262144 "$folder/log" || exit; done"#;

/// What the containers of a project said since each was started.
const CONTAINERS: &str = r#"
all=$(docker ps -aq --filter "label=com.docker.compose.project=$1" --filter label=com.docker.compose.oneoff=False) || exit
for one in $all; do
  at=$(docker inspect --format '{{.State.StartedAt}}' "$one") || exit
  docker logs --since "$at" --tail 2000 "$one" 2>&1 || exit
done | tail -c 262144"#;

/// What journalctl prints instead of nothing.
const NO_ENTRIES: &str = "-- No entries --";
/// How many of the last lines a bad verdict shows.
const EVIDENCE: usize = 5;

pub(super) fn words(subject: &Subject) -> Result<Need, Verdict> {
    let units = subject.units.iter().cloned();
    match subject.supervisor {
        Supervisor::Systemd => {
            let scope = if subject.scope == Scope::User { "--user" } else { "--system" };
            Ok(Need::Run(Cmd::new("sh").args(["-c", JOURNAL, "sh", scope]).args(units)))
        }
        Supervisor::Process => Ok(Need::Run(Cmd::new("sh").args(["-c", FILES, "sh"]).args(units))),
        Supervisor::Compose => {
            Ok(Need::Run(Cmd::new("sh").args(["-c", CONTAINERS, "sh", super::unit::project(subject)])))
        }
        Supervisor::Launchd => Err(Verdict::Unseen("log checks are not there for launchd".into())),
    }
}

pub(super) fn judge(pattern: &str, ran: &Ran) -> Verdict {
    let regex = match expression(pattern) {
        Ok(regex) => regex,
        Err(why) => return Verdict::Unseen(why),
    };
    let text = String::from_utf8_lossy(&ran.out);
    let lines: Vec<&str> = text.lines().filter(|line| *line != NO_ENTRIES).collect();
    if let Some(line) = lines.iter().find(|line| regex.is_match(line)) {
        return Verdict::good(format!("says: {}", shown(line.as_bytes())));
    }
    // journalctl exits with 0 where the user may not read the journal, and says so on standard error.
    if ran.code != Some(0) || (lines.is_empty() && !ran.err.is_empty()) {
        return Verdict::Unseen(format!("the log cannot be read: {}", last_line(&ran.err)));
    }
    let last = &lines[lines.len().saturating_sub(EVIDENCE)..];
    let evidence = last.iter().map(|line| format!("log: {}", shown(line.as_bytes()))).collect();
    Verdict::bad_with(format!("no line of {} matches /{}/", lines.len(), shown(pattern.as_bytes())), evidence)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(code: u32, out: &str, err: &str) -> Ran {
        Ran { code: Some(code), out: out.into(), err: err.into() }
    }

    #[test]
    fn a_line_is_found_or_is_not_or_cannot_be_seen() {
        assert!(judge("ready on [0-9]+", &said(0, "starting\nready on 80\n", "")).is_good());
        assert!(matches!(judge("ready", &said(0, "starting\n", "")), Verdict::Bad(_)));
        assert!(matches!(judge("ready", &said(0, "", "")), Verdict::Bad(_)));
        assert!(matches!(judge("ready", &said(0, "-- No entries --\n", "you may not see")), Verdict::Unseen(_)));
        assert!(matches!(judge("(", &said(0, "x", "")), Verdict::Unseen(_)));
    }
}
