//! Importing a compose file.

use super::source::{self, Given};
use super::{Manner, report};
use crate::cli::{Exit, Face, Failure};
use crate::model::HostName;
use crate::registry::Origin;

/// Add the services of a compose file to the registry
///
/// Each becomes a service of its image. Variables are replaced by the defaults that the file gives them; of a `.env` beside it only
/// the project's name is read, as the rest may hold secrets. With `--whole`, the project is one service that keeps all that the file says.
#[derive(Debug, clap::Args)]
pub(super) struct Compose {
    /// The file; `HOST:PATH` for one on a host of the registry, `-` for standard input
    #[arg(value_name = "FILE")]
    file: String,
    /// Where its services run; several for several [default: HOST of `HOST:PATH`, or the registry's only host]
    #[arg(long, value_name = "HOST")]
    host: Vec<HostName>,
    /// One service that deploys the file as it is, instead of one for each of its services
    #[arg(long)]
    whole: bool,
    #[command(flatten)]
    manner: Manner,
}

impl Compose {
    pub(super) fn run(self, face: &Face) -> Result<Exit, Failure> {
        let given = source::compose(face, &self.file)?;
        let hosts = source::hosts(face, self.host, &given)?;
        report::add(face, &Given { hosts, whole: self.whole, ..given }, Origin::Compose, &self.manner)
    }
}
