//! cordon: whether a person took the host out of service. It is no fault; remedies leave such a host alone.

use crate::heal::Observation;
use crate::heal::observe::scene::{About, Heard, Look, Scene, none};

pub(super) const LOOK: Look = Look { name: "cordon", about: About::Host, shell: "", calls: none, judge };

fn judge(scene: &Scene<'_>, heard: &Heard) -> Vec<Observation> {
    let one = scene.of_host(&LOOK);
    vec![match &heard.seen().cordon {
        Some(why) => one.with("state", "cordoned").good(format!("it is cordoned {why}")),
        None => one.with("state", "open").good("it is in service"),
    }]
}
