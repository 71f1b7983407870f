//! open_files: whether a process has almost as many files open as it may.

use crate::heal::Observation;
use crate::heal::observe::looks::process::facts;
use crate::heal::observe::scene::{About, Heard, Look, Scene, none};

pub(super) const LOOK: Look = Look { name: "open_files", about: About::Service, shell: "", calls: none, judge };

fn judge(scene: &Scene<'_>, heard: &Heard) -> Vec<Observation> {
    let mut found = Vec::new();
    for placed in &scene.services {
        for instance in heard.instances(placed) {
            let Some(unit) = instance.unit.filter(|unit| unit.runs() && unit.pid > 0) else { continue };
            let Some(get) = facts(heard, unit.pid) else { continue };
            let one = scene.of(&LOOK, placed).of(&instance.name).with("unit", &instance.name).with("pid", unit.pid);
            let number = |key| get(key).and_then(|value| value.parse::<u64>().ok());
            found.push(match (number("files"), number("most"), get("most")) {
                (Some(open), Some(most), _) => {
                    let one = one.with("open", open).with("most", most);
                    one.judged(open * 100 < most * 90, format!("it has {open} of at most {most} files open"))
                }
                (_, None, Some(_)) => one.good("it may open as many files as it wants"),
                _ => one.unseen("its open files cannot be counted as this user"),
            });
        }
    }
    found
}
