//! A service of one image as a compose project. It is JSON, which is YAML, so that no text of the user's is ever YAML.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::{Rendered, data, project_name, tag};
use crate::host::OURS;
use crate::host::run::TreeEntry;
use crate::model::{Content, Pull, ReleaseId};
use crate::plan::{self, Refused, Subject};
use crate::registry::{Healthcheck, Image, MountSource, RestartPolicy};

/// The project of this image, for this release. `reference` is what the image is pinned by.
pub(super) fn render(
    subject: &Subject<'_>,
    image: &Image,
    reference: String,
    (id, entries): (&ReleaseId, &[TreeEntry]),
) -> Result<Rendered, Refused> {
    let service = subject.service;
    let name = project_name(service);
    let pin = tag(&service.name, service.name.as_str(), id.as_str());
    let (mut parts, beside) = (Map::new(), image.exclusive().is_none());
    for instance in plan::instances(service) {
        let mut part = match service.instances {
            1 => service.name.to_string(),
            _ => format!("{}-{instance}", service.name),
        };
        if beside {
            // The old and the new one are parts of one project, and share its networks.
            part = format!("{part}-{}", id.as_str().get(..8).unwrap_or_default());
        }
        parts.insert(part, one(subject, image, (id, &pin), instance));
    }
    let names = parts.keys().cloned().collect::<Vec<_>>();
    let mut document = json!({ "services": parts });
    let volumes = image.volumes.iter().filter_map(|mount| match &mount.source {
        MountSource::Volume(name) => Some((name.clone(), json!({}))),
        _ => None,
    });
    let volumes: Map<String, Value> = volumes.collect();
    if !volumes.is_empty() {
        document["volumes"] = volumes.into();
    }
    let networks = image.networks.iter().map(|name| (name.clone(), json!({ "external": true, "name": name })));
    let networks: Map<String, Value> = networks.collect();
    if !networks.is_empty() {
        document["networks"] = networks.into();
    }
    let mut links = Vec::new();
    for mount in image.volumes.iter().filter(|mount| !mount.read_only) {
        if let MountSource::Release(path) = &mount.source {
            links.extend(data::link(service.name.as_str(), (&format!("./{path}"), path), false, entries)?);
        }
    }
    let first = plan::variables(subject, id, 1);
    Ok(Rendered {
        name,
        files: vec![format!("{OURS}/compose.yml")],
        // The environment may be private.
        ours: vec![plan::ours("compose.yml", Content::secret(yaml(&document)), 0o600)],
        links,
        main: names.first().cloned(),
        parts: names,
        images: BTreeMap::from([(pin, reference)]),
        networks: image.networks.clone(),
        folder: None,
        beside,
        mounted: Some(image.volumes.iter().map(|mount| plan::fill(&mount.target, &first)).collect()),
        grace: None,
    })
}

/// What an image is known by in its release: with `pull: always` by the digest that its registry has now, so that another one is
/// another release.
pub(super) fn pinned(subject: &Subject<'_>, reference: &str, pull: Pull) -> Result<String, Refused> {
    let fetch = subject.facts.fetches.images.get(reference).filter(|_| pull == Pull::Always);
    match fetch {
        None => Ok(reference.to_owned()),
        Some(Err(says)) => Err(Refused::new(
            format!(
                "the registry of `{reference}` cannot be asked from the host, and `pull: always` wants its newest image: {says}"
            ),
            "see that the host reaches that registry; `pull: missing` asks it only where the image is not there",
        )),
        Some(Ok(fetch)) => Ok(fetch.pinned(reference)),
    }
}

