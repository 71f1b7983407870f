//! What became of each value of the file that is imported. Whatever no note speaks of at the end gets one of its own.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::item::Item;
use crate::registry::fault::{Place, shown};
use crate::registry::tree::Value;

/// What became of one value, and of all below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The file, as the caller named it.
    pub file: PathBuf,
    /// Where it stands there.
    pub place: Place,
    /// The way to it there, such as `services.web.port`.
    pub path: String,
    pub outcome: Outcome,
    /// The way to it from the file that was imported, which may name the file that it stands in.
    of: String,
}

/// What became of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It stands in the registry, at this key.
    Became(String),
    /// Nothing is lost without it, and why.
    Needless(String),
    /// It has no place in the registry: why, and what to do.
    Lost { why: String, hint: String },
}

impl Note {
    /// Whether what the value said is not in the registry now.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        matches!(self.outcome, Outcome::Lost { .. })
    }

    /// The note as data.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        let (outcome, became, why, hint) = match &self.outcome {
            Outcome::Became(to) => ("mapped", Some(to), None, None),
            Outcome::Needless(why) => ("not-needed", None, Some(why), None),
            Outcome::Lost { why, hint } => ("not-mapped", None, Some(why), Some(hint)),
        };
        serde_json::json!({
            "file": self.file.display().to_string(),
            "line": self.place.line,
            "column": self.place.column,
            "path": self.path,
            "outcome": outcome,
            "became": became,
            "why": why,
            "hint": hint,
        })
    }
}

impl std::fmt::Display for Note {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let path = if self.path.is_empty() { "the file" } else { &self.path };
        write!(f, "{}:{}: {path} ", self.file.display(), self.place)?;
        match &self.outcome {
            Outcome::Became(to) => write!(f, "-> {to}"),
            Outcome::Needless(why) => write!(f, "is not needed: {why}"),
            Outcome::Lost { why, hint } => write!(f, "is not mapped: {why} (hint: {hint})"),
        }
    }
}

/// The notes about one file, and about files that it names.
#[derive(Debug)]
pub(super) struct Notes {
    file: PathBuf,
    /// What the whole file belongs to, if another file names it.
    of: Option<String>,
    list: Vec<Note>,
    /// The ways to mappings of which a note says only what their whole became.
    headings: HashSet<String>,
    /// Notes about other files.
    others: Vec<Note>,
}

/// What notes speak of.
struct Told {
    paths: HashSet<String>,
    places: HashSet<Place>,
}

impl Notes {
    pub(super) fn new(file: &Path) -> Self {
        Self { file: file.to_owned(), of: None, list: Vec::new(), headings: HashSet::new(), others: Vec::new() }
    }

    /// For a file that a value names.
    pub(super) fn within(file: &Path, of: &str) -> Self {
        Self { of: Some(of.to_owned()), ..Self::new(file) }
    }

    /// Takes the notes about another file.
    pub(super) fn take(&mut self, others: Vec<Note>) {
        self.others.extend(others);
    }

    /// The way to a value from the file that is imported.
    pub(super) fn whole_way(&self, item: &Item<'_>) -> String {
        self.way(&item.path)
    }

    fn way(&self, path: &str) -> String {
        match &self.of {
            Some(of) if path.is_empty() || path.starts_with('[') => format!("{of}{path}"),
            Some(of) => format!("{of}.{path}"),
            None => path.to_owned(),
        }
    }

    fn add(&mut self, place: Place, path: &str, outcome: Outcome) {
        let of = self.way(path);
        self.list.push(Note { file: self.file.clone(), place, path: path.to_owned(), outcome, of });
    }

    /// It stands in the registry, at this key.
    pub(super) fn became(&mut self, item: &Item<'_>, to: impl Into<String>) {
        self.add(item.place, &item.path, Outcome::Became(to.into()));
    }

    /// Its whole became this; what is below it needs notes of its own.
    pub(super) fn heading(&mut self, item: &Item<'_>, to: impl Into<String>) {
        self.headings.insert(item.path.clone());
        self.became(item, to);
    }

    /// Nothing is lost without it.
    pub(super) fn needless(&mut self, item: &Item<'_>, why: impl Into<String>) {
        self.add(item.place, &item.path, Outcome::Needless(why.into()));
    }

    /// It has no place in the registry.
    pub(super) fn lost(&mut self, item: &Item<'_>, why: impl Into<String>, hint: impl Into<String>) {
        let outcome = Outcome::Lost { why: why.into(), hint: hint.into() };
        self.add(item.place, &item.path, outcome);
    }

