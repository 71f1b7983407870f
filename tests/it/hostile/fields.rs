//! Each value in each field of the example, which shows every key of the schema (`registry::the_example_shows_every_key`):
//! a new field is tried as soon as it is there.

use std::collections::BTreeMap;
use std::path::{Component, PathBuf};
use std::sync::Mutex;

use libtest_mimic::Failed;
use portoser::registry::{self, Format, Registry};
use serde_json::{Value, json};

use super::{Cage, harmless};
use crate::cases;
use crate::cli::portoser;

/// A text of the example, or a key.
struct Field {
    /// The mapping or list that it is in, as a JSON pointer.
    parent: String,
    last: String,
    /// The key itself is replaced, not what it leads to.
    key: bool,
}

impl Field {
    fn path(&self) -> String {
        format!("{}/{}{}", self.parent, self.last, if self.key { " (the key)" } else { "" })
    }

    /// The environment that must be chosen for the field to count.
    fn environment<'a>(&self, value: &'a str) -> Option<&'a str> {
        match self.parent.strip_prefix("/environments")? {
            "" => Some(value),
            below if below.starts_with("/production") => Some("production"),
            _ => Some("staging"),
        }
    }

    /// The example with this value there, without what has no part in it.
    fn with(&self, example: &Value, value: &str) -> String {
        let mut whole = example.clone();
        match whole.pointer_mut(&self.parent).expect("a place") {
            Value::Array(list) => list[self.last.parse::<usize>().expect("a number")] = value.into(),
            Value::Object(map) if self.key => {
                let below = map.remove(&self.last).expect("a value");
                map.insert(value.to_owned(), below);
            }
            map => map[&self.last] = value.into(),
        }
        let mut path = self.parent.split('/').skip(1);
        let (room, name) = (path.next().unwrap_or(&self.last), path.next());
        if !["environments", ""].contains(&room) {
            whole.as_object_mut().map(|map| map.remove("environments"));
        }
        let service = if room == "services" { name.unwrap_or(&self.last) } else { "db" };
        if let Some(services) = whole["services"].as_object_mut().filter(|_| room != "environments") {
            services.retain(|name, _| [service, "db", value].contains(&name.as_str()));
        }
        whole.to_string()
    }
}

fn example() -> Value {
    let text = std::fs::read_to_string(cases::root().join("registry.example.yml")).expect("the example");
    serde_yaml::from_str(&text).expect("YAML")
}

fn places(value: &Value, parent: &str, found: &mut Vec<Field>) {
    let mut see = |last: String, below: &Value, is_key: bool| {
        let field = |key| Field { parent: parent.to_owned(), last: last.clone(), key };
        if is_key {
            found.push(field(true));
        }
        if below.is_string() {
            found.push(field(false));
        }
        places(below, &format!("{parent}/{}", last.replace('~', "~0").replace('/', "~1")), found);
    };
    match value {
        Value::Object(map) => map.iter().for_each(|(name, below)| see(name.clone(), below, true)),
        Value::Array(list) => {
            list.iter().enumerate().for_each(|(number, below)| see(number.to_string(), below, false));
        }
        _ => {}
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Taken {
    Exactly,
    Refused,
}

/// How a registry with this value is taken; an error when it is neither carried exactly nor refused clearly.
fn taken(example: &Value, field: &Field, value: &str) -> Result<Taken, String> {
    let path = cases::root().join("registry.example.yml");
    let text = field.with(example, value);
    match registry::load_text(&text, Format::Yaml, &path, field.environment(value)) {
        Err(faults) => {
            let unclear =
                faults.list.iter().find(|fault| fault.what.trim().is_empty() || fault.to_string().len() > 2048);
            match unclear {
                None if !faults.list.is_empty() => Ok(Taken::Refused),
                _ => Err(format!("no clear fault: {unclear:.300?}")),
            }
        }
        Ok(registry) => {
            if is_there(&registry, value) {
                Ok(Taken::Exactly)
            } else {
                Err("taken, and not there".to_owned())
            }
        }
    }
}

fn is_there(registry: &Registry, value: &str) -> bool {
    let shown = format!("{registry:?}");
    let quoted = format!("{value:?}");
    // A path is there in full, from the folder of the registry or from home.
    let tail = format!("/{}", &quoted[1..]);
    let mut full = PathBuf::new();
    let home =
        value.strip_prefix("~/").map(|rest| PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(rest));
    for part in home.unwrap_or_else(|| cases::root().join(value)).components() {
        match part {
            Component::ParentDir => _ = full.pop(),
            part => full.push(part),
        }
    }
    let full = format!("{full:?}");
    shown.contains(&quoted)
        || shown.contains(&tail)
        || shown.contains(full.trim_end_matches('"'))
        || registry.hosts.keys().any(|name| name.as_str() == value)
        || registry.services.keys().any(|name| name.as_str() == value)
        // One of the schema's own words.
        || value == "undo"
}

/// Every value in every such field, over the processors; what was neither carried nor refused is told.
fn try_all(keys: bool, values: &[String], every: usize) -> Result<BTreeMap<String, [usize; 2]>, Failed> {
    let example = example();
    let mut fields = Vec::new();
    places(&example, "", &mut fields);
    fields.retain(|field| field.key == keys);
    let queue = Mutex::new(fields.iter().enumerate());
    let (counts, wrong) = (Mutex::new(BTreeMap::new()), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                while let Some((number, field)) = { queue.lock().expect("a queue").next() } {
                    let mut count = [0, 0];
                    for value in values.iter().skip(number % every).step_by(every) {
                        match taken(&example, field, value) {
                            Ok(how) => count[usize::from(how == Taken::Refused)] += 1,
                            Err(why) => {
                                wrong.lock().expect("a list").push(format!("{} {value:.80?}: {why}", field.path()))
                            }
                        }
                    }
                    counts.lock().expect("a map").insert(field.path(), count);
                }
            });
        }
    });
    let wrong = wrong.into_inner().expect("a list");
    if wrong.is_empty() {
        return Ok(counts.into_inner().expect("a map"));
    }
    Err(format!("{} neither carried nor refused:\n{}", wrong.len(), wrong[..wrong.len().min(60)].join("\n")).into())
}

