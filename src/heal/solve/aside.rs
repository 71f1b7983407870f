//! Moving aside what a program left behind: a pid or lock file that tells of a process which is gone. Such a file is known by its
//! name and by what it holds; that a log names it is not enough.

use crate::heal::solve::deed::{Found, at_place, run};
use crate::model::Step;

/// A file that tells of a process that is gone is moved aside, and back with the undo.
pub(super) fn left(found: &Found<'_>) -> Option<Step> {
    let (path, folder) = (found.value("path")?, found.folder()?);
    let within = path.strip_prefix(&folder).and_then(|rest| rest.strip_prefix('/'))?;
    let name = path.rsplit('/').next().unwrap_or_default();
    let aside = format!("{name}.left-behind");
    let script = |name, text: &str| at_place(name, text, path, (&folder, &aside));
    let deployed = within.starts_with("releases/") || within.split('/').any(|part| matches!(part, ".." | ".portoser"));
    // What a log names may be anybody's word.
    let seen = found.evidence().any(|one| one.look == "pid_file");
    let text = if seen { ASIDE.to_owned() } else { [SOLE, ASIDE].concat() };
    let good = !deployed && (seen || is_lock(name));
    good.then(|| run(script("move-aside", &text), Some(script("move-back", BACK))))
}

/// Whether a file is called as a lock or a pid file is: `app.pid`, `db_lock`, `.lock`.
fn is_lock(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let last = name.rsplit(['.', '-', '_']).next().unwrap_or_default();
    matches!(last, "pid" | "pidfile" | "lock" | "lockfile" | "lck")
}

/// A small plain file that nobody has open and that names no process that lives: PATH FOLDER NAME
const ASIDE: &str = "[ -f \"$it\" ] && [ ! -L \"$it\" ] || exit 0; [ ! -e \"./$3\" ] && [ ! -L \"./$3\" ] || { echo \"$3 is there already\"; exit 1; }; \
                     [ -z \"$(find \"$it\" -prune -size +1)\" ] || { echo \"$1 is no small file\"; exit 1; }; \
                     read -r pid rest <\"$it\"; case $pid in ''|*[!0-9]*) ;; *) [ ! -d \"/proc/$pid\" ] || { echo \"process $pid lives\"; exit 1; } ;; esac; \
                     if ls -l /proc/[0-9]*/fd 2>/dev/null | grep -qF -- \" -> $here/${it#./}\"; then echo \"$1 is open\"; exit 1; fi; mv -- \"$it\" \"./$3\"";

/// Before it, where the file is not one that a look of ours told: it was not deployed, and holds nothing but the number of a process.
const SOLE: &str = "case $here/ in \"$top\"/releases/*|*/.portoser/*) echo \"$1 was deployed\"; exit 1 ;; esac; \
                    if [ -f \"$it\" ] && [ ! -L \"$it\" ]; then all=$(head -c 600 \"$it\" | tr -s '[:space:]' ' ') all=${all# } all=${all% }; \
                    case $all in *[!0-9]*) echo \"$1 holds more than the number of a process\"; exit 1 ;; esac; fi; ";

const BACK: &str = "[ ! -f \"./$3\" ] || [ -L \"./$3\" ] || [ -e \"$it\" ] || [ -L \"$it\" ] || mv -- \"./$3\" \"$it\"";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::heal::solve::deed::OWN;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the scripts of the deeds are tried on real files")]
    fn what_lies_elsewhere_is_left_alone() {
        let place = tempfile::tempdir().expect("a folder");
        let at = |rest: &str| place.path().join(rest).to_string_lossy().into_owned();
        for folder in ["web/shared/data", "other"] {
            std::fs::create_dir_all(at(folder)).expect("made");
        }
        std::fs::write(at("web/shared/data/app.pid"), "999999999\n").expect("written");
        std::fs::write(at("other/app.pid"), "secret\n").expect("written");
        std::os::unix::fs::symlink(at("other"), at("web/shared/d")).expect("linked");
        let done = |text: &str, path: &str, word: &str| {
            let cmd = at_place("trial", text, &at(path), (&at("web"), word));
            let (program, words) = cmd.words().split_first().expect("words");
            std::process::Command::new(program).args(words).output().expect("ran").status.success()
        };
        assert!(!done(ASIDE, "web/shared/d/app.pid", "app.pid.left-behind"), "a link on the way");
        assert!(!done(OWN, "web/shared/d/app.pid", "0"), "a link on the way");
        assert!(std::path::Path::new(&at("other/app.pid")).exists());
        let held = std::fs::File::open(at("web/shared/data/app.pid")).expect("open");
        assert!(!done(ASIDE, "web/shared/data/app.pid", "app.pid.left-behind"), "it is open");
        drop(held);
        assert!(done(ASIDE, "web/shared/data/app.pid", "app.pid.left-behind"));
        assert!(!std::path::Path::new(&at("web/shared/data/app.pid")).exists());
        assert!(done(BACK, "web/shared/data/app.pid", "app.pid.left-behind"));
        assert!(std::path::Path::new(&at("web/shared/data/app.pid")).exists());
        std::fs::write(at("web/shared/data/app.lock"), "user:secret\n").expect("written");
        let sole = [SOLE, ASIDE].concat();
        assert!(!done(&sole, "web/shared/data/app.lock", "app.lock.left-behind"), "it holds words");
        for text in ["", " 999999999\n"] {
            std::fs::write(at("web/shared/data/app.lock"), text).expect("written");
            assert!(done(&sole, "web/shared/data/app.lock", "app.lock.left-behind"), "{text}");
            std::fs::remove_file(at("web/shared/data/app.lock.left-behind")).expect("it was moved");
        }
        std::fs::create_dir_all(at("web/releases/1")).expect("made");
        std::fs::write(at("web/releases/1/app.lock"), "").expect("written");
        std::os::unix::fs::symlink("releases/1", at("web/current")).expect("linked");
        assert!(!done(&sole, "web/current/app.lock", "app.lock.left-behind"), "it was deployed");
    }

    #[test]
    fn only_what_is_called_so_is_a_lock() {
        for name in ["app.pid", "app.lock", ".lock", "LOCK", "db-lck", "app_pidfile", "pid"] {
            assert!(is_lock(name), "{name}");
        }
        for name in [".htpasswd", "license.key", "allow.list", "clock", "app.pid.key", "lock.db", "stupid", ""] {
            assert!(!is_lock(name), "{name}");
        }
    }
}
