//! One remedy: its steps as a transaction on the host, and the second look that keeps or undoes it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::deploy::{
    Ended, Fault, Ground, Looking, Pace, Prepared, Request, SecondLook, Selection, Terms, TurnRequest, deploy, is_sent,
    prepare, prepare_back, prepare_turn,
};
use crate::heal::diagnose::look;
use crate::heal::left::cordons;
use crate::heal::playbook::Library;
use crate::heal::solve::deed::Way;
use crate::heal::{Diagnosis, Observation, Patience, Problem, Sight};
use crate::host::run::Treatment;
use crate::journal::Verdict;
use crate::model::{Event, HostName, Outcome, RunId, ServiceName, Step, UnitChange};
use crate::plan::{Action, Change, Mend, Target, Turn, anew, services_on};

/// Between two second looks: at first, and at most.
const PAUSE: Duration = Duration::from_millis(300);
const LONG: Duration = Duration::from_secs(4);

/// What is good must be good again after the service's soak, or this time where that is longer, before it is believed.
const STAY: Duration = Duration::from_secs(2);

/// How long one look may take.
const LOOK: Duration = Duration::from_secs(30);

/// The looks that must be good when nobody says which.
const USUAL: &[&str] = &["unit", "process", "container", "port", "check", "restarts"];

/// A remedy, and what it is for.
#[derive(Clone)]
pub(super) struct Remedy {
    /// Where it is done.
    pub host: HostName,
    /// What the problem is about, and where it was seen.
    pub about: (Option<ServiceName>, HostName),
    /// The problem's name.
    pub problem: String,
    /// The service whose stage it is in the run: its own, or any that lies on the host.
    pub bearer: ServiceName,
    pub ways: Vec<Way>,
    pub until: Option<(Vec<String>, Duration)>,
    /// How soon, where nobody says which looks.
    pub patience: Duration,
    /// The looks that saw the problem; they must see that it is gone.
    pub evidence: Vec<String>,
    /// What the host is to keep of it.
    pub treatment: Treatment,
    /// Whether it may go back across what ran once with the release in force.
    pub across: bool,
}

/// A remedy that can begin.
pub(super) struct Ready {
    prepared: Prepared,
    terms: Terms,
    /// What the second look said last, if it was not content.
    amiss: Arc<Mutex<Option<String>>>,
}

