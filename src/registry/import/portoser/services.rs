//! Services of the shell tool.

use super::project;
use super::unit::{self, Refused};
use super::{Machine, Machines, health};
use crate::registry::fault::nearest;
use crate::registry::import::entry::Entry;
use crate::registry::import::item::Item;
use crate::registry::import::notes::Notes;
use crate::registry::import::{Around, words};
use crate::registry::text::Gate;
use crate::registry::text::Label;

/// The entry of a service; none when it cannot be had, and then a note says why.
pub(super) fn entry(
    name: &str,
    item: &Item<'_>,
    machines: &Machines,
    around: &Around<'_>,
    notes: &mut Notes,
) -> Option<Entry> {
    let made = made(name, item, machines, around, notes);
    match made {
        Ok(entry) => {
            notes.heading(item, format!("services.{}", entry.name));
            Some(entry)
        }
        Err(Refused { why, hint }) => {
            notes.leave_out(item, why, hint);
            None
        }
    }
}

fn made(
    name: &str,
    item: &Item<'_>,
    machines: &Machines,
    around: &Around<'_>,
    notes: &mut Notes,
) -> Result<Entry, Refused> {
    let refuse = |why: String, hint: &str| Refused { why, hint: hint.to_owned() };
    let slug = words::slug(name).ok_or_else(|| refuse("its name has no letter".to_owned(), "rename it there"))?;
    let mut entry = Entry::new("services", &slug, item);
    let machine = host(item, machines, &mut entry, notes)?;
    let kind = item.get("deployment_type");
    match kind.as_ref().and_then(Item::text).unwrap_or("docker") {
        "docker" => docker(item, machine, around, &mut entry, notes)?,
        "local" | "native" => native(item, machine, around, &mut entry, notes)?,
        other => {
            let why = format!("`{}` is not a type of service there", crate::registry::fault::shown(other));
            return Err(refuse(why, "it is docker, local or native"));
        }
    }
    if let Some(kind) = kind {
        let to = format!("{}: {}", entry.key("type"), entry.keys["type"].as_str().unwrap_or_default());
        notes.became(&kind, to);
    }
    let port = item.get("port").and_then(|item| item.number(1..=65_535));
    health::checks(item, port, &mut entry, notes);
    for (key, item) in item.entries().into_iter().filter(|(_, item)| !item.is_null()) {
        rest(key, &item, &mut entry, notes);
    }
    Ok(entry)
}

fn host<'a>(
    item: &Item<'_>,
    machines: &'a Machines,
    entry: &mut Entry,
    notes: &mut Notes,
) -> Result<&'a Machine, Refused> {
    let written = item.get("current_host");
    let Some((written, name)) = written.as_ref().and_then(|item| Some((item, item.text()?))) else {
        let hint = "give it `current_host` there".to_owned();
        return Err(Refused { why: "it names no host".to_owned(), hint });
    };
    let Some(machine) = machines.get(name) else {
        let hint = match nearest(name, machines.keys().map(String::as_str)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "add the host there, and import again".to_owned(),
        };
        return Err(Refused { why: format!("no host `{}` was mapped", crate::registry::fault::shown(name)), hint });
    };
    entry.set("type", "native");
    entry.put(written, "host", machine.name.as_str(), notes);
    Ok(machine)
}

/// A compose file is sent from this machine, so it must be here.
fn docker(
    item: &Item<'_>,
    machine: &Machine,
    around: &Around<'_>,
    entry: &mut Entry,
    notes: &mut Notes,
) -> Result<(), Refused> {
    let given = item.get("docker_compose").or_else(|| item.get("service_file"));
    let Some((given, path)) = given.as_ref().and_then(|item| Some((item, item.text()?))) else {
        let hint = "name its compose file as `docker_compose` there".to_owned();
        return Err(Refused { why: "it has no compose file".to_owned(), hint });
    };
    let name = path.trim_start_matches('/');
    let there = format!("{}/{name}", machine.path.as_deref().unwrap_or_default());
    let Some(found) = around.found(path) else { return Err(unit::missing(name, &there, machine)) };
    entry.set("type", "docker");
    project::composed(given, (&found, &there), machine, around, entry, notes)?;
    if let Some(part) = item.get("service_name") {
        match part.text() {
            Some(text) => entry.put(&part, "compose_service", text, notes),
            None => notes.wrong(&part, "the name of a service of the compose file"),
        }
    }
    Ok(())
}

fn native(
    item: &Item<'_>,
    machine: &Machine,
    around: &Around<'_>,
    entry: &mut Entry,
    notes: &mut Notes,
) -> Result<(), Refused> {
    let Some(file) = item.get("service_file") else {
        let hint = "name its `service_file` there, or add it by hand: `portoser service add`".to_owned();
        return Err(Refused { why: "it has no `service_file`, so what runs is not known".to_owned(), hint });
    };
    if let Some(port) = item.get("port") {
        unit::ports(&port, entry, notes);
    }
    let others = unit::read(&file, item, machine, around, entry)?;
    notes.take(others);
    notes.became(&file, entry.key(if entry.keys.contains_key("unit") { "unit" } else { "run" }));
    Ok(())
}

/// The keys that are the same for every type.
fn rest(key: &str, item: &Item<'_>, entry: &mut Entry, notes: &mut Notes) {
    let docker = entry.keys["type"] == "docker";
    match key {
        "port" if docker => unit::ports(item, entry, notes),
        "dependencies" => {
            for item in item.items() {
                entry.need(item.text().unwrap_or_default(), &item, notes);
            }
        }
        "category" => match item.text().filter(|text| Label::good(text)) {
            Some(text) => entry.put(item, "labels.category", text, notes),
            None => notes.wrong(item, "a text"),
        },
        "hostname" => {
            let hint = "keep it in the DNS and the proxy that you have";
            notes.lost(item, "there are no names for services here yet", hint);
        }
        "tls_cert" | "tls_key" | "ca_cert" | "tls" => {
            let hint = "leave the files where they are: portoser does not touch them";
            notes.lost(item, "portoser does not manage certificates yet", hint);
        }
        "working_dir" | "service_directory" if docker => {
            notes.needless(item, "a project begins in the folder of its compose file");
        }
        "working_dir" | "service_directory" if entry.keys.contains_key("source") => {
            notes.became(item, entry.key("source"));
        }
        "working_dir" | "service_directory" => notes.became(item, entry.key("run")),
        "service_name" if !docker => notes.needless(item, "it names a part of a compose file, and there is none"),
        "service_file" if docker && entry.keys.contains_key("compose") => {
            notes.needless(item, "`docker_compose` goes before it");
        }
        "docker_compose" if !docker => notes.needless(item, "the service does not run in docker"),
        "restart_command" => {
            notes.lost(item, "portoser restarts what it started", "a signal of its own is `stop: { signal: ... }`");
        }
        "description" | "notes" => notes.lost(item, "the registry has no key for prose", "write it as a comment"),
        "last_updated" => notes.needless(item, "it is bookkeeping of the shell tool"),
        "python_manager" if entry.keys["type"] == "python" => {
            notes.needless(item, "a Python service has an environment of its own");
        }
        "python_manager" => notes.lost(item, "the command in `service_file` says how it runs", "see `type: python`"),
        "platform" | "target_tag" | "tag" | "build" => {
            notes.lost(
                item,
                "images are built as the compose file says",
                "write it there: `build:`, `platform:`, `image:`",
            );
        }
        "internal_port" => notes.needless(item, "the compose file says which port of the container it is"),
        "postgres" | "auth" => notes.lost(item, "portoser does not set this up yet", "keep doing it as you do"),
        _ => {}
    }
}
