//! disk: the space that is left where services, logs and temporary files lie.

use crate::heal::Observation;
use crate::heal::observe::scene::{About, Heard, Look, Scene, once};

pub(super) const LOOK: Look = Look { name: "disk", about: About::Host, shell: SHELL, calls: once, judge };

const SHELL: &str = r#"
look_disk() { bounded df -Pk "$near" / /var /var/log /tmp /var/lib/docker || :; }
"#;

/// A file system is called full when less than this share and less than this much is free.
const SHARE: u64 = 3;
const ROOM: u64 = 1 << 30;
/// Or when less than this is free, however small it is.
const LEAST: u64 = 4 << 20;

fn judge(scene: &Scene<'_>, heard: &Heard) -> Vec<Observation> {
    let text = match heard.answer(&LOOK, "") {
        Ok(text) => text,
        Err(why) => return vec![scene.of_host(&LOOK).unseen(why)],
    };
    let table = super::table(text);
    if table.is_empty() {
        return vec![scene.of_host(&LOOK).unseen("`df` said nothing that can be read")];
    }
    let facts = &heard.seen().facts;
    let one = |(mount, [all, used, free]): (&str, [u64; 3])| {
        let (all, free) = (all.saturating_mul(1024), free.saturating_mul(1024));
        // What a file system keeps back is there for root.
        let kept = all.saturating_sub(used.saturating_mul(1024)).max(free);
        let room = (facts.mount.as_deref() == Some(mount)).then_some(if facts.uid == 0 { kept } else { free });
        let share = free.saturating_mul(100).checked_div(all).unwrap_or(100);
        let full = all > 0 && (free < LEAST || (share < SHARE && free < ROOM));
        let says = format!("{mount} has {} of {} free", super::bytes(free), super::bytes(all));
        let one = scene.of_host(&LOOK).of(mount).with("mount", mount).with("free", free).with("free_percent", share);
        // What a run of ours has, where the base folder lies.
        room.map_or(one.clone(), |room| one.with("room", room)).judged(!full, says)
    };
    table.into_iter().filter(|(mount, _)| !super::mounts::is_read_only(heard, mount)).map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{host_look, says};
    use super::LOOK;

    #[test]
    fn a_full_disk_is_told_by_its_mount() {
        let df = "Filesystem 1024-blocks Used Available Capacity Mounted on\n                  overlay 1000000 1000000 0 100% /\ntmpfs 100000 50000 50000 50% /tmp\noverlay 1000000 1000000 0 100% /\n";
        let found = host_look(&LOOK, &[("heal/disk ", df)]);
        assert_eq!(says(&found), ["bad / has 0 B of 976.5 MiB free", "good /tmp has 48.8 MiB of 97.6 MiB free"]);
        let room = |number: usize| found[number].values.get("room").map(String::as_str);
        assert_eq!((room(0), room(1)), (Some("0"), None), "only where the base folder lies");
        // What ext4 keeps back is there for root.
        let found = host_look(&LOOK, &[("heal/disk ", "head\n/dev/sda1 1000000 950000 0 100% /\n")]);
        assert_eq!((&*found[0].values["free"], &*found[0].values["room"]), ("0", "51200000"));
        // The image of an immutable root is always full.
        let found = host_look(&LOOK, &[("heal/disk ", df), ("heal/mounts ", "/ overlay ro\n/var xfs rw\n")]);
        assert_eq!(says(&found), ["good /tmp has 48.8 MiB of 97.6 MiB free"]);
        let found = host_look(&LOOK, &[("heal/disk ", "\n!late 5 df")]);
        assert_eq!(says(&found), ["unseen `df` did not answer within 5 s"]);
        assert_eq!(says(&host_look(&LOOK, &[])), ["unseen the host did not answer this"]);
    }
}
