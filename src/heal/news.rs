//! News: what changed between what was noticed before and what a healing found. Pure: the same input has the same news. What
//! was not seen is neither bad nor healed, and nothing is healed at a place where something is still wrong.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::Serialize;

use crate::heal::{Diagnosis, Healing, Observation, Problem, Sight};
use crate::journal::{Trouble, Verdict};
use crate::model::{HostName, ServiceName};
use crate::registry::NewsKind;

/// Something that is new.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct News {
    pub kind: NewsKind,
    pub host: HostName,
    pub service: Option<ServiceName>,
    /// The problem's name or fingerprint.
    pub problem: String,
    pub because: String,
    /// What was done, or why nothing was; and what was learned.
    pub says: Vec<String>,
}

/// What is new after a healing, and what is noticed now.
#[must_use]
pub(super) fn news(before: &[Trouble], healing: &Healing, now: Timestamp) -> (Vec<News>, Vec<Trouble>) {
    let (mut all, mut after) = (Vec::new(), before.to_vec());
    // Who stops it in the middle has seen too little to say how it stands.
    if !healing.cut {
        bad(healing, now, &mut after, &mut all);
        healed(healing, now, &mut after, &mut all);
    }
    for one in &healing.treated {
        let Some(noted) = one.noted.as_ref().filter(|noted| noted.new) else { continue };
        let says = format!("{} in {}", noted.name, noted.file.display());
        let closed = || Trouble { healed: Some(now), ..trouble(&one.problem, now) };
        let at = find(&after, &one.problem).unwrap_or_else(|| add(&mut after, closed()));
        all.push(tell(NewsKind::Learned, &after[at], vec![says]));
    }
    (all, after)
}

/// What went bad, and for what nothing more can be done. What looks agree on; a blip is no news.
fn bad(healing: &Healing, now: Timestamp, after: &mut Vec<Trouble>, all: &mut Vec<News>) {
    for problem in healing.left().map(|one| &one.problem).filter(|one| !one.latent) {
        let known = find(after, problem);
        let at = known.unwrap_or_else(|| add(after, trouble(problem, now)));
        let one = &mut after[at];
        one.because.clone_from(&problem.because);
        if known.is_none() || one.healed.is_some() {
            (one.since, one.healed, one.gave_up) = (now, None, false);
            one.looks.clear();
            all.push(tell(NewsKind::WentBad, one, Vec::new()));
        }
        one.looks.extend(looks(&healing.last, problem).cloned());
        if !one.gave_up {
            one.gave_up = true;
            all.push(tell(NewsKind::GaveUp, one, given_up(healing, problem)));
        }
    }
}

/// What is well again, and what came and went within one healing.
fn healed(healing: &Healing, now: Timestamp, after: &mut Vec<Trouble>, all: &mut Vec<News>) {
    let mut mended: Vec<(usize, String)> = Vec::new();
    for one in healing.treated.iter().filter(|one| one.verdict == Verdict::Helped) {
        let fresh = trouble(&one.problem, now);
        let at = match find(after, &one.problem) {
            Some(at) => at,
            // It was never noticed as bad, and is no trouble of its own where something else is wrong.
            None if well(&fresh, &healing.last, true) => add(after, fresh),
            None => continue,
        };
        mended.push((at, format!("{}: {}, {:.1} s", one.remedy, one.did, one.took.as_secs_f64())));
    }
    for (at, one) in after.iter_mut().enumerate() {
        let says: Vec<String> = mended.iter().filter(|(of, _)| *of == at).map(|(_, says)| says.clone()).collect();
        // A second look proved the remedy.
        let proven = !says.is_empty();
        // Taking a host out of service heals nothing.
        let aside = !proven && healing.is_away(&one.host, one.service.as_ref());
        if !aside && (one.healed.is_none() || proven) && well(one, &healing.last, proven) {
            one.healed = Some(now);
            all.push(tell(NewsKind::Healed, one, says));
        }
    }
}

