//! Which host runs what a service runs once for all of its hosts: the first of those that take part and get a release for which
//! it was not run yet.

use std::collections::BTreeMap;

use crate::host::{Record, Seen, SeenService};
use crate::model::HostName;
use crate::plan::change::{Action, Change};

/// The number of the change that runs it, among the changes of one service.
pub(super) fn first(seen: &BTreeMap<HostName, Seen>, changes: &[Change]) -> Option<usize> {
    if changes.iter().any(|change| seen.get(&change.host).is_some_and(|seen| had(change, seen))) {
        // No host gets a release for the first time before it has run somewhere.
        return None;
    }
    changes.iter().position(|change| change.record.once.is_some() && activates(change.action))
}

/// Whether the release that is wanted there had it already.
fn had(change: &Change, seen: &Seen) -> bool {
    let (release, Some(found)) = (&change.record.release, seen.services.get(&change.service)) else { return false };
    let in_force = found.current.as_ref() == Some(release);
    // A release that is there may have come before the registry told what runs once.
    let told = !in_force || found.readable().is_some_and(|record| record.once.is_some());
    change.record.once.is_some() && found.proven.contains(release) && told
}

fn activates(action: Action) -> bool {
    matches!(action, Action::Deploy | Action::Repair | Action::Restart)
}

/// Whether it runs when this record comes into force.
pub(super) fn runs(record: &Record, found: &SeenService, action: Action) -> bool {
    let here = record.once.as_ref().is_some_and(|once| once.here);
    here && activates(action) && !found.proven.contains(&record.release)
}

/// Of a release that was proven, where it ran is not asked anew: its record stays as it is.
pub(super) fn keep(record: &mut Record, found: &SeenService) {
    let before = found.readable().filter(|before| before.release == record.release);
    let before = before.filter(|before| found.proven.contains(&before.release));
    if let (Some(once), Some(before)) = (&mut record.once, before.and_then(|before| before.once.as_ref())) {
        once.here = before.here;
    }
}
