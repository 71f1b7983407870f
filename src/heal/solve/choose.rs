//! Which remedy a problem gets, and whether it may be applied here and now.

use std::time::Duration;

use crate::heal::playbook::Risk;
use crate::heal::solve::cycle::Healer;
use crate::heal::solve::deed::{Found, Way, way};
use crate::heal::solve::ladder::{RUNGS, Rung};
use crate::heal::solve::may::{Held, Wish, may};
use crate::heal::solve::remedy::Remedy;
use crate::heal::{Diagnosis, Observation, Problem, Sight};
use crate::journal::{HistoryEntry, JournalError};
use crate::model::{Scope, ServiceName, UnitChange};
use crate::plan::Mend;

/// How long a service that needs no time to start has to be well after a remedy.
const MOMENT: Duration = Duration::from_secs(5);

/// How far back the journal is read for what was done to a service on all its hosts.
const RECENT: u32 = 1000;

/// A remedy that is thought of.
pub(super) struct Candidate {
    pub name: String,
    pub risk: Risk,
    /// How often it is tried.
    pub tries: usize,
    /// None: it is not in our power.
    pub ways: Option<Vec<Way>>,
    pub says: String,
    /// The looks that saw the problem.
    pub looks: Vec<String>,
}

impl Healer {
    /// What could help, the most fitting first: the playbook's remedy; the ladder where nobody knows why it fails.
    pub(super) fn candidates(&self, problem: &Problem, seen: &Diagnosis) -> Vec<Candidate> {
        let service = self.service(problem);
        let found =
            Found { problem, seen: &seen.observations, scope: service.map_or(Scope::System, |service| service.scope) };
        let evidence = problem.evidence.iter().filter_map(|number| seen.observations.get(*number));
        let looks: Vec<String> = evidence.map(|one| one.look.clone()).collect();
        let mut all = Vec::new();
        if !problem.deeds.is_empty() {
            let says: Vec<String> = problem.deeds.iter().map(ToString::to_string).collect();
            let ways: Option<Vec<Way>> = problem.deeds.iter().map(|deed| way(deed, &found)).collect();
            all.push(Candidate {
                name: problem.name.clone(),
                risk: problem.risk,
                tries: problem.tries,
                ways,
                says: says.join(", then "),
                looks: looks.clone(),
            });
        }
        // What breaks nothing yet is not worth an interruption that may help or not; and where only the way is cleared for a
        // deploy, nothing is tried that may help or not.
        if problem.symptom && !problem.latent && service.is_some() && self.way_for.is_none() {
            // What runs is not started, and what the playbook does is not done twice.
            let own = all.first().and_then(|own: &Candidate| own.ways.clone());
            let useful =
                |rung: &&Rung| (rung.name != "start" || !runs(problem, seen)) && own != Some(vec![(rung.way)()]);
            all.extend(RUNGS.iter().filter(useful).map(|rung| Candidate {
                name: format!("ladder: {}", rung.name),
                risk: rung.risk,
                tries: 1,
                ways: Some(vec![(rung.way)()]),
                says: rung.says.to_owned(),
                looks: looks.clone(),
            }));
        }
        all
    }

