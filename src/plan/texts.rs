//! What changes in the texts of a release: its units, its files, and which names in its environment.
//! Values of the environment are never part of it: one may be private even when nobody said so.

use std::collections::{BTreeMap, BTreeSet};

use similar::TextDiff;

use crate::host::look::Compared;
use crate::host::run::{TreeEntry, TreeKind};
use crate::host::{OURS, Record, SeenService, Supervisor};
use crate::model::ServiceName;
use crate::plan::engine::Wanted;
use crate::plan::render::Sources;
use crate::plan::seal::mark;
use crate::registry::{COMPOSE_FILES, Kind, Project, Registry, Service};

/// The most lines of one difference; the rest is counted.
const LINES: usize = 120;

/// How one text changes.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct TextChange {
    /// The path of a unit, or of a file in the release; `environment` for what stands in no file of the user's.
    pub path: String,
    /// A unified difference with two lines around each change; for the environment, a line for each name.
    pub diff: String,
}

/// The most files of one source whose differences are shown, and the largest.
const FILES: usize = 400;
const LARGEST: u64 = 64 << 10;

/// The files of the releases in force that a look must bring, so that what changes in them can be told: what we write, and of
/// a source the small files that are another now. Closed and hidden ones are only named, as secrets like to live there.
#[must_use]
pub fn compared(
    registry: &Registry,
    services: &BTreeSet<ServiceName>,
    sources: &Sources,
) -> BTreeMap<ServiceName, Vec<Compared>> {
    let services = services.iter().filter_map(|name| registry.services.get(name));
    services.map(|service| (service.name.clone(), of_one(service, sources))).collect()
}

fn of_one(service: &Service, sources: &Sources) -> Vec<Compared> {
    let mut paths = vec![format!("{OURS}/env.sh")];
    paths.extend(service.files.keys().cloned());
    if let Kind::Docker(docker) = &service.kind
        && let Project::Compose { path, .. } = &docker.project
    {
        paths.extend(path.file_name().map(|name| name.to_string_lossy().into_owned()));
        paths.extend(COMPOSE_FILES.iter().map(|name| (*name).to_owned()));
    }
    let tree: Vec<_> = sources.trees.get(&service.name).into_iter().flatten().collect();
    paths.retain(|path| !tree.iter().any(|entry| entry.path == *path));
    let entries = tree.into_iter().filter(|entry| is_shown(entry, sources)).take(FILES);
    let written = paths.into_iter().map(|path| Compared { path, unless: None });
    let sent = entries.map(|entry| Compared { path: entry.path.clone(), unless: mark(&entry.kind) });
    written.chain(sent).collect()
}

/// Whether the differences of a file of a source are shown.
fn is_shown(entry: &TreeEntry, sources: &Sources) -> bool {
    let hidden = entry.path.starts_with('.') || entry.path.contains("/.");
    matches!(&entry.kind, TreeKind::File { from, size, .. } if *size <= LARGEST && !hidden && sources.open.contains(from))
}

/// What changes in the texts, as far as the look brought the old ones.
pub(super) fn changed(before: &Record, found: &SeenService, wanted: &Wanted, sources: &Sources) -> Vec<TextChange> {
    let mut all = Vec::new();
    // The name of the release stands in many lines, and is told elsewhere.
    let renamed = |text: &str| text.replace(before.release.as_str(), wanted.record.release.as_str());
    let mut add = |path: &str, old: &str, new: &str| {
        let old = renamed(old);
        if old != new {
            all.push(TextChange { path: path.to_owned(), diff: unified(&old, new) });
        }
    };
    for unit in &wanted.record.units {
        let Some(path) = &unit.path else { continue };
        // The property list of a job holds the environment with its values.
        let private = [before.supervisor, wanted.record.supervisor].contains(&Supervisor::Launchd);
        if let Some(old) = before.units.iter().find(|old| old.path.as_ref() == Some(path) && !private) {
            add(path, &old.text, &unit.text);
        }
    }
    for entry in &wanted.files {
        let Some(old) = found.texts.get(&entry.path) else { continue };
        let bytes = match &entry.kind {
            TreeKind::Made { content, .. } if !content.secret => Some(&*content.bytes),
            TreeKind::File { from, .. } if is_shown(entry, sources) => sources.texts.get(from).map(Vec::as_slice),
            TreeKind::File { .. } | TreeKind::Made { .. } | TreeKind::Folder | TreeKind::Link { .. } => None,
        };
        if let Some(new) = bytes.and_then(|bytes| std::str::from_utf8(bytes).ok()) {
            add(&entry.path, old, new);
        }
    }
    all.extend(environment(found, wanted));
    all
}

/// Which names of the environment come, go, or get another value.
fn environment(found: &SeenService, wanted: &Wanted) -> Option<TextChange> {
    let path = format!("{OURS}/env.sh");
    let new = wanted.files.iter().find(|entry| entry.path == path)?;
    let TreeKind::Made { content, .. } = &new.kind else { return None };
    let new = String::from_utf8_lossy(&content.bytes);
    let (old, new) = (assignments(found.texts.get(&path)?), assignments(&new));
    let mut diff = String::new();
    for (name, value) in &new {
        match old.get(name) {
            None => diff.push_str(&format!("+{name}\n")),
            Some(before) if before != value => diff.push_str(&format!("~{name}\n")),
            Some(_) => {}
        }
    }
    diff.extend(old.keys().filter(|name| !new.contains_key(*name)).map(|name| format!("-{name}\n")));
    (!diff.is_empty()).then(|| TextChange { path: "environment".into(), diff })
}

/// The assignments of a file that a shell reads: `export NAME=VALUE`, where a value may go over several lines.
fn assignments(text: &str) -> BTreeMap<&str, String> {
    let mut all: BTreeMap<&str, String> = BTreeMap::new();
    let mut last = "";
    for line in text.lines() {
        if let Some((name, value)) = line.strip_prefix("export ").and_then(|line| line.split_once('=')) {
            last = name;
            all.insert(name, value.to_owned());
        } else if let Some(value) = all.get_mut(last) {
            value.push('\n');
            value.push_str(line);
        }
    }
    all
}

fn unified(old: &str, new: &str) -> String {
    let whole = TextDiff::from_lines(old, new).unified_diff().context_radius(2).to_string();
    let more = whole.lines().count().saturating_sub(LINES);
    if more == 0 {
        return whole;
    }
    let shown: String = whole.split_inclusive('\n').take(LINES).collect();
    format!("{shown}and {more} more lines\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_has_its_lines_and_an_end() {
        assert_eq!(unified("a\nb\nc\n", "a\nx\nc\n"), "@@ -1,3 +1,3 @@\n a\n-b\n+x\n c\n");
        let long: String = (0..500).map(|number| format!("{number}\n")).collect();
        assert!(unified("", &long).ends_with("and 381 more lines\n"), "{}", unified("", &long));
    }

    #[test]
    fn of_the_environment_names_are_told_and_no_values() {
        let all = assignments("export A=1\nexport KEY='-----BEGIN\nxyz\n'\nexport B=2\n");
        assert_eq!(all.keys().copied().collect::<Vec<_>>(), ["A", "B", "KEY"]);
        assert_eq!(all["KEY"], "'-----BEGIN\nxyz\n'");
    }
}
