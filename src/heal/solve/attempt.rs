//! The remedies of one host, one after the other until one is applied. What was seen is acted on only while it is so: when the host
//! is ours, what is older than a moment is looked at again, and what is not as it was ends the host's round.

use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::deploy::{Fault, unless_stopped};
use crate::heal::solve::choose::{Candidate, place};
use crate::heal::solve::cycle::{Healer, LATE, Refrained, Round, STOPPED, Treated};
use crate::heal::solve::planned::{settles, would};
use crate::heal::solve::remedy::{Halted, plan};
use crate::heal::solve::stands::in_force;
use crate::heal::{Diagnosis, Problem};
use crate::journal::{JournalError, StartOfRemedy, Verdict};
use crate::model::{Event, HostName, RunId};

/// What was seen by a look that began so long ago is looked at again before anything is done about it.
const FRESH: Duration = Duration::from_secs(3);

/// What came of an attempt.
enum Came {
    Treated(Box<Treated>),
    /// It may not be applied, and why; another one may be.
    Held(String),
    /// What it was chosen for is not so any more, and neither is what the others were chosen for.
    Passed(String),
}

impl Healer {
    /// Applies the first remedy that may be applied. What is not as it was seen ends the round, so that the host is looked at again; what
    /// had `passed` before and does so again keeps nobody from the others.
    pub(super) async fn on_host(
        &self,
        problems: Vec<Problem>,
        (seen, passed): (&Diagnosis, &[Problem]),
    ) -> Result<Round, JournalError> {
        let mut round = Round::default();
        for problem in problems {
            let (mut why, once) = (Vec::new(), passed.iter().any(|one| one.is_same(&problem)));
            for candidate in self.candidates(&problem, seen) {
                match self.attempt(&problem, &candidate, seen).await? {
                    Came::Treated(one) => {
                        round.treated.push(*one);
                        return Ok(round);
                    }
                    Came::Held(held) => why.push((candidate.says, held)),
                    Came::Passed(held) => {
                        why.push((candidate.says, held));
                        if !once {
                            round.passed.push(problem.clone());
                        }
                        break;
                    }
                }
            }
            round.refrained.push(Refrained { problem, why });
            if !round.passed.is_empty() {
                break;
            }
        }
        Ok(round)
    }

    /// Applies a remedy, if it may be; otherwise says why not.
    async fn attempt(&self, problem: &Problem, candidate: &Candidate, seen: &Diagnosis) -> Result<Came, JournalError> {
        let remedy = match self.allowed(problem, candidate, seen)? {
            Ok(remedy) => remedy,
            Err(why) => return Ok(Came::Held(why)),
        };
        if self.cure.only_look {
            return Ok(Came::Held(would(&self.ground, &remedy).await));
        }
        let announce = || {
            let text = format!("remedy: {}; {}", candidate.says, problem.because);
            self.told.tell(Event::Note { host: Some(problem.host.clone()), text });
        };
        // What stopped in the middle is settled before anything is planned; nothing else is begun before its plan says that it can be.
        let settling = remedy.ways.iter().any(|way| settles(way).is_some());
        if settling {
            announce();
        }
        let place = place(problem, candidate);
        let since = self.tried_since(&place)?;
        let (mut began, mut begun, mut kept) = (Instant::now(), None, None);
        // Each remedy is a run of its own on its host.
        let run = RunId::fresh(self.ground.clock.now());
        let ready = match plan(&self.ground, &self.library, remedy, run).await {
            Ok(ready) => ready,
            Err(Halted { why, touched: false }) => return Ok(Came::Held(why)),
            Err(Halted { why, touched: true }) => {
                let number = self.begin(&place, &candidate.name)?;
                let ended = (Verdict::Failed, Some(why));
                return self.came((problem, seen), candidate, number, ended, (began.elapsed(), since));
            }
        };
        if !settling {
            if let Some(over) = self.over() {
                return Ok(Came::Held(over.into()));
            }
            announce();
        }
        let wanted = async |queued: bool| {
            if !settling {
                let old = queued || self.is_old(&place.host, seen);
                kept = self.against(problem, candidate, old.then_some(seen)).await.transpose();
            }
            if kept.is_none() {
                began = Instant::now();
                begun = Some(self.begin(&place, &candidate.name));
            }
            matches!(begun, Some(Ok(_)))
        };
        let carried = ready.carry(&self.ground, wanted).await;
        if let Some(kept) = kept {
            return kept;
        }
        let ended = match carried {
            Ok(ended) => ended,
            // The remedy was chosen for what was seen, and that is not there any more.
            Err(Fault::Stale { .. }) => return Ok(Came::Passed("somebody else has changed it meanwhile".into())),
            Err(Fault::Interrupted) if begun.is_none() => return Ok(Came::Held(STOPPED.into())),
            Err(fault) => (Verdict::Failed, Some(fault.to_string())),
        };
        let number = begun.unwrap_or_else(|| self.begin(&place, &candidate.name))?;
        self.came((problem, seen), candidate, number, ended, (began.elapsed(), since))
    }

