//! Which remedy a problem gets, and whether it may be applied here and now.

use std::cmp::Reverse;
use std::path::PathBuf;
use std::time::Duration;

use crate::heal::analyze::is_down;
use crate::heal::diagnose::world;
use crate::heal::learn::Terms;
use crate::heal::left::cordons;
use crate::heal::playbook::{Deed, Learned, Origin, Playbook, Record, Risk, State};
use crate::heal::solve::cycle::{Healer, Refrained};
use crate::heal::solve::deed::{Found, Way, way};
use crate::heal::solve::ladder::{LADDER, RUNGS, Rung};
use crate::heal::solve::may::{Held, Wish, may};
use crate::heal::solve::remedy::Remedy;
use crate::heal::solve::stands::{ails, lacks_image, loops, rests, runs, shut, stopped};
use crate::heal::{Diagnosis, Observation, Problem, Sight};
use crate::journal::JournalError;
use crate::model::{HostName, Scope, ServiceName, UnitChange};
use crate::plan::Mend;

/// How long a service that needs no time to start has to be well after a remedy.
const MOMENT: Duration = Duration::from_secs(5);

/// A remedy that is thought of.
pub(super) struct Candidate {
    pub name: String,
    pub risk: Risk,
    /// How often it is tried.
    pub tries: usize,
    /// Or why it is not in our power.
    pub ways: Result<Vec<Way>, String>,
    pub says: String,
    /// The looks that saw the problem.
    pub looks: Vec<String>,
    /// The looks that must be good again, and how soon.
    pub until: Option<(Vec<String>, Duration)>,
    /// The file that it was learned into.
    pub learned: Option<PathBuf>,
    /// Whether it runs words that are no more than a draft.
    pub draft: bool,
    /// Whether it gives the user's files to another owner, or opens folders.
    pub owner: bool,
}

impl Candidate {
    fn new(name: String, risk: Risk, ways: Result<Vec<Way>, String>, says: String) -> Self {
        Self {
            name,
            risk,
            tries: 1,
            ways,
            says,
            looks: Vec::new(),
            until: None,
            learned: None,
            draft: false,
            owner: false,
        }
    }
}

impl Healer {
    /// What could help, the most fitting first: what was learned; the playbook's remedy; the ladder where nobody knows why it
    /// fails. Nothing is in it twice.
    pub(super) fn candidates(&self, problem: &Problem, seen: &Diagnosis) -> Vec<Candidate> {
        let service = self.service(problem);
        let found = self.found(problem, seen);
        let mut all = self.learned(problem, &found);
        if !problem.deeds.is_empty() {
            let mut own = Candidate::new(
                problem.name.clone(),
                problem.risk,
                problem.deeds.iter().map(|deed| way(deed, &found)).collect(),
                said(&problem.deeds),
            );
            (own.until, own.tries) = (problem.until.clone(), problem.tries);
            own.owner = problem.deeds.iter().any(gives) || comes(&found);
            all.push(own);
        }
        // What breaks nothing yet is not worth an interruption that may help or not; and where only the way is cleared for a
        // deploy, nothing is tried that may help or not.
        let general = self.library.books.get(&problem.name).is_none_or(|(book, _)| book.ladder);
        if problem.symptom && general && !problem.latent && service.is_some() && self.way_for.is_none() {
            // What runs is not started.
            let useful = |rung: &&Rung| rung.name != "start" || !runs(problem, seen);
            all.extend(RUNGS.iter().filter(useful).map(|rung| {
                let name = format!("{LADDER}{}", rung.name);
                Candidate::new(name, rung.risk, Ok(vec![(rung.way)()]), rung.says.to_owned())
            }));
        }
        let evidence = problem.evidence.iter().filter_map(|number| seen.observations.get(*number));
        let looks: Vec<String> = evidence.map(|one| one.look.clone()).collect();
        // To restart what rests is to start it: it interrupts nobody, and helps no more than the other. Of containers it is not, as
        // to start them may be to make them anew.
        let rests = service.is_some_and(|service| !service.kind.is_docker()) && rests(problem, seen);
        let mut met: Vec<Vec<Way>> = Vec::new();
        all.retain_mut(|one| {
            let Ok(mut ways) = one.ways.clone() else { return true };
            if let ([Way::Mend(Mend::Change(change @ UnitChange::Restart))], true) = (&mut *ways, rests) {
                *change = UnitChange::Start;
                one.risk = if one.risk == Risk::Disruptive { Risk::Safe } else { one.risk };
            }
            let new = !met.contains(&ways);
            met.push(ways);
            new
        });
        all.into_iter().map(|one| Candidate { looks: looks.clone(), ..one }).collect()
    }

