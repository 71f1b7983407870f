//! The history that follows from what hosts remember, for when no machine's journal is at hand. What was proven long ago is known
//! only as that.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::deploy::records::Remembered;
use crate::host::Record;
use crate::host::look::{RecordState, Records, RunRecord};
use crate::host::run::{End, Happened};
use crate::journal::{HistoryEntry, Run};
use crate::model::{HostName, Outcome, ReleaseId, RunId, ServiceName};

/// The verb of a run of which hosts do not know it.
const UNKNOWN: &str = "-";

/// A run as hosts know it.
#[derive(Clone, Debug)]
pub struct PastRun {
    pub id: RunId,
    /// `user@machine`; from outside, any text. Empty where no host says it.
    pub who: String,
    /// By the hosts' clocks; none where no host says it.
    pub began: Option<Timestamp>,
    /// How it stands on each host that has a record of it.
    pub hosts: Vec<(HostName, &'static str)>,
    /// What it did, by service and host.
    pub entries: Vec<HistoryEntry>,
}

impl Remembered {
    /// The runs that hosts remember, newest first.
    #[must_use]
    pub fn runs(&self) -> Vec<PastRun> {
        let mut all: BTreeMap<RunId, PastRun> = BTreeMap::new();
        let blank = |id: &RunId| PastRun {
            id: id.clone(),
            who: String::new(),
            began: None,
            hosts: Vec::new(),
            entries: Vec::new(),
        };
        for (host, records) in &self.records {
            for record in records.runs.iter().filter(|record| !record.replaced) {
                let run = all.entry(record.id.clone()).or_insert_with(|| blank(&record.id));
                run.hosts.push((host.clone(), state(record.state)));
                run.began = record.entries.first().map(|entry| entry.at).into_iter().chain(run.began).min();
                for entry in &record.entries {
                    if let Happened::Run { who, .. } = &entry.event {
                        run.who.clone_from(who);
                    }
                }
            }
        }
        for entry in self.history() {
            let run = all.entry(entry.run.clone()).or_insert_with(|| blank(&entry.run));
            if run.who.is_empty() {
                run.who.clone_from(&entry.who);
            }
            run.began = Some(run.began.map_or(entry.began, |began| began.min(entry.began)));
            run.entries.push(entry);
        }
        // The id of a run begins with the time.
        all.into_values().rev().collect()
    }

    /// What happened to services on these hosts, newest first.
    #[must_use]
    pub fn history(&self) -> Vec<HistoryEntry> {
        let mut all: Vec<_> = self.records.iter().flat_map(|(host, records)| of_host(host, records)).collect();
        all.sort_by(|one, other| {
            let key = |entry: &HistoryEntry| (entry.service.clone(), entry.host.clone());
            other.began.cmp(&one.began).then_with(|| other.run.cmp(&one.run)).then_with(|| key(one).cmp(&key(other)))
        });
        all
    }

    /// How a run stands on each host that knows it.
    #[must_use]
    pub fn states_of(&self, run: &RunId) -> Vec<(HostName, &'static str)> {
        let state = |(host, records): (&HostName, &Records)| Some((host.clone(), state(records.run(run)?.state)));
        self.records.iter().filter_map(state).collect()
    }

    /// The releases whose id begins so, each once, with the run that is known to have brought it first, and when. They must
    /// have been asked for.
    #[must_use]
    pub fn releases_like(&self, prefix: &str) -> Vec<(Record, Option<(RunId, Timestamp)>)> {
        let mut found: BTreeMap<(ServiceName, ReleaseId), Record> = BTreeMap::new();
        for record in self.records.values().flat_map(|records| &records.releases) {
            if record.release.as_str().starts_with(prefix) {
                found.entry((record.service.clone(), record.release.clone())).or_insert_with(|| record.clone());
            }
        }
        let history = self.history();
        let first = |record: &Record| {
            let came = |entry: &&HistoryEntry| {
                entry.service == record.service && entry.after.as_ref() == Some(&record.release)
            };
            history.iter().rev().find(came).map(|entry| (entry.run.clone(), entry.began))
        };
        found.into_values().map(|record| (record.clone(), first(&record))).collect()
    }
}

/// For people.
fn state(state: RecordState) -> &'static str {
    match state {
        RecordState::Lives => "is under way",
        RecordState::Stopped => "stopped in the middle; the next run settles it",
        RecordState::Ended(End::Committed) => "kept",
        RecordState::Ended(End::RolledBack) => "taken back",
        RecordState::Ended(End::RollbackFailed) => "could not be taken back whole",
        RecordState::Ended(End::Stale) => "not as the plan expected; nothing was touched",
        RecordState::Ended(End::LockTimeout) => "the lock was not to be had; nothing was touched",
        RecordState::Ended(End::Nothing) => "nothing was begun",
    }
}

