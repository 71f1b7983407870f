//! The looks, one file each. Their shell text runs in one exec, in the order of the list; each reads its answer and judges it.

mod access;
mod base;
mod ceiling;
mod certificate;
mod check;
mod clock;
mod compose;
mod container;
mod cordon;
mod disk;
mod docker;
mod drift;
mod enabled;
mod environment;
mod files;
mod firewall;
mod init;
mod inodes;
mod load;
mod log;
mod memory;
mod modes;
mod mounts;
mod names;
mod need;
mod null;
mod oom;
mod open_files;
mod owners;
mod pid_file;
mod port;
mod process;
mod program;
mod reach;
mod release;
mod remedies;
mod restarts;
mod runs;
mod stale;
mod start_limit;
mod tasks;
mod tmp;
mod unit;
mod user;
mod venv;

use crate::heal::observe::scene::Look;

pub(in crate::heal) use need::join as join_needs;
pub(in crate::heal) use reach::silence;
pub(super) use reach::{NAME as REACH, reach};

/// Every look that is taken with the exec: those about the host, then those about its services. What may hang comes late.
pub(super) const ALL: &[Look] = &[
    clock::LOOK,
    base::LOOK,
    cordon::LOOK,
    runs::LOOK,
    remedies::LOOK,
    memory::LOOK,
    load::LOOK,
    tasks::LOOK,
    files::LOOK,
    null::LOOK,
    tmp::LOOK,
    mounts::LOOK,
    disk::LOOK,
    inodes::LOOK,
    oom::LOOK,
    init::LOOK,
    docker::LOOK,
    compose::LOOK,
    release::LOOK,
    drift::LOOK,
    modes::LOOK,
    owners::LOOK,
    unit::LOOK,
    restarts::LOOK,
    start_limit::LOOK,
    enabled::LOOK,
    stale::LOOK,
    process::LOOK,
    pid_file::LOOK,
    container::LOOK,
    open_files::LOOK,
    ceiling::LOOK,
    port::LOOK,
    firewall::LOOK,
    program::LOOK,
    venv::LOOK,
    user::LOOK,
    access::LOOK,
    environment::LOOK,
    log::LOOK,
    names::LOOK,
    need::LOOK,
    check::LOOK,
    certificate::LOOK,
];

/// A number of bytes for a person.
fn bytes(bytes: u64) -> String {
    let mut unit = ("B", 1_u64);
    for next in [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40)] {
        if bytes >= next.1 {
            unit = next;
        }
    }
    match unit {
        ("B", _) => format!("{bytes} B"),
        // One digit is told, and what is there is never rounded up.
        (name, size) => format!("{}.{} {name}", bytes / size, bytes % size * 10 / size),
    }
}

/// The rows of a POSIX `df` table, each mount point once: all, used, available.
fn table(text: &str) -> Vec<(&str, [u64; 3])> {
    let mut rows: Vec<(&str, [u64; 3])> = Vec::new();
    for line in text.lines() {
        // The numbers are counted from the share, the only word that ends with `%`, or is `-` where there is nothing to share.
        let words: Vec<&str> = line.split_whitespace().collect();
        let share = words.iter().enumerate().skip(4).find(|(_, word)| word.ends_with('%') || **word == "-");
        let Some((share, _)) = share else { continue };
        let number = |back: usize| words[share - back].parse::<u64>().ok();
        let (Some(all), Some(used), Some(free)) = (number(3), number(2), number(1)) else { continue };
        let mount = mount(line, words[share]);
        if !mount.is_empty() && !rows.iter().any(|(at, _)| *at == mount) {
            rows.push((mount, [all, used, free]));
        }
    }
    rows
}

/// What stands behind the share: the mount point, which may hold blanks.
fn mount<'a>(line: &'a str, share: &str) -> &'a str {
    line.find(&format!(" {share} ")).map_or("", |at| line[at + share.len() + 2..].trim())
}

#[cfg(test)]
mod tests;
