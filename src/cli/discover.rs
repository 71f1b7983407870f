//! `portoser discover`: what runs on a host already, as entries for the registry.

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
        show(face, &self.name, &offer, &edit, self.add);
        if !self.add || offer.entries.is_empty() {
            return Ok(Exit::DONE);
        }
        let count = offer.entries.len();
        let said = format!("added {count} service{}; the host is as it was", if count == 1 { "" } else { "s" });
        face.edit(&edit, &said)
    }
}

fn show(face: &Face, host: &HostName, offer: &Offer, edit: &Edit, add: bool) {
    if face.flags.json || face.flags.events {
        // With `--add`, the document is the change's.
        if !add || offer.entries.is_empty() {
            face.document(&document(host, offer));
        }
        return;
    }
    for one in &offer.entries {
        face.talk(safe(&format!("{}: {}", one.name, one.seen)));
    }
    for Left { what, why, hint } in &offer.left {
        let hint = hint.as_ref().map(|hint| format!(" (hint: {hint})")).unwrap_or_default();
        face.talk(safe(&format!("not offered: {what}: {why}{hint}")));
    }
    if offer.entries.is_empty() {
        face.talk(format!("{host}: nothing to offer"));
    } else if !add {
        registry::entries(edit).lines().for_each(|line| face.data(safe(line)));
    }
}

fn document(host: &HostName, offer: &Offer) -> Value {
    let services: Value = offer.entries.iter().map(|one| (one.name.to_string(), one.service.clone())).collect();
    let seen: Value = offer.entries.iter().map(|one| (one.name.to_string(), Value::from(one.seen.clone()))).collect();
    let left = |left: &Left| json!({ "what": left.what, "why": left.why, "hint": left.hint });
    json!({
        "host": host,
        "services": services,
        "seen": seen,
        "left": offer.left.iter().map(left).collect::<Vec<_>>(),
    })
}
