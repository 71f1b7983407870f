//! What containers mount and only read: it lies by its content, and comes and goes with the releases that name it.

use std::path::Path;

use super::kit::{Bench, Machine};

/// Writes what the parts of that file only read.
pub(super) fn conf(folder: &Path, text: &str) {
    std::fs::create_dir_all(folder.join("conf")).expect("a folder");
    for name in ["a b", "key"] {
        std::fs::write(folder.join("conf").join(name), text).expect("a file");
    }
}

/// What a part reads comes back when it was edited, changes with the release, and goes when no release names it any more.
pub(super) fn read_only(bench: &Bench, machine: &Machine, folder: &Path) {
    let (name, list) = (format!("{}-shop", bench.id), "docker ps -q --filter label=com.docker.compose.service=db");
    let read = |text: &str| {
        let words = format!("docker exec $({list} --filter name={}) cat '/conf/a b' /run/secrets/key", bench.id);
        assert_eq!(machine.inside(&words), text.repeat(2), "the part reads it");
    };
    std::fs::write(folder.join("index"), "one").expect("a file");
    bench.run(&["deploy", "--all", "--overwrite"]).exits(0);
    read("first");
    conf(folder, "second");
    bench.run(&["deploy", "--all"]).exits(0);
    read("second");
    assert_eq!(bench.amiss(machine), "");
    bench.run(&["rollback", &name]).exits(0);
    read("first");
    std::fs::write(folder.join("index"), "four").expect("a file");
    bench.run(&["deploy", "--all"]).exits(0);
    let releases = format!("{}/services/{name}/releases", bench.base());
    let lies = machine.inside(&format!("cat {releases}/*/.portoser/mounts | sort -u; echo; ls {releases}/../mounts"));
    assert_eq!(lies.trim().split_once("\n\n").map(|(named, there)| named == there), Some(true), "{lies}");
}
