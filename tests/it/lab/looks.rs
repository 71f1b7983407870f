//! Looks at hosts on which something hangs or comes and goes: what hangs is unseen by its name, all else is seen, and what flaps is
//! left alone.

use std::collections::BTreeSet;
use std::time::Duration;

use libtest_mimic::{Completion, Trial};
use serde_json::Value;

use super::docker::side_by_side;
use super::kit::{self, Bench, Machine, PATIENCE, Ran, port, wait};
use super::{suites, trial};

pub fn trials() -> Vec<Trial> {
    let busybox = Trial::ignorable_test("lab::a_host_of_busybox_is_seen", || {
        let one = kit::machines().unwrap_or_default().into_iter().find(|one| one.image == "busybox");
        let Some(one) = one else {
            return Ok(Completion::ignored_with("no host of the image `busybox` in PORTOSER_LAB"));
        };
        seen(&one);
        Ok(Completion::Completed)
    });
    vec![
        busybox,
        trial("a_look_that_hangs_costs_itself_alone", |machines| side_by_side(&suites(&machines), hangs)),
        trial("a_file_that_hangs_costs_its_service_alone", |machines| side_by_side(&suites(&machines), silent)),
        trial("a_flapping_service_is_left_alone", |machines| side_by_side(&suites(&machines), flaps)),
    ]
}

fn document(ran: &Ran) -> Value {
    serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}: {}{}", ran.out, ran.err))
}

/// A program that never ends, for this trial's service alone: others look at the host, too.
fn hangs(machine: &Machine) {
    let bench = Bench::new("hangs", std::slice::from_ref(machine));
    bench.registry(&bench.service("one", &[&machine.name], port(), "one", ""));
    bench.run(&["deploy", "--all"]).exits(0);
    let base = bench.base();
    let script = format!("#!/bin/sh\ncase $* in *{base}*) sleep 600 ;; esac\nexec /usr/bin/df \"$@\"\n");
    machine.inside(&format!("printf '%s' '{script}' >/usr/local/bin/df; chmod 755 /usr/local/bin/df"));
    let ran = bench.run(&["diagnose", "--json"]);
    machine.inside("rm -f /usr/local/bin/df");
    let found = document(&ran.exits(4));
    let late = |says: &str| says.contains("`df` did not answer within");
    let sights = sights(&found, |look, _| matches!(look, "disk" | "inodes"), late);
    assert!(
        ["disk", "inodes", "unit", "check", "port", "drift"].iter().all(|look| sights.contains(*look)),
        "{sights:?}"
    );
    let left = machine.inside(&format!("pgrep -fl '[u]sr/local/bin/df.*{base}' || echo none"));
    assert_eq!(left.trim(), "none", "what hung is gone");
}

/// The looks that were taken. All of them are good, but for those that are `meant`: they are unseen, for this reason.
fn sights(found: &Value, meant: impl Fn(&str, &str) -> bool, reason: impl Fn(&str) -> bool) -> BTreeSet<String> {
    let mut looks = BTreeSet::new();
    for one in found["observations"].as_array().expect("observations") {
        let text = |key: &str| one[key].as_str().unwrap_or_default();
        let wanted = if meant(text("look"), text("service")) { "unseen" } else { "good" };
        assert!(text("sight") == wanted && (wanted == "good" || reason(text("says"))), "{one}");
        looks.insert(text("look").to_owned());
    }
    looks
}

