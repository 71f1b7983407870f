//! Each value in each field of the example, which shows every key of the schema (`registry::the_example_shows_every_key`):
//! a new field is tried as soon as it is there.

use std::collections::BTreeMap;
use std::path::{Component, PathBuf};
use std::sync::{Arc, LazyLock, Mutex};

use libtest_mimic::Failed;
use portoser::registry::{self, Faults, Format, Registry};
use serde_json::{Value, json};

use super::{Cage, harmless};
use crate::cases;
use crate::cli::portoser;

/// A text of the example, or a key.
struct Field {
    /// Where it is in the example, as a JSON pointer.
    name: String,
    /// The key itself is replaced, not what it leads to.
    key: bool,
    /// The environment that must be chosen for it to count.
    environment: Option<String>,
    /// The example, as little of it as makes a registry with this field, and `HOLE` in its place.
    lean: String,
}

/// What a value takes the place of.
const HOLE: &str = "hostile-hole";
const HOLE_WRITTEN: &str = "\"hostile-hole\"";

impl Field {
    /// The field at this path of a lean example: the text there, or the key that leads there.
    fn new(lean: &Value, name: &str, path: &str, key: bool, last: &str) -> Self {
        let mut lean = lean.clone();
        let (parent, _) = path.rsplit_once('/').unwrap_or_default();
        match lean.pointer_mut(if key { parent } else { path }).expect("a place") {
            Value::Object(map) if key => {
                let below = map.remove(last).expect("a value");
                map.insert(HOLE.to_owned(), below);
            }
            text => *text = HOLE.into(),
        }
        let environment = if parent == "/environments" { Some(HOLE) } else { environment(path) };
        let name = format!("{name}{}", if key { " (the key)" } else { "" });
        Self { name, key, environment: environment.map(str::to_owned), lean: lean.to_string() }
    }

    /// How a registry with this value is taken; an error when it is neither carried exactly nor refused clearly.
    fn take(&self, value: &Written) -> Result<Taken, String> {
        let environment = self.environment.as_deref().map(|name| if name == HOLE { value.plain } else { name });
        match load(&self.lean.replacen(HOLE_WRITTEN, &value.json, 1), environment) {
            Err(faults) => {
                let unclear =
                    faults.list.iter().find(|fault| fault.what.trim().is_empty() || fault.to_string().len() > 2048);
                match unclear {
                    None if !faults.list.is_empty() => Ok(Taken::Refused),
                    _ => Err(format!("no clear fault: {unclear:.300?}")),
                }
            }
            Ok(registry) if is_there(&registry, value.plain) => Ok(Taken::Exactly),
            Ok(_) => Err("taken, and not there".to_owned()),
        }
    }

    /// Whether any name may stand here, and not only the schema's own.
    fn is_free(&self) -> bool {
        self.key && matches!(self.take(&Written::new("x9")), Ok(Taken::Exactly))
    }
}

/// A value, and how it is written in a registry.
struct Written<'a> {
    plain: &'a str,
    json: String,
}

impl<'a> Written<'a> {
    fn new(plain: &'a str) -> Self {
        Self { plain, json: Value::from(plain).to_string() }
    }
}

/// The environment that this path of the example is about.
fn environment(path: &str) -> Option<&str> {
    path.strip_prefix("/environments/").map(|below| below.split('/').next().unwrap_or(below))
}

fn example() -> Value {
    let text = std::fs::read_to_string(cases::root().join("registry.example.yml")).expect("the example");
    serde_yaml::from_str(&text).expect("YAML")
}

fn load(text: &str, environment: Option<&str>) -> Result<Registry, Faults> {
    registry::load_text(text, Format::Yaml, &cases::root().join("registry.example.yml"), environment)
}

/// What may have to stay beside a key, so that the rest is a registry: the less the better, as each value is read within it.
const BESIDE: &[&[&str]] = &[
    &["version", "type", "host", "run"],
    &["version", "type", "host", "unit"],
    &["version", "type", "host", "run", "source"],
    &["version", "hosts", "type", "run", "port", "source"],
    &["version", "hosts", "type", "run", "port", "source", "env"],
    &["version", "hosts", "type", "on", "run"],
    &["version", "hosts", "services", "bastion", "web1", "db"],
];

/// The example with only this item in the list.
fn alone(whole: &Arc<Value>, parent: &str, item: &Value) -> Arc<Value> {
    let mut lean = Value::clone(whole);
    if let Some(list) = lean.pointer_mut(parent) {
        *list = Value::from(vec![item.clone()]);
    }
    Arc::new(lean)
}

