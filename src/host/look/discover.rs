//! What runs on a host already, whoever set it up: units, listening ports and their owners, containers. All of it is text from
//! outside; a line that cannot be read is left out.

use std::collections::{BTreeMap, BTreeSet};

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
    /// Who listens on TCP ports, by port; none where the host does not tell.
    pub listeners: Option<BTreeMap<u16, Listener>>,
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

/// Who listens on a port.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listener {
    /// Whether only the host itself can reach it.
    pub local: bool,
    /// The process's id and name; not known without the right to look.
    pub process: Option<(u32, String)>,
    /// The unit that the process belongs to.
    pub unit: Option<String>,
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
pub(super) fn read_listeners<'a>(get: impl Fn(&str) -> Option<&'a str>) -> Option<BTreeMap<u16, Listener>> {
    if let Some(text) = get("discover/netstat") {
        return Some(of_macos(text, get("discover/lsof").unwrap_or_default()));
    }
    let holders = holders(get("discover/sockets").unwrap_or_default());
    let processes = processes(get("discover/processes").unwrap_or_default());
    get("discover/listening").map(|text| listeners(text, &holders, &processes))
}

/// The names and the units of processes.
type Processes<'a> = (BTreeMap<u32, &'a str>, BTreeMap<u32, &'a str>);

/// The listeners of `/proc/net/tcp`, each with the process that holds its socket.
fn listeners(text: &str, holders: &BTreeMap<&str, u32>, (names, groups): &Processes<'_>) -> BTreeMap<u16, Listener> {
    let mut listeners = BTreeMap::new();
    for (port, local, inode) in text.lines().filter_map(listening) {
        let pid = holders.get(inode).copied();
        let process = pid.and_then(|pid| Some((pid, (*names.get(&pid)?).to_owned())));
        let unit = pid.and_then(|pid| groups.get(&pid)).map(|unit| (*unit).to_owned());
        let one: &mut Listener = listeners.entry(port).or_insert(Listener { local, ..Listener::default() });
        one.local &= local;
        one.process = one.process.take().or(process);
        one.unit = one.unit.take().or(unit);
    }
    listeners
}

