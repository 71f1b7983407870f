//! How a plan reads: plain text, no colour, one line for each service and host, its reasons below.

use std::fmt::Write as _;

use crate::plan::change::{Action, Plan, Turn};

/// The plan as text; with `steps`, every step too.
#[must_use]
pub fn show(plan: &Plan, steps: bool) -> String {
    let mut text = String::new();
    let places: Vec<String> =
        plan.changes.iter().map(|change| format!("{} on {}", change.service, change.host)).collect();
    let width = places.iter().map(String::len).max().unwrap_or_default();
    for (change, place) in plan.changes.iter().zip(&places) {
        let after = &change.record.release;
        let what = match (change.action, &change.before) {
            (Action::Turn(Turn::Change(turn)), _) => format!("{turn} {after}"),
            (Action::Turn(Turn::Remove), _) => format!("remove {after}"),
            (Action::Turn(Turn::Mend), _) => format!("mend {after}"),
            (Action::Nothing, _) => format!("in place ({after})"),
            (Action::Refresh, _) => format!("write its record anew ({after})"),
            (Action::Restart, _) => format!("start again ({after})"),
            (Action::Repair, _) => format!("write its files anew ({after})"),
            (Action::Deploy, None) => format!("deploy {after}"),
            (Action::Deploy, Some(before)) => format!("deploy {after}, replacing {before}"),
        };
        let _ = writeln!(text, "{place:<width$}  {what}");
        for reason in &change.reasons {
            let _ = writeln!(text, "    {}", reason.escape_debug());
        }
        for (number, step) in change.steps.iter().enumerate().filter(|_| steps) {
            let _ = writeln!(text, "    {:>2}. {step}", number + 1);
        }
    }
    text
}
