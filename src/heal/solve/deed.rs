//! From a deed of a playbook to what is done on the host. Commands are words; what came from a host is only ever a word of
//! them, and each is looked at again there before anything is done to it.

use crate::heal::learn::Terms;
use crate::heal::playbook::Deed;
use crate::heal::solve::aside::left;
use crate::heal::solve::limit::raise;
use crate::heal::solve::port::{free, take};
use crate::heal::solve::space::prune;
use crate::heal::{Observation, Problem};
use crate::host::Layout;
use crate::model::{Cmd, Content, HostName, RunId, Scope, ServiceName, Step, UnitChange};
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
    /// What the service needs is started, where it lies.
    Need(ServiceName, HostName),
    /// The run that stopped in the middle is brought to its end, as every run does with what it finds before it is planned.
    Settle(RunId),
}

impl Way {
    /// The same, with this time for a person's words.
    pub(super) fn within(self, time: std::time::Duration) -> Self {
        let Self::Mend(Mend::Steps(steps)) = self else { return self };
        let longer = |step| match step {
            Step::Run { cmd, undo } => Step::Run { cmd: cmd.within(time), undo: undo.map(|undo| undo.within(time)) },
            step => step,
        };
        Self::Mend(Mend::Steps(steps.into_iter().map(longer).collect()))
    }
}

/// What a deed is about: what was measured where the problem was seen.
pub(super) struct Found<'a> {
    pub problem: &'a Problem,
    pub seen: &'a [Observation],
    /// The scope of the service's units.
    pub scope: Scope,
    /// What the names in a person's words stand for here.
    pub terms: Terms,
}

impl Found<'_> {
    /// What is known of the service and its host.
    fn here(&self) -> impl Iterator<Item = &Observation> {
        let here = |one: &&Observation| {
            one.host == self.problem.host && (one.service.is_none() || one.service == self.problem.service)
        };
        self.seen.iter().filter(here)
    }

    pub(super) fn evidence(&self) -> impl Iterator<Item = &Observation> {
        self.problem.evidence.iter().filter_map(|number| self.seen.get(*number))
    }

    pub(super) fn value(&self, name: &str) -> Option<&str> {
        let seen = self.evidence().find_map(|one| one.values.get(name));
        seen.or_else(|| self.problem.captured.get(name)).map(String::as_str)
    }

    /// The lines of a look that the problem rests on.
    fn lines(&self, look: &'static str) -> impl Iterator<Item = &String> {
        self.evidence().filter(move |one| one.look == look).flat_map(|one| &one.lines)
    }

    /// What is known of the unit that the problem is about; of the first where it names none.
    pub(super) fn unit(&self, name: &str) -> Option<&str> {
        let ill = |one: &&Observation| one.look == "unit" && self.value("unit").is_none_or(|unit| one.of == unit);
        self.here().find(ill)?.values.get(name).map(String::as_str)
    }

    /// The folder of ours on the host, as the host told.
    pub(super) fn base(&self) -> Option<&str> {
        let here = |one: &&Observation| one.look == "base" && one.host == self.problem.host;
        self.seen.iter().find(here)?.values.get("path").map(String::as_str)
    }

    /// A path on the host that lies in a folder of ours which holds no data of the user's.
    fn ours(&self, name: &str) -> Option<String> {
        let path = self.value(name)?;
        // What is relative is so to the release in force.
        let path = match path.starts_with('/') {
            true => path.to_owned(),
            false => format!("{}/current/{}", self.folder()?, path.trim_start_matches("./")),
        };
        let within = path.strip_prefix(self.base()?)?.strip_prefix("/services/")?;
        (!within.split('/').any(|part| matches!(part, ".." | "shared"))).then_some(path)
    }

    /// The folder of the service on the host.
    pub(super) fn folder(&self) -> Option<String> {
        Some(Layout::new(self.base()?).service(self.problem.service.as_ref()?))
    }

    pub(super) fn pid(&self) -> Option<String> {
        self.value("pid")?.parse::<u32>().ok().filter(|pid| *pid > 1).map(|pid| pid.to_string())
    }
}

