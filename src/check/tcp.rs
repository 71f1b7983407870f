//! tcp: a connection to the port succeeds. Nothing is sent, and nothing is waited for.

use super::Verdict;

pub(super) fn connected() -> Verdict {
    Verdict::good("accepts connections")
}
