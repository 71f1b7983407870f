//! mounts: file systems that are read-only where services write.

use crate::heal::Observation;
use crate::heal::observe::scene::{About, Heard, Look, Scene, once};
use crate::host::Layout;

pub(super) const LOOK: Look = Look { name: "mounts", about: About::Host, shell: SHELL, calls: once, judge };

const SHELL: &str = r#"
look_mounts() {
  if [ ! -r /proc/mounts ] && [ "$init" = launchd ]; then
    echo '= mount'
    bounded mount
    return
  fi
  [ -r /proc/mounts ] || { lacks /proc/mounts; return; }
  while read -r device at type options rest; do printf '%s %s %s\n' "$at" "$type" "$options"; done </proc/mounts
}
"#;

fn judge(scene: &Scene<'_>, heard: &Heard) -> Vec<Observation> {
    let mounts = match told(heard) {
        Ok(mounts) if mounts.is_empty() => return vec![scene.of_host(&LOOK).unseen("the list of mounts is empty")],
        Ok(mounts) => mounts,
        Err(why) => return vec![scene.of_host(&LOOK).unseen(why)],
    };
    let base = Layout::new(&heard.seen().facts.base);
    let mut found: Vec<Observation> = Vec::new();
    // Of the root itself nothing is asked: on an immutable system it is read-only by intent.
    for path in [base.base(), "/var", "/var/log", "/tmp"] {
        let Some((at, read_only)) = holding(&mounts, path) else { continue };
        if found.iter().any(|one| one.of == *at) {
            continue;
        }
        let says = if *read_only { format!("{at} is read-only") } else { format!("{at} is writable") };
        found.push(scene.of_host(&LOOK).of(at).with("mount", at).judged(!read_only, says));
    }
    found
}

/// Whether nobody can write to this mount point, as far as the host tells: what is there fills up no more.
pub(super) fn is_read_only(heard: &Heard, mount: &str) -> bool {
    let mounts = told(heard).unwrap_or_default();
    holding(&mounts, mount).is_some_and(|(at, read_only)| at == mount && *read_only)
}

fn told(heard: &Heard) -> Result<Vec<(String, bool)>, String> {
    let text = heard.answer(&LOOK, "")?;
    Ok(match text.strip_prefix("= mount") {
        Some(text) => of_macos(text),
        None => text.lines().filter_map(mount).collect(),
    })
}

/// The mount that is seen at a path: the last of those that lie deepest.
fn holding<'m>(mounts: &'m [(String, bool)], path: &str) -> Option<&'m (String, bool)> {
    let holds = mounts.iter().filter(|(at, _)| path == at || at == "/" || path.starts_with(&format!("{at}/")));
    holds.max_by_key(|(at, _)| at.len())
}

/// The same, from `DEVICE on POINT (TYPE, OPTION, ...)` of `mount` of macOS. What is written to its sealed root goes to the volume of data.
fn of_macos(text: &str) -> Vec<(String, bool)> {
    let one = |line: &str| {
        let (rest, options) = line.strip_suffix(')')?.rsplit_once(" (")?;
        let (_, at) = rest.split_once(" on ")?;
        let has = |name: &str| options.split(", ").any(|option| option == name);
        Some((at.to_owned(), has("read-only"), has("sealed")))
    };
    let all: Vec<_> = text.lines().filter_map(one).collect();
    let data = all.iter().find(|(at, ..)| at == "/System/Volumes/Data").map(|(_, read_only, _)| *read_only);
    let written = |(at, read_only, sealed)| (at, if sealed { data.unwrap_or(false) } else { read_only });
    all.into_iter().map(written).collect()
}

/// Mount point and whether it is read-only, from `POINT TYPE OPTIONS`; blanks in a point are escaped as `\040` (fstab(5)).
fn mount(line: &str) -> Option<(String, bool)> {
    let (rest, options) = line.rsplit_once(' ')?;
    let (at, _) = rest.rsplit_once(' ')?;
    Some((at.replace("\\040", " "), options.split(',').any(|option| option == "ro")))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{host_look, says};
    use super::LOOK;

    #[test]
    fn what_is_read_only_beside_the_services_does_not_matter() {
        let text = "/ overlay rw,relatime\n/sys sysfs ro\n/opt ext4 rw\n/opt/portoser tmpfs ro,nosuid\n";
        let found = host_look(&LOOK, &[("heal/mounts ", text)]);
        assert_eq!(says(&found), ["bad /opt/portoser is read-only", "good / is writable"]);
        // As Fedora CoreOS and openSUSE MicroOS have it.
        let text = "/ overlay ro,relatime\n/etc xfs rw\n/var xfs rw\n/opt btrfs rw\n/tmp tmpfs rw\n";
        let found = host_look(&LOOK, &[("heal/mounts ", text)]);
        assert_eq!(says(&found), ["good /opt is writable", "good /var is writable", "good /tmp is writable"]);
        let found = host_look(&LOOK, &[("heal/mounts ", "/ ext4 ro\n/var xfs rw\n/tmp tmpfs rw\n")]);
        assert_eq!(says(&found), ["bad / is read-only", "good /var is writable", "good /tmp is writable"]);
        // As the manual page of macOS has it; written by us, and never seen on a Mac.
        let text = "= mount\n/dev/disk3s1s1 on / (apfs, sealed, local, read-only, journaled)\ndevfs on /dev (devfs, local, nobrowse)\n\
                    /dev/disk3s5 on /System/Volumes/Data (apfs, local, journaled, nobrowse, protect)\n\
                    /dev/disk4s1 on /opt/portoser (apfs, local, read-only)\n";
        assert_eq!(
            says(&host_look(&LOOK, &[("heal/mounts ", text)])),
            ["bad /opt/portoser is read-only", "good / is writable"]
        );
        assert_eq!(
            says(&host_look(&LOOK, &[("heal/mounts ", "!lacks /proc/mounts")])),
            ["unseen the host has no /proc/mounts"]
        );
    }
}
