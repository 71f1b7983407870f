//! One remedy: its steps as a transaction on the host, and the second look that keeps or undoes it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::deploy::{Ended, Fault, Ground, Looking, Pace, Prepared, SecondLook, Terms, deploy_if};
use crate::heal::diagnose::look;
use crate::heal::left::cordons;
use crate::heal::playbook::Library;
use crate::heal::solve::deed::Way;
use crate::heal::solve::planned::{prepared, settled, settles};
use crate::heal::{Diagnosis, Observation, Patience, Problem, Sight};
use crate::host::run::Treatment;
use crate::journal::Verdict;
use crate::model::{Event, HostName, Outcome, RunId, ServiceName, UnitChange};
use crate::plan::{Mend, services_on};

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

/// Why a remedy did not begin, in one line; and whether its host was touched all the same, as a run that had stopped was settled.
pub(super) struct Halted {
    pub why: String,
    pub touched: bool,
}

impl From<String> for Halted {
    fn from(why: String) -> Self {
        Self { why, touched: false }
    }
}

/// Plans the remedy. Nothing is touched yet, but for a run that is settled before anything is planned.
///
/// # Errors
/// Why it cannot be planned.
pub(super) async fn plan(
    ground: &Arc<Ground>,
    library: &Arc<Library>,
    remedy: Remedy,
    run: RunId,
) -> Result<Ready, Halted> {
    let prepared = match remedy.ways.iter().find_map(settles) {
        Some(left) => settled(ground, &remedy, left).await?,
        None => prepared(ground, &remedy).await?,
    };
    let amiss = Arc::new(Mutex::new(None));
    let second_look = Some(second_look((ground, &run), library, &remedy, amiss.clone()));
    let pace = Pace { batch: None, max_fail: None, keep: true };
    let terms = Terms { run, pace, second_look, treatment: Some(remedy.treatment), rescue: None };
    Ok(Ready { prepared, terms, amiss })
}

/// Does the work on a ground of its own; what is told there is heard, and told on.
pub(super) async fn overhear<T, W: Future<Output = T>>(
    ground: &Arc<Ground>,
    work: impl FnOnce(Arc<Ground>) -> W,
    mut hear: impl FnMut(&Event),
) -> T {
    let (own, mut events) = ground.overheard();
    let mut tell = |event: Event| {
        hear(&event);
        ground.tell(event);
    };
    let mut done = std::pin::pin!(work(own));
    let ended = loop {
        tokio::select! {
            biased;
            Some(event) = events.recv() => tell(event),
            ended = &mut done => break ended,
        }
    };
    while let Ok(event) = events.try_recv() {
        tell(event);
    }
    ended
}

impl Ready {
    /// Applies the remedy, if it is still wanted when the host is ours (it is told whether somebody was waited for), and looks again. A fault is what kept it from being done at
    /// all.
    pub(super) async fn carry(
        self,
        ground: &Arc<Ground>,
        wanted: impl AsyncFnOnce(bool) -> bool,
    ) -> Result<(Verdict, Option<String>), Fault> {
        let Self { prepared, terms, amiss } = self;
        let mut words = None;
        let hear = |event: &Event| {
            if let Event::Failed { error, evidence, .. } = event {
                words.get_or_insert_with(|| own_words(error, evidence));
            }
        };
        let terms = &terms;
        let ended = overhear(ground, |own| async move { deploy_if(&own, prepared, terms, wanted).await }, hear).await;
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
        Way::Mend(_) | Way::Settle(_) => false,
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
