//! What containers write beside their release's files. A folder that is mounted writable and not sent along holds data: it is a link
//! into the service's shared folder, which outlives every release. What is sent and written to is refused.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::host::run::{TreeEntry, TreeKind};
use crate::plan::Refused;

/// The links that the parts of a compose file need, by their paths in the release.
pub(super) fn links(
    known: &BTreeMap<String, Value>,
    entries: &[TreeEntry],
) -> Result<BTreeMap<String, TreeEntry>, Refused> {
    let mut links = BTreeMap::new();
    for (part, one) in known {
        for (source, read_only) in volumes(one).filter_map(bound) {
            let Some(path) = path(part, &source)? else { continue };
            let link = link(part, (&source, &path), read_only, entries)?;
            links.extend(link.map(|link| (path, link)));
        }
    }
    // What lies in a folder that is a link is there already.
    let all: Vec<String> = links.keys().cloned().collect();
    links.retain(|path, _| !all.iter().any(|above| is_below(path, above)));
    Ok(links)
}

/// The mounts of a part that lead through these links, straight to the shared folder: a path that stays the same lets a part that did
/// not change keep its container.
pub(super) fn mounts(one: &Value, links: &BTreeMap<String, TreeEntry>, shared: &str) -> Vec<Value> {
    let straight = |volume: &Value| {
        let (source, _) = bound(volume)?;
        let path = cleaned(&source).filter(|path| links.contains_key(path))?;
        // What compose fills in is its own matter, as is a path that its short form cannot hold.
        let plain = !volume.to_string().contains('$') && !shared.contains(':');
        let path = Some(format!("{shared}/{path}")).filter(|_| plain)?;
        match volume {
            Value::String(text) => {
                let rest = text.split_once(':')?.1;
                let target = rest.split(':').next().filter(|target| !target.ends_with('/'))?;
                target.starts_with('/').then(|| json!(format!("{path}:{rest}")))
            }
            Value::Object(keys) => {
                keys.get("target")?.as_str().filter(|target| target.starts_with('/') && !target.ends_with('/'))?;
                let mut keys = keys.clone();
                keys.insert("source".into(), json!(path));
                Some(Value::Object(keys))
            }
            _ => None,
        }
    };
    volumes(one).filter_map(straight).collect()
}

/// Takes what is at or below one of the links out of what is sent.
pub(super) fn make_way(entries: &mut Vec<TreeEntry>, links: &[TreeEntry]) {
    entries.retain(|entry| !links.iter().any(|link| entry.path == link.path || is_below(&entry.path, &link.path)));
}

fn is_below(path: &str, above: &str) -> bool {
    path.strip_prefix(above).is_some_and(|rest| rest.starts_with('/'))
}

fn volumes(one: &Value) -> impl Iterator<Item = &Value> {
    one.get("volumes").and_then(Value::as_array).into_iter().flatten()
}

/// The path in the release that a source means; none where only compose knows it, which is asked for it on the host.
fn path(part: &str, source: &str) -> Result<Option<String>, Refused> {
    if source.contains('$') {
        return Ok(None);
    }
    let outside = || {
        Refused::new(
            format!("`{part}` mounts `{source}`, which lies outside of its release"),
            "mount an absolute path or a named volume",
        )
    };
    cleaned(source).ok_or_else(outside).map(Some)
}

/// A relative path without what says nothing; none where it climbs.
fn cleaned(source: &str) -> Option<String> {
    let parts: Vec<&str> = source.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    (!parts.contains(&"..")).then(|| parts.join("/"))
}

/// What a part mounts from this path of the release: a link where it is data, and nothing where it is sent. A folder that is sent
/// along cannot be both.
pub(super) fn link(
    part: &str,
    (source, path): (&str, &str),
    read_only: bool,
    entries: &[TreeEntry],
) -> Result<Option<TreeEntry>, Refused> {
    let file = |entry: &TreeEntry| entry.kind != TreeKind::Folder;
    let is_file = entries.iter().any(|entry| entry.path == path && file(entry));
    let inside = |entry: &&TreeEntry| is_below(&entry.path, path) && !entry.path.ends_with("/.gitkeep");
    let filled = entries.iter().filter(inside).any(file);
    if path.is_empty() || (filled && !is_file && !read_only) {
        return Err(Refused::new(
            format!("`{part}` mounts `{source}` writable, and its files are sent with each release"),
            "what is written there would be left behind: mount it `:ro`, or keep data in a named volume",
        ));
    }
    // An empty folder that is sent only says that there is one.
    let is_sent = filled || is_file || (read_only && entries.iter().any(|entry| entry.path == path));
    if is_sent {
        return Ok(None);
    }
    let up = "../".repeat(2 + path.matches('/').count());
    let kind = TreeKind::Link { target: format!("{up}shared/{path}") };
    Ok(Some(TreeEntry { path: path.to_owned(), kind }))
}

