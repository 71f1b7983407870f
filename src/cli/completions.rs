//! Completions for shells.

use crate::cli::{Exit, Face, Failure, command};

/// Print the completions of a shell
#[derive(Debug, clap::Args)]
pub(super) struct Completions {
    /// The shell
    shell: clap_complete::Shell,
}

impl Completions {
    pub(super) fn run(self, face: &Face) -> Result<Exit, Failure> {
        let mut text = Vec::new();
        clap_complete::generate(self.shell, &mut command(), "portoser", &mut text);
        face.raw(&text);
        Ok(Exit::DONE)
    }
}
