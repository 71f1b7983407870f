//! Taking a service out of the registry.

use crate::cli::{Exit, Face, Failure};
use crate::model::ServiceName;
use crate::registry::Edit;

/// Take a service out of the registry; hosts are not touched
#[derive(Debug, clap::Args)]
pub(super) struct Remove {
    /// The service
    name: ServiceName,
}

impl Remove {
    pub(super) fn run(self, face: &Face) -> Result<Exit, Failure> {
        let said = format!("took `{}` out of the registry; nothing has changed on the hosts", self.name);
        face.edit(&Edit::RemoveService { name: self.name }, &said)
    }
}
