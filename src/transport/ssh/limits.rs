//! How many handshakes go on at once, and how long to wait before one is tried again.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::transport::{Seat, Seats};

/// sshd begins to drop unauthenticated connections at 10 (MaxStartups 10:30:100).
const PER_ADDRESS: usize = 8;

/// Handshakes of this process that compute at the same time.
const OVERALL: usize = 64;

/// A handshake that takes longer waits for its host, and computes nothing.
pub(super) const COMPUTES: Duration = Duration::from_secs(1);

/// The seats of one run.
pub(super) struct Limits {
    overall: Seats,
    addresses: Mutex<HashMap<String, Arc<Semaphore>>>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { overall: Seats::new(OVERALL), addresses: Mutex::default() }
    }
}

impl Limits {
    /// A seat for a connection to `address` that is not authenticated yet.
    pub(super) async fn address(&self, address: &str) -> Option<OwnedSemaphorePermit> {
        let seats = {
            let mut addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
            let new = || Arc::new(Semaphore::new(PER_ADDRESS));
            addresses.entry(address.to_owned()).or_insert_with(new).clone()
        };
        seats.acquire_owned().await.ok()
    }

    /// A seat for a handshake.
    pub(super) async fn any(&self) -> Seat {
        self.overall.take().await
    }
}

/// How long to wait after the attempt of this number (from 0): doubling from 100 ms, half of it by chance, so that those
/// who were turned away together do not come back together. `None` when it was the last.
pub(super) fn pause(attempt: u32) -> Option<Duration> {
    const LAST: u32 = 6;
    if attempt >= LAST {
        return None;
    }
    let whole = 100_u64 << attempt;
    let chance = RandomState::new().hash_one(attempt) % (whole / 2 + 1);
    Some(Duration::from_millis(whole / 2 + chance))
}
