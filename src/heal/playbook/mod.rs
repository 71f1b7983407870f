//! The file format of known problems: how one is recognized, what it means, what helps. Playbooks are data; what they may do
//! is a closed list (`deed`), and their examples are tests.

mod condition;
mod deed;
mod draft;
mod example;
mod grave;
mod learned;
mod library;
mod settle;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::heal::{Observation, Sight};
use condition::{Captured, Condition};
use example::Example;

pub(super) use condition::is_request;
pub use deed::{Deed, Risk};
pub use example::Tried;
pub use learned::{Learned, Record, Source, State, word};
pub use library::{LEARNED, Library, Origin, shipped};
pub use settle::{read, schema};

/// A known problem.
#[derive(Clone, Debug)]
pub struct Playbook {
    pub name: String,
    when: Vec<Condition>,
    unless: Vec<Condition>,
    because: String,
    /// The next move for a person.
    pub hint: Option<String>,
    /// Whether it only says that something is wrong, and not why.
    pub symptom: bool,
    /// Whether it breaks nothing yet.
    pub latent: bool,
    /// Whether it breaks nothing as long as the service's own checks are good.
    pub doubtful: bool,
    /// Whether, for a symptom, the general remedies may be tried, too.
    pub ladder: bool,
    /// The problems that this one brings about, by name.
    pub explains: BTreeSet<String>,
    pub risk: Risk,
    /// The remedy, step by step; empty when only a person can mend it.
    pub deeds: Vec<Deed>,
    /// The looks that must be good again, and how soon.
    pub until: Option<(Vec<String>, Duration)>,
    /// How often the remedy is tried for the same problem before it counts as one that does not help.
    pub tries: usize,
    examples: Vec<Example>,
    /// How it was learned; none for one that somebody wrote.
    pub learned: Option<Learned>,
}

/// A playbook that was recognized.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    /// The sentence.
    pub because: String,
    /// The observations that it rests on, as numbers in what was given.
    pub evidence: Vec<usize>,
    /// How sure it is, in percent.
    pub sure: u8,
    /// What was captured and measured, by name.
    pub captured: BTreeMap<String, String>,
}

impl Playbook {
    /// Where the problem is found in the observations of one host, or of one host and one service on it. One for each sentence.
    #[must_use]
    pub fn hits(&self, seen: &[&Observation]) -> Vec<Hit> {
        if self.unless.iter().any(|not| seen.iter().any(|one| not.meets(one).is_some())) {
            return Vec::new();
        }
        let Some((first, rest)) = self.when.split_first() else { return Vec::new() };
        let mut hits: Vec<Hit> = Vec::new();
        for (number, one) in seen.iter().enumerate() {
            let Some(mut captured) = first.meets(one) else { continue };
            let mut evidence = vec![number];
            let joined = rest.iter().all(|condition| {
                // What is about the same unit or port goes before what is about another one.
                let mut fitting = seen
                    .iter()
                    .enumerate()
                    .filter_map(|(n, other)| Some((n, other.of == one.of, condition.meets(other)?)));
                let mut found = fitting.next();
                while found.as_ref().is_some_and(|found| !found.1) {
                    let Some(next) = fitting.next() else { break };
                    if next.1 {
                        found = Some(next);
                    }
                }
                let Some((n, _, more)) = found else { return false };
                evidence.push(n);
                // What was captured first stays.
                more.into_iter().for_each(|(name, value)| {
                    captured.entry(name).or_insert(value);
                });
                true
            });
            if !joined {
                continue;
            }
            let because = self.sentence(one, &captured);
            if !hits.iter().any(|hit| hit.because == because) {
                hits.push(Hit { because, evidence, sure: self.sure(seen), captured });
            }
        }
        hits
    }

    /// The sentence with what was captured; what is not known stays as it is written.
    fn sentence(&self, one: &Observation, captured: &Captured) -> String {
        let mut said = String::new();
        let mut rest = self.because.as_str();
        while let Some((before, after)) = rest.split_once('{') {
            said.push_str(before);
            let Some((name, behind)) = after.split_once('}') else {
                rest = after;
                continue;
            };
            match name {
                "host" => said.push_str(one.host.as_str()),
                "service" => said.push_str(one.service.as_ref().map_or("", |service| service.as_str())),
                _ => match captured.get(name) {
                    Some(value) => said.push_str(value),
                    None => said.push_str(&format!("{{{name}}}")),
                },
            }
            rest = behind;
        }
        said + rest
    }

    /// More that agrees makes it surer; what should have been ruled out and was not seen, less sure.
    fn sure(&self, seen: &[&Observation]) -> u8 {
        let agrees: u8 = match self.when.len() {
            0 | 1 => 85,
            2 => 92,
            _ => 97,
        };
        let open =
            |not: &&Condition| seen.iter().any(|one| not.looks.contains(&one.look) && one.sight == Sight::Unseen);
        let open = u8::try_from(self.unless.iter().filter(open).count()).unwrap_or(u8::MAX);
        let doubt = if self.symptom { 30 } else { 0 } + open.saturating_mul(15);
        agrees.saturating_sub(doubt).max(10)
    }

    /// Whether the problem is one of a service, and not of its host alone.
    #[must_use]
    pub fn is_about_services(&self) -> bool {
        let of_service = super::observe::service_looks();
        self.when.iter().flat_map(|condition| &condition.looks).any(|look| of_service.contains(&look.as_str()))
    }
}
