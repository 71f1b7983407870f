//! The verbs about hosts.

mod add;

use crate::cli::{Exit, Face, Failure, verbs};

verbs! {
    /// The verbs under `host`.
    Of {
        add::Add,
    }
}

/// Add hosts to the registry
#[derive(Debug, clap::Args)]
pub(super) struct Host {
    #[command(subcommand)]
    of: Of,
}

impl Host {
    pub(super) fn run(self, face: &Face) -> Result<Exit, Failure> {
        self.of.run(face)
    }
}
