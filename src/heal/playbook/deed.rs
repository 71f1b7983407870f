//! What a playbook may do: a closed list. Each deed has its risk and its way back; nothing else is ever done by a remedy.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;

use crate::heal::playbook::draft;
use crate::heal::playbook::grave::is_grave;
use crate::model::quote;
use crate::registry::number::Named;
use crate::registry::read::{List, Read, Reader};
use crate::registry::text::Word;
use crate::registry::tree::{Node, Scalar, Trail, Value};

/// What a remedy risks, the least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Risk {
    /// Nobody who uses the service notices more than they do already.
    Safe,
    /// The service is away for a moment.
    Disruptive,
    /// Only a person can say whether it is right.
    Ask,
}

impl Named for Risk {
    const WHAT: &'static str = "a risk";
    const NAMES: &'static [(&'static str, Self)] =
        &[("safe", Self::Safe), ("disruptive", Self::Disruptive), ("ask", Self::Ask)];
}

/// One deed: a verb and what it is done to.
#[derive(Clone, PartialEq, Eq)]
pub struct Deed {
    row: &'static Row,
    /// The name of a hook; nothing for other deeds.
    name: Option<String>,
    /// The words of a person, and those that take them back; none for other deeds.
    words: Vec<String>,
    undo: Vec<String>,
    /// How long a person's words may run, where that was said.
    within: Option<Duration>,
}

type Row = (&'static str, &'static str, Risk, &'static str, &'static str);

/// Verb, what it is done to, risk, in words, and the way back. A verb without an object takes the name of a hook.
const ROWS: &[Row] = {
    use Risk::{Ask, Disruptive, Safe};
    &[
        ("start", "unit", Safe, "start the unit", "stop it again"),
        ("restart", "unit", Disruptive, "restart the unit", "none is needed: it is what its supervisor does"),
        (
            "reload",
            "unit",
            Safe,
            "tell the service to read its settings again",
            "none is needed: its files are as they were",
        ),
        ("enable", "unit", Safe, "let the unit start with the host", "disable it again"),
        ("unmask", "unit", Ask, "unmask the unit", "mask it again"),
        (
            "continue",
            "process",
            Safe,
            "let the stopped process go on (SIGCONT)",
            "none: a process that does nothing helps nobody",
        ),
        ("read", "units", Safe, "let systemd read its unit files again", "none is needed: the files are as they were"),
        ("start", "need", Safe, "start what the service needs", "stop it again"),
        ("start", "container", Safe, "start the container", "stop it again"),
        ("restart", "container", Disruptive, "restart the container", "none is needed: it is what its supervisor does"),
        (
            "recreate",
            "container",
            Disruptive,
            "make the container anew from its image",
            "make it from the image before",
        ),
        ("pull", "image", Safe, "pull the image again", "the image before stays until its release is pruned"),
        ("push", "image", Safe, "send the image again", "the image before stays until its release is pruned"),
        ("start", "docker", Safe, "start the docker daemon", "stop it again"),
        ("rebuild", "venv", Disruptive, "build the virtual environment anew", "link the one before"),
        ("restore", "file", Disruptive, "bring back the file as it was deployed", "put back the file as it was found"),
        ("restore", "mode", Safe, "bring back the mode of the file", "set the mode that was found"),
        ("restore", "owner", Safe, "give the file back to the service's user", "set the owner that was found"),
        ("make", "folder", Safe, "make the folder that is missing", "none: it is left to a person"),
        (
            "free",
            "port",
            Disruptive,
            "end the process of ours that was left behind on the port",
            "none: it was of no use",
        ),
        (
            "take",
            "port",
            Ask,
            "stop the unit of the stranger that holds the port, or end it where it has none",
            "start its unit again",
        ),
        ("remove", "pid-file", Safe, "move our stale pid file aside", "move it back"),
        ("remove", "lock", Safe, "move our stale lock aside", "move it back"),
        ("prune", "releases", Safe, "remove old releases of ours, never the rollback's", "deploy them again"),
        (
            "prune",
            "images",
            Safe,
            "remove images that have no name and that no container uses",
            "pull or build them again",
        ),
        (
            "prune",
            "journal",
            Safe,
            "free what is missing from the system's journal, which keeps 64 MiB",
            "none: old lines are gone",
        ),
        ("prune", "caches", Safe, "empty the caches of the package tools", "they fill again by themselves"),
        ("raise", "memory", Ask, "raise the limit of memory in the unit", "set the limit from before"),
        ("raise", "files", Disruptive, "raise the limit of open files in the unit", "set the limit from before"),
        ("raise", "tasks", Disruptive, "raise the limit of tasks in the unit", "set the limit from before"),
        ("renew", "certificate", Disruptive, "run the hook `renew-certificate`", "the hook's own"),
        ("roll-back", "release", Disruptive, "go back to the release that was proven last", "go forward again"),
        ("deploy", "service", Ask, "deploy the service", "go back to the release before"),
        (
            "settle",
            "run",
            Safe,
            "settle the run that stopped in the middle",
            "none is needed: a run ends in one of two states",
        ),
        ("cordon", "host", Safe, "take the host out of deploys and remedies", "take it in again"),
        (
            "drain",
            "host",
            Ask,
            "take the host out of deploys and remedies, and stop its services, which other hosts carry",
            "start them, and take it in again",
        ),
        ("hook", "", Disruptive, "run the hook", "the hook's own"),
        WORDS,
    ]
};

