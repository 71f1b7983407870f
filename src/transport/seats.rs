//! Seats for what goes on at once. A seat is for work: whoever waits for a far end for too long hands it on, so that hosts which
//! say nothing hold nobody up.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// A number of seats.
#[derive(Clone, Debug)]
pub struct Seats {
    first: Arc<Semaphore>,
    /// For those who handed theirs on: they do not queue behind all who have not begun yet.
    late: Arc<Semaphore>,
    /// For those who wait without a seat. They have an end, too: where all are slow, it is not the hosts that are.
    outside: Arc<Semaphore>,
    /// For hosts to let us in.
    pub answers: Arc<Patience>,
    /// For what is done on a host that let us in.
    pub visits: Arc<Patience>,
}

/// So many wait without a seat at most.
const OUTSIDE: usize = 128;

/// To wait so long for an answer costs nobody much.
const ANSWERS: Duration = Duration::from_secs(2);

/// A visit is not far from usual sooner than this.
const VISIT: Duration = Duration::from_secs(10);

/// A seat, until it is dropped or handed on.
#[derive(Debug)]
pub struct Seat {
    permit: Option<OwnedSemaphorePermit>,
    outside: Arc<Semaphore>,
}

impl Seats {
    /// So many seats, and at least one.
    #[must_use]
    pub fn new(count: usize) -> Self {
        let seats = || Arc::new(Semaphore::new(count.clamp(1, Semaphore::MAX_PERMITS)));
        Self {
            first: seats(),
            late: seats(),
            outside: Arc::new(Semaphore::new(OUTSIDE)),
            answers: Arc::new(Patience::new(ANSWERS)),
            visits: Arc::new(Patience::new(VISIT)),
        }
    }

    /// A seat for one who begins.
    pub async fn take(&self) -> Seat {
        // They are never closed.
        self.seat(self.first.clone().acquire_owned().await.ok())
    }

    /// A seat for one who handed theirs on and can go on now.
    pub async fn again(&self) -> Seat {
        self.seat(self.late.clone().acquire_owned().await.ok())
    }

    fn seat(&self, permit: Option<OwnedSemaphorePermit>) -> Seat {
        Seat { permit, outside: self.outside.clone() }
    }
}

impl Seat {
    /// Does the work on this seat. What takes longer than `patience` waits for somebody else, and goes on without it, if not too
    /// many do so already.
    pub async fn hold<T>(&mut self, patience: Duration, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        if let Ok(done) = timeout(patience, &mut work).await {
            return done;
        }
        let place = tokio::select! {
            biased;
            done = &mut work => return done,
            place = self.outside.clone().acquire_owned() => place,
        };
        self.permit = None;
        let done = work.await;
        drop(place);
        done
    }

    /// Whether it was not handed on.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.permit.is_some()
    }
}

/// How long to wait with a seat: what is far from usual. Where all take long, the fault is not the far end's, and to begin with
/// others would make it worse.
#[derive(Debug)]
pub struct Patience {
    least: Duration,
    /// The smoothed time of those that came to an end, in milliseconds.
    usual: AtomicU64,
}

impl Patience {
    /// So many times the usual time is far from usual.
    const FAR: u32 = 4;
    /// The weight of a new time is one in so many; as TCP smooths its round trips (RFC 6298, section 2).
    const WEIGHT: u64 = 8;

    const fn new(least: Duration) -> Self {
        Self { least, usual: AtomicU64::new(0) }
    }

    /// How long to wait now.
    #[must_use]
    pub fn now(&self) -> Duration {
        let usual = Duration::from_millis(self.usual.load(Ordering::Relaxed));
        usual.saturating_mul(Self::FAR).max(self.least)
    }

    /// Takes in how long one took.
    pub fn learn(&self, took: Duration) {
        let took = u64::try_from(took.as_millis()).unwrap_or(u64::MAX / Self::WEIGHT);
        let smoothed = |usual: u64| Some(usual - usual / Self::WEIGHT + took / Self::WEIGHT);
        let _ = self.usual.fetch_update(Ordering::Relaxed, Ordering::Relaxed, smoothed);
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    const LONG: Duration = Duration::from_secs(3600);
    const SHORT: Duration = Duration::from_millis(1);

    #[tokio::test]
    async fn who_waits_for_ever_holds_nobody_up() {
        let seats = Seats::new(2);
        let mut waiting = tokio::task::JoinSet::new();
        for _ in 0..10 {
            let seats = seats.clone();
            waiting.spawn(async move { seats.take().await.hold(SHORT, pending::<()>()).await });
        }
        tokio::task::yield_now().await;
        assert!(timeout(LONG, seats.take()).await.is_ok_and(|seat| seat.is_held()));
    }

    #[tokio::test]
    async fn who_works_keeps_the_seat() {
        let seats = Seats::new(1);
        let mut seat = seats.take().await;
        seat.hold(LONG, tokio::task::yield_now()).await;
        assert!(seat.is_held());
        assert!(timeout(SHORT, seats.take()).await.is_err());
        assert!(seats.again().await.is_held(), "there are others for who comes back");
        drop(seat);
        assert!(seats.take().await.is_held());
    }

    #[test]
    fn patience_grows_where_all_take_long() {
        let patience = Patience::new(Duration::from_secs(2));
        assert_eq!(patience.now(), Duration::from_secs(2));
        (0..50).for_each(|_| patience.learn(Duration::from_secs(5)));
        assert!(patience.now() > Duration::from_secs(19) && patience.now() <= Duration::from_secs(20));
        (0..50).for_each(|_| patience.learn(Duration::from_millis(80)));
        assert_eq!(patience.now(), Duration::from_secs(2));
    }
}
