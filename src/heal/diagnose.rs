//! Diagnose: what is observed of services, of what they need, and of their hosts, judged as a whole. Changes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use crate::deploy::{Far, Fault, Ground, Selection, select};
use crate::heal::analyze::patient;
use crate::heal::observe::join_needs;
use crate::heal::playbook::Library;
use crate::heal::{Observation, Observed, Patience, Problem, Sight, World, look_names, observe};
use crate::model::{HostName, ServiceName};
use crate::plan::Graph;
use crate::registry::Registry;

/// What is the matter, as far as it was seen.
#[derive(Clone, Debug)]
pub struct Diagnosis {
    /// When the look began from which the problems are.
    pub at: Instant,
    /// What was observed, host by host.
    pub observations: Vec<Observation>,
    /// What is wrong, roots first.
    pub problems: Vec<Problem>,
}

/// Looks at these services on these hosts, as long as there is patience, and judges. The connections stay open.
pub(super) async fn look(
    ground: &Arc<Ground>,
    (services, hosts): (&BTreeSet<ServiceName>, &BTreeSet<HostName>),
    library: &Library,
    patience: Patience,
) -> (Diagnosis, BTreeMap<HostName, Far>) {
    let at = Instant::now();
    let Observed { found, far } = observe(ground, services, hosts, patience).await;
    let missed = |one: &Observation| one.sight != Sight::Unseen || !is_accepted(&ground.registry, one);
    let observations: Vec<_> = found.into_values().flatten().filter(missed).collect();
    (judge(ground, at, observations, library), far)
}

/// Judges what was observed by a look that began then.
pub(super) fn judge(ground: &Ground, at: Instant, mut observations: Vec<Observation>, library: &Library) -> Diagnosis {
    join_needs(&mut observations);
    let problems = patient(&world(ground), &mut observations, library);
    Diagnosis { at, observations, problems }
}

/// Whether the registry says that a look need not be taken where it cannot be.
fn is_accepted(registry: &Registry, one: &Observation) -> bool {
    let host = registry.hosts.get(&one.host).map(|host| &host.heal);
    let service = one.service.as_ref().and_then(|name| registry.services.get(name)).map(|service| &service.heal);
    host.into_iter().chain(service).any(|heal| heal.unseen.contains(&one.look))
}

/// The looks that the registry names and that there are not.
#[must_use]
pub fn unknown_looks(registry: &Registry) -> BTreeSet<String> {
    let known = look_names();
    let heals = registry.hosts.values().map(|host| &host.heal);
    let all = heals.chain(registry.services.values().map(|service| &service.heal)).flat_map(|heal| &heal.unseen);
    all.filter(|look| !known.contains(&look.as_str())).cloned().collect()
}

/// What the registry knows of services.
pub(super) fn world(ground: &Ground) -> World {
    let addresses = ground.registry.hosts.values().map(|host| host.address.clone()).collect();
    let jumps = ground.registry.hosts.iter().map(|(name, host)| (name.clone(), host.jump.clone())).collect();
    let mut world = World { addresses, jumps, ..World::default() };
    for (name, service) in &ground.registry.services {
        world.needs.insert(name.clone(), service.needs.clone());
        world.hosts.insert(name.clone(), service.hosts.clone());
        let engine = ground.engines.iter().find(|engine| engine.serves(&service.kind));
        world.engines.extend(engine.map(|engine| (name.clone(), engine.name().to_owned())));
    }
    world
}

/// The services meant with all that they need, and every host that has a part in it.
pub(super) fn reach(
    registry: &Registry,
    selection: &Selection,
) -> Result<(BTreeSet<ServiceName>, BTreeSet<HostName>), Fault> {
    let alone = selection.services.is_empty() && selection.labels.is_empty() && !selection.all;
    let known = selection.hosts.iter().all(|host| registry.hosts.contains_key(host));
    let (chosen, mut hosts) = match select(registry, selection) {
        Ok(found) => found,
        // A host without services is looked at all the same.
        Err(_) if alone && known && !selection.hosts.is_empty() => Default::default(),
        Err(_) if selection.all && !registry.hosts.is_empty() => Default::default(),
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
    /// What a look saw of a service on a host, or of the host itself.
    pub(super) fn seen_by<'a>(
        &'a self,
        look: &'a str,
        host: &'a HostName,
        service: Option<&'a ServiceName>,
    ) -> impl Iterator<Item = &'a Observation> {
        let of = move |one: &&Observation| one.look == look && one.host == *host && one.service.as_ref() == service;
        self.observations.iter().filter(of)
    }

    /// Whether the host did not answer, so that nothing else was seen of it.
    #[must_use]
    pub fn is_lost(&self, host: &HostName) -> bool {
        self.seen_by("reach", host, None).any(|one| one.sight != Sight::Good)
    }

    /// The problems that follow from no other.
    pub fn roots(&self) -> impl Iterator<Item = &Problem> {
        self.problems.iter().filter(|problem| problem.is_root())
    }

    /// What follows from a problem, directly or not, as numbers.
    #[must_use]
    pub fn brings_about(&self, root: usize) -> Vec<usize> {
        let mut found = BTreeSet::from([root]);
        loop {
            let more = |number: &usize| self.problems[*number].follows.iter().any(|from| found.contains(from));
            let more: Vec<usize> =
                (0..self.problems.len()).filter(|number| !found.contains(number)).filter(more).collect();
            if more.is_empty() {
                break;
            }
            found.extend(more);
        }
        found.remove(&root);
        found.into_iter().collect()
    }

    /// How much of what was looked at is good, in percent, rounded down. It is 100 only when all was seen and all is good.
    #[must_use]
    pub fn score(&self) -> u8 {
        let (good, all) = (self.count(Sight::Good), self.observations.len());
        let share = good.saturating_mul(100).checked_div(all).unwrap_or_default();
        u8::try_from(if good < all { share.min(99) } else { share }).unwrap_or_default()
    }

    /// How many observations are so.
    #[must_use]
    pub fn count(&self, sight: Sight) -> usize {
        self.observations.iter().filter(|one| one.sight == sight).count()
    }
}
