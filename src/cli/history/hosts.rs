//! History from the hosts' own records, for when this machine's journal has nothing of it.

use std::collections::BTreeSet;

use serde_json::json;

use crate::cli::history::list;
use crate::cli::runs::when;
use crate::cli::{Exit, Face, Failure, attach, block_on, safe, session};
use crate::deploy::{Remembered, Want, records};
use crate::model::{FailureKind, HostName, RunId, ServiceName};

/// Asks the hosts of a service, or all of the registry, for their records; with one command on each.
pub(super) fn ask(face: &Face, service: Option<&ServiceName>, want: Want) -> Result<Remembered, Failure> {
    let app = session::open(face)?;
    let hosts: BTreeSet<HostName> = match service {
        None => app.registry.hosts.keys().cloned().collect(),
        Some(name) => match app.registry.services.get(name) {
            Some(service) => service.hosts.iter().cloned().collect(),
            // It was taken out of the registry, and may have been anywhere.
            None => app.registry.hosts.keys().cloned().collect(),
        },
    };
    let own = app.run_id();
    let heard = block_on(async |stop| {
        let (ground, mut events) = app.ground(&own, "history", stop.soon.clone());
        events.close();
        tokio::select! {
            heard = records(&ground, hosts, want) => {
                heard.part(&ground).await;
                Ok(heard)
            }
            () = stop.soon.cancelled() => Err(Failure::say(FailureKind::Interrupted, "asking the hosts was stopped")),
        }
    })??;
    attach::unseen(face, &heard);
    Ok(heard)
}

/// What is not known because a host could not be asked is not nothing.
pub(super) fn exit(heard: &Remembered) -> Exit {
    if heard.unseen.is_empty() { Exit::DONE } else { Exit(FailureKind::Unreachable.code()) }
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
