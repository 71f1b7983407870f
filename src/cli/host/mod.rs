//! The verbs about hosts.

mod add;
mod check;
mod cordon;
mod drain;
mod prepare;
mod trust;

use crate::cli::{Exit, Face, Failure, verbs};

verbs! {
    /// The verbs under `host`.
    Of {
        add::Add,
        check::Check,
        cordon::Cordon,
        cordon::Uncordon,
        drain::Drain,
        prepare::Prepare,
        trust::Trust,
    }
}

/// Add hosts to the registry, check what works on them, bring what they lack, trust their keys, and take them out of service
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
