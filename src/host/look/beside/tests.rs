//! What hangs, with real shells: what is unseen for it, and that all else is seen.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use super::{Beside, read_beside, short};
use crate::host::look::{GUARD, Question, SHELLS, script_beside};
use crate::model::ServiceName;

#[test]
#[expect(clippy::disallowed_methods, reason = "real shells run what stands by")]
fn what_stands_by_leaves_a_script_that_hangs_for_ever() {
    // A second passes at once, a thousand of them are too many, and no program is found that could be ended.
    let sleep = "past=0\nsleep() { past=$((past + 1)); [ \"$past\" -lt 1000 ] || { echo stayed >&2; exit; }; }";
    let guard = GUARD.replace("\nguard &", "\nhung() { return 1; }\nguard &");
    let script = format!("{sleep}\n{guard}\nwait \"$dog\"\necho over");
    for shell in SHELLS {
        let told = std::process::Command::new(shell[0]).args(&shell[1..]).args(["-c", &script]).output();
        let told = told.expect(shell[0]);
        let told = [told.stdout, told.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
        assert_eq!(told, ["over\n", ""], "{shell:?}");
    }
}

#[test]
fn what_is_short_of_an_answer_says_so_and_no_other_does() {
    let pairs =
        |all: &[(&str, &str)]| all.iter().map(|(key, text)| ((*key).into(), (*text).into())).collect::<Vec<_>>();
    let told = [
        ("late/5", "df"),
        ("disk", "Filesystem 1 2"),
        ("writable", "yes"),
        ("late/2", "systemctl"),
        ("units/system", "Id=a.service"),
        ("late/10", "docker"),
        ("blind", "docker does not answer"),
        ("late/2", "grep"),
        ("late/2", "find"),
        ("heal/access a", "user 7"),
        ("heal/log hangs", "fine"),
        ("late/5", "sha256sum"),
        ("a drift", ""),
        ("late/5", "sha256sum"),
        ("drift drift-late", "`sha256sum` was ended by a signal"),
        ("b drift-late", "`sha256sum` was ended by a signal"),
        ("late/6", "sh"),
        ("a process 1", "ended"),
        ("late/2", "sh"),
        ("disk hangs", "its folder"),
        ("a hangs", "the base folder"),
        ("late/2", "sh"),
        ("heal/log process", "fine"),
    ];
    let kept = [
        ("disk", ""),
        ("writable", "yes"),
        ("blind", "docker does not answer"),
        ("heal/access a", "user 7\n!late 4 find"),
        ("heal/log hangs", "fine"),
        ("a drift-late", "`sha256sum` did not answer within 5 s"),
        ("drift drift-late", "`sha256sum` did not answer within 5 s"),
        ("b drift-late", "`sha256sum` was ended by a signal"),
        ("disk hangs", "its folder did not answer within 2 s"),
        ("a hangs", "the base folder did not answer"),
        ("heal/log process", "fine\n!late 2 sh"),
    ];
    assert_eq!(short(pairs(&told)), pairs(&kept));
}

/// A base folder with two services, each of one release with one file; and a folder for programs.
fn place() -> tempfile::TempDir {
    let place = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(place.path().join("bin")).expect("a folder");
    for name in ["api", "db"] {
        let service = place.path().join("base/services").join(name);
        let release = service.join("releases/0123456789abcdef");
        std::fs::create_dir_all(release.join(".portoser")).expect("a folder");
        std::os::unix::fs::symlink("releases/0123456789abcdef", service.join("current")).expect("a link");
        let write = |file: &str, text: &str| std::fs::write(release.join(file), text).expect("a file");
        write("data", "");
        write(".portoser/release.json", "{}\n");
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        write(".portoser/manifest", &format!("{empty}  data\n"));
    }
    place
}

/// A program that does this, before those of this machine.
fn program(place: &Path, name: &str, does: &str) {
    let file = place.join("bin").join(name);
    std::fs::write(&file, format!("#!/bin/sh\n{does}\n")).expect("a program");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).expect("its mode");
}

/// A file that nobody ever writes to, so that whoever opens it waits.
#[expect(clippy::disallowed_methods, reason = "a real program makes it")]
fn silent(place: &Path, file: &str) {
    let file = place.join(file);
    let _ = std::fs::remove_file(&file);
    assert!(std::process::Command::new("mkfifo").arg(&file).status().expect("mkfifo").success());
}

/// A look there by this shell, for which seconds are shorter.
fn look(shell: &[&str], place: &Path) -> Beside {
    look_as(shell, place, None)
}

