//! A value of the file that is imported, with its place and the way to it.

use crate::registry::fault::{Place, shown};
use crate::registry::tree::{Node, Scalar, Value};

/// A value, where its key stands, and the way to it from the top, such as `services.web.port`.
#[derive(Clone, Debug)]
pub(super) struct Item<'a> {
    pub(super) node: &'a Node,
    pub(super) place: Place,
    pub(super) path: String,
}

impl<'a> Item<'a> {
    /// The whole file.
    pub(super) fn top(node: &'a Node) -> Self {
        Self { node, place: node.place, path: String::new() }
    }

    /// The keys of a mapping, in the order of the file; none when it is no mapping.
    pub(super) fn entries(&self) -> Vec<(&'a str, Self)> {
        let Value::Map(entries) = &self.node.value else { return Vec::new() };
        let entries = entries.iter();
        entries
            .map(|entry| {
                let path = below(&self.path, &entry.key);
                (entry.key.as_str(), Self { node: &entry.node, place: entry.place, path })
            })
            .collect()
    }

    /// The items of a list; none when it is no list.
    pub(super) fn items(&self) -> Vec<Self> {
        let Value::List(items) = &self.node.value else { return Vec::new() };
        let item = |(index, node): (usize, &'a Node)| Self {
            node,
            place: node.place,
            path: format!("{}[{index}]", self.path),
        };
        items.iter().enumerate().map(item).collect()
    }

    /// The value of a key; nothing when there is none, or no value.
    pub(super) fn get(&self, key: &str) -> Option<Self> {
        let found = self.entries().into_iter().find(|(name, _)| *name == key);
        found.map(|(_, item)| item).filter(|item| !item.is_null())
    }

    /// A scalar that says something, as its exact text.
    pub(super) fn text(&self) -> Option<&'a str> {
        match &self.node.value {
            Value::Scalar(Scalar::Null, _) | Value::List(_) | Value::Map(_) => None,
            Value::Scalar(_, text) => Some(text),
        }
    }

    /// A list of scalars, or one scalar, as their exact texts; nothing when anything else is among them.
    pub(super) fn texts(&self) -> Option<Vec<&'a str>> {
        match &self.node.value {
            Value::List(_) => self.items().iter().map(Item::text).collect(),
            _ => self.text().map(|text| vec![text]),
        }
    }

    /// A whole number in a range, in quotes or not.
    pub(super) fn number(&self, range: std::ops::RangeInclusive<i64>) -> Option<i64> {
        let number = match &self.node.value {
            Value::Scalar(Scalar::Int(number), _) => *number,
            Value::Scalar(Scalar::Text, text) => text.parse().ok()?,
            _ => return None,
        };
        range.contains(&number).then_some(number)
    }

    /// True or false, in quotes or not.
    pub(super) fn flag(&self) -> Option<bool> {
        match &self.node.value {
            Value::Scalar(Scalar::Bool(yes), _) => Some(*yes),
            Value::Scalar(Scalar::Text, text) => match text.as_str() {
                "true" | "yes" | "on" => Some(true),
                "false" | "no" | "off" => Some(false),
                _ => None,
            },
            _ => None,
        }
    }

    pub(super) fn is_null(&self) -> bool {
        matches!(self.node.value, Value::Scalar(Scalar::Null, _))
    }

    pub(super) fn is_map(&self) -> bool {
        matches!(self.node.value, Value::Map(_))
    }

    pub(super) fn is_list(&self) -> bool {
        matches!(self.node.value, Value::List(_))
    }
}

/// The way to a key below a way.
fn below(path: &str, key: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if key.is_empty() || !key.chars().all(plain) {
        // Two long keys stay different: what is shown of them is for people, and nothing is looked up by it.
        return format!("{path}[\"{}\"]", shown(key));
    }
    if path.is_empty() { shown(key) } else { format!("{path}.{}", shown(key)) }
}
