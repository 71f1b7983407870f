//! What is left after a healing, and what of it counts. What is wrong on a host that is out of service is known to whoever took it
//! out: it is shown to those who ask, and is no news. What it brings about on hosts in service counts like anything else.

use std::collections::BTreeSet;

use crate::deploy::Ground;
use crate::heal::observe::came_too_late;
use crate::heal::{Diagnosis, Healing, Observation, Problem, Refrained, Sight};
use crate::host::look::{ENDED, MUTE};
use crate::model::{HostName, ServiceName};

/// Whether a look saw that its host is out of service.
pub(super) fn cordons(one: &Observation) -> bool {
    one.look == "cordon" && one.values.get("state").is_some_and(|is| is == "cordoned")
}

/// The hosts of a diagnosis that are out of service: by their own word, or, where they cannot be seen, by what this machine
/// remembers.
pub(super) fn aside(ground: &Ground, seen: &Diagnosis) -> BTreeSet<HostName> {
    let words = || seen.observations.iter().filter(|one| one.look == "cordon");
    let said: BTreeSet<&HostName> = words().filter(|one| one.sight == Sight::Good).map(|one| &one.host).collect();
    let looked: BTreeSet<&HostName> = seen.observations.iter().map(|one| &one.host).collect();
    let mute = looked.difference(&said).copied();
    let mut aside: BTreeSet<HostName> = words().filter(|one| cordons(one)).map(|one| one.host.clone()).collect();
    let known = ground.cordons();
    aside.extend(mute.filter(|host| known.contains_key(*host)).cloned());
    aside
}

/// Whether the next look may see what was not seen: what is away, starts, hung, was ended or had no time is no lasting lack.
#[must_use]
pub fn may_pass(one: &Observation) -> bool {
    // Who is at work there is done some time.
    ["reach", "runs"].contains(&one.look.as_str())
        || one.is_starting()
        || came_too_late(one)
        || [MUTE, ENDED].iter().any(|why| one.says.contains(why))
}

impl Healing {
    /// Whether a problem is of what a person took out of service, a host or a service there, and is felt by nothing that is in service.
    #[must_use]
    pub fn is_aside(&self, problem: &Problem) -> bool {
        let all = &self.last.problems;
        let felt =
            all.iter().position(|one| one.is_same(problem)).map(|at| self.last.brings_about(at)).unwrap_or_default();
        let away = |one: &Problem| self.is_away(&one.host, one.service.as_ref());
        away(problem) && felt.iter().all(|at| away(&all[*at]))
    }

    /// Whether the host is out of service, or the service was stopped there on purpose and rests.
    pub(super) fn is_away(&self, host: &HostName, service: Option<&ServiceName>) -> bool {
        let stopped = |one: &Observation| service.is_some() && one.values.contains_key("stopped");
        let runs = || self.last.seen_by("unit", host, service).any(|one| one.sight == Sight::Good);
        self.aside.contains(host) || self.last.seen_by("release", host, service).any(stopped) && !runs()
    }

    /// The root problems that are left, and count.
    pub fn left(&self) -> impl Iterator<Item = &Refrained> {
        self.refrained.iter().filter(|one| !self.is_aside(&one.problem))
    }

    /// The roots that are left though nothing was decided about them: the looks did not agree on them.
    pub fn unsure(&self) -> impl Iterator<Item = &Problem> {
        let decided = |problem: &&Problem| self.refrained.iter().any(|one| one.problem.is_same(problem));
        self.last.roots().filter(move |problem| !decided(problem))
    }

    /// Whether it was over before all was looked at.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        self.last.observations.iter().any(came_too_late)
    }

    /// The looks that could not be taken in the end.
    pub fn unseen(&self) -> impl Iterator<Item = &Observation> {
        self.last.observations.iter().filter(|one| one.sight == Sight::Unseen)
    }

    /// Those of them that count.
    pub fn blind(&self) -> impl Iterator<Item = &Observation> {
        self.unseen().filter(|one| !self.aside.contains(&one.host))
    }
}
