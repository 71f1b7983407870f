//! Hostile values on their way to a host with systemd, with launchd and with neither: in templates, labels, hooks, the
//! environment, commands and user names. Judged by the payload, and not by what this program believes of it.

use std::collections::{BTreeMap, BTreeSet};

use libtest_mimic::Failed;
use portoser::host::{Facts, Init, Seen};
use portoser::model::{HostName, ServiceName};
use portoser::plan::{Change, Graph, Inputs, Refused, Sources, plan};
use portoser::registry::{FileSource, Format, Registry, load_text};
use serde_json::{Value, json};

use super::Cage;
use super::sent::{Sent, property_lists, reads_property_lists, tell};

/// Its name, where a part of it cannot be tried.
const TRIAL: &str = "hostile::what_hosts_are_sent_carries_or_refuses";

const FIELDS: [&str; 5] = ["env", "hook", "label", "run", "user"];

/// A service with this value in one field. `${` is the registry's own there; all else is meant as it stands.
fn service(field: &str, value: &str) -> Value {
    let filled = value.replace("${", "$${");
    let mut service = json!({ "type": "native", "host": "h", "run": ["/bin/x"] });
    let hook = json!([{ "run": ["/bin/hook", filled] }]);
    match field {
        "env" => service["env"] = json!({ "H": filled }),
        "hook" => service["hooks"] = json!({ "before": hook, "after": hook, "named": { "renew": hook[0] } }),
        "label" => service["labels"] = json!({ "h": value }),
        "run" => service["run"] = json!(["/bin/x", filled]),
        _ => service["user"] = json!(value),
    }
    if ["env", "label"].contains(&field) {
        service["files"] = json!({ "made": { "template": format!("{field}.j2") } });
    }
    service
}

const ENV: &str = "{{ env.H }}\n[{{ H }}]{{ env['H'] }}";
const LABEL: &str = "{{ labels.h }}\n[{% for name in labels %}{{ labels[name] }}{% endfor %}]{{ labels['h'] }}";

/// What these templates make of a value.
fn made(value: &str) -> String {
    format!("{value}\n[{value}]{value}")
}

/// The services with the values of one field, and what a host is sent of them.
struct Way {
    changes: Vec<Change>,
    sent: Sent,
}

impl Way {
    /// The changes, each with its number and its value.
    fn each<'a>(&'a self, cage: &'a Cage) -> impl Iterator<Item = (usize, &'a Change, &'a str)> {
        let value = |change: &Change| change.service.as_str().split_once("--")?.1.parse::<usize>().ok();
        let all = self.changes.iter().enumerate();
        all.filter_map(move |(number, change)| Some((number, change, cage.values[value(change)?].as_str())))
    }

    fn in_release(&self, change: &Change, path: &str) -> &[u8] {
        &self.sent.files[&format!("trees/{}/{path}", change.record.release)]
    }

    /// The file that says how the service of a change runs.
    fn unit(&self, number: usize, change: &Change) -> &[u8] {
        let path = change.record.units[0].path.as_deref().expect("a unit of ours");
        self.sent.put(number, path).expect("it is put in place")
    }
}

/// By field.
type Ways = BTreeMap<&'static str, Way>;

/// The registry with all values that it takes; each of the others has a fault of its own.
fn registry(cage: &Cage) -> Result<Registry, Failed> {
    std::fs::write(cage.folder.path().join("env.j2"), ENV)?;
    std::fs::write(cage.folder.path().join("label.j2"), LABEL)?;
    let mut services = BTreeMap::new();
    for field in FIELDS {
        let values = (0..).zip(&cage.values);
        services.extend(values.map(|(number, value)| (format!("{field}--{number}"), service(field, value))));
    }
    for _ in 0..3 {
        let text = json!({ "version": 1, "hosts": { "h": {} }, "services": services }).to_string();
        let faults = match load_text(&text, Format::Yaml, &cage.folder.path().join("registry.yml"), None) {
            Ok(registry) => return Ok(registry),
            Err(faults) => faults,
        };
        for fault in &faults.list {
            services.remove(fault.path.split('.').nth(1).ok_or("a fault of no service")?);
        }
    }
    Err("the registry has other faults, time and again".into())
}

/// The changes of a host that has nothing yet; what is refused, with words that `why` judges, is not among them.
pub(super) fn changes(
    registry: &Registry,
    host: &HostName,
    facts: &Facts,
    sources: &Sources,
    why: impl Fn(&Refused),
) -> Vec<Change> {
    let mut chosen: BTreeSet<ServiceName> = registry.services.keys().cloned().collect();
    loop {
        let planned = plan(&Inputs {
            registry,
            waves: Graph::of(registry).waves(&chosen),
            hosts: BTreeSet::from([host.clone()]),
            seen: &BTreeMap::from([(host.clone(), Seen { facts: facts.clone(), ..Seen::default() })]),
            health: &BTreeMap::new(),
            sources,
            engines: portoser::engine::ALL,
            overwrite: false,
        });
        let refusals = match planned {
            Ok(plan) => return plan.changes,
            Err(refusals) => refusals,
        };
        for (service, _, refused) in refusals {
            assert!(!refused.what.is_empty() && refused.hint.is_some(), "{service}: {refused:?}");
            why(&refused);
            assert!(chosen.remove(&service), "{service} is refused again");
        }
    }
}