/// Whether nothing is wrong any more where the trouble was, as far as what saw it sees again. For a service that is all that
/// breaks it, whatever it is called now: an unknown failure has another fingerprint with each last line of its log, and a
/// cause may be found above it. A host may well have other troubles.
fn well(one: &Trouble, last: &Diagnosis, proven: bool) -> bool {
    let on_host = last.observations.iter().filter(|seen| seen.host == one.host);
    let place: Vec<_> = on_host.clone().filter(|seen| seen.service == one.service).collect();
    let reached = on_host.clone().all(|seen| seen.look != "reach" || seen.sight == Sight::Good);
    let here = |problem: &&Problem| !problem.latent && problem.host == one.host && problem.service == one.service;
    let same = |problem: &Problem| {
        let unknown = problem.symptom && is_print(&one.problem);
        one.service.is_some()
            || unknown
            || [&problem.name, &problem.known()].contains(&&one.problem)
            || looks(last, problem).any(|look| one.looks.contains(look))
    };
    if place.is_empty() || !reached || last.problems.iter().filter(here).any(same) {
        return false;
    }
    let about = |look: &&String| on_host.clone().any(|seen| seen.look == **look && of(seen, one));
    let all_there = !one.looks.is_empty() && one.looks.iter().all(|look| about(&look));
    let asked = |seen: &&Observation| of(seen, one) && (!all_there || one.looks.contains(&seen.look));
    proven || on_host.clone().filter(asked).all(|seen| seen.sight != Sight::Unseen)
}

/// Whether a healing saw how it stands with the trouble, and that it is as it was noticed.
pub(super) fn stands(one: &Trouble, healing: &Healing) -> bool {
    let mut place = healing.last.observations.iter().filter(|seen| seen.host == one.host);
    let here = |problem: &Problem| !problem.latent && problem.host == one.host && problem.service == one.service;
    let wrong = healing.last.problems.iter().any(here);
    !healing.cut
        && !healing.last.is_lost(&one.host)
        && place.any(|seen| seen.service == one.service)
        && (one.healed.is_some() || wrong && !healing.is_away(&one.host, one.service.as_ref()))
}

/// Whether an observation of the same host has to do with the trouble.
fn of(seen: &Observation, one: &Trouble) -> bool {
    seen.service.is_none() || seen.service == one.service
}

/// The looks that a problem rests on.
fn looks<'a>(found: &'a Diagnosis, problem: &Problem) -> impl Iterator<Item = &'a String> {
    let same = |other: &&Problem| same(other, problem);
    let evidence = found.problems.iter().find(same).map(|other| other.evidence.as_slice()).unwrap_or_default();
    evidence.iter().filter_map(|number| found.observations.get(*number)).map(|seen| &seen.look)
}

/// The trouble that a problem is. An unknown failure of a place is the same trouble as long as that is open.
fn find(all: &[Trouble], problem: &Problem) -> Option<usize> {
    let here = |one: &Trouble| one.host == problem.host && one.service == problem.service;
    let unknown = |one: &Trouble| problem.fingerprint.is_some() && one.healed.is_none() && is_print(&one.problem);
    let open = all.iter().position(|one| here(one) && unknown(one));
    open.or_else(|| all.iter().position(|one| here(one) && one.problem == problem.known()))
}

fn add(all: &mut Vec<Trouble>, one: Trouble) -> usize {
    all.push(one);
    all.len() - 1
}

/// Whether a trouble is known by a fingerprint.
fn is_print(problem: &str) -> bool {
    problem.len() == 16 && problem.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

/// The word of a kind of news.
#[must_use]
pub fn word(kind: NewsKind) -> &'static str {
    match kind {
        NewsKind::WentBad => "went-bad",
        NewsKind::Healed => "healed",
        NewsKind::GaveUp => "gave-up",
        NewsKind::Learned => "learned",
    }
}

fn trouble(problem: &Problem, now: Timestamp) -> Trouble {
    Trouble {
        host: problem.host.clone(),
        service: problem.service.clone(),
        problem: problem.known(),
        because: problem.because.clone(),
        since: now,
        healed: None,
        gave_up: false,
        told: BTreeMap::new(),
        looks: BTreeSet::new(),
        owed: BTreeMap::new(),
    }
}

fn tell(kind: NewsKind, one: &Trouble, says: Vec<String>) -> News {
    let (host, service) = (one.host.clone(), one.service.clone());
    News { kind, host, service, problem: one.problem.clone(), because: one.because.clone(), says }
}

fn same(one: &Problem, other: &Problem) -> bool {
    one.host == other.host && one.service == other.service && one.known() == other.known()
}

/// What was tried in vain, or why nothing was.
fn given_up(healing: &Healing, problem: &Problem) -> Vec<String> {
    let vain = healing.treated.iter().filter(|one| one.verdict != Verdict::Helped && same(&one.problem, problem));
    let vain = vain.map(|one| format!("{}: {}", one.remedy, one.says.as_deref().unwrap_or("no help")));
    let held = healing.refrained.iter().filter(|one| same(&one.problem, problem)).flat_map(|one| &one.why);
    vain.chain(held.map(|(what, why)| format!("not done: {what}: {why}"))).collect()
}

#[cfg(test)]
mod tests;
