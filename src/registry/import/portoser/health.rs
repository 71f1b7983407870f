//! Health checks of the shell tool. It asks through the proxy, by name; here the service itself is asked, on its own port.

use serde_json::{Map, Value, json};

use crate::registry::edit::flow;
use crate::registry::import::entry::Entry;
use crate::registry::import::item::Item;
use crate::registry::import::notes::Notes;
use crate::registry::import::words::{Command, Url, millis};
use crate::registry::text::{Gate, UrlPath};

/// The checks of a service; `port` is its own.
pub(super) fn checks(service: &Item<'_>, port: Option<i64>, entry: &mut Entry, notes: &mut Notes) {
    let timing = timing(service, notes);
    if let Some(item) = service.get("healthcheck_url") {
        match url(service, &item, port) {
            Ok(check) => push(&item, check, &timing, entry, notes),
            Err(why) => notes.lost(&item, why, "give the service a check of its own: `checks: [{ http: /health }]`"),
        }
    } else if let Some(item) = service.get("healthcheck_path") {
        path(service, &item, port, &timing, entry, notes);
    }
    if let Some(item) = service.get("healthcheck_command") {
        command(&item, &timing, entry, notes);
    }
    if service.get("healthcheck_url").is_some() {
        for key in ["healthcheck_path", "protocol"] {
            if let Some(item) = service.get(key) {
                notes.needless(&item, "`healthcheck_url` goes before it");
            }
        }
    }
    tell_timing(service, &timing, entry, notes);
}

/// A command that must exit with 0.
pub(super) fn command(item: &Item<'_>, timing: &Map<String, Value>, entry: &mut Entry, notes: &mut Notes) {
    match item.text().and_then(|text| Command::read(text).words()) {
        Some(words) => {
            let words = entry.beside_run(words);
            push(item, Map::from_iter([("command".to_owned(), json!(words))]), timing, entry, notes);
        }
        None => notes.wrong(item, "a command"),
    }
}

fn push(
    item: &Item<'_>,
    mut check: Map<String, Value>,
    timing: &Map<String, Value>,
    entry: &mut Entry,
    notes: &mut Notes,
) {
    check.extend(timing.clone());
    entry.push(item, "checks", Value::Object(check), notes);
}

/// A URL without a port is one of the proxy, which ends TLS too; behind it the service answers on its own port.
fn url(service: &Item<'_>, item: &Item<'_>, port: Option<i64>) -> Result<Map<String, Value>, String> {
    let Some(mut url) = item.text().and_then(Url::read) else {
        return Err("it is not an http or https URL".to_owned());
    };
    if !UrlPath::good(&url.path) {
        return Err("its path cannot be asked here".to_owned());
    }
    if url.port.is_none() && url.is_named() {
        let Some(port) = port else {
            return Err("it asks the proxy, and the service has no port of its own".to_owned());
        };
        url.https &= service.get("tls_cert").is_some();
        url.port = u16::try_from(port).ok();
    }
    if url.https && !url.is_named() {
        return Err("the name that its certificate must carry is not known".to_owned());
    }
    Ok(url.check(port))
}

fn path(
    service: &Item<'_>,
    item: &Item<'_>,
    port: Option<i64>,
    timing: &Map<String, Value>,
    entry: &mut Entry,
    notes: &mut Notes,
) {
    let https = service.get("protocol").filter(|protocol| protocol.text() == Some("https"));
    let name = service.get("hostname").and_then(|item| item.text().map(str::to_owned));
    let Some(path) = item.text().filter(|path| UrlPath::good(path)) else {
        return notes.wrong(item, "the path of a URL");
    };
    if port.is_none() {
        return notes.lost(item, "the service has no port to ask", "give it a `port`, and the check");
    }
    let mut check = Map::from_iter([("http".to_owned(), json!(path))]);
    match (&https, name) {
        (Some(_), Some(name)) => drop(check.insert("tls".to_owned(), json!({ "name": name }))),
        (Some(_), None) => {
            let hint = "give it as `tls: { name: ... }`";
            return notes.lost(item, "the name that the certificate must carry is not known", hint);
        }
        (None, _) => {}
    }
    push(item, check, timing, entry, notes);
    if let Some(protocol) = service.get("protocol") {
        let to = entry.key("checks");
        notes.became(&protocol, to);
    }
}

/// Interval and retries; they belong to every check.
fn timing(service: &Item<'_>, notes: &mut Notes) -> Map<String, Value> {
    let mut timing = Map::new();
    if let Some(item) = service.get("healthcheck_interval") {
        match item.number(1..=86_400).and_then(|seconds| millis(seconds * 1000)) {
            Some(time) => drop(timing.insert("interval".to_owned(), time.into())),
            None => notes.wrong(&item, "a number of seconds"),
        }
    }
    if let Some(item) = service.get("healthcheck_retries") {
        match item.number(0..=1000) {
            Some(count) => drop(timing.insert("retries".to_owned(), count.into())),
            None => notes.wrong(&item, "a number of retries"),
        }
    }
    timing
}

/// Says where the timing went.
fn tell_timing(service: &Item<'_>, timing: &Map<String, Value>, entry: &Entry, notes: &mut Notes) {
    for (key, ours) in [("healthcheck_interval", "interval"), ("healthcheck_retries", "retries")] {
        let Some(item) = service.get(key) else { continue };
        if !timing.contains_key(ours) {
            continue;
        }
        let checks = entry.keys.get("checks").and_then(Value::as_array).into_iter().flatten();
        match checks.enumerate().find(|(_, check)| !check[ours].is_null()) {
            Some((at, check)) => {
                let key = entry.key(&format!("checks[{at}].{ours}"));
                notes.became(&item, format!("{key}: {}", flow(&check[ours])));
            }
            None => {
                notes.lost(&item, "no check was mapped that it could belong to", "give it to a check of the service")
            }
        }
    }
}
