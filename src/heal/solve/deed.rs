//! From a deed of a playbook to what is done on the host. Commands are words; what came from a host is only ever a word of
//! them, and each is looked at again there before anything is done to it.

use crate::heal::playbook::Deed;
use crate::heal::{Observation, Problem};
use crate::model::{Cmd, Scope, Step, UnitChange};
use crate::plan::Mend;

/// How a deed is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// In the run of the remedy.
    Mend(Mend),
    /// The release is written anew, as it was deployed.
    Restore,
    /// The release that was proven before comes back.
    Back,
}

/// What a deed is about: what was measured where the problem was seen.
pub(super) struct Found<'a> {
    pub problem: &'a Problem,
    pub seen: &'a [Observation],
    /// The scope of the service's units.
    pub scope: Scope,
}

impl Found<'_> {
    fn value(&self, name: &str) -> Option<&str> {
        let here = |one: &&Observation| {
            one.host == self.problem.host && (one.service.is_none() || one.service == self.problem.service)
        };
        let evidence = self.problem.evidence.iter().filter_map(|number| self.seen.get(*number));
        evidence.filter(here).filter_map(|one| one.values.get(name)).map(String::as_str).next()
    }

    /// The folder of ours on the host, as the host told.
    fn base(&self) -> Option<&str> {
        let here = |one: &&Observation| one.look == "base" && one.host == self.problem.host;
        self.seen.iter().find(here)?.values.get("path").map(String::as_str)
    }

    /// A path on the host that lies in a folder of ours which holds no data of the user's.
    fn ours(&self, name: &str) -> Option<&str> {
        let path = self.value(name)?;
        let within = path.strip_prefix(self.base()?)?.strip_prefix("/services/")?;
        (!within.split('/').any(|part| matches!(part, ".." | "shared"))).then_some(path)
    }

    fn pid(&self) -> Option<String> {
        self.value("pid")?.parse::<u32>().ok().filter(|pid| *pid > 1).map(|pid| pid.to_string())
    }
}

/// How the deed is done; nothing if it cannot be done from here.
pub(super) fn way(deed: &Deed, found: &Found<'_>) -> Option<Way> {
    let change = |change| Some(Way::Mend(Mend::Change(change)));
    let steps = |steps| Some(Way::Mend(Mend::Steps(steps)));
    match (deed.verb(), deed.object()) {
        ("start", "unit" | "container") => change(UnitChange::Start),
        ("restart", "unit" | "container") => change(UnitChange::Restart),
        ("reload", "unit") => change(UnitChange::Reload),
        ("read", "units") => steps(vec![Step::ReloadUnits { scope: found.scope }]),
        ("enable", "unit") => {
            let unit = found.value("unit")?;
            steps(vec![run(systemctl(found.scope, "enable", unit), Some(systemctl(found.scope, "disable", unit)))])
        }
        ("start", "docker") => {
            // Its undo stops the daemon only if it did not run before.
            let (unit, scope) = ("docker.service".to_owned(), Scope::System);
            steps(vec![Step::Unit { unit, scope, change: UnitChange::Start }])
        }
        ("continue", "process") => steps(vec![run(script("continue", CONTINUE, &found.pid()?), None)]),
        ("prune", "releases") => Some(Way::Mend(Mend::PruneReleases)),
        ("prune", "journal") => steps(vec![run(script("shorten-the-journal", JOURNAL, ""), None)]),
        ("prune", "caches") => steps(vec![run(script("empty-package-caches", CACHES, ""), None)]),
        ("prune", "images") => steps(vec![run(script("remove-unused-images", IMAGES, ""), None)]),
        // Every run settles what it finds in the middle before it does anything of its own.
        ("settle", "run") => steps(Vec::new()),
        ("restore", "mode") => {
            let path = found.ours("path")?;
            // A program lost its x, a folder its rx for others; the bits from before come back with the undo.
            let back = found.value("mode").and_then(octal).unwrap_or_else(|| "a-x".to_owned());
            let chmod = |mode: &str| Cmd::new("chmod").args([mode, "--", path]);
            steps(vec![run(chmod("a+rx"), Some(chmod(&back)))])
        }
        ("restore", "file") => Some(Way::Restore),
        ("roll-back", "release") => Some(Way::Back),
        _ => None,
    }
}

/// The mode that `ls` shows as `drwxr-x---`, in octal; nothing where it has more than permission bits.
fn octal(shown: &str) -> Option<String> {
    let bits = shown.get(1..10)?.chars().zip("rwxrwxrwx".chars());
    let digit = |have, bit| match have {
        '-' => Some('0'),
        _ => (have == bit).then_some('1'),
    };
    let binary: Option<String> = bits.map(|(have, bit)| digit(have, bit)).collect();
    Some(format!("0{:03o}", u32::from_str_radix(&binary?, 2).ok()?))
}

fn run(cmd: Cmd, undo: Option<Cmd>) -> Step {
    Step::Run { cmd, undo }
}

fn systemctl(scope: Scope, verb: &str, unit: &str) -> Cmd {
    let scope = if scope == Scope::User { "--user" } else { "--system" };
    Cmd::new("systemctl").args([scope, verb, "--", unit])
}

/// A script of ours under a name that the plan shows.
fn script(name: &str, text: &str, word: &str) -> Cmd {
    let cmd = Cmd::new("/bin/sh").args(["-c", text, name]);
    if word.is_empty() { cmd } else { cmd.arg(word) }
}

/// Only a process that is stopped goes on; another one that has its number by now is left alone. What goes on is not stopped
/// again: a process that does nothing helps nobody.
const CONTINUE: &str = "grep -q '^State:[[:space:]]*T' /proc/$1/status || exit 0; kill -CONT $1";

const JOURNAL: &str = "command -v journalctl >/dev/null || exit 0; journalctl --rotate; journalctl --vacuum-size=64M";

/// Each package tool empties its own cache in its own way.
const CACHES: &str = "if command -v apt-get >/dev/null; then apt-get clean; fi; \
                      if command -v dnf >/dev/null; then dnf clean packages; fi; \
                      if command -v apk >/dev/null && [ -d /etc/apk/cache ]; then apk cache clean; fi; exit 0";

/// Images without a name that no container uses; ours have names as long as their release is there.
const IMAGES: &str = "command -v docker >/dev/null || exit 0; docker image prune --force";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mode_is_read_as_ls_shows_it() {
        for (shown, mode) in [
            ("drwxr-x---", Some("0750")),
            ("-rw-r--r--", Some("0644")),
            ("d---------", Some("0000")),
            ("drwxrwxrwt", None),
            ("-rwsr-xr-x", None),
            ("", None),
            ("drwxé", None),
        ] {
            assert_eq!(octal(shown).as_deref(), mode, "{shown}");
        }
    }
}