    /// Something beside it has no place in the registry; what is below it needs notes of its own.
    pub(super) fn lost_beside(&mut self, item: &Item<'_>, why: impl Into<String>, hint: impl Into<String>) {
        self.headings.insert(item.path.clone());
        self.lost(item, why, hint);
    }

    /// It is left out as a whole, whatever was said about parts of it.
    pub(super) fn leave_out(&mut self, item: &Item<'_>, why: impl Into<String>, hint: impl Into<String>) {
        let way = self.way(&item.path);
        self.list.retain(|note| !is_below(&note.of, &way));
        self.others.retain(|note| !is_below(&note.of, &way));
        self.lost(item, why, hint);
    }

    /// The file that these notes are about.
    pub(super) fn file(&self) -> &Path {
        &self.file
    }

    /// It is not of the kind that its key needs.
    pub(super) fn wrong(&mut self, item: &Item<'_>, wanted: &str) {
        let found = match item.text() {
            Some(text) => format!("`{}`", shown(text)),
            None => item.node.kind().to_owned(),
        };
        self.lost(item, format!("{found} is not {wanted}"), "mend it there, or give the key in the registry by hand");
    }

    /// What was told of a file of which nothing else need be.
    pub(super) fn told(self) -> Vec<Note> {
        self.list
    }

    /// All notes in the order of the file, with one for every value that none speaks of; then those about other files.
    pub(super) fn finish(mut self, top: &Item<'_>) -> Vec<Note> {
        let told = self.list.iter().map(|note| note.path.clone()).filter(|path| !self.headings.contains(path));
        let told = Told { paths: told.collect(), places: self.list.iter().map(|note| note.place).collect() };
        self.sweep(top, &told);
        self.list.sort_by_key(|note| note.place);
        self.list.append(&mut self.others);
        self.list
    }

    fn sweep(&mut self, item: &Item<'_>, told: &Told) {
        if told.paths.contains(&item.path) {
            return;
        }
        match &item.node.value {
            Value::Map(entries) if !entries.is_empty() => {
                item.entries().iter().for_each(|(_, item)| self.sweep(item, told));
            }
            Value::List(items) if !items.is_empty() => item.items().iter().for_each(|item| self.sweep(item, told)),
            // What an anchor names is told where it is used.
            Value::Scalar(..) if told.places.contains(&item.place) => {}
            Value::Scalar(..) if item.is_null() => self.needless(item, "it says nothing"),
            Value::Map(_) | Value::List(_) => self.needless(item, "it is empty"),
            Value::Scalar(..) => self.lost(
                item,
                "nothing here is known for it",
                "look whether the registry has a key for it: `portoser schema`",
            ),
        }
    }
}

/// Replaces all that was said about a value and what belongs to it. `way` leads there from the file that was imported.
pub(super) fn instead(notes: &mut Vec<Note>, (place, way): (Place, &str), outcome: Outcome) {
    let Some(first) = notes.iter().position(|note| is_below(&note.of, way)) else { return };
    let own = notes.iter().find(|note| note.of == way).map(|note| note.path.clone());
    let note = Note {
        file: notes[first].file.clone(),
        place,
        path: own.unwrap_or_else(|| way.to_owned()),
        outcome,
        of: way.to_owned(),
    };
    notes.retain(|note| !is_below(&note.of, way));
    notes.insert(first, note);
}

/// Whether a way is another one, or leads on from it.
fn is_below(path: &str, other: &str) -> bool {
    path.strip_prefix(other).is_some_and(|rest| rest.is_empty() || other.is_empty() || rest.starts_with(['.', '[']))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::tree::{Format, parse};

    #[test]
    fn what_no_note_speaks_of_is_told() {
        let node = parse("a: 1\nb: { c: 2, d: [3, 4] }\ne: {}\nf:\n", Format::Yaml, &mut Vec::new()).expect("YAML");
        let top = Item::top(&node);
        let mut notes = Notes::new(Path::new("x.yml"));
        notes.became(&top.get("b").and_then(|b| b.get("c")).expect("c"), "x");
        let notes = notes.finish(&top);
        let told: Vec<(&str, bool)> = notes.iter().map(|note| (note.path.as_str(), note.is_lost())).collect();
        assert_eq!(told, [("a", true), ("b.c", false), ("b.d[0]", true), ("b.d[1]", true), ("e", false), ("f", false)]);
    }

    #[test]
    fn a_way_is_below_another() {
        assert!(is_below("a.b", "a.b") && is_below("a.b[0]", "a.b") && is_below("a.b.c", "a.b") && is_below("a", ""));
        assert!(!is_below("a.bc", "a.b") && !is_below("a", "a.b"));
    }
}
