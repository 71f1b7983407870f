//! One check in a gate: when it is asked next, and which of its failures count.

use std::time::Duration;

use super::{Red, red};
use crate::check::{Bad, Verdict};
use crate::model::Check;

/// The first wait between two questions; it doubles up to the interval, so that a quick service is proven quickly.
const FIRST: Duration = Duration::from_millis(50);

#[derive(Clone, Debug)]
pub(super) struct Member {
    check: Check,
    /// When it is asked next.
    pub(super) next: Duration,
    /// The wait after that, before the first good verdict.
    step: Duration,
    /// From when on a failure counts. Between two that count there is an interval, however often it is asked.
    counts_from: Duration,
    /// The failures in a row that counted.
    failures: u32,
    /// Whether it was ever good, which ends the start period.
    started: bool,
    last: Option<Verdict>,
    life: Option<String>,
}

impl Member {
    pub(super) fn new(check: &Check) -> Self {
        Self {
            check: check.clone(),
            next: Duration::ZERO,
            step: FIRST,
            counts_from: check.start_period.max(check.interval),
            failures: 0,
            started: false,
            last: None,
            life: None,
        }
    }

    pub(super) fn is_good(&self) -> bool {
        self.last.as_ref().is_some_and(Verdict::is_good)
    }

    pub(super) fn red(&self) -> Red {
        red(&self.check, self.last.as_ref())
    }

    /// Takes a verdict; true when it makes the gate red.
    pub(super) fn hear(&mut self, now: Duration, verdict: Verdict, soaking: bool) -> bool {
        let verdict = self.same_life(verdict, soaking);
        let red = match &verdict {
            Verdict::Good(_) => {
                self.failures = 0;
                self.counts_from = now;
                self.started = true;
                false
            }
            // What waiting cannot mend is the end of a soak at once.
            Verdict::Bad(bad) if bad.hopeless && soaking => true,
            Verdict::Bad(bad) => self.count(now, bad),
            // It is neither a failure nor the end of a row of failures.
            Verdict::Unseen(_) => false,
        };
        self.last = Some(verdict);
        self.schedule(now);
        red
    }

    /// A good verdict about other processes than before is a bad one: they were started again in between. In a soak
    /// that is what the soak was to find out.
    fn same_life(&mut self, verdict: Verdict, soaking: bool) -> Verdict {
        let Verdict::Good(good) = &verdict else { return verdict };
        let before = self.life.take();
        self.life.clone_from(&good.life);
        match (before, &good.life) {
            (Some(before), Some(after)) if before != *after => Verdict::Bad(Bad {
                says: "it was started again between two questions".into(),
                evidence: vec![format!("process before: {before}"), format!("process now: {after}")],
                hopeless: soaking,
            }),
            _ => verdict,
        }
    }

    fn count(&mut self, now: Duration, bad: &Bad) -> bool {
        if bad.hopeless || now >= self.counts_from {
            self.failures = self.failures.saturating_add(1);
            self.counts_from = now.saturating_add(self.check.interval);
        }
        self.failures >= self.check.retries.max(1)
    }

    fn schedule(&mut self, now: Duration) {
        let interval = self.check.interval.max(FIRST);
        let wait = if self.started { interval } else { self.step.min(interval) };
        self.step = self.step.saturating_mul(2);
        self.next = now.saturating_add(wait);
        // The moment from which failures count is not slept through.
        if self.counts_from > now {
            self.next = self.next.min(self.counts_from);
        }
    }

    /// Sees to it that the question at the end of the soak is asked at its end.
    pub(super) fn not_beyond(&mut self, now: Duration, until: Duration) {
        if until > now {
            self.next = self.next.min(until);
        }
    }
}
