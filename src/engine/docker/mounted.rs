//! What is sent along and only read by containers. In the release its path would be another one each time, and compose would make each
//! part anew that mounts it. So it lies beside the releases, by its content: a part whose files did not change keeps its container.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::data::{bound, cleaned, is_below, volumes};
use crate::host::run::{TreeEntry, TreeKind};
use crate::model::{ReleaseId, sha256};
use crate::plan;

/// The paths in the release that are mounted and only read, each with the name of what lies there now.
pub(super) fn contents(
    known: &BTreeMap<String, Value>,
    document: &Value,
    entries: &[TreeEntry],
    links: &BTreeMap<String, TreeEntry>,
) -> BTreeMap<String, ReleaseId> {
    let (mut read, mut other) = (BTreeSet::new(), links.keys().cloned().collect::<BTreeSet<_>>());
    for (source, read_only) in known.values().flat_map(volumes).filter_map(bound) {
        let Some(path) = plain(&source) else { continue };
        if read_only {
            read.insert(path)
        } else {
            other.insert(path)
        };
    }
    read.extend(files(document).filter_map(|(.., source)| plain(source)));
    // What one part writes, another one is to read; and a link would lead elsewhere from there.
    read.retain(|path| {
        let apart = |one: &String| one != path && !is_below(one, path) && !is_below(path, one);
        let is_link = |entry: &TreeEntry| entry.path == *path && matches!(entry.kind, TreeKind::Link { .. });
        other.iter().all(apart) && !entries.iter().any(is_link)
    });
    let named = |path: String| {
        let inside = entries.iter().filter(|entry| entry.path == path || is_below(&entry.path, &path));
        let marks: Vec<_> = inside.map(|entry| (&entry.path, plan::mark(&entry.kind))).collect();
        let text = serde_json::to_vec(&marks).unwrap_or_default();
        (!marks.is_empty()).then(|| (path.clone(), ReleaseId::from_digest(&sha256(&text))))
    };
    read.into_iter().filter_map(named).collect()
}

/// Leads the secrets and configs of a compose file to where their files lie.
pub(super) fn lead(over: &mut Value, document: &Value, lies: &BTreeMap<String, String>) {
    for (kind, name, keys, source) in files(document) {
        if let Some(place) = plain(source).and_then(|path| lies.get(&path)) {
            let mut keys = keys.clone();
            keys.insert("file".into(), json!(place));
            over[kind][name] = Value::Object(keys);
        }
    }
}

/// The secrets and configs of a compose file that are files: what kind it is, its name, its keys, and the file.
fn files(document: &Value) -> impl Iterator<Item = (&'static str, &String, &Map<String, Value>, &str)> {
    let all = ["secrets", "configs"].into_iter().filter_map(|kind| Some((kind, document.get(kind)?.as_object()?)));
    let each = all.flat_map(|(kind, all)| all.iter().map(move |(name, one)| (kind, name, one)));
    each.filter_map(|(kind, name, one)| {
        let keys = one.as_object()?;
        Some((kind, name, keys, keys.get("file")?.as_str()?))
    })
}

/// The path in the release that a source means, if that is known without compose, and is not the whole of it.
fn plain(source: &str) -> Option<String> {
    let relative = !source.contains('$') && !source.starts_with(['/', '~']);
    cleaned(source).filter(|path| relative && !path.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Content;

    fn made(path: &str, text: &str) -> TreeEntry {
        TreeEntry { path: path.into(), kind: TreeKind::Made { content: Content::open(text), mode: 0o644 } }
    }

    fn all(volumes: Value, entries: &[TreeEntry]) -> BTreeMap<String, ReleaseId> {
        let known = BTreeMap::from([("web".to_owned(), json!({ "volumes": volumes }))]);
        contents(&known, &json!({ "secrets": { "key": { "file": "keys/a" } } }), entries, &BTreeMap::new())
    }

    #[test]
    fn a_name_changes_with_what_lies_below_it_and_with_nothing_else() {
        let entries = |conf: &str, other: &str| [made("conf/a", conf), made("keys/a", "k"), made("other", other)];
        let volumes =
            || json!(["./conf:/conf:ro", { "type": "bind", "source": "other", "target": "/o", "read_only": true }]);
        let before = all(volumes(), &entries("1", "1"));
        assert_eq!(before.keys().collect::<Vec<_>>(), ["conf", "keys/a", "other"]);
        let after = all(volumes(), &entries("1", "2"));
        assert_eq!((&before["conf"], &before["keys/a"]), (&after["conf"], &after["keys/a"]));
        assert_ne!(before["other"], after["other"]);
    }

    #[test]
    fn what_is_written_to_or_leads_elsewhere_stays_in_the_release() {
        let link = TreeEntry { path: "link".into(), kind: TreeKind::Link { target: "a".into() } };
        let entries = [made("conf/a", "1"), made("conf/b", "2"), link];
        for volumes in [
            json!(["./conf:/conf:ro", "./conf/a:/a"]),
            json!(["./conf/a:/conf:ro", "./conf/a:/a"]),
            json!(["./link:/l:ro"]),
            json!(["./none:/n:ro", "${A}/conf:/c:ro", "/conf:/c:ro", "~/conf:/c:ro", ".:/c:ro", "../conf:/c:ro"]),
        ] {
            assert_eq!(all(volumes.clone(), &entries), BTreeMap::new(), "{volumes}");
        }
        assert_eq!(
            all(json!(["./conf/b:/b:ro", "./conf/a:/a"]), &entries).len(),
            1,
            "what lies beside does not matter"
        );
    }
}
