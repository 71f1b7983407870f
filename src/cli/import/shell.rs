//! Importing a registry of the shell tool.

use std::path::PathBuf;

use super::source::{self, Given};
use super::{Manner, report};
use crate::cli::{Exit, Face, Failure};
use crate::registry::Origin;

/// Add the hosts and services of a registry of the shell tool portoser
///
/// The compose files and `service.yml` that it names are looked for beside it, by their paths below the `path` of a host.
/// Where there is no registry yet, one is written.
#[derive(Debug, clap::Args)]
pub(super) struct Portoser {
    /// The file; `-` for standard input
    #[arg(value_name = "FILE")]
    file: String,
    /// The folder in which the files are that it names [default: its own]
    #[arg(long, value_name = "FOLDER")]
    files: Option<PathBuf>,
    #[command(flatten)]
    manner: Manner,
}

impl Portoser {
    pub(super) fn run(self, face: &Face) -> Result<Exit, Failure> {
        let given = source::read_here(&self.file)?;
        let folder = self.files.or(given.folder.clone());
        report::add(face, &Given { folder, ..given }, Origin::Portoser, &self.manner)
    }
}
