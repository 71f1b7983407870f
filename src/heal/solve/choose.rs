//! Which remedy a problem gets, and whether it may be applied here and now.

use std::time::Duration;

use crate::heal::playbook::Risk;
use crate::heal::solve::cycle::Healer;
use crate::heal::solve::deed::{Found, Way, way};
use crate::heal::solve::ladder::{RUNGS, Rung};
use crate::heal::solve::may::{Held, Wish, may};
use crate::heal::solve::remedy::Remedy;
use crate::heal::{Diagnosis, Problem, Sight};
use crate::journal::{HistoryEntry, JournalError};
use crate::model::{Scope, ServiceName};

/// How long a service that needs no time to start has to be well after a remedy.
const MOMENT: Duration = Duration::from_secs(5);

/// How far back the journal is read for what was done to a service on all its hosts.
const RECENT: u32 = 1000;

/// A remedy that is thought of.
pub(super) struct Candidate {
    pub name: String,
    pub risk: Risk,
    /// None: it is not in our power.
    pub ways: Option<Vec<Way>>,
    pub says: String,
    /// The looks that saw the problem.
    pub looks: Vec<String>,
}

impl Healer<'_> {
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
                ways,
                says: says.join(", then "),
                looks: looks.clone(),
            });
        }
        // What breaks nothing yet is not worth an interruption that may help or not.
        if problem.symptom && !problem.latent && service.is_some() {
            // What runs is not started, and what the playbook does is not done twice.
            let own = all.first().and_then(|own: &Candidate| own.ways.clone());
            let useful =
                |rung: &&Rung| (rung.name != "start" || !runs(problem, seen)) && own != Some(vec![(rung.way)()]);
            all.extend(RUNGS.iter().filter(useful).map(|rung| Candidate {
                name: format!("ladder: {}", rung.name),
                risk: rung.risk,
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
    ) -> Result<Result<Remedy, String>, JournalError> {
        let (service, host) = (self.of(problem), self.of_host(&problem.host));
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
            asked: self.cure.risk.is_some_and(|risk| candidate.risk <= risk),
        };
        let held = match may(&wish, &service, &host, &self.journal.remedies(since)?, now) {
            Ok(()) if !wish.asked => match self.stopped(problem)? {
                None if self.protected(problem) => Some(Held::Protected),
                None if problem.latent && candidate.risk > Risk::Safe => Some(Held::Latent),
                held => held,
            },
            held => held.err(),
        };
        if let Some(held) = held {
            return Ok(Err(held.to_string()));
        }
        let Some(ways) = candidate.ways.clone() else {
            return Ok(Err("portoser cannot do this by itself".into()));
        };
        let Some(bearer) = self.bearer(problem) else {
            return Ok(Err("no service of the registry lies on the host, so nothing is done there".into()));
        };
        if self.cure.only_look {
            return Ok(Err("it would be done".into()));
        }
        let until = problem.until.clone().filter(|_| candidate.name == problem.name);
        // A playbook speaks for all services; one that says how long it takes to start is not waited for longer.
        let patience = match &problem.service {
            Some(_) => self.patience(problem),
            None => until.as_ref().map_or(MOMENT, |until| until.1),
        };
        let until = until.map(|(looks, within)| (looks, within.min(patience)));
        let evidence = candidate.looks.clone();
        let (host, problem) = (problem.host.clone(), problem.name.clone());
        Ok(Ok(Remedy { host, problem, bearer, ways, until, patience, evidence }))
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

    /// The service in whose name the host is changed: the problem's, or for a problem of the host's own the first one there.
    fn bearer(&self, problem: &Problem) -> Option<ServiceName> {
        let here = |name: &&ServiceName| {
            self.ground.registry.services.get(*name).is_some_and(|service| service.hosts.contains(&problem.host))
        };
        problem.service.clone().or_else(|| self.services.iter().find(here).cloned())
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
