//! One service or one host, with every default filled in.

use serde_json::{Value, json};

use super::registry::{Thing, thing};
use crate::cli::{Exit, Face, Failure};
use crate::model::FailureKind;
use crate::plan::{Graph, services_on};
use crate::registry::{Host, Service, write_host, write_service};

/// Show a service or a host as it is understood: overlays applied, defaults filled in
#[derive(Debug, clap::Args)]
pub(super) struct Show {
    /// A service or a host
    name: String,
}

impl Show {
    pub(super) fn run(self, face: &Face) -> Result<Exit, Failure> {
        let registry = face.registry()?;
        let (kind, name, written, more) = match thing(&registry, &self.name)? {
            Thing::Service(service) => {
                let users = Graph::of(&registry).needed_by(&service.name);
                let users: Vec<_> = users.iter().map(|name| name.as_str().to_owned()).collect();
                let mut written = write_service(service);
                written["protected"] = json!(service.protected || registry.protected);
                ("services", service.name.as_str(), written, ("needed by", users))
            }
            Thing::Host(host) => {
                let services = services_on(&registry, &host.name);
                let services: Vec<_> = services.iter().map(|name| name.as_str().to_owned()).collect();
                ("hosts", host.name.as_str(), write_host(host), ("runs", services))
            }
        };
        let document = json!({ kind: { name: written } });
        if face.flags.json || face.flags.events {
            face.document(&document);
            return Ok(Exit::DONE);
        }
        let text = serde_yaml::to_string(&document);
        let text = text.map_err(|error| Failure::new(FailureKind::Internal, &error).doing("writing YAML"))?;
        face.data(text.trim_end());
        let (words, names) = more;
        if !names.is_empty() {
            face.data(format!("# {words}: {}", names.join(", ")));
        }
        Ok(Exit::DONE)
    }
}

/// A service as data: its name, then the registry's own keys.
pub(super) fn service_data(service: &Service) -> Value {
    named(service.name.as_str(), write_service(service))
}

/// A host as data: its name, then the registry's own keys.
pub(super) fn host_data(host: &Host) -> Value {
    named(host.name.as_str(), write_host(host))
}

fn named(name: &str, written: Value) -> Value {
    let mut data = serde_json::Map::from_iter([("name".to_owned(), name.into())]);
    if let Value::Object(written) = written {
        data.extend(written);
    }
    Value::Object(data)
}
