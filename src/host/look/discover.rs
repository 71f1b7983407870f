//! What runs on a host already, whoever set it up: units, listening ports and their owners, containers. All of it is text from
//! outside; a line that cannot be read is left out.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde_json::Value;

use crate::host::Facts;
use crate::host::look::read::{LookError, facts, framed};
use crate::host::look::{LIBRARY, call, host_words};

pub(super) const DISCOVER: &str = include_str!("discover.sh");

/// What was found on a host.
#[derive(Clone, Debug, PartialEq)]
pub struct Discovered {
    pub facts: Facts,
    /// The units of the host's init system, by name.
    pub units: BTreeMap<String, FoundUnit>,
    /// Who listens on TCP ports; none where the host does not tell.
    pub listeners: Option<Listeners>,
    /// The containers; none where there is no docker, or it does not answer.
    pub containers: Option<Vec<Container>>,
}

/// A unit that is loaded, or that lies in a folder of the administrator.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FoundUnit {
    /// Its file on the host.
    pub path: String,
    pub active: bool,
    pub enabled: bool,
    /// Whether it came with the distribution.
    pub packaged: bool,
}

/// Who listens on TCP ports, by port. Each address of the host has ports of its own, so there may be several of one.
pub type Listeners = BTreeMap<u16, Vec<Listener>>;

/// Who listens on a port.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listener {
    /// The addresses that it listens on; one that cannot be read is missing.
    pub at: BTreeSet<IpAddr>,
    /// The process's id and name; not known without the right to look.
    pub process: Option<(u32, String)>,
    /// The unit that the process belongs to.
    pub unit: Option<String>,
}

impl Listener {
    /// Whether only the host itself can reach it.
    #[must_use]
    pub fn local(&self) -> bool {
        !self.at.is_empty() && self.at.iter().all(IpAddr::is_loopback)
    }

    /// Whether it listens on few addresses of its own only, so that others may have this port on the usual ones.
    #[must_use]
    pub fn apart(&self) -> bool {
        let usual = |at: &IpAddr| at.is_unspecified() || *at == Ipv4Addr::LOCALHOST || *at == Ipv6Addr::LOCALHOST;
        !self.at.is_empty() && !self.at.iter().any(usual)
    }
}

/// A container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    pub name: String,
    pub image: String,
    /// As docker calls it: `running`, `exited`, ...
    pub state: String,
    /// Whose part it is; none when compose did not make it.
    pub compose: Option<Part>,
    /// The TCP ports of the host that it is reached by.
    pub ports: Vec<u16>,
    /// The service of ours that it belongs to.
    pub service: Option<String>,
}

/// A part of a compose project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    pub project: String,
    pub name: String,
    /// The files of the project on the host, with commas between them.
    pub files: String,
    /// The folder in which their relative paths begin.
    pub folder: String,
}

/// The script for `sh -s` that asks a host for what runs there. `base` as in `Question`.
#[must_use]
pub fn discover_script(base: Option<&str>) -> String {
    let mut script = format!("{LIBRARY}{DISCOVER}");
    call(&mut script, &host_words(base));
    script.push_str("discover\nsay end ''\n");
    script
}

/// Reads the answer.
///
/// # Errors
/// When the answer is not ours, or is cut: the host was then not seen.
pub fn read_discovered(answer: &[u8]) -> Result<Discovered, LookError> {
    let parts = framed(answer)?;
    let get = |key: &str| parts.iter().find(|part| part.0 == key).map(|part| part.1.as_str());
    let mut units = units(get("discover/units").unwrap_or_default());
    let packaged = get("discover/packaged").map(packaged);
    for (name, unit) in &mut units {
        unit.packaged = match &packaged {
            Some(packaged) => packaged.contains(name.as_str()) || packaged.contains(template(name).as_str()),
            None => !is_of_the_administrator(&unit.path),
        } && !is_of_the_administrator(&unit.path);
    }
    for path in get("discover/files").unwrap_or_default().lines() {
        let name = path.rsplit('/').next().unwrap_or_default();
        // A template is no unit; its instances are, once they are loaded.
        if !name.is_empty() && !name.ends_with("@.service") && !units.contains_key(name) {
            units.insert(name.to_owned(), FoundUnit { path: path.to_owned(), ..FoundUnit::default() });
        }
    }
    let listeners = read_listeners(get);
    let containers = get("discover/containers").map(|text| text.lines().filter_map(container).collect());
    Ok(Discovered { facts: facts(&parts)?, units, listeners, containers })
}