/// Plans the remedy; nothing is touched yet.
///
/// # Errors
/// Why it cannot be planned, in one line.
pub(super) async fn plan(
    ground: &Arc<Ground>,
    library: &Arc<Library>,
    remedy: Remedy,
    run: RunId,
) -> Result<Ready, String> {
    // Who drains a host must see all that lies there.
    let drains = remedy.ways.iter().any(|way| matches!(way, Way::Mend(Mend::Aside { drain: true, .. })));
    let services = if drains { Vec::new() } else { vec![remedy.bearer.clone()] };
    let selection = Selection { services, hosts: vec![remedy.host.clone()], ..Selection::default() };
    let say = |fault: Fault| fault.lines().into_iter().next().unwrap_or_else(|| fault.to_string());
    let request = || Request { selection: selection.clone(), overwrite: true, only_look: false, renew: true };
    let whole = remedy.ways.iter().position(|way| matches!(way, Way::Restore | Way::Back));
    let prepared = match whole.map(|at| (at, &remedy.ways[at])) {
        None if sends(ground, &remedy) => {
            sent(restorable(prepare(ground, &request()).await.map_err(say)?)?, &remedy.ways)
        }
        Some((at, way)) => {
            let mut prepared = if *way == Way::Restore {
                restorable(prepare(ground, &request()).await.map_err(say)?)?
            } else {
                backward(prepare_back(ground, &request(), &Target::Before).await.map_err(say)?, &remedy)?
            };
            let plan = Arc::make_mut(&mut prepared.plan);
            let (before, after) = (besides(&remedy.ways[..at])?, besides(&remedy.ways[at + 1..])?);
            for change in plan.changes.iter_mut().filter(|change| change.action != Action::Nothing) {
                change.steps.splice(0..0, before.iter().cloned());
                change.steps.extend(after.iter().cloned());
            }
            prepared
        }
        None => {
            let mends = remedy.ways.iter().filter_map(|way| match way {
                Way::Mend(mend) => Some(mend.clone()),
                Way::Restore | Way::Back | Way::Need(..) => None,
            });
            let mends: Vec<Mend> = mends.collect();
            let mends = BTreeMap::from([((remedy.bearer.clone(), remedy.host.clone()), mends)]);
            let request = TurnRequest { turn: Turn::Mend, skip_unseen: false, done: BTreeSet::new(), mends };
            prepare_turn(ground, &selection, request).await.map_err(say)?
        }
    };
    let amiss = Arc::new(Mutex::new(None));
    let second_look = Some(second_look((ground, &run), library, &remedy, amiss.clone()));
    let pace = Pace { batch: None, max_fail: None, keep: true };
    let terms = Terms { run, pace, second_look, treatment: Some(remedy.treatment), rescue: None };
    Ok(Ready { prepared, terms, amiss })
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
            Way::Mend(Mend::Change(_) | Mend::Again | Mend::Images | Mend::Unmask) => {}
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

impl Ready {
    /// Applies the remedy and looks again.
    pub(super) async fn apply(self, ground: &Arc<Ground>) -> (Verdict, Option<String>) {
        match self.carry(ground).await {
            Ok(ended) => ended,
            Err(fault) => (Verdict::Failed, Some(fault.to_string())),
        }
    }

    /// As `apply`; a fault is what kept it from being done at all.
    pub(super) async fn carry(self, ground: &Arc<Ground>) -> Result<(Verdict, Option<String>), Fault> {
        let Self { prepared, terms, amiss } = self;
        let (own, mut events) = ground.overheard();
        let mut words = None;
        let mut hear = |event: Event| {
            if let Event::Failed { error, evidence, .. } = &event {
                words.get_or_insert_with(|| own_words(error, evidence));
            }
            ground.tell(event);
        };
        let mut done = std::pin::pin!(deploy(&own, prepared, &terms));
        let ended = loop {
            tokio::select! {
                biased;
                Some(event) = events.recv() => hear(event),
                ended = &mut done => break ended,
            }
        };
        while let Ok(event) = events.try_recv() {
            hear(event);
        }
        let verdict = verdict(&ended?.0);
        let says = amiss.lock().unwrap_or_else(PoisonError::into_inner).take();
        // No second look was taken where a step failed before.
        let step = || {
            let why = words.map(|words| format!(": {words}")).unwrap_or_default();
            format!("it could not be done to its end{why} (`portoser history show {}` tells of each step)", terms.run)
        };
        Ok((verdict, (verdict != Verdict::Helped).then(|| says.unwrap_or_else(step))))
    }
}

/// So many of the last lines of a step that failed are told, and so much of each.
const WORDS: (usize, usize) = (3, 200);

/// What failed and the end of what it said, on one line.
fn own_words(error: &str, evidence: &[String]) -> String {
    let last = evidence.iter().map(|line| line.trim()).filter(|line| !line.is_empty()).rev().take(WORDS.0);
    let last: Vec<String> = last.map(|line| line.chars().take(WORDS.1).collect()).collect();
    let said: Vec<&str> = std::iter::once(error).chain(last.iter().rev().map(String::as_str)).collect();
    said.join(" | ")
}

/// Whether a line of the drift tells of a file that is there and is another one, or may be.
fn edited(line: &str) -> bool {
    line.starts_with("container ")
        || [": was changed", ": FAILED", ": cannot be read"].iter().any(|end| line.ends_with(end))
}

fn verdict(ended: &[Ended]) -> Verdict {
    let has = |outcome| ended.iter().any(|one| one.outcome == outcome);
    if has(Outcome::RollbackFailed) || has(Outcome::NotTouched) {
        Verdict::Failed
    } else if has(Outcome::RolledBack) || has(Outcome::Unhealthy) {
        Verdict::NoHelp
    } else {
        Verdict::Helped
    }
}

/// Looks until the problem is gone and what must be good is good, or the time is over.
fn second_look(
    (ground, run): (&Arc<Ground>, &RunId),
    library: &Arc<Library>,
    remedy: &Remedy,
    said: Arc<Mutex<Option<String>>>,
) -> SecondLook {
    let (ground, library, remedy, run) = (ground.hushed(), library.clone(), remedy.clone(), run.clone());
    let stay = ground.registry.services.get(&remedy.bearer).map_or(STAY, |service| service.deploy.soak.min(STAY));
    let usual = || (USUAL.iter().map(|name| (*name).to_owned()).collect(), remedy.patience);
    let named = remedy.until.is_some();
    let (looks, within) = remedy.until.clone().unwrap_or_else(usual);
    let look = Arc::new(move |_, host: HostName| {
        let (ground, library, remedy, looks) = (ground.clone(), library.clone(), remedy.clone(), looks.clone());
        let (said, run) = (said.clone(), run.clone());
        Box::pin(async move {
            let (began, mut once, mut lost) = (Instant::now(), false, 0);
            loop {
                let (own, seen_at) = remedy.about.clone();
                let drained = matches!(aside(&remedy), Some(true));
                let there = drained.then(|| services_on(&ground.registry, &host)).into_iter().flatten();
                let services = own.into_iter().chain([remedy.bearer.clone()]).chain(there).collect();
                let (found, _) =
                    look(&ground, (&services, &BTreeSet::from([host.clone(), seen_at])), &library, Patience::Whole)
                        .await;
                let Some(amiss) = amiss(&found, &remedy, (&looks, named), &run) else {
                    // What runs for a moment after each start is good at any one look.
                    if std::mem::replace(&mut once, true) {
                        return Ok(());
                    }
                    tokio::time::sleep(stay).await;
                    continue;
                };
                once = false;
                // A look costs its host some work, and what starts slowly is not in want of it.
                let pause = (began.elapsed() / 8).clamp(PAUSE, LONG);
                lost = if is_lost(&found, &remedy) { lost + 1 } else { 0 };
                // Nobody starts it any more: it will not be good later either.
                if lost > 1 || began.elapsed() + PAUSE > within {
                    let says = format!("{amiss}, {} s later", began.elapsed().min(within).as_secs());
                    *said.lock().unwrap_or_else(PoisonError::into_inner) = Some(says.clone());
                    return Err(says);
                }
                tokio::time::sleep(pause.min(within.saturating_sub(began.elapsed()))).await;
            }
        }) as Looking
    });
    // The last look may begin at the last moment.
    SecondLook { look, within: within + STAY + LOOK }
}

/// What is not good yet of what must be good. What was not seen is not good, and if nothing was asked, nothing is known.
fn amiss(found: &Diagnosis, remedy: &Remedy, (looks, named): (&[String], bool), run: &RunId) -> Option<String> {
    if let Some(drain) = aside(remedy) {
        // The problem is not gone; nobody is to stumble over it any more.
        return in_service(found, remedy, drain);
    }
    let same = |one: &&Problem| one.name == remedy.problem && one.host == remedy.about.1;
    let own = |service: &Option<ServiceName>| {
        service.is_none() || *service == remedy.about.0 || service.as_ref() == Some(&remedy.bearer)
    };
    let about = |one: &&Problem| own(&one.service);
    if let Some(problem) = found.problems.iter().filter(same).find(about) {
        return Some(problem.because.clone());
    }
    let about = |one: &&Observation| own(&one.service);
    let asked: Vec<_> = found.observations.iter().filter(about).filter(|one| looks.contains(&one.look)).collect();
    let must = |one: &Observation| named || remedy.evidence.contains(&one.look);
    // What was started by the remedy and is not there yet may never come.
    let unseen =
        |one: &Observation| one.sight == Sight::Unseen && (must(one) || one.is_starting()) && !waits_for(one, run);
    let bad = |one: &&&Observation| one.sight == Sight::Bad || unseen(one);
    if let Some(one) = asked.iter().find(bad) {
        return Some(format!("{}: {}", one.look, one.says));
    }
    let good = asked.iter().any(|one| one.sight == Sight::Good || waits_for(one, run));
    (!good).then(|| format!("none of {} was seen to be good", looks.join(", ")))
}

/// Whether the only run that is not over on the host is the remedy's own, which waits for what we say.
fn waits_for(one: &Observation, run: &RunId) -> bool {
    let get = |key: &str| one.values.get(key).map(String::as_str).unwrap_or_default();
    one.look == "runs" && get("stopped") == "0" && get("holder").contains(run.as_str())
}

/// Whether what the remedy started has ended for good, as its supervisor tells.
fn is_lost(found: &Diagnosis, remedy: &Remedy) -> bool {
    let starts = |way: &Way| match way {
        Way::Restore | Way::Back | Way::Need(..) | Way::Mend(Mend::Again) => true,
        Way::Mend(Mend::Change(change)) => matches!(change, UnitChange::Start | UnitChange::Restart),
        Way::Mend(_) => false,
    };
    let ended = |one: &&Observation| {
        one.look == "unit"
            && one.host == remedy.host
            && one.service.as_ref() == Some(&remedy.bearer)
            && one.values.get("active").is_some_and(|active| active == "failed")
    };
    remedy.ways.iter().any(starts) && found.observations.iter().any(|one| ended(&one))
}

/// Whether all that a remedy does is to take its host out of service; and whether it is drained, then.
fn aside(remedy: &Remedy) -> Option<bool> {
    let drains = remedy.ways.iter().map(|way| match way {
        Way::Mend(Mend::Aside { drain, .. }) => Some(*drain),
        _ => None,
    });
    let drains: Vec<bool> = drains.collect::<Option<_>>()?;
    (!drains.is_empty()).then(|| drains.contains(&true))
}

/// What keeps a host in service that was to be taken out of it.
fn in_service(found: &Diagnosis, remedy: &Remedy, drained: bool) -> Option<String> {
    let mut here = found.observations.iter().filter(|one| one.host == remedy.host);
    if !here.clone().any(cordons) {
        return Some("the host does not say that it is out of service".into());
    }
    let runs = here.find(|one| drained && one.sight == Sight::Good && one.look == "unit");
    runs.map(|one| format!("{}: {}", one.look, one.says))
}