/// Words that a person found to help. Only what was learned has them.
const WORDS: Row = ("run", "words", Risk::Safe, "run", "the words of `undo`, where there are any");

impl Deed {
    /// The verb.
    #[must_use]
    pub fn verb(&self) -> &'static str {
        self.row.0
    }

    /// What it is done to; the name of a hook.
    #[must_use]
    pub fn object(&self) -> &str {
        self.name.as_deref().unwrap_or(self.row.1)
    }

    /// What it risks at least.
    #[must_use]
    pub fn risk(&self) -> Risk {
        if is_grave(&self.words) { Risk::Ask } else { self.row.2 }
    }

    /// Words of a person as a deed; `undo` takes them back.
    #[must_use]
    pub fn of_words(words: Vec<String>, undo: Vec<String>) -> Self {
        Self { row: &WORDS, name: None, words, undo, within: None }
    }

    /// The same, for words that may run so long.
    #[must_use]
    pub fn lasting(self, within: Option<Duration>) -> Self {
        Self { within, ..self }
    }

    /// How long a person's words may run, where that was said.
    #[must_use]
    pub fn within(&self) -> Option<Duration> {
        self.within
    }

    /// The deed of this verb and object; nothing when it is not on the list.
    #[must_use]
    pub fn of(verb: &str, object: &str) -> Option<Self> {
        let row = ROWS.iter().find(|row| row.0 == verb && row.1 == object && row.0 != WORDS.0)?;
        Some(Self { row, name: None, words: Vec::new(), undo: Vec::new(), within: None })
    }

    /// Whether it runs words of a person.
    #[must_use]
    pub fn is_words(&self) -> bool {
        self.row.0 == WORDS.0
    }

    /// The words of a person, and those that take them back.
    #[must_use]
    pub fn words(&self) -> (&[String], &[String]) {
        (&self.words, &self.undo)
    }

    /// Whether a deploy of the service does as much: then it is no reason to heal before one.
    #[must_use]
    pub(in crate::heal) fn is_part_of_a_deploy(&self) -> bool {
        let verb = self.verb();
        matches!(
            verb,
            "restart" | "reload" | "enable" | "read" | "recreate" | "rebuild" | "roll-back" | "deploy" | "settle"
        ) || matches!((verb, self.object()), ("start", "unit" | "container") | ("restore", "file"))
    }

    /// How it is undone when the second look disagrees.
    #[must_use]
    pub fn way_back(&self) -> &'static str {
        self.row.4
    }
}

