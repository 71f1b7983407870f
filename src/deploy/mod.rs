//! Look, plan, walk: brings services to hosts as transactions, proves them, and brings back what cannot be proven.
//! It tells what happens and never prints; it reaches hosts only through the transport.

mod asker;
mod attach;
mod compare;
mod cordon;
mod discover;
mod drain;
mod drive;
mod far;
mod fault;
mod fetched;
mod git;
mod ground;
mod groups;
mod host_check;
mod image;
mod lack;
mod last;
mod login;
mod open;
mod past;
mod prepare;
mod push;
mod quiet;
mod records;
mod rescue;
mod select;
mod source;
mod state;
mod status;
mod strays;
mod survey;
mod tale;
mod turn;
mod walk;
mod words;

pub use attach::{Watched, attach};
pub use cordon::{Untold, cordon};
pub use discover::discover;
pub use drain::drain;
pub use far::{Far, Unseen, subject};
pub use fault::Fault;
pub use git::GitFault;
pub use ground::{Ground, Guest, Reach, Reaching, unless_stopped};
pub use host_check::{Checked, check_hosts};
pub use image::{ImageFault, is_sent};
pub use lack::{lacks, needed};
pub(crate) use open::deploy_if;
pub use open::{Terms, deploy};
pub use past::PastRun;
pub use prepare::{Prepared, Request, TurnRequest, prepare, prepare_back, prepare_turn};
pub use push::PushFault;
pub use records::{Remembered, Want, records};
pub use rescue::{Distress, Rescue, Rescuing};
pub use select::{Idle, SelectFault, Selection, idle, select};
pub use source::{SourceFault, tree};
pub use status::{Found, Standing, status};
pub use turn::state;
pub use walk::{Ended, Looking, Pace, SecondLook};
pub use words::{Cut, Heard, LogTerms, Turns, Words, exec, logs, pass, side_by_side, start};

use std::collections::BTreeSet;

use crate::model::{FailureKind, Outcome, ServiceName};
use crate::registry::Service;

/// The services of which nothing was done anywhere, as all hosts of them that are meant were left out.
#[must_use]
pub fn left_out<'a>(
    ground: &'a Ground,
    selection: &Selection,
    wanted: &BTreeSet<ServiceName>,
    ended: &[Ended],
) -> Vec<&'a Service> {
    let services = wanted.iter().filter_map(|name| ground.registry.services.get(name));
    let meant = services.filter(|service| selection.meant(service).next().is_some());
    meant.filter(|service| ended.iter().all(|one| one.service != service.name)).collect()
}

/// What the outcomes of a run mean as a whole: the worst one speaks.
#[must_use]
pub fn verdict(ended: &[Ended], interrupted: bool) -> Option<FailureKind> {
    let has = |outcome| ended.iter().any(|one| one.outcome == outcome);
    if has(Outcome::RollbackFailed) {
        return Some(FailureKind::RollbackFailed);
    }
    if interrupted {
        return Some(FailureKind::Interrupted);
    }
    if has(Outcome::Unhealthy) {
        return Some(FailureKind::Unhealthy);
    }
    (has(Outcome::RolledBack) || has(Outcome::NotTouched)).then_some(FailureKind::RolledBack)
}
