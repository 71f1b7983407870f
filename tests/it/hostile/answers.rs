//! What hosts say, with each value in each part of it.

use jiff::Timestamp;
use libtest_mimic::Failed;
use portoser::host::look;
use portoser::host::run::{Reader, Report};
use portoser::journal::{Journal, StartOfRun};
use portoser::model::{Event, HostName, Outcome, RunId, ServiceName};
use serde_json::{Value, json};

use super::{Cage, harmless};
use crate::cli::portoser;

const HOST: &[(&str, &str)] = &[
    ("base", "/opt/portoser"),
    ("uid", "0"),
    ("user", "root"),
    ("home", "/root"),
    ("init", "systemd"),
    ("tools", "gzip tar"),
    ("system", "Linux x86_64"),
    ("clock", "1800000000"),
    ("disk", "Filesystem 1024-blocks Used Available Capacity Mounted on\n/dev/a 100 40 60 40% /"),
    ("writable", "yes"),
];

fn answer(parts: &[(&str, &str)]) -> Vec<u8> {
    let mut text = "\n@portoser-look 1\n\n".to_owned();
    for (key, value) in parts.iter().chain(&[("end", "")]) {
        text += &format!("@{key} {}\n{value}\n", value.len());
    }
    text.into_bytes()
}

/// A value in one part leaves the others as they are, and where text is kept it is kept exactly.
pub(super) fn looks() -> Result<(), Failed> {
    let cage = Cage::new();
    let plain = look::read(&answer(HOST))?;
    let mut read = 0;
    for value in &cage.values {
        let unit = format!("Id={value}\nLoadState=loaded\nActiveState={value}\nSubState={value}\nResult={value}");
        let with = |key, value| answer(&[HOST, &[(key, value)]].concat());
        for (key, value) in [
            ("holder", value.as_str()),
            ("busy", value),
            ("unfinished", value),
            ("api releases", value),
            ("api proven", value),
            ("api current", value),
            ("api record", value),
            ("api past 0123456789abcdef", value),
            ("api drift", value),
            ("api process 1", value),
            ("job/x", value),
            ("units/system", value),
            ("units/user", &unit),
        ] {
            let seen = look::read(&with(key, value)).map_err(|error| format!("{key} {value:?}: {error}"))?;
            assert_eq!(seen.facts, plain.facts, "{key} {value:?}");
            for service in seen.services.values() {
                let kept = service.drift.join("\n");
                let wanted: Vec<&str> = value.lines().collect();
                assert!(
                    key != "api drift" || kept == wanted.join("\n") || kept.trim() == value.trim(),
                    "{kept:?} {value:?}"
                );
                assert!(service.readable().is_none(), "{value:?} is no record");
            }
            read += 1;
        }
        // As the name of a part it is one that nobody knows, or the answer cannot be read.
        if let Ok(seen) = look::read(&with(value, "1")) {
            assert_eq!(seen.facts, plain.facts, "{value:?}");
            read += 1;
        }
        // In the facts it stands for itself, or the host counts as not seen.
        for (number, (key, _)) in HOST.iter().enumerate() {
            let mut parts = HOST.to_vec();
            parts[number].1 = value;
            if let Ok(seen) = look::read(&answer(&parts)) {
                let exact = match *key {
                    "user" => seen.facts.user == value.trim(),
                    "home" => seen.facts.home == value.trim(),
                    "base" => seen.facts.base == value.trim().trim_end_matches('/'),
                    _ => true,
                };
                assert!(exact, "{key} {value:?}: {:?}", seen.facts);
            }
            read += 1;
        }
    }
    cage.intact();
    eprintln!("hostile: {read} answers to looks");
    Ok(())
}

/// A line that is not ours is noise, as it stands; one that is ours keeps its text.
pub(super) fn lines() -> Result<(), Failed> {
    let cage = Cage::new();
    for value in cage.values.iter().filter(|value| !value.contains(['\n', '\r'])) {
        let read = |line: String| Reader::default().push(format!("{line}\n").as_bytes());
        if !value.starts_with("@run") {
            assert_eq!(read(value.clone()), [Report::Noise(value.clone())]);
        }
        assert_eq!(read(format!("@run - refused {value}")), [Report::Refused(value.clone())]);
        for word in ["run 1", "queued", "waiting r 1", "settling", "stale 1", "stage", "failed 1 1", "says 1 1", "end"]
        {
            assert_eq!(read(format!("@run 1 2.00 {word} {value}")).len(), 1);
            assert_eq!(read(format!("@run {value} 2.00 {word}")).len(), 1);
        }
    }
    cage.intact();
    Ok(())
}

/// All values in the events of a run and in its start: shown harmless, and exact in JSON.
pub(super) fn history() -> Result<(), Failed> {
    let cage = Cage::new();
    let state = cage.folder.path().join("state");
    let journal = Journal::open(&state)?;
    let (host, service) = (HostName::try_from("web1")?, ServiceName::try_from("api")?);
    let mut last = None;
    for (number, value) in (1..).zip(&cage.values) {
        let id = RunId::new(Timestamp::UNIX_EPOCH, number);
        let run = journal.begin_run(&StartOfRun {
            id: id.clone(),
            verb: value.clone(),
            who: value.clone(),
            registry: Some(value.clone()),
            environment: Some(value.clone()),
            request: json!({ "services": [value] }),
            digest: None,
            resumes: None,
        })?;
        let (services, hosts) = (vec![service.clone()], vec![host.clone()]);
        let (text, list) = (|| value.clone(), cage.values.clone());
        for event in [
            Event::Started { run: id.clone(), verb: text(), services, hosts },
            Event::Waiting { host: host.clone(), holder: text() },
            Event::Step { host: host.clone(), service: service.clone(), number: 1, of: 1, what: text() },
            Event::Checked { host: host.clone(), service: service.clone(), check: text(), good: false, says: text() },
            Event::Failed {
                host: host.clone(),
                service: Some(service.clone()),
                error: text(),
                hint: Some(text()),
                evidence: if number == 1 { list } else { vec![text()] },
            },
            Event::Undoing { host: host.clone(), service: service.clone(), why: text() },
            Event::Note { host: Some(host.clone()), text: text() },
            Event::Ended { host: host.clone(), service: service.clone(), outcome: Outcome::RolledBack, release: None },
        ] {
            run.tell(&event)?;
        }
        run.end(5)?;
        last = Some(id);
    }
    let first = RunId::new(Timestamp::UNIX_EPOCH, 1);
    let last = last.ok_or("a run")?;
    let many = (cage.values.len() + 1).to_string();
    for words in [
        &["history", "-n", &many][..],
        &["runs", "-n", &many],
        &["history", "show", first.as_str()],
        &["history", "show", last.as_str()],
    ] {
        for json in [false, true] {
            let words: Vec<&str> = json.then_some("--json").into_iter().chain(words.iter().copied()).collect();
            let output = portoser(&state, &words).output()?;
            let (out, err) = (String::from_utf8(output.stdout)?, String::from_utf8(output.stderr)?);
            assert_eq!(output.status.code(), Some(0), "{words:?}: {out}{err}");
            harmless(&out);
            harmless(&err);
            if json && words.contains(&"runs") {
                let document: Value = serde_json::from_str(&out)?;
                let mut told: Vec<&str> =
                    document["runs"].as_array().into_iter().flatten().filter_map(|run| run["who"].as_str()).collect();
                let mut wanted: Vec<&str> = cage.values.iter().map(String::as_str).collect();
                told.sort_unstable();
                wanted.sort_unstable();
                assert_eq!(told, wanted);
            }
        }
    }
    cage.intact();
    Ok(())
}
