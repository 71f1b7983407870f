//! What makes room on a disk that is full: each step takes only what lies on the very file system that is full, and nothing else.

use crate::heal::solve::deed::{Found, Way, run};
use crate::model::{Cmd, Step};
use crate::plan::Mend;

/// How room is made on the mount that the problem names.
pub(super) fn prune(what: &str, found: &Found<'_>) -> Option<Way> {
    let mount = found.value("mount").filter(|mount| mount.starts_with('/'))?.to_owned();
    let (name, text) = match what {
        "releases" => return Some(Way::Mend(Mend::PruneReleases { mount })),
        "journal" => ("shorten-the-journal", JOURNAL),
        "caches" => ("empty-package-caches", CACHES),
        "images" => ("remove-unused-images", IMAGES),
        _ => return None,
    };
    Some(Way::Mend(Mend::Steps(vec![script(name, text, &mount)])))
}

fn script(name: &str, text: &str, mount: &str) -> Step {
    run(Cmd::new("/bin/sh").args(["-c", &[ON, text].concat(), name, mount]), None)
}

/// `on PATH`: whether it lies on the mount, or on another mount of the same device. `df -P` ends a line with the mount point, behind the
/// only word with a `%`: MOUNT
const ON: &str = "mount=$1; line() { df -Pk \"$1\" 2>/dev/null | tail -n 1; }; whole=$(line \"$mount\"); \
                  on() { [ -e \"$1\" ] || return 1; one=$(line \"$1\"); [ \"${one#*% }\" != \"$mount\" ] || return 0; \
                  case $one in /dev/*) [ \"${one%% *}\" = \"${whole%% *}\" ] ;; *) return 1 ;; esac; }; ";

const JOURNAL: &str = "command -v journalctl >/dev/null || exit 0; on /var/log/journal || on /run/log/journal || exit 0; \
                       journalctl --rotate; journalctl --vacuum-size=64M";

/// Each package tool empties its own cache in its own way.
const CACHES: &str = "if command -v apt-get >/dev/null && on /var/cache/apt; then apt-get clean; fi; \
                      if command -v dnf >/dev/null && on /var/cache/dnf; then dnf clean packages; fi; \
                      if command -v apk >/dev/null && on /etc/apk/cache; then apk cache clean; fi; exit 0";

/// Images without a name that no container uses; ours have names as long as their release is there. They lie in Docker's own folder, or
/// with containerd.
const IMAGES: &str = "command -v docker >/dev/null || exit 0; root=$(docker info --format '{{.DockerRootDir}}') || exit 0; \
                      on \"$root\" || on /var/lib/containerd || exit 0; docker image prune --force";

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
}
