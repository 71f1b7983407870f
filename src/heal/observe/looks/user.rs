//! user: whether the user that a service runs as is known on the host.

use crate::heal::Observation;
use crate::heal::observe::scene::{About, Heard, Look, Placed, Scene};

pub(super) const LOOK: Look = Look { name: "user", about: About::Service, shell: SHELL, calls, judge };

const SHELL: &str = r#"
look_user() { if id -u -- "$1" >/dev/null; then echo known; else echo unknown; fi; }
"#;

fn calls(scene: &Scene<'_>) -> Vec<Vec<String>> {
    let call = |placed: &Placed<'_>| Some(vec![placed.service.name.to_string(), placed.service.account()?.to_owned()]);
    scene.services.iter().filter_map(call).collect()
}

fn judge(scene: &Scene<'_>, heard: &Heard) -> Vec<Observation> {
    let mut found = Vec::new();
    for placed in &scene.services {
        let Some(user) = placed.service.account() else { continue };
        let one = scene.of(&LOOK, placed).with("user", user);
        found.push(match heard.answer(&LOOK, placed.service.name.as_str()) {
            Ok("known") => one.good(format!("the user {user} is known")),
            Ok(_) => one.bad(format!("the user {user} is not known on the host")),
            Err(why) => one.unseen(why),
        });
    }
    found
}
