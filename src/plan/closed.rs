//! What every change on a host needs: a base folder that can be written, as each run lies there.

use std::collections::BTreeMap;

use crate::host::Seen;
use crate::model::HostName;
use crate::plan::change::{Action, Plan, Turn};
use crate::plan::engine::Refused;

/// The hosts on which something is to be done, and nothing can be begun. What a remedy needs is for healing to say: it may be what mends
/// the host.
#[must_use]
pub fn closed(plan: &Plan, seen: &BTreeMap<HostName, Seen>) -> Vec<(HostName, Refused)> {
    let idle = [Action::Nothing, Action::Turn(Turn::Mend)];
    shut(seen, |host| plan.changes.iter().any(|one| one.host == *host && !idle.contains(&one.action)))
}

/// Those of these hosts on which nothing can be begun.
#[must_use]
pub fn shut(seen: &BTreeMap<HostName, Seen>, meant: impl Fn(&HostName) -> bool) -> Vec<(HostName, Refused)> {
    let all = seen.iter().filter(|(host, _)| meant(host));
    let all = all.filter_map(|(host, seen)| Some((host, seen.facts.closed()?)));
    all.map(|(host, (what, hint))| (host.clone(), Refused::new(what, hint))).collect()
}
