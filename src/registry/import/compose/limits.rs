//! What a container may use, and when it is started again: by the keys of compose files of all ages.

use crate::registry::import::entry::Entry;
use crate::registry::import::item::Item;
use crate::registry::import::notes::Notes;
use crate::registry::import::words::size;

use super::KEEP;

pub(super) fn memory(item: &Item<'_>, entry: &mut Entry, notes: &mut Notes) {
    match item.text().and_then(size) {
        Some(size) => entry.put(item, "limits.memory", size, notes),
        None => notes.wrong(item, "a size"),
    }
}

pub(super) fn cpus(item: &Item<'_>, entry: &mut Entry, notes: &mut Notes) {
    // Thousandths are the finest that the registry knows.
    let count = item.text().and_then(|text| text.parse::<f64>().ok());
    match count.filter(|count| *count >= 0.001 && *count <= 4096.0).map(|count| (count * 1000.0).round() / 1000.0) {
        Some(count) => entry.put(item, "limits.cpu", count, notes),
        None => notes.wrong(item, "a number of processors"),
    }
}

pub(super) fn tasks(item: &Item<'_>, entry: &mut Entry, notes: &mut Notes) {
    match item.number(-1..=1_000_000_000) {
        Some(count @ 1..) => entry.put(item, "limits.tasks", count, notes),
        Some(_) => notes.needless(item, "no limit is the default"),
        None => notes.wrong(item, "a number of processes"),
    }
}

/// `deploy:` of a service.
pub(super) fn deploy(deploy: &Item<'_>, entry: &mut Entry, notes: &mut Notes) {
    for (key, item) in deploy.entries().into_iter().filter(|(_, item)| !item.is_null()) {
        match key {
            "replicas" => replicas(&item, entry, notes),
            "resources" => {
                for (kind, item) in item.entries() {
                    match kind {
                        "limits" => resources(&item, entry, notes),
                        _ => notes.lost(&item, "nothing is reserved for a service", KEEP),
                    }
                }
            }
            "restart_policy" => {
                for (key, item) in item.entries() {
                    match (key, item.text()) {
                        ("condition", Some("any")) => entry.put(&item, "restart.policy", "always", notes),
                        ("condition", Some("on-failure")) => entry.put(&item, "restart.policy", "on-failure", notes),
                        ("condition", Some("none")) => entry.put(&item, "restart.policy", "never", notes),
                        _ => notes.lost(&item, "containers are restarted as docker does it", KEEP),
                    }
                }
            }
            "mode" if item.text() == Some("replicated") => notes.needless(&item, "it is the default"),
            _ => {
                notes.lost(&item, "it is for a swarm", "see `deploy:` in the registry for how portoser goes over hosts")
            }
        }
    }
}

fn resources(limits: &Item<'_>, entry: &mut Entry, notes: &mut Notes) {
    for (key, item) in limits.entries() {
        match key {
            "memory" => memory(&item, entry, notes),
            "cpus" => cpus(&item, entry, notes),
            "pids" => tasks(&item, entry, notes),
            _ => notes.lost(&item, "the registry knows no such limit", KEEP),
        }
    }
}

pub(super) fn replicas(item: &Item<'_>, entry: &mut Entry, notes: &mut Notes) {
    match item.number(1..=1000) {
        Some(1) => notes.needless(item, "one is the default"),
        Some(count) => entry.put(item, "instances", count, notes),
        None => notes.wrong(item, "a number from 1 to 1000"),
    }
}

/// `restart:` of a service.
pub(super) fn restart(item: &Item<'_>, entry: &mut Entry, notes: &mut Notes) {
    let text = item.text().unwrap_or_default();
    match text.split_once(':').map_or((text, None), |(policy, count)| (policy, Some(count))) {
        // Docker starts a container again unless somebody stopped it, as portoser's `stop` does.
        ("always" | "unless-stopped", None) => entry.put(item, "restart.policy", "always", notes),
        ("on-failure", None) => entry.put(item, "restart.policy", "on-failure", notes),
        ("on-failure", Some(count)) => match count.parse::<i64>().ok().filter(|count| *count > 0) {
            Some(count) => {
                entry.set("restart.max", count);
                entry.put(item, "restart.policy", "on-failure", notes);
            }
            None => notes.wrong(item, "a restart policy"),
        },
        ("no" | "false", None) => entry.put(item, "restart.policy", "never", notes),
        _ => notes.wrong(item, "a restart policy"),
    }
}
