//! What a walk does in place of proving a release when services are only started, stopped, reloaded or removed: it looks
//! again, and believes no exit code.

use std::time::Duration;

use crate::check::gate::Red;
use crate::deploy::drive::Drive;
use crate::deploy::far::Unseen;
use crate::deploy::walk::Walk;
use crate::host::look::Question;
use crate::host::{Layout, Record, Seen, SeenUnit, Supervisor};
use crate::model::{Event, Outcome, UnitChange, quote};
use crate::plan::{Change, Engine, Turn};
use crate::transport::Lost;

impl Walk {
    /// Whether a turn took effect, read from the host again. A service that runs and is not healthy stays, and is told as
    /// such: to take back what the user asked for would not make it better.
    pub(super) async fn took_effect(&self, change: &Change, turn: Turn) -> Result<Outcome, Red> {
        let unseen = |says: String| Red { check: "second look".into(), says, evidence: Vec::new(), unseen: true };
        let engine = self.ground.engines.iter().find(|engine| engine.name() == change.record.engine);
        let (Some(drive), Some(engine)) = (self.drives.get(&change.host), engine) else {
            return Err(unseen("the host is out of reach".into()));
        };
        if turn == Turn::Mend {
            return self.helped(change).await;
        }
        let question = question(&change.record, self.facts.get(&change.host).map(|facts| facts.base.clone()));
        // A program without a handler dies of the signal, maybe a moment later: its checks are asked before the look.
        let reload = turn == Turn::Change(UnitChange::Reload);
        let early = if reload { Some(self.prove(change, &change.record, Duration::ZERO).await) } else { None };
        let seen = look(drive, &question).await.map_err(|why| unseen(why.to_string()))?;
        if let Some(says) = amiss(*engine, change, turn, &seen) {
            let evidence = evidence(*engine, &change.record, &seen);
            return Err(Red { check: "second look".into(), says, evidence, unseen: false });
        }
        if turn == Turn::Remove {
            let shared = quote(&Layout::new(&seen.facts.base).shared(&change.service)).into_owned();
            let text = format!(
                "{}: its shared folder stays, at {shared}; `rm -r {shared}` on the host deletes it",
                change.service
            );
            self.ground.tell(Event::Note { host: Some(change.host.clone()), text });
        }
        if turn.ends() {
            return Ok(Outcome::Committed);
        }
        if reload && let Some(name) = self.replaced(*engine, change, &seen) {
            self.tell(change, |host, service| Event::Failed {
                host,
                service: Some(service),
                error: format!("{name} did not reload: it ended, and was started again"),
                hint: Some("`reload` must name a signal that the program handles; or use `portoser restart`".into()),
                evidence: evidence(*engine, &change.record, &seen),
            });
            // The version that was there is there; to restart it once more would not make it better.
            return Ok(if early.is_none_or(|proven| proven.is_ok()) {
                Outcome::RolledBack
            } else {
                Outcome::Unhealthy
            });
        }
        let proven = match early {
            Some(proven) => proven,
            None => self.prove(change, &change.record, Duration::ZERO).await,
        };
        match proven {
            Ok(()) => Ok(Outcome::Committed),
            Err(red) => {
                self.failed(change, &change.record, red).await;
                Ok(Outcome::Unhealthy)
            }
        }
    }

    /// Whether a remedy helped, by the second look of the one who chose it. What did not help is undone.
    pub(super) async fn helped(&self, change: &Change) -> Result<Outcome, Red> {
        let red = |says| Red { check: "second look".into(), says, evidence: Vec::new(), unseen: false };
        let Some(look) = &self.second_look else { return Err(red("nobody looks whether it helped".into())) };
        (look.look)(change.service.clone(), change.host.clone()).await.map_err(red)?;
        Ok(Outcome::Committed)
    }

    /// The first unit of a service that is not the process any more which it was when the plan was made.
    fn replaced(&self, engine: &dyn Engine, change: &Change, seen: &Seen) -> Option<String> {
        let before = self.units.get(&change.host)?;
        let replaced = |name: &String| {
            let (Some(before), Some(now)) = (before.get(name), seen.units.get(name)) else { return false };
            before.runs() && is_another(before, now)
        };
        engine.names(&change.record).into_iter().find(replaced)
    }
}

