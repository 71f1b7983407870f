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
    let rows = if text.lines().next().is_some_and(|head| head.contains(" ifree ")) {
        of_macos(text)
    } else {
        super::table(text)
    };
    let counted = rows.into_iter().filter(|(mount, [all, ..])| *all > 0 && !super::mounts::is_read_only(heard, mount));
    let one = |(mount, [all, _, free]): (&str, [u64; 3])| {
        let gone = free < 16 || free.saturating_mul(1000) / all < 5;
        let says = format!("{mount} has {free} of {all} inodes free");
        let one = scene.of_host(&LOOK).of(mount).with("mount", mount).with("free", free);
        // What a run of ours has, where the base folder lies.
        let one = if heard.seen().facts.mount.as_deref() == Some(mount) { one.with("room", free) } else { one };
        one.judged(!gone, says)
    };
    let found: Vec<_> = counted.map(one).collect();
    if found.is_empty() { vec![scene.of_host(&LOOK).good("no file system here counts inodes")] } else { found }
}

/// The rows as `df -i` of macOS has them, each mount point once: behind the blocks and their share stand the inodes and theirs.
fn of_macos(text: &str) -> Vec<(&str, [u64; 3])> {
    let mut rows: Vec<(&str, [u64; 3])> = Vec::new();
    for line in text.lines().skip(1) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let mut shares = words.iter().enumerate().filter(|(_, word)| word.ends_with('%'));
        let Some((share, _)) = shares.nth(1) else { continue };
        let number = |back: usize| words[share.checked_sub(back)?].parse::<u64>().ok();
        let (Some(used), Some(free)) = (number(2), number(1)) else { continue };
        let mount = super::mount(line, words[share]);
        if !mount.is_empty() && !rows.iter().any(|(at, _)| *at == mount) {
            rows.push((mount, [used.saturating_add(free), used, free]));
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::super::tests::{host_look, says};
    use super::LOOK;

    #[test]
    fn inodes_run_out() {
        let df = "Filesystem Inodes IUsed IFree IUse% Mounted on\nnone 100 100 0 100% /opt x\nbtrfs 0 0 0 - /\n";
        assert_eq!(says(&host_look(&LOOK, &[("heal/inodes ", df)])), ["bad /opt x has 0 of 100 inodes free"]);
        let frozen = [("heal/inodes ", df), ("heal/mounts ", "/ ext4 rw\n/opt\\040x squashfs ro\n")];
        assert_eq!(says(&host_look(&LOOK, &frozen)), ["good no file system here counts inodes"]);
        // As the manual page of macOS has it; written by us, and never seen on a Mac.
        let df = "Filesystem   512-blocks      Used Available Capacity iused     ifree %iused  Mounted on\n\
                  /dev/disk3s1s1  965595304  20159472 385146240     5%  404167 1925731200    0%   /\n\
                  /dev/disk3s5    965595304 541267216 385146240    59% 3000000         10  100%   /System/Volumes/Data\n";
        assert_eq!(
            says(&host_look(&LOOK, &[("heal/inodes ", df)])),
            [
                "good / has 1925731200 of 1926135367 inodes free",
                "bad /System/Volumes/Data has 10 of 3000010 inodes free"
            ]
        );
        assert_eq!(says(&host_look(&LOOK, &[("heal/inodes ", "")])), ["unseen the host's `df` cannot count inodes"]);
    }
}
