//! History from the hosts' own records, for when this machine's journal has nothing of it.

use std::collections::BTreeSet;

use serde_json::json;

use crate::cli::history::list;
use crate::cli::runs::{counted, when};
use crate::cli::table::table;
use crate::cli::{Exit, Face, Failure, attach, safe, session};
use crate::deploy::{PastRun, Remembered, Want};
use crate::model::{FailureKind, HostName, RunId, ServiceName};

/// Asks the hosts of a service, or all of the registry, for their records; with one command on each.
pub(super) fn ask(face: &Face, service: Option<&ServiceName>, want: Want) -> Result<Remembered, Failure> {
    let app = session::look(face)?;
    let hosts: BTreeSet<HostName> = match service {
        None => app.registry.hosts.keys().cloned().collect(),
        Some(name) => match app.registry.services.get(name) {
            Some(service) => service.hosts.iter().cloned().collect(),
            // It was taken out of the registry, and may have been anywhere.
            None => app.registry.hosts.keys().cloned().collect(),
        },
    };
    attach::ask(face, &app, "history", hosts, want)
}

/// What is not known because a host could not be asked is not nothing.
pub(super) fn exit(heard: &Remembered) -> Exit {
    if heard.unseen.is_empty() { Exit::DONE } else { Exit(FailureKind::Unreachable.code()) }
}

/// The runs that the hosts remember; only those without an end, if that is asked.
pub(in crate::cli) fn list_runs(face: &Face, limit: u32, unfinished: bool) -> Result<Exit, Failure> {
    let heard = ask(face, None, Want::Runs)?;
    let open = heard.open();
    let mut runs: Vec<PastRun> = heard.runs().into_iter().filter(|run| !unfinished || open.contains(&run.id)).collect();
    runs.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    if face.flags.json || face.flags.events {
        let unseen: Vec<_> = heard.unseen.keys().collect();
        let runs: Vec<_> = runs.iter().map(document).collect();
        face.document(&json!({ "runs": runs, "from_hosts": true, "unseen": unseen }));
        return Ok(exit(&heard));
    }
    if runs.is_empty() {
        face.talk(if unfinished { "every run has an end" } else { "the hosts that were asked remember no run" });
    }
    let rows: Vec<_> = runs.iter().map(|run| row(run, open.contains(&run.id))).collect();
    table(face, ["RUN", "STARTED (UTC)", "WHO", "HOSTS", "OUTCOME"], &rows);
    if let Some(run) = runs.iter().find(|run| open.contains(&run.id)) {
        face.talk(format!("hint: `portoser attach {}` shows how it goes on", run.id));
    }
    Ok(exit(&heard))
}

fn document(run: &PastRun) -> serde_json::Value {
    let hosts = run.hosts.iter().map(|(host, state)| json!({ "host": host, "state": state }));
    json!({
        "id": run.id, "who": run.who, "started": run.began.map(|at| at.to_string()), "hosts": hosts.collect::<Vec<_>>(),
        "history": run.entries,
    })
}

fn row(run: &PastRun, open: bool) -> [String; 5] {
    let of_entries = run.entries.iter().map(|entry| entry.host.to_string());
    let hosts: BTreeSet<String> = run.hosts.iter().map(|(host, _)| host.to_string()).chain(of_entries).collect();
    let mut outcomes: Vec<(_, u64)> = Vec::new();
    for entry in &run.entries {
        match outcomes.iter_mut().find(|(outcome, _)| *outcome == entry.outcome) {
            Some((_, count)) => *count += 1,
            None => outcomes.push((entry.outcome, 1)),
        }
    }
    let states: BTreeSet<&str> = run.hosts.iter().map(|(_, state)| *state).collect();
    let outcome = match outcomes.is_empty() || open {
        true => states.into_iter().collect::<Vec<_>>().join("; "),
        false => counted(&outcomes),
    };
    let hosts = hosts.into_iter().collect::<Vec<_>>().join(", ");
    [run.id.to_string(), run.began.map_or("-".into(), when), run.who.clone(), hosts, outcome]
}

/// A run as the hosts know it.
pub(super) fn show_run(face: &Face, heard: &Remembered, run: &RunId) {
    let entries: Vec<_> = heard.history().into_iter().filter(|entry| entry.run == *run).collect();
    let states = heard.states_of(run);
    if face.flags.json || face.flags.events {
        let hosts = states.iter().map(|(host, state)| json!({ "host": host, "state": state }));
        face.document(&json!({
            "run": run, "from_hosts": true, "hosts": hosts.collect::<Vec<_>>(), "history": entries,
            "unseen": heard.unseen.keys().collect::<Vec<_>>(),
        }));
        return;
    }
    let field = |name: &str, value: &str| face.data(format!("{name:<12} {}", safe(value)));
    field("run", run.as_str());
    if let Some(first) = entries.iter().min_by_key(|entry| entry.began) {
        field("who", &first.who);
        field("began", &format!("{} UTC, by the hosts' clocks", when(first.began)));
    }
    states.iter().for_each(|(host, state)| field("host", &format!("{host}: {state}")));
    if !entries.is_empty() {
        face.data("");
        list(face, &entries);
    }
}
