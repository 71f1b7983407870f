//! Registries of the shell tool portoser. Its paths are relative to the `path` of the host, though they begin with `/`.

mod health;
mod hosts;
mod project;
mod services;
mod unit;

use std::collections::BTreeMap;

use super::entry::Entry;
use super::item::Item;
use super::notes::Notes;
use super::{Around, words};

/// A host of the file, as its services need it.
struct Machine {
    /// Its name in the registry.
    name: String,
    /// Where it is reached by ssh, as a person would write it.
    login: String,
    /// The folder in which its services lie.
    path: Option<String>,
}

/// The hosts of the file by their names there.
type Machines = BTreeMap<String, Machine>;

pub(super) fn entries(top: &Item<'_>, around: &Around<'_>, notes: &mut Notes) -> Vec<Entry> {
    rest(top, notes);
    let (mut entries, mut machines) = (Vec::new(), Machines::new());
    for (name, item) in top.get("hosts").iter().flat_map(Item::entries) {
        let Some(slug) = words::slug(name) else {
            notes.wrong(&item, "a host: its name has no letter");
            continue;
        };
        let Some((entry, machine)) = hosts::entry(&slug, &item, notes) else { continue };
        entries.push(entry);
        machines.insert(name.to_owned(), machine);
    }
    for (name, item) in top.get("services").iter().flat_map(Item::entries) {
        entries.extend(services::entry(name, &item, &machines, around, notes));
    }
    entries
}

/// What is neither a host nor a service.
fn rest(top: &Item<'_>, notes: &mut Notes) {
    for (key, item) in top.entries() {
        match key {
            "version" | "last_updated" | "schema" => notes.needless(&item, "it is bookkeeping of the shell tool"),
            "domain" => {
                notes.lost(&item, "there are no names for services here yet", "keep them in the DNS that you have")
            }
            "dns" => {
                notes.lost(
                    &item,
                    "portoser does not run the DNS yet",
                    "keep dnsmasq as it is; it can be a service here",
                );
            }
            "caddy" => {
                notes.lost(
                    &item,
                    "portoser does not write a proxy's files yet",
                    "keep Caddy as it is; it can be a service here",
                );
            }
            "cert_distribution" => {
                notes.lost(&item, "portoser does not hand out certificates yet", "keep them where they are")
            }
            "notes" | "description" => notes.lost(&item, "the registry has no key for prose", "write it as a comment"),
            "machines" if top.get("hosts").is_some_and(|hosts| hosts.node.plain() == item.node.plain()) => {
                notes.needless(&item, "it says what `hosts` says");
            }
            _ => {}
        }
    }
}