fn tell(what: &str, values: usize, counts: &BTreeMap<String, [usize; 2]>) {
    let sum = |which: usize| counts.values().map(|count| count[which]).sum::<usize>();
    let (fields, carried, refused) = (counts.len(), sum(0), sum(1));
    eprintln!("hostile: {values} values in {fields} {what}: {carried} carried exactly, {refused} refused");
}

pub(super) fn texts() -> Result<(), Failed> {
    let cage = Cage::new();
    // Half of the corpus for each field, and the other half for the next one: all of it would take a minute more.
    let counts = try_all(false, &cage.values, 2)?;
    tell("fields", cage.values.len(), &counts);
    assert!(counts.values().all(|count| count[0] + count[1] >= 200), "{counts:?}");
    cage.intact();
    Ok(())
}

/// Most keys are the schema's own, so a share of the values is enough for each; the next key gets the next share.
pub(super) fn keys() -> Result<(), Failed> {
    let cage = Cage::new();
    let counts = try_all(true, &cage.values, 16)?;
    tell("keys", cage.values.len(), &counts);
    cage.intact();
    Ok(())
}

/// No host could be given one. What an answer is compared with stays here, and may hold any character.
pub(super) fn nul() -> Result<(), Failed> {
    let compared = |path: &str| path.contains("/checks/") && ["/body/", "/log"].iter().any(|part| path.contains(part));
    for keys in [false, true] {
        let counts = try_all(keys, &["a\0b".to_owned(), "\0".to_owned()], 1)?;
        let taken = counts.iter().filter(|(path, count)| count[0] > 0 && !compared(path));
        let taken: Vec<_> = taken.map(|(path, _)| path).collect();
        assert!(taken.is_empty(), "{taken:?}");
    }
    Ok(())
}

pub(super) fn long() -> Result<(), Failed> {
    for keys in [false, true] {
        let long = [format!("$(exit 1){}", "x".repeat(64 << 10)), "é".repeat(32 << 10), "a/".repeat(32 << 10)];
        let counts = try_all(keys, &long, 1)?;
        tell(if keys { "keys, of 64 KiB" } else { "fields, of 64 KiB" }, long.len(), &counts);
    }
    Ok(())
}

/// Halves of surrogates, bytes that are not UTF-8, bare control characters: a fault, with exit code 3.
pub(super) fn no_text() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let texts: [&[u8]; 8] = [
        b"version: 1\nhosts: { a: { address: \"\\ud800\" } }\n",
        b"version: 1\nhosts: { a: { address: \"\\udfff\\ud800\" } }\n",
        b"version: 1\nhosts: { a: { address: \"\\xzz\" } }\n",
        b"version: 1\nhosts: { a: { address: \"\\U00110000\" } }\n",
        b"version: 1\nhosts: { a: { address: x\xff } }\n",
        b"version: 1\nhosts: { a: { address: x\xed\xa0\x80 } }\n",
        b"version: 1\nhosts: { a: { address: x\0y } }\n",
        b"\xff\xfev\0e\0r\0",
    ];
    for (number, text) in texts.into_iter().enumerate() {
        let file = folder.path().join(format!("{number}.yml"));
        std::fs::write(&file, text)?;
        let output = portoser(folder.path(), &["validate", "--registry", &file.display().to_string()]).output()?;
        let (out, err) = (String::from_utf8(output.stdout)?, String::from_utf8(output.stderr)?);
        assert_eq!(output.status.code(), Some(3), "{number}: {out}{err}");
        harmless(&out);
        harmless(&err);
    }
    Ok(())
}

/// All values in one registry, a service for each: all the faults at once, as text and as JSON.
pub(super) fn told() -> Result<(), Failed> {
    let cage = Cage::new();
    let service = |value: &String| {
        json!({ "type": value, "host": value, "user": value, "run": [value], "env": { value: value }, "needs": [value],
            "labels": { value: value }, "checks": [{ "http": value, "host": value }], value: value })
    };
    let services: BTreeMap<&String, Value> = cage.values.iter().map(|value| (value, service(value))).collect();
    let hosts: BTreeMap<&String, Value> =
        cage.values.iter().map(|value| (value, json!({ "address": value }))).collect();
    let file = cage.folder.path().join("registry.yml");
    std::fs::write(&file, json!({ "version": 1, "hosts": hosts, "services": services }).to_string())?;
    let file = file.display().to_string();
    for words in [&["validate", "--registry", &file][..], &["--json", "validate", "--registry", &file]] {
        let output = portoser(cage.folder.path(), words).output()?;
        let (out, err) = (String::from_utf8(output.stdout)?, String::from_utf8(output.stderr)?);
        assert_eq!(output.status.code(), Some(3), "{out}{err}");
        assert!(out.len() + err.len() > 100_000, "{} bytes are not all faults", out.len() + err.len());
        harmless(&out);
        harmless(&err);
    }
    cage.intact();
    Ok(())
}