/// The same as this user.
#[expect(clippy::disallowed_methods, reason = "real shells look")]
fn look_as(shell: &[&str], place: &Path, user: Option<u32>) -> Beside {
    let names = ["api", "db"].map(|name| ServiceName::try_from(name).expect("a name"));
    let base = Some(place.join("base").display().to_string());
    // The docker of this machine is not asked.
    let docker = place.join("bin/docker").exists();
    let projects = docker.then(|| "web".to_owned()).into_iter().collect();
    let question = Question { base, services: names.into(), docker, projects, ..Question::default() };
    let more = "for one in api db; do lost $one || say \"more/$one\" there; done\n";
    let script = format!("sleep() {{ command sleep 0.3; }}\n{}", script_beside(&question, more));
    let path = format!("{}:{}", place.join("bin").display(), std::env::var("PATH").expect("a PATH"));
    let mut command = std::process::Command::new(shell[0]);
    user.map(|user| std::os::unix::process::CommandExt::uid(&mut command, user));
    let told = command.args(&shell[1..]).args(["-c", &script]).env("PATH", path).output();
    let told = told.expect(shell[0]).stdout;
    read_beside(&told).unwrap_or_else(|error| panic!("{shell:?}: {error}: {}", String::from_utf8_lossy(&told)))
}

/// The words without their seconds, and these.
fn timed(says: &str) -> (&str, Option<u32>) {
    let Some((words, seconds)) = says.rsplit_once(" within ") else { return (says, None) };
    (words, Some(seconds.strip_suffix(" s").and_then(|number| number.parse().ok()).expect("seconds")))
}

/// What is unseen then, as a look by each shell tells it.
fn unseen(arrange: impl Fn(&Path) + Sync) -> Vec<String> {
    let one = |shell: &[&str]| {
        let place = place();
        arrange(place.path());
        let found = look(shell, place.path());
        let (seen, facts) = (&found.seen, &found.seen.facts);
        let of_host = [
            (facts.system == "unknown", "system"),
            (facts.clock.is_none(), "clock"),
            (facts.disk.is_none(), "disk"),
            (facts.uid != place.path().metadata().expect("a folder").uid(), "user"),
            (seen.cordon.is_some(), "cordon"),
            (seen.blind.is_some(), "docker"),
        ];
        let mut all: Vec<String> = of_host.iter().filter(|(is, _)| *is).map(|(_, what)| (*what).to_owned()).collect();
        all.extend(seen.hangs.clone());
        let mut least = 5;
        for (name, service) in &seen.services {
            let part = |is: bool, what: &str| if is { String::new() } else { format!(" no {what}") };
            let record = part(service.record.is_some(), "record");
            let more = part(found.parts.contains_key(&format!("more/{name}")), "more");
            assert!(service.drift.is_empty(), "{shell:?}: {:?}", service.drift);
            if let Some(why) = &service.hangs {
                let (why, seconds) = timed(why);
                // It is more on a machine that has much to do.
                assert!(seconds.is_none_or(|seconds| seconds >= least), "{shell:?}: {name}: {seconds:?}");
                least = 2;
                all.push(format!("{name}: {why}{record}{more}"));
            }
            assert!(service.hangs.is_some() || record.is_empty() && more.is_empty(), "{shell:?}: {name}");
        }
        assert_eq!(seen.services.len(), 2, "{shell:?}");
        all
    };
    let told = std::thread::scope(|scope| {
        let all: Vec<_> = SHELLS.iter().map(|shell| scope.spawn(|| one(shell))).collect();
        all.into_iter().map(|one| one.join().expect("a look")).collect::<Vec<_>>()
    });
    for (shell, other) in SHELLS.iter().zip(&told) {
        assert_eq!(*other, told[0], "{shell:?}");
    }
    told.into_iter().next().unwrap_or_default()
}