    /// What a remedy stands on, where the problem was seen.
    pub(super) fn found<'a>(&self, problem: &'a Problem, seen: &'a Diagnosis) -> Found<'a> {
        let service = self.service(problem);
        let host = self.ground.registry.hosts.get(&problem.host);
        let terms = Terms::of(host, service, problem, &seen.observations);
        let scope = service.map_or(Scope::System, |service| service.scope);
        Found { problem, seen: &seen.observations, scope, terms }
    }

    /// What was learned of the problem, the most trusted first.
    fn learned(&self, problem: &Problem, found: &Found<'_>) -> Vec<Candidate> {
        let known = problem.known();
        let mut all: Vec<_> = self
            .library
            .books
            .values()
            .filter_map(|(book, origin)| Some((book, origin, book.learned.as_ref()?)))
            .filter(|(.., learned)| learned.solves == known && learned.state != State::Retired)
            .collect();
        let worth = |record: &Record| i64::from(record.worked) - i64::from(record.failed);
        all.sort_by_key(|(book, _, learned)| (Reverse(learned.state), Reverse(worth(&learned.record)), &book.name));
        let one = |(book, origin, learned): (&Playbook, &Origin, &Learned)| {
            let ways = book.deeds.iter().map(|deed| way(deed, found)).collect();
            let mut one = Candidate::new(book.name.clone(), book.risk, ways, said(&book.deeds));
            one.until = book.until.clone();
            one.owner = book.deeds.iter().any(gives) || comes(found);
            one.draft = learned.state == State::Draft && book.deeds.iter().any(Deed::is_words);
            one.learned = match origin {
                Origin::File(file) => Some(file.clone()),
                Origin::Shipped => None,
            };
            one
        };
        all.into_iter().map(one).collect()
    }

    /// What is left where nothing begins any more: what was decided keeps its reasons, and of all else it is said what holds it
    /// anyway, and that it is over where something may yet help.
    pub(super) fn left(
        &self,
        last: &Diagnosis,
        decided: &[Refrained],
        over: &str,
    ) -> Result<Vec<Refrained>, JournalError> {
        let mut all = Vec::new();
        for problem in last.roots() {
            let own = decided.iter().find(|one| one.problem.is_same(problem));
            let mut why = own.map(|own| own.why.clone()).unwrap_or_default();
            let mut more = false;
            let undecided = if own.is_none() { self.candidates(problem, last) } else { Vec::new() };
            for candidate in undecided {
                match self.allowed(problem, &candidate, last)? {
                    Ok(_) => more = true,
                    Err(held) => why.push((candidate.says, held)),
                }
            }
            why.extend(more.then(|| ("whatever else may help".to_owned(), over.to_owned())));
            all.push(Refrained { problem: problem.clone(), why });
        }
        Ok(all)
    }

