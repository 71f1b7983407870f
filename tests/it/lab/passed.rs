//! What passed, or was stopped by a person, while healing waited for its host: nothing is done about it.

use libtest_mimic::{Failed, Trial};
use serde_json::Value;

use super::kit::{Bench, Machine, PATIENCE, port, wait};
use super::{trial, usual};

pub fn trials() -> Vec<Trial> {
    vec![trial("what_passed_while_the_host_was_waited_for_is_left_alone", passed)]
}

/// Ends, when it is asked to, as soon as a file is there.
const SLOW: &str = r#"import os, signal, time
port = os.environ["PORT"]
def end(*_):
    open("/tmp/stops-" + port, "w").close()
    while not os.path.exists("/tmp/go-" + port): time.sleep(.1)
    os._exit(0)
signal.signal(signal.SIGTERM, end)
while True: signal.pause()
"#;

/// The ports of three services: what `one` needs, `one` itself, and what needs it and ends slowly.
struct Ports {
    gate: u16,
    one: u16,
    tail: u16,
}

fn write(bench: &Bench, ports: &Ports, version: &str) {
    let host = bench.machines[0].name.as_str();
    let heal = "    heal: { policy: full, apart: 100ms, cooldown: 1s, tries: 50, breaker: 50 }\n";
    let (gate, id) = (ports.gate, &bench.id);
    // A release of it is held back until a file is there.
    let script = format!("touch /tmp/hook-{gate}; until [ -e /tmp/go-{gate} ]; do sleep 0.1; done");
    let hook = format!("    hooks: {{ before: [{{ run: [sh, -c, \"{script}\"] }}] }}\n");
    let first = bench.service("gate", &[host], gate, version, &hook);
    let second = bench.service("one", &[host], ports.one, version, &format!("{heal}    needs: [{id}-gate]\n"));
    let third = bench.service("tail", &[host], ports.tail, "tail", &format!("    needs: [{id}-one]\n"));
    let third = third.replace("server.py", "tail.py").replace("[{ http: /health }]", "[{ unit: true }]");
    bench.registry(&(first + &second + &third + "    stop: { timeout: 60s }\n"));
}

/// Heals while somebody else is at work, who goes on as soon as healing waits for the host.
fn heals_beside(bench: &Bench, machine: &Machine, others: &[&str], (began, go): (&str, &str), code: i32) -> String {
    let one = format!("{}-one", bench.id);
    let queue = format!("ls {}/queue 2>/dev/null", bench.base());
    std::thread::scope(|scope| {
        let other = scope.spawn(|| bench.run_in("elsewhere", others, &mut |_, _| {}));
        wait("the other one is at work", PATIENCE, || !machine.inside(&format!("ls {began} 2>/dev/null")).is_empty());
        let healing = scope.spawn(|| bench.run(&["heal", &one, "--json"]));
        wait("healing waits", PATIENCE, || !machine.inside(&queue).is_empty() || healing.is_finished());
        assert!(!healing.is_finished(), "{:?}", healing.join());
        machine.inside(go);
        other.join().expect("the other one").exits(0);
        let healing = healing.join().expect("a healing").exits(code);
        let document: Value = serde_json::from_str(&healing.out).expect("a document");
        assert_eq!(document["treated"].as_array().map(Vec::len), Some(0), "{}{}", healing.out, healing.err);
        healing.out
    })
}

fn passed(machines: Vec<Machine>) -> Result<(), Failed> {
    let machine = usual(&machines)[0].clone();
    let bench = Bench::new("passed", std::slice::from_ref(&machine));
    std::fs::write(bench.at("tail.py"), SLOW)?;
    let ports = Ports { gate: port(), one: port(), tail: port() };
    let (gate, one, tail) = (ports.gate, ports.one, ports.tail);
    let unit = format!("portoser-{}-one.service", bench.id);
    let state = || machine.inside(&format!("systemctl show -p ActiveState,MainPID {unit}"));
    let falls_ill = || machine.inside(&format!("touch /tmp/bad-{one}; systemctl restart {unit}"));
    machine.inside(&format!("touch /tmp/go-{gate} /tmp/go-{tail}"));
    for version in ["one", "two"] {
        write(&bench, &ports, version);
        bench.run(&["deploy", "--all"]).exits(0);
    }

    // A deploy mends it: its release is not taken back, and what runs is not restarted.
    falls_ill();
    machine.inside(&format!("rm /tmp/go-{gate} /tmp/hook-{gate}"));
    write(&bench, &ports, "three");
    let names = ["gate", "one"].map(|name| format!("{}-{name}", bench.id));
    let go = format!("rm /tmp/bad-{one}; touch /tmp/go-{gate}");
    let place = format!("/tmp/hook-{gate}");
    heals_beside(&bench, &machine, &["deploy", &names[0], &names[1]], (&place, &go), 0);
    assert_eq!(bench.answer(&machine, one), "three");

    // A person stops it.
    falls_ill();
    machine.inside(&format!("rm -f /tmp/go-{tail} /tmp/stops-{tail}"));
    let names = ["tail", "one"].map(|name| format!("{}-{name}", bench.id));
    let (place, go) = (format!("/tmp/stops-{tail}"), format!("touch /tmp/go-{tail}"));
    let told = heals_beside(&bench, &machine, &["stop", &names[0], &names[1]], (&place, &go), 8);
    assert!(told.contains("stopped on purpose"), "{told}");
    assert!(state().contains("ActiveState=inactive"), "{}", state());
    assert_eq!(bench.amiss(&machine), "");
    machine.inside(&format!("rm -f /tmp/*-{gate} /tmp/*-{one} /tmp/*-{tail}"));
    Ok(())
}