/// The hook that renews a certificate.
const RENEW: &str = "renew-certificate";

/// How the deed is done.
///
/// # Errors
/// Why it cannot be done from here.
pub(super) fn way(deed: &Deed, found: &Found<'_>) -> Result<Way, String> {
    if deed.is_words() {
        let (words, undo) = deed.words();
        let here = |words: &[String]| {
            let words = found.terms.specialize(words).map_err(|name| format!("nothing here stands for {name}"))?;
            Ok::<_, String>(Cmd::from_words(words))
        };
        let cmd = here(words)?.ok_or("the first word is empty")?;
        let way = Way::Mend(Mend::Steps(vec![run(cmd, here(undo)?)]));
        return Ok(deed.within().map_or(way.clone(), |time| way.within(time)));
    }
    if (deed.verb(), deed.object()) == ("take", "port") {
        return Ok(Way::Mend(Mend::Steps(vec![take(found)?])));
    }
    listed(deed, found).ok_or_else(|| "portoser cannot do this by itself".to_owned())
}

/// How a deed of the closed list is done; nothing if it cannot be done from here.
fn listed(deed: &Deed, found: &Found<'_>) -> Option<Way> {
    let change = |change| Some(Way::Mend(Mend::Change(change)));
    let steps = |steps| Some(Way::Mend(Mend::Steps(steps)));
    let rests_on = |look: &str| found.evidence().any(|one| one.look == look);
    match (deed.verb(), deed.object()) {
        ("start", "unit" | "container") => change(UnitChange::Start),
        ("start", "need") => {
            let (need, at) = (found.value("need")?.to_owned(), found.value("at")?.to_owned());
            Some(Way::Need(ServiceName::try_from(need).ok()?, HostName::try_from(at).ok()?))
        }
        ("recreate", "container") => Some(Way::Mend(Mend::Again)),
        ("pull" | "push", "image") => Some(Way::Mend(Mend::Images)),
        ("unmask", "unit") => Some(Way::Mend(Mend::Unmask)),
        ("restart", "unit" | "container") => change(UnitChange::Restart),
        ("reload", "unit") => change(UnitChange::Reload),
        // The step of that name reads nothing where no unit changes beside it.
        ("read", "units") => steps(vec![run(Cmd::new("systemctl").args([flag(found.scope), "daemon-reload"]), None)]),
        ("enable", "unit") => {
            let unit = found.value("unit")?;
            steps(vec![run(systemctl(found.scope, "enable", unit), Some(systemctl(found.scope, "disable", unit)))])
        }
        ("start", "docker") => {
            // Its undo stops the daemon only if it did not run before.
            let (unit, scope) = ("docker.service".to_owned(), Scope::System);
            steps(vec![Step::Unit { unit, scope, change: UnitChange::Start }])
        }
        ("continue", "process") => {
            steps(vec![run(Cmd::new("/bin/sh").args(["-c", CONTINUE, "continue", &found.pid()?]), None)])
        }
        ("prune", what) => prune(what, found),
        ("cordon" | "drain", "host") => {
            Some(Way::Mend(Mend::Aside { word: cordoned(found)?, drain: deed.verb() == "drain" }))
        }
        ("settle", "run") => Some(Way::Settle(RunId::try_from(found.value("run")?).ok()?)),
        ("restore", "mode") if found.value("path") == Some("/tmp") => {
            let chmod = |mode: &str| Cmd::new("chmod").args([mode, "--", "/tmp"]);
            let back = found.value("mode").and_then(octal);
            steps(vec![run(chmod("1777"), back.map(|back| chmod(&back)))])
        }
        ("restore", "mode") if rests_on("modes") => steps(handed_over(found, "modes", MODE)?),
        ("restore", "owner") if rests_on("owners") => {
            steps(found.value("should").filter(|user| *user == "0").and_then(|_| handed_over(found, "owners", OWN))?)
        }
        ("restore", "mode") => steps(vec![open(found)?]),
        ("restore", "owner") => steps(owners(found)?),
        ("hook", name) => Some(Way::Mend(Mend::Hook(name.to_owned()))),
        ("renew", "certificate") => Some(Way::Mend(Mend::Hook(RENEW.to_owned()))),
        ("restore", "file") | ("rebuild", "venv") => Some(Way::Restore),
        ("remove", "pid-file" | "lock") => steps(vec![left(found)?]),
        ("free", "port") => steps(vec![free(found)?]),
        ("raise", what) => steps(raise(what, found)?),
        ("roll-back", "release") => Some(Way::Back),
        _ => None,
    }
}

