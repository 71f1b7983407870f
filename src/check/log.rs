//! log: a regular expression is found in what the service wrote since its last start. The lines are fetched, and the
//! expression is tried here: the tools of the hosts speak other dialects.

use jiff::{SignedDuration, Timestamp};

use super::shown::{expression, last_line, shown};
use super::{Need, Ran, Subject, Verdict};
use crate::host::Supervisor;
use crate::model::{Cmd, Scope};

/// Prints what `said` says as two parts, each with an end that is known: from the start on, and the last of it. `said` takes the
/// words that make it say the last lines only.
const PARTS: &str = r#"
parts() { said | head -c 262144; printf '\n%s\n' "@portoser-${1:-gap}"; shift; said "$@" | tail -c 262144; printf '\n@portoser-end\n'; }
"#;

/// The lines since the start of each unit's current invocation.
const JOURNAL: &str = r#"
scope=$1; shift
[ "$scope" != --user ] || export XDG_RUNTIME_DIR="${XDG_RUNTIME_DIR:-/run/user/$(id -u)}"
# Without --user it reads all that this user may: a journal in memory is not split by users.
said() { journalctl --no-pager -o cat "$@" "_SYSTEMD_INVOCATION_ID=$id"; }
for unit; do
  id=$(systemctl "$scope" show -p InvocationID --value -- "$unit") || exit
  [ -n "$id" ] || continue
  # What systemd itself said of this start is gone where the journal has dropped its oldest lines.
  kept=$(journalctl --no-pager -q -o cat -n 1 "INVOCATION_ID=$id" + "USER_INVOCATION_ID=$id")
  if [ -n "$kept" ]; then parts gap -n 2000; else parts lost -n 2000; fi
done"#;

/// The log files of supervised processes, from where the last start found their end: the loop wrote that down, and where that is
/// in the file that was turned over since.
const FILES: &str = r#"
said() {
  case $before in '' | lost) ;; *) tail -c "+$((before + 1))" "$folder/log.1" ;; esac
  tail -c "+$((from + 1))" "$folder/log"
}
for folder; do
  [ -r "$folder/log" ] || { echo "$folder/log is not there" >&2; exit 1; }
  from=0 before=
  if [ -e "$folder/log.start" ]; then read -r from before <"$folder/log.start"; fi
  if [ "$before" = lost ]; then parts lost; else parts gap; fi
done"#;

/// The log files of jobs, from where the last start by portoser found their end. launchd starts them again by itself, too.
const JOBS: &str = r#"
service=$1 last=$2 number=0
said() { tail -c "+$((from + 1))" "$file"; }
while [ $((number += 1)) -le "$last" ]; do
  file=$service/log.$number from=0
  [ -r "$file" ] || { echo "$file is not there" >&2; exit 1; }
  if [ -e "$file.start" ]; then read -r from <"$file.start"; fi
  parts gap
done"#;

/// What the containers of a project said since each was started.
const CONTAINERS: &str = r#"
all=$(docker ps -aq --filter "label=com.docker.compose.project=$1" --filter label=com.docker.compose.oneoff=False) || exit
state='{{.State.StartedAt}} {{if .State.Running}}{{.State.FinishedAt}}{{else}}{{.State.StartedAt}}{{end}}'
said() { docker logs --since "$since" "$@" "$one" 2>&1; }
first() { docker logs --timestamps --since "$since" "$one" 2>&1 | head -n 1; }
for one in $all; do
  told=$(docker inspect --format "$state {{index .HostConfig.LogConfig.Config \"max-size\"}}" "$one") || exit
  read -r at since most <<END
$told
END
  # Docker notes the start when the first lines may be said already; what runs has said all since it last ended.
  case $since in 0001-*) since=1970-01-01T00:00:00Z ;; esac
  parts gap --tail 2000
  # A log of limited size is emptied when it is full; when its first line was said tells whether that one began it. Asked when the
  # lines are read, as it may be emptied meanwhile; and twice, as nothing may be in it yet.
  if [ -n "$most" ]; then
    first=$(first) && [ -n "$first" ] || first=$(first)
    printf '@portoser-first %s %s\n' "$at" "${first%% *}"
  fi
done"#;

/// What follows the lines of a log of limited size: the start, and when its first line was said.
const FIRST: &str = "@portoser-first ";

/// A log whose first line came so long after the start has probably lost others before it.
const LATE: SignedDuration = SignedDuration::from_secs(2);

/// The length of each part at most.
const PART: usize = 262_144;

/// What journalctl prints instead of nothing.
const NO_ENTRIES: &str = "-- No entries --";
/// How many of the last lines a bad verdict shows.
const EVIDENCE: usize = 5;

