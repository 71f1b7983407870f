//! `portoser discover`: what runs on a host already, as entries for the registry.

use std::path::Path;

use serde_json::{Value, json};

use crate::cli::{Exit, Face, Failure, block_on, safe, session};
use crate::model::{FailureKind, HostName};
use crate::plan::{Left, Offer, offer};
use crate::registry::{self, Edit};

/// Show what runs on a host already, as entries for the registry
///
/// Units that did not come with the distribution, and those that listen on a port, are printed as entries; they name units that
/// are there, so the host stays as it is. Containers, and listeners that no unit runs, are told with the next move. One connection
/// and one command; nothing is changed there.
#[derive(Debug, clap::Args)]
pub(super) struct Discover {
    /// The host
    #[arg(value_name = "HOST")]
    name: HostName,
    /// Add the entries to the registry
    #[arg(long)]
    add: bool,
}

impl Discover {
    pub(super) fn run(self, face: &Face) -> Result<Exit, Failure> {
        if let Some(env) = face.flags.environment.as_ref().filter(|_| self.add) {
            let text = format!("the registry itself is changed, and not the overlay of `{env}`");
            return Err(Failure::say(FailureKind::Usage, text).hint("take `--env` away"));
        }
        let app = session::look(face)?;
        if !app.registry.hosts.contains_key(&self.name) {
            let known = app.registry.hosts.keys().map(HostName::as_str);
            return Err(crate::cli::registry::unknown("host", self.name.as_str(), known));
        }
        let run = app.run_id();
        let found = block_on(async |stop| {
            let (ground, mut events) = app.ground(&run, "discover", stop.soon.clone());
            events.close();
            crate::deploy::discover(&ground, &self.name).await
        })?;
        let found = found.map_err(|unseen| {
            let doing = format!("asking `{}` for what runs there", self.name);
            Failure::new(FailureKind::Unreachable, &unseen).doing(doing).hint(unseen.hint())
        })?;
        let offer = offer(&app.registry, &self.name, &found);
        let services = offer.entries.iter().map(|one| (one.name.clone(), one.service.clone())).collect();
        let edit = Edit::Add { hosts: Vec::new(), services };
        let path = face.registry_path()?;
        let changed = self.add && !offer.entries.is_empty();
        if changed {
            registry::edit(&path, &edit)?;
        }
        show(face, &self.name, &offer, &edit, changed.then_some(path.as_path()));
        Ok(Exit::DONE)
    }
}

fn show(face: &Face, host: &HostName, offer: &Offer, edit: &Edit, changed: Option<&Path>) {
    let json = face.flags.json || face.flags.events;
    if json {
        face.document(&document(host, offer, changed));
    }
    for one in &offer.entries {
        face.talk(safe(&format!("{}: {}", one.name, one.seen)));
    }
    for Left { what, why, hint } in &offer.left {
        let hint = hint.as_ref().map(|hint| format!(" (hint: {hint})")).unwrap_or_default();
        face.talk(safe(&format!("not offered: {what}: {why}{hint}")));
    }
    let count = offer.entries.len();
    match changed {
        _ if count == 0 => face.talk(format!("{host}: nothing to offer")),
        Some(path) => {
            let plural = if count == 1 { "" } else { "s" };
            face.talk(format!("{}: added {count} service{plural}; the host is as it was", path.display()));
        }
        None if !json => registry::entries(edit).lines().for_each(|line| face.data(safe(line))),
        None => {}
    }
}

fn document(host: &HostName, offer: &Offer, changed: Option<&Path>) -> Value {
    let services: Value = offer.entries.iter().map(|one| (one.name.to_string(), one.service.clone())).collect();
    let seen: Value = offer.entries.iter().map(|one| (one.name.to_string(), Value::from(one.seen.clone()))).collect();
    let left = |left: &Left| json!({ "what": left.what, "why": left.why, "hint": left.hint });
    json!({
        "host": host,
        "changed": changed.map(|path| path.display().to_string()),
        "services": services,
        "seen": seen,
        "left": offer.left.iter().map(left).collect::<Vec<_>>(),
    })
}
