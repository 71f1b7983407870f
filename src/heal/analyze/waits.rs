//! Who needs what is starting waits for it: nobody can say yet what is wrong with it, and nothing is done or told.

use crate::heal::playbook::Library;
use crate::heal::sight::STARTING;
use crate::heal::{Observation, Problem, Sight, World, analyze};
use crate::model::{HostName, ServiceName};

/// As `analyze`, where symptoms of a service whose need is starting are unseen. Who needs that service waits, too, and so on.
#[must_use]
pub(in crate::heal) fn patient(world: &World, seen: &mut [Observation], library: &Library) -> Vec<Problem> {
    loop {
        let problems = analyze(world, seen, library);
        let waits = problems.iter().filter_map(|problem| Some((problem, awaited(world, seen, problem)?)));
        let waits: Vec<(usize, ServiceName)> = waits
            .flat_map(|(problem, need)| problem.evidence.iter().map(move |number| (*number, need.clone())))
            .collect();
        let mut met = false;
        for (number, need) in waits {
            let one = &mut seen[number];
            // What starts is no excuse for another need that refuses.
            let other = one.look == "need" && one.of != need.as_str();
            if one.sight == Sight::Bad && !other {
                one.sight = Sight::Unseen;
                one.says.push_str(&format!("; {need}, which it needs, is starting"));
                one.values.insert("state".into(), STARTING.into());
                met = true;
            }
        }
        // Each turn leaves less that is bad.
        if !met {
            return problems;
        }
    }
}

/// The need that a service waits for, of whose trouble no cause is known.
fn awaited(world: &World, seen: &[Observation], problem: &Problem) -> Option<ServiceName> {
    let service = problem.service.as_ref().filter(|_| problem.symptom && !problem.latent && problem.is_root())?;
    let starts_for_it = |need: &ServiceName| {
        let tried = |one: &&Observation| one.look == "need" && one.host == problem.host && one.of == need.as_str();
        let refused = seen.iter().filter(tried).any(|one| one.service.as_ref() == Some(service) && one.is_starting());
        let hosts = world.hosts.get(need).map(Vec::as_slice).unwrap_or_default();
        let everywhere = !hosts.is_empty() && hosts.iter().all(|host| starts(seen, need, host));
        refused || everywhere || starts(seen, need, &problem.host)
    };
    world.needs.get(service)?.iter().find(|need| starts_for_it(need)).cloned()
}

/// Whether a service is starting on a host.
fn starts(seen: &[Observation], service: &ServiceName, host: &HostName) -> bool {
    seen.iter().any(|one| one.service.as_ref() == Some(service) && one.host == *host && one.is_starting())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(name: &str) -> ServiceName {
        ServiceName::try_from(name).expect("a name")
    }

    /// The problems and what is still bad, where `web` needs `api`, that needs `db`, whose port is in this state on its host.
    fn found(state: &str, more: Vec<Observation>) -> (Vec<String>, Vec<String>) {
        let (one, two) = (HostName::try_from("one").expect("a name"), HostName::try_from("two").expect("a name"));
        let needs = [("web", "api"), ("api", "db")].map(|(name, need)| (service(name), vec![service(need)]));
        let hosts = [("web", &one), ("api", &one), ("db", &two)].map(|(name, at)| (service(name), vec![at.clone()]));
        let world = World { needs: needs.into(), hosts: hosts.into(), ..World::default() };
        let library = Library::load(std::path::Path::new("/nowhere")).unwrap_or_else(|_| panic!("they are valid"));
        let port = Observation::service("port", &two, &service("db")).of("5432").with("state", state);
        let ill = |name: &str| {
            let check = Observation::service("check", &one, &service(name)).of("http :80/").with("kind", "http");
            let said = vec!["connect ECONNREFUSED 192.0.2.2:5432".to_owned()];
            [
                check.bad("status 503, not 200"),
                Observation::service("log", &one, &service(name)).saying(said).good("a line"),
            ]
        };
        let mut seen = vec![if state == STARTING { port.unseen("not yet") } else { port.good("it listens") }];
        seen.extend(ill("web").into_iter().chain(ill("api")).chain(more));
        let problems = patient(&world, &mut seen, &library);
        let bad = seen.iter().filter(|one| one.sight == Sight::Bad).map(|one| format!("{} {}", one.look, one.of));
        (problems.iter().map(|one| one.name.clone()).collect(), bad.collect())
    }

    #[test]
    fn who_waits_for_a_need_is_unseen_as_far_as_nobody_knows_why_it_is_ill() {
        assert_eq!(found(STARTING, Vec::new()), (Vec::new(), Vec::new()));
        let (problems, bad) = found("own", Vec::new());
        assert!(!problems.is_empty() && bad.len() == 2, "{problems:?} {bad:?}");
        // Another need that refuses is not the one that starts.
        let host = HostName::try_from("one").expect("a name");
        let refuses = Observation::service("need", &host, &service("api")).of("cache").with("need", "cache");
        let refuses = refuses.with("there", "unknown").with("answer", "refused").bad("cache refuses connections");
        let (problems, bad) = found(STARTING, vec![refuses]);
        assert!(problems.contains(&"need-refused".to_owned()), "{problems:?}");
        assert!(bad.contains(&"need cache".to_owned()), "{bad:?}");
        // A cause that is known is no matter of the need.
        let host = HostName::try_from("one").expect("a name");
        let gone = Observation::service("program", &host, &service("api")).with("state", "missing").with("path", "/x");
        let (problems, bad) = found(STARTING, vec![gone.bad("/x is missing")]);
        assert!(problems.contains(&"program-missing".to_owned()), "{problems:?}");
        assert!(bad.contains(&"program ".to_owned()), "{bad:?}");
    }
}
