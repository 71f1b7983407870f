//! What a release is, in a form that can be shown and compared. Secrets have no value here, only a name.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::{ReleaseId, RunId, ServiceName};

/// A release that some run of this machine made.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Release {
    pub service: ServiceName,
    pub id: ReleaseId,
    /// The run that made it first, and when.
    pub first_run: RunId,
    #[serde(serialize_with = "crate::journal::entry::time")]
    pub at: Timestamp,
    pub summary: Summary,
}

/// What a release consists of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// The words that run it.
    #[serde(default)]
    pub run: Vec<String>,
    /// Its environment variables; `None` stands for a value that is secret.
    #[serde(default)]
    pub env: BTreeMap<String, Option<String>>,
    /// The files that we write, by their path.
    #[serde(default)]
    pub files: BTreeMap<String, ManagedFile>,
    /// The text of its units, by their name.
    #[serde(default)]
    pub units: BTreeMap<String, String>,
    /// The SHA-256 of what was sent along, in hexadecimal digits.
    #[serde(default)]
    pub source: Option<String>,
    /// Anything else worth comparing, such as the user or a limit.
    #[serde(default)]
    pub other: BTreeMap<String, String>,
}

/// A file of a release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManagedFile {
    /// In hexadecimal digits.
    pub sha256: String,
    /// Permission bits, in octal digits.
    pub mode: String,
}

/// One thing in which two releases differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// What it is: `run`, `env NAME`, `file PATH`, `unit NAME`, `source`, or a name of `other`.
    pub what: String,
    /// In the first release; `None`: not there.
    pub before: Option<String>,
    /// In the second release; `None`: not there.
    pub after: Option<String>,
}

impl Summary {
    /// Everything in which `after` differs from this one, in a steady order.
    #[must_use]
    pub fn differences(&self, after: &Self) -> Vec<Difference> {
        let (before, after) = (self.parts(), after.parts());
        let names: BTreeSet<_> = before.keys().chain(after.keys()).collect();
        let differing = names.into_iter().filter(|name| before.get(*name) != after.get(*name));
        let difference = |name: &(u8, String)| Difference {
            what: name.1.clone(),
            before: before.get(name).cloned(),
            after: after.get(name).cloned(),
        };
        differing.map(difference).collect()
    }

    /// Every part by its name, as text; the number keeps the kinds of parts in their order.
    fn parts(&self) -> BTreeMap<(u8, String), String> {
        let mut parts = BTreeMap::new();
        if !self.run.is_empty() {
            let words: Vec<_> = self.run.iter().map(|word| crate::model::quote(word)).collect();
            parts.insert((0, "run".into()), words.join(" "));
        }
        if let Some(source) = &self.source {
            parts.insert((1, "source".into()), format!("sha256 {source}"));
        }
        for (name, value) in &self.env {
            parts.insert((2, format!("env {name}")), value.clone().unwrap_or_else(|| "[secret]".into()));
        }
        for (path, file) in &self.files {
            parts.insert((3, format!("file {path}")), format!("mode {} sha256 {}", file.mode, file.sha256));
        }
        for (name, text) in &self.units {
            parts.insert((4, format!("unit {name}")), text.clone());
        }
        for (name, text) in &self.other {
            parts.insert((5, name.clone()), text.clone());
        }
        parts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_name_what_is_only_on_one_side() {
        let old = Summary {
            run: vec!["./bin/api".into()],
            env: [("A".into(), Some("1".into())), ("KEY".into(), None)].into(),
            ..Summary::default()
        };
        let new = Summary {
            run: vec!["./bin/api".into(), "two words".into()],
            env: [("B".into(), Some("2".into())), ("KEY".into(), None)].into(),
            ..Summary::default()
        };
        let found: Vec<_> = old.differences(&new).into_iter().map(|d| (d.what, d.before, d.after)).collect();
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(
            found,
            [
                ("run".into(), text("./bin/api"), text("./bin/api 'two words'")),
                ("env A".into(), text("1"), None),
                ("env B".into(), None, text("2")),
            ]
        );
        assert_eq!(old.differences(&old), []);
    }
}
