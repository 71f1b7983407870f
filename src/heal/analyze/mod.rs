//! Analyze: observations and playbooks to problems, and from which root they grow. Pure: the same input has the same verdict.
//! Only what is bad makes a problem; what was not seen makes a problem less sure.

mod fingerprint;
mod roots;
mod waits;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::heal::playbook::{Deed, Library, Risk};
use crate::heal::{Observation, Sight};
use crate::model::{HostName, ServiceName};

pub use fingerprint::{Pattern, is_own};
pub(super) use roots::is_down;
pub(super) use waits::patient;

/// What is known of the services beyond what was observed.
#[derive(Clone, Debug, Default)]
pub struct World {
    /// What each service needs directly.
    pub needs: BTreeMap<ServiceName, Vec<ServiceName>>,
    /// Where each service runs.
    pub hosts: BTreeMap<ServiceName, Vec<HostName>>,
    /// How each service is deployed: the name of its engine.
    pub engines: BTreeMap<ServiceName, String>,
    /// What hosts are called where they are addressed by a name.
    pub addresses: BTreeSet<String>,
    /// The hosts on the way to a host.
    pub jumps: BTreeMap<HostName, Vec<HostName>>,
}

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    /// The playbook's name, or `unknown`.
    pub name: String,
    pub host: HostName,
    /// The service that it is about; none when it is about the host.
    pub service: Option<ServiceName>,
    /// What is the matter, in one sentence.
    pub because: String,
    /// The next move for a person.
    pub hint: Option<String>,
    /// How sure it is, in percent.
    pub sure: u8,
    /// Whether it only says that something is wrong, and not why.
    pub symptom: bool,
    /// Whether it breaks nothing yet.
    pub latent: bool,
    pub risk: Risk,
    /// What would help, step by step.
    pub deeds: Vec<Deed>,
    /// How often that is tried.
    pub tries: usize,
    /// The looks that must be good again, and how soon.
    pub until: Option<(Vec<String>, Duration)>,
    /// The observations that it rests on, as numbers in what was given.
    pub evidence: Vec<usize>,
    /// What was captured from them and measured, by name.
    pub captured: BTreeMap<String, String>,
    /// The problems that it follows from directly, as numbers; none for a root.
    pub follows: Vec<usize>,
    /// Names the failure where no cause is known, the same on every host and day.
    pub fingerprint: Option<String>,
}

impl Problem {
    /// What it is known by: its fingerprint where nobody knows its cause, else its name.
    #[must_use]
    pub fn known(&self) -> String {
        self.fingerprint.clone().unwrap_or_else(|| self.name.clone())
    }

    /// Whether two looks mean the same problem.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.name == other.name && self.host == other.host && self.service == other.service
    }

    /// Whether it follows from nothing that is known.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.follows.is_empty()
    }
}

/// The name of a problem that no playbook knows.
const UNKNOWN: &str = "unknown";

/// What is wrong, roots before what follows from them.
#[must_use]
pub fn analyze(world: &World, seen: &[Observation], library: &Library) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut by_host: BTreeMap<&HostName, Vec<(usize, &Observation)>> = BTreeMap::new();
    for (number, one) in seen.iter().enumerate() {
        by_host.entry(&one.host).or_default().push((number, one));
    }
    for (host, service) in places(seen) {
        let here = |(_, one): &&(usize, &Observation)| one.service.as_ref() == service || one.service.is_none();
        let there = by_host.get(host).into_iter().flatten().filter(here).copied();
        let (numbers, here): (Vec<usize>, Vec<&Observation>) = there.unzip();
        // Every playbook wants something bad, and hosts are many that are well.
        if here.iter().all(|one| one.sight != Sight::Bad) {
            continue;
        }
        let before = problems.len();
        for (book, _) in library.books.values().filter(|(book, _)| book.is_about_services() == service.is_some()) {
            for hit in book.hits(&here) {
                problems.push(Problem {
                    name: book.name.clone(),
                    host: host.clone(),
                    service: service.cloned(),
                    because: hit.because,
                    hint: book.hint.clone(),
                    sure: hit.sure,
                    symptom: book.symptom,
                    latent: book.latent || (book.symptom || book.doubtful) && serves(service, &here),
                    risk: book.risk,
                    deeds: book.deeds.clone(),
                    tries: book.tries,
                    until: book.until.clone(),
                    captured: hit.captured,
                    evidence: hit.evidence.into_iter().map(|number| numbers[number]).collect(),
                    follows: Vec::new(),
                    fingerprint: None,
                });
            }
        }
        if problems.len() == before {
            problems.extend(unknown(host, service, (&numbers, &here)));
        }
    }
    roots::link(world, seen, library, &mut problems);
    roots::wake(&mut problems);
    for problem in problems.iter_mut().filter(|problem| problem.is_root() && problem.symptom) {
        problem.fingerprint = Some(Pattern::of(world, seen, problem).fingerprint());
    }
    roots::sorted(problems)
}

/// The hosts and the services on them, hosts first.
fn places(seen: &[Observation]) -> BTreeSet<(&HostName, Option<&ServiceName>)> {
    seen.iter().map(|one| (&one.host, one.service.as_ref())).collect()
}

/// Whether a service does what is asked of it: its own checks were asked and are good. A symptom breaks nothing then, nor does what is
/// doubtful.
fn serves(service: Option<&ServiceName>, here: &[&Observation]) -> bool {
    let mut checks = here.iter().filter(|one| one.look == "check" && one.service.as_ref() == service).peekable();
    service.is_some() && checks.peek().is_some() && checks.all(|one| one.sight == Sight::Good)
}

/// What is bad and known to no playbook.
fn unknown(
    host: &HostName,
    service: Option<&ServiceName>,
    (numbers, here): (&[usize], &[&Observation]),
) -> Option<Problem> {
    let bad = |(_, one): &(&usize, &&Observation)| one.sight == Sight::Bad && one.service.as_ref() == service;
    let bad: Vec<_> = numbers.iter().zip(here).filter(bad).collect();
    let (_, first) = bad.first()?;
    Some(Problem {
        name: UNKNOWN.into(),
        host: host.clone(),
        service: service.cloned(),
        because: first.says.clone(),
        hint: None,
        sure: 10,
        symptom: true,
        latent: false,
        risk: Risk::Ask,
        deeds: Vec::new(),
        tries: 1,
        until: None,
        evidence: bad.iter().map(|(number, _)| **number).collect(),
        captured: BTreeMap::new(),
        follows: Vec::new(),
        fingerprint: None,
    })
}
