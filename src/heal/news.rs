//! News: what changed between what was noticed before and what a healing found. Pure: the same input has the same news. What
//! was not seen is neither bad nor healed, and the same is not told twice.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::Serialize;

use crate::heal::{Healing, Observation, Problem, Sight};
use crate::journal::{Trouble, Verdict};
use crate::model::{HostName, ServiceName, hex, sha256};
use crate::registry::{NewsKind, Notify};

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
pub fn news(before: &[Trouble], healing: &Healing, now: Timestamp) -> (Vec<News>, Vec<Trouble>) {
    let mut all = Vec::new();
    let mut after: Vec<Trouble> = before.to_vec();
    // What looks agree on; a blip is no news.
    let left: Vec<&Problem> = healing.left().map(|one| &one.problem).filter(|one| !one.latent).collect();
    for problem in &left {
        let at = after.iter().position(|one| is(one, problem)).unwrap_or_else(|| {
            after.push(trouble(problem, now));
            after.len() - 1
        });
        let one = &mut after[at];
        if one.since == now || one.healed.is_some() {
            (one.since, one.healed, one.gave_up) = (now, None, false);
            all.push(tell(NewsKind::WentBad, problem, Vec::new()));
        }
        one.because.clone_from(&problem.because);
        if !one.gave_up {
            one.gave_up = true;
            all.push(tell(NewsKind::GaveUp, problem, given_up(healing, problem)));
        }
    }
    let (seen, helped) = (seen(&healing.last.observations), helped(healing));
    // Taking a host out of service heals nothing.
    for one in after.iter_mut().filter(|one| one.healed.is_none() && !healing.aside.contains(&one.host)) {
        let gone = !left.iter().any(|problem| is(one, problem));
        if gone && seen.contains(&(&one.host, one.service.as_ref())) {
            one.healed = Some(now);
            let says = helped.iter().filter(|(problem, _)| is(one, problem)).map(|(_, says)| says.clone()).collect();
            let (host, service) = (one.host.clone(), one.service.clone());
            let (problem, because) = (one.problem.clone(), one.because.clone());
            all.push(News { kind: NewsKind::Healed, host, service, problem, because, says });
        }
    }
    // What came and went within one healing was never noticed as bad.
    for (problem, says) in helped.into_iter().filter(|(problem, _)| !before.iter().any(|one| open(one, problem))) {
        if left.iter().any(|one| same(one, problem)) {
            continue;
        }
        all.push(tell(NewsKind::Healed, problem, vec![says]));
        if !after.iter().any(|one| is(one, problem)) {
            after.push(Trouble { healed: Some(now), ..trouble(problem, now) });
        }
    }
    for one in healing.treated.iter().filter(|one| one.noted.as_ref().is_some_and(|noted| noted.new)) {
        let name = one.noted.as_ref().map(|noted| format!("{} in {}", noted.name, noted.file.display()));
        all.push(tell(NewsKind::Learned, &one.problem, name.into_iter().collect()));
    }
    (all, after)
}

/// Those of the news that one who is told wants and was not told within its cool-down; notes that they are told now.
#[must_use]
pub fn due(all: &[News], after: &mut [Trouble], to: &Notify, now: Timestamp) -> Vec<News> {
    let whom = &hex(&sha256(format!("{:?}", to.to).as_bytes()))[..8];
    let mut due = Vec::new();
    for one in all.iter().filter(|one| to.news.contains(&one.kind)) {
        let known = |other: &&mut Trouble| {
            other.host == one.host && other.service == one.service && other.problem == one.problem
        };
        let Some(trouble) = after.iter_mut().find(known) else {
            due.push(one.clone());
            continue;
        };
        let kind = format!("{} {whom}", word(one.kind));
        let recent = trouble.told.get(&kind).is_some_and(|told| {
            std::time::Duration::try_from(now.duration_since(*told)).is_ok_and(|since| since < to.cooldown)
        });
        if !recent {
            trouble.told.insert(kind, now);
            due.push(one.clone());
        }
    }
    due
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
        told: std::collections::BTreeMap::new(),
    }
}

fn tell(kind: NewsKind, problem: &Problem, says: Vec<String>) -> News {
    let (host, service) = (problem.host.clone(), problem.service.clone());
    News { kind, host, service, problem: problem.known(), because: problem.because.clone(), says }
}

fn is(one: &Trouble, problem: &Problem) -> bool {
    one.host == problem.host && one.service == problem.service && one.problem == problem.known()
}

fn open(one: &Trouble, problem: &Problem) -> bool {
    one.healed.is_none() && is(one, problem)
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

/// What helped, and against what.
fn helped(healing: &Healing) -> Vec<(&Problem, String)> {
    let helped = healing.treated.iter().filter(|one| one.verdict == Verdict::Helped);
    helped.map(|one| (&one.problem, format!("{}: {}, {:.1} s", one.remedy, one.did, one.took.as_secs_f64()))).collect()
}

/// The places of which nothing that is asked of them was left unseen.
fn seen(all: &[Observation]) -> BTreeSet<(&HostName, Option<&ServiceName>)> {
    let places: BTreeSet<_> = all.iter().map(|one| (&one.host, one.service.as_ref())).collect();
    let lost =
        |host: &HostName| all.iter().any(|one| one.host == *host && one.look == "reach" && one.sight != Sight::Good);
    places.into_iter().filter(|(host, _)| !lost(host)).collect()
}
