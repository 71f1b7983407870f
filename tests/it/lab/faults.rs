//! Hosts that are not as one would wish: each ends within its deadline, with the right exit code and words to act on.

use std::time::Duration;

use libtest_mimic::{Completion, Failed, Trial};

use crate::fixture::delay_proxy::DelayProxy;

use super::docker::side_by_side;
use super::kit::{self, Bench, Machine, PATIENCE, Ran, port};
use super::signals::Talk;
use super::{kill, pair, suites, table, trial, usual};

pub fn trials() -> Vec<Trial> {
    let bare = Trial::ignorable_test("lab::a_host_without_tools_that_hangs_in_the_middle", || {
        let bare = kit::machines().unwrap_or_default().into_iter().find(|one| one.image == "bare");
        let Some(bare) = bare else {
            return Ok(Completion::ignored_with("no host of the image `bare` in PORTOSER_LAB"));
        };
        hangs(&bare)?;
        Ok(Completion::Completed)
    });
    vec![
        trial("a_full_or_read_only_base_is_told", disk),
        trial("a_base_of_another_user_is_told", foreign),
        trial("logins_of_all_kinds", logins),
        trial("an_undo_goes_by_the_state_of_the_unit", undone),
        trial("a_disk_that_fills_in_the_middle_is_named", filled),
        trial("a_crash_during_the_gate_is_told_with_its_last_words", crashed),
        trial("a_reload_that_restarts_is_an_error", reloaded),
        trial("what_only_a_host_knows_is_shown_and_removed", strange),
        trial("a_service_that_cannot_start_says_why", causes),
        trial("an_unreachable_host_is_told", unreachable),
        trial("an_unseen_host_keeps_the_others_unless_it_may_be_skipped", skipped),
        trial("a_changed_or_unknown_host_key_is_refused", keys),
        bare,
    ]
}

fn said(ran: &Ran, code: i32, words: &[&str]) {
    let all = format!("{}{}", ran.out, ran.err);
    eprintln!("lab: exit {:?} after {:?}:\n{}", ran.code, ran.took, ran.err.trim());
    assert_eq!(ran.code, Some(code), "{all}");
    assert!(ran.took < Duration::from_secs(60), "{:?}", ran.took);
    assert!(words.iter().any(|word| all.to_lowercase().contains(word)), "none of {words:?} in: {all}");
}

fn disk(machines: Vec<Machine>) -> Result<(), Failed> {
    table::full_disk(&usual(&machines)[0], kill::NATIVE)
}

/// Where there is no sudo, all must lie with the user: that it does not is seen at the first look, and nothing is done.
fn foreign(machines: Vec<Machine>) -> Result<(), Failed> {
    let machines = &usual(&machines)[..1];
    let mut bench = Bench::new("foreign", machines);
    bench.user = "plain".into();
    let port = port();
    let write = || bench.registry_with("become: none", &bench.service("one", &[&machines[0].name], port, "one", ""));
    write();
    for verb in ["plan", "deploy"] {
        said(&bench.run(&[verb, "--all"]), 9, &["cannot be written as plain: permission denied"]);
    }
    assert_eq!(machines[0].inside(&format!("ls -d {} 2>/dev/null", bench.base())), "");
    // A part of it is enough.
    machines[0].inside(&format!("install -d -o plain {0}; install -d -o root {0}/runs", bench.base()));
    let ran = bench.run(&["deploy", "--all"]);
    said(&ran, 9, &["cannot be written as plain: permission denied"]);
    assert!(ran.err.contains("hint: set `become: sudo`, or a `base` that the user owns"), "{}", ran.err);
    Ok(())
}

