//! The verbs about services of the registry. They touch no host.

mod add;
mod relocate;
mod remove;

use crate::cli::{Exit, Face, Failure, verbs};

verbs! {
    /// The verbs under `service`.
    Of {
        add::Add,
        relocate::Move,
        remove::Remove,
    }
}

/// Add, move and remove services in the registry
#[derive(Debug, clap::Args)]
pub(super) struct Service {
    #[command(subcommand)]
    of: Of,
}

impl Service {
    pub(super) fn run(self, face: &Face) -> Result<Exit, Failure> {
        self.of.run(face)
    }
}
