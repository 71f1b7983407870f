//! What one who heals looks at, and when: everything at first, then what is near the problems, until all looks agree.

use std::collections::BTreeSet;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use crate::deploy::unless_stopped;
use crate::heal::diagnose::{judge, look};
use crate::heal::observe::silence;
use crate::heal::solve::cycle::{Healer, Treated};
use crate::heal::{Diagnosis, Observation, Patience, Problem};
use crate::journal::Verdict;
use crate::model::{HostName, ServiceName};
use crate::plan::Graph;
use crate::registry::Heal;

/// So many hosts are looked at again as a whole, however few of them have problems.
const FEW: usize = 8;

/// So long is waited for what a remedy has started, whatever its start period is.
const LONGEST_START: Duration = Duration::from_secs(120);

impl Healer {
    /// Looks at all services on all hosts, until the time of the pass is over.
    pub(super) async fn look(&self) -> Diagnosis {
        self.look_at(&self.services, &self.hosts, Patience::Pass(self.cure.until)).await
    }

    async fn look_at(
        &self,
        services: &BTreeSet<ServiceName>,
        hosts: &BTreeSet<HostName>,
        patience: Patience,
    ) -> Diagnosis {
        let quiet = self.ground.hushed();
        let (found, far) = look(&quiet, (services, hosts), &self.library, patience).await;
        // Where something is wrong, more is asked soon; everybody else's connection ends.
        let wrong: BTreeSet<&HostName> = found.roots().map(|root| &root.host).collect();
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend(far.into_iter().filter(|(host, _)| wrong.contains(host)));
        found
    }

    /// Looks again at what a problem may grow from: its service and what that needs, or its host and what lies on it; of all else
    /// counts what was seen. The time of the pass does not end it, as that would be lost with it; it has its own deadline.
    pub(super) async fn look_near(&self, problem: &Problem, last: &Diagnosis) -> Diagnosis {
        let registry = &self.ground.registry;
        let there = |name: &&ServiceName| {
            registry.services.get(*name).is_some_and(|service| service.hosts.contains(&problem.host))
        };
        let mut services: BTreeSet<ServiceName> = match &problem.service {
            Some(service) => Graph::of(registry).with_needs([service.clone()]),
            None => self.services.iter().filter(there).cloned().collect(),
        };
        services.retain(|name| self.services.contains(name));
        let needs = services.iter().filter(|name| problem.service.as_ref().is_some_and(|own| own != *name));
        let needs = needs.filter_map(|name| registry.services.get(name)).flat_map(|service| service.hosts.clone());
        let mut hosts: BTreeSet<HostName> = needs.filter(|host| self.hosts.contains(host)).collect();
        hosts.insert(problem.host.clone());
        let again = self.look_at(&services, &hosts, Patience::Whole).await;
        let asked = |one: &Observation| {
            hosts.contains(&one.host) && one.service.as_ref().is_none_or(|own| services.contains(own))
        };
        self.renewed(last, again, asked)
    }

    /// What was seen before, with the new in the place of what was asked again.
    fn renewed(&self, last: &Diagnosis, again: Diagnosis, asked: impl Fn(&Observation) -> bool) -> Diagnosis {
        let mut observations = last.observations.clone();
        observations.retain(|one| !asked(one));
        observations.extend(again.observations);
        observations.sort_by(|one, other| one.host.cmp(&other.host));
        judge(&self.ground, again.at, observations, &self.library)
    }

    /// Looks again at the hosts that have problems, and at those of what is needed there. What was seen elsewhere still counts:
    /// it is as old as the last look at everything. The time of the pass does not end this either.
    pub(super) async fn look_again(&self, last: &Diagnosis) -> Diagnosis {
        let hosts = self.near(last);
        let again = self.look_at(&self.services, &hosts, Patience::Whole).await;
        if hosts == self.hosts {
            return again;
        }
        self.renewed(last, again, |one| hosts.contains(&one.host))
    }

    /// The hosts that are near the problems; all of them, where they are few. To try one again that said nothing for as long as
    /// the looks would be apart would cost its deadline once more: no blip lasts so long, and one connection is itself many tries.
    pub(super) fn near(&self, seen: &Diagnosis) -> BTreeSet<HostName> {
        let silent = self.silent(seen);
        let all = || self.hosts.iter().filter(|host| !silent.contains(host));
        if self.hosts.len() <= FEW {
            return all().cloned().collect();
        }
        let registry = &self.ground.registry;
        let graph = Graph::of(registry);
        let ill: BTreeSet<&ServiceName> = seen.problems.iter().filter_map(|problem| problem.service.as_ref()).collect();
        let mut needs: BTreeSet<ServiceName> = BTreeSet::new();
        for own in ill {
            needs.extend(graph.with_needs([own.clone()]).into_iter().filter(|need| need != own));
        }
        let needs = needs.iter().filter_map(|name| registry.services.get(name));
        let mut hosts: BTreeSet<HostName> = needs.flat_map(|service| service.hosts.clone()).collect();
        hosts.extend(seen.problems.iter().map(|problem| problem.host.clone()));
        hosts.extend(seen.observations.iter().filter(|one| one.is_starting()).map(|one| one.host.clone()));
        all().filter(|host| hosts.contains(host)).cloned().collect()
    }

