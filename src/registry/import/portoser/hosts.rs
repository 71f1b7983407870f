//! Hosts of the shell tool.

use serde_json::json;

use super::Machine;
use crate::registry::import::entry::Entry;
use crate::registry::import::item::Item;
use crate::registry::import::notes::Notes;
use crate::registry::import::words;
use crate::registry::text::{Address, Gate, Label, LabelKey};

/// The entry of a host, and what its services need to know of it; none when it has no address, and then a note says so.
pub(super) fn entry(name: &str, item: &Item<'_>, notes: &mut Notes) -> Option<(Entry, Machine)> {
    let mut entry = Entry::new("hosts", name, item);
    let named = item.get("ssh_hostname").or(item.get("ip")).and_then(|item| item.text().map(str::to_owned));
    for (key, item) in item.entries().into_iter().filter(|(_, item)| !item.is_null()) {
        match key {
            "ip" | "ssh_hostname" => address(&item, named.as_deref(), &mut entry, notes),
            "ssh_user" => match item.text().filter(|text| words::is_user(text)) {
                Some(user) => entry.put(&item, "user", user, notes),
                None => notes.wrong(&item, "the name of a user"),
            },
            "ssh_port" => match item.number(1..=65_535) {
                Some(port) => entry.put(&item, "port", port, notes),
                None => notes.wrong(&item, "a port from 1 to 65535"),
            },
            "path" => match item.text() {
                Some(_) => {
                    notes.needless(&item, "the paths of its services begin there; portoser has a folder of its own")
                }
                None => notes.wrong(&item, "a folder"),
            },
            "roles" | "capabilities" => marks(key, &item, &mut entry, notes),
            "labels" => labels(&item, &mut entry, notes),
            "arch" | "os" | "os_version" | "resources" => notes.needless(&item, "portoser asks the host"),
            "context" => notes.needless(&item, "portoser runs docker on the host itself"),
            "status" | "last_seen_at" | "last_metrics" | "registered_at" | "approved_at" | "approval_status" => {
                notes.needless(&item, "it is bookkeeping of the shell tool");
            }
            "ssh_key_fingerprint" => {
                let hint = format!("`portoser host trust {name}` shows the key that the host has, to be compared");
                notes.lost(&item, "host keys are kept in known_hosts", hint);
            }
            "description" | "notes" => notes.lost(&item, "the registry has no key for prose", "write it as a comment"),
            _ => {}
        }
    }
    if !entry.keys.contains_key("address") {
        notes.leave_out(item, "it has no address", "give it an `ip` there");
        return None;
    }
    let user = entry.keys.get("user").and_then(|user| user.as_str()).map(|user| format!("{user}@")).unwrap_or_default();
    let address = entry.keys.get("address").and_then(|address| address.as_str()).unwrap_or(name);
    let path = item.get("path").and_then(|path| path.text().map(|text| text.trim_end_matches('/').to_owned()));
    let machine = Machine { name: name.to_owned(), login: format!("{user}{address}"), path };
    notes.heading(item, format!("hosts.{name}"));
    Some((entry, machine))
}

/// The shell tool uses `ssh_hostname` instead of `ip` where both are given.
fn address(item: &Item<'_>, named: Option<&str>, entry: &mut Entry, notes: &mut Notes) {
    match item.text().filter(|text| Address::good(text)) {
        Some(address) if Some(address) == named => entry.put(item, "address", address, notes),
        Some(_) => {
            notes.lost(item, "`ssh_hostname` goes before it", "give it as `address` if that name is not to be used")
        }
        None => notes.wrong(item, "an address"),
    }
}

/// Words that describe a host, as labels: a service can choose its hosts by them.
fn marks(key: &str, item: &Item<'_>, entry: &mut Entry, notes: &mut Notes) {
    let kind = if key == "roles" { "role" } else { "can" };
    for item in item.items() {
        match item.text().map(|text| format!("{kind}/{text}")).filter(|label| LabelKey::good(label)) {
            Some(label) => label_of(&item, &label, "yes", entry, notes),
            None => notes.wrong(&item, "the key of a label"),
        }
    }
}

fn labels(item: &Item<'_>, entry: &mut Entry, notes: &mut Notes) {
    for (label, item) in item.entries() {
        match item.text().filter(|text| LabelKey::good(label) && Label::good(text)) {
            Some(value) => label_of(&item, label, value, entry, notes),
            None => notes.wrong(&item, "a label"),
        }
    }
}

fn label_of(item: &Item<'_>, label: &str, value: &str, entry: &mut Entry, notes: &mut Notes) {
    notes.became(item, format!("{}: {value}", entry.key(&format!("labels.{label}"))));
    let labels = entry.keys.entry("labels").or_insert_with(|| json!({}));
    labels[label] = value.into();
}