/// A look by the link that the run is followed on, and by the next one when that was lost meanwhile.
async fn look(drive: &Drive, question: &Question) -> Result<Seen, Unseen> {
    let far = drive.far();
    let seen = far.look(question).await;
    match &seen {
        Err(Unseen::Lost(Lost::Link { .. } | Lost::Silent { .. } | Lost::Channel { .. })) => {
            match drive.far_after(&far).await {
                Some(next) => next.look(question).await,
                None => seen,
            }
        }
        _ => seen,
    }
}

/// The question about one service, as its record on the host describes it.
pub(super) fn question(record: &Record, base: Option<String>) -> Question {
    let units = match record.supervisor {
        Supervisor::Systemd | Supervisor::Launchd => {
            record.units.iter().map(|unit| (record.scope, unit.name.clone())).collect()
        }
        Supervisor::Process | Supervisor::Compose => Vec::new(),
    };
    let project = |unit: &crate::host::UnitFile| unit.name.split('/').next().map(str::to_owned);
    let projects = match record.supervisor {
        // After it was removed, no record there names it.
        Supervisor::Compose => record.units.first().and_then(project).into_iter().collect(),
        _ => Vec::new(),
    };
    Question { projects, base, services: vec![record.service.clone()], units, ..Question::default() }
}

/// Whether a unit was started since. The moment tells it best: a program may hand over to a new process when it reloads.
fn is_another(before: &SeenUnit, now: &SeenUnit) -> bool {
    match (before.since_boot, now.since_boot) {
        _ if before.restarts != now.restarts => true,
        // When a container began is told in whole seconds; the clocks of two looks differ by less than two.
        (Some(began), Some(begins)) => {
            began != begins && (before.pid != now.pid || began.abs_diff(begins) > Duration::from_secs(2))
        }
        _ => before.pid != now.pid,
    }
}

/// What the second look says against it.
fn amiss(engine: &dyn Engine, change: &Change, turn: Turn, seen: &Seen) -> Option<String> {
    let names = engine.names(&change.record);
    let busy = || names.iter().find(|name| seen.units.get(*name).is_some_and(|unit| !unit.rests()));
    match turn {
        Turn::Change(UnitChange::Stop) => busy().map(|name| format!("{name} still runs")),
        Turn::Change(_) => (!engine.runs(&change.record, seen)).then(|| "it does not run".into()),
        // Its own second look judges it.
        Turn::Mend => None,
        Turn::Remove => {
            let left = seen.services.get(&change.service).is_some_and(|found| found.current.is_some());
            let ours = change.record.supervisor == Supervisor::Compose
                || change.record.units.iter().any(|unit| unit.path.is_some());
            let busy = busy().filter(|_| ours).map(|name| format!("{name} still runs"));
            busy.or_else(|| left.then(|| "its release is still there".into()))
        }
    }
}

fn evidence(engine: &dyn Engine, record: &Record, seen: &Seen) -> Vec<String> {
    let told = |name: &String| {
        let unit = seen.units.get(name).map_or_else(|| "not seen".into(), state);
        format!("{name}: {unit}")
    };
    engine.names(record).iter().map(told).collect()
}

/// The state of a unit in a few words.
#[must_use]
pub fn state(unit: &SeenUnit) -> String {
    if !unit.loaded {
        return "not there".into();
    }
    // A supervising loop that is gone does not tell whether it was stopped or gave up.
    if unit.sub == "given-up" {
        return "down".into();
    }
    let mut text = if unit.sub.is_empty() { unit.active.clone() } else { format!("{} ({})", unit.active, unit.sub) };
    if !matches!(unit.result.as_str(), "" | "success") {
        text.push_str(&format!(", {}, exit status {}", unit.result, unit.status));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_began_at_another_time_as_another_process_is_another() {
        let unit = |millis: u64, pid: u32, restarts: u32| SeenUnit {
            since_boot: Some(Duration::from_millis(millis)),
            pid,
            restarts,
            ..SeenUnit::default()
        };
        let before = unit(60_000, 7, 0);
        for (now, another) in [
            (unit(60_000, 7, 0), false),
            // The clock was read in another part of its second.
            (unit(60_830, 7, 0), false),
            // A program may hand its place on to a process of its own.
            (unit(60_000, 8, 0), false),
            (unit(60_830, 8, 0), true),
            (unit(63_000, 7, 0), true),
            (unit(60_000, 7, 1), true),
        ] {
            assert_eq!(is_another(&before, &now), another, "{now:?}");
        }
    }
}
