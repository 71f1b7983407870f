//! Healing that takes its time: a deadline in the middle of a remedy, what a remedy has started, and who waits for a need that starts.

use std::time::Duration;

use libtest_mimic::Trial;
use serde_json::Value;

use super::docker::side_by_side;
use super::kit::{self, Bench, Machine, PATIENCE, Ran, port, wait};
use super::{suites, trial};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("a_deadline_in_a_remedy_ends_what_follows", |machines| side_by_side(&suites(&machines), deadline)),
        trial("what_a_remedy_has_started_is_waited_for", |machines| side_by_side(&suites(&machines), started)),
        trial("who_needs_what_is_starting_is_not_given_up", |machines| side_by_side(&suites(&machines), waits)),
    ]
}

/// Listens as late as a file says; as another version than `one`, never, or is sick, where one says so; and is well as long as what it
/// needs listens.
const LATE: &str = r#"import os, socket, sys, time
port, need = os.environ["PORT"], os.environ.get("NEED")
def told(name):
    try: return open("/tmp/%s-%s" % (name, port)).read()
    except OSError: return ""
time.sleep(float(told("late") or 0))
if sys.argv[1] != "one" and told("never"): time.sleep(3600)
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("127.0.0.1", int(port))); s.listen(64)
while True:
    c, _ = s.accept()
    status = b"503 Sick" if sys.argv[1] != "one" and told("sick") else b"200 OK"
    try:
        if need: socket.create_connection(("127.0.0.1", int(need)), 1).close()
    except OSError as error:
        print("cannot reach what it needs:", error, flush=True); status = b"503 Bad"
    try: c.settimeout(2); c.recv(4096); c.sendall(b"HTTP/1.1 " + status + b"\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok")
    except OSError: pass
    finally: c.close()
"#;

/// A bench with the program, and the entry of a service that runs it.
fn bench(name: &str, machine: &Machine) -> Bench {
    let bench = Bench::new(name, std::slice::from_ref(machine));
    std::fs::write(bench.at("late.py"), LATE).expect("the service");
    bench
}

fn entry(bench: &Bench, name: &str, (port, version, starts): (u16, &str, u16), more: &str) -> String {
    format!(
        "  {}-{name}:\n    type: native\n    host: {}\n    source: late.py\n    run: [/usr/bin/python3, ./late.py, \"{version}\"]\n    port: {port}\n    \
         checks: [{{ http: /, start_period: {starts}s }}]\n    heal: {{ policy: full, apart: 1s, cooldown: 1s, tries: 9, breaker: 99 }}\n{more}",
        bench.id, bench.machines[0].name
    )
}

fn alone(bench: &Bench, port: u16, version: &str, starts: u16) {
    bench.registry(&entry(bench, "one", (port, version, starts), "    env: { PORT: \"${PORT}\" }\n"));
    bench.run(&["deploy", "--all"]).exits(0);
}

fn document(ran: &Ran) -> Value {
    serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}: {}{}", ran.out, ran.err))
}

/// Each remedy that was applied, and what came of it.
fn treated(ran: &Ran) -> Vec<String> {
    let all = document(ran)["treated"].as_array().cloned().unwrap_or_default();
    let text = |one: &Value, key: &str| one[key].as_str().unwrap_or_default().to_owned();
    all.iter().map(|one| format!("{} {}", text(one, "remedy"), text(one, "verdict"))).collect()
}

