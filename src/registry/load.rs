//! Files to registries.

use std::any::Any;
use std::path::Path;
use std::sync::Mutex;

use super::checked::Registry;
use super::draft::Root;
use super::fault::{Fault, Faults, Place, nearest, shown};
use super::read::{Read, Reader};
use super::settle::settle;
use super::tree::{Format, Node, Trail, Value, overlay, parse};

/// Reads the registry in a file, for one environment. The format goes by the extension: `.toml` is TOML, everything else
/// YAML, of which JSON is a part.
///
/// # Errors
/// All faults at once, each with its place.
pub fn load(path: &Path, env: Option<&str>) -> Result<Registry, Faults> {
    let text = read(path)?;
    let file = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    load_text(&text, format(path), &file, env).map_err(|faults| Faults { file: path.to_owned(), ..faults })
}

/// The format of a file, by its extension.
#[must_use]
pub fn format(path: &Path) -> Format {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("toml") => Format::Toml,
        _ => Format::Yaml,
    }
}

/// Reads a registry from text. `file` is where it stands, absolute; relative paths in it begin at that folder.
///
/// # Errors
/// All faults at once, each with its place.
pub fn load_text(text: &str, format: Format, file: &Path, env: Option<&str>) -> Result<Registry, Faults> {
    let mut to = Reader::default();
    let registry = load_into(text, format, file, env, &mut to);
    match registry {
        Some(registry) if to.faults.is_empty() => Ok(registry),
        _ => Err(Faults::new(file.to_owned(), to.faults)),
    }
}

/// Reads a registry for no environment and for each one; all must be good. The names of the environments come with it.
///
/// # Errors
/// The faults of all of them.
pub fn load_all(path: &Path) -> Result<(Registry, Vec<String>), Faults> {
    check_text(&read(path)?, path)
}

/// Reads a YAML, JSON or TOML text, which stands in a file of this name, for no environment and for each one.
pub(super) fn check_text(text: &str, path: &Path) -> Result<(Registry, Vec<String>), Faults> {
    let file = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut to = Reader::default();
    let Some(root) = tree(text, format(path), &mut to) else {
        return Err(Faults::new(path.to_owned(), to.faults));
    };
    let (names, mut others) = (environments(&root), Vec::new());
    for env in &names {
        let mut within = Reader::default();
        load_tree(root.clone(), &file, Some(env), &mut within);
        others.extend(within.faults.into_iter().map(|fault| (env, fault)));
    }
    let registry = load_tree(root, &file, None, &mut to);
    for (env, mut fault) in others {
        let same = |other: &Fault| other.place == fault.place && other.what == fault.what;
        if !to.faults.iter().any(same) {
            fault.what.push_str(&format!(" [with --env {}]", shown(env)));
            to.faults.push(fault);
        }
    }
    match registry {
        Some(registry) if to.faults.is_empty() => Ok((registry, names)),
        _ => Err(Faults::new(path.to_owned(), to.faults)),
    }
}

fn environments(root: &Node) -> Vec<String> {
    match root.get("environments").map(|node| &node.value) {
        Some(Value::Map(entries)) => entries.iter().map(|entry| entry.key.clone()).collect(),
        _ => Vec::new(),
    }
}

fn read(path: &Path) -> Result<String, Faults> {
    let fail = |place: Option<Place>, what: &str, why: Option<String>| {
        let mut fault = Fault::new(place, "", what);
        fault.why = why;
        Faults::new(path.to_owned(), vec![fault])
    };
    let bytes = std::fs::read(path);
    let bytes = bytes.map_err(|error| fail(None, "cannot read the file", Some(error.to_string())))?;
    String::from_utf8(bytes).map_err(|error| {
        let good = String::from_utf8_lossy(&error.as_bytes()[..error.utf8_error().valid_up_to()]).into_owned();
        let number = |count: usize| u32::try_from(count + 1).unwrap_or(u32::MAX);
        let (line, start) = (good.matches('\n').count(), good.rfind('\n').map_or(0, |at| at + 1));
        let place = Place { line: number(line), column: number(good[start..].chars().count()) };
        fail(Some(place), "this is not UTF-8", None)
    })
}

fn load_into(text: &str, format: Format, file: &Path, env: Option<&str>, to: &mut Reader) -> Option<Registry> {
    let root = tree(text, format, to)?;
    load_tree(root, file, env, to)
}

fn tree(text: &str, format: Format, to: &mut Reader) -> Option<Node> {
    let root = parse(text, format, &mut to.faults).filter(|root| root.kind() != "nothing");
    if root.is_none() && to.faults.is_empty() {
        let fault = to.fault(Place { line: 1, column: 1 }, &Trail::TOP, "the registry is empty");
        fault.hint("begin it with `version: 1`");
    }
    root
}

fn load_tree(mut root: Node, file: &Path, env: Option<&str>, to: &mut Reader) -> Option<Registry> {
    if let Some(env) = env {
        choose(&mut root, env, to);
    }
    let (draft, root) = read_root(root, to)?;
    let registry = settle(&draft, file, env, to);
    keep_for_now(Box::new((draft, root)));
    registry
}

/// Keeps what a registry was made of until the next one is read. A process that reads one and ends does not take it apart,
/// which for a thousand services costs a tenth of all its time.
fn keep_for_now(done: Box<dyn Any + Send>) {
    static LAST: Mutex<Option<Box<dyn Any + Send>>> = Mutex::new(None);
    let before = LAST.lock().map(|mut last| last.replace(done));
    drop(before);
}

