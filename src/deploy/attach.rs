//! Watches a run that somebody else began, from its beginning to its end, and says how its services stand then.
//! It gives no orders: who stops watching leaves the run as it is.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::deploy::drive::Drive;
use crate::deploy::ground::{Ground, unless_stopped};
use crate::deploy::records::Remembered;
use crate::deploy::select::Selection;
use crate::deploy::state::{HostEnd, HostState, Phase};
use crate::deploy::status::{Standing, status};
use crate::deploy::verdict;
use crate::deploy::walk::Ended;
use crate::host::run::About;
use crate::model::{Event, FailureKind, HostName, Outcome, RunId};

/// How a run that was watched ended.
#[derive(Debug, Default)]
pub struct Watched {
    pub ended: Vec<Ended>,
    /// What the outcomes do not tell: a host that did not begin, or could not be followed to the end.
    pub also: Vec<FailureKind>,
}

impl Watched {
    /// What it means as a whole: the worst speaks.
    #[must_use]
    pub fn verdict(&self) -> Option<FailureKind> {
        let told = verdict(&self.ended, false).into_iter().chain(self.also.iter().copied());
        let weight = |kind: &FailureKind| match kind {
            FailureKind::Interrupted => 5,
            FailureKind::RollbackFailed => 4,
            FailureKind::Unreachable => 3,
            FailureKind::Unhealthy => 2,
            FailureKind::RolledBack => 1,
            _ => 0,
        };
        told.max_by_key(weight)
    }
}

/// Follows the run on every host that knows it.
pub async fn attach(ground: &Arc<Ground>, run: &RunId, heard: &Remembered) -> Watched {
    let mut drives = BTreeMap::new();
    for (host, far) in &heard.far {
        if let Some(records) = heard.records.get(host).filter(|records| records.run(run).is_some()) {
            drives.insert(host, Drive::watch(ground.clone(), far.clone(), &records.base, run));
        }
    }
    let mut watched = Watched::default();
    let mut open = Vec::new();
    for (host, drive) in drives {
        let Some(state) = unless_stopped(&ground.stop, drive.until(HostState::over)).await else {
            return Watched { also: vec![FailureKind::Interrupted], ..Watched::default() };
        };
        watched.also.extend(odd_end(ground, run, host, &state));
        for (stage, about) in &state.abouts {
            let (service, host, before) = (about.service.clone(), host.clone(), about.before.clone());
            match judged(&state, *stage, about) {
                Judged::Open => {}
                Judged::Sure(outcome) => {
                    let release = if outcome == Outcome::Committed { about.release.clone() } else { before };
                    watched.ended.push(Ended { service, host, outcome, release });
                }
                Judged::Ask { good, bad } => {
                    let release = if good == Outcome::Committed { about.release.clone() } else { before };
                    open.push((Ended { service, host, outcome: good, release }, bad));
                }
            }
        }
    }
    watched.ended.extend(asked(ground, open).await);
    for Ended { service, host, outcome, release } in watched.ended.clone() {
        ground.tell(Event::Ended { host, service, outcome, release });
    }
    watched
}

/// What can be said of a stage from the host's journal alone.
enum Judged {
    /// It is under way, or was when the host was lost.
    Open,
    Sure(Outcome),
    /// Nobody proved it that we heard of: the service itself must be asked.
    Ask {
        good: Outcome,
        bad: Outcome,
    },
}

fn judged(state: &HostState, stage: usize, about: &About) -> Judged {
    // Where no release comes, a service was started or stopped on purpose, and its checks prove nothing.
    let turn = about.release.is_none();
    match state.phase(stage) {
        Phase::Kept if turn || state.proven.contains(&stage) => Judged::Sure(Outcome::Committed),
        Phase::Kept => Judged::Ask { good: Outcome::Committed, bad: Outcome::Unhealthy },
        Phase::Undone if turn || about.before.is_none() => Judged::Sure(Outcome::RolledBack),
        Phase::Undone => Judged::Ask { good: Outcome::RolledBack, bad: Outcome::RollbackFailed },
        Phase::UndoFailed => Judged::Sure(Outcome::RollbackFailed),
        _ if state.lost.is_some() => Judged::Open,
        _ => Judged::Sure(Outcome::RollbackFailed),
    }
}

/// Tells an end that the outcomes of services do not tell.
fn odd_end(ground: &Ground, run: &RunId, host: &HostName, state: &HostState) -> Option<FailureKind> {
    let resume = || Some(format!("`portoser resume {run}` settles it and goes on"));
    let (kind, error, hint) = match (&state.lost, state.end.as_ref().unwrap_or(&HostEnd::Done)) {
        (Some(why), _) => (FailureKind::Unreachable, format!("the run cannot be followed: {why}"), None),
        (_, end @ HostEnd::Orphaned) => (FailureKind::RollbackFailed, end.told().to_owned(), resume()),
        (_, end @ HostEnd::Refused(_)) => (FailureKind::Unreachable, end.told().to_owned(), None),
        (_, end @ (HostEnd::Stale | HostEnd::LockTimeout)) => (FailureKind::Locked, end.told().to_owned(), resume()),
        (_, end @ HostEnd::Done) if state.abouts.is_empty() => {
            (FailureKind::RolledBack, end.told().to_owned(), resume())
        }
        (_, HostEnd::Done | HostEnd::UndoFailed) => return None,
    };
    ground.tell(Event::Failed { host: host.clone(), service: None, error, hint, evidence: Vec::new() });
    Some(kind)
}

/// Asks the services of which the journal says no proof how they stand now.
async fn asked(ground: &Arc<Ground>, open: Vec<(Ended, Outcome)>) -> Vec<Ended> {
    let known = |one: &Ended| ground.registry.services.get(&one.service).is_some_and(|s| s.hosts.contains(&one.host));
    let selection = Selection {
        services: open.iter().filter(|(one, _)| known(one)).map(|(one, _)| one.service.clone()).collect(),
        hosts: open.iter().filter(|(one, _)| known(one)).map(|(one, _)| one.host.clone()).collect(),
        ..Selection::default()
    };
    let standings = match selection.services.is_empty() {
        true => Vec::new(),
        false => status(&ground.hushed(), &selection).await.unwrap_or_default(),
    };
    let judge = |(mut one, bad): (Ended, Outcome)| {
        let standing = standings
            .iter()
            .find(|standing| standing.service.as_ref() == Some(&one.service) && standing.host == one.host);
        if let Err(why) = stands(&one, standing) {
            let (service, host) = (Some(one.service.clone()), one.host.clone());
            let error = format!("nobody proved it, and it is not proven now: {why}");
            let hint = Some("`portoser status` shows how it stands".into());
            ground.tell(Event::Failed { host, service, error, hint, evidence: Vec::new() });
            one.outcome = bad;
        }
        one
    };
    open.into_iter().map(judge).collect()
}

/// Whether the release is there, and healthy.
fn stands(one: &Ended, standing: Option<&Standing>) -> Result<(), String> {
    let standing = standing.ok_or("this registry does not have it there")?;
    let found = standing.found.as_ref().map_err(|(why, _)| why.clone())?;
    match (&found.release, found.is_healthy()) {
        (release, _) if *release != one.release => Err("another release is there".into()),
        (_, true) => Ok(()),
        (_, false) => Err("it is not healthy".into()),
    }
}
