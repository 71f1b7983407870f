//! What is written down after a remedy: a general one that helped against what nobody knew becomes a draft, and what was learned
//! before is counted. What cannot be written is said, and stops nothing.

use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;

use crate::heal::diagnose::world;
use crate::heal::learn::{Finding, Noted, found, note};
use crate::heal::playbook::{Deed, Source};
use crate::heal::solve::choose::Candidate;
use crate::heal::solve::cycle::Healer;
use crate::heal::solve::ladder::{LADDER, RUNGS};
use crate::heal::{Diagnosis, Pattern, Problem};
use crate::journal::{JournalError, Verdict};
use crate::model::Event;
use crate::registry::EditError;

/// What was tried in vain longer ago belongs to another story.
const STORY: jiff::SignedDuration = jiff::SignedDuration::from_hours(1);

impl Healer {
    /// When the first remedy began that was tried for the problem and did not help, since one did; now, when there is none.
    pub(super) fn tried_since(&self, problem: &Problem) -> Result<Timestamp, JournalError> {
        let now = self.ground.clock.now();
        let known = problem.known();
        let mut since = now;
        let past = self.journal.remedies(now.checked_sub(STORY).unwrap_or(Timestamp::UNIX_EPOCH))?;
        let same = past.iter().rev().filter(|one| {
            one.host == problem.host && one.service == problem.service && one.problem == known && one.began <= now
        });
        for one in same.take_while(|one| one.verdict != Some(Verdict::Helped)) {
            since = since.min(one.began);
        }
        Ok(since)
    }

    /// The middle of the times that a remedy took where it helped, as this machine remembers, and of how many.
    fn middle(&self, remedy: &str) -> Option<(Duration, usize)> {
        let past = self.journal.remedies(Timestamp::UNIX_EPOCH).ok()?;
        let helped = past.iter().filter(|one| one.remedy == remedy && one.verdict == Some(Verdict::Helped));
        let mut took: Vec<Duration> =
            helped.filter_map(|one| Duration::try_from(one.ended?.duration_since(one.began)).ok()).collect();
        took.sort();
        Some((*took.get(took.len() / 2)?, took.len()))
    }

    /// Writes down what came of a remedy.
    pub(super) fn learn(
        &self,
        (problem, seen): (&Problem, &Diagnosis),
        candidate: &Candidate,
        verdict: Verdict,
        time: (Duration, Timestamp),
    ) -> Option<Noted> {
        let now = self.ground.clock.now();
        let written = match (&candidate.learned, verdict) {
            // What could not be done says nothing about what was learned.
            (_, Verdict::Failed) | (None, Verdict::NoHelp) => return None,
            (Some(file), verdict) => note(file, verdict == Verdict::Helped, now, self.middle(&candidate.name)),
            (None, Verdict::Helped) => {
                let rung = candidate.name.strip_prefix(LADDER)?;
                let (verb, object) = RUNGS.iter().find(|one| one.name == rung)?.deed;
                problem.fingerprint.as_ref()?;
                let deeds = vec![Deed::of(verb, object)?];
                self.write(&self.finding((problem, seen), deeds, (candidate.risk, Source::Ladder), time))
            }
        };
        self.told(problem, written)
    }

    /// What helped, ready to be written down.
    pub(super) fn finding<'p>(
        &self,
        (problem, seen): (&'p Problem, &Diagnosis),
        deeds: Vec<Deed>,
        (risk, source): (crate::heal::playbook::Risk, Source),
        (own, since): (Duration, Timestamp),
    ) -> Finding<'p> {
        let now = self.ground.clock.now();
        let solves = problem.known();
        let pattern = Pattern::of(&world(&self.ground), &seen.observations, problem);
        let took = Duration::try_from(now.duration_since(since)).unwrap_or_default().max(own);
        let by = self.ground.who.clone();
        Finding { problem, solves, pattern, deeds, risk, source, by, at: now, took, own }
    }

    pub(super) fn write(&self, finding: &Finding<'_>) -> Result<Noted, EditError> {
        let file = &self.ground.registry.file;
        found(file.parent().unwrap_or(Path::new(".")), finding)
    }

    /// Tells what was written down, or why it was not.
    pub(super) fn told(&self, problem: &Problem, written: Result<Noted, EditError>) -> Option<Noted> {
        let says = match &written {
            Ok(noted) if noted.new => Some(format!("learned: {} is a draft now", noted.name)),
            Ok(_) => None,
            Err(error) => Some(format!("what helped could not be written down: {error}")),
        };
        if let Some(text) = says {
            self.told.tell(Event::Note { host: Some(problem.host.clone()), text });
        }
        written.ok()
    }
}
