//! What the looks say of the place where a remedy is thought of: whether it is worth it there, and can be carried out.

use crate::heal::left::cordons;
use crate::heal::solve::may::Held;
use crate::heal::{Diagnosis, Observation, Problem, Sight};
use crate::model::HostName;

/// The room that a run takes on the disk of the base folder before it has done anything, its script and what it spares for its way back most of it; and so many files.
const ROOM: u64 = 320 << 10;
const FILES: u64 = 64;

/// What a look saw of the place of a problem.
fn at<'a>(look: &'a str, place: &'a Problem, seen: &'a Diagnosis) -> impl Iterator<Item = &'a Observation> {
    seen.seen_by(look, &place.host, place.service.as_ref())
}

/// The release in force of the service that a problem is about, as it was seen.
pub(super) fn in_force<'a>(place: &'a Problem, seen: &'a Diagnosis) -> Option<&'a String> {
    at("release", place, seen).find_map(|one| one.values.get("release"))
}

/// Whether a person stopped the service there, as the host itself keeps it.
pub(super) fn stopped(place: &Problem, seen: &Diagnosis) -> Option<Held> {
    let by = at("release", place, seen).find_map(|one| one.values.get("stopped"))?;
    place.service.as_ref().map(|_| Held::Stopped { by: by.clone() })
}

/// Whether anything of the service there breaks it.
pub(super) fn ails(place: &Problem, seen: &Diagnosis) -> bool {
    seen.problems.iter().any(|one| !one.latent && one.host == place.host && one.service == place.service)
}

/// Whether a service ends and is started by its supervisor again and again; unless the whole of it is meant, only those of its units
/// count that the problem names, if it names any.
pub(super) fn loops(place: &Problem, seen: &Diagnosis, whole: bool) -> bool {
    let here = |one: &&Observation| one.host == place.host && one.service == place.service;
    let evidence = place.evidence.iter().filter_map(|number| seen.observations.get(*number)).filter(here);
    let named: Vec<&String> = evidence.filter_map(|one| one.values.get("unit")).collect();
    let meant = |one: &&Observation| whole || named.is_empty() || named.contains(&&one.of);
    at("restarts", place, seen).filter(meant).any(|one| one.sight == Sight::Bad)
}

/// Whether a container of the service could not be made anew, which to start it may mean.
pub(super) fn lacks_image(place: &Problem, seen: &Diagnosis) -> bool {
    at("container", place, seen).any(|one| one.values.get("state").is_some_and(|state| state == "image-gone"))
}

/// Whether what supervises the service on the host says that it runs.
pub(super) fn runs(problem: &Problem, seen: &Diagnosis) -> bool {
    at("unit", problem, seen).any(|one| one.sight == Sight::Good)
}

/// Whether nothing of the service runs there, by what supervises it: to restart it is to start it then.
pub(super) fn rests(problem: &Problem, seen: &Diagnosis) -> bool {
    let mut units = at("unit", problem, seen).peekable();
    let is = |one: &Observation, key: &str, words: &[&str]| {
        one.values.get(key).is_some_and(|state| words.contains(&state.as_str()))
    };
    let rest = |one: &Observation| is(one, "active", &["failed", "inactive"]) || is(one, "sub", &["auto-restart"]);
    units.peek().is_some() && units.all(|one| one.sight == Sight::Bad && rest(one))
}

/// Why nothing is begun on the host: it is out of service, or has no room for a run.
pub(super) fn shut(host: &HostName, seen: &Diagnosis) -> Option<String> {
    let mut words = seen.observations.iter().filter(|one| one.host == *host && cordons(one));
    words.next().map(|one| one.says.clone()).or_else(|| roomless(host, seen))
}