/// A file of a release that nobody can read, as on a file server that is away, and then one of our own records: what needs it is
/// unseen, and the other service is seen as ever.
fn silent(machine: &Machine) {
    let bench = Bench::new("silent", std::slice::from_ref(machine));
    let service = |name: &str| bench.service(name, &[&machine.name], port(), "one", "");
    bench.registry(&(service("one") + &service("two")));
    bench.run(&["deploy", "--all"]).exits(0);
    let one = format!("{}-one", bench.id);
    let place = format!("{}/services/{one}", bench.base());
    let fifo = |file: &str| machine.inside(&format!("mv {place}/{file} {place}/kept && mkfifo {place}/{file}"));
    let back = |file: &str| machine.inside(&format!("mv {place}/kept {place}/{file}"));
    fifo("current/server.py");
    let ran = bench.run(&["diagnose", "--json"]);
    back("current/server.py");
    let first = ran.took;
    let late = |says: &str| says.starts_with("`sha256sum` did not answer within ");
    let looks = sights(&document(&ran.exits(4)), |look, service| look == "drift" && service == one, late);
    assert!(looks.contains("check"), "{looks:?}");
    fifo("proven");
    let ran = bench.run(&["sweep", "--json"]);
    let told = document(&ran);
    assert!(told["unseen"] == 1 && told["treated"] == Value::Array(Vec::new()), "{told}");
    let ran = bench.run(&["diagnose", "--json"]);
    back("proven");
    eprintln!(
        "lab: {}: with a file that hangs the rest is told after {first:?}, with a record that hangs after {:?}",
        machine.name, ran.took
    );
    assert!(ran.took < Duration::from_secs(25), "{:?}", ran.took);
    let late = |says: &str| says.starts_with("its folder did not answer within ");
    sights(&document(&ran.exits(4)), |look, service| look == "release" && service == one, late);
    bench.run(&["diagnose"]).exits(0);
}

/// With the policy that holds when nobody says one. Its supervisor starts it again and again; who started it, too, would only make
/// the supervisor forget how often it did.
fn flaps(machine: &Machine) {
    let bench = Bench::new("flaps", std::slice::from_ref(machine));
    bench.registry(&bench.service("one", &[&machine.name], port(), "one", "    heal: { apart: 100ms }\n"));
    bench.run(&["deploy", "--all"]).exits(0);
    let unit = format!("portoser-{}-one.service", bench.id);
    let again =
        || machine.inside(&format!("systemctl show -p NRestarts --value {unit}")).trim().parse::<u32>().unwrap_or(0);
    machine.inside(&format!(
        "mkdir -p /run/systemd/system/{unit}.d\nprintf '[Unit]\\nStartLimitBurst=10000\\n[Service]\\nRestart=always\\nRestartSec=100ms\\nExecStart=\\n\
         ExecStart=/bin/sh -c \"sleep 0.2; exit 3\"\\n' >/run/systemd/system/{unit}.d/flap.conf\nsystemctl daemon-reload; systemctl restart {unit}"
    ));
    wait("a crash loop", PATIENCE, || again() > 3);
    for _ in 0..5 {
        let before = again();
        let told = document(&bench.run(&["sweep", "--json"]).exits(8));
        assert_eq!(told["treated"], Value::Array(Vec::new()), "{told}");
        assert!(told["left"].to_string().contains("\"crash-loop\""), "{told}");
        assert!(again() >= before, "its supervisor goes on counting");
    }
    machine.inside(&format!("rm -r /run/systemd/system/{unit}.d; systemctl daemon-reload"));
}

/// All tools are busybox's, and there is no init system: nothing is called bad for that, and what is unseen says which tool it lacks.
fn seen(machine: &Machine) {
    let bench = Bench::new("busy", std::slice::from_ref(machine));
    let (id, port) = (&bench.id, port());
    bench.registry(&format!(
        "  {id}-one:\n    type: native\n    host: {}\n    run: [/bin/busybox, httpd, -f, -p, \"{port}\", -h, /bin]\n    port: {port}\n    \
         checks: [{{ tcp: {port} }}]\n",
        machine.name
    ));
    bench.run(&["deploy", "--all"]).exits(0);
    let ran = bench.run(&["diagnose", "--json"]);
    let found = document(&ran);
    let mut good = 0;
    for one in found["observations"].as_array().expect("observations") {
        let text = |key: &str| one[key].as_str().unwrap_or_default();
        match text("sight") {
            "good" => good += 1,
            "unseen" => assert!(text("says").starts_with("the host has no "), "{one}"),
            _ => assert_eq!(text("look"), "load", "{one}"),
        }
    }
    assert!(good > 20, "{good} of {}", found["observations"]);
    bench.run(&["remove", &format!("{}-one", bench.id), "--yes"]).exits(0);
}
