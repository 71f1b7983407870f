//! What `portoser stop` stopped is to stay so: the host keeps the word beside the service's folder, for every machine that heals
//! there. It is written in the run that stops, and goes in the one that lets the service run again.

use std::collections::BTreeMap;

use crate::host::{Layout, Seen, SeenService};
use crate::model::{Content, HostName, Step, UnitChange};
use crate::plan::change::{Action, Change, Plan, Turn};

/// Adds to a plan that words are kept or go. `by` is who stops services for good; `mended` tells of a remedy's change whether it
/// starts the service.
pub fn keep_rest(
    plan: &mut Plan,
    seen: &BTreeMap<HostName, Seen>,
    (turn, by): (Option<Turn>, Option<&str>),
    mended: impl Fn(&Change) -> bool,
) {
    for change in &mut plan.changes {
        let Some(host) = seen.get(&change.host) else { continue };
        let path = Layout::new(&host.facts.base).stopped(&change.service);
        let is_kept = host.services.get(&change.service).is_some_and(|found: &SeenService| found.stopped.is_some());
        let step = match (turn, by) {
            (Some(Turn::Change(UnitChange::Stop)), Some(by)) if !is_kept => {
                let plain: String = by.chars().filter(|c| !c.is_control()).collect();
                Step::Put { path, content: Content::open(format!("{plain}\n")), mode: 0o644, owner: None }
            }
            (Some(Turn::Change(UnitChange::Start | UnitChange::Restart)), _) if is_kept => Step::Remove { path },
            (Some(Turn::Remove), _) if is_kept => Step::Remove { path },
            (Some(Turn::Mend), _) if is_kept && mended(change) => Step::Remove { path },
            (None, _) if is_kept && change.action != Action::Nothing => Step::Remove { path },
            _ => continue,
        };
        // What is as it was asked for, though nobody said so.
        if let (Action::Nothing, Some(turn)) = (change.action, turn) {
            change.action = Action::Turn(turn);
        }
        change.steps.push(step);
    }
}