/// What a host of this kind that has nothing yet is sent, without what is refused for it.
fn ways(cage: &Cage, registry: &Registry, init: &Init) -> Result<Ways, Failed> {
    let host = HostName::try_from("h")?;
    let facts = Facts { init: init.clone(), base: "/opt/portoser".into(), ..Facts::default() };
    let mut sources = Sources::default();
    for file in registry.services.values().flat_map(|service| service.files.values()) {
        if let FileSource::Template(path) = &file.source {
            sources.texts.insert(path.clone(), std::fs::read(path)?);
        }
    }
    let changes = changes(registry, &host, &facts, &sources, |_| {});
    let of = |field: &str, change: &Change| change.service.as_str().split("--").next() == Some(field);
    let mut ways = BTreeMap::new();
    for field in FIELDS {
        let changes: Vec<_> = changes.iter().filter(|change| of(field, change)).cloned().collect();
        let sent = Sent::of(&changes, cage.folder.path())?;
        assert_eq!(sent.stages.len(), changes.len());
        eprintln!("hostile: {init:?}, {field}: {} of {} values are sent", changes.len(), cage.values.len());
        assert!(changes.len() > 300 || field == "user", "most values can be carried");
        ways.insert(field, Way { changes, sent });
    }
    cage.intact();
    Ok(ways)
}

pub(super) fn hosts() -> Result<(), Failed> {
    let cage = Cage::new();
    let registry = registry(&cage)?;
    for init in [Init::Systemd, Init::Launchd, Init::None] {
        let ways = ways(&cage, &registry, &init)?;
        templates_and_hooks(&cage, &ways);
        match init {
            Init::Systemd => systemd(&cage, &ways)?,
            Init::Launchd if reads_property_lists() => launchd(&cage, &ways)?,
            Init::Launchd => eprintln!("skipped: {TRIAL}: python3 is not installed, which reads property lists"),
            Init::None => neither(&cage, &ways)?,
        }
    }
    cage.intact();
    Ok(())
}

fn templates_and_hooks(cage: &Cage, ways: &Ways) {
    for field in ["env", "label"] {
        for (_, change, value) in ways[field].each(cage) {
            assert_eq!(ways[field].in_release(change, "made"), made(value).as_bytes(), "{}: {value:?}", change.service);
        }
    }
    for (number, change, value) in ways["hook"].each(cage) {
        let calls = &ways["hook"].sent.stages[number];
        let hooks = calls.iter().filter(|words| words[0] == "bounded" && words[5] == "hook");
        let hooks: Vec<_> = hooks.map(|words| &words[7..]).collect();
        assert_eq!(hooks, [["/bin/hook", value], ["/bin/hook", value]], "{}", change.service);
    }
}

fn systemd(cage: &Cage, ways: &Ways) -> Result<(), Failed> {
    for (number, change, value) in ways["user"].each(cage) {
        let text = String::from_utf8(ways["user"].unit(number, change).to_vec())?;
        let users: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("User=")).collect();
        assert_eq!(users, [value.replace('%', "%%")]);
    }
    // A unit of more lines than another's says something else. What the words become, a real systemd says (`lab::injection`).
    let run = &ways["run"];
    let lines = |(number, change, _)| run.unit(number, change).split(|&byte| byte == b'\n').count();
    let counts: BTreeSet<_> = run.each(cage).map(lines).collect();
    assert_eq!(counts.len(), 1, "{counts:?}");
    Ok(())
}

fn launchd(cage: &Cage, ways: &Ways) -> Result<(), Failed> {
    for (field, way) in ways {
        let lists: Vec<&[u8]> = way.each(cage).map(|(number, change, _)| way.unit(number, change)).collect();
        for ((_, change, value), list) in way.each(cage).zip(property_lists(&lists)?) {
            let words = if *field == "run" { json!(["/bin/x", value]) } else { json!(["/bin/x"]) };
            let env = if *field == "env" { json!({ "H": value }) } else { json!({}) };
            let user = (*field == "user").then(|| json!(value));
            assert_eq!(list["ProgramArguments"], words, "{}", change.service);
            assert_eq!(list["EnvironmentVariables"], env, "{}", change.service);
            assert_eq!(list.get("UserName"), user.as_ref(), "{}", change.service);
        }
    }
    Ok(())
}

fn neither(cage: &Cage, ways: &Ways) -> Result<(), Failed> {
    let folder = cage.folder.path();
    let (mut script, mut wanted) = ("say() { printf '%s\\0' \"$#\" \"$@\"; }\n".to_owned(), Vec::new());
    for field in ["run", "user"] {
        for (number, change, value) in ways[field].each(cage) {
            std::fs::write(folder.join(format!("{field}{number}")), ways[field].unit(number, change))?;
            script += &format!("user= && . ./{field}{number} && say \"$user\" \"$@\"\n");
            wanted.push(if field == "run" { vec!["", "/bin/x", value] } else { vec![value, "/bin/x"] });
        }
    }
    for (number, change, value) in ways["env"].each(cage) {
        for file in ["env.1", "env.sh"] {
            let bytes = ways["env"].in_release(change, &format!(".portoser/{file}"));
            std::fs::write(folder.join(format!("{file}-{number}")), bytes)?;
            script += &format!("unset H && . ./{file}-{number} && say \"$H\"\n");
            wanted.push(vec![value]);
        }
    }
    let told = tell(&script, folder)?;
    assert_eq!(told.len(), wanted.len());
    for (told, wanted) in told.iter().zip(&wanted) {
        assert_eq!(told, wanted);
    }
    Ok(())
}
