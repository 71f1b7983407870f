//! The asynchronous runtime, made only by the verbs that talk to hosts, and what Ctrl-C means.

use tokio_util::sync::CancellationToken;

use crate::cli::{Failure, prompt};
use crate::model::FailureKind;

/// What the user wished with Ctrl-C (or SIGTERM, or SIGHUP).
#[derive(Clone, Debug, Default)]
pub struct Stop {
    /// Once: finish or undo the step in hand on every host, then end.
    pub soon: CancellationToken,
    /// Twice: leave now; the hosts settle by themselves. (A third time does not ask any more.)
    pub now: CancellationToken,
    /// Whether it was Ctrl-C, and not whoever supervises this program.
    pub typed: CancellationToken,
}

/// Runs asynchronous work to its end on a runtime of its own.
///
/// # Errors
/// When this machine cannot make a runtime.
pub fn block_on<T>(work: impl AsyncFnOnce(Stop) -> T) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(FailureKind::Internal, &error).doing("starting the runtime"))?;
    let stop = Stop::default();
    let ended = runtime.block_on(async {
        // A signal that comes as soon as the work has begun must find that it is waited for.
        tokio::select! {
            biased;
            never = listen(&stop) => match never {},
            ended = work(stop.clone()) => ended,
        }
    });
    // A task that is stuck in a call of the system does not hold up the end.
    runtime.shutdown_background();
    Ok(ended)
}

/// Turns signals into wishes, as long as it is polled. A third one ends the program on the spot.
#[cfg(unix)]
async fn listen(stop: &Stop) -> std::convert::Infallible {
    use tokio::signal::unix::{SignalKind, signal};
    // Who starts us with nohup wants the run to outlive the terminal.
    let ignored = std::fs::read_to_string("/proc/self/status").is_ok_and(|status| ignores_hangup(&status));
    let kinds = [SignalKind::interrupt(), SignalKind::terminate()];
    let [Ok(mut interrupt), Ok(mut terminate)] = kinds.map(signal) else {
        return std::future::pending().await;
    };
    let mut hangup = if ignored { None } else { signal(SignalKind::hangup()).ok() };
    let hung_up = async |hangup: &mut Option<tokio::signal::unix::Signal>| match hangup {
        Some(hangup) => hangup.recv().await,
        None => std::future::pending().await,
    };
    for wish in [Some(&stop.soon), Some(&stop.now), None] {
        tokio::select! {
            _ = interrupt.recv() => stop.typed.cancel(),
            _ = terminate.recv() => {}
            _ = hung_up(&mut hangup) => {}
        }
        match wish {
            Some(wish) => prompt::give_up(wish),
            None => std::process::exit(FailureKind::Interrupted.code().into()),
        }
    }
    std::future::pending().await
}

/// Whether SIGHUP was ignored when the program began: bit 0 of `SigIgn` in proc_pid_status(5). On systems without that
/// file nothing is known, and a hangup counts as a wish to stop.
#[cfg(unix)]
fn ignores_hangup(status: &str) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 1)
}

/// Turns Ctrl-C into wishes, as long as it is polled.
#[cfg(not(unix))]
async fn listen(stop: &Stop) -> std::convert::Infallible {
    for wish in [&stop.soon, &stop.now] {
        if tokio::signal::ctrl_c().await.is_err() {
            break;
        }
        stop.typed.cancel();
        prompt::give_up(wish);
    }
    std::future::pending().await
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_run_under_nohup_outlives_its_terminal() {
        assert!(ignores_hangup("Name:\tx\nSigIgn:\t0000000000001001\nSigCgt:\t0\n"));
        assert!(!ignores_hangup("SigIgn:\t0000000000001000\n"));
        assert!(!ignores_hangup(""));
    }

    #[test]
    fn work_is_run_and_its_result_is_given() {
        assert!(matches!(block_on(async |stop| stop.soon.is_cancelled()), Ok(false)));
    }
}