    /// Writes down what came of a remedy that was begun.
    fn came(
        &self,
        (problem, seen): (&Problem, &Diagnosis),
        candidate: &Candidate,
        number: i64,
        (verdict, says): (Verdict, Option<String>),
        (took, since): (Duration, Timestamp),
    ) -> Result<Came, JournalError> {
        self.journal.end_remedy(number, verdict)?;
        let noted = self.learn((problem, seen), candidate, verdict, (took, since));
        let (problem, remedy, did) = (problem.clone(), candidate.name.clone(), candidate.says.clone());
        Ok(Came::Treated(Box::new(Treated { problem, remedy, did, verdict, took, says, noted })))
    }

    /// Why nothing begins any more, if that is so.
    fn over(&self) -> Option<&'static str> {
        let stopped = self.ground.stop.is_cancelled().then_some(STOPPED);
        stopped.or_else(|| self.cure.is_over().then_some(LATE))
    }

    /// Whether what was seen of a host may not be so any more: it was long ago, or somebody else was at work there.
    fn is_old(&self, host: &HostName, seen: &Diagnosis) -> bool {
        let busy = || {
            seen.observations
                .iter()
                .any(|one| one.look == "runs" && one.values.contains_key("holder") && one.host == *host)
        };
        seen.at.elapsed() > FRESH || (self.ground.within(host).is_none() && busy())
    }

    /// What speaks against a remedy at the last moment, if anything does. Whoever was at work there may have mended it, or stopped it
    /// on purpose, while the host was waited for: what was seen before that is looked at again.
    async fn against(
        &self,
        problem: &Problem,
        candidate: &Candidate,
        old: Option<&Diagnosis>,
    ) -> Result<Option<Came>, JournalError> {
        let held = |over: &str| Ok(Some(Came::Held(over.to_owned())));
        if let Some(over) = self.over() {
            return held(over);
        }
        let Some(seen) = old else { return Ok(None) };
        let Some(now) = unless_stopped(&self.ground.stop, self.look_near(problem, seen)).await else {
            return held(STOPPED);
        };
        let passed = |why: &str| Ok(Some(Came::Passed(why.to_owned())));
        let Some(root) = now.roots().find(|root| root.is_same(problem)) else { return passed("it passed by itself") };
        if in_force(problem, &now) != in_force(problem, seen) {
            return passed("another release has come meanwhile");
        }
        let Some(same) = self.candidates(root, &now).into_iter().find(|one| one.name == candidate.name) else {
            return passed("it is not as it was");
        };
        Ok(self.allowed(root, &same, &now)?.err().map(Came::Passed))
    }

    /// Writes down that a remedy begins.
    pub(super) fn begin(&self, problem: &Problem, remedy: &str) -> Result<i64, JournalError> {
        self.journal.begin_remedy(&StartOfRemedy {
            run: self.ground.run.clone(),
            service: problem.service.clone(),
            host: problem.host.clone(),
            problem: problem.known(),
            remedy: remedy.to_owned(),
            evidence: serde_json::json!({ "because": problem.because, "sure": problem.sure }),
        })
    }
}
