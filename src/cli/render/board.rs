//! What is known of a run so far, gathered from its events. Knows no words and no screen.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::model::{Event, HostName, Outcome, ReleaseId, RunId, ServiceName};

/// A run so far.
#[derive(Debug, Default)]
pub(super) struct Board {
    pub(super) verb: String,
    pub(super) run: Option<RunId>,
    pub(super) rows: BTreeMap<(ServiceName, HostName), Row>,
    /// What failed on a host and no service of it.
    pub(super) hosts: BTreeMap<HostName, Vec<Fault>>,
    pub(super) notes: Vec<(Option<HostName>, String)>,
    pub(super) end: Option<(u8, Duration)>,
    /// Whether any host began to change anything.
    pub(super) touched: bool,
    /// The longest service and host name, for the columns.
    pub(super) widths: (usize, usize),
}

/// A service on a host.
#[derive(Debug, Default)]
pub(super) struct Row {
    pub(super) before: Option<ReleaseId>,
    pub(super) after: Option<ReleaseId>,
    pub(super) outcome: Option<Outcome>,
    pub(super) proven: Option<Duration>,
    /// Whether a new state came into force, so that the service was started again.
    pub(super) switched: bool,
    pub(super) faults: Vec<Fault>,
}

/// Something that failed.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Fault {
    pub(super) error: String,
    pub(super) hint: Option<String>,
    pub(super) evidence: Vec<String>,
}

impl Board {
    /// Takes in what happened.
    pub(super) fn take(&mut self, event: &Event) {
        match event {
            Event::Started { run, verb, services, hosts } => {
                self.run = Some(run.clone());
                self.verb.clone_from(verb);
                let longest = |names: &mut dyn Iterator<Item = usize>| names.max().unwrap_or(0);
                self.widths = (
                    longest(&mut services.iter().map(|name| name.as_str().len())),
                    longest(&mut hosts.iter().map(|name| name.as_str().len())),
                );
            }
            Event::Found { host, service, release } => self.row(service, host).before.clone_from(release),
            Event::Step { .. } | Event::Undoing { .. } => self.touched = true,
            Event::Switched { host, service, release } => {
                self.touched = true;
                let row = self.row(service, host);
                row.switched = true;
                row.after.clone_from(release);
            }
            Event::Proven { host, service, took } => self.row(service, host).proven = Some(*took),
            Event::Failed { host, service, error, hint, evidence } => {
                let fault = Fault { error: error.clone(), hint: hint.clone(), evidence: evidence.clone() };
                match service {
                    Some(service) => self.row(service, host).faults.push(fault),
                    None => self.hosts.entry(host.clone()).or_default().push(fault),
                }
            }
            Event::Ended { host, service, outcome, release } => {
                self.touched |= !matches!(outcome, Outcome::NotTouched | Outcome::NothingToDo);
                let row = self.row(service, host);
                row.outcome = Some(*outcome);
                row.after.clone_from(release);
            }
            Event::Note { host, text } => self.notes.push((host.clone(), text.clone())),
            Event::Finished { code, took, .. } => {
                self.end = Some((*code, *took));
                if !self.touched {
                    // What has no end of its own in such a run was not begun.
                    self.rows.values_mut().for_each(|row| {
                        row.outcome.get_or_insert(Outcome::NotTouched);
                    });
                }
            }
            _ => {}
        }
    }

    fn row(&mut self, service: &ServiceName, host: &HostName) -> &mut Row {
        self.rows.entry((service.clone(), host.clone())).or_default()
    }

    /// What is known of a service on a host.
    pub(super) fn at(&self, service: &ServiceName, host: &HostName) -> Option<&Row> {
        self.rows.get(&(service.clone(), host.clone()))
    }

    /// How many services on hosts ended so.
    pub(super) fn count(&self, outcome: Option<Outcome>) -> usize {
        self.rows.values().filter(|row| row.outcome == outcome).count()
    }

    /// The document that `--json` prints.
    pub(super) fn document(&self) -> Value {
        let services = self.rows.iter().map(|((service, host), row)| {
            json!({
                "service": service,
                "host": host,
                "outcome": row.outcome,
                "before": row.before,
                "after": row.after,
                "proven_after": row.proven.map(|took| took.as_secs_f64()),
                "failures": faults(&row.faults),
            })
        });
        let hosts = self.hosts.iter().map(|(host, found)| json!({ "host": host, "failures": faults(found) }));
        let notes = self.notes.iter().map(|(host, text)| json!({ "host": host, "text": text }));
        json!({
            "run": self.run,
            "verb": self.verb,
            "code": self.end.map(|(code, _)| code),
            "took": self.end.map(|(_, took)| took.as_secs_f64()),
            "services": services.collect::<Vec<_>>(),
            "hosts": hosts.collect::<Vec<_>>(),
            "notes": notes.collect::<Vec<_>>(),
        })
    }
}

fn faults(faults: &[Fault]) -> Vec<Value> {
    let fault = |fault: &Fault| json!({ "error": fault.error, "hint": fault.hint, "evidence": fault.evidence });
    faults.iter().map(fault).collect()
}
