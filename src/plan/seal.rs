//! What makes files a release: its record and its manifest, which lie beside them and name them all. They are made when they
//! are needed, because a plan of many services sends few of them.

use crate::host::run::{Tree, TreeEntry, TreeKind};
use crate::host::{OURS, Record};
use crate::model::{Content, hex, sha256};

/// The tree of a release: its files with the record and the manifest. Whoever has the same record and files gets the same
/// bytes.
#[must_use]
pub fn seal(record: &Record, files: &[TreeEntry]) -> Tree {
    let mut entries = Vec::with_capacity(files.len() + 2);
    entries.extend_from_slice(files);
    // Checks may send what opens doors, and hooks may be given it: nobody else reads the record.
    entries.push(ours("release.json", Content::open(record.line() + "\n"), 0o600));
    let mut manifest = String::new();
    for entry in &entries {
        match &entry.kind {
            TreeKind::File { sha256, .. } => line(&mut manifest, &entry.path, sha256),
            TreeKind::Made { content, .. } => line(&mut manifest, &entry.path, &sha256(&content.bytes)),
            TreeKind::Folder | TreeKind::Link { .. } => {}
        }
    }
    for unit in &record.units {
        if let Some(path) = &unit.path {
            line(&mut manifest, path, &sha256(unit.text.as_bytes()));
        }
    }
    entries.push(ours("manifest", Content::open(manifest), 0o644));
    entries.sort_by(|a, b| a.path.cmp(&b.path));
    Tree { release: record.release.clone(), entries }
}

/// A line as `sha256sum -c` reads it.
fn line(manifest: &mut String, path: &str, hash: &[u8]) {
    manifest.push_str(&hex(hash));
    manifest.push_str("  ");
    manifest.push_str(path);
    manifest.push('\n');
}

/// A file in the folder of a release that is ours.
#[must_use]
pub fn ours(name: &str, content: Content, mode: u32) -> TreeEntry {
    TreeEntry { path: [OURS, "/", name].concat(), kind: TreeKind::Made { content, mode } }
}

/// What tells two entries apart: mode and content, or the target of a link. A folder has none.
#[must_use]
pub fn mark(kind: &TreeKind) -> Option<String> {
    let mark = |mode: u32, hash: &[u8]| Some(format!("{mode:o} ") + &hex(hash));
    match kind {
        TreeKind::Folder => None,
        TreeKind::File { sha256, mode, .. } => mark(*mode, sha256),
        TreeKind::Made { content, mode } => mark(*mode, &sha256(&content.bytes)),
        TreeKind::Link { target } => Some(format!("-> {target}")),
    }
}
