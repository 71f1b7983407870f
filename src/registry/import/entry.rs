//! A registry entry in the making: keys and values, and what stands for each of them in the file that is imported.

use serde_json::{Map, Value, json};

use super::item::Item;
use super::notes::Notes;
use super::words;
use crate::registry::edit::flow;
use crate::registry::fault::Place;

/// A host or a service that is to be added.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// `hosts` or `services`.
    pub(super) kind: &'static str,
    pub(super) name: String,
    /// Where it stands in the file that is imported.
    pub(super) place: Place,
    /// The way to it there.
    pub(super) path: String,
    pub(super) keys: Map<String, Value>,
    /// What it needs; apart, as some of these may not be there in the end.
    pub(super) needs: Vec<Need>,
}

/// One service that another one needs.
#[derive(Clone, Debug)]
pub(super) struct Need {
    pub(super) name: String,
    /// Where a file says so.
    pub(super) place: Place,
    /// The way to it from the file that is imported.
    pub(super) path: String,
}

impl Entry {
    pub(super) fn new(kind: &'static str, name: &str, item: &Item<'_>) -> Self {
        Self {
            kind,
            name: name.to_owned(),
            place: item.place,
            path: item.path.clone(),
            keys: Map::new(),
            needs: Vec::new(),
        }
    }

    /// A key of this entry, as a note calls it.
    pub(super) fn key(&self, key: &str) -> String {
        format!("{}.{}.{key}", self.kind, self.name)
    }

    /// Sets a key, without a note. A dot leads into a mapping.
    pub(super) fn set(&mut self, key: &str, value: impl Into<Value>) {
        match key.split_once('.') {
            Some((key, below)) => self.keys.entry(key).or_insert_with(|| json!({}))[below] = value.into(),
            None => drop(self.keys.insert(key.to_owned(), value.into())),
        }
    }

    /// Sets a key to what a value of the file became.
    pub(super) fn put(&mut self, item: &Item<'_>, key: &str, value: impl Into<Value>, notes: &mut Notes) {
        let value = value.into();
        notes.became(item, format!("{}: {}", self.key(key), flow(&value)));
        self.set(key, value);
    }

    /// Adds a value to a list.
    pub(super) fn push(&mut self, item: &Item<'_>, key: &str, value: impl Into<Value>, notes: &mut Notes) {
        let value = value.into();
        notes.became(item, format!("{}: {}", self.key(key), flow(&value)));
        if let Some(list) = self.keys.entry(key).or_insert_with(|| json!([])).as_array_mut() {
            list.push(value);
        }
    }

    /// These words, begun where its command is: a relative program is meant from there.
    pub(super) fn beside_run(&self, words: Vec<String>) -> Vec<String> {
        let begins = self.keys.get("run").and_then(Value::as_array).map(Vec::as_slice);
        let relative = words.first().is_some_and(|first| first.starts_with('.') || first == words::SHELL);
        match begins {
            Some([env, option, folder, ..]) if relative && env == words::ENV && option == "-C" => {
                let prefix = [env, option, folder].into_iter().filter_map(Value::as_str).map(str::to_owned);
                prefix.chain(words).collect()
            }
            _ => words,
        }
    }

    /// Sets environment variables. Their values are not told: some are secrets.
    pub(super) fn env(&mut self, item: &Item<'_>, notes: &mut Notes) {
        for (name, item) in item.entries() {
            self.variable(name, &item, notes);
        }
    }

    /// Sets one environment variable, exactly as it stands there.
    pub(super) fn variable(&mut self, name: &str, item: &Item<'_>, notes: &mut Notes) {
        if !words::is_variable(name) {
            let hint = "use letters, digits and `_`; do not begin with a digit";
            return notes.lost(item, "this is not the name of an environment variable", hint);
        }
        let Some(text) = item.text() else {
            if item.is_null() {
                let hint = "give it a value in the registry; nothing is taken from the shell that calls portoser";
                return notes.lost(item, "it has no value", hint);
            }
            return notes.wrong(item, "a text");
        };
        if !words::is_word(text) {
            let hint = "write it to a file with `files`, and name that file";
            return notes.lost(item, "it holds characters that no environment variable can hold here", hint);
        }
        let env = self.keys.entry("env").or_insert_with(|| json!({}));
        env[name] = words::literal(text).into();
        notes.became(item, self.key(&format!("env.{name}")));
    }

    /// Adds what it needs.
    pub(super) fn need(&mut self, name: &str, item: &Item<'_>, notes: &mut Notes) {
        let Some(name) = words::slug(name) else {
            return notes.wrong(item, "the name of a service");
        };
        if name == self.name {
            return notes.lost(item, "it would need itself", "take it away there");
        }
        notes.became(item, format!("{}: [{name}]", self.key("needs")));
        if !self.needs.iter().any(|need| need.name == name) {
            self.needs.push(Need { name, place: item.place, path: notes.whole_way(item) });
        }
    }
}
