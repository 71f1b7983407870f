//! clock: how far the host's clock is from ours; certificates, logs and leases suffer from it.

use crate::heal::Observation;
use crate::heal::observe::scene::{About, Heard, Look, Scene, none};

pub(super) const LOOK: Look = Look { name: "clock", about: About::Host, shell: "", calls: none, judge };

/// What the way to the host and back may take, and what harms nobody, in seconds.
const MOST: i64 = 30;

fn judge(scene: &Scene<'_>, heard: &Heard) -> Vec<Observation> {
    let Some(theirs) = heard.seen().facts.clock else {
        return vec![scene.of_host(&LOOK).unseen("the host's `date` says no time")];
    };
    let ahead = theirs - heard.now;
    let says = format!("its clock is {ahead:+} s off this machine's");
    vec![scene.of_host(&LOOK).with("ahead_seconds", ahead).judged(ahead.abs() <= MOST, says)]
}