/// Why no run can begin on the host: the disk of its base folder is so full that not even the run itself has room on it.
fn roomless(host: &HostName, seen: &Diagnosis) -> Option<String> {
    let here = seen.observations.iter().filter(|one| one.host == *host && one.sight == Sight::Bad);
    let short = |one: &Observation| {
        let room: u64 = one.values.get("room")?.parse().ok()?;
        match one.look.as_str() {
            "disk" if room < ROOM => Some(format!("a run takes {} KiB at least", ROOM >> 10)),
            "inodes" if room < FILES => Some(format!("a run takes {FILES} files at least")),
            _ => None,
        }
    };
    here.filter_map(|one| Some(format!("there is no room for a run on {host}: {}, and {}", one.says, short(one)?)))
        .next()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::heal::playbook::Library;
    use crate::heal::{World, analyze};
    use crate::model::ServiceName;

    #[test]
    fn one_instance_that_loops_forbids_no_start_of_another() {
        let (host, api) = (HostName::try_from("web1").expect("a name"), ServiceName::try_from("api").expect("a name"));
        let library = Library::load(std::path::Path::new("/nowhere")).unwrap_or_else(|_| panic!("they are valid"));
        let one = |look: &str, unit: &str| Observation::service(look, &host, &api).of(unit).with("unit", unit);
        let stopped = |unit: &str| {
            let down = one("unit", unit).with("active", "inactive").with("load", "loaded").with("result", "success");
            let down = down.with("status", "0").bad("it is down");
            let looping = one("restarts", "api@2.service").with("restarts", 7).bad("it was started again 7 times");
            let observations = vec![down, one("restarts", "api@1.service").good("it was not restarted"), looping];
            let problems = analyze(&World::default(), &observations, &library);
            let problem = problems.iter().find(|one| one.name == "unit-stopped").cloned().expect("a problem");
            (problem, Diagnosis { at: std::time::Instant::now(), observations, problems })
        };
        let (other, seen) = stopped("api@1.service");
        assert!(!loops(&other, &seen, false) && loops(&other, &seen, true));
        let (same, seen) = stopped("api@2.service");
        assert!(loops(&same, &seen, false));
        assert!(loops(&Problem { evidence: Vec::new(), ..same }, &seen, false), "none is named");
    }

    #[test]
    fn what_is_down_is_told_from_what_runs() {
        let (host, api) = (HostName::try_from("web1").expect("a name"), ServiceName::try_from("api").expect("a name"));
        let one = |active: &str, sub: &str| {
            let one = Observation::service("unit", &host, &api).of(sub).with("active", active).with("sub", sub);
            if active == "active" { one.good("it runs") } else { one.bad("it is down") }
        };
        let library = Library::load(std::path::Path::new("/nowhere")).unwrap_or_else(|_| panic!("they are valid"));
        for (seen, rest) in [
            (vec![one("failed", "failed")], true),
            (vec![one("activating", "auto-restart")], true),
            (vec![one("inactive", "dead"), one("active", "running")], false),
            (vec![one("active", "running")], false),
            (Vec::new(), false),
        ] {
            let check = Observation::service("check", &host, &api).with("kind", "http").bad("503");
            let observations: Vec<_> = seen.into_iter().chain([check]).collect();
            let problems = analyze(&World::default(), &observations, &library);
            let seen = Diagnosis { at: std::time::Instant::now(), observations, problems };
            assert_eq!(rests(&seen.problems[0], &seen), rest, "{:?}", seen.observations);
        }
    }

    #[test]
    fn a_run_needs_room_of_its_own() {
        let (host, other) = (HostName::try_from("web1").expect("a name"), HostName::try_from("db1").expect("a name"));
        let full = |look: &str, room: u64| Observation::host(look, &host).with("room", room).bad("/ is full");
        let elsewhere = Observation::host("disk", &host).bad("/var/log is full");
        for (seen, short) in [
            (vec![full("disk", 0)], true),
            (vec![elsewhere.clone(), full("disk", ROOM - 1)], true),
            (vec![full("disk", ROOM)], false),
            (vec![full("inodes", 3)], true),
            (vec![full("inodes", FILES)], false),
            // The disk of the base folder has room.
            (vec![elsewhere], false),
        ] {
            let seen = Diagnosis { at: std::time::Instant::now(), observations: seen, problems: Vec::new() };
            assert_eq!(roomless(&host, &seen).is_some(), short, "{:?}", seen.observations);
            assert_eq!(roomless(&other, &seen), None);
        }
    }
}
