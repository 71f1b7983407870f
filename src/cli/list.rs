//! What is in the registry.

use serde_json::{Value, json};

use crate::cli::table::table;
use crate::cli::{Exit, Face, Failure};
use crate::registry::{Host, Kind, Native, Project, Registry, Service};

/// List the services of the registry, or its hosts
#[derive(Debug, clap::Args)]
pub(super) struct List {
    /// List the hosts
    #[arg(long)]
    hosts: bool,
    /// Only what has this label
    #[arg(long, short, value_name = "KEY=VALUE", value_parser = label)]
    label: Vec<(String, String)>,
    /// Only services that run on this host
    #[arg(long, value_name = "HOST", conflicts_with = "hosts")]
    on: Option<String>,
}

/// Reads `key=value`.
pub(super) fn label(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').filter(|(key, _)| !key.is_empty());
    pair.map(|(key, value)| (key.to_owned(), value.to_owned())).ok_or_else(|| "write KEY=VALUE".to_owned())
}

impl List {
    pub(super) fn run(self, face: &Face) -> Result<Exit, Failure> {
        let registry = face.registry()?;
        let has = |labels: &std::collections::BTreeMap<String, String>| {
            self.label.iter().all(|(key, value)| labels.get(key) == Some(value))
        };
        if self.hosts {
            let hosts: Vec<&Host> = registry.hosts.values().filter(|host| has(&host.labels)).collect();
            list_hosts(face, &hosts);
            return Ok(Exit::DONE);
        }
        if let Some(host) = &self.on
            && !registry.hosts.keys().any(|name| name.as_str() == host)
        {
            let names = registry.hosts.keys().map(|name| name.as_str());
            return Err(crate::cli::registry::unknown("host", host, names));
        }
        let on = |service: &Service| match &self.on {
            Some(host) => service.hosts.iter().any(|name| name.as_str() == host),
            None => true,
        };
        let services = registry.services.values().filter(|service| has(&service.labels) && on(service));
        list_services(face, &registry, &services.collect::<Vec<_>>());
        Ok(Exit::DONE)
    }
}

fn list_hosts(face: &Face, hosts: &[&Host]) {
    if face.flags.json || face.flags.events {
        let hosts: Vec<Value> = hosts.iter().map(|host| super::show::host_data(host)).collect();
        face.document(&json!({ "hosts": hosts }));
        return;
    }
    let row = |host: &&Host| {
        let dash = || "-".to_owned();
        let labels: Vec<String> = host.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let jump: Vec<&str> = host.jump.iter().map(|name| name.as_str()).collect();
        [
            host.name.to_string(),
            host.address.clone(),
            host.user.clone().unwrap_or_else(dash),
            host.port.map_or_else(dash, |port| port.to_string()),
            if jump.is_empty() { dash() } else { jump.join(",") },
            if labels.is_empty() { dash() } else { labels.join(",") },
        ]
    };
    table(face, ["HOST", "ADDRESS", "USER", "PORT", "JUMP", "LABELS"], &hosts.iter().map(row).collect::<Vec<_>>());
}

fn list_services(face: &Face, registry: &Registry, services: &[&Service]) {
    if face.flags.json || face.flags.events {
        let services: Vec<Value> = services.iter().map(|service| super::show::service_data(service)).collect();
        face.document(&json!({ "environment": registry.environment, "services": services }));
        return;
    }
    let row = |service: &&Service| {
        let hosts: Vec<&str> = service.hosts.iter().map(|name| name.as_str()).collect();
        let needs: Vec<&str> = service.needs.iter().map(|name| name.as_str()).collect();
        [
            service.name.to_string(),
            kind(&service.kind).to_owned(),
            hosts.join(","),
            service.port.map_or_else(|| "-".to_owned(), |port| port.to_string()),
            if needs.is_empty() { "-".to_owned() } else { needs.join(",") },
        ]
    };
    table(face, ["SERVICE", "TYPE", "HOSTS", "PORT", "NEEDS"], &services.iter().map(row).collect::<Vec<_>>());
}

/// The kind of a service in a table.
pub(super) fn kind(kind: &Kind) -> &'static str {
    match kind {
        Kind::Native(Native::Run { .. }) => "native",
        Kind::Native(Native::Unit { .. }) => "native unit",
        Kind::Docker(docker) => match docker.project {
            Project::Image(_) => "docker image",
            Project::Compose { .. } => "docker compose",
        },
        Kind::Python(_) => "python",
    }
}
