//! Plain data as YAML in the style of the example: a mapping key by key, what is below it in one line.

use serde_json::Value;

use crate::registry::tree::{Scalar, resolve};

/// A mapping with one line for each key.
pub(super) fn mapping(value: &Value) -> String {
    match value.as_object() {
        Some(keys) if !keys.is_empty() => {
            keys.iter().map(|(key, value)| format!("{}: {}\n", word(key), flow(value))).collect()
        }
        _ => flow(value),
    }
}

/// A value in one line.
pub(crate) fn flow(value: &Value) -> String {
    match value {
        Value::String(text) => word(text),
        Value::Array(items) => format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", ")),
        Value::Object(keys) if keys.is_empty() => "{}".to_owned(),
        Value::Object(keys) => {
            let keys: Vec<String> = keys.iter().map(|(key, value)| format!("{}: {}", word(key), flow(value))).collect();
            format!("{{ {} }}", keys.join(", "))
        }
        other => other.to_string(),
    }
}

/// What YAML 1.1 takes for true and false, and other tools still do.
const OLD_BOOLEANS: [&str; 6] = ["y", "n", "yes", "no", "on", "off"];

/// A text, in quotes unless it is harmless without. Every JSON string is a YAML double-quoted one (YAML 1.2.2, 1.2).
pub(super) fn word(text: &str) -> String {
    let head = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '/' | '_');
    let harmless = |c: char| head(c) || matches!(c, '-' | '+' | '=' | '@' | '%');
    let old = OLD_BOOLEANS.iter().any(|word| text.eq_ignore_ascii_case(word));
    let plain = text.starts_with(head) && text.chars().all(harmless) && resolve(text) == Scalar::Text && !old;
    if plain { text.to_owned() } else { Value::from(text).to_string() }
}
