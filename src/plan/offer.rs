//! What was found on a host, as entries for the registry. An entry names a unit that is there, so taking it in changes nothing on
//! the host. What cannot be an entry is told with its reason and the next move.

mod compose;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::host::Init;
use crate::host::look::{Discovered, FoundUnit};
use crate::model::{HostName, ServiceName};
use crate::registry::{Kind, Native, Registry, name_of};

/// What can be taken from a host into the registry.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Offer {
    pub entries: Vec<Offered>,
    pub left: Vec<Left>,
}

/// An entry for the registry.
#[derive(Clone, Debug, PartialEq)]
pub struct Offered {
    pub name: ServiceName,
    /// In the registry's keys.
    pub service: Value,
    /// Where it comes from.
    pub seen: String,
    /// Whether it runs, so that there is something to take over.
    pub runs: bool,
    /// The file on the host that the entry needs beside the registry, and its path there.
    pub fetch: Option<(String, String)>,
}

/// What was found and is not offered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    pub what: String,
    pub why: String,
    pub hint: Option<String>,
}

/// Units that make a host a host, and are nobody's service.
const OF_THE_HOST: [&str; 12] = [
    "ssh.service",
    "sshd.service",
    "docker.service",
    "containerd.service",
    "podman.service",
    "dbus.service",
    "rpcbind.service",
    "chrony.service",
    "chronyd.service",
    "NetworkManager.service",
    "cups.service",
    "avahi-daemon.service",
];

/// Programs that listen for containers.
const CONTAINERS: [&str; 6] = ["docker-proxy", "conmon", "rootlessport", "aardvark-dns", "pasta", "slirp4netns"];

/// What of this can be taken into the registry: units that did not come with the distribution, and those of the distribution
/// that listen on a port.
#[must_use]
pub fn offer(registry: &Registry, host: &HostName, found: &Discovered) -> Offer {
    let mut offer = Offer::default();
    let mut names: BTreeSet<ServiceName> = registry.services.keys().cloned().collect();
    let known = known(registry, host);
    let mut ports: BTreeMap<&str, Vec<u16>> = BTreeMap::new();
    for (port, all) in found.listeners.iter().flatten() {
        let units: BTreeSet<&str> = all.iter().filter_map(|one| one.unit.as_deref()).collect();
        units.into_iter().for_each(|unit| ports.entry(unit).or_default().push(*port));
    }
    for (unit, file) in &found.units {
        let ports = ports.remove(unit.as_str()).unwrap_or_default();
        if of_the_host(unit) || (file.packaged && ports.is_empty()) {
            continue;
        }
        match refuse(unit, file, &known) {
            Some((why, hint)) => offer.left.push(Left { what: format!("unit {unit}"), why, hint }),
            None => offer.entries.extend(entry(registry, host, (unit, file), &ports, &mut names)),
        }
    }
    offer.left.extend(unseen(found));
    compose::projects(registry, host, found, &mut names, &mut offer);
    offer.left.extend(listeners(registry, host, found));
    offer
}

/// What this host could not be asked for; it may be there.
fn unseen(found: &Discovered) -> impl Iterator<Item = Left> {
    let left = |what: &str, why: &str| Left { what: what.to_owned(), why: why.to_owned(), hint: None };
    let units = (found.facts.init != Init::Systemd).then(|| left("units", "there is no systemd to ask for them"));
    let ports = found.listeners.is_none().then(|| left("listening ports", "there is no /proc/net/tcp that tells them"));
    units.into_iter().chain(ports)
}

fn of_the_host(unit: &str) -> bool {
    OF_THE_HOST.contains(&unit) || unit.starts_with("systemd-") || unit.starts_with("user@") || unit.contains("getty@")
}

/// The units of this host that the registry names, with their services.
fn known<'a>(registry: &'a Registry, host: &HostName) -> BTreeMap<&'a str, &'a ServiceName> {
    let here = registry.services.values().filter(|service| service.hosts.contains(host));
    let unit = here.filter_map(|service| match &service.kind {
        Kind::Native(Native::Unit { name }) => Some((name.as_str(), &service.name)),
        Kind::Native(Native::Run { .. }) | Kind::Python(_) | Kind::Docker(_) => None,
    });
    unit.collect()
}

