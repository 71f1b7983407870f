//! Letting a service run elsewhere.

use crate::cli::{Exit, Face, Failure};
use crate::model::{HostName, ServiceName};
use crate::registry::Edit;

/// Let a service of the registry run on other hosts
#[derive(Debug, clap::Args)]
pub(super) struct Move {
    /// The service
    name: ServiceName,
    /// The hosts it runs on from now on
    #[arg(required = true, value_name = "HOST")]
    hosts: Vec<HostName>,
}

impl Move {
    pub(super) fn run(self, face: &Face) -> Result<Exit, Failure> {
        let hosts: Vec<&str> = self.hosts.iter().map(HostName::as_str).collect();
        let said = format!(
            "`{}` now belongs on {}; nothing has changed on the hosts, and where it ran before it still runs",
            self.name,
            hosts.join(", ")
        );
        face.edit(&Edit::MoveService { name: self.name, hosts: self.hosts }, &said)
    }
}