fn causes(machines: Vec<Machine>) -> Result<(), Failed> {
    side_by_side(&suites(&machines), |machine| {
        let bench = Bench::new("cause", std::slice::from_ref(machine));
        let rows = [
            ("run: [/opt/none]", "hint: correct the first word of `run`"),
            ("run: [/bin/sleep, \"9\"]\n    user: nobody-here", "hint: create the user there"),
        ];
        for (keys, words) in rows {
            let service = format!(
                "  {}-one:\n    type: native\n    host: {}\n    {keys}\n    restart: {{ policy: never }}\n    \
                 checks: [{{ unit: true }}]\n",
                bench.id, machine.name
            );
            bench.registry(&service);
            said(&bench.run(&["deploy", "--all"]), 5, &[words]);
        }
    })
}

/// systemd says that it cannot forget the failure; the unit rests all the same, as it did before.
fn undone(machines: Vec<Machine>) -> Result<(), Failed> {
    let machines = &usual(&machines)[..1];
    let bench = Bench::new("undone", machines);
    let wrapper = "/usr/local/bin/systemctl";
    let script =
        format!("case $* in *reset-failed*{}*) echo told; exit 1 ;; esac; exec /usr/bin/systemctl \"$@\"", bench.id);
    machines[0].inside(&format!("printf '#!/bin/sh\n%s\n' '{script}' >{wrapper}; chmod 755 {wrapper}"));
    bench.registry(&format!(
        "  {}-one:\n    type: native\n    host: {}\n    run: [/bin/false]\n    restart: {{ policy: never }}\n    \
         checks: [{{ unit: true }}]\n",
        bench.id, machines[0].name
    ));
    let ran = bench.run(&["deploy", "--all"]);
    machines[0].inside(&format!("rm {wrapper}"));
    said(&ran, 5, &["gone again"]);
    Ok(())
}

/// The service itself takes the last byte while it starts, so that what is noted of it finds no room.
fn filled(machines: Vec<Machine>) -> Result<(), Failed> {
    let machines = &usual(&machines)[..1];
    let bench = Bench::new("filled", machines);
    let base = bench.base();
    machines[0].inside(&format!("mkdir -p {base} && mount -t tmpfs -o size=1m,mode=755 none {base}"));
    bench.registry(&format!(
        "  {}-one:\n    type: native\n    host: {}\n    user: root\n    \
         run: [/bin/sh, -c, \"cat /dev/zero >{base}/hog; exec sleep 600\"]\n    checks: [{{ unit: true }}]\n",
        bench.id, machines[0].name
    ));
    let ran = bench.run(&["deploy", "--all"]);
    said(&ran, 5, &["the file system is full"]);
    assert!(ran.err.contains("hint: see `df -h`"), "{}", ran.err);
    Ok(())
}

/// It comes up, and dies while its check is asked; the unit's log says why.
fn crashed(machines: Vec<Machine>) -> Result<(), Failed> {
    side_by_side(&suites(&machines), |machine| {
        let (bench, port) = (Bench::new("crashed", std::slice::from_ref(machine)), port());
        bench.registry(&format!(
            "  {}-one:\n    type: native\n    host: {}\n    port: {port}\n    \
             run: [/bin/sh, -c, \"sleep 4; echo the cellar is flooded; exit 7\"]\n    \
             restart: {{ policy: never }}\n    checks: [{{ tcp: {port} }}]\n",
            bench.id, machine.name
        ));
        let ran = bench.run(&["deploy", "--all"]);
        said(&ran, 5, &["| the cellar is flooded"]);
        assert!(ran.err.contains("exit code 7"), "{}", ran.err);
    })
}

fn reloaded(machines: Vec<Machine>) -> Result<(), Failed> {
    let machines = &usual(&machines)[..1];
    let bench = Bench::new("reloaded", machines);
    let service = |trap: &str| {
        format!(
            "  {}-one:\n    type: native\n    host: {}\n    reload: SIGHUP\n    restart: {{ policy: always, delay: 100ms }}\n    \
             run: [/bin/sh, -c, \"{trap} while :; do sleep 0.1; done\"]\n    checks: [{{ unit: true }}]\n",
            bench.id, machines[0].name
        )
    };
    bench.registry(&service("trap : HUP;"));
    bench.run(&["deploy", "--all"]).exits(0);
    bench.run(&["reload", "--all"]).exits(0);
    bench.registry(&service(""));
    bench.run(&["deploy", "--all"]).exits(0);
    said(&bench.run(&["reload", "--all"]), 5, &["did not reload: it ended, and was started again"]);
    bench.run(&["status"]).exits(0);
    Ok(())
}

