//! What a check found. Not seeing is not the same as seeing bad.

use super::Term;

/// The answer to one question of a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is as the check wants it.
    Good(Good),
    /// It was seen, and it is not as the check wants it.
    Bad(Bad),
    /// It could not be seen, and why. No remedy is chosen on this.
    Unseen(String),
}

/// What was good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Good {
    /// One line for a person.
    pub says: String,
    /// Names the very processes that were seen, where the check can tell: when it changes between two answers, they
    /// were started again in between.
    pub life: Option<String>,
    /// When the certificate that was seen is good.
    pub certificate: Option<Term>,
}

/// What was bad.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bad {
    /// One line for a person.
    pub says: String,
    /// What was seen, escaped and cut to a size: the beginning of an answer, the last lines of an error.
    pub evidence: Vec<String>,
    /// Whether waiting cannot mend it, as with a unit that its supervisor gave up. It counts in the start period too.
    pub hopeless: bool,
}

impl Verdict {
    /// A good verdict.
    pub(super) fn good(says: impl Into<String>) -> Self {
        Self::Good(Good { says: says.into(), life: None, certificate: None })
    }

    /// The same, where it is good, over a certificate of this term.
    pub(super) fn lasting(mut self, term: Option<Term>) -> Self {
        if let Self::Good(good) = &mut self {
            good.certificate = term;
        }
        self
    }

    /// A bad verdict without evidence beyond its words.
    pub(super) fn bad(says: impl Into<String>) -> Self {
        Self::bad_with(says, Vec::new())
    }

    /// A bad verdict with evidence; empty lines are dropped.
    pub(super) fn bad_with(says: impl Into<String>, mut evidence: Vec<String>) -> Self {
        evidence.retain(|line| !line.is_empty());
        Self::Bad(Bad { says: says.into(), evidence, hopeless: false })
    }

    /// Whether it is good.
    #[must_use]
    pub fn is_good(&self) -> bool {
        matches!(self, Self::Good(_))
    }

    /// One line for a person.
    #[must_use]
    pub fn says(&self) -> &str {
        match self {
            Self::Good(good) => &good.says,
            Self::Bad(bad) => &bad.says,
            Self::Unseen(why) => why,
        }
    }

    /// What was seen besides.
    #[must_use]
    pub fn evidence(&self) -> &[String] {
        match self {
            Self::Bad(bad) => &bad.evidence,
            Self::Good(_) | Self::Unseen(_) => &[],
        }
    }
}
