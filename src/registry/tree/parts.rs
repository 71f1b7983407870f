//! A long YAML text in parts that are read side by side. A part ends before an entry of a mapping that is the value of a
//! top-level key, and the next one begins there, with that key before it. Each part is closed with an entry of its own: that
//! this is read as an entry shows that nothing was open at the cut. What the parts make is taken only where it must be what
//! the whole text makes; in doubt there is no answer, and the text is read as a whole.

use std::collections::HashSet;

use super::yaml::Builder;
use super::{Node, Value};
use crate::registry::shares::processors;

/// What is shorter than this is read before another thread would have begun.
const SHORTEST: usize = 48 << 10;

/// Reads a text in parts, if it is long.
pub(crate) fn parse(text: &str) -> Option<Node> {
    let most = text.len() / SHORTEST;
    if most < 2 {
        return None;
    }
    in_parts(text, most.min(processors()))
}

/// The key that closes a part. A registry that has it is read as a whole, as the key would be there twice.
const END: &str = "end-of-the-part";

/// A line at which a text can be cut.
struct Cut<'a> {
    /// The line of the top-level key above it.
    header: &'a str,
    offset: usize,
    /// How many spaces it begins with.
    indent: usize,
    /// How many lines stand before it.
    lines: usize,
}

fn in_parts(text: &str, count: usize) -> Option<Node> {
    let cuts = cuts(text, count)?;
    let starts = std::iter::once(None).chain(cuts.iter().map(Some));
    let ends = cuts.iter().map(Some).chain([None]);
    let spans: Vec<(Option<&Cut<'_>>, Option<&Cut<'_>>)> = starts.zip(ends).collect();
    let parts: Option<Vec<Node>> = std::thread::scope(|scope| {
        let (first, rest) = spans.split_first()?;
        let rest: Vec<_> = rest.iter().map(|span| scope.spawn(|| part(text, *span))).collect();
        let first = part(text, *first);
        let rest = rest.into_iter().map(|thread| thread.join().ok().flatten());
        std::iter::once(first).chain(rest).collect()
    });
    let mut parts = parts?.into_iter();
    let mut root = parts.next()?;
    for part in parts {
        join(&mut root, part)?;
    }
    is_unique(&root).then_some(root)
}

/// What stands between two cuts, if it has no fault, means the same wherever it stands, and is complete.
fn part(text: &str, (start, end): (Option<&Cut<'_>>, Option<&Cut<'_>>)) -> Option<Node> {
    let mut own = String::new();
    if let Some(start) = start {
        own = [start.header, "\n"].concat();
    }
    own.push_str(&text[start.map_or(0, |cut| cut.offset)..end.map_or(text.len(), |cut| cut.offset)]);
    if let Some(end) = end {
        own.extend(std::iter::repeat_n(' ', end.indent));
        own.push_str(END);
        own.push_str(":\n");
    }
    let mut builder = Builder::after(start.map_or(0, |cut| cut.lines - 1));
    let mut root = builder.read(&own).ok()??;
    if !builder.stands_alone() {
        return None;
    }
    if let Some(end) = end {
        let Value::Map(keys) = &mut root.value else { return None };
        let Value::Map(entries) = &mut keys.last_mut()?.node.value else { return None };
        let last = entries.pop()?;
        let line = usize::try_from(last.place.line).ok()?;
        (last.key == END && line == end.lines + 1 && !entries.is_empty()).then_some(())?;
    }
    Some(root)
}

/// Adds a part to what stands before it: its first key is the one before it once more.
fn join(root: &mut Node, part: Node) -> Option<()> {
    let (Value::Map(before), Value::Map(part)) = (&mut root.value, part.value) else { return None };
    let mut part = part.into_iter();
    let (last, again) = (before.last_mut()?, part.next()?);
    let (Value::Map(entries), Value::Map(more)) = (&mut last.node.value, again.node.value) else { return None };
    if last.key != again.key {
        return None;
    }
    entries.extend(more);
    before.extend(part);
    Some(())
}

/// Whether no key is given twice, at the top or one level below; each part has looked within itself.
fn is_unique(root: &Node) -> bool {
    let unique = |node: &Node| match &node.value {
        Value::Map(entries) => {
            let mut seen = HashSet::with_capacity(entries.len());
            entries.iter().all(|entry| seen.insert(entry.key.as_str()))
        }
        _ => true,
    };
    let Value::Map(entries) = &root.value else { return false };
    unique(root) && entries.iter().all(|entry| unique(&entry.node))
}

