//! What others did to heal on a host, from what it keeps of its runs: budgets, cool-downs and the breaker count that, too.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::heal::solve::cycle::Healer;
use crate::heal::{Diagnosis, Observation, Problem};
use crate::host::run::{End, Treatment};
use crate::journal::{JournalError, Remedy, Verdict};
use crate::model::RunId;

impl Healer {
    /// All remedies since then: those of this machine's journal, and those of others that the hosts know of; the oldest first.
    pub(super) fn past(&self, since: Timestamp, seen: &Diagnosis) -> Result<Vec<Remedy>, JournalError> {
        let mut all = self.journal.remedies(since)?;
        // What this run does now is not in the journal before the host is ours.
        let own = [self.ground.run.clone()];
        let ours: BTreeSet<RunId> = all.iter().map(|one| one.run.clone()).chain(own).collect();
        let told = seen.observations.iter().filter(|one| one.look == "remedies");
        let told = told.flat_map(|one| one.lines.iter().filter_map(|line| remedy(one, line)));
        all.extend(told.filter(|one| !ours.contains(&one.run) && one.began >= since));
        all.sort_by_key(|one| one.began);
        Ok(all)
    }

    /// What a host is to keep of a remedy.
    pub(super) fn treatment(&self, problem: &Problem, remedy: String) -> Treatment {
        let (of, service) = (self.ground.run.clone(), problem.service.clone());
        Treatment { of, service, problem: problem.known(), remedy }
    }
}

/// A line of the look: the run, how it ended, and what it was a remedy for. What cannot be read is left out.
fn remedy(seen: &Observation, line: &str) -> Option<Remedy> {
    let (run, rest) = line.split_once(' ')?;
    let (state, treatment) = rest.split_once(' ')?;
    let began = RunId::try_from(run).ok()?.began()?;
    let verdict = match End::parse(state) {
        None => None,
        Some(End::Committed) => Some(Verdict::Helped),
        Some(End::RolledBack) => Some(Verdict::NoHelp),
        Some(End::RollbackFailed) => Some(Verdict::Failed),
        // Nothing was touched.
        Some(End::Stale | End::LockTimeout | End::Nothing) => return None,
    };
    let Treatment { of, service, problem, remedy } = Treatment::parse(treatment)?;
    Some(Remedy { run: of, service, host: seen.host.clone(), problem, remedy, began, ended: None, verdict })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_host_keeps_is_counted_and_what_it_makes_up_is_not() {
        let host = "web1".try_into().expect("a name");
        let seen = Observation::host("remedies", &host);
        let run = "20270115-080000-00000007";
        let read = |line: &str| remedy(&seen, line).map(|one| (one.remedy, one.verdict));
        let good = |word: &str| format!("{run} {word} {run} api unit-failed ladder: restart");
        assert_eq!(read(&good("committed")), Some(("ladder: restart".to_owned(), Some(Verdict::Helped))));
        assert_eq!(read(&good("rolled-back")), Some(("ladder: restart".to_owned(), Some(Verdict::NoHelp))));
        assert_eq!(read(&good("lives")), Some(("ladder: restart".to_owned(), None)));
        assert_eq!(read(&good("nothing")), None, "it was found to be needless");
        assert!(read(&format!("{run} committed {run} - disk-full disk-full")).is_some());
        for line in [
            "",
            run,
            &format!("{run} committed"),
            &format!("../x committed {run} - a b"),
            &format!("{run} committed {run} $(x) a b"),
        ] {
            assert_eq!(read(line), None, "{line}");
        }
    }
}