    /// The remedy, ready to be planned; or why it is not applied.
    pub(super) fn allowed(
        &self,
        problem: &Problem,
        candidate: &Candidate,
        seen: &Diagnosis,
    ) -> Result<Result<Remedy, String>, JournalError> {
        let place = place(problem, candidate);
        let (service, host) = (self.of(&place), self.of_host(&place.host));
        let now = self.ground.clock.now();
        let within = jiff::SignedDuration::try_from(service.within.max(host.within)).unwrap_or_default();
        let since = now.checked_sub(within).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        let known = known(problem);
        let wish = Wish {
            host: &problem.host,
            service: problem.service.as_ref(),
            problem: &known,
            remedy: &candidate.name,
            risk: candidate.risk,
            tries: candidate.tries,
            asked: self.cure.risk.is_some_and(|risk| candidate.risk <= risk),
        };
        let held = match may(&wish, &service, &host, &self.journal.remedies(since)?, now) {
            Ok(()) if !wish.asked => match self.stopped(&place)? {
                None if self.protected(&place) => Some(Held::Protected),
                None if problem.latent && candidate.risk > Risk::Safe => Some(Held::Latent),
                held => held,
            },
            held => held.err(),
        };
        if let Some(held) = held {
            return Ok(Err(held.to_string()));
        }
        let start = || vec![Way::Mend(Mend::Change(UnitChange::Start))];
        let ways = candidate.ways.clone().map(|ways| if matches!(*ways, [Way::Need(..)]) { start() } else { ways });
        let Some(ways) = ways else {
            return Ok(Err("portoser cannot do this by itself".into()));
        };
        if ways.iter().any(|way| matches!(way, Way::Need(..))) {
            return Ok(Err("portoser cannot do all of it in one transaction".into()));
        }
        if self.way_for.is_some() && !ways.iter().all(|way| matches!(way, Way::Mend(_))) {
            return Ok(Err("it is another release that would come, and a deploy is under way".into()));
        }
        let Some(bearer) = self.bearer(&place, seen) else {
            return Ok(Err("no service of the registry was seen to lie on the host, so nothing is done there".into()));
        };
        if self.cure.only_look {
            return Ok(Err("it would be done".into()));
        }
        let until = problem.until.clone().filter(|_| candidate.name == problem.name);
        // A playbook speaks for all services; one that says that it takes longer to start is given that time.
        let patience = self.patience(problem);
        let until = until.map(|(looks, within)| (looks, within.max(patience)));
        let evidence = candidate.looks.clone();
        let about = (problem.service.clone(), problem.host.clone());
        let (host, problem) = (place.host.clone(), problem.name.clone());
        Ok(Ok(Remedy { host, about, problem, bearer, ways, until, patience, evidence }))
    }

    /// How long the service may take to be well after a remedy: as long as its checks give it after a start, and a moment.
    fn patience(&self, problem: &Problem) -> Duration {
        let service = self.service(problem);
        let checks = service.map(|service| service.checks.as_slice()).unwrap_or_default();
        checks.iter().map(|check| check.start_period).max().unwrap_or_default() + MOMENT
    }

    /// Whether a person has to approve what is done to it.
    fn protected(&self, problem: &Problem) -> bool {
        let service = self.service(problem);
        self.ground.registry.protected || service.is_some_and(|service| service.protected)
    }

    /// Whether the last thing that was done to the service there was to stop it, as far as this machine remembers.
    fn stopped(&self, problem: &Problem) -> Result<Option<Held>, JournalError> {
        let Some(service) = &problem.service else { return Ok(None) };
        let done = self.journal.changes(Some(service), RECENT)?;
        // A remedy is no person's word, and that of a host's problem stands in the name of any service there.
        let person = |entry: &HistoryEntry| entry.host == problem.host && !matches!(&*entry.verb, "heal" | "sweep");
        let last = done.into_iter().find(person);
        Ok(last.filter(|entry| entry.verb == "stop").map(|entry| Held::Stopped { run: entry.run.to_string() }))
    }

    /// The service in whose name the host is changed: the problem's, or for a problem of the host's own the first one that was
    /// seen to lie there.
    fn bearer(&self, problem: &Problem, seen: &Diagnosis) -> Option<ServiceName> {
        let lies = |one: &&Observation| one.look == "release" && one.sight == Sight::Good && one.host == problem.host;
        let first = || seen.observations.iter().filter(lies).find_map(|one| one.service.clone());
        problem.service.clone().or_else(first)
    }
}

/// Where the remedy is applied: where the problem is, or at what the service needs.
fn place(problem: &Problem, candidate: &Candidate) -> Problem {
    match candidate.ways.as_deref() {
        Some([Way::Need(need, at)]) => Problem { service: Some(need.clone()), host: at.clone(), ..problem.clone() },
        _ => problem.clone(),
    }
}

/// What the journal calls the problem: its fingerprint where nobody knows its cause, else its name.
pub(super) fn known(problem: &Problem) -> String {
    problem.fingerprint.clone().unwrap_or_else(|| problem.name.clone())
}

/// Whether what supervises the service on the host says that it runs.
fn runs(problem: &Problem, seen: &Diagnosis) -> bool {
    let mut found = seen.observations.iter().filter(|one| one.host == problem.host && one.service == problem.service);
    found.any(|one| matches!(one.look.as_str(), "unit" | "container") && one.sight == Sight::Good)
}
