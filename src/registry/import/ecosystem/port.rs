//! Ports and instances. Under PM2 the instances of a cluster share one port; here each has its own, counted up from `port`.

use serde_json::json;

use super::names::get;
use crate::registry::import::entry::Entry;
use crate::registry::import::item::Item;
use crate::registry::import::notes::Notes;

/// Sets `port` and `instances`, and the variable `PORT` that both tools give their processes.
pub(super) fn set(app: &Item<'_>, entry: &mut Entry, notes: &mut Notes) {
    let instances = get(app, "instances");
    let count = instances.as_ref().map_or(Some(1), |item| item.number(1..=1000));
    let port = get(app, "port").and_then(|item| written(&item, count, entry, notes));
    if let Some(item) = get(app, "env").and_then(|env| env.get("PORT")) {
        variable(&item, port, entry, notes);
    } else if port.is_some() {
        entry.set("env.PORT", "${PORT}");
    }
    mode(app, count.unwrap_or(1), entry, notes);
    let Some(item) = instances else { return };
    match count {
        Some(1) => notes.needless(&item, "one is the default"),
        Some(count) => entry.put(&item, "instances", count, notes),
        None => {
            let hint = "write the number: `instances: 4`";
            notes.lost(&item, "how many there are must not depend on the host", hint);
        }
    }
}

/// `port`: a number, or with PMDaemon also `3000-3003` and `auto:3000-3100`.
fn written(item: &Item<'_>, count: Option<i64>, entry: &mut Entry, notes: &mut Notes) -> Option<i64> {
    if let Some(port) = item.number(1..=65_535) {
        entry.put(item, "port", port, notes);
        return Some(port);
    }
    let text = item.text().unwrap_or_default();
    if text.starts_with("auto:") {
        notes.lost(item, "ports are not chosen at random here", "choose one, and write it as `port`");
        return None;
    }
    let range = text.split_once('-').and_then(|(first, last)| Some((first.parse().ok()?, last.parse().ok()?)));
    let Some((first, last)) = range.filter(|(first, last): &(i64, i64)| 0 < *first && first <= last && *last <= 65_535)
    else {
        notes.wrong(item, "a port or a range of ports");
        return None;
    };
    if count == Some(last - first + 1) {
        entry.put(item, "port", first, notes);
        return Some(first);
    }
    let why = format!("{} ports are not one for each instance", last - first + 1);
    notes.lost(item, why, "give the first one as `port`, and further ones as `ports`");
    None
}

/// The variable `PORT`: most programs bind what it says.
fn variable(item: &Item<'_>, port: Option<i64>, entry: &mut Entry, notes: &mut Notes) {
    let Some(number) = item.number(1..=65_535) else {
        return entry.variable("PORT", item, notes);
    };
    if port.is_some_and(|port| port != number) {
        notes.needless(item, "`port` goes before it");
    } else {
        if port.is_none() {
            entry.set("port", number);
        }
        notes.became(item, format!("{}: {number} and {}: \"${{PORT}}\"", entry.key("port"), entry.key("env.PORT")));
    }
    entry.set("env.PORT", json!("${PORT}"));
}

/// The instances of a cluster share a port; here they do not.
fn mode(app: &Item<'_>, count: i64, entry: &Entry, notes: &mut Notes) {
    let Some(mode) = get(app, "exec_mode") else { return };
    let cluster = mode.text().is_some_and(|text| text.starts_with("cluster"));
    match entry.keys.get("port").and_then(serde_json::Value::as_i64) {
        Some(first) if cluster && count > 1 => {
            let last = first + count - 1;
            let why = format!("the instances do not share port {first}: they get the ports {first} to {last}");
            notes.lost(&mode, why, "put a proxy before them, or let the program fork: `instances: 1`");
        }
        _ => notes.needless(&mode, "each instance is a process of its own here"),
    }
}
