//! `portoser diagnose`: what is the matter with services and hosts, and why.

use serde_json::json;

use crate::cli::registry::{Thing, thing};
use crate::cli::{Exit, Face, Failure, block_on, safe, session};
use crate::deploy::Selection;
use crate::heal::{Diagnosis, Observation, Sight, diagnose};
use crate::model::FailureKind;
use crate::registry::Registry;

/// Look at services and hosts from every side, and say what is the matter
///
/// One connection and one exec for each host; what the services need is looked at, too. Nothing is changed. Ends with 8 when
/// something is wrong, and else with 4 when something could not be seen: what was not seen is neither good nor bad.
#[derive(Debug, clap::Args)]
pub(super) struct Diagnose {
    /// Services or hosts; everything, if none is named
    #[arg(value_name = "SERVICE|HOST")]
    names: Vec<String>,
}

impl Diagnose {
    pub(super) fn run(self, face: &Face) -> Result<Exit, Failure> {
        let app = session::look(face)?;
        let selection = self.selection(&app.registry)?;
        let run = app.run_id();
        let found = block_on(async |stop| {
            let (ground, mut events) = app.ground(&run, "diagnose", stop.soon.clone());
            events.close();
            diagnose(&ground, &selection).await.map_err(|fault| session::failed("looking", &fault))
        })??;
        if face.flags.json || face.flags.events {
            face.document(&document(&found));
        } else {
            show(face, &found);
        }
        Ok(if found.count(Sight::Bad) > 0 {
            Exit(FailureKind::Unhealthy.code())
        } else if found.count(Sight::Unseen) > 0 {
            Exit(FailureKind::Unreachable.code())
        } else {
            Exit::DONE
        })
    }

    /// What the names mean. A name that is both a service's and a host's means the service.
    fn selection(&self, registry: &Registry) -> Result<Selection, Failure> {
        let mut selection = Selection { all: self.names.is_empty(), ..Selection::default() };
        for name in &self.names {
            match thing(registry, name)? {
                Thing::Service(service) => selection.services.push(service.name.clone()),
                Thing::Host(host) => selection.hosts.push(host.name.clone()),
            }
        }
        Ok(selection)
    }
}

fn show(face: &Face, found: &Diagnosis) {
    let line = |one: &Observation, word: &str| {
        let service = one.service.as_ref().map(|service| format!(" {service}")).unwrap_or_default();
        face.data(safe(&format!("{word:<6}  {}{service}  {}: {}", one.host, one.look, one.says)));
    };
    for (sight, word) in [(Sight::Bad, "BAD"), (Sight::Unseen, "unseen")] {
        found.all().filter(|one| one.sight == sight).for_each(|one| line(one, word));
    }
    if face.flags.verbose > 0 {
        found.all().filter(|one| one.sight == Sight::Good).for_each(|one| line(one, "good"));
    }
    let (good, bad, unseen) = (found.count(Sight::Good), found.count(Sight::Bad), found.count(Sight::Unseen));
    face.data(format!("score {} of 100: {good} good, {bad} bad, {unseen} unseen", found.score()));
}

fn document(found: &Diagnosis) -> serde_json::Value {
    json!({ "score": found.score(), "observations": found.all().collect::<Vec<_>>() })
}
