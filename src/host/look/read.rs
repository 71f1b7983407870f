//! The reader of a look's answer.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::host::facts::{Facts, Init, Seen, SeenService, SeenUnit};
use crate::host::look::containers::{container_units, containers, namesakes};
use crate::host::look::fetch::fetches;
use crate::host::look::made::{Made, altered};
use crate::host::record::Record;
use crate::host::run::{Holder, peeked};
use crate::model::{ReleaseId, ServiceName};

/// Why an answer cannot be read. The host was then not seen.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LookError {
    #[error("the host's answer does not begin as ours do; it said {0:?}")]
    NotOurs(String),
    #[error("the host's answer stops in the middle, after {0} parts")]
    Cut(usize),
    #[error("the host's answer has no readable `{0}`")]
    Missing(&'static str),
}

const MARK: &[u8] = b"\n@portoser-look 1\n\n";

/// Reads the answer to a look. What the login shell's start-up files print before it is skipped.
pub fn read(answer: &[u8]) -> Result<Seen, LookError> {
    seen(&framed(answer)?)
}

/// What the parts of an answer tell of the host and its services.
pub(super) fn seen(parts: &[(String, String)]) -> Result<Seen, LookError> {
    let mut seen = Seen { facts: facts(parts)?, ..Seen::default() };
    let (mut units, mut alike) = (BTreeMap::new(), String::new());
    for (key, value) in parts {
        match key.as_str() {
            "holder" => seen.holder = Holder::parse(value).map(|holder| holder.to_string()),
            "blind" => seen.blind = Some(value.trim().chars().take(300).collect()),
            "containers" => match containers(value) {
                Ok(all) => seen.containers = all,
                Err(line) => {
                    let line: String = line.chars().take(200).collect();
                    seen.blind = Some(format!("docker tells of a container in words that are not known: {line}"));
                }
            },
            "namesakes" => alike.clone_from(value),
            "cordon" => seen.cordon = Some(value.lines().next().unwrap_or_default().to_owned()),
            "lying" => {
                seen.lying = value.split(' ').filter_map(|name| ServiceName::try_from(name).ok()).collect();
            }
            "busy" => seen.busy = value == "yes",
            "unfinished" => seen.unfinished = peeked(value),
            "base-hangs" | "runs-hang" => seen.hangs = Some(value.clone()),
            _ => {}
        }
        // A service may be called `job` or `units`, but no service has a slash in its name.
        if let Some(name) = key.strip_prefix("job/") {
            units.insert(name.to_owned(), job(value));
        } else if key.starts_with("units/") {
            units.extend(self::units(value));
        } else if let Some((name, what)) = key.split_once(' ') {
            if let Some(instance) = what.strip_prefix("process ") {
                units.insert(process_name(name, instance), process(value));
            } else if let Ok(name) = ServiceName::try_from(name) {
                service(seen.services.entry(name).or_default(), what, value);
            }
        }
    }
    units.extend(container_units(&seen.containers, seen.facts.clock.zip(seen.facts.uptime)));
    seen.units = units;
    // While a run makes them anew, or was ended in the middle of that, what was noted is of what was before.
    if !seen.busy && seen.unfinished.is_empty() {
        for service in seen.services.values_mut() {
            let project = service.readable().and_then(Record::project).map(str::to_owned);
            service.namesakes = namesakes(&alike, service, &seen.containers);
            service.altered =
                project.map(|project| altered(&service.made, &seen.containers, &project)).unwrap_or_default();
        }
    }
    Ok(seen)
}

/// The parts of an answer, behind whatever a login shell said before it.
pub(super) fn framed(answer: &[u8]) -> Result<Vec<(String, String)>, LookError> {
    let start = answer.windows(MARK.len()).position(|window| window == MARK);
    let Some(start) = start else {
        return Err(LookError::NotOurs(String::from_utf8_lossy(&answer[..answer.len().min(200)]).into_owned()));
    };
    parts(&answer[start + MARK.len()..])
}

/// The base folder that the host told.
pub(super) fn base_of(parts: &[(String, String)]) -> Result<String, LookError> {
    facts(parts).map(|facts| facts.base)
}

