//! The tree that YAML, JSON and TOML become: every node knows its place. Aliases and merge keys are already followed,
//! within a budget; keys are unique.

mod overlay;
mod parts;
mod scalar;
mod toml;
mod trail;
mod yaml;

pub(crate) use overlay::overlay;
pub(crate) use scalar::{Scalar, resolve};
pub(crate) use trail::Trail;

use super::fault::{Fault, Place};

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    pub(crate) place: Place,
    pub(crate) value: Value,
}

/// What a node holds.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    /// A scalar: what it means, and its text exactly as written.
    Scalar(Scalar, String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// One key of a map and its value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) place: Place,
    pub(crate) node: Node,
}

impl Node {
    /// How the node's kind is called in a message.
    pub(crate) fn kind(&self) -> &'static str {
        match &self.value {
            Value::Scalar(Scalar::Null, _) => "nothing",
            Value::Scalar(Scalar::Bool(_), _) => "true or false",
            Value::Scalar(Scalar::Int(_) | Scalar::Float(_), _) => "a number",
            Value::Scalar(Scalar::Text, _) => "a text",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
        }
    }

    /// The value of a key, if this is a map that has it.
    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        match &self.value {
            Value::Map(entries) => entries.iter().find(|entry| entry.key == key).map(|entry| &entry.node),
            _ => None,
        }
    }

    /// The node as plain data, without places.
    pub(crate) fn plain(&self) -> serde_json::Value {
        match &self.value {
            Value::Scalar(Scalar::Null, _) => serde_json::Value::Null,
            Value::Scalar(Scalar::Bool(yes), _) => (*yes).into(),
            Value::Scalar(Scalar::Int(number), _) => (*number).into(),
            Value::Scalar(Scalar::Float(number), text) => {
                serde_json::Number::from_f64(*number).map_or_else(|| text.clone().into(), serde_json::Value::Number)
            }
            Value::Scalar(Scalar::Text, text) => text.clone().into(),
            Value::List(items) => items.iter().map(Node::plain).collect(),
            Value::Map(entries) => entries.iter().map(|entry| (entry.key.clone(), entry.node.plain())).collect(),
        }
    }
}

/// How a registry is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// YAML 1.2, and JSON, which is YAML.
    Yaml,
    Toml,
}

/// More text than this is not a registry.
const MOST_BYTES: usize = 32 << 20;

/// Reads a text. What can be read in spite of faults is returned beside them.
pub(crate) fn parse(text: &str, format: Format, faults: &mut Vec<Fault>) -> Option<Node> {
    if text.len() > MOST_BYTES {
        faults.push(Fault::new(None, "", format!("the file is larger than {} MiB", MOST_BYTES >> 20)));
        return None;
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    match format {
        Format::Yaml => yaml::parse(text, faults),
        Format::Toml => toml::parse(text, faults),
    }
}
