//! What is planned for a remedy, from the look that comes before every plan; or why it cannot be planned.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::deploy::{
    Fault, Ground, Prepared, Request, Selection, TurnRequest, is_sent, prepare, prepare_back, prepare_turn,
};
use crate::heal::solve::deed::Way;
use crate::heal::solve::remedy::{Halted, Remedy, overhear};
use crate::model::{Event, Outcome, RunId, Step};
use crate::plan::{Action, Change, Mend, Target, Turn, anew};

/// The run that is brought to its end, where that is what is done.
pub(super) fn settles(way: &Way) -> Option<&RunId> {
    match way {
        Way::Settle(run) => Some(run),
        Way::Mend(_) | Way::Restore | Way::Back | Way::Need(..) => None,
    }
}

/// As `prepared`, which brings a run that stopped in the middle to its end before it plans. What a colleague did is no remedy of ours.
pub(super) async fn settled(ground: &Arc<Ground>, remedy: &Remedy, left: &RunId) -> Result<Prepared, Halted> {
    let mut ended = None;
    let prepared = {
        let hear = |event: &Event| match event {
            Event::Settled { host, run, outcome } if *host == remedy.host && run == left => ended = Some(*outcome),
            _ => {}
        };
        overhear(ground, |own| async move { prepared(&own, remedy).await }, hear).await
    };
    let touched = ended == Some(Outcome::RollbackFailed);
    let halted = |why| Halted { why, touched };
    match ended {
        Some(Outcome::RollbackFailed) => Err(halted(format!("run {left} could not be taken back whole"))),
        None if prepared.is_ok() => Err(halted(format!("run {left} was settled by somebody else meanwhile"))),
        _ => prepared.map_err(halted),
    }
}

/// What is planned from the look that comes before every plan.
pub(super) async fn prepared(ground: &Arc<Ground>, remedy: &Remedy) -> Result<Prepared, String> {
    // Who drains a host must see all that lies there.
    let drains = remedy.ways.iter().any(|way| matches!(way, Way::Mend(Mend::Aside { drain: true, .. })));
    let services = if drains { Vec::new() } else { vec![remedy.bearer.clone()] };
    let selection = Selection { services, hosts: vec![remedy.host.clone()], ..Selection::default() };
    let say = |fault: Fault| fault.lines().into_iter().next().unwrap_or_else(|| fault.to_string());
    let request = || Request { selection: selection.clone(), overwrite: true, only_look: false, renew: true };
    let whole = remedy.ways.iter().position(|way| matches!(way, Way::Restore | Way::Back));
    match whole.map(|at| (at, &remedy.ways[at])) {
        None if sends(ground, remedy) => {
            Ok(sent(restorable(prepare(ground, &request()).await.map_err(say)?)?, &remedy.ways))
        }
        Some((at, way)) => {
            let mut prepared = if *way == Way::Restore {
                restorable(prepare(ground, &request()).await.map_err(say)?)?
            } else {
                backward(prepare_back(ground, &request(), &Target::Before).await.map_err(say)?, remedy)?
            };
            let plan = Arc::make_mut(&mut prepared.plan);
            let (before, after) = (besides(&remedy.ways[..at])?, besides(&remedy.ways[at + 1..])?);
            for change in plan.changes.iter_mut().filter(|change| change.action != Action::Nothing) {
                change.steps.splice(0..0, before.iter().cloned());
                change.steps.extend(after.iter().cloned());
            }
            Ok(prepared)
        }
        None => {
            let mends = remedy.ways.iter().filter_map(|way| match way {
                Way::Mend(mend) => Some(mend.clone()),
                Way::Restore | Way::Back | Way::Need(..) | Way::Settle(_) => None,
            });
            let mends: Vec<Mend> = mends.collect();
            let mends = BTreeMap::from([((remedy.bearer.clone(), remedy.host.clone()), mends)]);
            let request = TurnRequest { turn: Turn::Mend, skip_unseen: false, done: BTreeSet::new(), mends };
            prepare_turn(ground, &selection, request).await.map_err(say)
        }
    }
}

/// Whether it wants images that are sent from this machine: only the plan of a deploy knows them.
fn sends(ground: &Ground, remedy: &Remedy) -> bool {
    let service = ground.registry.services.get(&remedy.bearer);
    let wants = |way: &Way| matches!(way, Way::Mend(Mend::Images | Mend::Again));
    service.is_some_and(|service| is_sent(&service.kind)) && remedy.ways.iter().all(wants)
}