    /// The remedy, ready to be planned; or why it is not applied.
    pub(super) fn allowed(
        &self,
        problem: &Problem,
        candidate: &Candidate,
        seen: &Diagnosis,
    ) -> Result<Result<Remedy, String>, JournalError> {
        let place = place(problem, candidate);
        if let Some(why) = shut(&place.host, seen) {
            return Ok(Err(why));
        }
        if let Some(need) = self.ill_need(problem, candidate, seen) {
            return Ok(Err(format!(
                "{need}, which it needs, is down or only starts, and nothing could prove that it helps"
            )));
        }
        let (service, host) = (self.of(&place), self.of_host(&place.host));
        let now = self.ground.clock.now();
        let within = jiff::SignedDuration::try_from(service.within.max(host.within)).unwrap_or_default();
        let since = now.checked_sub(within).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        let known = problem.known();
        let wish = Wish {
            host: &place.host,
            service: place.service.as_ref(),
            problem: &known,
            remedy: &candidate.name,
            risk: candidate.risk,
            tries: candidate.tries,
            asked: self.cure.risk.is_some_and(|risk| candidate.risk <= risk),
            draft: candidate.draft,
        };
        let held = match may(&wish, &service, &host, &self.past(since, seen)?, now) {
            Ok(()) if !wish.asked => match stopped(&place, seen) {
                None if self.protected(&place) => Some(Held::Protected),
                None if problem.latent && candidate.risk > Risk::Safe => Some(Held::Latent),
                None if problem.latent && candidate.owner && !ails(&place, seen) => Some(Held::Owner),
                held => held,
            },
            held => held.err(),
        };
        if let Some(held) = held {
            return Ok(Err(held.to_string()));
        }
        let ways = match self.ways(candidate, &place, seen) {
            Ok(ways) => ways,
            Err(why) => return Ok(Err(why)),
        };
        let Some(bearer) = self.bearer(&place, seen) else {
            return Ok(Err("no service of the registry was seen to lie on the host, so nothing is done there".into()));
        };
        let until = candidate.until.clone();
        // A playbook speaks for all services; one that says that it takes longer to start is given that time.
        let patience = self.patience(problem.service.as_ref());
        let until = until.map(|(looks, within)| (looks, within.max(patience)));
        let evidence = candidate.looks.clone();
        let treatment = self.treatment(&place, candidate.name.clone());
        let about = (problem.service.clone(), problem.host.clone());
        let (host, problem) = (place.host.clone(), problem.name.clone());
        // What ran once with a release is not undone by going back, and only a person can say whether that is right.
        let across = self.cure.risk == Some(Risk::Ask);
        Ok(Ok(Remedy { host, about, problem, bearer, ways, until, patience, evidence, treatment, across }))
    }

    /// What the service needs and is down for it, where the checks of the service are to prove the remedy: they ask what it needs, too.
    fn ill_need(&self, problem: &Problem, candidate: &Candidate, seen: &Diagnosis) -> Option<ServiceName> {
        let checks = candidate.until.as_ref().is_none_or(|(looks, _)| looks.iter().any(|look| look == "check"));
        let needs = self.service(problem).filter(|_| checks)?.needs.iter();
        let world = world(&self.ground);
        needs.into_iter().find(|need| is_down(&world, &seen.observations, (need, problem))).cloned()
    }

    /// How it is done where it is done; or why that cannot be.
    fn ways(&self, candidate: &Candidate, place: &Problem, seen: &Diagnosis) -> Result<Vec<Way>, String> {
        let ways = candidate.ways.clone()?;
        // That would only make the supervisor forget how often it did the same in vain.
        let again =
            |way: &Way| matches!(way, Way::Need(..) | Way::Mend(Mend::Change(UnitChange::Start | UnitChange::Restart)));
        // What is started again as a whole takes along what loops; to start one that stopped leaves another alone.
        let whole = ways.iter().any(|way| matches!(way, Way::Mend(Mend::Change(UnitChange::Restart))));
        if !ways.is_empty() && ways.iter().all(again) && loops(place, seen, whole) {
            return Err("its supervisor starts it again and again, and that does not help".into());
        }
        if !ways.is_empty() && ways.iter().all(again) && lacks_image(place, seen) {
            return Err("its image is gone from the host, and has to come back first".into());
        }
        if let [Way::Need(need, at)] = &*ways {
            if runs(place, seen) {
                return Err(format!("{need} runs on {at}; what lies between the two is in the way"));
            }
            return Ok(vec![Way::Mend(Mend::Change(UnitChange::Start))]);
        }
        if ways.iter().any(|way| matches!(way, Way::Mend(Mend::Aside { drain: true, .. }))) {
            self.carried(&place.host, seen)?;
        }
        if ways.iter().any(|way| matches!(way, Way::Need(..))) {
            return Err("portoser cannot do all of it in one transaction".into());
        }
        if self.way_for.is_some() && !ways.iter().all(|way| matches!(way, Way::Mend(_) | Way::Settle(_))) {
            return Err("it is another release that would come, and a deploy is under way".into());
        }
        Ok(ways)
    }

