//! What the tests of the looks share: a host that said something, and the judgement of one look about it.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{ALL, REACH, check, port, table};
use crate::check::{Bad, Verdict};
use crate::heal::observe::scene::{Heard, Look, Placed, Scene};
use crate::heal::{Observation, Sight};
use crate::host::look::{Beside, Listener};
use crate::host::{Facts, Init, Seen, SeenService, SeenUnit};
use crate::model::{ReleaseId, ServiceName, spread};
use crate::registry::{Format, Registry, load_text};

fn registry() -> Registry {
    let text = "version: 1\nhosts:\n  one: { address: 192.0.2.1 }\n";
    load_text(text, Format::Yaml, std::path::Path::new("/registry.yml"), None).expect("a registry")
}

/// What a look about the host finds in what was said.
pub(super) fn host_look(look: &Look, parts: &[(&str, &str)]) -> Vec<Observation> {
    let registry = registry();
    let host = registry.hosts.values().next().expect("a host");
    let parts: BTreeMap<String, String> = parts.iter().map(|(key, text)| ((*key).into(), (*text).into())).collect();
    let facts = Facts {
        base: "/opt/portoser".into(),
        init: Init::Systemd,
        tools: ["docker".to_owned()].into(),
        mount: Some("/".into()),
        ..Facts::default()
    };
    let seen = Seen { facts, ..Seen::default() };
    let found = Beside { seen, listeners: None, parts };
    let heard = Heard { found, verdicts: Vec::new(), ways: Vec::new(), began: 0, now: 0 };
    (look.judge)(&Scene { registry: &registry, host, services: Vec::new() }, &heard)
}

fn refused() -> Verdict {
    Verdict::Bad(Bad { says: "refused".into(), evidence: Vec::new(), hopeless: false })
}

/// As `service_told`, of one that listens itself or not, on a host that says nothing besides.
fn service_look(look: &Look, checks: &str, since: u64, listens: bool) -> Vec<Observation> {
    let own = Listener { process: Some((7, "a".into())), unit: Some("api.service".into()), ..Listener::default() };
    service_told(look, checks, since, &listens.then_some(own).into_iter().collect::<Vec<_>>(), &[])
}

/// What a look finds of the service `api` with port 80, more words of its registry, and the unit `api.service`, whose process 7 runs
/// since so many milliseconds after the host's start; the host is up for 100 s.
pub(super) fn service_told(
    look: &Look,
    more: &str,
    since: u64,
    listeners: &[Listener],
    parts: &[(&str, &str)],
) -> Vec<Observation> {
    service_there(look, more, (since, listeners), parts, &refused())
}

/// As `service_told`, where each check says this.
pub(super) fn service_judged(look: &Look, more: &str, verdict: Verdict) -> Vec<Observation> {
    service_there(look, more, (0, &[]), &[], &verdict)
}

/// As `service_told`, of a service of another kind.
pub(super) fn service_of(kind: &str, look: &Look, more: &str, parts: &[(&str, &str)]) -> Vec<Observation> {
    service_as(kind, look, more, (0, &[]), parts, &refused())
}

fn service_there(
    look: &Look,
    more: &str,
    told: (u64, &[Listener]),
    parts: &[(&str, &str)],
    verdict: &Verdict,
) -> Vec<Observation> {
    service_as("type: native, run: [a], ", look, more, told, parts, verdict)
}

fn service_as(
    kind: &str,
    look: &Look,
    more: &str,
    (since, listeners): (u64, &[Listener]),
    parts: &[(&str, &str)],
    verdict: &Verdict,
) -> Vec<Observation> {
    let text = format!(
        "version: 1\nhosts:\n  one: {{ address: 192.0.2.1 }}\nservices:\n  api: {{ {kind}host: one, port: 80, {more} }}\n"
    );
    let registry = load_text(&text, Format::Yaml, std::path::Path::new("/registry.yml"), None).expect("a registry");
    let (host, service) =
        (registry.hosts.values().next().expect("a host"), registry.services.values().next().expect("one"));
    let record = serde_json::json!({
        "format": 1, "service": "api", "release": ReleaseId::from_digest(&[7; 32]), "engine": "native", "supervisor": "systemd", "scope": "system",
        "units": [{ "name": "api.service", "path": null, "enable": null, "text": "" }], "user": null, "checks": [],
        "hooks": { "before": [], "after": [] }, "summary": {}, "files": { "bin/x": "755 0a", "app.conf": "600 0b" },
    });
    let record = crate::host::Record::parse(&record.to_string());
    assert!(record.is_ok(), "{record:?}");
    let unit = SeenUnit {
        loaded: true,
        active: "active".into(),
        pid: 7,
        since_boot: Some(Duration::from_millis(since)),
        ..SeenUnit::default()
    };
    let seen = Seen {
        facts: Facts {
            base: "/opt/portoser".into(),
            uptime: Some(Duration::from_secs(100)),
            tools: ["docker", "compose"].map(str::to_owned).into(),
            ..Facts::default()
        },
        services: [(service.name.clone(), SeenService { record: Some(record), ..SeenService::default() })].into(),
        units: [("api.service".to_owned(), unit)].into(),
        ..Seen::default()
    };
    let listeners = (!listeners.is_empty()).then(|| (80, listeners.to_vec()));
    let listeners = Some(listeners.into_iter().collect());
    let parts = parts.iter().map(|(key, text)| ((*key).into(), (*text).into())).collect();
    let verdicts = spread(&service.checks, service.port, service.instances).into_iter();
    let verdicts = verdicts.map(|check| (service.name.clone(), check, verdict.clone())).collect();
    let heard = Heard { found: Beside { seen, listeners, parts }, verdicts, ways: Vec::new(), began: 0, now: 0 };
    let placed = Placed { service, units: Vec::new() };
    (look.judge)(&Scene { registry: &registry, host, services: vec![placed] }, &heard)
}

