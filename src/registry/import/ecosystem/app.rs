//! One process as a service.

use serde_json::{Map, Value, json};

use super::names::{canonical, get};
use super::{command, port};
use crate::registry::edit::flow;
use crate::registry::import::Around;
use crate::registry::import::entry::Entry;
use crate::registry::import::item::Item;
use crate::registry::import::notes::Notes;
use crate::registry::import::words::{self, Command, Url, millis, size};
use crate::registry::text::{Gate, Label, UrlPath};

/// The entry of a process; none when it cannot be had, and then a note says why.
pub(super) fn entry(app: &Item<'_>, around: &Around<'_>, notes: &mut Notes) -> Option<Entry> {
    let script = get(app, "script");
    let name = get(app, "name");
    let given = name.as_ref().and_then(Item::text);
    let stem = script.as_ref().and_then(Item::text).and_then(|script| script.rsplit('/').next());
    let stem = stem.map(|file| file.rsplit_once('.').map_or(file, |(stem, _)| stem));
    let Some(slug) = given.or(stem).and_then(words::slug) else {
        notes.leave_out(app, "it has no name with a letter", "give it a `name` there");
        return None;
    };
    let mut entry = Entry::new("services", &slug, app);
    entry.set("type", "native");
    match around.hosts {
        [one] => entry.set("host", one.as_str()),
        several => entry.set("hosts", json!(several)),
    }
    if let Some(name) = name {
        notes.became(&name, format!("services.{slug}"));
    }
    if let Err(why) = command::run(app, around, &mut entry, notes) {
        notes.leave_out(app, why, "mend it there, or add it by hand: `portoser service add`");
        return None;
    }
    port::set(app, &mut entry, notes);
    for (key, item) in app.entries().into_iter().filter(|(_, item)| !item.is_null()) {
        let key = canonical(key);
        if !set(key, &item, around, &mut entry, notes) && !needless(key, &item, notes) {
            lost(key, &item, notes);
        }
    }
    Some(entry)
}

/// Sets what the registry has a key for; whether it is that.
fn set(key: &str, item: &Item<'_>, around: &Around<'_>, entry: &mut Entry, notes: &mut Notes) -> bool {
    match key {
        "env" if item.is_map() => {
            let own = item.entries().into_iter().filter(|(name, item)| *name != "PORT" || item.is_null());
            own.for_each(|(name, item)| entry.variable(name, &item, notes));
        }
        "namespace" => match item.text().filter(|text| Label::good(text)) {
            Some("default") => notes.needless(item, "it is the default"),
            Some(text) => entry.put(item, "labels.namespace", text, notes),
            None => notes.wrong(item, "a text"),
        },
        "max_memory_restart" => match item.text().and_then(size) {
            Some(size) => entry.put(item, "limits.memory", size, notes),
            None => notes.wrong(item, "a size"),
        },
        "autorestart" => match item.flag() {
            Some(true) => notes.needless(item, "it is the default"),
            Some(false) => entry.put(item, "restart.policy", "never", notes),
            None => notes.wrong(item, "true or false"),
        },
        "max_restarts" => match item.number(1..=1_000_000) {
            Some(count) => entry.put(item, "restart.max", count, notes),
            None => notes.wrong(item, "a number of restarts from 1 on"),
        },
        "restart_delay" => time(item, "restart.delay", entry, notes),
        "kill_timeout" => time(item, "stop.timeout", entry, notes),
        "uid" => match item.text().filter(|text| words::is_user(text)) {
            Some(user) => entry.put(item, "user", user, notes),
            None => notes.wrong(item, "the name of a user"),
        },
        "health_check" if item.is_map() => health(item, entry, notes),
        _ => return of_environment(key, item, around, entry, notes),
    }
    true
}

fn time(item: &Item<'_>, key: &str, entry: &mut Entry, notes: &mut Notes) {
    match item.number(0..=86_400_000).and_then(millis) {
        Some(time) => entry.put(item, key, time, notes),
        None => notes.wrong(item, "a number of milliseconds"),
    }
}

/// The variables of one environment, if it is the one that was asked for.
fn of_environment(key: &str, item: &Item<'_>, around: &Around<'_>, entry: &mut Entry, notes: &mut Notes) -> bool {
    let Some(name) = key.strip_prefix("env_").filter(|name| Some(*name) == around.variables) else { return false };
    if !item.is_map() {
        notes.wrong(item, &format!("a mapping of the variables of {name}"));
    }
    for (name, item) in item.entries() {
        match item.number(1..=65_535).filter(|_| name == "PORT") {
            Some(port) => {
                entry.put(&item, "port", port, notes);
                entry.set("env.PORT", "${PORT}");
            }
            None => entry.variable(name, &item, notes),
        }
    }
    true
}