    /// The hosts that said nothing for as long as looks have to agree on what is wrong there.
    fn silent<'a>(&self, seen: &'a Diagnosis) -> BTreeSet<&'a HostName> {
        let long = |one: &&Observation| {
            let host = self.ground.registry.hosts.get(&one.host);
            host.is_some_and(|host| silence(one).is_some_and(|silent| silent >= span(&host.heal)))
        };
        seen.observations.iter().filter(long).map(|one| &one.host).collect()
    }

    /// Waits for what remedies have started: until then nobody can say whether they helped, and the next one would not begin.
    pub(super) async fn started(&self, mut last: Diagnosis, treated: &[Treated]) -> Diagnosis {
        let until = Instant::now() + LONGEST_START;
        let ours = |one: &Observation| {
            let same = |did: &Treated| did.problem.host == one.host && did.problem.service == one.service;
            one.is_starting() && treated.iter().any(same)
        };
        while last.observations.iter().any(ours) && Instant::now() < until {
            if self.cure.is_over() || !self.waits(Duration::from_secs(1)).await {
                break;
            }
            let Some(seen) = unless_stopped(&self.ground.stop, self.look_again(&last)).await else { break };
            last = seen;
        }
        last
    }

    /// Waits so long; not to the end where somebody wishes the run to stop.
    async fn waits(&self, time: Duration) -> bool {
        unless_stopped(&self.ground.stop, tokio::time::sleep(time)).await.is_some()
    }

    /// What a remedy did not help against may be gone at one look and there at the next: to be well takes as many looks as to be ill.
    pub(super) async fn passed(&self, mut last: Diagnosis, treated: &[Treated]) -> Diagnosis {
        let in_vain: Vec<&Problem> =
            treated.iter().filter(|one| one.verdict != Verdict::Helped).map(|one| &one.problem).collect();
        let heals: Vec<Heal> = in_vain.iter().map(|problem| self.of(problem)).collect();
        let apart = heals.iter().map(|heal| heal.apart).max().unwrap_or_default();
        for _ in 1..heals.iter().map(|heal| heal.looks).max().unwrap_or(1) {
            let gone = |problem: &&Problem| !last.problems.iter().any(|other| other.is_same(problem));
            if !in_vain.iter().any(gone) || self.cure.is_over() || !self.waits(apart).await {
                break;
            }
            let Some(seen) = unless_stopped(&self.ground.stop, self.look_again(&last)).await else { break };
            last = seen;
        }
        last
    }

    /// The roots that all looks agree on, in the order of the first. A blip is gone before it is treated. What became something else
    /// between two looks, as what loops until its supervisor gives it up, is looked at once more as what it is now.
    pub(super) async fn sure(&self, first: Diagnosis) -> (Vec<Problem>, Diagnosis) {
        let (roots, last) = self.agreed(first).await;
        let agreed = |root: &Problem| roots.iter().any(|other| other.is_same(root));
        let apart = last.roots().any(|root| self.concerns(&last, root) && !agreed(root));
        let over = self.ground.stop.is_cancelled() || self.cure.is_over();
        if apart && !over { self.agreed(last).await } else { (roots, last) }
    }

    async fn agreed(&self, mut last: Diagnosis) -> (Vec<Problem>, Diagnosis) {
        let mut roots: Vec<Problem> = last.roots().filter(|root| self.concerns(&last, root)).cloned().collect();
        let services = roots.iter().map(|root| self.of(root));
        let (mut looks, mut apart) = (1, Duration::ZERO);
        for heal in services {
            (looks, apart) = (looks.max(heal.looks), apart.max(heal.apart));
        }
        if self.cure.only_look {
            looks = 1;
        }
        for _ in 1..looks {
            if roots.is_empty() {
                break;
            }
            // What was seen less often than it has to be is not acted on.
            if self.ground.stop.is_cancelled() || self.cure.is_over() {
                return (Vec::new(), last);
            }
            if self.near(&last).is_empty() {
                break;
            }
            if !self.waits(apart).await {
                return (Vec::new(), last);
            }
            let Some(seen) = unless_stopped(&self.ground.stop, self.look_again(&last)).await else {
                return (Vec::new(), last);
            };
            last = seen;
            let still = |root: &Problem| last.roots().find(|other| root.is_same(other)).cloned();
            // The last look's own words and numbers are what is acted on.
            roots = roots.iter().filter_map(still).collect();
        }
        (roots, last)
    }
}

/// How long it takes until all looks have agreed, as far as nothing answers late.
fn span(heal: &Heal) -> Duration {
    heal.apart.saturating_mul(u32::try_from(heal.looks.saturating_sub(1)).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_agree_after_all_the_times_between_them() {
        let span = |looks| span(&Heal { looks, apart: Duration::from_secs(3), ..Heal::default() }).as_secs();
        assert_eq!([span(1), span(2), span(4)], [0, 3, 9]);
    }
}