/// Who listens on TCP ports, from the parts that the shell function `listeners` says; none where the host does not tell.
pub(super) fn read_listeners<'a>(get: impl Fn(&str) -> Option<&'a str>) -> Option<Listeners> {
    if let Some(text) = get("discover/netstat") {
        return Some(of_macos(text, get("discover/lsof").unwrap_or_default()));
    }
    let holders = holders(get("discover/sockets").unwrap_or_default());
    let processes = processes(get("discover/processes").unwrap_or_default());
    get("discover/listening").map(|text| listeners(text, &holders, &processes))
}

/// The names and the units of processes.
type Processes<'a> = (BTreeMap<u32, &'a str>, BTreeMap<u32, &'a str>);

/// The listeners of `/proc/net/tcp`, each with the process that holds its sockets.
fn listeners(text: &str, holders: &BTreeMap<&str, u32>, (names, groups): &Processes<'_>) -> Listeners {
    let mut listeners = Listeners::new();
    for (port, at, inode) in text.lines().filter_map(listening) {
        let pid = holders.get(inode).copied();
        let process = pid.and_then(|pid| Some((pid, (*names.get(&pid)?).to_owned())));
        let unit = pid.and_then(|pid| groups.get(&pid)).map(|unit| (*unit).to_owned());
        heard(&mut listeners, port, Listener { at: at.into_iter().collect(), process, unit });
    }
    listeners
}

/// Whoever listens on several addresses is one.
fn heard(listeners: &mut Listeners, port: u16, one: Listener) {
    let all = listeners.entry(port).or_default();
    match all.iter_mut().find(|other| other.process == one.process && other.unit == one.unit) {
        Some(other) => other.at.extend(one.at),
        None => all.push(one),
    }
}

/// The listeners of macOS: `tcp4 0 0 127.0.0.1.5432 *.* LISTEN` of `netstat`; and of `lsof -F pcn` a process as `pPID`, its name as
/// `cNAME`, and each of its addresses as `n127.0.0.1:5432`.
fn of_macos(netstat: &str, lsof: &str) -> Listeners {
    let mut listeners = Listeners::new();
    let mut process = None;
    for line in lsof.lines() {
        let Some((kind, value)) = line.split_at_checked(1) else { continue };
        match kind {
            "p" => process = value.parse().ok().map(|pid: u32| (pid, String::new())),
            "c" => process = process.map(|(pid, _)| (pid, value.to_owned())),
            "n" => {
                let Some((at, Ok(port))) = value.rsplit_once(':').map(|(at, port)| (at, port.parse())) else {
                    continue;
                };
                heard(&mut listeners, port, Listener { at: named(at), process: process.clone(), unit: None });
            }
            _ => {}
        }
    }
    // Those whose process was not told.
    for at in netstat.lines().filter_map(|line| line.split_ascii_whitespace().nth(3)) {
        let Some((at, Ok(port))) = at.rsplit_once('.').map(|(at, port)| (at, port.parse::<u16>())) else { continue };
        let at = named(at);
        if !listeners.get(&port).is_some_and(|all| all.iter().any(|one| one.at.is_superset(&at))) {
            heard(&mut listeners, port, Listener { at, ..Listener::default() });
        }
    }
    listeners
}

/// An address as `netstat` and `lsof` write it; `*` is all.
fn named(text: &str) -> BTreeSet<IpAddr> {
    let text = text.trim_start_matches('[').trim_end_matches(']');
    let text = if text == "*" { "0.0.0.0" } else { text.split('%').next().unwrap_or_default() };
    text.parse().into_iter().collect()
}

fn is_of_the_administrator(path: &str) -> bool {
    path.starts_with("/etc/systemd/system/") || path.starts_with("/usr/local/")
}

/// The blocks of `systemctl show`. Units that were made up at run time, such as those of `systemd-run`, are left out.
fn units(text: &str) -> BTreeMap<String, FoundUnit> {
    let mut units = BTreeMap::new();
    for block in text.split("\n\n") {
        let get = |key: &str| block.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        let (Some(name), Some(path)) = (get("Id"), get("FragmentPath")) else { continue };
        if path.is_empty() || path.starts_with("/run/") {
            continue;
        }
        let unit = FoundUnit {
            path: path.to_owned(),
            active: matches!(get("ActiveState"), Some("active" | "activating" | "reloading")),
            enabled: get("UnitFileState").is_some_and(|state| state.starts_with("enabled")),
            packaged: false,
        };
        units.insert(name.to_owned(), unit);
    }
    units
}

