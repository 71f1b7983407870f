//! The floors: a room imports from lower floors only.

use std::collections::BTreeSet;

use regex::Regex;

use crate::cases::root;
use crate::tidy::Text;

/// From the ground up. Rooms of one floor do not import each other.
const FLOORS: &[&[&str]] = &[
    &["model"],
    &["registry", "host"],
    &["plan"],
    &["engine", "check"],
    &["transport", "secrets", "journal"],
    &["deploy"],
    &["heal"],
    &["app", "demo"],
    &["cli", "mcp", "web"],
];

fn floor(room: &str) -> Option<usize> {
    FLOORS.iter().position(|rooms| rooms.contains(&room))
}

/// The room of a file under `src/`; none for `lib.rs`, `main.rs` and `bin/`.
fn room(path: &str) -> Option<&str> {
    let inside = path.strip_prefix("src/")?;
    let first = inside.split('/').next()?;
    let room = first.strip_suffix(".rs").unwrap_or(first);
    (!matches!(room, "lib" | "main" | "bin")).then_some(room)
}

pub fn lower_only(texts: &[Text]) -> Vec<String> {
    let rooms: BTreeSet<_> = texts.iter().filter_map(|text| room(&text.path)).collect();
    let mut found = Vec::new();
    for text in texts.iter().filter(|text| text.is_rust()) {
        let Some(room) = room(&text.path) else { continue };
        for (line, other) in imports(&text.text) {
            // `crate::thing` that is no room is an item of the crate's root.
            let allowed = other == room || !rooms.contains(other) || floor(other) < floor(room);
            if !allowed {
                found.push(format!(
                    "{}:{line}: `{room}` must not use `{other}`, which is not on a lower floor",
                    text.path
                ));
            }
        }
    }
    found
}

/// Every `crate::room` of a text outside of comments, also in `use crate::{a, b::c}`, with its line.
fn imports(text: &str) -> Vec<(usize, &str)> {
    let one = Regex::new(r"\bcrate::([a-z_]+)").expect("a pattern");
    let group = Regex::new(r"\bcrate::\{").expect("a pattern");
    let mut found = Vec::new();
    let line_at = |at: usize| text[..at].matches('\n').count() + 1;
    let commented = |at: usize| {
        let start = text[..at].rfind('\n').map_or(0, |end| end + 1);
        text[start..at].trim_start().starts_with("//")
    };
    for hit in one.captures_iter(text).filter_map(|hit| hit.get(1)) {
        if !commented(hit.start()) {
            found.push((line_at(hit.start()), hit.as_str()));
        }
    }
    for hit in group.find_iter(text).filter(|hit| !commented(hit.start())) {
        let (mut depth, mut start) = (1, hit.end());
        for (index, c) in text[hit.end()..].char_indices() {
            let at = hit.end() + index;
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            if (c == ',' && depth == 1) || depth == 0 {
                let name = text[start..at].trim();
                let end = name.find(|c: char| c != '_' && !c.is_ascii_lowercase()).unwrap_or(name.len());
                found.push((line_at(start), &name[..end]));
                start = at + 1;
            }
            if depth == 0 {
                break;
            }
        }
    }
    found
}

pub fn every_room(texts: &[Text]) -> Vec<String> {
    let rooms: BTreeSet<_> = texts.iter().filter(|text| text.is_rust()).filter_map(|text| room(&text.path)).collect();
    let unknown = rooms.into_iter().filter(|room| floor(room).is_none());
    let mut found: Vec<_> = unknown
        .map(|room| {
            format!("src/{room}: stands on no floor; give it one in tests/it/tidy/floors.rs and docs/ARCHITECTURE.md")
        })
        .collect();
    let architecture = std::fs::read_to_string(root().join("docs/ARCHITECTURE.md")).unwrap_or_default();
    for rooms in FLOORS {
        for room in rooms.iter().filter(|room| !architecture.contains(&format!("`{room}"))) {
            found.push(format!("docs/ARCHITECTURE.md: does not name the room `{room}`"));
        }
    }
    found
}
