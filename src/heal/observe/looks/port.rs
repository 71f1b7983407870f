//! port: who listens on a service's ports: the service itself, a process of it that was left behind, or a stranger.

use std::collections::{BTreeMap, BTreeSet};

use crate::heal::Observation;
use crate::heal::observe::scene::{About, Heard, Look, Placed, Scene, once};
use crate::heal::sight::STARTING;
use crate::host::Layout;
use crate::host::look::Listener;

pub(super) const LOOK: Look = Look { name: "port", about: About::Service, shell: SHELL, calls: once, judge };

/// Whose child a process is, and, of those that stand in our folders, where.
const SHELL: &str = r#"
look_port() {
  if [ ! -d /proc/self ] && [ "$init" = launchd ]; then
    bounded ps -A -o pid= -o ppid= | while read -r pid parent; do printf '/proc/%s/status:PPid:\t%s\n' "$pid" "$parent"; done
    return
  fi
  [ -d /proc/self ] || { lacks /proc; return; }
  grep -H '^PPid:' /proc/[0-9]*/status
  ls -l /proc/[0-9]*/cwd | grep -F " -> $base/"
}
"#;

fn judge(scene: &Scene<'_>, heard: &Heard) -> Vec<Observation> {
    let family = heard.answer(&LOOK, "").map(Family::read);
    let mut found = Vec::new();
    for placed in &scene.services {
        if heard.service(placed).is_none_or(|there| there.readable().is_none()) {
            continue;
        }
        let runs = heard.instances(placed).iter().all(|instance| instance.unit.is_some_and(|unit| unit.runs()));
        let starting = heard.starting(placed);
        for port in ports(placed) {
            let one = scene.of(&LOOK, placed).of(port.to_string()).with("port", port);
            let Some(listeners) = &heard.found.listeners else {
                found.push(one.unseen("the host does not tell who listens"));
                continue;
            };
            // What runs should listen.
            let missed = runs.then(|| match &starting {
                Some(why) => {
                    one.clone().with("state", STARTING).unseen(format!("nobody listens on port {port} yet: {why}"))
                }
                None => one.clone().with("state", "closed").bad(format!("nobody listens on port {port}")),
            });
            found.push(match (listeners.get(&port), missed) {
                (Some(listeners), missed) => {
                    held(scene, heard, placed, (port, listeners), (one, missed), family.as_ref())
                }
                (None, Some(missed)) => missed,
                // What does not run does not listen; the look `unit` says that.
                (None, None) => one.with("state", "closed").good(format!("nobody holds port {port}")),
            });
        }
    }
    found
}

fn ports(placed: &Placed<'_>) -> BTreeSet<u16> {
    let service = placed.service;
    let main =
        service.port.into_iter().flat_map(|port| (0..service.instances).filter_map(move |n| port.checked_add(n)));
    main.chain(service.ports.iter().copied()).collect()
}

/// Somebody listens. Where several do, each has addresses of its own, and the service is well when one of them is of it; where all are
/// strangers on addresses of their own, it is missed.
fn held(
    scene: &Scene<'_>,
    heard: &Heard,
    placed: &Placed<'_>,
    (port, listeners): (u16, &[Listener]),
    (one, missed): (Observation, Option<Observation>),
    family: Result<&Family<'_>, &String>,
) -> Observation {
    let whole = |one: Observation, listener: &Listener| {
        let (pid, name) = listener.process.clone().unwrap_or_default();
        let one = one.with("local", if listener.local() { "yes" } else { "no" }).with("pid", pid);
        one.with("holder", name).with("holder_unit", listener.unit.as_deref().unwrap_or_default())
    };
    if let Some(own) = listeners.iter().find(|listener| is_own(heard, placed, port, listener, family)) {
        return whole(one, own).with("state", "own").good(format!("it listens on port {port}"));
    }
    if listeners.iter().any(|listener| listener.process.is_none()) {
        return one.unseen(format!("somebody listens on port {port}, and this user may not see who"));
    }
    // What holds the usual addresses is in the way before what holds one of its own.
    let Some(listener) = listeners.iter().min_by_key(|listener| listener.apart()) else {
        return one.unseen(format!("who listens on port {port} was not told"));
    };
    let (pid, name) = listener.process.clone().unwrap_or_default();
    let unit = listener.unit.as_deref().unwrap_or_default();
    let one = whole(one, listener);
    if let Some(why) = heard.seen().blind.as_ref().filter(|_| placed.service.kind.is_docker()) {
        return one.unseen(format!("pid {pid} ({name}) listens on port {port}; whether for a container of it: {why}"));
    }
    let family = match family {
        Ok(family) => family,
        // It may be a child of the service's own.
        Err(why) => return one.unseen(format!("pid {pid} ({name}) listens on port {port}; whose child it is: {why}")),
    };
    let folder = Layout::new(&heard.seen().facts.base).service(&placed.service.name);
    let stands = family.folders.get(&pid).is_some_and(|at| at.starts_with(&format!("{folder}/")));
    let other = scene.services.iter().find(|other| other.units.iter().any(|(_, name)| name == unit));
    if listener.apart() && !stands {
        let at: Vec<String> = listener.at.iter().map(ToString::to_string).collect();
        let says = format!(
            "pid {pid} ({name}) listens on port {port} of {} only; whether that is in its way",
            at.join(" and ")
        );
        return missed.unwrap_or_else(|| one.unseen(says));
    }
    let (state, who) = match (stands, other) {
        (true, _) => ("left-behind", format!("pid {pid} ({name}), a process of it that was left behind")),
        (_, Some(other)) => ("service", format!("the service {}", other.service.name)),
        _ if unit.is_empty() => ("stranger", format!("pid {pid} ({name})")),
        _ => ("stranger", format!("pid {pid} ({name}, {unit})")),
    };
    one.with("state", state).with("who", &who).bad(format!("port {port} is held by {who}"))
}

