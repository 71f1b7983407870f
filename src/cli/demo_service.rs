//! The tiny HTTP program inside this one, which the demo and the tests deploy.

use std::path::PathBuf;
use std::time::Duration;

use crate::cli::face::say;
use crate::cli::{Exit, Face, Failure, block_on};
use crate::demo::service::{Program, serve};
use crate::model::FailureKind;
use crate::registry::parse_duration;

/// Serve `/health`, `/version` and `/` on 127.0.0.1, as the demo's services do
#[derive(Debug, clap::Args)]
#[command(hide = true)]
pub(super) struct DemoService {
    /// The port on 127.0.0.1
    #[arg(long, env = "PORT")]
    port: u16,
    /// Whether `/health` is good
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set, value_name = "BOOL")]
    healthy: bool,
    /// The name that it answers with
    #[arg(long, default_value = "demo")]
    name: String,
    /// The version that it answers with
    #[arg(long, default_value = "1")]
    release: String,
    /// Turn unhealthy after this time
    #[arg(long, value_parser = parse_duration, value_name = "TIME")]
    fail_after: Option<Duration>,
    /// Open the port after this time only
    #[arg(long, value_parser = parse_duration, default_value = "0s", value_name = "TIME")]
    slow_start: Duration,
    /// A port on 127.0.0.1 that must accept connections, or `/health` is bad
    #[arg(long = "needs", value_name = "PORT")]
    needs: Vec<u16>,
    /// Append a line to this file at the start
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
    /// `/health` is bad while there is this file
    #[arg(long, value_name = "FILE")]
    jam: Option<PathBuf>,
}

impl DemoService {
    pub(super) fn run(self, face: &Face) -> Result<Exit, Failure> {
        let program = Program {
            name: self.name,
            version: self.release,
            port: self.port,
            healthy: self.healthy,
            fail_after: self.fail_after,
            slow_start: self.slow_start,
            needs: self.needs,
            write: self.write,
            jam: self.jam,
            say,
        };
        face.talk(format!("{} {} starts on port {}", program.name, program.version, program.port));
        let port = program.port;
        let served = block_on(async |stop| serve(program, stop.soon.clone()).await)?;
        served.map_err(|error| Failure::new(FailureKind::Internal, &error).doing(format!("serving on port {port}")))?;
        face.talk("stopped as asked");
        Ok(Exit::DONE)
    }
}