fn of_host(host: &HostName, records: &Records) -> Vec<HistoryEntry> {
    let mut all: Vec<HistoryEntry> = records.runs.iter().flat_map(|run| of_run(host, run)).collect();
    let told: BTreeSet<(RunId, ServiceName)> =
        all.iter().map(|entry| (entry.run.clone(), entry.service.clone())).collect();
    // The book of what was proven goes further back than the records of runs.
    for (service, proofs) in &records.proven {
        for proof in proofs.iter().filter(|proof| !told.contains(&(proof.run.clone(), service.clone()))) {
            all.push(HistoryEntry {
                run: proof.run.clone(),
                verb: UNKNOWN.into(),
                who: proof.who.clone(),
                environment: None,
                began: proof.at,
                service: service.clone(),
                host: host.clone(),
                before: None,
                after: Some(proof.release.clone()),
                outcome: Some(Outcome::Committed),
                took: None,
                error: None,
            });
        }
    }
    all
}

fn of_run(host: &HostName, run: &RunRecord) -> Vec<HistoryEntry> {
    let mut who = String::new();
    let asked = run.asked.as_ref().and_then(|asked| Run::heard(&run.id, asked));
    let (verb, environment) = asked.map_or((UNKNOWN.into(), None), |asked| (asked.verb, asked.environment));
    let mut stages: BTreeMap<usize, (HistoryEntry, Option<ReleaseId>)> = BTreeMap::new();
    for entry in &run.entries {
        // A service that is stopped, started and so on keeps its release.
        let turned = ![UNKNOWN, "remove"].contains(&verb.as_str());
        let (stage, outcome) = match &entry.event {
            Happened::Run { who: name, .. } => {
                who.clone_from(name);
                continue;
            }
            Happened::Stage { stage, about: Some(about) } => {
                let began = HistoryEntry {
                    run: run.id.clone(),
                    verb: verb.clone(),
                    who: who.clone(),
                    environment: environment.clone(),
                    began: entry.at,
                    service: about.service.clone(),
                    host: host.clone(),
                    before: about.before.clone(),
                    after: about.before.clone(),
                    outcome: None,
                    took: None,
                    error: None,
                };
                stages.insert(*stage, (began, about.release.clone()));
                continue;
            }
            Happened::Failed { stage, step, code } => {
                if let Some((told, _)) = stages.get_mut(stage) {
                    told.error = Some(format!("step {step}: exit code {code}"));
                }
                continue;
            }
            Happened::Switched { stage } => (stage, None),
            Happened::Kept { stage, proven: true } => (stage, Some(Outcome::Committed)),
            Happened::Kept { stage, proven: false } => {
                if let Some((told, _)) = stages.get_mut(stage) {
                    told.error = Some("it was kept without a verdict".into());
                }
                (stage, Some(Outcome::Unhealthy))
            }
            Happened::Undone { stage } => (stage, Some(Outcome::RolledBack)),
            Happened::Stuck { stage } => (stage, Some(Outcome::RollbackFailed)),
            _ => continue,
        };
        let Some((told, release)) = stages.get_mut(stage) else { continue };
        let back = matches!(outcome, Some(Outcome::RolledBack | Outcome::RollbackFailed));
        let stays = back || (turned && release.is_none());
        told.after.clone_from(if stays { &told.before } else { release });
        told.outcome = outcome;
        told.took = outcome.and_then(|_| entry.at.duration_since(told.began).try_into().ok());
    }
    stages.into_values().map(|(entry, _)| entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::look::Proof;
    use crate::host::run::entry;

    const OLD: &str = "0123456789abcdef";
    const NEW: &str = "fedcba9876543210";

    fn told(lines: &[String]) -> Remembered {
        let run = RunRecord {
            id: "20260131-235959-0123abcd".try_into().expect("a run"),
            replaced: false,
            state: RecordState::Lives,
            asked: Some(r#"{"verb":"rollback","environment":"prod","request":{"all":true}}"#.into()),
            entries: lines.iter().map(|line| entry(line).expect("a line")).collect(),
        };
        let proof = |run: &str, at| Proof {
            release: OLD.try_into().expect("a release"),
            run: run.try_into().expect("a run"),
            at: Timestamp::from_second(at).expect("in range"),
            who: "ann@desk".into(),
        };
        let proven = vec![proof("20260101-000000-00000000", 1000), proof("20260131-235959-0123abcd", 2000)];
        let mut records = Records { runs: vec![run], ..Records::default() };
        records.proven.insert("api".try_into().expect("a name"), proven);
        let mut heard = Remembered::default();
        heard.records.insert("web1".try_into().expect("a name"), records);
        heard
    }

    #[test]
    fn runs_and_what_was_proven_before_them_make_a_history() {
        let kept = [
            "1 2000.00 run 1 bob@desk".to_owned(),
            format!("5 2001.00 stage 1 api 7 {OLD} {NEW}"),
            "20 2003.00 switched 1".to_owned(),
            "21 2004.50 kept 1 proven".to_owned(),
        ];
        let history = told(&kept).history();
        let seen: Vec<_> = history.iter().map(|entry| (entry.who.as_str(), entry.outcome)).collect();
        assert_eq!(seen, [("bob@desk", Some(Outcome::Committed)), ("ann@desk", Some(Outcome::Committed))]);
        assert_eq!(history[0].after.as_ref().map(ReleaseId::as_str), Some(NEW));
        assert_eq!(history[0].took.map(|took| took.as_millis()), Some(3500));
        assert_eq!(history[1].after.as_ref().map(ReleaseId::as_str), Some(OLD));
        let runs = told(&kept).runs();
        let seen: Vec<_> = runs.iter().map(|run| (run.who.as_str(), run.hosts.len(), run.entries.len())).collect();
        assert_eq!((history[0].verb.as_str(), history[0].environment.as_deref()), ("rollback", Some("prod")));
        // Of the older one only the proof is left.
        assert_eq!(seen, [("bob@desk", 1, 1), ("ann@desk", 0, 1)]);
        assert_eq!(runs[0].began.map(|at| at.as_second()), Some(2000));
    }

    #[test]
    fn what_was_stopped_keeps_its_release() {
        let lines = [format!("5 2001.00 stage 1 api 1 {OLD} -"), "9 2003.00 kept 1 proven".to_owned()];
        let after = |verb: &str| {
            let mut heard = told(&lines);
            let runs = &mut heard.records.values_mut().next().expect("a host").runs;
            runs[0].asked = Some(format!(r#"{{"verb":"{verb}","request":{{}}}}"#));
            heard.history()[0].after.clone()
        };
        assert_eq!(after("stop").as_ref().map(ReleaseId::as_str), Some(OLD));
        assert_eq!(after("remove"), None);
    }

    #[test]
    fn what_was_kept_and_then_taken_back_is_back() {
        let back = [
            format!("5 2001.00 stage 1 api 7 {OLD} {NEW}"),
            "6 2001.50 failed 1 3 1".to_owned(),
            "20 2003.00 switched 1".to_owned(),
            "21 2004.00 kept 1 proven".to_owned(),
            "22 2005.00 undone 1".to_owned(),
            "23 2006.00 kept 7 proven".to_owned(),
        ];
        let history = told(&back).history();
        let first = &history[0];
        assert_eq!((first.outcome, first.after.as_ref()), (Some(Outcome::RolledBack), first.before.as_ref()));
        assert_eq!(first.error.as_deref(), Some("step 3: exit code 1"));
        assert_eq!(history.len(), 2);
    }
}
