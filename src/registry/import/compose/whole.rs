//! A compose project as one service, which keeps all that the file says: with its folder, or alone.

use std::path::{Path, PathBuf};

use super::place;
use super::project::{ADOPT, named, named_beside, stays};
use crate::registry::compose::compose_files;
use crate::registry::import::entry::Entry;
use crate::registry::import::item::Item;
use crate::registry::import::notes::Notes;
use crate::registry::import::{Around, words};

/// The project as one service.
pub(super) fn entry(top: &Item<'_>, around: &Around<'_>, notes: &mut Notes) -> Option<Entry> {
    let Some(folder) = &around.folder else {
        let hint = format!("{ADOPT}; or fetch it with its folder, and import it from here");
        notes.leave_out(top, "the file is not on this machine, from which it would be sent", hint);
        return None;
    };
    let beside = folder.file_name().and_then(|name| name.to_str());
    let (name, settings) = (top.get("name"), named_beside(around));
    let own = name.as_ref().and_then(Item::text);
    let Some(slug) = settings.as_deref().or(own).or(beside).and_then(words::slug) else {
        notes.leave_out(top, "the project has no name with a letter", "give it a `name:` there");
        return None;
    };
    let mut entry = Entry::new("services", &slug, top);
    place(&mut entry, around);
    let file = around.file.file_name().map(|name| folder.join(name)).unwrap_or_default();
    let sent = stands_for(&file, around);
    entry.set("compose", around.named(sent.as_ref().unwrap_or(&file)));
    let to = entry.key("compose");
    for (_, item) in top.entries() {
        notes.became(&item, to.clone());
    }
    if sent.is_none() {
        alone(top, notes);
        overridden(top, around, notes);
    }
    // With a name of its own the project keeps its volumes; what its settings call it, only compose alone goes by.
    let keeps = |name: &str| !name.contains('$') && settings.as_deref().is_none_or(|settings| settings == name);
    if !own.is_some_and(keeps) {
        volumes(top, around, notes);
    }
    Some(entry)
}

/// The folder that is sent where a compose file stands for it. One in which the registry lies, however deep, is not for hosts.
pub(in crate::registry::import) fn stands_for(file: &Path, around: &Around<'_>) -> Option<PathBuf> {
    let real = |path: &Path| std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let folder = file.parent()?;
    if around.registry.parent().is_some_and(|registry| real(registry).starts_with(real(folder))) {
        return None;
    }
    compose_files(folder).first().is_some_and(|first| first == file).then(|| folder.to_owned())
}

/// What compose lays over the file that is imported, where the folder does not go along.
pub(super) fn overridden(top: &Item<'_>, around: &Around<'_>, notes: &mut Notes) {
    let Some((folder, name)) = around.folder.as_ref().zip(around.file.file_name()) else { return };
    if let [first, over] = compose_files(folder).as_slice()
        && first.file_name() == Some(name)
    {
        let over = over.file_name().unwrap_or_default().to_string_lossy();
        notes.lost_beside(
            top,
            format!("`{over}` beside it is not read, and compose lays it over the file"),
            "deploy its folder as it is: keep both in a folder without the registry, and import it with `--whole`",
        );
    }
}

/// Says of every path that begins beside the file that it is not sent.
pub(in crate::registry::import) fn alone(top: &Item<'_>, notes: &mut Notes) {
    for (key, item) in top.entries() {
        match key {
            "services" => item.entries().iter().for_each(|(_, service)| beside(service, notes)),
            "include" => paths(&item, notes),
            "secrets" | "configs" => {
                item.entries().iter().filter_map(|(_, one)| one.get("file")).for_each(|file| paths(&file, notes));
            }
            _ => {}
        }
    }
}

fn beside(service: &Item<'_>, notes: &mut Notes) {
    for (key, item) in service.entries() {
        match key {
            "build" => paths(&item.get("context").unwrap_or(item), notes),
            "env_file" => paths(&item, notes),
            "extends" => item.get("file").iter().for_each(|file| paths(file, notes)),
            "volumes" => item.items().iter().filter(|volume| is_beside(volume)).for_each(|volume| lost(volume, notes)),
            _ => {}
        }
    }
}

/// Whether a volume is a folder beside the file.
fn is_beside(volume: &Item<'_>) -> bool {
    match volume.text() {
        Some(text) => text.starts_with('.') && text.contains(':'),
        None => {
            let binds = volume.get("type").is_some_and(|kind| kind.text() == Some("bind"));
            volume
                .get("source")
                .and_then(|source| source.text().map(is_relative))
                .is_some_and(|relative| binds && relative)
        }
    }
}

fn is_relative(path: &str) -> bool {
    !path.starts_with(['/', '~', '$']) && !path.contains("://") && !path.starts_with("git@")
}

/// A path, or several: as texts, or each as the `path` of a mapping.
fn paths(item: &Item<'_>, notes: &mut Notes) {
    let all = if item.is_list() { item.items() } else { vec![item.clone()] };
    for one in all {
        let one = one.get("path").unwrap_or(one);
        if one.text().is_some_and(is_relative) {
            lost(&one, notes);
        }
    }
}

fn lost(item: &Item<'_>, notes: &mut Notes) {
    let hint = "call the file `compose.yml`, in a folder without the registry: then all that lies in it is sent";
    notes.lost(item, "what lies beside the file is not sent along", hint);
}

/// The volumes of the project, which is another one to Docker than before.
fn volumes(top: &Item<'_>, around: &Around<'_>, notes: &mut Notes) {
    let project = named(top, around);
    for (name, volume) in top.get("volumes").map(|all| all.entries()).unwrap_or_default() {
        if volume.get("name").is_some() || volume.get("external").is_some() {
            continue;
        }
        let hint = match &project {
            Some(project) => format!("{ADOPT}; where it does not run any more, `name: {project}` in the file keeps it"),
            None => ADOPT.to_owned(),
        };
        notes.lost(&volume, stays(project.as_deref(), name, &volume), hint);
    }
}
