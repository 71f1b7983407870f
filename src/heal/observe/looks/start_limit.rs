//! start_limit: whether the supervisor gave a service up, because it ended too often.

use crate::heal::Observation;
use crate::heal::observe::scene::{About, Heard, Look, Scene, none};

pub(super) const LOOK: Look = Look { name: "start_limit", about: About::Service, shell: "", calls: none, judge };

fn judge(scene: &Scene<'_>, heard: &Heard) -> Vec<Observation> {
    let mut found = Vec::new();
    for placed in &scene.services {
        for instance in heard.instances(placed) {
            let Some(unit) = instance.unit else { continue };
            // systemd often keeps the result of the last process (`exit-code`) when it gives up; its count tells then.
            let burst = instance.shown.get("StartLimitBurst").and_then(|burst| burst.parse::<u32>().ok());
            let counted = burst.is_some_and(|burst| burst > 0 && unit.restarts >= burst.saturating_sub(1).max(1));
            let failed = unit.active == "failed";
            let hit = unit.result == "start-limit-hit" || (failed && (unit.sub == "given-up" || counted));
            let one = scene.of(&LOOK, placed).of(&instance.name).with("unit", &instance.name);
            let one = one.with("restarts", unit.restarts);
            found.push(if hit {
                one.bad(format!("it was given up, having been started again {} times", unit.restarts))
            } else {
                one.good("its supervisor has not given it up")
            });
        }
    }
    found
}