fn one(subject: &Subject<'_>, image: &Image, (id, pin): (&ReleaseId, &str), instance: u16) -> Value {
    let service = subject.service;
    let mut variables = plan::variables(subject, id, instance);
    // Within the container the service listens on the container's port.
    if let (Some(_), Some(publish)) = (service.port, image.publish.first()) {
        variables = variables.with("PORT", publish.container.to_string());
    }
    let fill = |text: &String| plan::fill(text, &variables);
    let mut labels: BTreeMap<String, String> = service.labels.clone();
    labels.insert("portoser.service".into(), service.name.to_string());
    labels.insert("portoser.release".into(), id.to_string());
    let restart = match service.restart.policy {
        RestartPolicy::Always => "unless-stopped".to_owned(),
        RestartPolicy::OnFailure => format!("on-failure:{}", service.restart.max),
        RestartPolicy::Never => "no".to_owned(),
    };
    let mut all = Map::new();
    let mut set = |key: &str, value: Value| drop(all.insert(key.to_owned(), value));
    set("image", json!(pin));
    set("pull_policy", json!("never"));
    set("environment", json!(plan::environment(subject, &variables)));
    set("labels", json!(labels));
    set("restart", json!(restart));
    set("stop_signal", json!(service.stop.signal));
    set("stop_grace_period", json!(format!("{}s", service.stop.timeout.as_secs().max(1))));
    if let Some(words) = &image.command {
        set("command", words.iter().map(fill).collect());
    }
    if !image.publish.is_empty() {
        let moved = |(index, publish): (usize, &crate::registry::Publish)| {
            let mut publish = publish.clone();
            if index == 0 && service.port == Some(publish.host) {
                publish.host = publish.host.saturating_add(instance - 1);
            }
            json!(publish.write())
        };
        set("ports", image.publish.iter().enumerate().map(moved).collect());
    }
    if !image.volumes.is_empty() {
        set("volumes", image.volumes.iter().map(|mount| volume(mount, &fill)).collect());
    }
    if !image.networks.is_empty() {
        // All instances answer to the service's own name.
        let aliases = json!({ "aliases": [service.name.as_str()] });
        set(
            "networks",
            image.networks.iter().map(|name| (name.clone(), aliases.clone())).collect::<Map<_, _>>().into(),
        );
    }
    if let Some(check) = &image.healthcheck {
        set("healthcheck", healthcheck(check, &fill));
    }
    if let Some(user) = &service.user {
        set("user", json!(user));
    }
    limits(subject, &mut set);
    Value::Object(all)
}

fn limits(subject: &Subject<'_>, set: &mut impl FnMut(&str, Value)) {
    let limits = &subject.service.limits;
    if let Some(bytes) = limits.memory {
        set("mem_limit", json!(bytes.to_string()));
    }
    if let Some(millis) = limits.cpu_millis {
        set("cpus", json!(f64::from(millis) / 1000.0));
    }
    if let Some(files) = limits.files {
        set("ulimits", json!({ "nofile": files }));
    }
    if let Some(tasks) = limits.tasks {
        set("pids_limit", json!(tasks));
    }
    if let Some(size) = subject.service.log.max_size {
        set("logging", json!({ "driver": "json-file", "options": { "max-size": size.to_string(), "max-file": "2" } }));
    }
}

fn volume(mount: &crate::registry::Mount, fill: &impl Fn(&String) -> String) -> Value {
    let (kind, source) = match &mount.source {
        MountSource::Volume(name) => ("volume", name.clone()),
        MountSource::Host(path) => ("bind", fill(path)),
        MountSource::Release(path) => ("bind", format!("./{path}")),
    };
    json!({ "type": kind, "source": source, "target": fill(&mount.target), "read_only": mount.read_only })
}

fn healthcheck(check: &Healthcheck, fill: &impl Fn(&String) -> String) -> Value {
    let mut test: Vec<String> = check.words.iter().map(fill).collect();
    // As compose files have it, the first word may say how the others are meant.
    if !matches!(test.first().map(String::as_str), Some("CMD" | "CMD-SHELL" | "NONE")) {
        test.insert(0, "CMD".into());
    }
    json!({
        "test": test,
        "interval": seconds(check.interval),
        "timeout": seconds(check.timeout),
        "retries": check.retries,
        "start_period": seconds(check.start_period),
    })
}

/// A time as both composes take it. The older one wants whole seconds for some.
fn seconds(time: Duration) -> String {
    match time.subsec_millis() {
        0 => format!("{}s", time.as_secs()),
        _ => format!("{}ms", time.as_millis()),
    }
}

/// JSON that YAML 1.1 and 1.2 read alike, with nothing for compose to put in: its `$` are doubled, and what is not ASCII is
/// escaped, as some of it breaks lines in YAML.
pub(super) fn yaml(document: &Value) -> String {
    let mut doubled = document.clone();
    double(&mut doubled);
    let mut text = String::new();
    for c in doubled.to_string().chars() {
        match u32::from(c) {
            number @ (0x7f..=0xffff) => text.push_str(&format!("\\u{number:04x}")),
            number @ 0x1_0000.. => text.push_str(&format!("\\U{number:08x}")),
            _ => text.push(c),
        }
    }
    text.push('\n');
    text
}

fn double(value: &mut Value) {
    match value {
        Value::String(text) if text.contains('$') => *text = text.replace('$', "$$"),
        Value::Array(items) => items.iter_mut().for_each(double),
        Value::Object(keys) => keys.values_mut().for_each(double),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn yaml_gives_every_text_back(text in "\\PC{0,20}[\u{85}\u{2028}\u{feff}$\"'\n\t\u{1f600}]{0,4}") {
            let written = yaml(&json!({ "a": text }));
            prop_assert!(written.is_ascii());
            let read: Value = serde_yaml::from_str(&written).expect("YAML");
            prop_assert_eq!(read["a"].as_str().map(|read| read.replace("$$", "$")), Some(text));
        }
    }
}