/// The relative folder or file that a volume mounts, and whether it is only read.
fn bound(volume: &Value) -> Option<(String, bool)> {
    match volume {
        Value::String(text) => {
            let mut parts = text.split(':');
            let source = parts.next().filter(|source| source.starts_with('.'))?;
            parts.next()?;
            let read_only = parts.next().is_some_and(|modes| modes.split(',').any(|mode| mode == "ro"));
            Some((source.to_owned(), read_only))
        }
        Value::Object(keys) => {
            let binds = keys.get("type").and_then(Value::as_str) == Some("bind");
            let source = keys.get("source")?.as_str()?;
            // Said to be a path, it is one without a dot before it, too.
            let relative = source.starts_with('.') || (binds && !source.starts_with(['/', '~', '$']));
            let read_only = keys.get("read_only").and_then(Value::as_bool).unwrap_or_default();
            relative.then(|| (source.to_owned(), read_only))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Content;

    fn entries(paths: &[&str]) -> Vec<TreeEntry> {
        let kind = |path: &str| match path.strip_suffix('/') {
            Some(_) => TreeKind::Folder,
            None => TreeKind::Made { content: Content::open("x"), mode: 0o644 },
        };
        paths.iter().map(|path| TreeEntry { path: path.trim_end_matches('/').into(), kind: kind(path) }).collect()
    }

    fn all(volume: Value, paths: &[&str]) -> Result<(Value, BTreeMap<String, TreeEntry>), String> {
        let one = json!({ "volumes": [volume] });
        let known = BTreeMap::from([("web".to_owned(), one.clone())]);
        links(&known, &entries(paths)).map(|links| (one, links)).map_err(|why| why.what)
    }

    /// The links that a volume makes beside these files, or why it is refused.
    fn linked(volume: Value, paths: &[&str]) -> Result<Vec<(String, String)>, String> {
        let target = |entry: TreeEntry| match entry.kind {
            TreeKind::Link { target } => (entry.path, target),
            _ => (entry.path, String::new()),
        };
        Ok(all(volume, paths)?.1.into_values().map(target).collect())
    }

    #[test]
    fn what_is_written_beside_the_file_outlives_the_release() {
        let shared = |path: &str, up: &str| Ok(vec![(path.to_owned(), format!("{up}shared/{path}"))]);
        assert_eq!(linked(json!("./data:/data"), &["conf/", "conf/a"]), shared("data", "../../"));
        assert_eq!(linked(json!("./a/b/:/data"), &[]), shared("a/b", "../../../"));
        assert_eq!(linked(json!(".//a/./b:/data"), &[]), shared("a/b", "../../../"));
        assert_eq!(linked(json!("./.hidden:/data"), &[]), shared(".hidden", "../../"));
        assert_eq!(linked(json!({ "type": "bind", "source": "./d", "target": "/d" }), &[]), shared("d", "../../"));
        assert_eq!(linked(json!({ "type": "bind", "source": "d/e", "target": "/d" }), &[]), shared("d/e", "../../../"));
        assert_eq!(linked(json!("./up:/up"), &["up/", "up/.gitkeep"]), shared("up", "../../"));
        // What is sent is the release's own: files, and folders that are only read.
        assert_eq!(linked(json!("./conf:/conf:ro,z"), &["conf/", "conf/a"]), Ok(vec![]));
        assert_eq!(linked(json!("./nginx.conf:/etc/nginx.conf"), &["nginx.conf"]), Ok(vec![]));
        // What only compose knows is looked at on the host.
        for other in ["data:/data", "/srv:/data", "${D:-./d}:/d", "./$D:/d"] {
            assert_eq!(linked(json!(other), &[]), Ok(vec![]), "{other}");
        }
        assert_eq!(linked(json!({ "type": "volume", "source": "d", "target": "/d" }), &[]), Ok(vec![]));
        for lost in ["./conf:/conf", ".//conf:/conf", ".:/app", "./:/app", "../data:/data"] {
            assert!(linked(json!(lost), &["conf/", "conf/a"]).is_err(), "{lost}");
        }
    }

    #[test]
    fn mounts_of_data_stay_the_same_from_release_to_release() {
        let straight = |volume: Value, paths: &[&str]| {
            let (one, links) = all(volume, paths).expect("links");
            mounts(&one, &links, "/b/shared")
        };
        assert_eq!(straight(json!("./a/b:/d:rw,z"), &[]), [json!("/b/shared/a/b:/d:rw,z")]);
        let long =
            |source: &str| json!({ "type": "bind", "source": source, "target": "/d", "bind": { "selinux": "z" } });
        assert_eq!(straight(long("d"), &[]), [long("/b/shared/d")]);
        for other in ["./d:/x$Y", "./d:/x/", "./d:x", "d:/x", "./c:/c:ro"] {
            assert_eq!(straight(json!(other), &["c/", "c/a"]), [] as [Value; 0], "{other}");
        }
    }
}
