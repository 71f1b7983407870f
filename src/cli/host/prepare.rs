//! `portoser host prepare`: brings to hosts what their services need before the first deploy.

use std::collections::{BTreeMap, BTreeSet};

use clap::ValueEnum;
use serde_json::json;

use crate::cli::{Exit, Face, Failure, prompt, run, safe, session};
use crate::deploy::{Words, lacks, needed, unless_stopped};
use crate::host::prepare::{Thing, bring};
use crate::model::{FailureKind, HostName};
use crate::transport::Lost;

/// Bring to hosts what their services need: base folder, users, Python, uv, docker, compose
///
/// What is lacking is shown and asked about first. Packages come from the host's own package manager, uv from there or from
/// the package index that the host is set to. What is there already is left as it is. `--quiet` and `--json` need `--yes`. Ends with 5
/// when something could not be brought, and with 4 when a host could not be seen.
#[derive(Debug, clap::Args)]
pub(super) struct Prepare {
    /// The hosts; all of the registry, if none is named
    #[arg(value_name = "HOST")]
    names: Vec<HostName>,
    /// This too, though no service needs it; may be given several times
    #[arg(long, value_name = "TOOL")]
    with: Vec<Tool>,
    /// Only show what is lacking
    #[arg(long)]
    only_look: bool,
}

/// What can be asked for by name.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Tool {
    Python,
    Uv,
    Docker,
    Compose,
}

type Lacking = BTreeMap<HostName, Result<BTreeSet<Thing>, Lost>>;

impl Prepare {
    pub(super) fn run(self, face: &Face) -> Result<Exit, Failure> {
        let app = session::look(face)?;
        crate::cli::registry::all_hosts(&app.registry, &self.names)?;
        let more = self.with.iter().map(|tool| match tool {
            Tool::Python => Thing::Python(None),
            Tool::Uv => Thing::Uv,
            Tool::Docker => Thing::Docker,
            Tool::Compose => Thing::Compose,
        });
        let more: BTreeSet<Thing> = more.collect();
        let names = if self.names.is_empty() { app.registry.hosts.keys().cloned().collect() } else { self.names };
        let asked: BTreeMap<_, _> =
            names.iter().map(|name| (name.clone(), &needed(&app.registry, name) | &more)).collect();
        let id = app.run_id();
        session::passing(&app, async |stop| {
            let (ground, mut events) = app.ground(&id, "host prepare", stop.soon.clone());
            events.close();
            let found = unless_stopped(&stop.soon, lacks(&ground, asked.clone())).await.ok_or_else(session::stopped)?;
            // Where nothing can be brought, a second look tells nothing new.
            let whole = found.values().flatten().all(BTreeSet::is_empty);
            if whole || self.only_look {
                show(face, &found);
                return Ok(exit(&found, true));
            }
            tell(face, &found);
            agree(face)?;
            let words = found.iter().filter_map(|(host, lacking)| {
                let things = lacking.as_ref().ok().filter(|things| !things.is_empty())?;
                Some(Words { label: host.to_string(), host: host.clone(), cmd: bring(things), root: true })
            });
            run::gather(face, &ground, words.collect(), stop).await;
            if stop.soon.is_cancelled() {
                return Err(Failure::say(FailureKind::Interrupted, "stopped; `host prepare` once more does the rest"));
            }
            let found = lacks(&ground, asked).await;
            show(face, &found);
            Ok(exit(&found, false))
        })
    }
}

fn agree(face: &Face) -> Result<(), Failure> {
    if face.flags.yes {
        return Ok(());
    }
    let refused = || Failure::say(FailureKind::Refused, "nothing was changed");
    if !face.can_ask() {
        return Err(refused().hint("give --yes to bring all of it"));
    }
    if prompt::agrees("shall it be brought?") { Ok(()) } else { Err(refused()) }
}

fn line(host: &HostName, lacking: &Result<BTreeSet<Thing>, Lost>) -> String {
    match lacking {
        Err(lost) => format!("{host}: {lost}"),
        Ok(things) if things.is_empty() => format!("{host}: has all that its services need"),
        Ok(things) => {
            let things: Vec<String> = things.iter().map(Thing::to_string).collect();
            format!("{host}: lacks {}", things.join("; "))
        }
    }
}

fn tell(face: &Face, found: &Lacking) {
    found.iter().for_each(|(host, lacking)| face.talk(safe(&line(host, lacking))));
}

fn show(face: &Face, found: &Lacking) {
    if face.flags.json || face.flags.events {
        let one = |(host, lacking): (&HostName, &Result<BTreeSet<Thing>, Lost>)| {
            let lacks = lacking.as_ref().ok().map(|things| things.iter().map(Thing::to_string).collect::<Vec<_>>());
            let why = lacking.as_ref().err().map(Lost::to_string);
            json!({ "host": host, "lacks": lacks, "why": why })
        };
        face.document(&json!({ "hosts": found.iter().map(one).collect::<Vec<_>>() }));
        return;
    }
    found.iter().for_each(|(host, lacking)| face.data(safe(&line(host, lacking))));
    face.flush();
    for lost in found.values().filter_map(|lacking| lacking.as_ref().err()) {
        face.talk(safe(&format!("hint: {}", lost.hint())));
    }
}

/// What is only looked at may be lacking.
fn exit(found: &Lacking, looked: bool) -> Exit {
    if found.values().any(Result::is_err) {
        return Exit(FailureKind::Unreachable.code());
    }
    let lacking = found.values().flatten().any(|things| !things.is_empty());
    // No service was touched: what ran there runs as it did.
    if lacking && !looked { Exit(FailureKind::RolledBack.code()) } else { Exit::DONE }
}
