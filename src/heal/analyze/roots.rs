//! What follows from what: over the host, within a service, and along the needs. Nothing follows from itself, in the end either.

use crate::heal::analyze::{Problem, World};
use crate::heal::playbook::Library;
use crate::heal::{Observation, Sight};
use crate::model::ServiceName;

/// The looks that tell whether others can use a service now.
const ACUTE: &[&str] = &["unit", "check", "port", "start_limit", "restarts", "process", "release", "firewall"];

/// Notes of each problem what it follows from.
pub(super) fn link(world: &World, seen: &[Observation], library: &Library, problems: &mut [Problem]) {
    for above in 0..problems.len() {
        for below in 0..problems.len() {
            let (cause, effect) = (&problems[below], &problems[above]);
            let follows = below != above
                && (at_home(library, cause, effect)
                    || along_needs(world, seen, cause, effect)
                    || behind(world, seen, cause, effect));
            if follows && !reaches(problems, below, above) {
                problems[above].follows.push(below);
            }
        }
    }
}

/// What breaks something is not latent, whatever its playbook says: a service that is down must not pass for well because of what
/// brought it down.
pub(super) fn wake(problems: &mut [Problem]) {
    for at in 0..problems.len() {
        let breaks = |other: usize| other != at && !problems[other].latent && reaches(problems, other, at);
        if problems[at].latent && (0..problems.len()).any(breaks) {
            problems[at].latent = false;
        }
    }
}

/// Whether `from` follows from `to`, over whatever lies between.
fn reaches(problems: &[Problem], from: usize, to: usize) -> bool {
    let (mut open, mut met) = (vec![from], vec![false; problems.len()]);
    while let Some(at) = open.pop() {
        if at == to {
            return true;
        }
        if !std::mem::replace(&mut met[at], true) {
            open.extend(&problems[at].follows);
        }
    }
    false
}

/// On one host: what a playbook says that it explains, and any symptom of a service of which a cause is known.
fn at_home(library: &Library, cause: &Problem, effect: &Problem) -> bool {
    if cause.host != effect.host || (cause.service.is_some() && cause.service != effect.service) {
        return false;
    }
    let named = library.books.get(&cause.name).is_some_and(|(book, _)| book.explains.contains(&effect.name));
    let own = cause.service.is_some() && !cause.symptom && !cause.latent && effect.symptom;
    named || own
}

/// A symptom of a service follows from what is wrong with what it needs, if that is down wherever it could be used.
fn along_needs(world: &World, seen: &[Observation], cause: &Problem, effect: &Problem) -> bool {
    let Some(service) = effect.service.as_ref().filter(|_| effect.symptom) else { return false };
    let needs = world.needs.get(service).map(Vec::as_slice).unwrap_or_default();
    match &cause.service {
        Some(need) => {
            let acute =
                cause.symptom || cause.evidence.iter().any(|number| ACUTE.contains(&seen[*number].look.as_str()));
            needs.contains(need) && acute && !cause.latent && is_down(world, seen, (need, effect))
        }
        // A host that nobody reaches is all that can be said of what is on it.
        None => {
            let lost = cause.evidence.iter().any(|number| seen[*number].look == "reach");
            let there = |need: &&ServiceName| world.hosts.get(*need).is_some_and(|hosts| hosts.contains(&cause.host));
            let refused = |need: &ServiceName| refuses(seen, need, effect);
            lost && needs.iter().filter(there).any(|need| world.hosts[need].len() == 1 || refused(need))
        }
    }
}

/// The kinds of ways to lose a host by which no other one is reached through it, either.
const SHUT: [&str; 8] = ["resolve", "refused", "unreachable", "silent", "key", "login", "link", "jump"];

/// That there is no way through a host follows from what keeps that one from being reached, or from letting us in.
fn behind(world: &World, seen: &[Observation], cause: &Problem, effect: &Problem) -> bool {
    let reach = |problem: &Problem, kinds: &[&str]| {
        let of = |one: &Observation| one.values.get("kind").is_some_and(|own| kinds.contains(&own.as_str()));
        problem.evidence.iter().map(|number| &seen[*number]).any(|one| one.look == "reach" && of(one))
    };
    let way = world.jumps.get(&effect.host).map(Vec::as_slice).unwrap_or_default();
    way.contains(&cause.host) && reach(cause, &SHUT) && reach(effect, &["jump"])
}

/// Whether a need is down on all its hosts, on the host of the one that needs it, or refuses it, if only as it starts.
pub(in crate::heal) fn is_down(world: &World, seen: &[Observation], (need, effect): (&ServiceName, &Problem)) -> bool {
    let bad = |host| {
        let acute = |one: &&Observation| one.sight == Sight::Bad && ACUTE.contains(&one.look.as_str());
        seen.iter().filter(acute).any(|one| one.service.as_ref() == Some(need) && one.host == host)
    };
    let hosts = world.hosts.get(need).map(Vec::as_slice).unwrap_or_default();
    hosts.iter().all(|host| bad(host.clone())) || bad(effect.host.clone()) || refuses(seen, need, effect)
}

/// Whether a need was tried from the host of the one that needs it, and did not accept, be it that it only starts.
fn refuses(seen: &[Observation], need: &ServiceName, effect: &Problem) -> bool {
    let tried = |one: &&Observation| one.look == "need" && one.host == effect.host && one.service == effect.service;
    seen.iter().filter(tried).any(|one| one.of == need.as_str() && (one.is_ill_there() || one.is_starting()))
}

/// Roots first, what breaks something before what does not, then by place and name.
pub(super) fn sorted(problems: Vec<Problem>) -> Vec<Problem> {
    let mut order: Vec<usize> = (0..problems.len()).collect();
    order.sort_by_key(|number| {
        let one = &problems[*number];
        (!one.is_root(), one.latent, one.service.is_some(), &one.host, &one.service, &one.name, &one.because)
    });
    let place = |number: &usize| order.iter().position(|other| other == number).unwrap_or_default();
    let moved = |number: &usize| {
        let mut one = problems[*number].clone();
        one.follows = one.follows.iter().map(place).collect();
        one.follows.sort_unstable();
        one
    };
    order.iter().map(moved).collect()
}
