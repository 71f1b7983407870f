//! need: whether the ports of what a service needs accept connections from its host, as the service itself would ask. What was
//! started just now refuses nobody: whoever needs it waits.

use std::collections::{BTreeMap, BTreeSet};

use crate::heal::observe::looks::port;
use crate::heal::observe::scene::{About, Heard, Look, Scene, Way, none};
use crate::heal::sight::{STARTING, WELL};
use crate::heal::{Observation, Sight};
use crate::model::{HostName, ServiceName};

pub(super) const LOOK: Look = Look { name: "need", about: About::Service, shell: "", calls: none, judge };

fn judge(scene: &Scene<'_>, heard: &Heard) -> Vec<Observation> {
    let mut found = Vec::new();
    for placed in &scene.services {
        let mut needs: BTreeMap<&str, Vec<&Way>> = BTreeMap::new();
        for way in heard.ways.iter().filter(|way| way.service == placed.service.name) {
            needs.entry(way.need.as_str()).or_default().push(way);
        }
        for (need, ways) in needs {
            let one = scene.of(&LOOK, placed).of(need).with("need", need);
            // Of several hosts one that answers is enough.
            let best = ways.iter().min_by_key(|way| match way.open {
                Ok(true) => 0,
                Ok(false) => 1,
                Err(_) => 2,
            });
            let Some(way) = best else { continue };
            let place = format!("{}:{}", way.address, way.port);
            let one = one.with("at", &way.at).with("address", &way.address).with("port", way.port);
            found.push(match &way.open {
                Ok(true) => one.good(format!("{need} accepts connections at {place}")),
                Ok(false) => one.with("answer", "refused").bad(format!("{need} refuses connections at {place}")),
                Err(why) if why.contains("longer than") || why.contains("no answer") || why.contains("timed out") => {
                    one.with("answer", "silent").bad(format!("{need} does not answer at {place}"))
                }
                Err(why) => one.unseen(format!("{place}: {why}")),
            });
        }
    }
    found
}

/// What of a need only all observations together tell.
pub(in crate::heal) fn join(all: &mut [Observation]) {
    wait(all);
    tell_well(all);
}

/// The service, the host and the port that an observation is about.
fn place(one: &Observation) -> Option<(ServiceName, HostName, String)> {
    Some((one.service.clone()?, one.host.clone(), one.values.get("port")?.clone()))
}

/// Tells of what refuses whether it listens and is well on its own host: then it is the way there that is closed, and may have been
/// so for as long as nobody goes that way.
fn tell_well(all: &mut [Observation]) {
    let listens = |one: &&Observation| {
        one.look == port::LOOK.name
            && one.sight == Sight::Good
            && one.values.get("state").is_some_and(|state| state == "own")
    };
    let mut well: BTreeSet<(ServiceName, HostName, String)> = all.iter().filter(listens).filter_map(place).collect();
    for ill in all.iter().filter(|one| one.look == "check" && one.sight != Sight::Good) {
        well.retain(|(service, host, _)| ill.service.as_ref() != Some(service) || ill.host != *host);
    }
    for one in all.iter_mut().filter(|one| one.look == LOOK.name && one.sight == Sight::Bad) {
        let get = |key: &str| one.values.get(key).map(String::as_str).unwrap_or_default();
        let is = |(need, at, port): &(ServiceName, HostName, String)| {
            (need.as_str(), at.as_str(), port.as_str()) == (get("need"), get("at"), get("port"))
        };
        let there = if well.iter().any(is) { WELL } else { "unknown" };
        one.values.insert("there".into(), there.into());
    }
}

/// Takes back that a need refuses where that very port was seen to be starting: on another host, mostly, so that only all
/// observations together tell.
fn wait(all: &mut [Observation]) {
    let starts = |one: &&Observation| one.look == port::LOOK.name && one.is_starting();
    let starting: BTreeSet<(ServiceName, HostName, String)> = all.iter().filter(starts).filter_map(place).collect();
    if starting.is_empty() {
        return;
    }
    let refused = |one: &&mut Observation| one.look == LOOK.name && one.sight == Sight::Bad;
    for one in all.iter_mut().filter(refused) {
        let get = |key: &str| one.values.get(key).map(String::as_str).unwrap_or_default();
        let is = |(need, at, port): &(ServiceName, HostName, String)| {
            (need.as_str(), at.as_str(), port.as_str()) == (get("need"), get("at"), get("port"))
        };
        if get("answer") == "refused" && starting.iter().any(is) {
            one.sight = Sight::Unseen;
            one.says.push_str(", as it starts");
            one.values.insert("state".into(), STARTING.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::heal::playbook::Library;
    use crate::heal::{World, analyze};

    #[test]
    fn who_needs_what_is_starting_is_not_ill_for_it() {
        let (one, two) = (HostName::try_from("one").expect("a name"), HostName::try_from("two").expect("a name"));
        let (api, db) = (ServiceName::try_from("api").expect("a name"), ServiceName::try_from("db").expect("a name"));
        let library = Library::load(std::path::Path::new("/nowhere")).unwrap_or_else(|_| panic!("they are valid"));
        let found = |at: &HostName, state: &str| {
            let port = Observation::service("port", at, &db).of("5432").with("port", 5432).with("state", state);
            let port = if state == STARTING { port.unseen("nobody listens yet") } else { port.good("it listens") };
            let need = Observation::service("need", &one, &api).of("db").with("need", "db").with("answer", "refused");
            let need = need.with("at", "two").with("port", 5432).bad("db refuses connections at 192.0.2.2:5432");
            let mut seen = vec![need, port];
            join(&mut seen);
            let problems = analyze(&World::default(), &seen, &library);
            (seen[0].is_starting(), problems.iter().map(|one| one.name.clone()).collect::<Vec<_>>())
        };
        assert_eq!(found(&two, STARTING), (true, vec![]));
        // What starts elsewhere, or listens, is no excuse.
        assert_eq!(found(&one, STARTING), (false, vec!["need-refused".to_owned()]));
        assert_eq!(found(&two, "stranger"), (false, vec!["need-refused".to_owned()]));
        // There it is well, and nobody knows whether the way was ever gone.
        assert_eq!(found(&two, "own"), (false, vec!["need-unreachable".to_owned()]));
    }
}
