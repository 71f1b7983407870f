//! What is owed to each who is told: news that fell into a cool-down or could not be handed over are told by the first pass after,
//! if they are still true by then. So the last word that somebody hears is how it stands.

use std::time::Duration;

use jiff::Timestamp;

use crate::heal::news::{News, word};
use crate::journal::Trouble;
use crate::model::{hex, sha256};
use crate::registry::{NewsKind, Notify};

const KINDS: [NewsKind; 4] = [NewsKind::WentBad, NewsKind::GaveUp, NewsKind::Healed, NewsKind::Learned];

/// What one is told now: of each the number of its trouble.
pub(super) type Due = Vec<(usize, News)>;

/// What one who is told wants and is told now. It stays owed until it was `told`; `stands` says whether what was owed before was
/// seen to be so still.
pub(super) fn due(
    all: &[News],
    after: &mut [Trouble],
    stands: impl Fn(&Trouble) -> bool,
    to: &Notify,
    now: Timestamp,
) -> Due {
    let mut due = Vec::new();
    for (at, one) in after.iter_mut().enumerate() {
        let about =
            |news: &&News| (&news.host, &news.service, &news.problem) == (&one.host, &one.service, &one.problem);
        let fresh: Vec<&News> = all.iter().filter(about).collect();
        for news in &fresh {
            // What was owed before and is not so any more is nobody's news.
            KINDS
                .iter()
                .filter(|kind| against(**kind, news.kind))
                .for_each(|kind| drop(one.owed.remove(&key(*kind, to))));
            if to.news.contains(&news.kind) {
                one.owed.entry(key(news.kind, to)).or_default().clone_from(&news.says);
            }
        }
        for kind in KINDS.into_iter().filter(|kind| to.news.contains(kind)) {
            let key = key(kind, to);
            let Some(says) = one.owed.get(&key).cloned() else { continue };
            let waits = one.told.get(&key).is_some_and(|told| {
                Duration::try_from(now.duration_since(*told)).is_ok_and(|since| since < to.cooldown)
            });
            let is_fresh = fresh.iter().any(|news| news.kind == kind);
            if !is_fresh && (!holds(kind, one) || is_last_word(kind, one, to)) {
                one.owed.remove(&key);
            } else if !waits && (is_fresh || stands(one)) {
                let (host, service) = (one.host.clone(), one.service.clone());
                let (problem, because) = (one.problem.clone(), one.because.clone());
                due.push((at, News { kind, host, service, problem, because, says }));
            }
        }
    }
    due
}

/// Notes that these were told.
pub(super) fn told(due: &[(usize, News)], after: &mut [Trouble], to: &Notify, now: Timestamp) {
    for (at, news) in due {
        if let Some(one) = after.get_mut(*at) {
            let key = key(news.kind, to);
            one.owed.remove(&key);
            one.told.insert(key, now);
        }
    }
}

/// Whom it was told, or is to be, and what kind of news.
fn key(kind: NewsKind, to: &Notify) -> String {
    format!("{} {}", word(kind), &hex(&sha256(format!("{:?}", to.to).as_bytes()))[..8])
}

/// Whether one kind of news takes the other one back.
fn against(one: NewsKind, other: NewsKind) -> bool {
    let bad = |kind| matches!(kind, NewsKind::WentBad | NewsKind::GaveUp);
    bad(one) && other == NewsKind::Healed || one == NewsKind::Healed && bad(other)
}

/// Whether it is so now.
fn holds(kind: NewsKind, one: &Trouble) -> bool {
    match kind {
        NewsKind::WentBad => one.healed.is_none(),
        NewsKind::GaveUp => one.healed.is_none() && one.gave_up,
        NewsKind::Healed => one.healed.is_some(),
        NewsKind::Learned => true,
    }
}

/// Whether one was told the very thing, and nothing against it since.
fn is_last_word(kind: NewsKind, one: &Trouble, to: &Notify) -> bool {
    let others: Vec<NewsKind> =
        KINDS.into_iter().filter(|other| against(*other, kind) && to.news.contains(other)).collect();
    let last = others.iter().filter_map(|other| one.told.get(&key(*other, to))).max();
    !others.is_empty() && one.told.get(&key(kind, to)) > last
}
