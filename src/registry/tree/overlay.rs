//! An environment's overlay on the registry: mappings join key by key, everything else replaces, and a key without a
//! value (`null`) takes the key away, as in a JSON merge patch (RFC 7396).

use super::{Entry, Node, Scalar, Value};

/// Keys of which only one may be given: an overlay that gives one takes the others away.
const EITHER: &[&[&str]] =
    &[&["host", "hosts", "on"], &["run", "unit"], &["image", "compose"], &["template", "copy", "text"]];

/// Lays `over` on `base`. Every node keeps its own place.
pub(crate) fn overlay(base: &mut Node, over: &Node) {
    let Value::Map(above) = &over.value else {
        base.clone_from(over);
        return;
    };
    if !matches!(base.value, Value::Map(_)) {
        *base = Node { place: over.place, value: Value::Map(Vec::new()) };
    }
    let Value::Map(below) = &mut base.value else { return };
    for entry in above {
        for others in EITHER.iter().filter(|group| group.contains(&entry.key.as_str())) {
            below.retain(|old| old.key == entry.key || !others.contains(&old.key.as_str()));
        }
    }
    for entry in above {
        lay(below, entry);
    }
}

fn lay(below: &mut Vec<Entry>, entry: &Entry) {
    let at = below.iter().position(|old| old.key == entry.key);
    let removed = matches!(entry.node.value, Value::Scalar(Scalar::Null, _));
    match at {
        Some(at) if removed => drop(below.remove(at)),
        Some(at) => overlay(&mut below[at].node, &entry.node),
        None if removed => {}
        None => {
            let mut fresh = Node { place: entry.node.place, value: Value::List(Vec::new()) };
            overlay(&mut fresh, &entry.node);
            below.push(Entry { key: entry.key.clone(), place: entry.place, node: fresh });
        }
    }
}
