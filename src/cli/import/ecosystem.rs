//! Importing a process file.

use super::source::{self, Given};
use super::{Manner, report};
use crate::cli::{Exit, Face, Failure};
use crate::model::{FailureKind, HostName};
use crate::registry::Origin;

/// Add the processes of a PM2 or PMDaemon file to the registry
///
/// JSON, YAML and TOML are read, by the extension. A file that is a program, such as ecosystem.config.js, is not run.
#[derive(Debug, clap::Args)]
pub(super) struct Ecosystem {
    /// The file; `HOST:PATH` for one on a host of the registry, `-` for standard input
    #[arg(value_name = "FILE")]
    file: String,
    /// Where its processes run; several for several [default: HOST of `HOST:PATH`, or the registry's only host]
    #[arg(long, value_name = "HOST")]
    host: Vec<HostName>,
    /// Add the variables of `env_NAME`, as `pm2 start --env NAME` does
    #[arg(long, value_name = "NAME")]
    variables: Option<String>,
    #[command(flatten)]
    manner: Manner,
}

impl Ecosystem {
    pub(super) fn run(self, face: &Face) -> Result<Exit, Failure> {
        if [".js", ".cjs", ".mjs", ".ts"].iter().any(|ending| self.file.ends_with(ending)) {
            let file = self.file.rsplit(':').next().unwrap_or_default();
            let file = if file.starts_with('/') { file.to_owned() } else { format!("./{file}") };
            let print = format!("node -p 'JSON.stringify(require(\"{file}\"))' > ecosystem.json");
            return Err(Failure::say(FailureKind::Usage, format!("`{}` is a program, and is not run", self.file))
                .hint(format!("let node print what it says, and import that: {print}")));
        }
        let given = source::read(face, &self.file)?;
        let hosts = source::hosts(face, self.host, &given)?;
        report::add(face, &Given { hosts, variables: self.variables, ..given }, Origin::Ecosystem, &self.manner)
    }
}