    /// Refuses to drain a host of what no other host was seen to carry, in service and well.
    fn carried(&self, host: &HostName, seen: &Diagnosis) -> Result<(), String> {
        let runs = |service: &ServiceName, host: &HostName| {
            seen.seen_by("unit", host, Some(service)).any(|one| one.sight == Sight::Good)
        };
        let open = |host: &HostName| {
            let mut words = seen.seen_by("cordon", host, None);
            words.next().is_some_and(|one| one.sight == Sight::Good && !cordons(one))
        };
        for service in self.ground.registry.services.values().filter(|service| service.hosts.contains(host)) {
            let well = |other: &HostName| {
                let ill = seen.seen_by("check", other, Some(&service.name)).any(|one| one.sight != Sight::Good);
                other != host && open(other) && runs(&service.name, other) && !ill
            };
            if runs(&service.name, host) && !service.hosts.iter().any(well) {
                return Err(format!("no other host was seen to carry {}", service.name));
            }
        }
        Ok(())
    }

    /// How long the service may take to be well after a remedy: as long as its checks give it after a start, and a moment.
    pub(super) fn patience(&self, service: Option<&ServiceName>) -> Duration {
        let service = service.and_then(|name| self.ground.registry.services.get(name));
        let checks = service.map(|service| service.checks.as_slice()).unwrap_or_default();
        checks.iter().map(|check| check.start_period).max().unwrap_or_default() + MOMENT
    }

    /// Whether a person has to approve what is done to it.
    fn protected(&self, problem: &Problem) -> bool {
        let service = self.service(problem);
        self.ground.registry.protected || service.is_some_and(|service| service.protected)
    }

    /// The service in whose name the host is changed: the problem's, or for a problem of the host's own the first one that was
    /// seen to lie there.
    fn bearer(&self, problem: &Problem, seen: &Diagnosis) -> Option<ServiceName> {
        let lies = |one: &&Observation| one.look == "release" && one.sight == Sight::Good && one.host == problem.host;
        let first = || seen.observations.iter().filter(lies).find_map(|one| one.service.clone());
        problem.service.clone().or_else(first)
    }
}

/// Where the remedy is applied: where the problem is, or at what the service needs. It counts there.
pub(super) fn place(problem: &Problem, candidate: &Candidate) -> Problem {
    match candidate.ways.as_deref() {
        Ok([Way::Need(need, at)]) => Problem { service: Some(need.clone()), host: at.clone(), ..problem.clone() },
        _ => problem.clone(),
    }
}

/// Whether a deed gives files to another owner.
fn gives(deed: &Deed) -> bool {
    (deed.verb(), deed.object()) == ("restore", "owner")
}

/// Whether it is about who may come to the service's folders.
fn comes(found: &Found<'_>) -> bool {
    found.problem.evidence.iter().any(|number| found.seen.get(*number).is_some_and(|one| one.look == "access"))
}

/// What steps do, in words.
fn said(deeds: &[Deed]) -> String {
    let says: Vec<String> = deeds.iter().map(ToString::to_string).collect();
    says.join(", then ")
}
