//! need: whether the ports of what a service needs accept connections from its host, as the service itself would ask.

use std::collections::BTreeMap;

use crate::heal::Observation;
use crate::heal::observe::scene::{About, Heard, Look, Scene, Way, none};

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
            let one = one.with("at", &way.at).with("port", way.port);
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