pub(super) fn words(subject: &Subject) -> Result<Need, Verdict> {
    let units = subject.units.iter().cloned();
    let script = |text: &str| Cmd::new("sh").args(["-c".to_owned(), format!("{PARTS}{text}"), "sh".into()]);
    Ok(Need::Run(match subject.supervisor {
        Supervisor::Systemd => {
            let scope = if subject.scope == Scope::User { "--user" } else { "--system" };
            script(JOURNAL).arg(scope).args(units)
        }
        Supervisor::Process => script(FILES).args(units),
        Supervisor::Compose => script(CONTAINERS).arg(super::unit::project(subject)),
        Supervisor::Launchd => {
            let folder = subject.folder.as_deref().and_then(|folder| folder.rsplit_once("/releases/"));
            let Some((service, _)) = folder else { return Err(Verdict::Unseen("its folder is not known".into())) };
            script(JOBS).args([service.to_owned(), subject.units.len().to_string()])
        }
    }))
}

/// The lines that were read, and whether there are others between them or before them.
fn lines(text: &str) -> (Vec<&str>, bool) {
    let (mut all, mut gap) = (Vec::new(), false);
    for source in text.split("\n@portoser-end\n") {
        let (first, source) = match source.strip_prefix(FIRST) {
            Some(told) => told.split_once('\n').unwrap_or((told, "")),
            None => ("", source),
        };
        gap |= is_late(first);
        let (head, tail, lost) = match (source.split_once("\n@portoser-gap\n"), source.split_once("\n@portoser-lost\n"))
        {
            (Some((head, tail)), _) => (head, tail, false),
            (None, Some((head, tail))) => (head, tail, true),
            (None, None) => (source, "", false),
        };
        gap |= lost;
        if head.len() < PART {
            all.extend(head.lines());
            continue;
        }
        gap = true;
        // Lines that were cut are none.
        all.extend(head.lines().rev().skip(1).collect::<Vec<_>>().into_iter().rev());
        all.extend(tail.lines().skip(usize::from(tail.len() >= PART)));
    }
    all.retain(|line| *line != NO_ENTRIES);
    (all, gap)
}

/// Whether the first line came late, by two times as docker tells them (RFC 3339).
fn is_late(told: &str) -> bool {
    let times = told.split_once(' ').and_then(|(start, first)| Some((start.parse().ok()?, first.parse().ok()?)));
    times.is_some_and(|(start, first): (Timestamp, Timestamp)| first.duration_since(start) > LATE)
}

pub(super) fn judge(pattern: &str, ran: &Ran) -> Verdict {
    let regex = match expression(pattern) {
        Ok(regex) => regex,
        Err(why) => return Verdict::Unseen(why),
    };
    let text = String::from_utf8_lossy(&ran.out);
    let (lines, gap) = lines(&text);
    if let Some(line) = lines.iter().find(|line| regex.is_match(line)) {
        return Verdict::good(format!("says: {}", shown(line.as_bytes())));
    }
    // journalctl exits with 0 where the user may not read the journal, and says so on standard error.
    if ran.code != Some(0) || (lines.is_empty() && !ran.err.is_empty()) {
        return Verdict::Unseen(format!("the log cannot be read: {}", last_line(&ran.err)));
    }
    let none = format!("no line of {} matches /{}/", lines.len(), shown(pattern.as_bytes()));
    if gap {
        return Verdict::Unseen(format!("{none}, and what is read of the log is not all since the start"));
    }
    let last = &lines[lines.len().saturating_sub(EVIDENCE)..];
    let evidence = last.iter().map(|line| format!("log: {}", shown(line.as_bytes()))).collect();
    Verdict::bad_with(none, evidence)
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

    #[test]
    fn the_line_is_found_at_the_start_of_a_long_log_and_what_is_not_read_is_not_bad() {
        let noise = "GET / 200\n".repeat(PART / 10 + 1);
        let long = |first: &str| {
            let all = format!("{first}\n{noise}");
            let (head, tail) = (&all[..PART], &all[all.len() - PART..]);
            format!("{head}\n@portoser-gap\n{tail}\n@portoser-end\n")
        };
        assert!(judge("^ready$", &said(0, &long("ready"), "")).is_good());
        assert!(matches!(judge("^ready$", &said(0, &long("steady"), "")), Verdict::Unseen(_)));
        let lost = "GET\n\n@portoser-lost\nGET\n\n@portoser-end\n";
        assert!(matches!(judge("ready", &said(0, lost, "")), Verdict::Unseen(_)));
        let emptied = |first: &str| {
            format!("GET\n\n@portoser-gap\nGET\n\n@portoser-end\n@portoser-first 2026-01-01T00:00:00.5Z {first}\n")
        };
        assert!(matches!(judge("ready", &said(0, &emptied("2026-01-01T00:01:00Z"), "")), Verdict::Unseen(_)));
        assert!(judge("GET", &said(0, &emptied("2026-01-01T00:01:00Z"), "")).is_good());
        for whole in ["2026-01-01T00:00:01.123456789Z", ""] {
            assert!(matches!(judge("ready", &said(0, &emptied(whole), "")), Verdict::Bad(_)), "{whole}");
        }
        let short = "a\nb\n\n@portoser-gap\na\nb\n\n@portoser-end\n";
        assert_eq!(judge("ready", &said(0, short, "")).says(), "no line of 2 matches /ready/");
    }
}