/// Reads the tree as written. Overlays are read in their own way, which lets a key be without a value.
fn read_root(mut base: Node, to: &mut Reader) -> Option<(Root, Node)> {
    let mut over = Node { place: base.place, value: Value::Map(Vec::new()) };
    if let (Value::Map(base), Value::Map(over)) = (&mut base.value, &mut over.value) {
        let at = base.iter().position(|entry| entry.key == "environments");
        over.extend(at.map(|at| base.remove(at)));
    }
    let mut draft = Root::read(&base, &Trail::TOP, to)?;
    to.overlay = true;
    let overlays = Root::read(&over, &Trail::TOP, to);
    to.overlay = false;
    draft.environments = overlays?.environments;
    Some((draft, base))
}

/// Lays the overlay of an environment on the rest of the registry.
fn choose(root: &mut Node, env: &str, to: &mut Reader) {
    let environments = root.get("environments");
    let Some(chosen) = environments.and_then(|all| all.get(env)).cloned() else {
        let names: Vec<&str> = match environments.map(|all| &all.value) {
            Some(Value::Map(entries)) => entries.iter().map(|entry| entry.key.as_str()).collect(),
            _ => Vec::new(),
        };
        let mut fault = Fault::new(None, "environments", format!("no environment named `{}`", shown(env)));
        if let Some(near) = nearest(env, names.iter().copied()) {
            fault.hint(format!("did you mean `{near}`?"));
        } else if !names.is_empty() {
            fault.hint(format!("there are {}", names.join(", ")));
        }
        to.faults.push(fault);
        return;
    };
    let mut over = Node { place: chosen.place, value: Value::Map(Vec::new()) };
    if let (Value::Map(entries), Value::Map(over)) = (chosen.value, &mut over.value) {
        over.extend(
            entries
                .into_iter()
                .filter(|entry| ["defaults", "hosts", "services", "registries"].contains(&entry.key.as_str())),
        );
    }
    overlay(root, &over);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::registry::{Kind, Native};

    const SKETCH: &str = include_str!("../../registry.example.yml");

    fn read(text: &str, format: Format) {
        let file = Path::new("/nowhere/registry.yml");
        for env in [None, Some("staging")] {
            if let Err(faults) = load_text(text, format, file, env) {
                assert!(!faults.list.is_empty());
                assert!(faults.to_string().lines().count() >= faults.list.len());
            }
        }
    }

    #[test]
    fn aliases_without_bound_are_stopped_soon() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..60 {
            let below = format!("*a{}, ", level - 1).repeat(10);
            text.push_str(&format!("a{level}: &a{level} [{below}]\n"));
        }
        let faults = load_text(&text, Format::Yaml, Path::new("/r.yml"), None).expect_err("a bomb");
        assert!(faults.to_string().contains("without bound"), "{faults}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn what_is_written_is_held_or_refused(
            words in prop::collection::vec("(?s).{0,30}", 4),
            (port, instances) in (1..=60_000_u16, 1..20_u16),
            (name, host) in ("[a-z][a-z0-9-]{0,20}[a-z0-9]", "[a-z][a-z0-9-]{0,20}[a-z0-9]"),
        ) {
            let service = serde_json::json!({ "type": "native", "host": host, "run": ["/bin/x", words[0]], "port": port,
                "instances": instances, "env": { "A": words[1] }, "labels": { "a": words[2] } });
            let hosts = serde_json::json!({ &host: { "address": "192.0.2.1", "env": { "B": words[3] } } });
            let text = serde_json::json!({ "version": 1, "hosts": hosts, "services": { &name: service } }).to_string();
            match load_text(&text, Format::Yaml, Path::new("/nowhere/registry.yml"), None) {
                Ok(registry) => {
                    prop_assert_eq!((registry.hosts.len(), registry.services.len()), (1, 1));
                    let (held_name, service) = registry.services.first_key_value().expect("a service");
                    let (held_host, host_held) = registry.hosts.first_key_value().expect("a host");
                    prop_assert_eq!((held_name.as_str(), held_host.as_str()), (name.as_str(), host.as_str()));
                    let Kind::Native(Native::Run { words: run }) = &service.kind else { panic!("{service:?}") };
                    let held = [&run[1], &service.env["A"], &service.labels["a"], &host_held.env["B"]];
                    prop_assert_eq!(held.map(String::as_str), [0, 1, 2, 3].map(|at| words[at].as_str()));
                    prop_assert_eq!((service.port, service.instances), (Some(port), instances));
                }
                // What no host could be given, and what looks like a variable and is none.
                Err(faults) => {
                    let strange = |c: char| c == '$' || c.is_control() || !c.is_ascii();
                    prop_assert!(words.iter().any(|word| word.contains(strange) || word.is_empty()), "{}", faults);
                }
            }
        }

        #[test]
        fn any_text_is_read_or_refused(text in "(?s).{0,200}") {
            read(&text, Format::Yaml);
            read(&text, Format::Toml);
        }

        #[test]
        fn any_yaml_is_read_or_refused(words in prop::collection::vec(prop::sample::select(vec![
            "version: 1", "hosts:", "services:", "environments:", "  ", "\n", "\n  ", "a: ", "- ", "{", "}", "[", "]", ",", "&a ",
            "*a", "<<: ", "|", ">", "'", "\"", "#", "!x ", "? ", ": ", "~", "0", "on: ", "run: ", "---", "...", "%", "\t", "é",
        ]), 0..60)) {
            read(&words.concat(), Format::Yaml);
        }

        #[test]
        fn a_damaged_registry_is_read_or_refused(at in 0..SKETCH.len(), length in 0..40_usize, put in "[ -~\n]{0,6}") {
            let mut bytes = SKETCH.as_bytes().to_vec();
            let end = (at + length).min(bytes.len());
            bytes.splice(at..end, put.bytes());
            if let Ok(text) = String::from_utf8(bytes) {
                read(&text, Format::Yaml);
            }
        }
    }
}