fn refuse(unit: &str, file: &FoundUnit, known: &BTreeMap<&str, &ServiceName>) -> Option<(String, Option<String>)> {
    if let Some(service) = known.get(unit) {
        return Some((format!("the registry has it already, as `{service}`"), None));
    }
    if unit.starts_with("portoser-") {
        let hint = "`portoser status` tells of those that are not in the registry".to_owned();
        return Some(("portoser made it".to_owned(), Some(hint)));
    }
    if !file.active && !file.enabled {
        return Some(("it neither runs nor is enabled".to_owned(), None));
    }
    None
}

fn entry(
    registry: &Registry,
    host: &HostName,
    (unit, file): (&str, &FoundUnit),
    ports: &[u16],
    names: &mut BTreeSet<ServiceName>,
) -> Option<Offered> {
    let name = name(unit.strip_suffix(".service").unwrap_or(unit), host, names)?;
    let mut service = Map::from_iter([
        ("type".to_owned(), json!("native")),
        ("host".to_owned(), json!(host)),
        ("unit".to_owned(), json!(unit)),
    ]);
    listens(registry, host, ports, &mut service);
    let state = match (file.active, file.enabled) {
        (true, true) => "runs, enabled",
        (true, false) => "runs, not enabled",
        (false, _) => "does not run, enabled",
    };
    let from = if file.packaged { "the distribution's" } else { "not the distribution's" };
    let seen = format!("{unit} ({state}, {from}): {}", file.path);
    Some(Offered { name, service: Value::Object(service), seen, runs: file.active, fetch: None })
}

/// A name for an entry that nothing has yet.
fn name(stem: &str, host: &HostName, names: &mut BTreeSet<ServiceName>) -> Option<ServiceName> {
    let all = [stem.to_owned(), format!("{stem}-{host}")];
    let name = all.iter().find_map(|name| name_of(name).filter(|name| !names.contains(name)))?;
    names.insert(name.clone());
    Some(name)
}

/// Sets the ports of an entry. One that a service of the registry has on this host cannot be given twice.
fn listens(registry: &Registry, host: &HostName, ports: &[u16], service: &mut Map<String, Value>) {
    let taken = |port: &u16| {
        registry.services.values().any(|service| {
            service.hosts.contains(host) && (service.port == Some(*port) || service.ports.contains(port))
        })
    };
    let ports: Vec<u16> = ports.iter().copied().filter(|port| !taken(port)).collect();
    if let Some((first, more)) = ports.split_first() {
        service.insert("port".to_owned(), json!(first));
        if !more.is_empty() {
            service.insert("ports".to_owned(), json!(more));
        }
    }
}

