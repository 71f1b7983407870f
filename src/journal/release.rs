//! A release that a run of this machine made, and in what two releases differ.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::Serialize;

use crate::host::Record;
use crate::model::RunId;

/// A release that some run of this machine made.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Release {
    /// The run that made it first, and when.
    pub first_run: RunId,
    #[serde(serialize_with = "crate::journal::entry::time")]
    pub at: Timestamp,
    /// What it is: the same record that lies on the host.
    pub record: Record,
}

/// One thing in which two releases differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// What it is: a key of the record's summary, `file PATH`, `unit NAME`, `checks`, and so on.
    pub what: String,
    /// In the first release; `None`: not there.
    pub before: Option<String>,
    /// In the second release; `None`: not there.
    pub after: Option<String>,
}

/// Everything in which `after` differs from `before`, in a steady order.
#[must_use]
pub fn differences(before: &Record, after: &Record) -> Vec<Difference> {
    let (before, after) = (parts(before), parts(after));
    let names: BTreeSet<_> = before.keys().chain(after.keys()).collect();
    let differing = names.into_iter().filter(|name| before.get(*name) != after.get(*name));
    let difference = |name: &(u8, String)| Difference {
        what: name.1.clone(),
        before: before.get(name).cloned(),
        after: after.get(name).cloned(),
    };
    differing.map(difference).collect()
}

/// Every part of a record by its name, as text; the number keeps the kinds of parts in their order.
fn parts(record: &Record) -> BTreeMap<(u8, String), String> {
    let json = |value: serde_json::Result<String>| value.unwrap_or_default();
    let mut parts = BTreeMap::from([
        ((0, "engine".into()), record.engine.clone()),
        ((2, "supervisor".into()), json(serde_json::to_string(&(record.supervisor, record.scope)))),
        ((5, "checks".into()), json(serde_json::to_string_pretty(&record.checks))),
        ((6, "hooks".into()), json(serde_json::to_string_pretty(&record.hooks))),
    ]);
    parts.extend(record.user.iter().map(|user| ((2, "user".into()), user.clone())));
    parts.extend(record.summary.iter().map(|(key, value)| ((1, key.clone()), value.clone())));
    parts.extend(record.files.iter().map(|(path, mark)| ((3, format!("file {path}")), mark.clone())));
    // A unit names the release that it belongs to; that two ids differ is known already.
    let text = |text: &str| text.replace(record.release.as_str(), "RELEASE");
    parts.extend(record.units.iter().map(|unit| ((4, format!("unit {}", unit.name)), text(&unit.text))));
    parts
}