/// The example without what stands beside this key, and is not needed.
fn lean(whole: &Arc<Value>, parent: &str, last: &str) -> Arc<Value> {
    let below = format!("{parent}/{last}");
    if below == "/environments" {
        // They lie over all the rest.
        return Arc::clone(whole);
    }
    let candidates = BESIDE.iter().map(|beside| {
        let mut lean = Value::clone(whole);
        if let Some(Value::Object(map)) = lean.pointer_mut(parent) {
            map.retain(|name, _| name == last || beside.contains(&name.as_str()));
        }
        if parent.is_empty() && last != "hosts" {
            let hosts = lean["hosts"].as_object_mut().into_iter().flat_map(serde_json::Map::values_mut);
            hosts.filter_map(Value::as_object_mut).for_each(|host| host.retain(|name, _| name == "labels"));
        }
        lean
    });
    let valid = |lean: &Value| load(&lean.to_string(), environment(&below)).is_ok();
    candidates.into_iter().find(valid).map_or_else(|| Arc::clone(whole), Arc::new)
}

/// All fields at `parent` and below, which is called `name` in the example.
fn places(whole: &Arc<Value>, parent: &str, name: &str, found: &mut Vec<Field>) {
    let value = whole.pointer(parent).expect("a place");
    for (number, key, below) in children(value) {
        // Of words, the place among the others counts.
        let (lean, last) = match key {
            Some(key) => (lean(whole, parent, key), key.replace('~', "~0").replace('/', "~1")),
            None if below.is_object() => (alone(whole, parent, below), "0".to_owned()),
            None => (Arc::clone(whole), number.to_string()),
        };
        let path = format!("{parent}/{last}");
        let name = format!("{name}/{}", if key.is_some() { last } else { number.to_string() });
        let faults = load(&lean.to_string(), environment(&path)).err();
        assert!(faults.is_none(), "{name}: this is no registry without a hostile value: {faults:?}");
        if let Some(key) = key {
            found.push(Field::new(&lean, &name, &path, true, key));
        }
        if below.is_string() {
            found.push(Field::new(&lean, &name, &path, false, ""));
        }
        places(&lean, &path, &name, found);
    }
}

fn children(value: &Value) -> Vec<(usize, Option<&str>, &Value)> {
    match value {
        Value::Object(map) => map.iter().map(|(key, below)| (0, Some(key.as_str()), below)).collect(),
        Value::Array(list) => list.iter().enumerate().map(|(number, below)| (number, None, below)).collect(),
        _ => Vec::new(),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Taken {
    Exactly,
    Refused,
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
        || matches!(value, "undo" | "on")
}

/// One of so many values in every such field, over the processors; what was neither carried nor refused is told. The next
/// field gets the next values.
fn try_all(keys: bool, values: &[String], every: fn(&Field) -> usize) -> Result<BTreeMap<String, [usize; 2]>, Failed> {
    static FIELDS: LazyLock<Vec<Field>> = LazyLock::new(|| {
        let mut fields = Vec::new();
        places(&Arc::new(example()), "", "", &mut fields);
        fields
    });
    let fields: Vec<&Field> = FIELDS.iter().filter(|field| field.key == keys).collect();
    let written: Vec<Written<'_>> = values.iter().map(|value| Written::new(value)).collect();
    let queue = Mutex::new(fields.into_iter().enumerate());
    let (counts, wrong) = (Mutex::new(BTreeMap::new()), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                while let Some((number, field)) = { queue.lock().expect("a queue").next() } {
                    let (mut count, every) = ([0, 0], every(field));
                    for value in written.iter().skip(number % every).step_by(every) {
                        match field.take(value) {
                            Ok(how) => count[usize::from(how == Taken::Refused)] += 1,
                            Err(why) => wrong
                                .lock()
                                .expect("a list")
                                .push(format!("{} {:.80?}: {why}", field.name, value.plain)),
                        }
                    }
                    counts.lock().expect("a map").insert(field.name.clone(), count);
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
    let counts = try_all(false, &cage.values, |_| 2)?;
    tell("fields", cage.values.len(), &counts);
    assert!(counts.values().all(|count| count[0] + count[1] >= 200), "{counts:?}");
    cage.intact();
    Ok(())
}

/// Where only the schema's own keys may stand, a share of the values is enough for each.
pub(super) fn keys() -> Result<(), Failed> {
    let cage = Cage::new();
    let counts = try_all(true, &cage.values, |field| if field.is_free() { 2 } else { 16 })?;
    tell("keys", cage.values.len(), &counts);
    cage.intact();
    Ok(())
}

/// No host could be given one. What an answer is compared with stays here, and may hold any character.
pub(super) fn nul() -> Result<(), Failed> {
    let compared = |path: &str| path.contains("/checks/") && ["/body/", "/log"].iter().any(|part| path.contains(part));
    for keys in [false, true] {
        let counts = try_all(keys, &["a\0b".to_owned(), "\0".to_owned()], |_| 1)?;
        let taken = counts.iter().filter(|(path, count)| count[0] > 0 && !compared(path));
        let taken: Vec<_> = taken.map(|(path, _)| path).collect();
        assert!(taken.is_empty(), "{taken:?}");
    }
    Ok(())
}

pub(super) fn long() -> Result<(), Failed> {
    for keys in [false, true] {
        let long = [format!("$(exit 1){}", "x".repeat(64 << 10)), "é".repeat(32 << 10), "a/".repeat(32 << 10)];
        let counts = try_all(keys, &long, |field| if field.key && !field.is_free() { 3 } else { 1 })?;
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