/// The host keeps why it was taken out of service.
fn cordoned(found: &Found<'_>) -> Option<Step> {
    let why: String = found.problem.because.chars().filter(|c| !c.is_control()).take(300).collect();
    let (path, content) = (Layout::new(found.base()?).cordon(), Content::open(format!("by a playbook: {why}\n")));
    Some(Step::Put { path, content, mode: 0o644, owner: None })
}

/// A program lost its x, a folder of the service its rx for others; the bits from before come back with the undo.
fn open(found: &Found<'_>) -> Option<Step> {
    let (path, folder) = (found.ours("path")?, found.folder()?);
    let back = found.value("mode").and_then(octal).unwrap_or_else(|| "a-x".to_owned());
    let own = path.strip_prefix(&folder)?;
    let top = if own.is_empty() { found.base()? } else { own.strip_prefix('/').map(|_| folder.as_str())? };
    let chmod = |mode: &str| at_place("set-mode", MODE, &path, (top, mode));
    Some(run(chmod("a+rx"), Some(chmod(&back))))
}

/// Each file goes back to the service's user, and with the undo to the owner that was found.
fn owners(found: &Found<'_>) -> Option<Vec<Step>> {
    let (user, folder) = (found.value("user")?, found.folder()?);
    let shared = format!("{folder}/shared");
    let mut steps = Vec::new();
    for line in found.lines("access") {
        let (owner, path) = line.split_once(' ')?;
        let plain = owner.bytes().all(|b| b.is_ascii_digit() || b == b':');
        let within = path.strip_prefix(&shared).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        if !plain || !within || path.split('/').any(|part| part == "..") {
            return None;
        }
        let chown = |owner: &str| at_place("give-back", OWN, path, (&folder, owner));
        steps.push(run(chown(user), Some(chown(owner))));
    }
    (!steps.is_empty()).then_some(steps)
}

/// What was deployed gets the mode or the owner back that it was deployed with, and with the undo what was found: `HAS SHOULD PATH`.
/// Only root gives files to others.
fn handed_over(found: &Found<'_>, look: &'static str, text: &str) -> Option<Vec<Step>> {
    let number =
        |word: &str| (!word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit())).then(|| word.to_owned());
    let mut steps = Vec::new();
    for line in found.lines(look) {
        let (has, (should, path)) = line.split_once(' ').and_then(|(has, rest)| Some((has, rest.split_once(' ')?)))?;
        let (has, should, top) = (number(has)?, number(should)?, top(found, path)?);
        let give =
            |word: &str| at_place(if look == "modes" { "set-mode" } else { "give-back" }, text, path, (&top, word));
        steps.push(run(give(&should), Some(give(&has))));
    }
    // Where the look tells nothing to mend, it found too many.
    (!steps.is_empty()).then_some(steps)
}

