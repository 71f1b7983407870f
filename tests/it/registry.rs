//! The registry: files under `tests/cases/registry` with the faults that they must give, and the schema held to the reader.
//! `UPDATE=1` rewrites the expectations.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Instant;

use libtest_mimic::{Failed, Trial};
use portoser::plan::Graph;
use portoser::registry::{self, Registry, write_host, write_service};
use serde_json::{Value, json};

use crate::cases;
use crate::fixture::large_registry::large_registry;

mod verbs;

/// The trials of this module: one for each case.
pub fn trials() -> Vec<Trial> {
    let trial = |name: &str, body: fn() -> Result<(), Failed>| Trial::test(format!("registry::{name}"), body);
    let mut trials = vec![
        trial("the_example_shows_every_key", the_example_shows_every_key),
        trial("the_schema_agrees_with_the_reader", the_schema_agrees_with_the_reader),
        trial("what_is_shown_can_be_read_again", what_is_shown_can_be_read_again),
        trial("large_registries_are_read", large_registries_are_read),
    ];
    trials.extend(verbs::trials());
    for path in ["yml", "toml", "json"].iter().flat_map(|kind| cases::files("registry", kind)) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        trials.push(Trial::test(format!("registry::case::{name}"), move || case(&path)));
    }
    trials
}

/// Reads a case, and compares the faults with the file beside it. `# env: NAME` in its first line chooses an environment.
fn case(path: &Path) -> Result<(), Failed> {
    let text = std::fs::read(path)?;
    let first = String::from_utf8_lossy(&text).lines().next().unwrap_or_default().to_owned();
    let env = first.strip_prefix("# env: ").map(str::trim);
    let told = match registry::load(path, env) {
        Ok(_) => "no faults".to_owned(),
        Err(faults) => faults.to_string(),
    };
    let folder = format!("{}/", cases::root().join("tests/cases/registry").display());
    cases::expect(&path.with_extension("faults"), &(told.replace(&folder, "") + "\n"))
}

/// Every key of the schema must be in the example, and the example must be good in every environment.
fn the_example_shows_every_key() -> Result<(), Failed> {
    let path = cases::root().join("registry.example.yml");
    registry::load_all(&path).map_err(|faults| faults.to_string())?;
    let example: Value = serde_yaml::from_str(&std::fs::read_to_string(path)?)?;
    let schema = registry::schema();
    let mut missing = BTreeSet::new();
    for (name, definition) in definitions(&schema) {
        for key in definition["properties"].as_object().into_iter().flat_map(|keys| keys.keys()) {
            missing.insert(format!("{name}.{key}"));
        }
    }
    see(&example, &schema, ("Root", &schema), &mut missing);
    if missing.is_empty() {
        return Ok(());
    }
    Err(format!("registry.example.yml lacks {missing:?}").into())
}

/// The mappings of the schema, by name.
fn definitions(schema: &Value) -> Vec<(String, &Value)> {
    let definitions = schema["$defs"].as_object().expect("definitions");
    let all = definitions.iter().filter(|(name, _)| !name.ends_with("Overlay"));
    all.map(|(name, definition)| (name.clone(), definition)).chain([("Root".to_owned(), schema)]).collect()
}

/// Strikes the keys that a value shows off the list.
fn see(value: &Value, schema: &Value, (name, at): (&str, &Value), missing: &mut BTreeSet<String>) {
    if let Some(reference) = at["$ref"].as_str() {
        let name = reference.trim_start_matches("#/$defs/");
        return see(value, schema, (name, &schema["$defs"][name]), missing);
    }
    for one in at["anyOf"].as_array().into_iter().flatten() {
        see(value, schema, ("", one), missing);
    }
    match value {
        Value::Object(keys) => {
            for (key, value) in keys {
                missing.remove(&format!("{name}.{key}"));
                let below =
                    if at["properties"].is_object() { &at["properties"][key] } else { &at["additionalProperties"] };
                see(value, schema, ("", below), missing);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| see(item, schema, ("", &at["items"]), missing)),
        _ => {}
    }
}

fn validator() -> jsonschema::Validator {
    jsonschema::validator_for(&registry::schema()).expect("the schema is one")
}

/// What the schema refuses, the reader refuses; and what the reader takes, the schema takes. Cases named `shape-` must be
/// refused by the schema too.
fn the_schema_agrees_with_the_reader() -> Result<(), Failed> {
    let validator = validator();
    let example = cases::root().join("registry.example.yml");
    for path in cases::files("registry", "yml").into_iter().chain([example]) {
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        let Ok(mut value) = serde_yaml::from_str::<serde_yaml::Value>(&text) else { continue };
        let Ok(value) = value.apply_merge().and_then(|()| serde_yaml::from_value::<Value>(value)) else { continue };
        let name = cases::name(&path);
        let schema_takes = validator.is_valid(&value);
        let reader_takes = registry::load_all(&path).is_ok();
        if reader_takes && !schema_takes {
            let why: Vec<String> = validator.iter_errors(&value).map(|error| error.to_string()).collect();
            return Err(format!("{name}: the schema refuses what the reader takes: {why:?}").into());
        }
        if name.starts_with("shape-") && schema_takes {
            return Err(format!("{name}: the schema takes it").into());
        }
    }
    Ok(())
}

/// What `show` prints can be read again, and means the same.
fn what_is_shown_can_be_read_again() -> Result<(), Failed> {
    let path = cases::root().join("registry.example.yml");
    let mut first = registry::load(&path, None).map_err(|faults| faults.to_string())?;
    // Only hosts and services are shown.
    first.notify.clear();
    first.at_once = None;
    first.registries.clear();
    let written = |registry: &Registry| {
        let hosts: Value = registry.hosts.values().map(|host| (host.name.to_string(), write_host(host))).collect();
        let services = registry.services.values();
        let services: Value = services.map(|service| (service.name.to_string(), write_service(service))).collect();
        json!({ "version": 1, "hosts": hosts, "services": services })
    };
    let text = serde_yaml::to_string(&written(&first))?;
    let again = registry::load_text(&text, registry::Format::Yaml, &path, None).map_err(|faults| faults.to_string())?;
    let (first, again) = (format!("{first:#?}"), format!("{again:#?}"));
    let differs = first.lines().zip(again.lines()).find(|(first, again)| first != again);
    if first == again { Ok(()) } else { Err(format!("what was read and what was shown differ: {differs:?}").into()) }
}

/// A thousand services are read; with `PORTOSER_BENCH` also more, and the times are printed instead of judged.
fn large_registries_are_read() -> Result<(), Failed> {
    let sizes: &[usize] = if std::env::var_os("PORTOSER_BENCH").is_some() { &[1000, 10_000] } else { &[1000] };
    for &size in sizes {
        let text = large_registry(size);
        let start = Instant::now();
        let registry = registry::load_text(&text, registry::Format::Yaml, Path::new("/registry.yml"), None);
        let registry = registry.map_err(|faults| faults.to_string())?;
        let read = start.elapsed();
        let start = Instant::now();
        let graph = Graph::of(&registry);
        let (order, first) = (graph.order(), registry.services.keys().take(1).cloned().collect());
        let impact = graph.impact(&first).len();
        eprintln!("{size} services, {} KiB: read {read:?}, order and impact {:?}", text.len() >> 10, start.elapsed());
        if order.len() != size || impact < size / 2 {
            return Err(format!("{} in order, {impact} reached", order.len()).into());
        }
    }
    Ok(())
}
