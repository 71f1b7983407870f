//! One service of a compose file as a service of its own.

use serde_json::json;

use super::project::Project;
use super::{KEEP, health, limits, mounts, place, ports};
use crate::registry::import::entry::Entry;
use crate::registry::import::item::Item;
use crate::registry::import::notes::Notes;
use crate::registry::import::{Around, words};
use crate::registry::text::{Gate, Label, LabelKey, Line, RunsAs};

/// The entry of a service; none when it cannot be had, and then a note says why.
pub(super) fn entry(
    name: &str,
    item: &Item<'_>,
    (around, project): (&Around<'_>, &Project),
    notes: &mut Notes,
) -> Option<Entry> {
    let Some(slug) = words::slug(name) else {
        notes.leave_out(item, "its name has no letter", "rename it there");
        return None;
    };
    let mut entry = Entry::new("services", &slug, item);
    place(&mut entry, around);
    let Some(image) = item.get("image") else {
        let why = match (item.get("build"), item.get("extends")) {
            (Some(_), _) => "its image is built from sources",
            (None, Some(_)) => "it goes on from another service",
            (None, None) => "it is not known which image it runs",
        };
        notes.leave_out(item, why, KEEP);
        return None;
    };
    if item.get("entrypoint").is_some_and(|entrypoint| !entrypoint.is_null()) {
        notes.leave_out(item, "its `entrypoint` says what it runs, and services of an image have no such key", KEEP);
        return None;
    }
    match image.text().filter(|text| Line::good(text)) {
        Some(text) => entry.put(&image, "image", text, notes),
        None => {
            notes.leave_out(item, "its `image` is not a text", "mend it there");
            return None;
        }
    }
    for (key, item) in item.entries().into_iter().filter(|(_, item)| !item.is_null()) {
        if !set(key, &item, (&mut entry, project), notes) && !needless(key, &item, notes) {
            lost(key, &item, notes);
        }
    }
    unsaid(item, &mut entry, project, notes);
    notes.heading(item, format!("services.{slug}"));
    if slug != name {
        let hint =
            format!("write `{slug}` where another container asks for `{name}`: in its variables, URLs and files");
        notes.lost(item, format!("containers on its networks find it as `{slug}`, and no more as `{name}`"), hint);
    }
    Some(entry)
}

/// What compose takes for granted, and the registry does not.
fn unsaid(item: &Item<'_>, entry: &mut Entry, project: &Project, notes: &mut Notes) {
    let policy = item.get("deploy").is_some_and(|deploy| deploy.get("restart_policy").is_some());
    if item.get("restart").is_none() && !policy {
        entry.put(item, "restart.policy", "never", notes);
    }
    if item.get("stop_grace_period").is_none_or(|time| time.is_null()) {
        entry.put(item, "stop.timeout", "10s", notes);
    }
    if let Some(network) = project.default(item) {
        entry.push(item, "networks", network, notes);
    }
}

/// Sets what the registry has a key for; whether it is that.
fn set(key: &str, item: &Item<'_>, (entry, project): (&mut Entry, &Project), notes: &mut Notes) -> bool {
    match key {
        "image" => {}
        "command" => match command(item) {
            Some(words) => entry.put(item, "command", json!(words), notes),
            None => notes.wrong(item, "a command"),
        },
        "ports" => ports::ports(item, entry, notes),
        "environment" => environment(item, entry, notes),
        "volumes" => mounts::mounts(item, (entry, project), notes),
        "networks" => networks(item, (entry, project), notes),
        "labels" => labels(item, entry, notes),
        "depends_on" => depends(item, entry, notes),
        "healthcheck" => health::check(item, entry, notes),
        "restart" => limits::restart(item, entry, notes),
        "deploy" => limits::deploy(item, entry, notes),
        "scale" => limits::replicas(item, entry, notes),
        "mem_limit" => limits::memory(item, entry, notes),
        "cpus" => limits::cpus(item, entry, notes),
        "pids_limit" => limits::tasks(item, entry, notes),
        "pull_policy" => match item.text() {
            Some("if_not_present") => entry.put(item, "pull", "missing", notes),
            Some(policy @ ("missing" | "always" | "never")) => entry.put(item, "pull", policy, notes),
            _ => return false,
        },
        "stop_grace_period" => health::time(item, "stop.timeout", entry, notes),
        "stop_signal" => match item.text() {
            Some(text) if text.starts_with("SIG") => entry.put(item, "stop.signal", text, notes),
            _ => notes.wrong(item, "the name of a signal, such as SIGTERM"),
        },
        "user" => match item.text().filter(|text| RunsAs::good(text)) {
            Some(user) => entry.put(item, "user", user, notes),
            None => notes.wrong(item, "USER or USER:GROUP, each a name or a number"),
        },
        _ => return false,
    }
    true
}

/// A list of words, or a line that compose splits like a shell.
fn command(item: &Item<'_>) -> Option<Vec<String>> {
    let texts = item.texts()?;
    let split = if item.is_list() { None } else { Some(shlex::split(texts[0])?) };
    let words: Vec<&str> = split.as_ref().map_or(texts, |words| words.iter().map(String::as_str).collect());
    (!words.is_empty() && words.iter().all(|word| words::is_word(word))).then(|| words::literals(words))
}

/// A mapping, or a list of `NAME=value`.
fn environment(item: &Item<'_>, entry: &mut Entry, notes: &mut Notes) {
    entry.env(item, notes);
    for item in item.items() {
        let Some((name, value)) = item.text().and_then(|text| text.split_once('=')) else {
            if item.text().is_some() {
                let hint = "give it a value in the registry; nothing is taken from the shell that calls portoser";
                notes.lost(&item, "it has no value", hint);
            } else if !item.is_null() {
                notes.wrong(&item, "NAME=value");
            }
            continue;
        };
        let node = crate::registry::tree::Node {
            place: item.place,
            value: crate::registry::tree::Value::Scalar(crate::registry::tree::Scalar::Text, value.to_owned()),
        };
        entry.variable(name, &Item { node: &node, place: item.place, path: item.path.clone() }, notes);
    }
}

/// A list of names, or a mapping whose values say more.
fn networks(item: &Item<'_>, (entry, project): (&mut Entry, &Project), notes: &mut Notes) {
    for item in item.items() {
        match item.text() {
            Some(name) => entry.push(&item, "networks", project.network(name), notes),
            None => notes.wrong(&item, "the name of a network"),
        }
    }
    for (name, item) in item.entries() {
        entry.push(&item, "networks", project.network(name), notes);
        for (_, item) in item.entries() {
            notes.lost(&item, "how a service takes part in a network cannot be said here", KEEP);
        }
    }
}

fn labels(item: &Item<'_>, entry: &mut Entry, notes: &mut Notes) {
    let listed = item.items();
    let listed = listed.iter().map(|item| {
        let text = item.text().unwrap_or_default();
        let (key, value) = text.split_once('=').unwrap_or((text, ""));
        (key, value, item.clone())
    });
    let entries = item.entries();
    let mapped = entries.iter().map(|(key, item)| (*key, item.text().unwrap_or_default(), item.clone()));
    for (key, value, item) in listed.chain(mapped) {
        if LabelKey::good(key) && Label::good(value) {
            let labels = entry.keys.entry("labels").or_insert_with(|| json!({}));
            labels[key] = value.into();
            notes.became(&item, entry.key(&format!("labels.{key}")));
        } else {
            notes.wrong(&item, "a label with a value");
        }
    }
}

/// Needs are proven before what needs them, so `service_healthy` is what always holds.
fn depends(item: &Item<'_>, entry: &mut Entry, notes: &mut Notes) {
    for item in item.items() {
        entry.need(item.text().unwrap_or_default(), &item, notes);
    }
    for (name, item) in item.entries() {
        let condition = item.get("condition");
        if condition.as_ref().and_then(Item::text) == Some("service_completed_successfully") {
            notes.lost(
                &item,
                "it waits for an end, and services do not end",
                "run it as a hook: `hooks: { before: [...] }`",
            );
            continue;
        }
        for (key, item) in item.entries() {
            match key {
                "condition" => notes.needless(&item, "what is needed is always proven first"),
                "restart" if item.flag() == Some(false) => notes.needless(&item, "it is the default"),
                "required" if item.flag() == Some(true) => notes.needless(&item, "it is the default"),
                _ => notes.lost(&item, "a need has no such key", "see `portoser impact` for what depends on a service"),
            }
        }
        entry.need(name, &item, notes);
    }
}

/// What is not missed here; whether it is that.
fn needless(key: &str, item: &Item<'_>, notes: &mut Notes) -> bool {
    let why = match key {
        "expose" => "containers of a network reach each other on every port",
        "build" => "the image is named, and is pulled",
        "develop" => "it is for work on the sources",
        "tty" | "stdin_open" | "privileged" | "read_only" | "init" if item.flag() == Some(false) => "it is the default",
        key if key.starts_with("x-") => "it says nothing but what is used of it",
        _ => return false,
    };
    notes.needless(item, why);
    true
}

/// What has no place here.
fn lost(key: &str, item: &Item<'_>, notes: &mut Notes) {
    let (why, hint) = match key {
        "container_name" => ("containers are named after their service", "call it by the name of the service"),
        "env_file" => ("its variables may be secrets, and are not copied", "write those that are none in `env`"),
        "logging" => ("containers log as the host's docker is set up", KEEP),
        "links" | "external_links" => ("containers find each other by networks", "give both the same of `networks`"),
        "profiles" => ("services are chosen by their labels here", "give it a label, and deploy with it"),
        "platform" => ("the platform of the host decides", KEEP),
        "pull_policy" => (
            "it is none of `missing`, `always` and `never`",
            "give one of these as `pull`, or import it with `--whole`",
        ),
        "hostname" | "domainname" | "extra_hosts" | "dns" | "dns_search" | "network_mode" | "mac_address" => {
            ("names and networks of a container cannot be set up further here", KEEP)
        }
        "working_dir" | "cap_add" | "cap_drop" | "devices" | "gpus" | "group_add" | "init" | "ipc" | "pid"
        | "privileged" | "read_only" | "runtime" | "security_opt" | "shm_size" | "sysctls" | "tmpfs" | "tty"
        | "stdin_open" | "ulimits" | "userns_mode" | "volumes_from" | "secrets" | "configs" | "extends"
        | "oom_score_adj" | "mem_reservation" | "memswap_limit" | "cpu_shares" | "cpuset" | "post_start"
        | "pre_stop" | "isolation" | "cgroup_parent" | "credential_spec" | "blkio_config" | "cpu_quota"
        | "cpu_period" | "mem_swappiness" | "oom_kill_disable" | "storage_opt" | "annotations" | "uts" | "cgroup"
        | "attach" => ("services of an image have no such key", KEEP),
        _ => return,
    };
    notes.lost(item, why, hint);
}
