//! drift: files of the release, or its units, that were changed on the host since we wrote them.

use crate::heal::Observation;
use crate::heal::observe::scene::{About, Heard, Look, Scene, none};

pub(super) const LOOK: Look = Look { name: "drift", about: About::Service, shell: "", calls: none, judge };

fn judge(scene: &Scene<'_>, heard: &Heard) -> Vec<Observation> {
    let mut found = Vec::new();
    for placed in &scene.services {
        let one = scene.of(&LOOK, placed);
        let Some(there) = heard.service(placed).filter(|there| there.readable().is_some()) else { continue };
        if let Some(why) = &there.hangs {
            found.push(one.unseen(why));
            continue;
        }
        if there.drift.is_empty() {
            found.push(one.good("all files are as they were written"));
            continue;
        }
        for line in &there.drift {
            // `sha256sum -c` says `PATH: FAILED`, or `PATH: FAILED open or read` of what is gone.
            let (path, what) = line.rsplit_once(": ").unwrap_or((line, "differs"));
            let gone = what.contains("open or read") || what.contains("missing") || what.contains("No such file");
            let one = one.clone().of(path).with("path", path).with("state", if gone { "gone" } else { "changed" });
            found.push(one.bad(format!("{path} {}", if gone { "is gone" } else { "was changed on the host" })));
        }
    }
    found
}