/// A health check of PMDaemon. Its times are seconds.
fn health(item: &Item<'_>, entry: &mut Entry, notes: &mut Notes) {
    if item.get("enabled").and_then(|item| item.flag()) == Some(false) {
        return notes.needless(item, "it is switched off");
    }
    let port = entry.keys.get("port").and_then(Value::as_i64);
    let asked = item.get("url").or_else(|| item.get("script"));
    let check = match asked.as_ref().and_then(|asked| Some((asked, asked.text()?))) {
        Some((asked, text)) if asked.path.ends_with(".url") => Url::read(text)
            .filter(|url| UrlPath::good(&url.path) && (!url.https || url.is_named()))
            .map(|url| url.check(port)),
        Some((_, text)) => {
            let words = Command::read(text).words().map(|words| entry.beside_run(words));
            words.map(|words| Map::from_iter([("command".to_owned(), json!(words))]))
        }
        None => None,
    };
    let Some(mut check) = check else {
        return notes.lost(item, "what it asks cannot be asked here", "give the service `checks` of its own");
    };
    for key in ["timeout", "interval"] {
        let seconds = item.get(key).and_then(|item| item.number(1..=86_400));
        check.extend(seconds.and_then(|seconds| millis(seconds * 1000)).map(|time| (key.to_owned(), time.into())));
    }
    let retries = item.get("retries").and_then(|item| item.number(0..=1000));
    check.extend(retries.map(|retries| ("retries".to_owned(), retries.into())));
    for (key, item) in item.entries() {
        match key {
            "check_type" | "enabled" => notes.needless(&item, "the check says it by being there"),
            "url" | "script" => notes.became(&item, entry.key("checks[0]")),
            "timeout" | "interval" | "retries" if check.contains_key(key) => {
                notes.became(&item, format!("{}: {}", entry.key(&format!("checks[0].{key}")), flow(&check[key])));
            }
            "timeout" | "interval" | "retries" => notes.wrong(&item, "a number from 1 on"),
            _ => {}
        }
    }
    entry.set("checks", json!([check]));
}

/// What is not missed here; whether it is that.
fn needless(key: &str, item: &Item<'_>, notes: &mut Notes) -> bool {
    let off = item.flag() == Some(false);
    let why = match key {
        "script" | "args" | "node_args" | "interpreter" | "cwd" | "name" | "port" | "instances" | "exec_mode" => {
            return true;
        }
        "time" | "log_date_format" | "log_type" | "merge_logs" => "`portoser logs` tells times, and of all instances",
        "pid_file" => "the host's init system knows the process",
        "watch" | "wait_ready" | "shutdown_with_message" | "disable_logs" | "trace" | "force" if off => {
            "it is switched off"
        }
        "vizion"
        | "pmx"
        | "automation"
        | "deep_monitoring"
        | "event_loop_inspector"
        | "trace"
        | "disable_trace"
        | "io"
        | "v8" => "it is for the monitoring of PM2",
        "windowsHide" | "write" | "force" | "username" | "append_env_to_name" | "execute_command" => {
            "it is for the program pm2 itself"
        }
        "treekill" if !off => "all processes of a service are stopped",
        "ignore_watch" | "watch_delay" | "watch_options" => "nothing is watched here",
        "instance_var" | "increment_var" => "`${INSTANCE}` is the number of the instance, from 1 on",
        "kill_retry_time" => "the host's init system waits by itself",
        _ => return false,
    };
    notes.needless(item, why);
    true
}

/// What has no place here.
fn lost(key: &str, item: &Item<'_>, notes: &mut Notes) {
    let (why, hint) = match key {
        "out_file" | "error_file" | "log_file" => {
            ("what it prints goes to the host's journal, and not to a file", "`portoser logs` shows it")
        }
        "disable_logs" => ("what it prints goes to the host's journal", "let the program print less"),
        "watch" => ("a service is not restarted when files change", "`portoser deploy` sends what changed"),
        "cron_restart" => ("services are not restarted by the clock", "use a timer of the host: `systemctl restart`"),
        "min_uptime" => (
            "starts are counted in a time here",
            "`restart: { max: 5, within: 60s }` says how many starts in which time",
        ),
        "exp_backoff_restart_delay" => {
            ("the time between restarts does not grow here", "give it as `restart: { delay: ... }`")
        }
        "wait_ready" | "listen_timeout" => (
            "a process does not tell that it is ready",
            "a check does: `checks: [{ http: /health, start_period: 20s }]`",
        ),
        "shutdown_with_message" => {
            ("a process is stopped by a signal", "let it stop at SIGINT, or name one: `stop: { signal: ... }`")
        }
        "gid" => ("a service has the groups of its user", "give it a `user` of its own"),
        "source_map_support" | "disable_source_map_support" => {
            ("it is a module that PM2 loads into node", "give node the option `--enable-source-maps` in `run`")
        }
        "filter_env" => ("nothing of the caller's environment reaches a service", "write what it needs in `env`"),
        "post_update" => ("there is no such hook", "commands before the switch are `hooks: { before: [...] }`"),
        "name_prefix" => ("names are written out here", "rename the service in the registry"),
        "install_url" => ("modules of PM2 are not installed", "send the program as `source`"),
        "treekill" => ("all processes of a service are stopped", "start what must stay as a service of its own"),
        "env" => ("variables are a mapping here", "write them as `env: { NAME: value }`"),
        "health_check" => ("it is not a mapping", "give the service `checks`"),
        "env_file" => ("there are no files of variables here", "write its variables in `env`"),
        key if key.starts_with("env_") => (
            "only one set of variables is taken",
            "take this one with `--variables NAME`, or write an overlay below `environments`",
        ),
        _ => return,
    };
    notes.lost(item, why, hint);
}
