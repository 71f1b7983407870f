//! drift: files of the release, its units, and its containers, that were changed on the host since we wrote or made them.

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
        if there.is_as_written() {
            found.push(one.good("all is as it was written and made"));
            continue;
        }
        for line in &there.drift {
            let (path, what) = line.rsplit_once(": ").unwrap_or((line, "differs"));
            let one = one.clone().of(path).with("path", path);
            found.push(match what {
                "is missing" => one.with("state", "gone").bad(format!("{path} is gone")),
                // What is there and cannot be read may be as it was.
                "cannot be read" | "FAILED open or read" => one.unseen(format!("{path} cannot be read")),
                _ => one.with("state", "changed").bad(format!("{path} was changed on the host")),
            });
        }
        for (state, lines) in [("remade", &there.altered), ("namesake", &there.namesakes)] {
            for (name, why) in lines.iter().filter_map(|line| line.strip_prefix("container ")?.split_once(": ")) {
                let one = one.clone().of(name).with("container", name).with("why", why).with("state", state);
                found.push(one.bad(format!("container {name} is not as it was deployed: {why}")));
            }
        }
    }
    found
}
