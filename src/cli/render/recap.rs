//! What to read when a run is over. Pure.

use std::time::Duration;

use crate::cli::render::board::{Board, Fault};
use crate::cli::render::measure::duration;
use crate::cli::render::safe;
use crate::cli::render::words::{Style, heals, now};
use crate::model::{FailureKind, Outcome};

/// How many lines of evidence are shown of a failure without `-v`; the last ones tell most.
const EVIDENCE: usize = 12;
/// How many failures are told in full without `-v`.
const FAILURES: usize = 5;

/// What to read when the run is over: every failure with its evidence, how things stand, the counts, the next move.
/// `has` tells whether a verb exists.
pub(super) fn recap(board: &Board, style: Style, has: impl Fn(&str) -> bool) -> Vec<String> {
    let Some((code, took)) = board.end else { return Vec::new() };
    let mut lines = Vec::new();
    let hosts = board.hosts.iter().flat_map(|(host, faults)| faults.iter().map(move |f| (host.to_string(), f, None)));
    let rows = board.rows.iter().flat_map(|((service, host), row)| {
        row.faults.iter().map(move |fault| (format!("{service} on {host}"), fault, Some(row)))
    });
    let failures: Vec<_> = hosts.chain(rows).collect();
    let shown = if style.verbose > 0 { failures.len() } else { FAILURES };
    for (place, fault, row) in failures.iter().take(shown) {
        lines.push(String::new());
        failure(&mut lines, place, fault, row.map(|row| now(row, &board.verb)), style);
    }
    if failures.len() > shown {
        lines.push(format!("and {} more failures; `-v` shows them all", failures.len() - shown));
    }
    if !failures.is_empty() {
        lines.push(String::new());
    }
    // What never became a run failed for one reason, which its error tells.
    let begun = !failures.is_empty() || if heals(&board.verb) { board.touched } else { board.run.is_some() };
    if (code != 0 && begun) || (code == 0 && !style.quiet) {
        lines.push(verdict(board, code, took, style));
    }
    if let (Some(run), true) = (&board.run, code != 0 && begun) {
        let refused = FailureKind::of_code(code) == Some(FailureKind::Refused);
        let left = !refused && !heals(&board.verb) && board.count(Some(Outcome::NotTouched)) + board.count(None) > 0;
        let resume = (left && has("resume")).then(|| format!("portoser resume {run}"));
        let show = has("history").then(|| format!("portoser history show {run}"));
        lines.extend(show.into_iter().chain(resume).map(|next| format!("next: {next}")));
    }
    lines
}

fn failure(lines: &mut Vec<String>, place: &str, fault: &Fault, now: Option<String>, style: Style) {
    lines.push(format!("{}: {}", style.paint("1;31", place), safe(&fault.error)));
    let skipped = if style.verbose > 0 { 0 } else { fault.evidence.len().saturating_sub(EVIDENCE) };
    if skipped > 0 {
        lines.push(format!("  | ({skipped} lines before; `-v` shows them)"));
    }
    lines.extend(fault.evidence.iter().skip(skipped).map(|line| format!("  | {}", safe(line))));
    if let Some(now) = now {
        lines.push(format!("  now: {now}"));
    }
    if let Some(hint) = &fault.hint {
        lines.push(format!("  hint: {}", safe(hint)));
    }
}

fn verdict(board: &Board, code: u8, took: Duration, style: Style) -> String {
    let kinds = [
        (Some(Outcome::Committed), "done"),
        (Some(Outcome::NothingToDo), "in place"),
        (Some(Outcome::Unhealthy), "unhealthy"),
        (Some(Outcome::RolledBack), "back"),
        (Some(Outcome::RollbackFailed), "not proven back"),
        (Some(Outcome::NotTouched), "not touched"),
        (None, "unknown"),
    ];
    let counts = kinds.map(|(outcome, word)| (board.count(outcome), word));
    let counts: Vec<_> =
        counts.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}")).collect();
    let counts = if counts.is_empty() { String::new() } else { format!(": {}", counts.join(", ")) };
    let took = duration(took);
    match FailureKind::of_code(code) {
        None if board.count(Some(Outcome::NothingToDo)) == board.rows.len() => {
            format!("{} in {took}{counts}", style.paint("32", "nothing to do"))
        }
        None => format!("{} in {took}{counts}", style.paint("32", "done")),
        Some(FailureKind::Interrupted) => {
            format!("{} after {took}{counts} (exit {code})", style.paint("33", "stopped"))
        }
        Some(kind) => {
            let says = if kind == FailureKind::RolledBack && !board.touched {
                "failed before anything was touched"
            } else {
                kind.says()
            };
            format!("{} after {took}{counts} (exit {code}: {says})", style.paint("1;31", "failed"))
        }
    }
}