/// Splits the framed answer; the last part must be `end`.
fn parts(mut rest: &[u8]) -> Result<Vec<(String, String)>, LookError> {
    let mut parts = Vec::new();
    loop {
        let cut = LookError::Cut(parts.len());
        let Some((head, tail)) = split_line(rest) else { return Err(cut) };
        let head = std::str::from_utf8(head).ok().and_then(|head| head.strip_prefix('@')?.rsplit_once(' '));
        let Some((key, Ok(length))) = head.map(|(key, length)| (key, length.parse::<usize>())) else { return Err(cut) };
        if tail.len() <= length || tail[length] != b'\n' {
            return Err(cut);
        }
        if key == "end" {
            return Ok(parts);
        }
        parts.push((key.to_owned(), String::from_utf8_lossy(&tail[..length]).into_owned()));
        rest = &tail[length + 1..];
    }
}

fn split_line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|&b| b == b'\n')?;
    Some((&bytes[..end], &bytes[end + 1..]))
}

pub(super) fn facts(parts: &[(String, String)]) -> Result<Facts, LookError> {
    let get = |key: &'static str| {
        let part = parts.iter().find(|part| part.0 == key);
        part.map(|part| part.1.trim()).ok_or(LookError::Missing(key))
    };
    let (system, machine) = get("system")?.split_once(' ').ok_or(LookError::Missing("system"))?;
    let base = get("base")?;
    if !base.starts_with('/') {
        return Err(LookError::Missing("base"));
    }
    Ok(Facts {
        system: system.into(),
        machine: machine.into(),
        init: match get("init")? {
            "systemd" => Init::Systemd,
            "launchd" => Init::Launchd,
            _ => Init::None,
        },
        uid: get("uid")?.parse().map_err(|_| LookError::Missing("uid"))?,
        user: get("user")?.into(),
        home: get("home")?.into(),
        linger: get("linger").ok().map(|says| says == "yes"),
        clock: get("clock")?.parse().ok(),
        uptime: get("uptime").ok().and_then(|text| hundredths(text.split('.'))),
        tools: get("tools")?.split_whitespace().map(str::to_owned).collect(),
        versions: parts
            .iter()
            .filter_map(|(key, says)| Some((key.strip_prefix("version/")?.to_owned(), version(says)?)))
            .collect(),
        pythons: parts
            .iter()
            .filter_map(|(key, says)| Some((key.strip_prefix("python/")?.to_owned(), version(says)?)))
            .collect(),
        base: base.trim_end_matches('/').into(),
        disk: disk(get("disk")?),
        mount: get("disk")?.lines().last().and_then(|line| Some(line.split_once("% ")?.1.to_owned())),
        unwritable: Some(get("writable")?).filter(|says| *says != "yes").map(|says| says.chars().take(200).collect()),
        fetches: fetches(parts),
    })
}

/// The first word of what a tool says of itself that looks like a version: `Docker version 28.0.1, build 068a01e`,
/// `Docker Compose version v2.33.1`, `Python 3.11.2`, `systemd 257 (257.13-1~deb13u1)`.
fn version(says: &str) -> Option<String> {
    let word = |word: &str| -> String { word.trim_end_matches(',').trim_start_matches('v').chars().take(40).collect() };
    let mut words = says.lines().next()?.split_whitespace().map(word);
    words.find(|word| word.starts_with(|c: char| c.is_ascii_digit()))
}

/// A time as /proc/uptime has it (proc(5)): seconds, and two digits of their hundredths.
fn hundredths<'a>(mut parts: impl Iterator<Item = &'a str>) -> Option<Duration> {
    let (seconds, part) = (parts.next()?.parse::<u64>().ok()?, parts.next()?.parse::<u64>().ok()?);
    Some(Duration::from_secs(seconds) + Duration::from_millis(10 * part.min(99)))
}

/// Free and all bytes, from the last line of `df -Pk` (POSIX: name, blocks, used, available, capacity, mount point).
fn disk(text: &str) -> Option<(u64, u64)> {
    let words: Vec<&str> = text.lines().last()?.split_whitespace().collect();
    // The name may hold blanks; the numbers are counted from the capacity, the only word with a `%`.
    let capacity = words.iter().rposition(|word| word.ends_with('%'))?;
    let number = |back: usize| words.get(capacity.checked_sub(back)?)?.parse::<u64>().ok();
    Some((number(1)?.saturating_mul(1024), number(3)?.saturating_mul(1024)))
}

