//! The JSON Schema of a registry, from the declarations that the reader uses; editors can check a registry with it.

use serde_json::{Value, json};

use super::draft::Root;

/// The schema of a registry (JSON Schema, draft 2020-12). What it refuses the reader refuses too; the reader refuses more,
/// such as names that are not there.
#[must_use]
pub fn schema() -> Value {
    let mut schema = schemars::schema_for!(Root).to_value();
    schema["title"] = "portoser registry".into();
    overlays(&mut schema);
    schema
}

/// In an environment's overlay a key may be null, which takes it away, and no key is needed. So the mappings below it are
/// described a second time, under names that end in `Overlay`.
fn overlays(schema: &mut Value) {
    let Some(definitions) = schema["$defs"].as_object() else { return };
    let mut more = serde_json::Map::new();
    for (name, definition) in definitions.iter().filter(|(name, _)| *name != "Environment") {
        let mut overlay = definition.clone();
        loosen(&mut overlay);
        more.insert(format!("{name}Overlay"), overlay);
    }
    let mut environment = definitions["Environment"].clone();
    loosen(&mut environment);
    more.insert("Environment".to_owned(), environment);
    if let Some(definitions) = schema["$defs"].as_object_mut() {
        definitions.extend(more);
    }
}

fn loosen(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            object.remove("required");
            if let Some(Value::String(reference)) = object.get_mut("$ref") {
                reference.push_str("Overlay");
            }
            object.values_mut().for_each(loosen);
            if let Some(Value::Object(keys)) = object.get_mut("properties") {
                keys.values_mut().for_each(|key| *key = json!({ "anyOf": [key.take(), { "type": "null" }] }));
            }
            if let Some(value) = object.get_mut("additionalProperties").filter(|value| value.is_object()) {
                *value = json!({ "anyOf": [value.take(), { "type": "null" }] });
            }
        }
        Value::Array(items) => items.iter_mut().for_each(loosen),
        _ => {}
    }
}
