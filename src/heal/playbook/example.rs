//! The examples of a playbook, which are its tests.

use crate::heal::Observation;
use crate::heal::playbook::Playbook;

/// What was observed, and what must be made of it.
#[derive(Clone, Debug)]
pub(super) struct Example {
    pub(super) name: String,
    pub(super) given: Vec<Observation>,
    /// The sentence; none when the playbook must not match.
    pub(super) expect: Option<String>,
}

/// How an example ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tried {
    pub example: String,
    /// What is wrong; none when it is as it should be.
    pub wrong: Option<String>,
}

impl Playbook {
    /// Tries all examples.
    #[must_use]
    pub fn try_examples(&self) -> Vec<Tried> {
        let tried = |example: &Example| Tried { example: example.name.clone(), wrong: self.wrong(example) };
        self.examples.iter().map(tried).collect()
    }

    fn wrong(&self, example: &Example) -> Option<String> {
        let seen: Vec<&Observation> = example.given.iter().collect();
        let said: Vec<String> = self.hits(&seen).into_iter().map(|hit| hit.because).collect();
        match (&example.expect, said.as_slice()) {
            (None, []) => None,
            (None, said) => Some(format!("it must not match, and says: {}", said.join("; "))),
            (Some(wanted), [said]) if said == wanted => None,
            (Some(wanted), []) => Some(format!("it does not match, and must say: {wanted}")),
            (Some(wanted), said) => Some(format!("it says: {}; and must say: {wanted}", said.join("; "))),
        }
    }

    /// Whether there is an example that matches, and one that comes near and must not.
    #[must_use]
    pub fn is_well_tried(&self) -> bool {
        self.examples.iter().any(|one| one.expect.is_some()) && self.examples.iter().any(|one| one.expect.is_none())
    }
}
