//! `portoser discover`: what runs on a host already, as entries for the registry.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::cli::import::source;
use crate::cli::{Exit, Face, Failure, safe, session};
use crate::model::{FailureKind, HostName};
use crate::plan::{Left, Offer, Offered, offer};
use crate::registry::{self, Edit};

/// Show what runs on a host already, as entries for the registry
///
/// Units that did not come with the distribution, those that listen on a port, and compose projects are printed as entries; they
/// name what is there, so the host stays as it is. Other containers, and listeners that no unit runs, are told with the next
/// move. One connection and one command; nothing is changed there. `portoser adopt` takes entries over.
#[derive(Debug, clap::Args)]
pub(super) struct Discover {
    /// The host
    #[arg(value_name = "HOST")]
    name: HostName,
    /// Add the entries to the registry, and fetch the compose files that they name
    #[arg(long)]
    add: bool,
}

impl Discover {
    pub(super) fn run(self, face: &Face) -> Result<Exit, Failure> {
        if let Some(env) = face.flags.environment.as_ref().filter(|_| self.add) {
            let text = format!("the registry itself is changed, and not the overlay of `{env}`");
            return Err(Failure::say(FailureKind::Usage, text).hint("take `--env` away"));
        }
        let mut offer = ask(face, &self.name)?;
        let mut changed = None;
        if self.add {
            (changed, offer.entries) = add(face, &self.name, offer.entries)?;
        }
        show(face, &self.name, &offer, changed.as_deref());
        Ok(Exit::DONE)
    }
}

/// Asks a host what of it can be taken into the registry.
pub(super) fn ask(face: &Face, host: &HostName) -> Result<Offer, Failure> {
    let app = session::look(face)?;
    if !app.registry.hosts.contains_key(host) {
        let known = app.registry.hosts.keys().map(HostName::as_str);
        return Err(crate::cli::registry::unknown("host", host.as_str(), known));
    }
    let run = app.run_id();
    let found = session::looking(&app, async |stop| {
        let (ground, mut events) = app.ground(&run, "discover", stop.soon.clone());
        events.close();
        Ok(crate::deploy::discover(&ground, host).await)
    })?;
    let found = found.map_err(|unseen| {
        let doing = format!("asking `{}` for what runs there", host);
        Failure::new(FailureKind::Unreachable, &unseen).doing(doing).hint(unseen.hint())
    })?;
    Ok(offer(&app.registry, host, &found))
}

/// Adds entries to the registry, with the files that they need beside it, and gives back what it added. A file that is there and
/// differs is left alone, and nothing is added.
pub(super) fn add(
    face: &Face,
    host: &HostName,
    entries: Vec<Offered>,
) -> Result<(Option<PathBuf>, Vec<Offered>), Failure> {
    let path = face.registry_path()?;
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut added = Vec::new();
    for one in entries {
        if let Some((there, here)) = &one.fetch {
            let text = source::fetch(face, host, there)?;
            if !is_compose(there, &text) {
                // Its name stands in a label, which an image may bring along: any file of the host could be meant.
                let why = format!("{there} of `{host}` is no compose file, though a container's labels say so");
                face.warn(safe(&format!("`{}` is not added: {why}", one.name)));
                continue;
            }
            write((there, host), &folder.join(here), text)?;
        }
        added.push(one);
    }
    if added.is_empty() {
        return Ok((None, added));
    }
    registry::edit(&path, &edit(&added))?;
    Ok((Some(path), added))
}

fn is_compose(name: &str, text: &str) -> bool {
    let read = registry::compose_document(&[(name.to_owned(), text.to_owned())]);
    read.is_ok_and(|document| document.get("services").and_then(Value::as_object).is_some_and(|all| !all.is_empty()))
}

/// Writes a file of a host beside the registry, unless it is there.
fn write((there, host): (&str, &HostName), file: &Path, text: String) -> Result<(), Failure> {
    let failed =
        |error: std::io::Error| Failure::new(FailureKind::Usage, &error).doing(format!("writing {}", file.display()));
    match std::fs::read_to_string(file) {
        Ok(known) if known == text => return Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Ok(_) => {
            let why = format!("{} is there already, and is not {there} of `{host}`", file.display());
            return Err(Failure::say(FailureKind::Usage, why).hint("move it away, or add the entry by hand"));
        }
        Err(error) => return Err(failed(error)),
    }
    let made = file.parent().map_or(Ok(()), std::fs::create_dir_all);
    made.and_then(|()| std::fs::write(file, text)).map_err(failed)
}

fn edit(entries: &[Offered]) -> Edit {
    Edit::Add {
        hosts: Vec::new(),
        services: entries.iter().map(|one| (one.name.clone(), one.service.clone())).collect(),
    }
}

fn show(face: &Face, host: &HostName, offer: &Offer, changed: Option<&Path>) {
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
        None if !json => registry::entries(&edit(&offer.entries)).lines().for_each(|line| face.data(safe(line))),
        None => {}
    }
}

fn document(host: &HostName, offer: &Offer, changed: Option<&Path>) -> Value {
    let services: Value = offer.entries.iter().map(|one| (one.name.to_string(), one.service.clone())).collect();
    let seen: Value = offer.entries.iter().map(|one| (one.name.to_string(), Value::from(one.seen.clone()))).collect();
    let files: Value = offer
        .entries
        .iter()
        .filter_map(|one| Some((one.name.to_string(), Value::from(one.fetch.as_ref()?.0.clone()))))
        .collect();
    let left = |left: &Left| json!({ "what": left.what, "why": left.why, "hint": left.hint });
    json!({
        "host": host,
        "changed": changed.map(|path| path.display().to_string()),
        "services": services,
        "seen": seen,
        "files": files,
        "left": offer.left.iter().map(left).collect::<Vec<_>>(),
    })
}