impl fmt::Display for Deed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_words() {
            let words: Vec<_> = self.words.iter().map(|word| quote(word)).collect();
            return write!(f, "run `{}`", words.join(" "));
        }
        f.write_str(self.row.3)?;
        self.name.as_ref().map_or(Ok(()), |name| write!(f, " `{name}`"))
    }
}

impl fmt::Debug for Deed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.verb(), self.object())
    }
}

/// The verbs, each once.
fn verbs() -> Vec<&'static str> {
    let mut verbs: Vec<&str> = ROWS.iter().map(|row| row.0).collect();
    verbs.sort_unstable();
    verbs.dedup();
    verbs
}

impl Read for Deed {
    fn read(node: &Node, at: &Trail<'_>, to: &mut Reader) -> Option<Self> {
        if matches!(&node.value, Value::Map(entries) if entries.iter().any(|entry| entry.key == WORDS.0)) {
            let draft = draft::Words::read(node, at, to)?;
            let words = |list: &List<Word>| list.values().map(|word| word.0.clone()).collect();
            let undo = draft.undo.value().map(words).unwrap_or_default();
            let within = draft.timeout.value().map(|time| time.0);
            return Some(Self::of_words(words(draft.run.value()?), undo).lasting(within));
        }
        let entry = match &node.value {
            Value::Map(entries) if entries.len() == 1 => &entries[0],
            _ => {
                to.wrong(node, at, "one verb and what it is done to").hint("such as `- start: unit`");
                return None;
            }
        };
        let objects: Vec<&str> = ROWS.iter().filter(|row| row.0 == entry.key).map(|row| row.1).collect();
        if objects.is_empty() {
            let fault = to.fault(
                entry.place,
                at,
                format!("`{}` is not a verb of playbooks", crate::registry::fault::shown(&entry.key)),
            );
            fault.why(format!("they are {}", verbs().join(", "))).nearest(&entry.key, verbs());
            return None;
        }
        let Value::Scalar(Scalar::Text, object) = &entry.node.value else {
            to.wrong(&entry.node, at, "a text");
            return None;
        };
        let named = objects == [""];
        let row = ROWS.iter().find(|row| row.0 == entry.key && (named || row.1 == object));
        let good = row.is_some() && (!named || crate::model::ServiceName::fits(object));
        if !good {
            let what = if named { "the name of a hook".to_owned() } else { format!("one of {}", objects.join(", ")) };
            let fault = to.fault(
                entry.node.place,
                at,
                format!("`{}` cannot be what `{}` is done to", crate::registry::fault::shown(object), entry.key),
            );
            fault.why(format!("it must be {what}"));
            return None;
        }
        let (words, undo) = (Vec::new(), Vec::new());
        row.map(|row| Self { row, name: named.then(|| object.clone()), words, undo, within: None })
    }
}

impl JsonSchema for Deed {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Deed".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let words = generator.subschema_for::<draft::Words>().to_value();
        let one = |verb: &str| {
            if verb == WORDS.0 {
                return words.clone();
            }
            let objects: Vec<_> =
                ROWS.iter().filter(|row| row.0 == verb && !row.1.is_empty()).map(|row| row.1).collect();
            let object = if objects.is_empty() {
                serde_json::json!({ "type": "string" })
            } else {
                serde_json::json!({ "enum": objects })
            };
            serde_json::json!({ "type": "object", "properties": { verb: object }, "required": [verb], "additionalProperties": false })
        };
        json_schema!({ "oneOf": verbs().into_iter().map(one).collect::<Vec<_>>() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_deed_is_listed_once_and_has_a_way_back() {
        for (number, row) in ROWS.iter().enumerate() {
            assert!(!row.3.is_empty() && !row.4.is_empty(), "{row:?}");
            assert!(!ROWS[..number].iter().any(|other| (other.0, other.1) == (row.0, row.1)), "{row:?}");
        }
    }

    #[test]
    fn no_deed_touches_data() {
        for row in ROWS {
            assert!(!row.3.contains("volume") && !row.3.contains("shared"), "{row:?}");
        }
    }
}
