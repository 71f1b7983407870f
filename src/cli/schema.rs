//! The schema of the registry.

use crate::cli::{Exit, Face, Failure};
use crate::registry;

/// Print the JSON Schema of the registry, for editors and other tools
#[derive(Debug, clap::Args)]
pub(super) struct Schema {}

impl Schema {
    pub(super) fn run(self, face: &Face) -> Result<Exit, Failure> {
        face.document(&registry::schema());
        Ok(Exit::DONE)
    }
}
