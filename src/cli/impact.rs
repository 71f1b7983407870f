//! What a service or a host takes with it.

use std::collections::BTreeSet;

use serde_json::json;

use super::registry::{Thing, thing};
use crate::cli::table::table;
use crate::cli::{Exit, Face, Failure};
use crate::model::HostName;
use crate::plan::{Graph, Reached, hosts_behind, services_on};

/// Show what is affected when a service or a host changes or fails
#[derive(Debug, clap::Args)]
pub(super) struct Impact {
    /// A service or a host
    name: String,
}

impl Impact {
    pub(super) fn run(self, face: &Face) -> Result<Exit, Failure> {
        let registry = face.registry()?;
        let (hosts, changed) = match thing(&registry, &self.name)? {
            Thing::Service(service) => (BTreeSet::new(), BTreeSet::from([service.name.clone()])),
            Thing::Host(host) => {
                let hosts = hosts_behind(&registry, &host.name);
                let services = hosts.iter().flat_map(|host| services_on(&registry, host)).collect();
                (hosts, services)
            }
        };
        let reached = Graph::of(&registry).impact(&changed);
        if face.flags.json || face.flags.events {
            face.document(&json!({ "of": self.name, "hosts": hosts, "services": reached }));
            return Ok(Exit::DONE);
        }
        tell(face, &self.name, &hosts, &reached);
        Ok(Exit::DONE)
    }
}

fn tell(face: &Face, name: &str, hosts: &BTreeSet<HostName>, reached: &[Reached]) {
    let behind: Vec<&str> = hosts.iter().map(|host| host.as_str()).filter(|host| *host != name).collect();
    if !behind.is_empty() {
        face.talk(format!("reached through {name}: {}", behind.join(", ")));
    }
    if reached.is_empty() {
        face.talk("no service is affected");
    }
    let row = |one: &Reached| {
        let through: Vec<&str> = one.through.iter().map(|name| name.as_str()).collect();
        [one.service.to_string(), one.distance.to_string(), through.join(" <- ")]
    };
    table(face, ["SERVICE", "DISTANCE", "BECAUSE"], &reached.iter().map(row).collect::<Vec<_>>());
}
