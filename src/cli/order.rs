//! The order of services.

use std::collections::BTreeSet;

use serde_json::json;

use crate::cli::{Exit, Face, Failure};
use crate::plan::Graph;

/// Show the order in which services are deployed: what is needed comes first
#[derive(Debug, clap::Args)]
pub(super) struct Order {
    /// These services; all if none is given
    #[arg(value_name = "SERVICE")]
    services: Vec<String>,
    /// And all that they need
    #[arg(long)]
    with_needs: bool,
}

impl Order {
    pub(super) fn run(self, face: &Face) -> Result<Exit, Failure> {
        let registry = face.registry()?;
        let mut chosen = BTreeSet::new();
        for name in &self.services {
            chosen.insert(super::registry::service(&registry, name)?.name.clone());
        }
        if self.services.is_empty() {
            chosen.extend(registry.services.keys().cloned());
        }
        let graph = Graph::of(&registry);
        if self.with_needs {
            chosen = graph.with_needs(chosen);
        }
        let waves = graph.waves(&chosen);
        if face.flags.json || face.flags.events {
            face.document(&json!({ "waves": waves }));
            return Ok(Exit::DONE);
        }
        for (number, wave) in waves.iter().enumerate() {
            for service in wave {
                face.data(format!("{} {service}", number + 1));
            }
        }
        Ok(Exit::DONE)
    }
}
