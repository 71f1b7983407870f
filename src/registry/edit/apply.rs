//! A change twice: to the registry as plain data, which says what is wanted, and to its text, which keeps all else.

use std::str::FromStr;

use serde_json::{Value, json};
use yaml_edit::{Document, Mapping};

use super::snippet::{flow, mapping};
use super::{Edit, EditError};
use crate::registry::fault::nearest;

/// Makes the change to the registry as plain data.
pub(super) fn to_value(registry: &mut Value, edit: &Edit) -> Result<(), EditError> {
    match edit {
        Edit::AddHost { name, host } => add(registry, ("hosts", "a host"), name.as_str(), host),
        Edit::AddService { name, service } => add(registry, ("services", "a service"), name.as_str(), service),
        Edit::Add { hosts, services } => {
            for (name, host) in hosts {
                add(registry, ("hosts", "a host"), name.as_str(), host)?;
            }
            for (name, service) in services {
                add(registry, ("services", "a service"), name.as_str(), service)?;
            }
            Ok(())
        }
        Edit::MoveService { name, hosts } => {
            let service = service(registry, name.as_str())?;
            let one = hosts.len() == 1 && !service.contains_key("hosts");
            let new = if one { ("host", json!(hosts.first())) } else { ("hosts", json!(hosts)) };
            let old = ["host", "hosts", "on"].into_iter().find(|key| service.contains_key(*key));
            let keys = std::mem::take(service).into_iter();
            let keys = keys.map(|(key, value)| match Some(key.as_str()) == old {
                true => (new.0.to_owned(), new.1.clone()),
                false => (key, value),
            });
            *service = keys.collect();
            Ok(())
        }
        Edit::RemoveService { name } => {
            service(registry, name.as_str())?;
            if let Some(services) = registry["services"].as_object_mut() {
                services.shift_remove(name.as_str());
            }
            Ok(())
        }
    }
}

fn add(registry: &mut Value, (key, what): (&str, &'static str), name: &str, value: &Value) -> Result<(), EditError> {
    let Some(root) = registry.as_object_mut() else { return Ok(()) };
    let all = root.entry(key).or_insert_with(|| json!({}));
    if all.get(name).is_some() {
        return Err(EditError::There { what, name: name.to_owned() });
    }
    if let Some(all) = all.as_object_mut() {
        all.insert(name.to_owned(), value.clone());
    }
    Ok(())
}

fn service<'a>(registry: &'a mut Value, name: &str) -> Result<&'a mut serde_json::Map<String, Value>, EditError> {
    let services = registry.get_mut("services").and_then(Value::as_object_mut);
    let not_there = |near: Option<String>| EditError::NotThere { what: "service", name: name.to_owned(), near };
    let Some(services) = services else { return Err(not_there(None)) };
    if !services.contains_key(name) {
        return Err(not_there(nearest(name, services.keys().map(String::as_str)).map(str::to_owned)));
    }
    services.get_mut(name).and_then(Value::as_object_mut).ok_or_else(|| not_there(None))
}

/// Makes the change to the text; nothing when the text is written in a way that does not allow it.
pub(super) fn to_text(text: &str, edit: &Edit) -> Option<String> {
    let document = Document::from_str(text).ok()?;
    let root = document.as_mapping()?;
    match edit {
        Edit::AddHost { name, host } => add_text(&root, "hosts", name.as_str(), host)?,
        Edit::AddService { name, service } => add_text(&root, "services", name.as_str(), service)?,
        Edit::Add { hosts, services } => {
            for (name, host) in hosts {
                add_text(&root, "hosts", name.as_str(), host)?;
            }
            for (name, service) in services {
                add_text(&root, "services", name.as_str(), service)?;
            }
        }
        Edit::MoveService { name, hosts } => {
            let service = root.get_mapping("services")?.get_mapping(name.as_str())?;
            let old = ["host", "hosts", "on"].into_iter().find(|key| service.contains_key(*key))?;
            if hosts.len() == 1 && old != "hosts" {
                service.rename_key(old, "host");
                service.set("host", hosts.first()?.as_str());
            } else {
                service.rename_key(old, "hosts");
                let list = Document::from_str(&flow(&json!(hosts))).ok()?;
                service.set("hosts", list.as_sequence()?);
            }
        }
        Edit::RemoveService { name } => {
            root.get_mapping("services")?.remove(name.as_str())?;
        }
    }
    Some(document.to_string())
}

fn add_text(root: &Mapping, key: &str, name: &str, value: &Value) -> Option<()> {
    if let Some(all) = root.get_mapping(key) {
        let text = if all.is_flow_style() { flow(value) } else { mapping(value) };
        let document = Document::from_str(&text).ok()?;
        all.set(name, document.as_mapping()?);
        return Some(());
    }
    if root.contains_key(key) {
        return None;
    }
    let indented: String = mapping(value).lines().map(|line| format!("  {line}\n")).collect();
    let document = Document::from_str(&format!("{name}:\n{indented}")).ok()?;
    root.set(key, document.as_mapping()?);
    Some(())
}