/// What is under way is finished, or undone where it does not help; nothing else begins, and the host is free.
fn deadline(machine: &Machine) {
    let (bench, port) = (bench("deadline", machine), port());
    let unit = format!("portoser-{}-one.service", bench.id);
    let sweep = |more: &[&str]| bench.run(&[&["sweep", "--deadline", "25s"], more].concat());
    let within = Duration::from_secs(25);
    alone(&bench, port, "one", 50);
    machine.inside(&format!("echo 30 >/tmp/late-{port}; systemctl stop {unit}"));
    let helped = sweep(&["--json"]);
    machine.inside(&format!("rm /tmp/late-{port}"));
    let helped = helped.exits(0);
    assert_eq!(treated(&helped), ["unit-stopped helped"], "{}", helped.out);
    assert!(helped.took > within, "it was over after {:?}", helped.took);
    assert_eq!(document(&helped)["left"], Value::Array(Vec::new()), "{}", helped.out);

    // What nobody wants to be treated is held for that, and not for the time.
    let env = "    env: { PORT: \"${PORT}\" }\n";
    let held = entry(&bench, "held", (kit::port(), "one", 2), env).replace("policy: full", "policy: observe");
    bench.registry(&(entry(&bench, "one", (port, "two", 25), env) + &held));
    bench.run(&["deploy", "--all"]).exits(0);
    let held = format!("portoser-{}-held.service", bench.id);
    machine.inside(&format!("systemctl stop {held}; echo yes >/tmp/sick-{port}"));
    let vain = sweep(&[]).exits(8);
    assert!(vain.took > within, "it was over after {:?}", vain.took);
    for words in ["NO HELP", "check-failing: restart the unit", "LEFT"] {
        assert!(vain.out.contains(words), "{words}: {}", vain.out);
    }
    if vain.out.matches("not done: whatever else may help: the time of this pass is over").count() != 1 {
        // A host that is busy with other trials may not let its last look see it; then that is said.
        let unseen = format!("check http :{port}/ of {}-one on {}: ", bench.id, machine.name);
        let told = vain.err.split_once("could not be taken: ").is_some_and(|(_, which)| which.contains(&unseen));
        assert!(told, "{}{}{:?}", vain.out, vain.err, last_look(&bench, &vain));
        eprintln!("lab: {}: the last look did not see that it is sick: {}", machine.name, vain.err);
    }
    assert!(vain.out.contains("the policy is `observe`"), "{}", vain.out);
    assert_eq!(bench.amiss(machine), "", "the host is free");
    machine.inside(&format!("systemctl start {held}"));
    // The next pass goes on where this one ended.
    let healed = bench.run(&["sweep", "--json"]);
    machine.inside(&format!("rm /tmp/sick-{port}"));
    let healed = healed.exits(0);
    assert_eq!(treated(&healed), ["ladder: roll-back helped"], "{}", healed.out);
}

/// What the last look saw of the first service, from the bundle that was left.
fn last_look(bench: &Bench, ran: &Ran) -> Vec<Value> {
    let path = ran.out.lines().find_map(|line| line.strip_prefix("all that was seen: ")).expect("a bundle");
    let bundle: Value = serde_json::from_slice(&std::fs::read(path).expect("a file")).expect("JSON");
    let all = bundle["diagnosis"]["observations"].as_array().cloned().expect("observations");
    let name = format!("{}-one", bench.id);
    all.into_iter().filter(|one| one["service"] == name.as_str()).collect()
}

/// To restart it is in vain, which is not known before its start period is over; then the next remedy is tried.
fn started(machine: &Machine) {
    let (bench, port) = (bench("started", machine), port());
    let unit = format!("portoser-{}-one.service", bench.id);
    alone(&bench, port, "one", 8);
    alone(&bench, port, "two", 8);
    machine.inside(&format!("echo yes >/tmp/never-{port}; systemctl restart {unit}"));
    wait("the end of its start period", PATIENCE, || bench.run(&["diagnose"]).code == Some(8));
    let healed = bench.run(&["heal", "--json"]);
    machine.inside(&format!("rm /tmp/never-{port}"));
    let healed = healed.exits(0);
    assert_eq!(treated(&healed), ["not-listening no-help", "ladder: roll-back helped"], "{}", healed.out);
}

/// Its own check is bad and its log tells of it, as long as its need starts: that is no news, and nothing is done.
fn waits(machine: &Machine) {
    let (bench, db, api) = (bench("waits", machine), port(), port());
    let unit = format!("portoser-{}-db.service", bench.id);
    let needs = format!("    needs: [{}-db]\n    env: {{ PORT: \"${{PORT}}\", NEED: \"{db}\" }}\n", bench.id);
    let heard = bench.at("heard");
    let notify = format!("notify:\n  - command: [/bin/sh, -c, 'cat >>\"$1\"', sh, {}]\n", heard.display());
    let both = entry(&bench, "db", (db, "one", 40), "    env: { PORT: \"${PORT}\" }\n")
        + &entry(&bench, "api", (api, "one", 2), &needs);
    bench.registry(&(both + &notify));
    bench.run(&["deploy", "--all"]).exits(0);
    machine.inside(&format!("echo 600 >/tmp/late-{db}; systemctl restart {unit}"));
    let told = bench.run(&["sweep", "--json"]);
    let document = document(&told);
    assert_eq!(
        (&document["treated"], &document["left"]),
        (&Value::Array(vec![]), &Value::Array(vec![])),
        "{}",
        told.out
    );
    let told = told.exits(4);
    let sweep = bench.run(&["sweep", "-v"]).exits(4);
    assert!(
        sweep.err.contains(&format!("{}-db, which it needs, is starting", bench.id)),
        "{}{}{}",
        sweep.out,
        sweep.err,
        told.err
    );
    assert!(!heard.exists(), "{}", std::fs::read_to_string(&heard).unwrap_or_default());
    machine.inside(&format!("rm /tmp/late-{db}; systemctl restart {unit}"));
    wait("the end of the start", PATIENCE, || bench.run(&["sweep"]).code == Some(0));
    assert!(!heard.exists(), "{}", std::fs::read_to_string(&heard).unwrap_or_default());
}