/// Listeners that no unit above explains.
fn listeners(registry: &Registry, host: &HostName, found: &Discovered) -> Vec<Left> {
    let mut left = Vec::new();
    let all = found.listeners.iter().flatten().flat_map(|(port, all)| all.iter().map(move |one| (port, one)));
    for (port, listener) in all {
        let in_registry = registry.services.values().any(|service| {
            service.hosts.contains(host) && (service.port == Some(*port) || service.ports.contains(port))
        });
        let explained = listener.unit.as_ref().is_some_and(|unit| found.units.contains_key(unit) || of_the_host(unit));
        let (who, why) = match &listener.process {
            // They hold the ports of containers: Docker's, Podman's, and the latter's names.
            Some((_, name)) if CONTAINERS.contains(&name.as_str()) => continue,
            Some((1, _)) => ("the init system".to_owned(), "it begins a unit when somebody connects"),
            Some((pid, name)) => (format!("{name}, pid {pid}"), "no unit runs it"),
            None => ("an unknown process".to_owned(), "whose it is cannot be seen"),
        };
        if in_registry || explained {
            continue;
        }
        let hint = match &listener.process {
            Some((1, _)) => Some("`systemctl list-sockets` on the host names the unit".to_owned()),
            Some(_) => Some("run it as a service: `portoser service add ... -- COMMAND`".to_owned()),
            None => Some("look again as root: `become: sudo`".to_owned()),
        };
        let reach = if listener.local() { ", reached from the host only" } else { "" };
        left.push(Left { what: format!("port {port} ({who}{reach})"), why: why.to_owned(), hint });
    }
    left
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::host::Facts;
    use crate::host::look::{Container, Listener, Part};
    use crate::registry::{Format, load_text};

    fn unit(path: &str, active: bool, packaged: bool) -> FoundUnit {
        FoundUnit { path: path.to_owned(), active, enabled: active, packaged }
    }

    fn listener(pid: u32, name: &str, unit: Option<&str>) -> Listener {
        Listener { at: BTreeSet::new(), process: Some((pid, name.to_owned())), unit: unit.map(str::to_owned) }
    }

    fn found() -> Discovered {
        let units = [
            ("app.service", unit("/etc/systemd/system/app.service", true, false)),
            ("nginx.service", unit("/lib/systemd/system/nginx.service", true, true)),
            ("cron.service", unit("/lib/systemd/system/cron.service", true, true)),
            ("idle.service", unit("/etc/systemd/system/idle.service", false, false)),
            ("db.service", unit("/etc/systemd/system/db.service", true, false)),
            ("portoser-x.service", unit("/etc/systemd/system/portoser-x.service", true, false)),
            ("ssh.service", unit("/lib/systemd/system/ssh.service", true, true)),
            ("web.service", unit("/etc/systemd/system/web.service", true, false)),
        ];
        let listeners = [
            (22, listener(7, "sshd", Some("ssh.service"))),
            (80, listener(8, "nginx", Some("nginx.service"))),
            (443, listener(8, "nginx", Some("nginx.service"))),
            (631, listener(1, "systemd", None)),
            (8080, listener(9, "docker-proxy", Some("docker.service"))),
            (9000, listener(10, "node", None)),
            (9001, Listener::default()),
        ];
        let part = |project: &str, name: &str, files: &str| {
            let [project, name, files, folder] = [project, name, files, "/srv/shop"].map(str::to_owned);
            Some(Part { project, name, files, folder })
        };
        let shop = |name: &str| part("shop", name, "/srv/shop/compose.yml");
        let container = |name: &str, compose, ports: &[u16]| Container {
            name: name.into(),
            image: "i".into(),
            state: "running".into(),
            compose,
            ports: ports.to_vec(),
            service: (name == "ours").then(|| "x".to_owned()),
        };
        Discovered {
            facts: Facts { init: Init::Systemd, ..Facts::default() },
            units: units.into_iter().map(|(name, unit)| (name.to_owned(), unit)).collect(),
            listeners: Some(listeners.map(|(port, one)| (port, vec![one])).into_iter().collect()),
            containers: Some(vec![
                container("shop-b-1", shop("b"), &[8080]),
                container("shop-a-1", shop("a"), &[]),
                container("lone", None, &[]),
                container("two-1", part("two", "a", "/srv/a.yml,/srv/b.yml"), &[]),
                container("ours", part("portoser-x", "x", "/opt/x"), &[]),
            ]),
        }
    }

    #[test]
    fn what_is_not_the_distributions_or_listens_is_offered() {
        let text = "version: 1\nhosts: { h: {}, g: {} }\nservices:\n  \
                    db: { type: native, host: h, unit: db.service, port: 443 }\n  web: { type: native, host: g, run: [x] }\n";
        let registry = load_text(text, Format::Yaml, Path::new("/r.yml"), None).expect("a registry");
        let offer = offer(&registry, &HostName::try_from("h").expect("a name"), &found());
        let entries: Vec<(&str, &Value)> = offer.entries.iter().map(|one| (one.name.as_str(), &one.service)).collect();
        assert_eq!(
            entries,
            [
                ("app", &json!({ "type": "native", "host": "h", "unit": "app.service" })),
                ("nginx", &json!({ "type": "native", "host": "h", "unit": "nginx.service", "port": 80 })),
                ("web-h", &json!({ "type": "native", "host": "h", "unit": "web.service" })),
                (
                    "shop",
                    &json!({
                        "type": "docker", "host": "h", "compose": "shop/compose.yml", "port": 8080,
                        "project": { "name": "shop", "folder": "/srv/shop" },
                    })
                ),
            ]
        );
        let left: Vec<&str> = offer.left.iter().map(|left| left.what.as_str()).collect();
        assert_eq!(
            left,
            [
                "unit db.service",
                "unit idle.service",
                "unit portoser-x.service",
                "container lone of i (running)",
                "compose project portoser-x (x)",
                "compose project two (a)",
                "port 631 (the init system)",
                "port 9000 (node, pid 10)",
                "port 9001 (an unknown process)",
            ]
        );
    }

    #[test]
    fn what_cannot_be_asked_for_is_told() {
        let registry = load_text("version: 1\nhosts: { h: {} }\n", Format::Yaml, Path::new("/r.yml"), None);
        let bare = Discovered { facts: Facts::default(), units: BTreeMap::new(), listeners: None, containers: None };
        let offer = offer(&registry.expect("a registry"), &HostName::try_from("h").expect("a name"), &bare);
        let left: Vec<&str> = offer.left.iter().map(|left| left.what.as_str()).collect();
        assert_eq!(left, ["units", "listening ports"]);
    }
}
