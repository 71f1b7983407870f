//! Files of other tools to registry entries. Every value of such a file is told: what it became, why nothing is lost without
//! it, or why it has no place here and what to do. Nothing is guessed, and nothing is dropped silently.

mod compose;
mod ecosystem;
mod entry;
mod fit;
mod item;
mod notes;
mod portoser;
mod python;
mod words;

pub use fit::{Fitted, fit};
pub use notes::{Note, Outcome};

use std::path::{Path, PathBuf};

use entry::Entry;
use item::Item;
use notes::Notes;

use super::fault::{Fault, Faults};
use super::tree::{Format, Node, parse};
use crate::model::{HostName, ServiceName};

/// What a file is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A project of docker compose.
    Compose,
    /// A process file of PM2 or PMDaemon.
    Ecosystem,
    /// A registry of the shell tool portoser.
    Portoser,
}

/// What is known besides the file.
#[derive(Clone, Debug)]
pub struct Around<'a> {
    /// The file, as the caller named it.
    pub file: &'a Path,
    /// The folder on this machine where the files are that it names; none when it came from elsewhere.
    pub folder: Option<PathBuf>,
    /// The host that the file came from; none when it is of this machine.
    pub from: Option<&'a HostName>,
    /// The folder on its host that the file came from; none when it is of this machine.
    pub there: Option<&'a str>,
    /// The lines of the `.env` beside it there that name its project.
    pub settings: Option<&'a str>,
    /// The registry's file, absolute.
    pub registry: &'a Path,
    /// Where services run of a file that names no hosts.
    pub hosts: &'a [HostName],
    /// Of a process file: whose variables are added, as by `pm2 start --env`.
    pub variables: Option<&'a str>,
    /// Of a compose file: whether the project stays in one piece.
    pub whole: bool,
}

/// What a file became, not yet held against the registry.
#[derive(Debug)]
pub struct Import {
    entries: Vec<Entry>,
    notes: Vec<Note>,
}

/// Reads a file of another tool.
///
/// # Errors
/// When it cannot be read as what it should be; what is only not known here is in the notes.
pub fn import(origin: Origin, text: &str, format: Format, around: &Around<'_>) -> Result<Import, Faults> {
    let mut faults = Vec::new();
    let node = parse(text, format, &mut faults).filter(|node| node.kind() != "nothing");
    let refuse = |faults| Err(Faults::new(around.file.to_owned(), faults));
    let Some(node) = node else {
        if faults.is_empty() {
            faults.push(Fault::new(None, "", "the file is empty"));
        }
        return refuse(faults);
    };
    let top = Item::top(&node);
    let wanted = match origin {
        Origin::Compose | Origin::Portoser => top.get("services").filter(Item::is_map),
        Origin::Ecosystem => ecosystem::apps(&top).map(|_| top.clone()),
    };
    if wanted.is_none() {
        faults.push(not_one(origin, &node));
    }
    if !faults.is_empty() {
        return refuse(faults);
    }
    let mut notes = Notes::new(around.file);
    let entries = match origin {
        Origin::Compose => compose::entries(&top, around, &mut notes),
        Origin::Ecosystem => ecosystem::entries(&top, around, &mut notes),
        Origin::Portoser => portoser::entries(&top, around, &mut notes),
    };
    Ok(Import { entries, notes: notes.finish(&top) })
}

fn not_one(origin: Origin, node: &Node) -> Fault {
    let (what, why) = match origin {
        Origin::Compose => ("this is not a compose file", "it has no mapping `services`"),
        Origin::Ecosystem => ("this is not a process file", "it has no list `apps`"),
        Origin::Portoser => ("this is not a registry of the shell tool", "it has no mapping `services`"),
    };
    let mut fault = Fault::new(Some(node.place), "", what);
    fault.why(why);
    fault
}

/// The name that comes nearest to a text by the registry's rule; none when it has no letter.
#[must_use]
pub fn name_of(text: &str) -> Option<ServiceName> {
    words::slug(text).and_then(|slug| ServiceName::try_from(slug).ok())
}

