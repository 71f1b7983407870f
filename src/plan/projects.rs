//! Whose a compose project is. Two services that are one project on a host would each take the other's containers for what an
//! earlier release left, and remove them.

use std::collections::BTreeMap;

use crate::host::{Record, Seen};
use crate::model::{HostName, ServiceName};
use crate::plan::change::{Action, Change};
use crate::plan::engine::Refused;
use crate::plan::make::RefusedAt;

/// Refuses each service whose project is on its host by another one, as it lies there or is planned before it.
pub(super) fn shared(seen: &BTreeMap<HostName, Seen>, changes: &[Change]) -> Vec<RefusedAt> {
    let mut owners: BTreeMap<(&HostName, &str), &ServiceName> = BTreeMap::new();
    for (host, seen) in seen {
        for (service, found) in &seen.services {
            let project = found.readable().and_then(Record::project);
            owners.extend(project.map(|project| ((host, project), service)));
        }
    }
    let mut refused = Vec::new();
    for change in changes.iter().filter(|change| change.action != Action::Nothing) {
        let Some(project) = change.record.project() else { continue };
        let owner = *owners.entry((&change.host, project)).or_insert(&change.service);
        if *owner != change.service {
            let why = Refused::new(
                format!("its compose project `{project}` is that of `{owner}` on this host"),
                format!(
                    "give one of the two compose files another `name:`, or make one service of both; what is not wanted any more is \
                     taken away by `portoser remove {owner}`, but for its data"
                ),
            );
            refused.push((change.service.clone(), change.host.clone(), why));
        }
    }
    refused
}
