//! base: whether our folder on the host can be written.

use crate::heal::Observation;
use crate::heal::observe::scene::{About, Heard, Look, Scene, none};

pub(super) const LOOK: Look = Look { name: "base", about: About::Host, shell: "", calls: none, judge };

fn judge(scene: &Scene<'_>, heard: &Heard) -> Vec<Observation> {
    let facts = &heard.seen().facts;
    if let Some(why) = &heard.seen().hangs {
        return vec![scene.of_host(&LOOK).with("path", &facts.base).unseen(why)];
    }
    let writable = facts.unwritable.is_none();
    let verb = if writable { "can" } else { "cannot" };
    let says = format!("{} {verb} be written as {}", facts.base, facts.user);
    vec![scene.of_host(&LOOK).with("path", &facts.base).with("user", &facts.user).judged(writable, says)]
}