impl Around<'_> {
    /// A path of this machine as the registry names it: relative to the registry's file where it lies below.
    fn named(&self, path: &Path) -> String {
        let path: PathBuf = path.components().collect();
        let below = self.registry.parent().and_then(|folder| path.strip_prefix(folder).ok());
        let named = below.unwrap_or(&path).display().to_string();
        if named.is_empty() { ".".to_owned() } else { named }
    }

    /// The file or folder of this machine that a path means, if it is there. A `/` at its front counts for nothing.
    fn found(&self, path: &str) -> Option<PathBuf> {
        let path = self.folder.as_ref()?.join(path.trim_start_matches('/'));
        path.exists().then(|| path.components().collect())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;
    use crate::registry::fault::Place;
    use crate::registry::tree::Value;

    const WORDS: &[&str] = &[
        "services:",
        "hosts:",
        "apps:",
        "  ",
        "\n",
        "\n  ",
        "\n    ",
        "\n- ",
        "a: ",
        "b: ",
        "- ",
        "{ ",
        " }",
        "[",
        "]",
        ", ",
        "&x ",
        "*x",
        "<<: ",
        "1",
        "x",
        "\"${A}\"",
        "~",
        "name: n",
        "script: /s.js",
        "script: s",
        "args: '",
        "env: ",
        "PORT: 1",
        "port: ",
        "instances: 2",
        "health_check: ",
        "url: http://h/",
        "current_host: a",
        "ip: 1.2.3.4",
        "deployment_type: local",
        "service_file: f",
        "dependencies: ",
        "healthcheck_url: http://x/y",
        "cwd: .",
        "image: i",
        "ports: ",
        "build: .",
    ];

    /// The scalars that say something.
    fn leaves(item: &Item<'_>, found: &mut Vec<(String, Place)>) {
        match &item.node.value {
            Value::Map(_) => item.entries().iter().for_each(|(_, item)| leaves(item, found)),
            Value::List(_) => item.items().iter().for_each(|item| leaves(item, found)),
            Value::Scalar(..) => found.push((item.path.clone(), item.place)),
        }
    }

    fn every_value_is_told(origin: Origin, text: &str) {
        let hosts = [HostName::try_from("h").expect("a name")];
        let around = Around {
            file: Path::new("in.yml"),
            folder: Some(PathBuf::from("/nowhere")),
            from: None,
            there: None,
            settings: None,
            registry: Path::new("/nowhere/registry.yml"),
            hosts: &hosts,
            variables: None,
            whole: false,
        };
        let Ok(import) = import(origin, text, Format::Yaml, &around) else { return };
        let node = parse(text, Format::Yaml, &mut Vec::new()).expect("it was read");
        let (mut all, top) = (Vec::new(), Item::top(&node));
        leaves(&top, &mut all);
        let registry = "version: 1\nhosts: { h: {} }\n";
        let fitted = fit(import, registry, Path::new("/nowhere/registry.yml")).expect("the registry is valid");
        let paths: HashSet<&str> = fitted.notes.iter().map(|note| note.path.as_str()).collect();
        let places: HashSet<Place> = fitted.notes.iter().map(|note| note.place).collect();
        for (path, place) in all {
            let above = path.match_indices(['.', '[']).map(|(at, _)| &path[..at]).chain([path.as_str(), ""]);
            assert!(above.into_iter().any(|path| paths.contains(path)) || places.contains(&place), "{path}: {text}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        #[test]
        fn nothing_is_dropped_silently(words in prop::collection::vec(prop::sample::select(WORDS), 0..40)) {
            let text = words.concat();
            for origin in [Origin::Compose, Origin::Ecosystem, Origin::Portoser] {
                every_value_is_told(origin, &text);
            }
        }

        #[test]
        fn of_services_nothing_is_dropped_silently(
            keys in prop::collection::vec((prop::sample::select(WORDS), prop::sample::select(WORDS)), 0..12),
        ) {
            let keys: Vec<String> = keys.iter().enumerate().map(|(number, (key, value))| {
                let key = key.trim().split(':').next().unwrap_or_default().trim_matches(['-', '"', '{', '}', '[', ']', ',', '&', '*', '<', ' ']);
                format!("\"{key}{}\": \"{}\"", if key.len() < 2 { number.to_string() } else { String::new() }, value.trim().replace(['"', '\n'], ""))
            }).collect();
            let keys = keys.join(", ");
            every_value_is_told(Origin::Compose, &format!("services: {{ a: {{ image: i, {keys} }} }}"));
            every_value_is_told(Origin::Ecosystem, &format!("apps: [{{ {keys} }}]"));
            every_value_is_told(Origin::Portoser, &format!("hosts: {{ a: {{ ip: 1.2.3.4 }} }}\nservices: {{ x: {{ {keys} }} }}"));
        }
    }
}
