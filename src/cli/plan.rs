//! `portoser plan`: the look and the plan of a deploy, which it does not walk.

use crate::cli::deploy::Which;
use crate::cli::{Exit, Face, Failure, block_on, session};
use crate::deploy::{Request, prepare, prepare_back};
use crate::plan;

/// Show what a deploy would do, and do nothing
#[derive(Debug, clap::Args)]
pub(super) struct Plan {
    #[command(flatten)]
    which: Which,
    /// Every step, too
    #[arg(long)]
    steps: bool,
    /// Plan over files that were edited on the host
    #[arg(long)]
    overwrite: bool,
}

impl Plan {
    pub(super) fn run(self, face: &Face) -> Result<Exit, Failure> {
        let steps = self.steps || face.flags.verbose > 0;
        look_only(
            face,
            &Request { selection: self.which.selection(), overwrite: self.overwrite, only_look: true, renew: false },
            None,
            steps,
        )
    }
}

/// Looks and plans, and shows the plan.
pub(super) fn look_only(
    face: &Face,
    request: &Request,
    back: Option<&plan::Target>,
    steps: bool,
) -> Result<Exit, Failure> {
    let app = session::open(face)?;
    let run = app.run_id();
    let prepared = block_on(async |stop| {
        let (ground, mut events) = app.ground(&run, "plan", stop.soon.clone());
        events.close();
        let prepared = match back {
            Some(target) => prepare_back(&ground, request, target).await,
            None => prepare(&ground, request).await,
        };
        let prepared = prepared.map_err(|fault| session::failed("planning", &fault))?;
        ground.part(&prepared.survey.far).await;
        Ok::<_, Failure>(prepared)
    })??;
    if face.flags.json {
        face.document(&shown(&prepared.plan));
    } else {
        face.data(plan::show(&prepared.plan, steps).trim_end());
    }
    Ok(Exit::DONE)
}

/// The plan as a document.
fn shown(plan: &plan::Plan) -> serde_json::Value {
    let changes = plan.changes.iter().map(|change| {
        let steps: Vec<String> = change.steps.iter().map(ToString::to_string).collect();
        serde_json::json!({
            "service": change.service, "host": change.host, "action": change.action, "reasons": change.reasons,
            "before": change.before, "after": change.record.release, "steps": steps,
        })
    });
    serde_json::json!({ "waves": plan.waves, "changes": changes.collect::<Vec<_>>() })
}
