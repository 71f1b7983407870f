//! Drives a gate: sleeps until a round is due, asks its checks side by side, and tells what changed.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::{Gate, Red, State};
use crate::check::Verdict;
use crate::model::Check;

/// What a gate tells on its way.
#[derive(Clone, Copy, Debug)]
pub enum Told<'a> {
    /// A check gave its first verdict, or another one than before.
    Checked { check: &'a Check, verdict: &'a Verdict },
    /// All are good; they must stay so for this long.
    Soaking { soak: Duration },
}

/// Asks the checks until the service is proven, or is not, within `budget(checks, soak)`. `ask` answers one check once
/// and bounds its own time, as `check::ask` does. Dropping the future stops it; nothing is left running.
pub async fn watch<'a, Ask, Asked>(
    checks: &'a [Check],
    soak: Duration,
    ask: Ask,
    mut tell: impl FnMut(Told<'_>),
) -> Result<(), Red>
where
    Ask: Fn(&'a Check) -> Asked,
    Asked: Future<Output = Verdict> + Send,
{
    let begun = Instant::now();
    let mut gate = Gate::new(checks, soak);
    let mut told: Vec<Option<Verdict>> = vec![None; checks.len()];
    loop {
        sleep_until(begun + gate.next()).await;
        let due = gate.due(begun.elapsed());
        let verdicts = side_by_side(due.iter().map(|&one| ask(&checks[one])).collect()).await;
        let round: Vec<_> = due.into_iter().zip(verdicts).collect();
        for (one, verdict) in &round {
            if told[*one].as_ref().is_none_or(|before| before.says() != verdict.says()) {
                tell(Told::Checked { check: &checks[*one], verdict });
                told[*one] = Some(verdict.clone());
            }
        }
        let waited = matches!(gate.state(), State::Waiting);
        match gate.hear(begun.elapsed(), round) {
            State::Green => return Ok(()),
            State::Red(red) => return Err(red.clone()),
            State::Soaking { .. } if waited => tell(Told::Soaking { soak }),
            State::Waiting | State::Soaking { .. } => {}
        }
    }
}

/// Waits for all of them; the answers are in the order of the questions.
async fn side_by_side<F: Future>(asked: Vec<F>) -> Vec<F::Output> {
    let mut asked: Vec<Pin<Box<F>>> = asked.into_iter().map(Box::pin).collect();
    let mut answers: Vec<Option<F::Output>> = asked.iter().map(|_| None).collect();
    poll_fn(|context| {
        for (future, answer) in asked.iter_mut().zip(&mut answers) {
            if answer.is_none()
                && let Poll::Ready(ready) = future.as_mut().poll(context)
            {
                *answer = Some(ready);
            }
        }
        if answers.iter().all(Option::is_some) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    answers.into_iter().flatten().collect()
}
