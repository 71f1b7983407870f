//! What an import does, and what it tells.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::Manner;
use super::source::Given;
use crate::cli::{Exit, Face, Failure, safe};
use crate::model::FailureKind;
use crate::registry::{self, Around, Edit, EditError, Fitted, Note, Origin, Outcome};

/// The registry that is added to.
struct Target {
    /// As it is told.
    path: PathBuf,
    text: String,
    /// Whether there is none yet.
    new: bool,
}

/// Adds what a file describes to the registry.
pub(super) fn add(face: &Face, given: &Given, origin: Origin, manner: &Manner) -> Result<Exit, Failure> {
    if let Some(env) = &face.flags.environment {
        let text = format!("the registry itself is changed, and not the overlay of `{env}`");
        return Err(Failure::say(FailureKind::Usage, text).hint("take `--env` away"));
    }
    let target = target(face, origin)?;
    let absolute = std::path::absolute(&target.path).unwrap_or_else(|_| target.path.clone());
    let around = Around {
        file: &given.file,
        folder: given.folder.clone(),
        from: given.from.as_ref(),
        there: given.there.as_deref(),
        settings: given.settings.as_deref(),
        registry: &absolute,
        hosts: &given.hosts,
        variables: given.variables.as_deref(),
        whole: given.whole,
    };
    let import = registry::import(origin, &given.text, registry::format(&given.file), &around)?;
    let fitted = registry::fit(import, &target.text, &target.path)?;
    let count = Count::of(&fitted);
    tell(face, &fitted.notes);
    if manner.strict && count.lost > 0 {
        let text = format!("{} of {} not mapped, and nothing was changed", values(count.lost), given.file.display());
        let details = json!({ "report": report(&fitted.notes) });
        return Err(Failure::say(FailureKind::Invalid, text)
            .hint("without `--strict` the rest is added")
            .details(details));
    }
    if let Some(edit) = fitted.edit.as_ref().filter(|_| !manner.dry_run) {
        write(&target, edit)?;
    }
    show(face, &target, &fitted, &count, manner);
    Ok(Exit::DONE)
}

/// The registry to add to. Only a file that names hosts can begin one.
fn target(face: &Face, origin: Origin) -> Result<Target, Failure> {
    let path = match face.registry_path() {
        Err(_) if origin == Origin::Portoser => PathBuf::from("registry.yml"),
        found => found?,
    };
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(Target { path, text, new: false }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && origin == Origin::Portoser => {
            Ok(Target { path, text: registry::FIRST.to_owned(), new: true })
        }
        Err(error) => Err(Failure::new(FailureKind::Invalid, &error).doing(format!("reading {}", path.display()))),
    }
}

fn write(target: &Target, edit: &Edit) -> Result<(), EditError> {
    if target.new { registry::begin(&target.path, edit) } else { registry::edit(&target.path, edit) }
}

/// Says what became of every value. What is lost is said even with `--quiet`.
fn tell(face: &Face, notes: &[Note]) {
    for note in notes {
        let line = safe(&note.to_string()).into_owned();
        if note.is_lost() { face.warn(line) } else { face.talk(line) }
    }
}

struct Count {
    hosts: usize,
    services: usize,
    mapped: usize,
    needless: usize,
    lost: usize,
}

impl Count {
    fn of(fitted: &Fitted) -> Self {
        let (hosts, services) = match &fitted.edit {
            Some(Edit::Add { hosts, services }) => (hosts.len(), services.len()),
            _ => (0, 0),
        };
        let mut count = Self { hosts, services, mapped: 0, needless: 0, lost: 0 };
        for note in &fitted.notes {
            match note.outcome {
                Outcome::Became(_) => count.mapped += 1,
                Outcome::Needless(_) => count.needless += 1,
                Outcome::Lost { .. } => count.lost += 1,
            }
        }
        count
    }
}

fn values(count: usize) -> String {
    if count == 1 { "1 value".to_owned() } else { format!("{count} values") }
}

fn report(notes: &[Note]) -> Value {
    notes.iter().map(Note::json).collect()
}

fn show(face: &Face, target: &Target, fitted: &Fitted, count: &Count, manner: &Manner) {
    let changed = !manner.dry_run && fitted.edit.is_some();
    if face.flags.json || face.flags.events {
        let (hosts, services) = fitted.edit.as_ref().map_or_else(|| (json!({}), json!({})), entries);
        face.document(&json!({
            "changed": changed.then(|| target.path.display().to_string()),
            "hosts": hosts,
            "services": services,
            "mapped": count.mapped,
            "not_needed": count.needless,
            "not_mapped": count.lost,
            "report": report(&fitted.notes),
        }));
    } else if let Some(edit) = fitted.edit.as_ref().filter(|_| manner.dry_run) {
        registry::entries(edit).lines().for_each(|line| face.data(safe(line)));
        face.flush();
    }
    face.talk(said(&target.path, changed, count, manner));
}

fn entries(edit: &Edit) -> (Value, Value) {
    match edit {
        Edit::Add { hosts, services } => (
            hosts.iter().map(|(name, value)| (name.to_string(), value.clone())).collect(),
            services.iter().map(|(name, value)| (name.to_string(), value.clone())).collect(),
        ),
        _ => (json!({}), json!({})),
    }
}

fn said(path: &Path, changed: bool, count: &Count, manner: &Manner) -> String {
    let plural = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    let added = match (count.hosts, count.services) {
        (0, 0) => "nothing to add".to_owned(),
        (hosts, 0) => plural(hosts, "host"),
        (0, services) => plural(services, "service"),
        (hosts, services) => format!("{} and {}", plural(hosts, "host"), plural(services, "service")),
    };
    let doing = match () {
        () if changed => format!("added {added}; `portoser plan` shows what a deploy would do"),
        () if manner.dry_run && count.hosts + count.services > 0 => format!("would add {added}"),
        () => added,
    };
    format!(
        "{}: {doing}; {} mapped, {} not needed, {} not mapped",
        path.display(),
        values(count.mapped),
        count.needless,
        count.lost
    )
}
