//! Tables that hold for every way to deploy: many deploys at once, a disk that is full, more and fewer instances.

use libtest_mimic::Failed;

use super::kill::{Holds, Service};
use super::kit::{Bench, Machine, port};

/// So many deploys of one service at once: they are serial, and none is lost.
pub(super) fn at_once(machine: &Machine, service: Service, holds: Holds, count: usize) -> Result<(), Failed> {
    let bench = Bench::new("many", std::slice::from_ref(machine));
    bench.registry(&service(&bench, "one", &machine.name, port(), "v0", ""));
    bench.run(&["deploy", "--all"]).exits(0);
    let registry = std::fs::read_to_string(bench.at("registry.yml"))?;
    let began = std::time::Instant::now();
    let mut children = Vec::new();
    for number in 1..=count {
        // Half of them share one state folder, as colleagues on one machine do; the others have their own.
        let state = if number % 2 == 0 { "state".to_owned() } else { format!("state-{number}") };
        let file = bench.at(&format!("registry-{number}.yml"));
        std::fs::write(&file, registry.replace("\"v0\"", &format!("\"v{number}\"")))?;
        let mut command = bench.command_in(&state, &["deploy", "--all", "--events"]);
        children.push(command.env("PORTOSER_REGISTRY", file).spawn()?);
    }
    for (number, child) in children.into_iter().enumerate() {
        let output = child.wait_with_output()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let err = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(0), "deploy {}: {text}\n{err}", number + 1);
        assert!(text.contains("\"committed\""), "deploy {}: {text}", number + 1);
    }
    let took = began.elapsed();
    let book = machine.inside(&format!("wc -l <{}/services/{}-one/proven", bench.base(), bench.id));
    assert_eq!(book.trim(), (count + 1).to_string(), "the host's own record of what was proven");
    let history = bench.run(&["history", "--json"]).exits(0);
    let history: serde_json::Value = serde_json::from_str(&history.out)?;
    let runs = history["history"].as_array().map_or(0, Vec::len);
    assert_eq!(runs, count / 2 + 1, "the shared journal has the first and its half: {history}");
    let hosts = bench.run(&["history", "--from-hosts", "--json"]).exits(0);
    let hosts: serde_json::Value = serde_json::from_str(&hosts.out)?;
    let committed = hosts["history"].as_array().into_iter().flatten().filter(|entry| entry["outcome"] == "committed");
    assert_eq!(committed.count(), count + 1, "the host's history has all: {hosts}");
    assert_eq!(bench.amiss(machine), "");
    holds(&bench, machine);
    eprintln!("lab: {count} deploys of one service at once on {}: {took:?}", machine.name);
    Ok(())
}

/// The base folder takes no byte, and then cannot be written at all: the old version answers, and why is told. The second is seen at
/// the first look.
pub(super) fn full_disk(machine: &Machine, service: Service) -> Result<(), Failed> {
    let (bench, port) = (Bench::new("disk", std::slice::from_ref(machine)), port());
    let write = |version: &str| bench.registry(&service(&bench, "one", &machine.name, port, version, ""));
    write("old");
    bench.run(&["deploy", "--all"]).exits(0);
    write("new");
    let faults = [
        ("fill", "empty", 5, ["failed before anything was touched", "o space left on device", "hint: see `df -h`"]),
        (
            "freeze",
            "thaw",
            9,
            ["nothing can be begun", "as root: read-only file system", "hint: mount it writable, or name"],
        ),
    ];
    for (fault, undo, code, words) in faults {
        machine.fault(&[fault, &bench.base()]);
        let planned = bench.run(&["plan", "--all"]);
        let ran = bench.run(&["deploy", "--all"]);
        machine.fault(&[undo, &bench.base()]);
        assert_eq!((planned.code, ran.code), (Some(if code == 9 { 9 } else { 0 }), Some(code)), "{ran:?} {planned:?}");
        for word in words {
            assert!(ran.err.contains(word) && (code != 9 || planned.err.contains(word)), "{word}: {}", ran.err);
        }
        assert_eq!(bench.answer(machine, port), "old", "after {fault}");
    }
    bench.run(&["deploy", "--all"]).exits(0);
    assert_eq!(bench.answer(machine, port), "new");
    assert_eq!(bench.amiss(machine), "");
    Ok(())
}

/// More and fewer instances; `count` says how many the host has of what runs one of them.
pub(super) fn instances(
    machine: &Machine,
    service: Service,
    counts: &[(u16, &str)],
    count: fn(&Bench, &Machine) -> String,
) -> Result<(), Failed> {
    let (bench, ports) = (Bench::new("inst", std::slice::from_ref(machine)), [port(), port(), port()]);
    assert_eq!(ports, [ports[0], ports[0] + 1, ports[0] + 2], "ports in a row");
    for (wanted, version) in counts {
        let more = format!("    instances: {wanted}\n");
        bench.registry(&service(&bench, "one", &machine.name, ports[0], version, &more));
        bench.run(&["deploy", "--all"]).exits(0);
        let want: Vec<&str> = (0..3).map(|number| if number < *wanted { *version } else { "" }).collect();
        assert_eq!(ports.map(|port| bench.answer(machine, port)).to_vec(), want, "{wanted} instances");
        assert_eq!(count(&bench, machine).trim(), wanted.to_string());
        assert_eq!(bench.amiss(machine), "");
    }
    Ok(())
}
