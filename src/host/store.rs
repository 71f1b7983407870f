//! Where the engine of a host keeps its images: shell text that the look, a push, the runner and a remedy have in common.

/// Sets `$lies` by what `docker info` tells.
pub(crate) const STORE: &str = include_str!("store.sh");

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the script is tried in real shells")]
mod tests {
    use std::path::Path;
    use std::process::Command;

    use super::*;
    use crate::host::look::SHELLS;

    /// What engines tell, and what is made of it: root, driver, where images lie.
    const TOLD: &[(&str, &str)] = &[
        (
            "/var/lib/docker|overlay2|[[Backing Filesystem extfs]]|[name=seccomp,profile=default]",
            "/var/lib/docker overlay2 own",
        ),
        ("/home/a/docker|vfs|[]|[name=seccomp,profile=default name=rootless]", "/home/a/docker vfs own"),
        (
            "/var/lib/docker|overlayfs|[[driver-type io.containerd.snapshotter.v1]]|[name=seccomp,profile=builtin]",
            "/var/lib/docker overlayfs containerd",
        ),
        (
            "/home/a/docker|overlayfs|[[driver-type io.containerd.snapshotter.v1]]|[name=seccomp name=rootless name=cgroupns]",
            "/home/a/docker overlayfs nobody",
        ),
        ("/var/lib/containers/storage|vfs|[[Backing Filesystem extfs]]|[]", "/var/lib/containers/storage vfs own"),
        ("/odd place/*|overlay2|[]|[]", "/odd place/* overlay2 own"),
        ("", "  own"),
    ];

    #[test]
    fn images_lie_where_the_engine_says() {
        // Whether containerd's folder is there is this machine's matter.
        let there = Path::new("/var/lib/containerd").is_dir();
        let show = r#"store "$1"; case $lies in "$root") of=own ;; /var/lib/containerd) of=containerd ;; '') of=nobody ;; *) of=$lies ;; esac
            printf '%s %s %s' "$root" "$driver" "$of""#;
        for (shell, (told, wanted)) in SHELLS.iter().flat_map(|shell| TOLD.iter().map(move |one| (shell, one))) {
            let wanted = if there { (*wanted).to_owned() } else { wanted.replace(" containerd", " nobody") };
            let script = format!("set -u\n{STORE}{show}");
            let ran = Command::new(shell[0])
                .args(&shell[1..])
                .args(["-c", &script, "store", told])
                .output()
                .expect("a shell");
            assert_eq!(
                String::from_utf8_lossy(&ran.stdout),
                wanted,
                "{shell:?} {told}: {}",
                String::from_utf8_lossy(&ran.stderr)
            );
        }
    }

    /// Texts that travel by themselves have it from here, and none says it once more in its own words.
    #[test]
    fn nobody_else_says_where() {
        let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
        let (mut asking, mut saying) = (Vec::new(), Vec::new());
        while let Some(folder) = folders.pop() {
            for path in std::fs::read_dir(folder).expect("a folder").map(|one| one.expect("an entry").path()) {
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|end| end == "sh") {
                    let text = std::fs::read_to_string(&path).expect("a script");
                    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                    if text.contains("$store_words") {
                        asking.push(name.clone());
                    }
                    if ["lib/containerd", "DockerRootDir", "name=rootless"].iter().any(|word| text.contains(word)) {
                        saying.push(name);
                    }
                }
            }
        }
        asking.sort();
        assert_eq!(asking, ["ask.sh", "compose.sh", "images.sh", "space.sh"]);
        assert_eq!(saying, ["store.sh"]);
    }
}