/// The part of such a plan that is wanted: all of it with containers that are made anew, or its images alone.
fn sent(mut prepared: Prepared, ways: &[Way]) -> Prepared {
    let again = ways.contains(&Way::Mend(Mend::Again));
    for change in &mut Arc::make_mut(&mut prepared.plan).changes {
        let steps = std::mem::take(&mut change.steps).into_iter();
        let brings = |step: &Step| matches!(step, Step::Image { .. } | Step::Part { .. } | Step::Load { .. });
        if again {
            change.steps = steps.map(anew).collect();
        } else {
            // Nothing is started, so that no gate is asked.
            change.steps = steps.filter(brings).collect();
            change.after.clear();
            change.action = Action::Turn(Turn::Mend);
        }
    }
    prepared
}

const EDITED: &str = "files or containers of it were changed on the host, and nothing writes over edits by itself";

/// Refuses what would be more than to bring back what was there.
fn restorable(prepared: Prepared) -> Result<Prepared, String> {
    let repairs = |action| matches!(action, Action::Repair | Action::Restart | Action::Nothing);
    if prepared.plan.changes.iter().flat_map(|change| &change.reasons).any(|line| edited(line)) {
        return Err(EDITED.into());
    }
    if prepared.plan.changes.iter().any(|change| change.action == Action::Refresh) {
        return Err("its record on the host is not what the registry says now, which `portoser deploy` sees to".into());
    }
    if !prepared.plan.changes.iter().all(|change| repairs(change.action)) {
        return Err("what the registry wants now is another release than the one that lies there".into());
    }
    Ok(prepared)
}

/// Refuses to go back where only a person can say whether that is right.
fn backward(prepared: Prepared, remedy: &Remedy) -> Result<Prepared, String> {
    // The edited files of a release stay with it; its containers go.
    if prepared.plan.changes.iter().flat_map(|change| &change.edited).any(|line| line.starts_with("container ")) {
        return Err(EDITED.into());
    }
    match prepared.plan.changes.iter().find_map(Change::across).filter(|_| !remedy.across) {
        Some(across) => Err(format!("{across}; a person may give --risk ask")),
        None => Ok(prepared),
    }
}

/// What is said of a remedy that is only looked for, and that nothing holds.
pub const WOULD: &str = "it would be done";

/// What would come of a remedy that may be applied, as far as a plan tells.
pub(super) async fn would(ground: &Arc<Ground>, remedy: &Remedy) -> String {
    let says = WOULD.to_owned();
    if !remedy.ways.contains(&Way::Back) {
        return says;
    }
    let selection =
        Selection { services: vec![remedy.bearer.clone()], hosts: vec![remedy.host.clone()], ..Selection::default() };
    let request = Request { selection, overwrite: true, only_look: true, renew: true };
    match prepare_back(&ground.hushed(), &request, &Target::Before).await {
        Ok(prepared) => backward(prepared, remedy).map_or_else(|why| why, |_| says),
        Err(fault) => fault.lines().into_iter().next().unwrap_or_else(|| fault.to_string()),
    }
}

/// The steps of what is done beside a release that is brought into force, which starts it by itself.
fn besides(ways: &[Way]) -> Result<Vec<Step>, String> {
    let mut steps = Vec::new();
    for way in ways {
        match way {
            Way::Mend(Mend::Steps(more)) => steps.extend(more.iter().cloned()),
            Way::Mend(Mend::Change(_) | Mend::Again | Mend::Images | Mend::Unmask) | Way::Settle(_) => {}
            Way::Mend(Mend::PruneReleases { .. } | Mend::Hook(_) | Mend::Aside { .. })
            | Way::Restore
            | Way::Back
            | Way::Need(..) => {
                return Err("portoser cannot do all of it in one transaction".into());
            }
        }
    }
    Ok(steps)
}

/// Whether a line of the drift tells of a file that is there and is another one, or may be.
fn edited(line: &str) -> bool {
    line.starts_with("container ")
        || [": was changed", ": FAILED", ": cannot be read"].iter().any(|end| line.ends_with(end))
}
