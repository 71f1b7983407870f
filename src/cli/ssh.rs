//! `portoser ssh`: a session on a host, or words on it.

use crate::cli::{Exit, Face, Failure, session, stream};
use crate::deploy::Words;
use crate::model::{Cmd, FailureKind, HostName};

/// Open a session on a host, or run words on it as the login user
///
/// A session is handed over to this machine's own ssh. Words run through portoser's connection: output, input and exit code
/// pass through.
#[derive(Debug, clap::Args)]
pub(super) struct Ssh {
    /// The host
    #[arg(value_name = "HOST")]
    name: HostName,
    /// The words, after `--`
    #[arg(last = true, value_name = "WORDS")]
    words: Vec<String>,
}

/// How long words may run; a person is there to end them.
const WITHIN: std::time::Duration = std::time::Duration::from_secs(24 * 3600);

impl Ssh {
    pub(super) fn run(self, face: &Face) -> Result<Exit, Failure> {
        let app = session::look(face)?;
        let Some(host) = app.registry.hosts.get(&self.name) else {
            let known = app.registry.hosts.keys().map(|name| name.as_str());
            return Err(crate::cli::registry::unknown("host", self.name.as_str(), known));
        };
        let run = app.run_id();
        session::passing(&app, async |stop| match Cmd::from_words(self.words) {
            None => {
                let ended = app.hand_over(host).await;
                let failed =
                    |lost: crate::transport::Lost| Failure::new(FailureKind::Unreachable, &lost).hint(lost.hint());
                ended.map(Exit).map_err(failed)
            }
            Some(cmd) => {
                let (ground, mut events) = app.ground(&run, "ssh", stop.soon.clone());
                events.close();
                let label = self.name.to_string();
                let words = Words { label, host: self.name, cmd: cmd.within(WITHIN), root: false };
                stream::through(face, &ground, &words, stop).await
            }
        })
    }
}
