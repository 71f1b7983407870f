//! tmp: whether everybody can write to the folder for temporary files.

use crate::heal::Observation;
use crate::heal::observe::scene::{About, Heard, Look, Scene, once};

pub(super) const LOOK: Look = Look { name: "tmp", about: About::Host, shell: SHELL, calls: once, judge };

const SHELL: &str = r#"
look_tmp() { [ -d /tmp/ ] && ls -ld /tmp/; }
"#;

fn judge(scene: &Scene<'_>, heard: &Heard) -> Vec<Observation> {
    let text = match heard.answer(&LOOK, "") {
        Ok(text) => text,
        Err(why) => return vec![scene.of_host(&LOOK).unseen(why)],
    };
    let mode = text.split_whitespace().next().unwrap_or_default();
    let one = scene.of_host(&LOOK).with("mode", mode).with("path", "/tmp");
    // The last three letters are what everybody may; `t` lets nobody remove the files of others.
    vec![match mode.get(7..10) {
        None => one.bad("there is no folder /tmp"),
        Some("rwt") => one.good("everybody can write to /tmp"),
        Some("rwx") => one.bad("everybody can remove everybody's files in /tmp"),
        Some(_) => one.bad(format!("not everybody can write to /tmp: its mode is {mode}")),
    }]
}

#[cfg(test)]
mod tests {
    use super::super::tests::{host_look, says};
    use super::LOOK;

    #[test]
    fn the_mode_is_read() {
        let found = |text: &str| says(&host_look(&LOOK, &[("heal/tmp ", text)]));
        assert_eq!(found("drwxrwxrwt 2 root root 40 Nov 21 12:00 /tmp/"), ["good everybody can write to /tmp"]);
        assert_eq!(
            found("drwxr-xr-x 2 root root 40 Nov 21 12:00 /tmp/"),
            ["bad not everybody can write to /tmp: its mode is drwxr-xr-x"]
        );
        assert_eq!(found(""), ["bad there is no folder /tmp"]);
    }
}
