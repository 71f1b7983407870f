//! `portoser import`: files of other tools to entries of the registry.

mod compose;
mod ecosystem;
mod report;
mod shell;
pub(super) mod source;

use crate::cli::{Exit, Face, Failure, verbs};

verbs! {
    /// The verbs under `import`.
    Of {
        compose::Compose,
        ecosystem::Ecosystem,
        shell::Portoser,
    }
}

/// Add what files of other tools describe to the registry
///
/// Every value of the file is told on standard error: what it became, why it is not needed, or why it has no place in the
/// registry and what to do. Entries that the registry would refuse are left out and told; what is there already stays as it is.
/// Hosts are not touched.
#[derive(Debug, clap::Args)]
pub(super) struct Import {
    #[command(subcommand)]
    of: Of,
}

impl Import {
    pub(super) fn run(self, face: &Face) -> Result<Exit, Failure> {
        self.of.run(face)
    }
}

/// What is the same for every file.
#[derive(Debug, clap::Args)]
struct Manner {
    /// Print the entries, and change nothing
    #[arg(long, short = 'n')]
    dry_run: bool,
    /// Change nothing, and end with 3, unless every value has a place in the registry
    #[arg(long)]
    strict: bool,
}
