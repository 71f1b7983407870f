//! `portoser host cordon` and `host uncordon`: hosts that deploys and remedies leave alone.

use std::sync::Arc;

use serde_json::json;
use tokio::task::JoinSet;

use crate::app::App;
use crate::cli::{Exit, Face, Failure, safe, session};
use crate::deploy::{Untold, cordon, unless_stopped};
use crate::model::{FailureKind, HostName};

/// Take hosts out of service: deploys and remedies leave them alone until `host uncordon`
///
/// The host itself keeps the word, so that it holds for everybody who deploys there. What runs there runs on; `stop`, `restart`
/// and the like still do what they are told. A host that cannot be reached is left alone by this machine only, and the end is 4: run
/// it again when it can be reached, so that others leave it alone, too.
#[derive(Debug, clap::Args)]
pub(super) struct Cordon {
    /// The hosts
    #[arg(value_name = "HOST", required = true)]
    names: Vec<HostName>,
    /// Why, in one line, for whoever is refused
    #[arg(long, value_name = "TEXT")]
    because: Option<String>,
}

/// Take hosts into service again
#[derive(Debug, clap::Args)]
pub(super) struct Uncordon {
    /// The hosts
    #[arg(value_name = "HOST", required = true)]
    names: Vec<HostName>,
}

impl Cordon {
    pub(super) fn run(self, face: &Face) -> Result<Exit, Failure> {
        let app = session::open(face)?;
        let line = line(&app, self.because);
        carry(face, &app, &self.names, Some(line))
    }
}

/// The line that a host is to keep.
pub(super) fn line(app: &App, because: Option<String>) -> String {
    let because = because.map(|text| format!(": {}", safe(&text).replace('\n', " "))).unwrap_or_default();
    let now = app.clock.now().strftime("%Y-%m-%d %H:%M:%S UTC").to_string();
    format!("by {} since {now}{because}", app.who).chars().take(300).collect()
}

impl Uncordon {
    pub(super) fn run(self, face: &Face) -> Result<Exit, Failure> {
        carry(face, &session::open(face)?, &self.names, None)
    }
}

fn carry(face: &Face, app: &App, names: &[HostName], line: Option<String>) -> Result<Exit, Failure> {
    crate::cli::registry::all_hosts(&app.registry, names)?;
    let run = app.run_id();
    let mut all = session::passing(app, async |stop| {
        let (ground, mut events) = app.ground(&run, "host cordon", stop.soon.clone());
        events.close();
        let mut tasks = JoinSet::new();
        for name in names.iter().cloned() {
            let (ground, line) = (Arc::clone(&ground), line.clone());
            tasks.spawn(async move { (cordon(&ground, &name, line.as_deref()).await, name) });
        }
        let left = || Failure::say(FailureKind::Interrupted, "stopped; hosts that had been told by then keep the word");
        unless_stopped(&stop.soon, tasks.join_all()).await.ok_or_else(left)
    })?;
    all.sort_by(|(_, one), (_, other)| one.cmp(other));
    let wanted = |kept: &Option<String>| kept.is_some() == line.is_some();
    if face.flags.json || face.flags.events {
        let hosts = all.iter().map(|(kept, host)| match kept {
            Ok(kept) => json!({ "host": host, "cordoned": kept, "done": wanted(kept) }),
            Err(Untold { why, noted }) => {
                json!({ "host": host, "done": false, "here": noted, "why": why.to_string() })
            }
        });
        face.document(&json!({ "hosts": hosts.collect::<Vec<_>>() }));
    } else {
        for (host, kept) in all.iter().filter_map(|(kept, host)| Some((host, kept.as_ref().ok()?))) {
            let says = kept.as_ref().map_or("in service".to_owned(), |why| format!("cordoned {why}"));
            face.data(safe(&format!("{host}: {says}")));
        }
    }
    for (kept, host) in &all {
        match kept {
            Ok(kept) if wanted(kept) => {}
            Ok(_) => {
                let says = format!("`{host}` did not keep it: its base folder cannot be written");
                return Err(Failure::say(FailureKind::Internal, says).hint(format!("see `portoser host check {host}`")));
            }
            Err(untold) => return Err(unseen(host, untold, line.is_some())),
        }
    }
    Ok(Exit::DONE)
}

fn unseen(host: &HostName, Untold { why, noted }: &Untold, out: bool) -> Failure {
    let here = match (noted, out) {
        (true, true) => {
            "this machine leaves it alone now; cordon it again when it can be reached, so that others do, too"
        }
        (true, false) => "this machine takes it in again, as far as the host itself does not say otherwise",
        (false, true) => "nobody leaves it alone yet",
        (false, false) => "it keeps the word, which can only be taken away there",
    };
    Failure::new(FailureKind::Unreachable, why).doing(format!("asking `{host}`")).hint(here).hint(why.hint())
}
