//! What is imported, held against the registry: what is there already stays, and what the registry would refuse is left out
//! and told, so that one bad service does not keep the others away.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::Import;
use super::entry::Entry;
use super::notes::{Note, Outcome, instead};
use crate::model::{HostName, ServiceName};
use crate::registry::draft::ServiceType;
use crate::registry::edit::{Edit, EditError, edited};
use crate::registry::fault::Faults;
use crate::registry::number::Named;
use crate::registry::tree::{Format, parse};

/// What can be added to the registry, and what became of every value.
#[derive(Debug)]
pub struct Fitted {
    /// The hosts and services to add; nothing when there are none.
    pub edit: Option<Edit>,
    pub notes: Vec<Note>,
}

/// Holds an import against the registry of this text, which stands in this file.
///
/// # Errors
/// When the registry is not valid as it is, or cannot be edited.
pub fn fit(import: Import, registry: &str, file: &Path) -> Result<Fitted, EditError> {
    let Import { mut entries, mut notes } = import;
    refuse_twins(&mut entries, &mut notes);
    not_yet(&mut entries, &mut notes);
    let present = parse(registry, Format::Yaml, &mut Vec::new()).map(|node| node.plain()).unwrap_or_default();
    keep_present(&mut entries, &present, &mut notes);
    loop {
        drop_needs(&mut entries, &present, &mut notes);
        let Some(edit) = edit(&entries) else { return Ok(Fitted { edit: None, notes }) };
        match edited(registry, file, &edit) {
            Ok(_) => return Ok(Fitted { edit: Some(edit), notes }),
            Err(EditError::After(faults)) if leave_out(&mut entries, &faults, &mut notes) => {}
            Err(error) => return Err(error),
        }
    }
}

/// Two names of the file can become one.
fn refuse_twins(entries: &mut Vec<Entry>, notes: &mut Vec<Note>) {
    let mut seen = BTreeSet::new();
    entries.retain(|entry| {
        let first = seen.insert((entry.kind, entry.name.clone()));
        if !first {
            let why = format!("another one is called `{}` already", entry.name);
            instead(
                notes,
                (entry.place, &entry.path),
                Outcome::Lost { why, hint: "rename one of them there".to_owned() },
            );
        }
        first
    });
}

/// A type that the registry does not know yet.
fn not_yet(entries: &mut Vec<Entry>, notes: &mut Vec<Note>) {
    let known = |kind: &str| ServiceType::NAMES.iter().any(|(name, _)| *name == kind);
    entries.retain(|entry| {
        let unknown = entry.keys.get("type").and_then(Value::as_str).filter(|kind| !known(kind));
        if let Some(kind) = unknown {
            let why = format!("services of the type `{kind}` cannot be deployed yet");
            let hint = "import it again once they can; `portoser schema` shows the types".to_owned();
            instead(notes, (entry.place, &entry.path), Outcome::Lost { why, hint });
        }
        unknown.is_none()
    });
}

/// What the registry has already is left as it is.
fn keep_present(entries: &mut Vec<Entry>, present: &Value, notes: &mut Vec<Note>) {
    entries.retain(|entry| {
        let there = &present[entry.kind][&entry.name];
        if there.is_null() {
            return true;
        }
        let outcome = if *there == value(entry) {
            Outcome::Needless("it is in the registry already".to_owned())
        } else {
            Outcome::Lost {
                why: format!("the registry has `{}.{}` already, and it is left as it is", entry.kind, entry.name),
                hint: "compare the two, or rename one".to_owned(),
            }
        };
        instead(notes, (entry.place, &entry.path), outcome);
        false
    });
}

/// Takes away the needs that will not be there.
fn drop_needs(entries: &mut [Entry], present: &Value, notes: &mut Vec<Note>) {
    let there: BTreeSet<String> =
        entries.iter().filter(|entry| entry.kind == "services").map(|entry| entry.name.clone()).collect();
    for entry in entries {
        entry.needs.retain(|need| {
            let good = there.contains(&need.name) || !present["services"][&need.name].is_null();
            if !good {
                let why = format!("there is no service `{}` in the registry", need.name);
                instead(
                    notes,
                    (need.place, &need.path),
                    Outcome::Lost { why, hint: "add it to `needs` once it is there".to_owned() },
                );
            }
            good
        });
    }
}

/// Leaves out what the registry refuses; false when the faults are of nothing that is added.
fn leave_out(entries: &mut Vec<Entry>, faults: &Faults, notes: &mut Vec<Note>) -> bool {
    let before = entries.len();
    let mut eased = false;
    for fault in &faults.list {
        let Some(at) = entries.iter().position(|entry| {
            let path = format!("{}.{}", entry.kind, entry.name);
            fault.path.strip_prefix(&path).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        }) else {
            continue;
        };
        let what = fault.why.as_ref().map_or_else(|| fault.what.clone(), |why| format!("{}: {why}", fault.what));
        let needs = format!("services.{}.needs", entries[at].name);
        if fault.path.starts_with(&needs) {
            for need in std::mem::take(&mut entries[at].needs) {
                let hint = "say by hand which of them goes first".to_owned();
                instead(notes, (need.place, &need.path), Outcome::Lost { why: what.clone(), hint });
                eased = true;
            }
            continue;
        }
        let entry = entries.remove(at);
        let key = fault.path.strip_prefix(&format!("{}.{}.", entry.kind, entry.name)).unwrap_or_default();
        let why = if key.is_empty() { what } else { format!("the registry would refuse its `{key}`: {what}") };
        let hint = fault.hint.clone().unwrap_or_else(|| "mend it there and import again, or add it by hand".to_owned());
        instead(notes, (entry.place, &entry.path), Outcome::Lost { why, hint });
    }
    eased || entries.len() < before
}

fn edit(entries: &[Entry]) -> Option<Edit> {
    let of = |kind: &'static str| entries.iter().filter(move |entry| entry.kind == kind);
    let hosts: Vec<_> =
        of("hosts").filter_map(|entry| Some((HostName::try_from(entry.name.as_str()).ok()?, value(entry)))).collect();
    let services: Vec<_> = of("services")
        .filter_map(|entry| Some((ServiceName::try_from(entry.name.as_str()).ok()?, value(entry))))
        .collect();
    (!hosts.is_empty() || !services.is_empty()).then_some(Edit::Add { hosts, services })
}

/// The entry as it will stand in the registry: the type and the hosts first, then what it needs.
pub(super) fn value(entry: &Entry) -> Value {
    let mut keys = entry.keys.clone();
    let mut value = Map::new();
    for key in ["type", "host", "hosts"] {
        value.extend(keys.shift_remove(key).map(|value| (key.to_owned(), value)));
    }
    if !entry.needs.is_empty() {
        let names: Vec<&str> = entry.needs.iter().map(|need| need.name.as_str()).collect();
        value.insert("needs".to_owned(), json!(names));
    }
    value.extend(keys);
    Value::Object(value)
}
