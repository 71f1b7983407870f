//! The look at modes, and that at owners, which reads the same answer.

use std::fs::{Permissions, create_dir_all, set_permissions, write};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

use super::super::owners;
use super::super::tests::{says, service_told};
use super::{Found, LOOK, SHELL, bits, is_closer, row};
use crate::heal::{Observation, Sight};
use crate::host::look::SHELLS;

const RECORD: &str = "-rw------- 1 0 0 10 Nov 21 12:00 .portoser/release.json\n";
const GOOD: &str = "-rwxr-xr-x 1 0 0 10 Nov 21 12:00 bin/x\n-rw------- 1 0 0 10 Nov 21 12:00 app.conf\n";
const RELEASE: &str = "/opt/portoser/services/api/releases/0707070707070707";

fn both(text: &str) -> [Vec<Observation>; 2] {
    [&LOOK, &owners::LOOK].map(|look| service_told(look, "", 0, &[], &[("heal/modes api", text)]))
}

#[test]
fn what_has_another_mode_or_owner_is_told() {
    const MODES: &str = "good its files and folders have the modes that they were deployed with";
    const OWNERS: &str = "good its files and folders belong to who deployed them";
    let found = |text: &str| both(&format!("{RECORD}{text}")).map(|found| says(&found).concat());
    let mode = |path: &str, has: &str, should: &str| format!("bad the mode of {path} is {has}, and should be {should}");
    let in_release = |path: &str| format!("{RELEASE}{path}");
    assert_eq!(found(GOOD), [MODES, OWNERS]);
    // What is not told is as most of it.
    let lost = GOOD.replace("-rwxr-xr-x 1 0 0 10 Nov 21 12:00 bin/x\n", "");
    assert_eq!(found(&lost)[0], mode(&in_release("/bin/x"), "0644", "0755"));
    let open = GOOD.replace("-rw------- ", "-rw-rw-rw-+ ");
    assert_eq!(found(&open)[0], mode(&in_release("/app.conf"), "0666", "0600"));
    let foreign = GOOD.replace("1 0 0 10 Nov 21 12:00 bin", "1 1001 0 10 Nov 21 12:00 bin");
    let says = format!("bad {RELEASE}/bin/x belongs to user 1001, and should to user 0 ()");
    assert_eq!(found(&foreign), [MODES, &says]);
    // Whoever owns the base folder may own what lies in it.
    assert_eq!(found(&(foreign + "drwxr-xr-x 9 1001 0 10 Nov 21 12:00 ../../../..\n")), [MODES, OWNERS]);
    for (line, says) in [
        ("drwx------ 1 0 0 10 Nov 21 12:00 bin", mode(&in_release("/bin"), "0700", "0755")),
        ("drwxr-sr-x 1 0 0 10 Nov 21 12:00 bin", MODES.to_owned()),
        ("drwxrwxrwx 1 0 0 10 Nov 21 12:00 ..", mode("/opt/portoser/services/api/releases", "0777", "0775")),
        ("drwxrwxrwt 1 0 0 10 Nov 21 12:00 ../../../..", MODES.to_owned()),
        ("drwxrwx--- 1 0 0 10 Nov 21 12:00 ../../../..", MODES.to_owned()),
        ("-rw-rw-rw- 1 0 0 10 Nov 21 12:00 a file of the user", MODES.to_owned()),
    ] {
        assert_eq!(found(&format!("{GOOD}{line}\n"))[0], says, "{line}");
    }
    let two = found(&(open.replace("-rwx", "drwx") + "drwx------ 1 0 0 10 Nov 21 12:00 .\n"));
    assert!(two[0].ends_with(", and 1 more are not as they should be"), "{two:?}");
}

#[test]
fn what_was_not_told_is_not_judged() {
    let sights = |text: &str| both(text).map(|found| says(&found).concat());
    for one in sights("?closed").into_iter().chain(sights("")).chain(sights("!lacks awk")) {
        assert!(one.starts_with("unseen "), "{one}");
    }
    // The program is not told of, as nobody may come to it: it has not lost its mode.
    let closed = sights(&format!("{RECORD}ls: cannot access 'bin/x': Permission denied\n"));
    assert!(closed.iter().all(|one| one.starts_with("unseen not all ")), "{closed:?}");
    let many = "-rw-rw-rw- 1 0 0 1 Nov 21 12:00 y\n".repeat(3000);
    let cut = sights(&(RECORD.to_owned() + &many));
    assert!(cut.iter().all(|one| one.starts_with("unseen not all ")), "{cut:?}");
    // What is told is bad all the same; but to mend it would not be all.
    let open = format!("{RECORD}-rw-rw-rw- 1 1001 0 10 Nov 21 12:00 app.conf\n");
    let told = |text: &str| both(text).map(|found| found.into_iter().next().expect("one"));
    let lines = |text: &str| told(text).map(|one| (one.sight, one.lines.len()));
    assert_eq!(lines(&format!("{open}{GOOD}")), [(Sight::Bad, 1); 2]);
    assert_eq!(lines(&format!("{open}{GOOD}{many}")), [(Sight::Bad, 0); 2]);
    assert!(told(&format!("{open}{many}"))[0].says.ends_with("too many to be mended at once"));
}

#[test]
fn more_than_can_be_mended_is_not_mended_in_part() {
    let found = |count: usize| {
        Found { all: Vec::new(), whole: true, cut: false, alike: None }.to_mend(vec![String::new(); count])
    };
    assert_eq!([found(300).len(), found(301).len()], [300, 0]);
}

