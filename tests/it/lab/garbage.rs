//! A host that answers garbage, half of an answer, or nothing, with a service on it that any healer would start: nothing of it is
//! believed, all is unseen, and nothing is run.

use libtest_mimic::{Failed, Trial};
use serde_json::Value;

use super::kit::{Bench, Machine, Ran, full, port};
use super::{trial, usual};

pub fn trials() -> Vec<Trial> {
    vec![trial("what_answers_garbage_is_unseen_and_left_alone", left_alone)]
}

/// What becomes of the answers: the login shell of a user of its own, whose words and input are those of ssh.
const SHELLS: &[(&str, &str)] = &[
    ("garbage", "cat >/dev/null; head -c 20000 /dev/urandom"),
    ("another page", "cat >/dev/null; echo '<html>502 Bad Gateway</html>'; exit 0"),
    ("nothing", "cat >/dev/null; exit 0"),
    ("nothing, and a failure", "cat >/dev/null; exit 255"),
    ("half", "/bin/bash \"$@\" | head -c 1500"),
    ("all but the end", "/bin/bash \"$@\" | head -c -9"),
    ("other lengths", "/bin/bash \"$@\" | sed 's/^\\(@[a-z ]*\\) [0-9]*$/\\1 3/'"),
    ("other letters", "/bin/bash \"$@\" | tr a-y b-z"),
    ("another one's words", "/bin/bash \"$@\" | tail -c +200"),
];

fn document(ran: &Ran) -> Value {
    serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}: {}{}", ran.out, ran.err))
}

fn left_alone(machines: Vec<Machine>) -> Result<(), Failed> {
    let machine = &usual(&machines)[0];
    let mut bench = Bench::new("garbage", std::slice::from_ref(machine));
    let (user, shell) = (bench.id.clone(), format!("/usr/local/bin/shell-{}", bench.id));
    machine.inside(&format!(
        "useradd -m -s /bin/bash {user}; cp -r ~deploy/.ssh ~{user}/ && chown -R {user} ~{user}/.ssh\n\
         echo '{user} ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/{user}"
    ));
    bench.user.clone_from(&user);
    let heal = "    heal: { policy: full, apart: 100ms, cooldown: 1s }\n";
    bench.registry(&bench.service("one", &[&machine.name], port(), "one", heal));
    bench.run(&["deploy", "--all"]).exits(0);
    let unit = format!("portoser-{}-one.service", bench.id);
    machine.inside(&format!("systemctl stop {unit}"));
    // What runs there leaves a folder behind, and what starts the unit another time.
    let base = bench.base();
    let stands = || {
        machine.inside(&format!("ls {base}/runs; systemctl show -p ActiveState,InactiveEnterTimestampMonotonic {unit}"))
    };
    let before = stands();
    let full = full();
    for (what, does) in
        SHELLS.iter().filter(|(what, _)| full || matches!(*what, "garbage" | "nothing" | "half" | "other lengths"))
    {
        machine.inside(&format!(
            "cat >{shell} <<'END'\n#!/bin/bash\n{does}\nEND\nchmod 755 {shell}; usermod -s {shell} {user}"
        ));
        let verbs = [&["sweep", "--heal", "full", "--json"][..], &["heal", "--risk", "disruptive", "--json"]];
        for verb in &verbs[..if full { 2 } else { 1 }] {
            let ran = bench.run(verb);
            let told = document(&ran);
            assert_eq!(told["treated"], Value::Array(Vec::new()), "{what}: {told}");
            assert!(told["unseen"].as_u64().is_some_and(|unseen| unseen > 10), "{what}: {told}");
            // The host is what is wrong; nothing is said of its service.
            assert_eq!(ran.code, Some(8), "{what}: {}{}", ran.out, ran.err);
            let left = told["left"].as_array().expect("what is left");
            assert!(left.len() == 1 && left[0]["service"].is_null(), "{what}: {told}");
        }
        let found = document(&bench.run(&["diagnose", "--json"]).exits(8));
        for one in found["observations"].as_array().expect("observations") {
            let wanted = if one["look"] == "reach" { "bad" } else { "unseen" };
            assert_eq!(one["sight"], wanted, "{what}: {one}");
        }
        assert_eq!(stands(), before, "{what}");
    }
    // There was something to do all the time.
    machine.inside(&format!("usermod -s /bin/bash {user}"));
    let told = document(&bench.run(&["heal", "--json"]).exits(0));
    assert_eq!(told["treated"].as_array().map(Vec::len), Some(1), "{told}");
    machine.inside(&format!("rm -f {shell} /etc/sudoers.d/{user}; userdel -rf {user}"));
    Ok(())
}
