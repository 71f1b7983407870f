//! `portoser exec`: words inside a service's release.

use std::time::Duration;

use crate::cli::{Exit, Face, Failure, safe, session, stream};
use crate::deploy::{Selection, exec, unless_stopped};
use crate::model::{FailureKind, HostName, ServiceName, quote};
use crate::registry::parse_duration;

/// Run words in a service's release, with its environment and as its user
///
/// Output and exit code pass through, and words that run longer than `--timeout` are ended on the host, with 5; so does standard input, when it is not a terminal.
#[derive(Debug, clap::Args)]
pub(super) struct Exec {
    /// The service
    service: ServiceName,
    /// The host, where the service is on several
    #[arg(long, value_name = "HOST")]
    host: Option<HostName>,
    /// How long the words may run
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = parse_duration)]
    timeout: Duration,
    /// The words, after `--`
    #[arg(last = true, required = true, value_name = "WORDS")]
    words: Vec<String>,
}

impl Exec {
    pub(super) fn run(self, face: &Face) -> Result<Exit, Failure> {
        let app = session::look(face)?;
        if let (None, Some(service)) = (&self.host, app.registry.services.get(&self.service))
            && service.hosts.len() > 1
        {
            let hosts: Vec<&str> = service.hosts.iter().map(|host| host.as_str()).collect();
            return Err(Failure::say(FailureKind::Usage, format!("`{}` is on {}", self.service, hosts.join(", ")))
                .hint(format!("give --host {}", hosts[0])));
        }
        let selection = Selection {
            services: vec![self.service.clone()],
            hosts: self.host.iter().cloned().collect(),
            ..Selection::default()
        };
        let run = app.run_id();
        let typed = self.words.iter().map(|word| quote(word)).collect::<Vec<_>>().join(" ");
        session::passing(&app, async |stop| {
            let (ground, mut events) = app.ground(&run, "exec", stop.soon.clone());
            events.close();
            let all =
                unless_stopped(&stop.soon, exec(&ground, &selection, self.words)).await.ok_or_else(session::stopped)?;
            let mut all = all.map_err(|fault| session::failed("looking for the release", &fault))?;
            let Some(mut words) = all.pop() else {
                return Err(Failure::say(FailureKind::Refused, format!("`{}` is not on the host", self.service))
                    .hint(format!("run `portoser deploy {}`", self.service)));
            };
            words.cmd = words.cmd.within(self.timeout);
            let ended = stream::through(face, &ground, &words, stop).await;
            // What runs there is a script of ours around these words, which names nothing to a person.
            ended.map_err(|failure| {
                if failure.kind() == FailureKind::RolledBack { overdue(&typed, self.timeout) } else { failure }
            })
        })
    }
}

fn overdue(words: &str, after: Duration) -> Failure {
    let says = safe(&format!("`{words}` ran longer than {} s, and was ended", after.as_secs_f64())).into_owned();
    Failure::say(FailureKind::RolledBack, says)
        .hint("see on the host what it waits for; `--timeout` gives it more time")
}