/// Each observation as `SIGHT WORDS`.
pub(super) fn says(found: &[Observation]) -> Vec<String> {
    let word = |sight| match sight {
        Sight::Good => "good",
        Sight::Bad => "bad",
        Sight::Unseen => "unseen",
    };
    found.iter().map(|one| format!("{} {}", word(one.sight), one.says)).collect()
}

#[test]
fn every_look_has_a_name_of_its_own() {
    let mut names: Vec<&str> = ALL.iter().map(|look| look.name).chain([REACH]).collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
    assert!(count >= 30, "{count}");
    for look in ALL.iter().filter(|look| !look.shell.is_empty()) {
        assert!(look.shell.contains(&format!("look_{}()", look.name)), "{}", look.name);
    }
}

#[test]
fn a_host_that_says_nothing_is_not_called_bad() {
    for look in ALL.iter().filter(|look| !look.shell.is_empty()) {
        let bad = host_look(look, &[]).into_iter().find(|one| one.sight == Sight::Bad);
        assert!(bad.is_none(), "{bad:?}");
    }
}

#[test]
fn who_was_not_asked_as_a_folder_hangs_says_so() {
    let (api, why) = (ServiceName::try_from("api").expect("a name"), "its folder did not answer within 5 s");
    let there = SeenService { hangs: Some(why.into()), ..SeenService::default() };
    let seen = Seen { services: [(api, there)].into(), ..Seen::default() };
    let found = Beside { seen, listeners: None, parts: BTreeMap::new() };
    let heard = Heard { found, verdicts: Vec::new(), ways: Vec::new(), began: 0, now: 0 };
    let user = ALL.iter().find(|look| look.name == "user").expect("a look");
    assert_eq!(heard.answer(user, "api"), Err(why.to_owned()));
    assert_eq!(heard.whole(user, "api"), Err(why.to_owned()));
    assert_eq!(heard.answer(user, "db"), Err("the host did not answer this".to_owned()));
}

#[test]
fn a_table_of_df_is_read() {
    let text = "Filesystem 1024-blocks Used Available Capacity Mounted on\n/dev/a b 100 40 60 40% /opt x\nnone 0 0 0 - /proc\n";
    assert_eq!(table(text), [("/opt x", [100, 40, 60]), ("/proc", [0, 0, 0])]);
}

#[test]
fn what_may_still_be_starting_need_not_listen() {
    let sights = |checks: &str, since: u64, listens: bool| {
        let all = [&port::LOOK, &check::LOOK].map(|look| service_look(look, checks, since, listens));
        all.concat().iter().map(|one| one.sight).collect::<Vec<_>>()
    };
    let tcp = "checks: [{ tcp: 80, start_period: 30s }]";
    // The host is up for 100 s.
    assert_eq!(sights(tcp, 99_700, false), [Sight::Unseen; 2]);
    assert_eq!(sights(tcp, 100_200, false), [Sight::Unseen; 2], "it was started while we looked");
    assert_eq!(sights(tcp, 200_000, false), [Sight::Bad; 2], "another clock tells nothing");
    assert_eq!(sights(tcp, 71_000, false), [Sight::Unseen; 2]);
    assert_eq!(sights(tcp, 69_000, false), [Sight::Bad; 2]);
    assert_eq!(sights(tcp, 99_700, true), [Sight::Good, Sight::Bad], "what listens has started");
    assert_eq!(
        sights("checks: [{ tcp: 80, start_period: 0s }]", 99_700, false),
        [Sight::Unseen; 2],
        "nothing starts at once"
    );
}
