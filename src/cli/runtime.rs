//! The asynchronous runtime, made only by the verbs that talk to hosts, and what Ctrl-C means.

use tokio_util::sync::CancellationToken;

use crate::cli::Failure;
use crate::model::FailureKind;

/// What the user wished with Ctrl-C (or SIGTERM, or SIGHUP).
#[derive(Clone, Debug, Default)]
pub struct Stop {
    /// Once: finish or undo the step in hand on every host, then end.
    pub soon: CancellationToken,
    /// Twice: leave now; the hosts settle by themselves.
    pub now: CancellationToken,
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
        tokio::select! {
            ended = work(stop.clone()) => ended,
            never = listen(&stop) => match never {},
        }
    });
    // A task that is stuck in a call of the system does not hold up the end.
    runtime.shutdown_background();
    Ok(ended)
}

/// Turns signals into wishes, as long as it is polled.
#[cfg(unix)]
async fn listen(stop: &Stop) -> std::convert::Infallible {
    use tokio::signal::unix::{SignalKind, signal};
    let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
    if let [Ok(mut interrupt), Ok(mut terminate), Ok(mut hangup)] = kinds.map(signal) {
        for wish in [&stop.soon, &stop.now] {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                _ = hangup.recv() => {}
            }
            wish.cancel();
        }
    }
    std::future::pending().await
}

/// Turns Ctrl-C into wishes, as long as it is polled.
#[cfg(not(unix))]
async fn listen(stop: &Stop) -> std::convert::Infallible {
    for wish in [&stop.soon, &stop.now] {
        if tokio::signal::ctrl_c().await.is_err() {
            break;
        }
        wish.cancel();
    }
    std::future::pending().await
}
