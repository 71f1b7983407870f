//! What was asked of a run, as the journal keeps it: written by the verbs, and read again by `resume`.

use serde_json::{Value, json};

use crate::cli::deploy::batch;
use crate::deploy::{Pace, Request, Selection};
use crate::plan::Target;
use crate::registry::Batch;

/// What was asked, read again.
#[derive(Debug, Default)]
pub(super) struct Said {
    pub(super) selection: Selection,
    pub(super) overwrite: bool,
    pub(super) skip_unseen: bool,
    pub(super) back: Option<Target>,
    pub(super) pace: Pace,
    pub(super) no_auto_heal: bool,
}

/// Reads what `write` wrote; the error names the field that cannot be read. What is not there was not asked for.
pub(super) fn read(said: &Value) -> Result<Said, &'static str> {
    fn field<T: serde::de::DeserializeOwned + Default>(said: &Value, name: &'static str) -> Result<T, &'static str> {
        match said.get(name) {
            None | Some(Value::Null) => Ok(T::default()),
            Some(value) => serde_json::from_value(value.clone()).map_err(|_| name),
        }
    }
    let share = match said.get("batch") {
        None | Some(Value::Null) => None,
        Some(Value::String(share)) => Some(batch(share).map_err(|_| "batch")?),
        Some(count) => Some(batch(&count.to_string()).map_err(|_| "batch")?),
    };
    let to: Option<String> = field(said, "to")?;
    Ok(Said {
        selection: Selection {
            services: field(said, "services")?,
            all: field(said, "all")?,
            labels: field(said, "labels")?,
            hosts: field(said, "hosts")?,
            with_needs: field(said, "with_needs")?,
        },
        overwrite: field(said, "overwrite")?,
        skip_unseen: field(said, "skip_unseen")?,
        back: to.map(|to| if to == "before" { Target::Before } else { Target::Named(to) }),
        pace: Pace { batch: share, max_fail: field(said, "max_fail")?, keep: field(said, "keep")? },
        no_auto_heal: field(said, "no_auto_heal")?,
    })
}

/// The request as the journal keeps it.
pub(super) fn write(request: &Request, back: Option<&Target>, pace: &Pace, no_auto_heal: bool) -> Value {
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
        "no_auto_heal": no_auto_heal,
    });
    let Value::Object(fields) = said else { return Value::Null };
    // What nobody asked for is not written.
    let asked = |value: &Value| !matches!(value, Value::Null | Value::Bool(false)) && *value != json!([]);
    fields.into_iter().filter(|(_, value)| asked(value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let name = |name: &str| name.try_into().expect("a name");
        let hosts = vec![crate::model::HostName::try_from("web1").expect("a name")];
        let labels = vec![("tier".into(), "front".into())];
        let selection = Selection { services: vec![name("api")], all: false, labels, hosts, with_needs: true };
        let request = Request { selection, overwrite: true, only_look: false, renew: false };
        for (batch, back) in [
            (Some(Batch::Percent(25)), Some(Target::Named("0123abcd".into()))),
            (Some(Batch::Count(3)), Some(Target::Before)),
            (None, None),
        ] {
            let pace = Pace { batch, max_fail: Some(2), keep: true };
            let said = read(&write(&request, back.as_ref(), &pace, true)).expect("readable");
            assert_eq!(format!("{:?}", said.selection), format!("{:?}", request.selection));
            assert_eq!((said.overwrite, said.back, said.no_auto_heal), (true, back, true));
            assert_eq!(format!("{:?}", said.pace), format!("{pace:?}"));
        }
        let nothing = read(&json!({})).expect("readable");
        assert!(!nothing.selection.all && nothing.back.is_none() && nothing.pace.batch.is_none());
        assert_eq!(read(&json!({ "services": ["../x"] })).err(), Some("services"));
        assert_eq!(read(&json!({ "batch": "0%" })).err(), Some("batch"));
    }
}