fn service(service: &mut SeenService, what: &str, value: &str) {
    let ids = || value.split_whitespace().filter_map(|id| ReleaseId::try_from(id).ok());
    match what {
        "releases" => service.releases = ids().collect(),
        "venvs" => service.venvs = ids().collect(),
        "proven" => service.proven = ids().collect(),
        "current" => service.current = value.rsplit('/').next().and_then(|id| ReleaseId::try_from(id).ok()),
        "record" => service.record = Some(Record::parse(value)),
        "stopped" => service.stopped = Some(value.lines().next().unwrap_or_default().to_owned()),
        _ if what.starts_with("past ") => {
            if let Ok(id) = ReleaseId::try_from(what.trim_start_matches("past ")) {
                service.past.insert(id, Record::parse(value));
            }
        }
        _ if what.starts_with("text ") => {
            service.texts.insert(what.trim_start_matches("text ").to_owned(), value.to_owned());
        }
        _ if what.starts_with("text/") => {
            if let Some((id, path)) = what.trim_start_matches("text/").split_once(' ')
                && let Ok(id) = ReleaseId::try_from(id)
            {
                service.past_texts.entry(id).or_default().insert(path.to_owned(), value.to_owned());
            }
        }
        "made" => service.made = Made::noted(value),
        "drift" => service.drift = value.lines().map(str::to_owned).collect(),
        "drift-late" => service.hangs = Some(value.to_owned()),
        // What was told of it before is not the whole of it.
        "hangs" => *service = SeenService { hangs: Some(value.to_owned()), ..SeenService::default() },
        _ => {}
    }
}

/// Reads the answer of `systemctl show`: one block for each unit, `Key=value` lines, blocks parted by an empty line.
#[must_use]
pub fn units(text: &str) -> BTreeMap<String, SeenUnit> {
    let mut units = BTreeMap::new();
    for block in text.split("\n\n") {
        let get = |key: &str| {
            let line = block.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
            line.unwrap_or_default().to_owned()
        };
        let active = get("ActiveState");
        // Of these two the later one tells when it came into its state. They do not count the time that the host slept.
        let moment =
            if active == "active" { "ActiveEnterTimestampMonotonic" } else { "InactiveEnterTimestampMonotonic" };
        let moment = get(moment).parse().ok().filter(|moment| *moment > 0);
        let unit = SeenUnit {
            loaded: get("LoadState") == "loaded",
            since_boot: moment.map(Duration::from_micros),
            active,
            sub: get("SubState"),
            result: get("Result"),
            status: get("ExecMainStatus"),
            restarts: get("NRestarts").parse().unwrap_or_default(),
            pid: get("MainPID").parse().unwrap_or_default(),
            enabled: get("UnitFileState").starts_with("enabled"),
        };
        let name = get("Id");
        if !name.is_empty() {
            units.insert(name, unit);
        }
    }
    units
}

/// The name in `Seen::units` of a supervised process: an instance of a service on a host without an init system.
#[must_use]
pub fn process_name(service: &str, instance: &str) -> String {
    format!("process {service} {instance}")
}

/// Reads the state of a supervised process: `lives PID START BOOT`, `waits` to be started again, or `ended`; then, after
/// `restarts`, how often it was started again. START is in ticks of a hundredth of a second, as Linux has it on every machine.
#[must_use]
pub fn process(text: &str) -> SeenUnit {
    let (state, restarts) = text.rsplit_once(" restarts ").unwrap_or((text, ""));
    let mut words = state.split_whitespace();
    let (active, sub) = match words.next() {
        Some("lives") => ("active", ""),
        Some("waits") => ("activating", "auto-restart"),
        Some("ended") => ("failed", "given-up"),
        _ => ("", ""),
    };
    let pid = words.next().and_then(|pid| pid.parse().ok()).unwrap_or_default();
    let since_boot =
        words.next().and_then(|start| start.parse().ok()).map(|ticks: u32| Duration::from_millis(10) * ticks);
    SeenUnit {
        loaded: !active.is_empty(),
        active: active.into(),
        sub: sub.into(),
        pid,
        restarts: restarts.trim().parse().unwrap_or_default(),
        since_boot,
        ..SeenUnit::default()
    }
}

