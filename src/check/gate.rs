//! The gate: a service's checks asked again and again, until it is proven or is not. `Gate` is the state machine, which
//! knows no clock but the one it is told; `watch` drives it. Every wait in here ends within `budget`.

mod drive;
mod member;

use std::time::Duration;

use super::{GRACE, Verdict, title};
use crate::model::Check;

pub use drive::{Told, watch};
use member::Member;

/// Where a gate stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Not all checks have been good in one round yet.
    Waiting,
    /// They have; they must still be so at this time, counted from the beginning.
    Soaking { until: Duration },
    /// They were, to the end of the soak: the service is proven.
    Green,
    /// It is not proven.
    Red(Red),
}

/// Why a service is not proven.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{check}: {says}")]
pub struct Red {
    /// The check's title.
    pub check: String,
    /// What it said last, in one line.
    pub says: String,
    /// What was seen besides.
    pub evidence: Vec<String>,
    /// Whether the service could not be seen, rather than was seen bad.
    pub unseen: bool,
}

/// The state machine. All times are counted from the gate's beginning.
#[derive(Clone, Debug)]
pub struct Gate {
    members: Vec<Member>,
    soak: Duration,
    limit: Duration,
    state: State,
}

/// The longest that asking goes on: start period, the failures that make a check bad, the soak, and the failures at its end.
fn limit(checks: &[Check], soak: Duration) -> Duration {
    let most = |of: fn(&Check) -> Duration| checks.iter().map(of).max().unwrap_or_default();
    let rounds = checks.iter().map(|check| check.retries.max(1)).max().unwrap_or_default().saturating_add(1);
    let round = most(|check| check.interval) + most(|check| check.timeout) + GRACE;
    let counting = round.saturating_mul(rounds);
    let first = most(|check| check.start_period.max(check.interval));
    let proving = first.saturating_add(counting);
    if soak.is_zero() { proving } else { proving.saturating_add(soak).saturating_add(counting) }
}

/// The longest that `watch` takes, with its last question. The dead man's switch is set to more than this.
#[must_use]
pub fn budget(checks: &[Check], soak: Duration) -> Duration {
    let last = checks.iter().map(|check| check.timeout).max().unwrap_or_default() + GRACE;
    limit(checks, soak).saturating_add(last)
}

impl Gate {
    /// A gate of these checks. Without any check it is green when the soak is over.
    #[must_use]
    pub fn new(checks: &[Check], soak: Duration) -> Self {
        let members = checks.iter().map(Member::new).collect();
        let state = if checks.is_empty() { State::Soaking { until: soak } } else { State::Waiting };
        Self { members, soak, limit: limit(checks, soak), state }
    }

    /// Where it stands.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    /// When the next round is to be asked.
    #[must_use]
    pub fn next(&self) -> Duration {
        let soaked = match self.state {
            State::Soaking { until } if self.members.is_empty() => Some(until),
            _ => None,
        };
        self.members.iter().map(|member| member.next).chain(soaked).min().unwrap_or_default().min(self.limit)
    }

    /// The checks of the round at `now`, by their place in the list.
    #[must_use]
    pub fn due(&self, now: Duration) -> Vec<usize> {
        (0..self.members.len()).filter(|&one| self.members[one].next <= now).collect()
    }

    /// Takes the verdicts of a round that was over at `now`.
    pub fn hear(&mut self, now: Duration, round: Vec<(usize, Verdict)>) -> &State {
        let soaking = matches!(self.state, State::Soaking { .. });
        let whole = round.len() == self.members.len();
        for (one, verdict) in round {
            let member = &mut self.members[one];
            if member.hear(now, verdict, soaking) {
                let red = member.red();
                self.state = State::Red(red);
                return &self.state;
            }
        }
        let all_good = self.members.iter().all(Member::is_good);
        match self.state {
            State::Waiting if all_good && whole => self.soak_from(now),
            State::Soaking { until } if all_good && whole && now >= until => self.state = State::Green,
            // They were all good, but not all in this round: one more round, of all, tells.
            State::Waiting if all_good => self.ask_all(now),
            State::Soaking { until } if all_good && now >= until => self.ask_all(now),
            _ => {}
        }
        if let State::Soaking { until } = self.state {
            self.members.iter_mut().for_each(|member| member.not_beyond(now, until));
        }
        if now >= self.limit && matches!(self.state, State::Waiting | State::Soaking { .. }) {
            self.state = State::Red(self.late());
        }
        &self.state
    }

    fn soak_from(&mut self, now: Duration) {
        self.state =
            if self.soak.is_zero() { State::Green } else { State::Soaking { until: now.saturating_add(self.soak) } };
    }

    fn ask_all(&mut self, now: Duration) {
        self.members.iter_mut().for_each(|member| member.next = now);
    }

    /// The time is over: the first check that is not good tells why.
    fn late(&self) -> Red {
        let worst = self.members.iter().find(|member| !member.is_good()).or(self.members.first());
        worst.map_or_else(
            || Red { check: "gate".into(), says: "its time is over".into(), evidence: Vec::new(), unseen: true },
            Member::red,
        )
    }
}

fn red(check: &Check, verdict: Option<&Verdict>) -> Red {
    let (says, evidence) = match verdict {
        Some(Verdict::Good(_)) => ("good now, but not for long enough".to_owned(), Vec::new()),
        Some(verdict) => (verdict.says().to_owned(), verdict.evidence().to_vec()),
        None => ("it was never answered".to_owned(), Vec::new()),
    };
    Red { check: title(check), says, evidence, unseen: matches!(verdict, None | Some(Verdict::Unseen(_))) }
}

#[cfg(test)]
mod tests;
