//! The registry as written: what each key is called, what it may hold, and what it is for. The schema that `portoser
//! schema` prints and the reader both come from these declarations.

mod check;
mod docker;
mod heal;
mod host;
mod login;
mod notify;
mod service;
mod source;

pub(super) use check::*;
pub(super) use docker::*;
pub(super) use heal::*;
pub(super) use host::*;
pub(super) use login::*;
pub(super) use notify::*;
pub(super) use service::*;
pub(super) use source::*;

use super::number::{Bool, Seats, Version};
use super::read::{List, Map, draft};
use super::text::{Name, ServerName};

draft! {
    /// A portoser registry: hosts, and the services that run on them.
    struct Root requires ["version"] {
        /// The version of this format: 1.
        version: Version,
        /// What holds for every host and service that does not say otherwise.
        defaults: Defaults,
        /// The machines, by name.
        hosts: Map<Name, Host>,
        /// The services, by name.
        services: Map<Name, Box<Service>>,
        /// How many hosts are worked on at once at most.
        at_once: Seats,
        /// How image registries know us, by their names as references of images have them.
        registries: Map<ServerName, ImageLogin>,
        /// Who is told when something went bad, was healed, was given up, or was learned.
        notify: List<Notify>,
        /// Overlays on all of the above, by name, chosen with `--env`.
        environments: Map<Name, Environment>,
    }
}

draft! {
    /// An environment: what differs there. Mappings join key by key, everything else replaces, and `null` takes a key away.
    struct Environment {
        /// Changes to this environment need its typed name or `--approve NAME`.
        protected: Bool,
        /// Joined with the defaults.
        defaults: Defaults,
        /// Joined with the hosts.
        hosts: Map<Name, Host>,
        /// Joined with the services.
        services: Map<Name, Box<Service>>,
        /// Joined with the logins of image registries.
        registries: Map<ServerName, ImageLogin>,
    }
}
