//! enabled: whether a unit of ours starts with the host.

use crate::heal::Observation;
use crate::heal::observe::scene::{About, Heard, Look, Scene, none};
use crate::host::{SeenService, Supervisor};

pub(super) const LOOK: Look = Look { name: "enabled", about: About::Service, shell: "", calls: none, judge };

fn judge(scene: &Scene<'_>, heard: &Heard) -> Vec<Observation> {
    let mut found = Vec::new();
    for placed in &scene.services {
        let record = heard.service(placed).and_then(SeenService::readable);
        let Some(record) = record.filter(|record| record.supervisor == Supervisor::Systemd) else { continue };
        for (file, instance) in record.units.iter().zip(heard.instances(placed)) {
            // A unit of the user's own starts as the user wants it.
            let Some(state) = instance.shown.get("UnitFileState").filter(|_| file.enable.is_some()) else { continue };
            let one = scene.of(&LOOK, placed).of(&instance.name).with("unit", &instance.name).with("state", state);
            let verb = if state.starts_with("enabled") { "starts" } else { "does not start" };
            found.push(one.judged(state.starts_with("enabled"), format!("{} {verb} with the host", instance.name)));
        }
    }
    found
}
