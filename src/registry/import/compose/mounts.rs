//! Mounts of a container: named volumes and folders of the host. Relative folders begin at the compose file: they stay where they are if
//! that is on the host.

use super::KEEP;
use super::project::Project;
use crate::registry::import::entry::Entry;
use crate::registry::import::item::Item;
use crate::registry::import::notes::Notes;

pub(super) fn mounts(item: &Item<'_>, (entry, project): (&mut Entry, &Project), notes: &mut Notes) {
    for item in item.items() {
        let short = match item.text() {
            Some(text) => Some(without_options(text, &item, notes)),
            None => long(&item, notes),
        };
        let Some(short) = short else {
            if item.is_map() {
                notes.lost(&item, "only named volumes and folders of the host are mounted", KEEP);
            } else {
                notes.wrong(&item, "a volume");
            }
            continue;
        };
        let Some((source, rest)) = short.split_once(':') else {
            notes.lost(&item, "a volume without a name is lost with its container", "give it a name: `NAME:/path`");
            continue;
        };
        if source.starts_with('~') {
            notes.lost(&item, "whose home folder it means is not known", "write the whole path there");
            continue;
        }
        if !source.starts_with('.') {
            entry.push(&item, "volumes", short, notes);
            continue;
        }
        match project.beside(source) {
            Ok(path) => entry.push(&item, "volumes", format!("{path}:{rest}"), notes),
            Err((why, hint)) => notes.lost(&item, why, hint),
        }
    }
}

/// `SOURCE:TARGET:OPTIONS` with no other option than `ro`. What the others are for (labels of SELinux, caches of Docker Desktop, how
/// mounts below it spread) is told.
fn without_options(text: &str, item: &Item<'_>, notes: &mut Notes) -> String {
    let parts: Vec<&str> = text.splitn(3, ':').collect();
    let &[source, target, options] = parts.as_slice() else { return text.to_owned() };
    // A path with a colon in it is not told from options that nobody knows; the registry refuses it.
    if !target.starts_with('/') || !options.split(',').all(is_option) {
        return text.to_owned();
    }
    let others: Vec<&str> = options.split(',').filter(|option| !matches!(*option, "ro" | "rw")).collect();
    if !others.is_empty() {
        notes.lost(item, format!("a mount has no option `{}` here", others.join("`, `")), KEEP);
    }
    let mode = if options.split(',').any(|option| option == "ro") { ":ro" } else { "" };
    format!("{source}:{target}{mode}")
}

fn is_option(option: &str) -> bool {
    const KNOWN: [&str; 14] = [
        "ro",
        "rw",
        "z",
        "Z",
        "cached",
        "delegated",
        "consistent",
        "nocopy",
        "private",
        "rprivate",
        "shared",
        "rshared",
        "slave",
        "rslave",
    ];
    KNOWN.contains(&option)
}

/// `{ type: volume | bind, source, target, read_only }` in the short form; what else it says is told.
fn long(item: &Item<'_>, notes: &mut Notes) -> Option<String> {
    let kind = item.get("type")?;
    if !matches!(kind.text()?, "volume" | "bind") {
        return None;
    }
    let (source, target) = (item.get("source")?, item.get("target")?);
    let mode = if item.get("read_only").and_then(|item| item.flag()) == Some(true) { ":ro" } else { "" };
    // A folder may be named here without `./`, which a volume would be in the short form.
    let bare = kind.text() == Some("bind") && !source.text()?.starts_with(['/', '.', '~', '$']);
    let short = format!("{}{}:{}{mode}", if bare { "./" } else { "" }, source.text()?, target.text()?);
    for (key, item) in item.entries() {
        if !["type", "source", "target", "read_only"].contains(&key) {
            notes.lost(&item, "a mount has no such key", KEEP);
        }
    }
    Some(short)
}
