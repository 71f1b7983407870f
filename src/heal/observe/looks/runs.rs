//! runs: transactions that stopped in the middle, and who works on the host now.

use crate::heal::Observation;
use crate::heal::observe::scene::{About, Heard, Look, Scene, none};

pub(super) const LOOK: Look = Look { name: "runs", about: About::Host, shell: "", calls: none, judge };

fn judge(scene: &Scene<'_>, heard: &Heard) -> Vec<Observation> {
    let seen = heard.seen();
    let one = scene.of_host(&LOOK);
    if let Some(why) = &seen.hangs {
        return vec![one.unseen(why)];
    }
    let names: Vec<_> = seen.unfinished.iter().map(ToString::to_string).collect();
    vec![match (&seen.holder, names.is_empty()) {
        (Some(holder), _) if seen.busy => {
            let one = one.with("holder", holder).with("stopped", names.len());
            one.unseen(format!("a run changes the host now: {holder}"))
        }
        (_, false) => one.with("run", &names[0]).bad(format!("a run stopped in the middle: {}", names.join(", "))),
        (Some(holder), true) => one.with("holder", holder).good(format!("locked by {holder}")),
        (None, true) => one.good("no run is unfinished"),
    }]
}
