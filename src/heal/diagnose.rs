//! Diagnose: what is observed of services, of what they need, and of their hosts, judged as a whole. Changes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::deploy::{Fault, Ground, Selection, select};
use crate::heal::{Observation, Sight, observe};
use crate::model::{HostName, ServiceName};
use crate::plan::Graph;
use crate::registry::Registry;

/// What is the matter, as far as it was seen.
#[derive(Clone, Debug)]
pub struct Diagnosis {
    /// What was observed, by host.
    pub observations: BTreeMap<HostName, Vec<Observation>>,
}

/// Looks at the selection with all that it needs, and judges.
pub async fn diagnose(ground: &Arc<Ground>, selection: &Selection) -> Result<Diagnosis, Fault> {
    let (services, hosts) = reach(&ground.registry, selection)?;
    Ok(Diagnosis { observations: observe(ground, &services, &hosts).await })
}

/// The services meant with all that they need, and every host that has a part in it.
fn reach(registry: &Registry, selection: &Selection) -> Result<(BTreeSet<ServiceName>, BTreeSet<HostName>), Fault> {
    let alone = selection.services.is_empty() && selection.labels.is_empty() && !selection.all;
    let known = selection.hosts.iter().all(|host| registry.hosts.contains_key(host));
    let (chosen, mut hosts) = match select(registry, selection) {
        Ok(found) => found,
        // A host without services is looked at all the same.
        Err(_) if alone && known && !selection.hosts.is_empty() => Default::default(),
        Err(fault) => return Err(Fault::Select(fault)),
    };
    hosts.extend(selection.hosts.iter().cloned());
    if selection.all {
        hosts.extend(registry.hosts.keys().cloned());
    }
    let services = Graph::of(registry).with_needs(chosen.iter().cloned());
    let needs = services.iter().filter(|name| !chosen.contains(*name)).filter_map(|name| registry.services.get(name));
    hosts.extend(needs.flat_map(|service| service.hosts.clone()));
    Ok((services, hosts))
}

impl Diagnosis {
    /// All observations, host by host.
    pub fn all(&self) -> impl Iterator<Item = &Observation> {
        self.observations.values().flatten()
    }

    /// How much of what was looked at is good, in percent, rounded down. It is 100 only when all was seen and all is good.
    #[must_use]
    pub fn score(&self) -> u8 {
        let (good, all) = (self.count(Sight::Good), self.all().count());
        let share = good.saturating_mul(100).checked_div(all).unwrap_or_default();
        u8::try_from(if good < all { share.min(99) } else { share }).unwrap_or_default()
    }

    /// How many observations are so.
    #[must_use]
    pub fn count(&self, sight: Sight) -> usize {
        self.all().filter(|one| one.sight == sight).count()
    }
}
