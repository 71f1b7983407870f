//! A long list in shares that are worked on side by side. Reading a thousand services is what registry verbs spend their
//! time on.

use std::num::NonZero;
use std::sync::OnceLock;

/// So many entries are read or checked by one thread before a second one is worth its start.
const LEAST: usize = 100;

/// How many threads can run at once. Asked once, as the answer stands in several files of the kernel's.
pub(super) fn processors() -> usize {
    static COUNT: OnceLock<usize> = OnceLock::new();
    *COUNT.get_or_init(|| std::thread::available_parallelism().map_or(1, NonZero::get))
}

/// Does the work for all shares of a list, on all processors. The answers are in the order of the list.
pub(super) fn in_shares<T: Sync, R: Send>(all: &[T], work: impl Fn(&[T]) -> R + Sync) -> Vec<R> {
    let share = all.len().div_ceil(processors()).max(LEAST);
    let (first, rest) = all.split_at(share.min(all.len()));
    std::thread::scope(|scope| {
        let rest: Vec<_> = rest.chunks(share).map(|share| scope.spawn(|| work(share))).collect();
        let mut answers = vec![work(first)];
        answers.extend(rest.into_iter().map(|share| match share.join() {
            Ok(answer) => answer,
            Err(panicked) => std::panic::resume_unwind(panicked),
        }));
        answers
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answers_are_in_order_and_none_is_lost() {
        for count in [0, 1, LEAST, LEAST + 1, 10 * LEAST + 7] {
            let all: Vec<usize> = (0..count).collect();
            assert_eq!(in_shares(&all, <[usize]>::to_vec).concat(), all);
        }
    }
}