/// Whether this is a process of the service, or docker that listens for a container of it; which one, their own ports tell.
fn is_own(
    heard: &Heard,
    placed: &Placed<'_>,
    port: u16,
    listener: &Listener,
    family: Result<&Family<'_>, &String>,
) -> bool {
    let Some((pid, _)) = &listener.process else { return false };
    let ours = |main: u32| *pid == main || family.is_ok_and(|family| family.descends(*pid, main));
    let published = || {
        heard
            .containers(placed)
            .any(|one| matches!(one.state.as_str(), "running" | "paused") && publishes(&one.ports, port))
    };
    let own = heard.instances(placed).iter().any(|instance| {
        listener.unit.as_ref() == Some(&instance.name)
            || instance.unit.is_some_and(|unit| unit.pid > 0 && ours(unit.pid))
    });
    own || (placed.service.kind.is_docker() && published())
}

/// Whether one of these ports of containers, as `8080->80/tcp`, is this port of the host.
fn publishes(ports: &[String], port: u16) -> bool {
    ports.iter().any(|one| {
        one.split_once("->").is_some_and(|(outer, _)| outer.rsplit(':').next() == Some(port.to_string().as_str()))
    })
}

/// Who is whose child, and who stands where.
struct Family<'a> {
    parents: BTreeMap<u32, u32>,
    folders: BTreeMap<u32, &'a str>,
}

impl<'a> Family<'a> {
    fn read(text: &'a str) -> Self {
        let mut family = Self { parents: BTreeMap::new(), folders: BTreeMap::new() };
        for line in text.lines() {
            let Some((_, rest)) = line.split_once("/proc/") else { continue };
            let Some((pid, rest)) = rest.split_once('/') else { continue };
            let Ok(pid) = pid.parse() else { continue };
            if let Some(parent) = rest.strip_prefix("status:PPid:").and_then(|parent| parent.trim().parse().ok()) {
                family.parents.insert(pid, parent);
            } else if let Some(folder) = rest.strip_prefix("cwd -> ") {
                family.folders.insert(pid, folder);
            }
        }
        family
    }

    /// Whether a process is another one, or comes from it.
    fn descends(&self, mut pid: u32, from: u32) -> bool {
        for _ in 0..64 {
            if pid == from {
                return true;
            }
            match self.parents.get(&pid) {
                Some(parent) if *parent > 1 => pid = *parent,
                _ => return false,
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::{Family, LOOK};
    use crate::heal::observe::looks::tests::{says, service_told};
    use crate::host::look::Listener;

    #[test]
    fn a_child_of_the_service_is_no_stranger_where_the_host_did_not_say_whose_it_is() {
        let held = |pid: u32, part: &str| {
            let listener = Listener { process: Some((pid, "w".into())), ..Listener::default() };
            says(&service_told(&LOOK, "", 0, &[listener], &[("heal/port ", part)])).concat()
        };
        let family = "/proc/9/status:PPid:\t7\n/proc/12/status:PPid:\t1";
        assert_eq!(held(9, family), "good it listens on port 80");
        assert_eq!(held(12, family), "bad port 80 is held by pid 12 (w)");
        let late = "/proc/12/status:PPid:\t1\n!late 5 ls";
        assert_eq!(held(7, late), "good it listens on port 80");
        let why = "unseen pid 9 (w) listens on port 80; whose child it is: `ls` did not answer within 5 s";
        assert_eq!(held(9, late), why);
    }

    #[test]
    fn who_listens_on_another_address_is_no_stranger() {
        let one = |pid: u32, at: &str| Listener {
            at: [at.parse().expect("an address")].into(),
            process: (pid > 0).then(|| (pid, "w".into())),
            unit: None,
        };
        let held = |all: &[Listener]| {
            let family = "/proc/7/status:PPid:\t1\n/proc/9/status:PPid:\t1\n/proc/12/status:PPid:\t1";
            says(&service_told(&LOOK, "", 0, all, &[("heal/port ", family)])).concat()
        };
        let resolved = one(12, "127.0.0.53");
        assert_eq!(held(&[resolved.clone(), one(7, "192.0.2.1")]), "good it listens on port 80");
        assert_eq!(held(&[one(9, "127.0.0.1"), one(7, "192.0.2.1")]), "good it listens on port 80");
        assert_eq!(held(std::slice::from_ref(&resolved)), "bad nobody listens on port 80");
        assert_eq!(held(&[resolved.clone(), one(9, "0.0.0.0")]), "bad port 80 is held by pid 9 (w)");
        let why = "unseen somebody listens on port 80, and this user may not see who";
        assert_eq!(held(&[resolved, one(0, "192.0.2.1")]), why);
    }

    #[test]
    fn a_family_is_read() {
        let text = "/proc/12/status:PPid:\t7\n/proc/7/status:PPid:\t1\nlrwxrwxrwx 1 0 0 0 Nov 21 12:00 /proc/9/cwd -> /opt/portoser/services/a/releases/b\n";
        let family = Family::read(text);
        assert!(family.descends(12, 7) && family.descends(7, 7) && !family.descends(7, 12) && !family.descends(9, 7));
        assert_eq!(family.folders[&9], "/opt/portoser/services/a/releases/b");
    }
}
