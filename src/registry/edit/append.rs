//! Many entries at once, written as text behind those that are there. Taking apart and putting together the whole text for each
//! entry would take minutes for a thousand. Whether the new text means what it should is for the caller to hold it to.

use super::snippet::word;
use crate::registry::tree::{Format, Node, Value, parse};

/// The text with these entries (keys and values in YAML, not indented) at the end of the mapping of a top-level key. Nothing
/// when that is not written key by key, one below the other.
pub(super) fn append(text: &str, key: &str, entries: &[(&str, String)]) -> Option<String> {
    if entries.is_empty() {
        return Some(text.to_owned());
    }
    if text.contains('\r') || text.starts_with('\u{feff}') {
        return None;
    }
    let root = parse(text, Format::Yaml, &mut Vec::new())?;
    let Value::Map(keys) = &root.value else { return None };
    let Some(at) = keys.iter().position(|entry| entry.key == key) else {
        let gap = if text.ends_with('\n') { "" } else { "\n" };
        return Some(format!("{text}{gap}{key}:\n{}", block(entries, 2)));
    };
    let indent = indent(&keys[at].node, keys[at].place.line)?;
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let next = keys.get(at + 1).and_then(|entry| usize::try_from(entry.place.line).ok());
    let mut end = next.map_or(lines.len(), |line| line - 1);
    // Blank lines, and comments at the margin, stand before what comes next.
    while lines[..end].last().is_some_and(|line| line.trim().is_empty() || line.starts_with('#')) {
        end -= 1;
    }
    let before = lines[..end].concat();
    let gap = if before.ends_with('\n') { "" } else { "\n" };
    Some(format!("{before}{gap}{}{}", block(entries, indent), lines[end..].concat()))
}

/// How far the entries of a mapping are indented that has each on a line of its own.
fn indent(node: &Node, line: u32) -> Option<usize> {
    let Value::Map(entries) = &node.value else { return None };
    let first = entries.first()?;
    let column = usize::try_from(first.place.column).ok()?;
    // A mapping in braces begins before its first key.
    (first.place.line > line && first.place == node.place && column > 1).then(|| column - 1)
}

fn block(entries: &[(&str, String)], indent: usize) -> String {
    let pad = " ".repeat(indent);
    let mut text = String::new();
    for (name, keys) in entries {
        text.push_str(&format!("{pad}{}:\n", word(name)));
        for line in keys.lines() {
            text.push_str(&format!("{pad}  {line}\n"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::append;

    fn added(text: &str) -> Option<String> {
        append(text, "a", &[("x", "k: 1\n".to_owned()), ("z", "k: 2\n".to_owned())])
    }

    #[test]
    fn entries_are_written_behind_the_others() {
        let new = "    x:\n      k: 1\n    z:\n      k: 2\n";
        assert_eq!(
            added("a:\n    b: 1 # one\n    # two\n\n# three\nc: 2\n"),
            Some(format!("a:\n    b: 1 # one\n    # two\n{new}\n# three\nc: 2\n"))
        );
        assert_eq!(added("a:\n    b: 1"), Some(format!("a:\n    b: 1\n{new}")));
        assert_eq!(added("c: 1\n").as_deref(), Some("c: 1\na:\n  x:\n    k: 1\n  z:\n    k: 2\n"));
    }

    #[test]
    fn what_is_in_braces_is_for_others() {
        for text in ["a: { b: 1 }\n", "a: {}\n", "a:\n", "{ a: { b: 1 } }\n", "a:\n  { b: 1 }\n", "a:\r\n  b: 1\r\n"] {
            assert_eq!(added(text), None, "{text}");
        }
    }
}