/// The unit files that packages brought: `PACKAGE: PATH`.
fn packaged(text: &str) -> BTreeSet<&str> {
    text.lines().filter_map(|line| line.rsplit_once(": ")?.1.rsplit('/').next()).collect()
}

/// The template of an instance: `a@.service` for `a@b.service`.
fn template(name: &str) -> String {
    match (name.split_once('@'), name.rsplit_once('.')) {
        (Some((name, _)), Some((_, kind))) => format!("{name}@.{kind}"),
        _ => name.to_owned(),
    }
}

/// The process that holds each socket, from `ls -l /proc/PID/fd`; the first one, as sockets are handed down to children.
fn holders(text: &str) -> BTreeMap<&str, u32> {
    let (mut pid, mut holders) = (None, BTreeMap::new());
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("/proc/") {
            pid = rest.split('/').next().and_then(|pid| pid.parse::<u32>().ok());
        } else if let (Some(pid), Some((_, rest))) = (pid, line.rsplit_once("-> socket:["))
            && let Some(inode) = rest.strip_suffix(']')
        {
            let holder = holders.entry(inode).or_insert(pid);
            *holder = pid.min(*holder);
        }
    }
    holders
}

/// The name and the unit of each process, from `/proc/PID/comm` and `/proc/PID/cgroup`.
fn processes(text: &str) -> Processes<'_> {
    let (mut names, mut units) = (BTreeMap::new(), BTreeMap::new());
    for line in text.lines() {
        let Some((path, value)) = line.strip_prefix("/proc/").and_then(|line| line.split_once(':')) else { continue };
        let Some((pid, file)) = path.split_once('/') else { continue };
        let Ok(pid) = pid.parse() else { continue };
        if file == "comm" {
            names.insert(pid, value);
        } else if let Some(unit) = value.split('/').rfind(|part| part.ends_with(".service")) {
            units.insert(pid, unit);
        }
    }
    (names, units)
}

/// Port, address, and inode of a line of `/proc/net/tcp` (proc(5)).
fn listening(line: &str) -> Option<(u16, Option<IpAddr>, &str)> {
    let mut words = line.split_ascii_whitespace();
    let (address, port) = words.nth(1)?.rsplit_once(':')?;
    Some((u16::from_str_radix(port, 16).ok()?, printed(address), words.nth(7)?))
}

/// An address as the kernel prints it: in words of 32 bits, each as a little-endian machine has it.
fn printed(text: &str) -> Option<IpAddr> {
    let word = |at: usize| Some(u32::from_str_radix(text.get(at..at + 8)?, 16).ok()?.to_le_bytes());
    match text.len() {
        8 => Some(Ipv4Addr::from(word(0)?).into()),
        32 => {
            let words = [word(0)?, word(8)?, word(16)?, word(24)?];
            let bytes: [u8; 16] = words.concat().try_into().ok()?;
            Some(IpAddr::from(bytes).to_canonical())
        }
        _ => None,
    }
}

fn container(line: &str) -> Option<Container> {
    let fields: [Value; 9] = serde_json::from_str(line).ok()?;
    let text = |at: usize| fields[at].as_str().unwrap_or_default().to_owned();
    // The engine puts a slash before a name.
    let name = text(0);
    let name = name.strip_prefix('/').unwrap_or(&name).to_owned();
    let part = Part { project: text(4), name: text(5), files: text(6), folder: text(7) };
    let compose = (!part.project.is_empty()).then_some(part);
    let service = Some(text(8)).filter(|service| !service.is_empty());
    let ports = published(&super::containers::ports(&fields[3]));
    (!name.is_empty()).then_some(Container { name, image: text(1), state: text(2), compose, ports, service })
}

/// The TCP ports of the host in `8080->80/tcp`, `127.0.0.1:53->53/udp`. A range counts by its first.
fn published(ports: &[String]) -> Vec<u16> {
    let pair = |one: &String| {
        let (outer, inner) = one.split_once("->")?;
        let outer: u16 = outer.rsplit(':').next()?.parse().ok()?;
        Some((outer, inner.strip_suffix("/tcp")?.parse::<u16>().ok()?))
    };
    let all: BTreeSet<_> = ports.iter().filter_map(pair).collect();
    let goes_on = |&(outer, inner): &(u16, u16)| match (outer.checked_sub(1), inner.checked_sub(1)) {
        (Some(outer), Some(inner)) => all.contains(&(outer, inner)),
        _ => false,
    };
    let first: BTreeSet<u16> = all.iter().filter(|one| !goes_on(one)).map(|one| one.0).collect();
    first.into_iter().collect()
}

#[cfg(test)]
pub(super) mod tests;