fn strange(machines: Vec<Machine>) -> Result<(), Failed> {
    let machines = &usual(&machines)[..1];
    let (machine, port) = (&machines[0], port());
    let bench = Bench::new("strange", machines);
    bench.registry(&bench.service("one", &[&machine.name], port, "one", ""));
    bench.run(&["deploy", "--all"]).exits(0);
    bench.registry(&bench.service("two", &[&machine.name], port, "two", ""));
    said(&bench.run(&["status"]), 8, &["not in the registry"]);
    let name = format!("{}-one", bench.id);
    bench.run(&["remove", &name, "--yes"]).exits(2);
    bench.run(&["remove", "nobody-knows-it", "--host", &machine.name, "--yes"]).exits(2);
    bench.run(&["start", &name, "--host", &machine.name]).exits(2);
    assert_eq!(bench.answer(machine, port), "one");
    bench.run(&["stop", &name, "--host", &machine.name]).exits(0);
    assert_eq!(bench.answer(machine, port), "");
    said(&bench.run(&["status"]), 8, &["inactive (dead)"]);
    bench.run(&["remove", &name, "--host", &machine.name, "--yes"]).exits(0);
    assert_eq!(bench.answer(machine, port), "");
    assert_eq!(machine.inside(&format!("ls {}/services/{name}", bench.base())).trim(), "shared");
    Ok(())
}

fn logins(machines: Vec<Machine>) -> Result<(), Failed> {
    let machines = &usual(&machines)[..1];
    // One whose login shell runs nothing.
    machines[0].inside(
        "id shut 2>/dev/null || useradd -m -s /usr/sbin/nologin shut; install -d -o shut -m 700 ~shut/.ssh; \
         install -o shut -m 600 /home/deploy/.ssh/authorized_keys ~shut/.ssh/authorized_keys",
    );
    for (user, code, words) in [
        ("root", 0, ""),
        ("fishy", 0, ""),
        ("noisy", 0, ""),
        ("plain", 4, "sudo needs a password for `plain`"),
        ("asks", 4, "hint: use --ask-become-pass"),
        ("shut", 4, "the login shell of `shut` does not run /bin/sh: this account is currently not available."),
    ] {
        let mut bench = Bench::new("login", machines);
        bench.user = user.into();
        bench.registry(&bench.service("one", &[&machines[0].name], port(), "one", ""));
        said(&bench.run(&["deploy", "--all"]), code, &[words]);
    }
    Ok(())
}

fn unreachable(machines: Vec<Machine>) -> Result<(), Failed> {
    let machines = &usual(&machines)[..1];
    let world = tokio::runtime::Runtime::new()?;
    let target = format!("{}:{}", machines[0].address, machines[0].port).parse()?;
    let proxy = world.block_on(DelayProxy::start(target, Duration::ZERO));
    let mut bench = Bench::new("far", machines);
    bench.through(&machines[0], proxy.port());
    bench.registry(&bench.service("one", &[&machines[0].name], port(), "one", ""));
    proxy.silent(true);
    let silent = bench.run(&["deploy", "--all"]);
    said(&silent, 4, &["the ssh handshake with 127.0.0.1:"]);
    assert!(silent.err.contains("took longer than 10 s"), "{}", silent.err);
    assert!(silent.err.contains("hint: the host may be down, overloaded or behind a firewall"), "{}", silent.err);
    proxy.silent(false);
    drop(proxy);
    said(&bench.run(&["deploy", "--all"]), 4, &["refused"]);
    Ok(())
}

