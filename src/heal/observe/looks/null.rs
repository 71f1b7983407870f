//! null: whether /dev/null swallows; a file in its place fills with what nobody wants.

use crate::heal::Observation;
use crate::heal::observe::scene::{About, Heard, Look, Scene, once};

pub(super) const LOOK: Look = Look { name: "null", about: About::Host, shell: SHELL, calls: once, judge };

const SHELL: &str = r#"
look_null() { if [ ! -c /dev/null ]; then echo 'is no device'; elif [ ! -w /dev/null ]; then echo 'cannot be written'; else echo ok; fi; }
"#;

fn judge(scene: &Scene<'_>, heard: &Heard) -> Vec<Observation> {
    vec![match heard.answer(&LOOK, "") {
        Ok("ok") => scene.of_host(&LOOK).good("/dev/null swallows"),
        Ok(wrong) => scene.of_host(&LOOK).bad(format!("/dev/null {wrong}")),
        Err(why) => scene.of_host(&LOOK).unseen(why),
    }]
}

#[cfg(test)]
mod tests {
    use super::super::tests::{host_look, says};
    use super::LOOK;

    #[test]
    fn a_file_in_its_place_is_told() {
        assert_eq!(says(&host_look(&LOOK, &[("heal/null ", "is no device")])), ["bad /dev/null is no device"]);
        assert_eq!(says(&host_look(&LOOK, &[("heal/null ", "ok")])), ["good /dev/null swallows"]);
    }
}
