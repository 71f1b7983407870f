//! release: whether the service is on the host, whole, and with a record that can be read.

use crate::heal::Observation;
use crate::heal::observe::scene::{About, Heard, Look, Placed, Scene, none};

pub(super) const LOOK: Look = Look { name: "release", about: About::Service, shell: "", calls: none, judge };

fn judge(scene: &Scene<'_>, heard: &Heard) -> Vec<Observation> {
    let one = |placed: &Placed<'_>| {
        let one = scene.of(&LOOK, placed);
        let Some(there) = heard.service(placed) else {
            return one.with("state", "absent").bad("it is not on the host");
        };
        if let (None, Some(why)) = (&there.record, &there.hangs) {
            return one.unseen(why);
        }
        match (&there.record, &there.current) {
            (Some(Ok(record)), _) => {
                let proven = there.proven.last().is_some_and(|last| *last == record.release);
                let one = one.with("release", &record.release).with("proven", if proven { "yes" } else { "no" });
                let back = there.proven.iter().rev().find(|id| **id != record.release && there.releases.contains(*id));
                let one = back.into_iter().fold(one, |one, back| one.with("before", back));
                let one = there.stopped.iter().fold(one, |one, by| one.with("stopped", by));
                one.good(format!("release {} is in force", record.release))
            }
            (Some(Err(why)), _) => one.with("state", "unreadable").bad(why.clone()),
            (None, _) if there.releases.is_empty() && there.proven.is_empty() => {
                one.with("state", "absent").bad("it is not on the host")
            }
            (None, _) => one.with("state", "dangling").bad("`current` leads to no release"),
        }
    };
    scene.services.iter().map(one).collect()
}
