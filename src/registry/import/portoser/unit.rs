//! The `service.yml` of a local or native service: the commands that the shell tool runs for it.

use std::path::PathBuf;

use super::Machine;
use super::health;
use crate::registry::fault::Faults;
use crate::registry::import::entry::Entry;
use crate::registry::import::item::Item;
use crate::registry::import::notes::Notes;
use crate::registry::import::python;
use crate::registry::import::words::{self, Command};
use crate::registry::import::{Around, Note};
use crate::registry::text::{Gate, UnitName};
use crate::registry::tree::{Format, parse};

/// Why a service cannot be had from its `service.yml`, and what to do.
pub(super) struct Refused {
    pub(super) why: String,
    pub(super) hint: String,
}

/// Reads the `service.yml` that a value names into the entry. The service lies in `folder` on its host.
pub(super) fn read(
    item: &Item<'_>,
    service: &Item<'_>,
    machine: &Machine,
    around: &Around<'_>,
    entry: &mut Entry,
) -> Result<Vec<Note>, Refused> {
    let Some(path) = item.text() else {
        return Err(Refused { why: "its `service_file` is not a path".to_owned(), hint: "mend it there".to_owned() });
    };
    let name = path.trim_start_matches('/');
    let there = format!("{}/{name}", machine.path.as_deref().unwrap_or_default());
    let Some(found) = around.found(path) else {
        return Err(missing(name, &there, machine));
    };
    let text = std::fs::read_to_string(&found).map_err(|error| Refused {
        why: format!("`{}` cannot be read: {error}", around.named(&found)),
        hint: "mend it, and import again".to_owned(),
    })?;
    let mut faults = Vec::new();
    let node = parse(&text, Format::Yaml, &mut faults);
    let Some(node) = node.filter(|_| faults.is_empty()) else {
        let faults = Faults::new(around.named(&found).into(), faults);
        return Err(Refused { why: faults.to_string(), hint: "mend it, and import again".to_owned() });
    };
    let shown = around.named(&found);
    let mut notes = Notes::within(shown.as_ref(), &service.path);
    let top = Item::top(&node);
    let folder = folder(&top, service, machine, &there);
    // The same folder on this machine, which is then what is sent.
    let base = machine.path.as_deref().unwrap_or_default();
    let here = around.found(folder.strip_prefix(base).unwrap_or(&folder)).filter(|here| here.is_dir());
    let here = here.map(|here| (around.named(&here), here));
    keys(&top, (&folder, here), entry, &mut notes)?;
    Ok(notes.finish(&top))
}

/// A file that is only on the host.
pub(super) fn missing(name: &str, there: &str, machine: &Machine) -> Refused {
    Refused {
        why: format!("`{name}` is not on this machine"),
        hint: format!(
            "fetch it, and import again: mkdir -p {0} && scp {1}:{there} {name}",
            folder_of(name),
            machine.login
        ),
    }
}

fn folder_of(path: &str) -> &str {
    path.rsplit_once('/').map_or(".", |(folder, _)| folder)
}

/// The folder on the host in which the commands are run.
fn folder(top: &Item<'_>, service: &Item<'_>, machine: &Machine, there: &str) -> String {
    let given = ["working_dir", "service_directory"];
    let written = given.iter().find_map(|key| service.get(key)).or_else(|| top.get("working_dir"));
    let base = machine.path.as_deref().unwrap_or_default();
    match written.as_ref().and_then(Item::text) {
        Some(folder) if folder == base || folder.starts_with(&format!("{base}/")) => folder.to_owned(),
        Some(folder) => format!("{base}/{}", folder.trim_start_matches("./").trim_start_matches('/')),
        None => folder_of(there).to_owned(),
    }
}

/// The folder that a service lies in on its host, and the same on this machine, as it is named and where it is.
type Place<'a> = (&'a str, Option<(String, PathBuf)>);

