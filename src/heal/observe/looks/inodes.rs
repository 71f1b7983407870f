//! inodes: how many files may still be made where services, logs and temporary files lie.

use crate::heal::Observation;
use crate::heal::observe::scene::{About, Heard, Look, Scene, once};

pub(super) const LOOK: Look = Look { name: "inodes", about: About::Host, shell: SHELL, calls: once, judge };

const SHELL: &str = r#"
look_inodes() { bounded df -Pi "$near" / /var /var/log /tmp || :; }
"#;

fn judge(scene: &Scene<'_>, heard: &Heard) -> Vec<Observation> {
    let text = match heard.answer(&LOOK, "") {
        Ok("") => return vec![scene.of_host(&LOOK).unseen("the host's `df` cannot count inodes")],
        Ok(text) => text,
        Err(why) => return vec![scene.of_host(&LOOK).unseen(why)],
    };
    // File systems that make inodes as they need them say that they have none.
    let counted = super::table(text).into_iter().filter(|(_, [all, ..])| *all > 0);
    let one = |(mount, [all, _, free]): (&str, [u64; 3])| {
        let gone = free < 16 || free.saturating_mul(1000) / all < 5;
        let says = format!("{mount} has {free} of {all} inodes free");
        scene.of_host(&LOOK).of(mount).with("mount", mount).with("free", free).judged(!gone, says)
    };
    let found: Vec<_> = counted.map(one).collect();
    if found.is_empty() { vec![scene.of_host(&LOOK).good("no file system here counts inodes")] } else { found }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{host_look, says};
    use super::LOOK;

    #[test]
    fn inodes_run_out() {
        let df = "Filesystem Inodes IUsed IFree IUse% Mounted on\nnone 100 100 0 100% /opt x\nbtrfs 0 0 0 - /\n";
        assert_eq!(says(&host_look(&LOOK, &[("heal/inodes ", df)])), ["bad /opt x has 0 of 100 inodes free"]);
        assert_eq!(says(&host_look(&LOOK, &[("heal/inodes ", "")])), ["unseen the host's `df` cannot count inodes"]);
    }
}
