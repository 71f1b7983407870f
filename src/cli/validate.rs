//! Checking the registry.

use serde_json::json;

use crate::cli::{Exit, Face, Failure};
use crate::registry;

/// Check the registry, with every environment's overlay or with that of `--env`, and tell all faults at once
#[derive(Debug, clap::Args)]
pub(super) struct Validate {}

impl Validate {
    pub(super) fn run(self, face: &Face) -> Result<Exit, Failure> {
        let path = face.registry_path()?;
        let (registry, environments) = match &face.flags.environment {
            Some(env) => (registry::load(&path, Some(env))?, vec![env.clone()]),
            None => registry::load_all(&path)?,
        };
        let (hosts, services) = (registry.hosts.len(), registry.services.len());
        if face.flags.json || face.flags.events {
            face.document(&json!({
                "valid": true,
                "file": path.display().to_string(),
                "hosts": hosts,
                "services": services,
                "environments": environments,
            }));
        } else {
            let file = path.display();
            let several = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
            let (hosts, services) = (several(hosts, "host"), several(services, "service"));
            face.data(format!("{file}: valid ({hosts}, {services}, {})", several(environments.len(), "environment")));
        }
        Ok(Exit::DONE)
    }
}
