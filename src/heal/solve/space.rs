//! What makes room on a disk that is full: each step takes only what lies on the very file system that is full, and nothing else.

use crate::heal::solve::deed::{Found, Way, run};
use crate::host::STORE;
use crate::model::{Cmd, Step};
use crate::plan::Mend;

/// How room is made on the mount that the problem names.
pub(super) fn prune(what: &str, found: &Found<'_>) -> Option<Way> {
    let mount = found.value("mount").filter(|mount| mount.starts_with('/'))?.to_owned();
    let (name, text) = match what {
        "releases" => return Some(Way::Mend(Mend::PruneReleases { mount })),
        "journal" => ("shorten-the-journal", "journal"),
        "caches" => ("empty-package-caches", "caches"),
        "images" => ("remove-unused-images", "images"),
        _ => return None,
    };
    Some(Way::Mend(Mend::Steps(vec![script(name, text, &mount)])))
}

const LIBRARY: &str = include_str!("space.sh");

fn script(name: &str, call: &str, mount: &str) -> Step {
    run(Cmd::new("/bin/sh").args(["-c", &format!("mount=$1\n{STORE}{LIBRARY}{call}"), name, mount]), None)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What lies on a mount, by the real `df`.
    #[test]
    #[expect(clippy::disallowed_methods, reason = "the script of the deeds is tried on real mounts")]
    fn what_lies_elsewhere_is_left_alone() {
        let on = |mount: &str, path: &str| {
            let Step::Run { cmd, .. } = script("trial", &format!("on {path}"), mount) else { panic!("it runs words") };
            let (program, words) = cmd.words().split_first().expect("words");
            std::process::Command::new(program).args(words).output().expect("ran").status.success()
        };
        let mount = |path: &str| {
            let out = std::process::Command::new("df").args(["-Pk", path]).output().expect("ran").stdout;
            let told = String::from_utf8_lossy(&out).into_owned();
            told.lines().last().and_then(|line| Some(line.split_once("% ")?.1.to_owned())).expect("a mount")
        };
        let (root, memory) = (mount("/"), mount("/dev/shm"));
        assert!(on(&root, "/") && on(&memory, "/dev/shm") && !on(&root, "/nowhere"));
        assert!(memory == root || !on(&root, "/dev/shm") && !on(&memory, "/"), "{root} {memory}");
    }

    /// `df` says so much is free; what is taken has to be the lack alone.
    #[test]
    #[expect(clippy::disallowed_methods, reason = "the script of the deeds is tried with a `df` of its own")]
    fn no_more_is_freed_than_is_missing() {
        let place = tempfile::tempdir().expect("a folder");
        let says = |all: u64, free: u64| {
            let df = place.path().join("df");
            let text = format!("#!/bin/sh\necho 'head\na b {all} 1 {free} 99% /m x'\n");
            std::fs::write(&df, text).expect("written");
            std::fs::set_permissions(&df, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("a mode");
            let Step::Run { cmd, .. } = script("trial", "enough && echo none", "/m x") else { panic!("it runs words") };
            let (program, words) = cmd.words().split_first().expect("words");
            let path = format!("{}:{}", place.path().display(), std::env::var("PATH").unwrap_or_default());
            let out = std::process::Command::new(program).args(words).env("PATH", path).output().expect("ran").stdout;
            String::from_utf8_lossy(&out).into_owned()
        };
        const GIB: u64 = 1 << 20;
        for (all, free, lack) in [
            (100 * GIB, 3 * GIB, None),
            (100 * GIB, GIB / 2, Some(2 * GIB - GIB / 2)),
            (10 * GIB, 0, Some(10 * GIB / 100 * 6)),
            (8192, 100, Some(4096 - 100)),
        ] {
            let said = says(all, free);
            assert_eq!(said.ends_with("none\n"), lack.is_none(), "{said}");
            assert!(lack.is_none_or(|lack| said.starts_with(&format!("{lack} KiB more"))), "{said}");
        }
    }
}