fn keys(top: &Item<'_>, place: Place<'_>, entry: &mut Entry, notes: &mut Notes) -> Result<(), Refused> {
    let Some(start) = top.get("start") else {
        return Err(Refused {
            why: format!("{} has no `start`", notes.file().display()),
            hint: "say there what runs, or add the service by hand: `portoser service add`".to_owned(),
        });
    };
    run(&start, place, entry, notes)?;
    let unit = entry.keys.contains_key("unit");
    for (key, item) in top.entries().into_iter().filter(|(_, item)| !item.is_null()) {
        match key {
            "port" | "http_port" | "bolt_port" | "ports" => ports(&item, entry, notes),
            "healthcheck" => health::command(&item, &serde_json::Map::new(), entry, notes),
            "dependencies" => {
                for (name, item) in item.entries() {
                    entry.need(name, &item, notes);
                }
                for item in item.items() {
                    entry.need(item.text().unwrap_or_default(), &item, notes);
                }
            }
            "env" | "environment" if unit => {
                notes.lost(
                    &item,
                    "of an existing unit only the state is managed",
                    "set them in the unit: `systemctl edit`",
                );
            }
            "env" | "environment" => entry.env(&item, notes),
            "env_file" => notes.lost(&item, "there are no files of variables here", "write its variables in `env`"),
            "working_dir" => match unit {
                true => notes.needless(&item, "the unit on the host says where it runs"),
                false => {
                    let key = if entry.keys.contains_key("source") { "source" } else { "run" };
                    notes.became(&item, entry.key(key));
                }
            },
            "stop" if !unit && !ends_a_process(&item) => {
                let hint = "let it end at SIGTERM, or name the signal: `stop: { signal: ... }`";
                notes.lost(&item, "a service is stopped by a signal, not by a command", hint);
            }
            "stop" | "restart" | "status" => notes.needless(&item, "the host's init system does this"),
            "name" | "hostname" | "type" => notes.needless(&item, "the registry says it"),
            "description" | "notes" => notes.lost(&item, "the registry has no key for prose", "write it as a comment"),
            _ => {}
        }
    }
    Ok(())
}

/// What runs: a unit that is there already, or a command that stays.
fn run(start: &Item<'_>, (folder, here): Place<'_>, entry: &mut Entry, notes: &mut Notes) -> Result<(), Refused> {
    let refuse = |why: &str, hint: &str| Err(Refused { why: why.to_owned(), hint: hint.to_owned() });
    let by_hand = "name the command that stays in the foreground: `portoser service add NAME ... -- COMMAND`";
    let Some(text) = start.text() else {
        return refuse("its `start` is not a command", by_hand);
    };
    let command = Command::read(text);
    if let Command::Words(words) = &command
        && let Some(unit) = unit(words)
    {
        entry.put(start, "unit", unit, notes);
        return Ok(());
    }
    if text.contains("docker") {
        return refuse("its `start` runs docker", "name its compose file as `docker_compose` there, and import again");
    }
    if goes_away(text) {
        return refuse("its `start` leaves the command in the background, where nothing supervises it", by_hand);
    }
    match command.words() {
        Some(words) => {
            let sent = match &here {
                Some((source, path)) => python::adopt(words, path, source, entry),
                None => Err(words),
            };
            entry.put(start, "run", sent.unwrap_or_else(|words| words::within(folder, words)), notes);
        }
        None => return refuse("its `start` is not a command", by_hand),
    }
    Ok(())
}

/// Whether a command does no more than to end a process.
fn ends_a_process(item: &Item<'_>) -> bool {
    let first = item.text().and_then(|text| text.split_whitespace().find(|word| *word != "sudo"));
    matches!(first, Some("kill" | "pkill" | "killall"))
}

/// Whether a command line ends while its work goes on.
fn goes_away(text: &str) -> bool {
    let quiet = text.replace("&&", "").replace("2>&1", "").replace(">&", "").replace("&>", "");
    quiet.contains('&') || text.contains("nohup ") || text.contains("--daemon") || text.contains("setsid ")
}

/// The unit that a command starts, if that is all it does.
fn unit(words: &[String]) -> Option<String> {
    let words: Vec<&str> = words.iter().map(String::as_str).filter(|word| *word != "sudo").collect();
    let unit = match words.as_slice() {
        ["systemctl", "start" | "restart", unit] if unit.contains('.') => (*unit).to_owned(),
        ["systemctl", "start" | "restart", unit] => format!("{unit}.service"),
        ["service", unit, "start" | "restart"] => format!("{unit}.service"),
        // The label that Homebrew gives to its launchd jobs.
        ["brew", "services", "start" | "restart", formula] => format!("homebrew.mxcl.{formula}"),
        _ => return None,
    };
    UnitName::good(&unit).then_some(unit)
}

/// The first port is the main one, unless the registry said it already.
pub(super) fn ports(item: &Item<'_>, entry: &mut Entry, notes: &mut Notes) {
    let items = if item.is_list() { item.items() } else { vec![item.clone()] };
    for item in items {
        let Some(port) = item.number(1..=65_535) else {
            notes.wrong(&item, "a port from 1 to 65535");
            continue;
        };
        let more = entry.keys.get("ports").and_then(|ports| ports.as_array());
        if entry.keys.get("port").is_none() {
            entry.put(&item, "port", port, notes);
        } else if entry.keys.get("port") == Some(&port.into()) || more.is_some_and(|more| more.contains(&port.into())) {
            notes.needless(&item, "it is given already");
        } else {
            entry.push(&item, "ports", port, notes);
        }
    }
}
