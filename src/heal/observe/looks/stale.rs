//! stale: whether systemd still goes by an older text of the unit than the one that lies on the disk.

use crate::heal::Observation;
use crate::heal::observe::scene::{About, Heard, Look, Scene, none};

pub(super) const LOOK: Look = Look { name: "stale", about: About::Service, shell: "", calls: none, judge };

fn judge(scene: &Scene<'_>, heard: &Heard) -> Vec<Observation> {
    let mut found = Vec::new();
    for placed in &scene.services {
        for instance in heard.instances(placed) {
            let Some(stale) = instance.shown.get("NeedDaemonReload") else { continue };
            let one = scene.of(&LOOK, placed).of(&instance.name).with("unit", &instance.name);
            found.push(match *stale {
                "yes" => one.bad(format!("the file of {} changed, and systemd has not read it again", instance.name)),
                _ => one.good("systemd knows the unit as it is on the disk"),
            });
        }
    }
    found
}
