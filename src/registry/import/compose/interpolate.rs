//! Variables of compose files (compose-spec 12, "Interpolation"). Nothing is taken from the environment of the caller or from
//! an `.env` file, which often holds secrets: a value is its default, or it is not known.

use crate::registry::import::item::Item;
use crate::registry::import::notes::Notes;
use crate::registry::tree::{Entry, Node, Scalar, Value};

/// The file with all variables replaced. What is not known is noted, and says nothing afterwards.
pub(super) fn interpolate(item: &Item<'_>, notes: &mut Notes) -> Node {
    let value = match &item.node.value {
        Value::Map(_) => {
            let entries = item.entries().into_iter().map(|(key, item)| Entry {
                key: key.to_owned(),
                place: item.place,
                node: interpolate(&item, notes),
            });
            Value::Map(entries.collect())
        }
        Value::List(_) => Value::List(item.items().iter().map(|item| interpolate(item, notes)).collect()),
        Value::Scalar(Scalar::Text, text) if text.contains('$') => match replace(text) {
            Ok(text) => Value::Scalar(Scalar::Text, text),
            Err(Missing { what }) => {
                let why = match what {
                    Some(name) => format!("nothing in the file says what `{name}` is"),
                    None => "its `$` does not begin a variable".to_owned(),
                };
                notes.lost(
                    item,
                    why,
                    "write the value out in the registry; portoser reads no `.env`, as it may hold secrets",
                );
                Value::Scalar(Scalar::Null, String::new())
            }
        },
        scalar => scalar.clone(),
    };
    Node { place: item.node.place, value }
}

/// A variable without a default; none when it is not even a variable.
#[derive(Debug, PartialEq, Eq)]
struct Missing {
    what: Option<String>,
}

/// Replaces each variable by its default. `$$` stands for `$`.
fn replace(text: &str) -> Result<String, Missing> {
    let mut replaced = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        replaced.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        if let Some(after) = after.strip_prefix('$') {
            replaced.push('$');
            rest = after;
        } else if let Some(braced) = after.strip_prefix('{') {
            let end = closing(braced).ok_or(Missing { what: None })?;
            replaced.push_str(&default(&braced[..end])?);
            rest = &braced[end + 1..];
        } else {
            let length = name_length(after);
            return Err(Missing { what: (length > 0).then(|| after[..length].to_owned()) });
        }
    }
    replaced.push_str(rest);
    Ok(replaced)
}

/// Where the brace ends that is open at the front.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 1_usize;
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(at);
        }
    }
    None
}

/// What `NAME`, `NAME:-default`, `NAME:+other` and the like say when the variable is not set.
fn default(inner: &str) -> Result<String, Missing> {
    let (name, rest) = inner.split_at(name_length(inner));
    let missing = || Missing { what: (!name.is_empty()).then(|| name.to_owned()) };
    let rest = rest.strip_prefix(':').unwrap_or(rest);
    match rest.split_at_checked(1) {
        _ if name.is_empty() => Err(missing()),
        Some(("-", default)) => replace(default),
        Some(("+", _)) => Ok(String::new()),
        _ => Err(missing()),
    }
}

fn name_length(text: &str) -> usize {
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        return 0;
    }
    text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn defaults_are_taken_and_nothing_else() {
        let good = |text: &str| replace(text).expect("it is known");
        assert_eq!(good("postgres:${TAG:-16}"), "postgres:16");
        assert_eq!(good("${A-${B:-c}}${D:+e}$$HOME $${X}"), "c$HOME ${X}");
        assert_eq!(good("${A:-}"), "");
        for (text, name) in [("$TAG", "TAG"), ("a${TAG}b", "TAG"), ("${TAG:?no}", "TAG"), ("${A:-${TAG}}", "TAG")] {
            assert_eq!(replace(text), Err(Missing { what: Some(name.to_owned()) }), "{text}");
        }
        for text in ["$", "${", "${}", "$1", "${A:-b", "a$-"] {
            assert_eq!(replace(text), Err(Missing { what: None }), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_replaced_or_not_known(text in "[a-z${}:+?-]{0,20}") {
            if let Ok(replaced) = replace(&text) {
                prop_assert!(text.contains('$') || replaced == text);
            }
        }
    }
}