#[test]
fn a_file_system_without_modes_is_not_called_changed() {
    let names = [".portoser/release.json", ".portoser/manifest", "bin/x", "app.conf"];
    let line = |mode: &str, name: &str| format!("{mode} 1 0 0 10 Nov 21 12:00 {name}\n");
    let all = names.map(|name| line("-rwxr-xr-x", name)).concat();
    let modes = |text: &str| says(&both(text)[0]).concat();
    assert!(modes(&all).starts_with("unseen all its files and folders have the mode 0755, as on "), "{}", modes(&all));
    // One folder has another one: there are modes.
    assert!(modes(&(all + &line("drwx------", ".."))).starts_with("bad "));
}

#[test]
fn what_the_umask_keeps_from_others_is_not_changed() {
    for (has, should, closer) in [
        (0o600, 0o644, true),
        (0o700, 0o755, true),
        (0o644, 0o644, true),
        (0o666, 0o644, false),
        (0o640, 0o600, false),
        (0o400, 0o644, false),
        (0o644, 0o755, false),
        (0o4700, 0o755, false),
    ] {
        assert_eq!(is_closer((has, should)), closer, "{has:o} {should:o}");
    }
}

#[test]
fn a_line_of_ls_is_read() {
    assert_eq!(row("-rw-r--r--. 1 0  0   3 Nov 21 12:00  a b"), Some(("-rw-r--r--", 0, " a b")));
    assert_eq!(row("ls: cannot access 'x': Permission denied"), None);
    for (shown, mode) in [("-rwxr-x---", 0o750), ("drwxrwsrwt", 0o3777), ("-rwSr--r-T", 0o5644), ("d---------", 0)] {
        assert_eq!(bits(shown), Some(mode), "{shown}");
    }
    assert_eq!(bits("-rwé"), None);
}

/// The shell text itself, by the shells and tools of this machine, and with those of busybox alone.
#[test]
#[expect(clippy::disallowed_methods, reason = "real shells look")]
fn a_release_is_looked_at() {
    let place = tempfile::tempdir().expect("a folder");
    let release = place.path().join("services/api/releases/0707070707070707");
    create_dir_all(release.join(".portoser")).expect("a folder");
    create_dir_all(release.join("bin/deep")).expect("a folder");
    symlink("releases/0707070707070707", place.path().join("services/api/current")).expect("a link");
    let unit = place.path().join("api.service");
    let hash = "0".repeat(64);
    for (path, mode) in
        [("app.conf", 0o600), ("bin/deep/x y", 0o755), ("plain", 0o644), (".portoser/release.json", 0o600)]
    {
        write(release.join(path), "").expect("a file");
        set_permissions(release.join(path), Permissions::from_mode(mode)).expect("a mode");
    }
    write(&unit, "").expect("a unit");
    set_permissions(&unit, Permissions::from_mode(0o666)).expect("a mode");
    let names = ["app.conf", "bin/deep/x y", "plain", ".portoser/release.json", &unit.to_string_lossy()];
    let manifest = names.map(|path| format!("{hash}  {path}\n")).concat();
    write(release.join(".portoser/manifest"), manifest).expect("a manifest");
    for folder in ["", "bin", ".portoser", ".."] {
        set_permissions(release.join(folder), Permissions::from_mode(0o755)).expect("a mode");
    }
    set_permissions(place.path(), Permissions::from_mode(0o700)).expect("a mode");
    set_permissions(release.join("bin/deep"), Permissions::from_mode(0o700)).expect("a mode");
    let uid = place.path().metadata().expect("a folder").uid();
    let base = place.path().display();
    let tools = [
        "",
        "ls() { busybox ls \"$@\"; }\nawk() { busybox awk \"$@\"; }\nxargs() { shift; busybox xargs -0 busybox \"$@\"; }\n",
    ];
    // The words of every look come first, and whoever logs in may have such settings.
    let first: String = include_str!("../../../../host/look/look.sh")
        .lines()
        .take_while(|line| !line.starts_with("PATH"))
        .map(|line| format!("{line}\n"))
        .collect();
    for (shell, tools) in SHELLS.iter().flat_map(|shell| tools.map(|tools| (shell, tools))) {
        let script = format!("tick() {{ :; }}\n{tools}uid={uid} base='{base}'\n{first}{SHELL}\nlook_modes api");
        let mut look = std::process::Command::new(shell[0]);
        look.args(&shell[1..]).args(["-c", &script]).env("TIME_STYLE", "long-iso").env("QUOTING_STYLE", "c");
        let told = look.output().expect("a look");
        let text = String::from_utf8_lossy(&told.stdout).into_owned();
        let mut found: Vec<_> = text.lines().map(|line| row(line).unwrap_or_else(|| panic!("{line}"))).collect();
        found.sort_by_key(|one| one.2);
        let unit = unit.to_string_lossy();
        let mut wanted = [
            ("drwx------", uid, "../../../.."),
            ("-rw-------", uid, ".portoser/release.json"),
            ("-rw-rw-rw-", uid, &*unit),
            ("-rw-------", uid, "app.conf"),
            ("drwx------", uid, "bin/deep"),
            ("-rwxr-xr-x", uid, "bin/deep/x y"),
        ];
        wanted.sort_by_key(|one| one.2);
        assert_eq!(found, wanted, "{shell:?} {tools}");
    }
}
