//! What was asked of a run, as the journal keeps it: written by the verbs, and read again by `resume`.

use serde_json::{Value, json};

use crate::deploy::{Pace, Request, Selection};
use crate::plan::Target;
use crate::registry::Batch;

/// The request as the journal keeps it.
pub(super) fn write(request: &Request, back: Option<&Target>, pace: &Pace) -> Value {
    let Selection { services, all, labels, hosts, with_needs } = &request.selection;
    let batch = pace.batch.map(|batch| match batch {
        Batch::Count(count) => json!(count),
        Batch::Percent(percent) => json!(format!("{percent}%")),
    });
    let to = back.map(|target| match target {
        Target::Before => "before",
        Target::Named(prefix) => prefix,
    });
    let said = json!({
        "services": services, "all": all, "labels": labels, "hosts": hosts, "with_needs": with_needs,
        "overwrite": request.overwrite, "batch": batch, "max_fail": pace.max_fail, "keep": pace.keep, "to": to,
    });
    let Value::Object(fields) = said else { return Value::Null };
    // What nobody asked for is not written.
    let asked = |value: &Value| !matches!(value, Value::Null | Value::Bool(false)) && *value != json!([]);
    fields.into_iter().filter(|(_, value)| asked(value)).collect()
}