fn skipped(machines: Vec<Machine>) -> Result<(), Failed> {
    let machines = &pair(&machines)[..];
    let world = tokio::runtime::Runtime::new()?;
    let target = format!("{}:{}", machines[1].address, machines[1].port).parse()?;
    let proxy = world.block_on(DelayProxy::start(target, Duration::ZERO));
    let mut bench = Bench::new("skip", machines);
    bench.through(&machines[1], proxy.port());
    let port = port();
    bench.registry(&bench.service("one", &[&machines[0].name, &machines[1].name], port, "one", ""));
    bench.run(&["deploy", "--all"]).exits(0);
    drop(proxy);
    said(&bench.run(&["stop", "--all"]), 4, &["nothing was touched; --skip-unseen"]);
    assert_eq!(bench.answer(&machines[0], port), "one");
    said(&bench.run(&["stop", "--all", "--skip-unseen"]), 4, &["left out, as it cannot be seen"]);
    assert_eq!((bench.answer(&machines[0], port), bench.answer(&machines[1], port)), (String::new(), "one".into()));
    Ok(())
}

fn keys(machines: Vec<Machine>) -> Result<(), Failed> {
    let machines = usual(&machines);
    let bench = Bench::new("key", &machines[..1]);
    bench.registry(&bench.service("one", &[&machines[0].name], port(), "one", ""));
    // Another host's key stands where this one's should.
    let known = std::fs::read_to_string(bench.at("known_hosts"))?;
    let other = &machines[1].host_keys;
    let lines: Vec<String> =
        other.iter().filter_map(|key| Some(format!("{} {}", machines[0].address, key.split_once(' ')?.1))).collect();
    std::fs::write(bench.at("known_hosts"), lines.join("\n") + "\n")?;
    let changed = bench.run(&["deploy", "--all"]);
    said(&changed, 4, &["known_hosts:", "line"]);
    assert!(changed.err.contains("known_hosts"), "{}", changed.err);
    std::fs::write(bench.at("known_hosts"), "")?;
    said(&bench.run(&["deploy", "--all"]), 4, &["unknown", "not known"]);
    assert_eq!(std::fs::read_to_string(bench.at("known_hosts"))?, "", "nothing is pinned without being asked");
    std::fs::write(bench.at("known_hosts"), known)?;
    bench.run(&["deploy", "--all"]).exits(0);
    Ok(())
}

fn hangs(bare: &Machine) -> Result<(), Failed> {
    let bench = Bench::new("bare", std::slice::from_ref(bare));
    let service = |version: &str, soak: &str| {
        format!(
            "  {}-one:\n    type: native\n    host: {}\n    run: [/bin/sleep, \"{version}\"]\n    checks: [{{ unit: true }}]\n    \
             deploy: {{ soak: {soak} }}\n",
            bench.id, bare.name
        )
    };
    bench.registry(&service("1000", "100ms"));
    bare.inside("mv /usr/bin/sudo /usr/bin/sudo.away");
    let powerless = bench.run(&["deploy", "--all"]);
    bare.inside("mv /usr/bin/sudo.away /usr/bin/sudo");
    said(&powerless, 4, &["the host has no sudo, and `deploy` is not root"]);
    assert!(powerless.err.contains("hint: install sudo there, log in as root"), "{}", powerless.err);
    bench.run(&["deploy", "--all", "--events"]).exits(0);
    // It hangs when the new release runs and is not proven yet.
    bench.registry(&service("1001", "100s"));
    let mut follow = Talk::of(&bench, "state", &["deploy", "--all", "--events"]);
    follow.says(&["\"event\":\"soaking\""]);
    bare.fault(&["pause"]);
    let code = follow.ends(2 * PATIENCE);
    bare.fault(&["unpause"]);
    let all = follow.said.join("\n");
    assert_eq!(code, Some(6), "{all}");
    assert!(all.contains("the host was lost: ") && all.contains("`portoser attach` follows it"), "{all}");
    bench.registry(&service("1001", "100ms"));
    bench.run(&["deploy", "--all", "--events"]).exits(0);
    assert_eq!(bench.amiss(bare), "");
    Ok(())
}
