//! What a change promises: whether the service answers all the while, and whether there is a way back. Both are read off the
//! steps and the records, never off a wish.

use crate::host::Supervisor;
use crate::model::{OnLostContact, ProjectChange, Step, UnitChange, quote};
use crate::plan::change::{Action, Change, Turn};
use crate::registry::{Kind, Project, Service};

/// What a change promises on its host.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Guarantee {
    /// Whether it answers all the while on this host.
    pub zero_downtime: bool,
    /// Why, or why not.
    pub downtime: String,
    /// Whether the state before can be brought back.
    pub rollback: bool,
    /// How, or why not.
    pub way_back: String,
    /// The step that begins the interruption, as events name it; none when nothing is interrupted.
    #[serde(skip)]
    pub interrupting: Option<String>,
}

/// The guarantee of a change; none where nothing is done. `service` is as the registry has it, if it does.
#[must_use]
pub fn guarantee(change: &Change, service: Option<&Service>) -> Option<Guarantee> {
    if change.action == Action::Nothing {
        return None;
    }
    let interrupting = change.steps.iter().find(|step| interrupts(step)).map(ToString::to_string);
    let (zero_downtime, downtime) = downtime(change, service, interrupting.is_some());
    let (rollback, mut way_back) = way_back(change);
    if service.is_some_and(|service| service.deploy.on_lost_contact == OnLostContact::Keep) {
        way_back.push_str("; when contact is lost, what stands then stays (`on_lost_contact: keep`)");
    }
    Some(Guarantee { zero_downtime, downtime, rollback, way_back, interrupting })
}

/// Whether what runs does not answer for a while because of this step.
fn interrupts(step: &Step) -> bool {
    match step {
        Step::Unit { change, .. } | Step::Process { change, .. } => {
            matches!(change, UnitChange::Stop | UnitChange::Restart)
        }
        Step::Project { change, .. } => !matches!(change, ProjectChange::Signal(_) | ProjectChange::Beside),
        _ => false,
    }
}

fn downtime(change: &Change, service: Option<&Service>, interrupted: bool) -> (bool, String) {
    let yes = |why: &str| (true, why.to_owned());
    let no = |why: &str| (false, why.to_owned());
    match change.action {
        Action::Turn(turn) if turn.ends() => no("it does not run afterwards"),
        _ if change.before.is_none() && change.action != Action::Turn(Turn::Mend) => yes("nothing of it runs here yet"),
        _ if change.steps.iter().any(beside) => yes(
            "the new containers are proven beside the old ones, which stop then; they share no port of the host, and nothing that \
             both would write to",
        ),
        _ if !interrupted => yes("what runs goes on; nothing is restarted"),
        Action::Restart => no("it is started again, as it does not run well now"),
        _ if change.record.supervisor == Supervisor::Compose => match service.and_then(exclusive) {
            Some(why) => (false, format!("the old container is stopped before the new one starts: {why}")),
            None => no(
                "a container whose settings change is stopped before the new one starts: those of a compose file hold their names, \
                 and may hold ports and volumes",
            ),
        },
        _ if service.is_some_and(|service| service.port.is_none() && service.ports.is_empty()) => {
            no("the old process ends before the new one starts")
        }
        _ => no("the old process ends before the new one starts, as both would hold the same port"),
    }
}

fn beside(step: &Step) -> bool {
    matches!(step, Step::Project { change: ProjectChange::Beside, .. })
}

/// Why old and new containers of a service of one image cannot run at once.
fn exclusive(service: &Service) -> Option<String> {
    match &service.kind {
        Kind::Docker(docker) => match &docker.project {
            Project::Image(image) => image.exclusive(),
            Project::Compose { .. } => None,
        },
        Kind::Native(_) | Kind::Python(_) => None,
    }
}

fn way_back(change: &Change) -> (bool, String) {
    let Some(before) = &change.before else {
        return (
            false,
            "nothing was here before; if it fails, what was made is taken away again, and shared data stays".into(),
        );
    };
    let short = before.as_str().get(..8).unwrap_or_default();
    if let Action::Turn(turn) = change.action {
        return match turn {
            Turn::Remove => (false, "its releases are taken away; shared data stays".into()),
            Turn::Change(_) | Turn::Mend => (true, format!("the state that it has now, of {short}")),
        };
    }
    if change.before_record.is_none() {
        return (false, format!("the record of {short} on the host cannot be read"));
    }
    if !change.edited.is_empty() {
        let edited = change.edited.join("; ");
        return (
            false,
            format!(
                "{short} was edited on the host ({edited}) and is not what was proven; a failure still leads back to it"
            ),
        );
    }
    let stays = format!("{short} stays on the host; going back needs no network");
    match &change.record.once {
        Some(once) => {
            let words: Vec<_> = once.words.iter().map(|word| quote(word)).collect();
            (true, format!("{stays}, but does not undo `{}`", words.join(" ")))
        }
        None => (true, stays),
    }
}
