//! `portoser plan`: the look and the plan of a deploy, which it does not walk.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use crate::cli::deploy::Which;
use crate::cli::{Exit, Face, Failure, safe, session};
use crate::deploy::{Request, prepare, prepare_back};
use crate::host::Fetch;
use crate::journal::Journal;
use crate::model::{HostName, ServiceName};
use crate::plan;
use crate::registry::{Mask, Registry};

/// Show what a deploy would do, and do nothing
///
/// Without names it is for every service. For each service and host: what is created, changed or left alone, with the
/// differences of units, files and names of the environment; the waves and the order of hosts; whether the service is
/// interrupted, for how long the last time, and whether there is a way back. What lies on these hosts though the registry does
/// not put it there is told, too; so is what this machine brought to hosts which were taken out of a service since. No deploy
/// takes it away: `remove` does. One connection and one exec for each host.
#[derive(Debug, clap::Args)]
pub(super) struct Plan {
    #[command(flatten)]
    which: Which,
    /// Every step, too
    #[arg(long)]
    steps: bool,
    /// Plan over files and containers that were changed on the host
    #[arg(long)]
    overwrite: bool,
    /// End with 20 when there is something to do, and with 0 only when all is in place
    #[arg(long)]
    detailed_exitcode: bool,
}

/// What `--detailed-exitcode` ends with when there is something to do.
const SOMETHING: Exit = Exit(20);

impl Plan {
    pub(super) fn run(self, face: &Face) -> Result<Exit, Failure> {
        let steps = self.steps || face.flags.verbose > 0;
        let mut selection = self.which.selection();
        // It does nothing, so that the whole is a safe answer to a question without names.
        selection.all |= selection.is_empty();
        let request = Request { selection, overwrite: self.overwrite, only_look: true, renew: false };
        let plan = look_only(face, &request, None, steps)?;
        Ok(if self.detailed_exitcode && !plan.is_nothing() { SOMETHING } else { Exit::DONE })
    }
}

/// Looks and plans, and shows the plan.
pub(super) fn look_only(
    face: &Face,
    request: &Request,
    back: Option<&plan::Target>,
    steps: bool,
) -> Result<Arc<plan::Plan>, Failure> {
    let app = session::look(face)?;
    let run = app.run_id();
    let prepared = session::looking(&app, async |stop| {
        let (ground, mut events) = app.ground(&run, "plan", stop.soon.clone());
        events.close();
        let prepared = match back {
            Some(target) => prepare_back(&ground, request, target).await,
            None => prepare(&ground, request).await,
        };
        let prepared = prepared.map_err(|fault| session::failed("planning", &fault))?;
        ground.part(&prepared.survey.far).await;
        Ok(prepared)
    })?;
    let registry = face.registry()?;
    session::tell_idle(face, &registry, &request.selection);
    for (host, why) in &prepared.survey.cordoned {
        face.warn(safe(&format!("{host} is left out, as it is cordoned: {why}")));
    }
    let (mask, pace) = (Mask::of(&registry), pace(&app.journal, &registry, &prepared.plan)?);
    if face.flags.json || face.flags.events {
        let mut document = shown(&prepared.plan, &registry, &mask, &pace);
        document["cordoned"] = json!(prepared.survey.cordoned);
        face.document(&document);
    } else {
        let manner = plan::Manner { registry: &registry, mask: &mask, pace: &pace, steps };
        face.data(plan::show(&prepared.plan, &manner).trim_end());
    }
    Ok(prepared.plan)
}

type Pace = BTreeMap<(ServiceName, HostName), Duration>;

/// How long the services were interrupted the last time, as far as this machine knows.
fn pace(journal: &Journal, registry: &Registry, plan: &plan::Plan) -> Result<Pace, Failure> {
    let mut all = Pace::new();
    for change in &plan.changes {
        let promise = plan::guarantee(change, registry.services.get(&change.service));
        if let Some(step) = promise.and_then(|promise| promise.interrupting)
            && let Some(pace) = journal.interruption(&change.service, &change.host, &step)?
        {
            all.insert((change.service.clone(), change.host.clone()), pace);
        }
    }
    Ok(all)
}

/// What a host fetches: the image, and how many bytes of it (`at_most` where it could not be seen what the host has), or why that
/// could not be known.
fn fetched((image, fetch): &(String, Result<Fetch, String>)) -> serde_json::Value {
    match fetch {
        Ok(fetch) => json!({ "image": image, "bytes": fetch.bytes(), "at_most": fetch.held.is_none() }),
        Err(why) => json!({ "image": image, "bytes": null, "unknown": why }),
    }
}

/// The plan as a document.
fn shown(plan: &plan::Plan, registry: &Registry, mask: &Mask, pace: &Pace) -> serde_json::Value {
    let changes = plan.changes.iter().map(|change| {
        let steps: Vec<String> = change.steps.iter().map(|step| mask.text(&step.to_string())).collect();
        let reasons: Vec<String> = change.reasons.iter().map(|reason| mask.text(reason)).collect();
        let texts = change.texts.iter().map(|one| json!({ "path": one.path, "diff": mask.text(&one.diff) }));
        let interruption = pace.get(&(change.service.clone(), change.host.clone())).map(Duration::as_secs_f64);
        json!({
            "service": change.service, "host": change.host, "action": change.action, "reasons": reasons,
            "before": change.before, "after": change.record.release, "texts": texts.collect::<Vec<_>>(),
            "edited": change.edited, "steps": steps, "fetches": change.fetches.iter().map(fetched).collect::<Vec<_>>(),
            "guarantee": plan::guarantee(change, registry.services.get(&change.service)),
            "last_interruption": interruption,
        })
    });
    let left =
        plan.left.iter().map(|(service, host, why)| json!({ "service": service, "host": host, "why": why.what }));
    json!({
        "waves": plan.waves, "changes": changes.collect::<Vec<_>>(), "strays": plan.strays, "left": left.collect::<Vec<_>>(),
    })
}