/// Reads `launchctl print DOMAIN/LABEL` (its format is not documented; these lines are as others
/// published them, and we never saw them on a Mac):
/// `state = running`, `pid = 123`, `last exit code = 0`.
#[must_use]
pub fn job(block: &str) -> SeenUnit {
    let get = |key: &str| block.lines().find_map(|line| line.trim().strip_prefix(key)?.trim_start().strip_prefix("= "));
    let state = get("state").unwrap_or_default();
    SeenUnit {
        loaded: !state.is_empty(),
        active: if state == "running" { "active".into() } else { "inactive".into() },
        sub: state.into(),
        status: get("last exit code").unwrap_or_default().into(),
        pid: get("pid").and_then(|pid| pid.trim().parse().ok()).unwrap_or_default(),
        ..SeenUnit::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn answer(parts: &[(&str, &str)]) -> Vec<u8> {
        let mut text = b"welcome!\n\n@portoser-look 1\n\n".to_vec();
        for (key, value) in parts.iter().chain([&("end", "")]) {
            text.extend(format!("@{key} {}\n{value}\n", value.len()).into_bytes());
        }
        text
    }

    const HOST: &[(&str, &str)] = &[
        ("uid", "0"),
        ("user", "root"),
        ("home", "/root"),
        ("base", "/opt/portoser"),
        ("init", "systemd"),
        ("tools", " gzip tar"),
        ("system", "Linux x86_64"),
        ("clock", "1800000000"),
        ("disk", "Filesystem 1024-blocks Used Available Capacity Mounted on\n/dev/a b 100 40 60 40% /opt x"),
        ("writable", "yes"),
    ];

    #[test]
    fn facts_and_services_are_read() {
        let mut parts = HOST.to_vec();
        parts.push(("api releases", " 0123456789abcdef"));
        parts.push(("api current", "/opt/portoser/services/api/releases/0123456789abcdef"));
        parts.push(("units/system", "Id=portoser-api.service\nLoadState=loaded\nActiveState=active\nNRestarts=2"));
        parts.push(("db process 1", "lives 4711 99 boot"));
        parts.push(("db process 2", "ended"));
        let seen = read(&answer(&parts)).expect("readable");
        assert!(seen.units["process db 1"].runs() && !seen.units["process db 2"].runs());
        assert_eq!(seen.facts.disk, Some((60 * 1024, 100 * 1024)));
        assert_eq!(seen.facts.mount.as_deref(), Some("/opt x"));
        assert_eq!(seen.facts.init, Init::Systemd);
        let api = &seen.services[&ServiceName::try_from("api").expect("a name")];
        assert_eq!(api.current.as_ref().map(ReleaseId::as_str), Some("0123456789abcdef"));
        assert_eq!(seen.units["portoser-api.service"].restarts, 2);
    }

    #[test]
    fn a_service_may_be_called_as_a_part_of_the_answer_is() {
        for name in ["job", "units", "version", "uid", "holder", "lying", "end"] {
            let (releases, process) = (format!("{name} releases"), format!("{name} process 1"));
            let parts = [(releases.as_str(), "0123456789abcdef"), (process.as_str(), "lives 4711 99 boot restarts 0")];
            let seen = read(&answer(&[HOST, &parts].concat())).expect("readable");
            let service = &seen.services[&ServiceName::try_from(name).expect("a name")];
            assert_eq!((service.releases.len(), seen.units.len(), seen.facts.versions.len()), (1, 1, 0), "{name}");
        }
    }

    #[test]
    fn a_version_is_found_in_what_a_tool_says() {
        let told = [
            ("version/docker", "Docker version 20.10.24+dfsg1, build 297e128"),
            ("version/compose", "Docker Compose version v2.33.1"),
            ("version/python3", "Python 3.11.2"),
            ("version/systemd", "systemd 257 (257.13-1~deb13u1)\n+PAM +AUDIT"),
            ("version/uv", "sh: uv: not found"),
        ];
        let seen = read(&answer(&[HOST, &told].concat())).expect("readable");
        assert!(seen.services.is_empty(), "{:?}", seen.services);
        let versions: Vec<_> = seen.facts.versions.iter().map(|(tool, told)| format!("{tool} {told}")).collect();
        assert_eq!(versions, ["compose 2.33.1", "docker 20.10.24+dfsg1", "python3 3.11.2", "systemd 257"]);
    }

    #[test]
    fn an_answer_that_is_cut_anywhere_is_not_seen() {
        let whole = answer(HOST);
        for end in 0..whole.len() - 1 {
            assert!(read(&whole[..end]).is_err(), "cut at {end}");
        }
        assert!(read(&whole).is_ok());
    }

    #[test]
    fn a_value_cannot_pass_for_another_part() {
        let mut parts = HOST.to_vec();
        parts.push(("api drift", "x\n@uid 4\n1000\n@end 0\n\n"));
        let seen = read(&answer(&parts)).expect("readable");
        assert_eq!(seen.facts.uid, 0);
    }

    proptest! {
        #[test]
        fn no_answer_makes_it_panic(noise in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = read(&noise);
            let mut marked = MARK.to_vec();
            marked.extend(&noise);
            let _ = read(&marked);
        }
    }
}