#[test]
fn a_program_that_hangs_leaves_only_what_it_was_asked_for_unseen() {
    // It starts nothing that would keep the test when the machine is too busy for such short seconds.
    let hangs = |name: &str| {
        unseen(|place| {
            silent(place, "bin/silent");
            program(place, name, &format!("read -r line <'{}'", place.join("bin/silent").display()));
        })
    };
    assert_eq!(unseen(|_| {}), [""; 0]);
    assert_eq!(hangs("id"), [""; 0]);
    assert_eq!(hangs("uname"), ["system"]);
    assert_eq!(hangs("date"), ["clock"]);
    assert_eq!(hangs("df"), ["disk"]);
    assert_eq!(hangs("docker"), ["docker"]);
    let late = "`sha256sum` did not answer";
    assert_eq!(hangs("sha256sum"), [format!("api: {late}"), format!("db: {late}")]);
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a real process has the name")]
fn a_process_with_any_name_hides_no_other() {
    let place = tempfile::tempdir().expect("a folder");
    let named = place.path().join("a\nb) 1");
    std::os::unix::fs::symlink("/bin/cat", &named).expect("a link");
    // It ends with its input.
    let mut odd = std::process::Command::new(&named).stdin(std::process::Stdio::piped()).spawn().expect("cat");
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", odd.id())).expect("its stat");
    assert!(stat.contains("(a\nb) 1) "), "{stat}");
    assert_eq!(unseen(|place| program(place, "df", "sleep 600\nexit")), ["disk"]);
    drop(odd.stdin.take());
    assert!(odd.wait().expect("its end").success());
}

#[test]
fn what_was_ended_by_others_has_not_seen_all() {
    let ended = ["api", "db"].map(|name| format!("{name}: `sha256sum` was ended by a signal"));
    assert_eq!(unseen(|place| program(place, "sha256sum", "kill -9 $$")), ended);
    let later = "case $* in *--quiet*) exit 1 ;; esac\nkill -9 $$";
    assert_eq!(unseen(|place| program(place, "sha256sum", later)), ended);
}

#[test]
fn each_question_to_docker_has_its_own_time() {
    // Twelve turns of what stands by take 3.6 s at least.
    let slow = "sleep 2.5\n[ \"$1\" != ps ] || echo 1 web False";
    assert_eq!(unseen(|place| program(place, "docker", slow)), [""; 0]);
}

#[test]
fn a_file_that_hangs_is_only_its_own_services() {
    let silent = |file: &str| unseen(|place| silent(place, file));
    let release = "base/services/api/releases/0123456789abcdef";
    assert_eq!(silent(&format!("{release}/data")), ["api: `sha256sum` did not answer"]);
    let folder = "api: its folder did not answer no record no more";
    assert_eq!(silent("base/services/api/proven"), [folder]);
    assert_eq!(silent(&format!("{release}/.portoser/release.json")), [folder]);
    // Whoever took the host out of service is not known, but somebody did.
    assert_eq!(silent("base/cordon"), ["cordon"]);
}

#[test]
fn a_program_that_works_is_left_to_it() {
    let now = "read -r now rest </proc/uptime; now=${now%.*}";
    let works =
        format!("{now}; end=$((now + 3)); while [ $now -lt $end ]; do {now}; done; exec /usr/bin/sha256sum \"$@\"");
    assert_eq!(unseen(|place| program(place, "sha256sum", &works)), [""; 0]);
}

#[test]
fn what_the_check_says_is_not_taken_further() {
    // The folder is closed in the middle of the look; and a name is written in the way of the check.
    for (does, told) in [
        ("chmod 0 .; echo 'data: FAILED open or read'", "data: cannot be read"),
        (r"printf '%s\n' 'a\\b: FAILED'", r"a\\b: FAILED"),
    ] {
        for shell in SHELLS {
            let place = place();
            std::fs::set_permissions(place.path(), std::fs::Permissions::from_mode(0o755)).expect("its mode");
            let nobody = (place.path().metadata().expect("a folder").uid() == 0).then_some(65534);
            let release = place.path().join("base/services/api/releases/0123456789abcdef");
            std::os::unix::fs::chown(release, nobody, None).expect("its owner");
            program(place.path(), "sha256sum", &format!("{does}\nexit 1"));
            let seen = look_as(shell, place.path(), nobody).seen;
            let api = seen.services.into_iter().find(|one| one.0.as_str() == "api").expect("it").1;
            assert_eq!(api.drift, [told], "{shell:?}");
        }
    }
}

#[test]
fn what_is_closed_is_not_gone() {
    let nobody = 65534;
    for shell in SHELLS {
        let place = place();
        let release = |name: &str| place.path().join(format!("base/services/{name}/releases/0123456789abcdef"));
        let mode = |path: &Path, mode| {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("its mode");
        };
        mode(place.path(), 0o755);
        let told = |name: &str| {
            // Who is no root looks with its own rights, and root with nobody's.
            let user = (place.path().metadata().expect("a folder").uid() == 0).then_some(nobody);
            look_as(shell, place.path(), user)
                .seen
                .services
                .into_iter()
                .find(|one| one.0.as_str() == name)
                .expect("it")
                .1
                .drift
        };
        assert_eq!(told("api"), [""; 0], "{shell:?}");
        std::fs::write(release("api").join("data"), "changed").expect("a file");
        assert_eq!(told("api"), ["data: was changed"], "{shell:?}");
        mode(&release("api").join("data"), 0);
        assert_eq!(told("api"), ["data: cannot be read"], "{shell:?}");
        std::fs::remove_file(release("api").join("data")).expect("removed");
        assert_eq!(told("api"), ["data: is missing"], "{shell:?}");
        std::fs::create_dir(release("api").join("data")).expect("a folder");
        assert_eq!(told("api"), ["data: was changed"], "{shell:?}");
        mode(&release("db").join(".portoser/manifest"), 0);
        assert_eq!(told("db"), [".portoser/manifest: cannot be read"], "{shell:?}");
        std::fs::remove_file(release("db").join(".portoser/manifest")).expect("removed");
        assert_eq!(told("db"), [".portoser/manifest: is missing"], "{shell:?}");
        let folder = release("db").join("data");
        std::fs::remove_file(&folder).expect("removed");
        std::fs::create_dir(&folder).expect("a folder");
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        std::fs::write(release("db").join(".portoser/manifest"), format!("{empty}  data/deep/x\n")).expect("a file");
        assert_eq!(told("db"), ["data/deep/x: is missing"], "{shell:?}");
        mode(&folder, 0);
        assert_eq!(told("db"), ["data/deep/x: cannot be read"], "{shell:?}");
    }
}
