//! ceiling: whether a service is about to reach the memory or the number of tasks that its unit allows.

use crate::heal::Observation;
use crate::heal::observe::looks::process::facts;
use crate::heal::observe::scene::{About, Heard, Look, Scene, none};

pub(super) const LOOK: Look = Look { name: "ceiling", about: About::Service, shell: "", calls: none, judge };

fn judge(scene: &Scene<'_>, heard: &Heard) -> Vec<Observation> {
    let mut found = Vec::new();
    for placed in &scene.services {
        for instance in heard.instances(placed) {
            let Some(unit) = instance.unit.filter(|unit| unit.runs()) else { continue };
            let number = |key: &str| instance.shown.get(key)?.parse::<u64>().ok().filter(|number| *number < u64::MAX);
            let one = || scene.of(&LOOK, placed).with("unit", &instance.name);
            // What the unit uses holds the cache, too, which the kernel gives back; the process's own memory does not.
            let own = facts(heard, unit.pid).and_then(|get| get("rss")?.parse::<u64>().ok()).map(|rss| rss * 1024);
            if let (Some(own), Some(most)) = (own, number("MemoryMax")) {
                let says = format!("it uses {} of at most {} of memory", super::bytes(own), super::bytes(most));
                found.push(one().of("memory").with("limit", "memory").judged(own < most / 100 * 95, says));
            }
            if let (Some(count), Some(most)) = (number("TasksCurrent"), number("TasksMax")) {
                let says = format!("it has {count} of at most {most} tasks");
                found.push(one().of("tasks").with("limit", "tasks").judged(count * 100 < most * 95, says));
            }
        }
    }
    found
}
