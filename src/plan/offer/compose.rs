//! Containers that were found on a host: those of a compose project together, by the project's file.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::{Left, Offer, Offered, listens, name};
use crate::host::look::{Container, Discovered, Part};
use crate::model::{HostName, ServiceName};
use crate::registry::text::{Gate, HostFolder, ProjectName, ReleasePath};
use crate::registry::{Kind, Project, Registry};

/// The containers of a project, each with what it is in it.
type Parts<'a> = Vec<(&'a Container, &'a Part)>;

/// Offers the projects of a host; what is not offered is told.
pub(super) fn projects(
    registry: &Registry,
    host: &HostName,
    found: &Discovered,
    names: &mut BTreeSet<ServiceName>,
    offer: &mut Offer,
) {
    let mut projects: BTreeMap<&str, Parts<'_>> = BTreeMap::new();
    for container in found.containers.iter().flatten() {
        match &container.compose {
            Some(part) => projects.entry(&part.project).or_default().push((container, part)),
            None => offer.left.push(Left {
                what: format!("container {} of {} ({})", container.name, container.image, container.state),
                why: "compose did not make it, so nothing says how it was made".to_owned(),
                hint: Some("describe it in a compose file".to_owned()),
            }),
        }
    }
    if found.containers.is_none() && found.facts.tools.contains("docker") {
        offer.left.push(Left {
            what: "containers".to_owned(),
            why: "docker does not answer".to_owned(),
            hint: Some(format!("`portoser run --host {host} -- docker ps` shows what it says")),
        });
    }
    for (project, parts) in projects {
        let all: BTreeSet<&str> = parts.iter().map(|(_, part)| part.name.as_str()).collect();
        let what = format!("compose project {project} ({})", all.into_iter().collect::<Vec<_>>().join(", "));
        match entry(registry, host, project, &parts, names) {
            Ok(one) => offer.entries.push(one),
            Err((why, hint)) => offer.left.push(Left { what, why, hint }),
        }
    }
}

fn entry(
    registry: &Registry,
    host: &HostName,
    project: &str,
    parts: &Parts<'_>,
    names: &mut BTreeSet<ServiceName>,
) -> Result<Offered, (String, Option<String>)> {
    let told = |why: &str, hint: &str| Err((why.to_owned(), Some(hint.to_owned())));
    if let Some(service) = known(registry, host, project) {
        return Err((format!("the registry has it already, as `{service}`"), None));
    }
    if parts.iter().any(|(container, _)| container.service.is_some()) {
        return told("portoser made it", "`portoser status` tells of those that are not in the registry");
    }
    let Some((_, part)) = parts.first() else { return told("it has no containers", "bring it up with its own file") };
    if part.files.contains(',') || part.files.is_empty() {
        let hint = "write it as one file (`docker compose config` prints it), and bring it up with that";
        return told(&format!("it is not made of one file, but of `{}`", part.files), hint);
    }
    if parts.iter().all(|(container, _)| container.state != "running") {
        return told("it does not run", "bring it up with its own file first");
    }
    if !HostFolder::good(&part.folder) || !ProjectName::good(project) {
        return told(
            &format!("its folder `{}` or its name has characters that the registry does not take", part.folder),
            "move it",
        );
    }
    let Some(name) = name(project, host, names) else {
        return told("its name can be no service's", "bring it up under another name, with `name:` in its file");
    };
    // The older compose names the file as it was called, from the folder.
    let path = if part.files.starts_with('/') { part.files.clone() } else { format!("{}/{}", part.folder, part.files) };
    let fits = |file: &&str| ReleasePath::good(file) && (file.ends_with(".yml") || file.ends_with(".yaml"));
    let file = path.rsplit('/').next().filter(fits).unwrap_or("compose.yml");
    let beside = format!("{name}/{file}");
    let mut service = Map::from_iter([
        ("type".to_owned(), json!("docker")),
        ("host".to_owned(), json!(host)),
        ("compose".to_owned(), json!(beside)),
        ("project".to_owned(), json!({ "name": project, "folder": part.folder })),
    ]);
    let ports: BTreeSet<u16> = parts.iter().flat_map(|(container, _)| container.ports.iter().copied()).collect();
    listens(registry, host, &ports.into_iter().collect::<Vec<_>>(), &mut service);
    let seen = format!("compose project {project} ({} containers): {path}", parts.len());
    Ok(Offered { name, service: Value::Object(service), seen, runs: true, fetch: Some((path, beside)) })
}

/// The service that has this project on this host.
fn known<'a>(registry: &'a Registry, host: &HostName, project: &str) -> Option<&'a ServiceName> {
    let has = |kind: &Kind| match kind {
        Kind::Docker(docker) => match &docker.project {
            Project::Compose { adopted: Some(adopted), .. } => adopted.name == project,
            Project::Compose { .. } | Project::Image(_) => false,
        },
        Kind::Native(_) | Kind::Python(_) => false,
    };
    let mut here = registry.services.values().filter(|service| service.hosts.contains(host));
    here.find(|service| has(&service.kind)).map(|service| &service.name)
}
