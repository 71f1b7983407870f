//! restarts: whether a service ends and is started again and again.

use std::time::Duration;

use crate::heal::Observation;
use crate::heal::observe::scene::{About, Heard, Look, Scene, none};
use crate::host::SeenUnit;

pub(super) const LOOK: Look = Look { name: "restarts", about: About::Service, shell: "", calls: none, judge };

/// From so many restarts on, the last of them not longer ago than this, it is a loop.
const MANY: u32 = 3;
const LATELY: Duration = Duration::from_secs(120);

/// Between two lives it may be waiting, starting or running; what rests is no loop any more.
pub(super) fn loops(unit: &SeenUnit, uptime: Option<Duration>) -> bool {
    !unit.rests() && unit.restarts >= MANY && unit.age(uptime).is_none_or(|age| age < LATELY)
}

fn judge(scene: &Scene<'_>, heard: &Heard) -> Vec<Observation> {
    let mut found = Vec::new();
    for placed in &scene.services {
        for instance in heard.instances(placed) {
            let Some(unit) = instance.unit else { continue };
            let one = scene.of(&LOOK, placed).of(&instance.name).with("unit", &instance.name);
            let one = one.with("restarts", unit.restarts);
            let looping = loops(unit, heard.seen().facts.uptime);
            found.push(match unit.restarts {
                0 => one.good("it was not restarted"),
                count => one.judged(!looping, format!("it was started again {count} times by its supervisor")),
            });
        }
    }
    found
}
