//! In which groups the hosts of a service go: what runs once first and alone, then the canaries, then the batches.

use crate::plan::Change;
use crate::registry::{Batch, Policy};

/// The hosts that change, in the groups that go together.
pub(super) fn groups(changes: Vec<Change>, policy: &Policy, batch: Option<Batch>) -> Vec<Vec<Change>> {
    let all = changes.len();
    // A share is of all the service's hosts.
    let size = batch.unwrap_or(policy.batch).size(all);
    let canaries = if all > 1 { policy.canary.min(all) } else { 0 };
    let (alone, mut first): (Vec<_>, Vec<_>) = changes.into_iter().partition(|change| change.once);
    let mut groups: Vec<_> = alone.into_iter().map(|change| vec![change]).collect();
    let canaries = canaries.saturating_sub(groups.len());
    let mut rest = first.split_off(canaries);
    if !first.is_empty() {
        groups.push(first);
    }
    while !rest.is_empty() {
        let next = rest.split_off(size.min(rest.len()));
        groups.push(std::mem::replace(&mut rest, next));
    }
    groups
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::deploy::source;
    use crate::host::{Facts, Init, Seen, SeenService};
    use crate::model::HostName;
    use crate::plan::{Action, Graph, Inputs, Manner, Plan, plan, show};
    use crate::registry::{Format, Mask, Registry, load_text};

    const REGISTRY: &str = "version: 1\nhosts: { a: { address: a }, b: { address: b }, c: { address: c }, d: { address: d } }\n\
                            services: { app: { type: python, hosts: [a, b, c, d], source: app, run: [python, app.py], \
                            once: { run: [python, migrate.py] }, deploy: { canary: 2, batch: 1 } } }\n";

    type World = BTreeMap<HostName, Seen>;

    fn world(registry: &Registry) -> World {
        let pythons = BTreeMap::from([(String::new(), "3.12.1".to_owned())]);
        let facts = Facts { init: Init::Systemd, base: "/opt/portoser".into(), pythons, ..Facts::default() };
        let seen = Seen { facts, ..Seen::default() };
        registry.hosts.keys().map(|name| (name.clone(), seen.clone())).collect()
    }

    /// What is planned for the hosts of these names.
    fn planned(registry: &Registry, seen: &World, hosts: &str) -> Plan {
        let sources = source::read(registry, registry.services.values(), &BTreeMap::new()).expect("sources");
        let is_meant = |host: &&HostName| hosts.contains(host.as_str());
        let inputs = Inputs {
            registry,
            waves: Graph::of(registry).waves(&registry.services.keys().cloned().collect::<BTreeSet<_>>()),
            hosts: registry.hosts.keys().filter(is_meant).cloned().collect(),
            seen,
            health: &BTreeMap::new(),
            sources: &sources,
            engines: crate::engine::ALL,
            overwrite: false,
        };
        plan(&inputs).expect("planned")
    }

    /// The groups as letters, such as `a bc d`; the host with what runs once in brackets.
    fn grouped(registry: &Registry, plan: &Plan) -> String {
        let service = registry.services.values().next().expect("one");
        let moving = plan.changes.iter().filter(|change| change.action != Action::Nothing).cloned().collect();
        let name = |change: &Change| if change.once { format!("[{}]", change.host) } else { change.host.to_string() };
        let groups = groups(moving, &service.deploy, None);
        groups.iter().map(|group| group.iter().map(name).collect::<String>()).collect::<Vec<_>>().join(" ")
    }

    /// It was deployed and proven there.
    fn settle(seen: &mut World, plan: &Plan) {
        for change in &plan.changes {
            let release = change.record.release.clone();
            let found = SeenService {
                current: Some(release.clone()),
                record: Some(Ok(change.record.clone())),
                proven: vec![release],
                ..SeenService::default()
            };
            let seen = seen.get_mut(&change.host).expect("a host");
            seen.services.insert(change.service.clone(), found);
        }
    }

    #[test]
    fn what_runs_once_goes_first_and_alone_wherever_it_runs() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join("app")).expect("a folder");
        std::fs::write(folder.path().join("app/requirements.txt"), "").expect("a file");
        let registry =
            load_text(REGISTRY, Format::Yaml, &folder.path().join("registry.yml"), None).expect("a registry");
        let mut seen = world(&registry);
        let all = planned(&registry, &seen, "abcd");
        assert_eq!(grouped(&registry, &all), "[a] b c d", "whatever the number of canaries");
        let manner = Manner { registry: &registry, mask: &Mask::default(), pace: &BTreeMap::new(), steps: false };
        let told = show(&all, &manner);
        assert!(told.contains("app on 4 hosts: a alone, where its `once` runs; then 1 first; then"), "{told}");
        // The first host is left out, such as one that is cordoned.
        let others = planned(&registry, &seen, "bcd");
        assert_eq!(grouped(&registry, &others), "[b] c d");
        settle(&mut seen, &others);
        let runs = |plan: &Plan| {
            plan.changes.iter().map(|change| (change.host.to_string(), change.action)).collect::<Vec<_>>()
        };
        let still = |host: &str| (host.to_owned(), Action::Restart);
        // It ran for this release; the host that comes back gets the release only, and no record is written anew.
        let back = planned(&registry, &seen, "abcd");
        assert_eq!(grouped(&registry, &back).chars().filter(|c| *c == '[').count(), 0);
        assert_eq!(runs(&back)[1..], [still("b"), still("c"), still("d")], "no unit runs in this test");
        let here: Vec<_> = back.changes.iter().map(|one| one.record.once.as_ref().expect("it is told").here).collect();
        assert_eq!(here, [false, true, false, false], "where it ran stays recorded");
    }
}