/// At most `count - 1` lines that cut a text into parts of about the same length.
fn cuts(text: &str, count: usize) -> Option<Vec<Cut<'_>>> {
    // A lone carriage return ends a line too; such lines are not counted here.
    if text.contains('\r') {
        return None;
    }
    let share = text.len() / count;
    let (mut cuts, mut offset) = (Vec::<Cut<'_>>::new(), 0);
    let (mut header, mut indent) = (None, None);
    for (number, line) in text.split_inclusive('\n').enumerate() {
        let bare = line.trim_start_matches(' ');
        let depth = line.len() - bare.len();
        let named = bare.starts_with(|c: char| c.is_ascii_alphanumeric());
        if bare.starts_with(['#', '\n']) || bare.is_empty() {
            // It belongs to what stands above it.
        } else if depth == 0 {
            if line.starts_with('%') {
                return None;
            }
            header = line.trim_end().strip_suffix(':').filter(|key| key.bytes().all(|b| b.is_ascii_alphanumeric()));
            header = header.map(|key| &line[..=key.len()]);
            indent = None;
        } else if indent.is_none() {
            indent = Some(depth);
        } else if let Some(header) = header
            && named
            && indent == Some(depth)
            && cuts.len() + 1 < count
            && offset >= share * (cuts.len() + 1)
        {
            cuts.push(Cut { header, offset, indent: depth, lines: number });
        }
        offset += line.len();
    }
    Some(cuts)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::yaml;
    use super::*;

    /// What the whole text makes; nothing if it has a fault.
    fn whole(text: &str) -> Option<Node> {
        let mut faults = Vec::new();
        let root = yaml::whole(text, &mut faults);
        root.filter(|_| faults.is_empty())
    }

    #[test]
    fn a_long_registry_is_read_in_parts() {
        let mut text = "---\nversion: 1\n\nhosts:\n".to_owned();
        for number in 0..400 {
            text.push_str(&format!("  h{number}: {{ address: 10.0.0.1 }}\n"));
        }
        text.push_str("# all\nservices:\n");
        for number in 0..400 {
            text.push_str(&format!("    # one\n    s{number}:\n      run: [a]\n      text: |+\n        b\n\n"));
        }
        text.push_str("environments:\n  staging: { protected: true }\n");
        for count in 2..9 {
            let parts = in_parts(&text, count);
            assert!(parts.is_some(), "{count}");
            assert_eq!(parts, whole(&text), "{count}");
        }
    }

    #[test]
    fn what_reaches_over_a_cut_is_read_as_a_whole() {
        let middle = "  a: 1\n".repeat(3).replace("a", "b");
        for text in [
            "services:\n  a: \"x\n  b: 1\n  c: y\"\n",
            "services:\n  a: 'x\n  b: 1\n  c: y'\n",
            "services:\n  a: [\n  b: 1\n  ]\n",
            "services:\n  a: { b: 1,\n  c: 2 }\n",
            "services:\n  a: &x 1\n  b: 2\n  c: *x\n",
            "services:\n  <<: { a: 1 }\n  b: 2\n  a: 2\n",
            "services:\n  a: 1\n  b: 2\n  a: 3\n",
            "services:\n  a: 1\n  b: 2\n...\n  c: 3\n",
            "%TAG !! tag:x,2000:\n---\nservices:\n  a: 1\n  b: !!str 2\n",
            "services:\n  a b\n  c d\n  e f\n",
            "services:\n  a: 1\n  b\n  c: 2\n",
            "services:\n  a: 1\n  b: |\n  c: |+\n\n  d: 1\n",
            &format!("services:\n{middle}"),
        ] {
            for count in 2..6 {
                assert_eq!(in_parts(text, count).filter(|parts| whole(text).as_ref() != Some(parts)), None, "{text}");
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]

        #[test]
        fn parts_make_what_the_whole_makes(lines in prop::collection::vec(prop::sample::select(vec![
            "services:", "services: ", "hosts:", "x: 1", "x: |", "- a", "---", "...", "", "# c", " # c", "  # c",
            "  a: 1", "  b: x", "  c:", "  d: [1, 2]", "  e: { f: g }", "  f: [1,", "  g: 2]", "  h: \"x", "  i: y\"",
            "  j: 'x", "  k: y'", "  l: |", "  m: |+", "  n: >-", "  o: |2", "  p", "  q r", "  - a", "  - b: c", "  ? a",
            "  : b", "  ? b: c", "  s: &t 1", "  u: *t", "  <<: { v: 1 }", "  w: !!str 1", "  \"x\": 1", "    y: 1", "    z",
            "    - 1", "    \"q", "   a: 1", " a: 1", "  aa: - b", "  bb: c: d", "  cc: d #e", "  dd: 'it''s'", "      deep", "\t", "  \t",
        ]), 0..14), count in 2..6_usize) {
            let text = lines.join("\n");
            if let Some(parts) = in_parts(&text, count) {
                prop_assert_eq!(Some(parts), whole(&text), "{}", text);
            }
        }

        #[test]
        fn parts_of_a_sound_text_make_what_the_whole_makes(entries in prop::collection::vec(prop::sample::select(vec![
            "1", "", " x y\n      z", " |\n      a\n\n      b\n\n", " |+\n      a\n\n\n", " >\n      a\n      b", " [a,\n      b]",
            " \"a\n\n      b\"", "\n    - a\n    - b", "\n    c: 1\n    d:\n      e: 2", " { a: [b] } # c", "\n  # c\n\n    f: 1",
        ]), 2..20), count in 2..6_usize) {
            let mut text = "services:\n".to_owned();
            for (number, entry) in entries.iter().enumerate() {
                text.push_str(&format!("  s{number}:{entry}\n"));
            }
            if let Some(parts) = in_parts(&text, count) {
                prop_assert_eq!(Some(parts), whole(&text), "{}", text);
            }
        }
    }
}