/// The listeners of macOS: `tcp4 0 0 127.0.0.1.5432 *.* LISTEN` of `netstat`; and of `lsof -F pcn` a process as `pPID`, its name as
/// `cNAME`, and each of its addresses as `n127.0.0.1:5432`.
fn of_macos(netstat: &str, lsof: &str) -> BTreeMap<u16, Listener> {
    let mut listeners = BTreeMap::new();
    for address in netstat.lines().filter_map(|line| line.split_ascii_whitespace().nth(3)) {
        let Some((address, Ok(port))) = address.rsplit_once('.').map(|(at, port)| (at, port.parse::<u16>())) else {
            continue;
        };
        let local = address == "::1" || address.starts_with("127.");
        let one: &mut Listener = listeners.entry(port).or_insert(Listener { local, ..Listener::default() });
        one.local &= local;
    }
    let mut process = None;
    for line in lsof.lines() {
        let Some((kind, value)) = line.split_at_checked(1) else { continue };
        match kind {
            "p" => process = value.parse().ok().map(|pid: u32| (pid, String::new())),
            "c" => process = process.map(|(pid, _)| (pid, value.to_owned())),
            "n" => {
                let port = value.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
                let one = port.and_then(|port| listeners.get_mut(&port)).filter(|one| one.process.is_none());
                if let Some(one) = one {
                    one.process.clone_from(&process);
                }
            }
            _ => {}
        }
    }
    listeners
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

/// Port, whether it is the loopback's, and inode of a line of `/proc/net/tcp` (proc(5)).
fn listening(line: &str) -> Option<(u16, bool, &str)> {
    let mut words = line.split_ascii_whitespace();
    let (address, port) = words.nth(1)?.rsplit_once(':')?;
    // 127.0.0.0/8 and ::1, as the kernel prints them on a little-endian machine.
    let local = address.len() == 8 && address.ends_with("7F") || address == "00000000000000000000000001000000";
    Some((u16::from_str_radix(port, 16).ok()?, local, words.nth(7)?))
}

fn container(line: &str) -> Option<Container> {
    let fields: [Value; 9] = serde_json::from_str(line).ok()?;
    let text = |at: usize| fields[at].as_str().unwrap_or_default().to_owned();
    let name = text(0).trim_start_matches('/').to_owned();
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
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn answer(parts: &[(&str, &str)]) -> Vec<u8> {
        let facts = [
            ("uid", "0"),
            ("user", "root"),
            ("home", "/root"),
            ("base", "/opt/portoser"),
            ("init", "systemd"),
            ("tools", "docker"),
            ("system", "Linux x86_64"),
            ("clock", "1"),
            ("disk", ""),
            ("writable", "yes"),
        ];
        let all = facts.iter().chain(parts).chain(&[("end", "")]);
        let all: String = all.map(|(key, value)| format!("@{key} {}\n{value}\n", value.len())).collect();
        format!("welcome\n\n@portoser-look 1\n\n{all}").into_bytes()
    }

    #[test]
    fn what_runs_is_joined_with_who_listens() {
        let found = read_discovered(&answer(&[
            (
                "discover/units",
                "Id=app.service\nFragmentPath=/etc/systemd/system/app.service\nActiveState=active\nUnitFileState=enabled\n\n\
                 Id=pg@15.service\nFragmentPath=/lib/systemd/system/pg@.service\nActiveState=active\nUnitFileState=enabled-runtime\n\n\
                 Id=own.service\nFragmentPath=/lib/systemd/system/own.service\nActiveState=inactive\nUnitFileState=disabled\n\n\
                 Id=gone.service\nFragmentPath=\nActiveState=inactive\n\nId=run-1.service\nFragmentPath=/run/x\n",
            ),
            ("discover/files", "/etc/systemd/system/idle.service\n/etc/systemd/system/t@.service\n"),
            ("discover/packaged", "pg-common: /lib/systemd/system/pg@.service\n"),
            ("discover/listening", "  0: 0100007F:1538 00000000:0000 0A 0:0 0:0 0 0 0 77 1\n  1: 00000000:0050 0:0 0A 0:0 0:0 0 0 0 88 1\n"),
            ("discover/sockets", "/proc/9/fd:\nl 1 r r 64 d 5 -> socket:[77]\n/proc/12/fd:\nl 1 r r 64 d 5 -> socket:[77]\n"),
            ("discover/processes", "/proc/9/comm:postgres\n/proc/9/cgroup:0::/system.slice/system-pg.slice/pg@15.service\n"),
            (
                "discover/containers",
                r#"["/a-1","i","running",{"80/tcp":[{"HostIp":"0.0.0.0","HostPort":"81"},{"HostIp":"::","HostPort":"81"}],"81/tcp":[{"HostPort":"82"}],"53/udp":[{"HostPort":"53"}],"9/tcp":null},"a","x","/srv/a.yml","/srv",""]
["/b","j","exited",{},null,"","","","shop"]
broken
["b"]
"#,
            ),
        ]))
        .expect("an answer");
        let unit = |name: &str| found.units.get(name).map(|unit| (unit.active, unit.enabled, unit.packaged));
        assert_eq!(unit("app.service"), Some((true, true, false)));
        assert_eq!(unit("pg@15.service"), Some((true, true, true)));
        assert_eq!(unit("own.service"), Some((false, false, false)));
        assert_eq!(unit("idle.service"), Some((false, false, false)));
        assert_eq!(found.units.len(), 4);
        let listeners = found.listeners.expect("they are told");
        let listener = &listeners[&5432];
        assert!(listener.local && listener.process == Some((9, "postgres".into())));
        assert_eq!(listener.unit.as_deref(), Some("pg@15.service"));
        assert_eq!(listeners[&80], Listener::default());
        let containers = found.containers.expect("docker answers");
        assert_eq!(containers.len(), 2);
        let [project, name, files, folder] = ["a", "x", "/srv/a.yml", "/srv"].map(str::to_owned);
        assert_eq!(containers[0].compose, Some(Part { project, name, files, folder }));
        assert_eq!((containers[0].name.as_str(), containers[0].ports.as_slice()), ("a-1", &[81][..]));
        assert_eq!((containers[1].compose.as_ref(), containers[1].service.as_deref()), (None, Some("shop")));
    }

    #[test]
    fn who_listens_on_macos_is_read() {
        // As the manual pages of macOS have them; written by us, and never seen on a Mac.
        let netstat = "tcp4       0      0  127.0.0.1.5432         *.*                    LISTEN     \n\
                       tcp6       0      0  ::1.5432               *.*                    LISTEN     \n\
                       tcp46      0      0  *.8080                 *.*                    LISTEN     \n\
                       tcp4       0      0  *.22                   *.*                    LISTEN     \n";
        let lsof = "p312\ncpostgres\nf7\nn127.0.0.1:5432\nf8\nn[::1]:5432\np501\ncjava\nf6\nn*:8080\n";
        let found =
            read_discovered(&answer(&[("discover/netstat", netstat), ("discover/lsof", lsof)])).expect("an answer");
        let found = found.listeners.expect("they are told");
        let one = |port: u16| found.get(&port).map(|one| (one.local, one.process.clone()));
        assert_eq!(one(5432), Some((true, Some((312, "postgres".into())))));
        assert_eq!(one(8080), Some((false, Some((501, "java".into())))));
        assert_eq!((one(22), found.len()), (Some((false, None)), 3), "its process was not told");
    }

    proptest! {
        #[test]
        fn any_answer_is_read(which in 0..9_usize, text in "(?s)[ -~\n\t]{0,200}") {
            let keys = ["units", "files", "packaged", "listening", "sockets", "processes", "containers", "netstat", "lsof"];
            let key = format!("discover/{}", keys[which]);
            prop_assert!(read_discovered(&answer(&[(&key, &text)])).is_ok());
        }
    }
}