/// The folder that a path of ours must truly lie in; none for what is not ours.
fn top(found: &Found<'_>, path: &str) -> Option<String> {
    let (base, folder) = (found.base()?, found.folder()?);
    let (parent, name) = path.rsplit_once('/')?;
    if path.split('/').any(|part| part == "..") {
        return None;
    }
    if path == base {
        return Some("/".to_owned());
    }
    if path == folder || path.strip_prefix(base) == Some("/services") {
        return Some(base.to_owned());
    }
    if path.strip_prefix(&folder).is_some_and(|rest| {
        rest == "/releases" || ["/releases/", "/process/"].iter().any(|start| rest.starts_with(start))
    }) {
        return Some(folder);
    }
    let units = matches!(parent, "/etc/systemd/system" | "/Library/LaunchDaemons")
        || ["/.config/systemd/user", "/Library/LaunchAgents"].iter().any(|end| parent.ends_with(end));
    (units && name.starts_with("portoser")).then(|| parent.to_owned())
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

pub(super) fn run(cmd: Cmd, undo: Option<Cmd>) -> Step {
    Step::Run { cmd, undo }
}

pub(super) fn systemctl(scope: Scope, verb: &str, unit: &str) -> Cmd {
    Cmd::new("systemctl").args([flag(scope), verb, "--", unit])
}

fn flag(scope: Scope) -> &'static str {
    if scope == Scope::User { "--user" } else { "--system" }
}

/// A script of ours that does something to the file at a path within a folder; the last word is its own.
pub(super) fn at_place(name: &str, text: &str, path: &str, (folder, word): (&str, &str)) -> Cmd {
    Cmd::new("/bin/sh").args(["-c", &[STAND, text].concat(), name, path, folder, word])
}

/// Only a process that is stopped goes on; another one that has its number by now is left alone. What goes on is not stopped
/// again: a process that does nothing helps nobody.
const CONTINUE: &str = "grep -q '^State:[[:space:]]*T' /proc/$1/status || exit 0; kill -CONT $1";

/// Goes to the folder that holds a file, and only if that truly lies in the folder of the service: who may write there may put
/// a link in any place of the way. What follows knows the file by its name alone: PATH FOLDER
const STAND: &str = "top=$(cd -P -- \"$2\" && pwd -P) && cd -P -- \"${1%/*}\" || exit 0; here=$(pwd -P); case $here/ in \"$top\"/*) ;; \
                     *) echo \"$1 lies elsewhere, in $here\"; exit 1 ;; esac; it=./${1##*/}; ";

/// What is there, is no link, and has no other names: else what follows is not done.
macro_rules! lone {
    () => {
        "[ ! -L \"$it\" ] && [ -e \"$it\" ] || exit 0; [ -d \"$it\" ] || [ -z \"$(find \"$it\" -prune -links +1)\" ] || { echo \"$1 has other names\"; exit 1; }; "
    };
}

/// A file or folder that is no link, and no second name of a file elsewhere: PATH FOLDER OWNER (or MODE)
pub(super) const OWN: &str = concat!(lone!(), "chown -h -- \"$3\" \"$it\"");
const MODE: &str = concat!(lone!(), "chmod -- \"$3\" \"$it\"");

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

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the script of the deed is tried on real files")]
    fn a_mode_is_set_through_no_link() {
        let place = tempfile::tempdir().expect("a folder");
        let at = |rest: &str| place.path().join(rest).to_string_lossy().into_owned();
        let mode = |rest: &str| {
            std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(at(rest)).expect("there").permissions()) & 0o777
        };
        std::fs::create_dir_all(at("web/current/bin")).expect("made");
        for file in ["shadow", "web/current/bin/run"] {
            std::fs::write(at(file), "").expect("written");
            std::fs::set_permissions(at(file), std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("a mode");
        }
        std::os::unix::fs::symlink(at("shadow"), at("web/current/bin/x")).expect("linked");
        for path in ["web/current/bin/x", "web/current/bin/run"] {
            let cmd = at_place("set-mode", MODE, &at(path), (&at("web"), "a+rx"));
            let (program, words) = cmd.words().split_first().expect("words");
            assert!(std::process::Command::new(program).args(words).status().expect("ran").success());
        }
        assert_eq!((mode("shadow"), mode("web/current/bin/run")), (0o600, 0o755));
    }
}
