//! Tables that hold for every way to deploy: many deploys at once, a disk that is full, more and fewer instances.

use libtest_mimic::Failed;

use super::kill::{Holds, Service};
use super::kit::{Bench, Machine, PATIENCE, port};

/// So many deploys of one service at once: they are serial, and none is lost.
pub(super) fn at_once(machine: &Machine, service: Service, holds: Holds, count: usize) -> Result<(), Failed> {
    let bench = begun("many", machine, service, port());
    together(&bench, machine, holds, count)
}

/// What an ordinary run tries: a disk without room, and then three deploys at once.
pub(super) fn short(machine: &Machine, service: Service, holds: Holds) -> Result<(), Failed> {
    let port = port();
    let bench = begun("many", machine, service, port);
    let registry = std::fs::read_to_string(bench.at("registry.yml"))?;
    bench.registry(&service(&bench, "one", &machine.name, port, "v9", ""));
    refused(&bench, machine, &FULL);
    assert_eq!(bench.answer(machine, port), "v0");
    std::fs::write(bench.at("registry.yml"), registry)?;
    together(&bench, machine, holds, 3)
}

/// A bench on which the version `v0` of a service runs.
fn begun(name: &str, machine: &Machine, service: Service, port: u16) -> Bench {
    let bench = Bench::new(name, std::slice::from_ref(machine));
    bench.registry(&service(&bench, "one", &machine.name, port, "v0", ""));
    bench.run(&["deploy", "--all"]).exits(0);
    bench
}

fn together(bench: &Bench, machine: &Machine, holds: Holds, count: usize) -> Result<(), Failed> {
    let known = || -> Result<usize, Failed> {
        let history = bench.run(&["history", "--json"]).exits(0);
        let history: serde_json::Value = serde_json::from_str(&history.out)?;
        Ok(history["history"].as_array().map_or(0, Vec::len))
    };
    let before = known()?;
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
    assert_eq!(known()?, before + count / 2, "the shared journal has its half");
    let hosts = bench.run(&["history", "--from-hosts", "--json"]).exits(0);
    let hosts: serde_json::Value = serde_json::from_str(&hosts.out)?;
    let committed = hosts["history"].as_array().into_iter().flatten().filter(|entry| entry["outcome"] == "committed");
    assert_eq!(committed.count(), count + 1, "the host's history has all: {hosts}");
    assert_eq!(bench.amiss(machine), "");
    holds(bench, machine);
    eprintln!("lab: {count} deploys of one service at once on {}: {took:?}", machine.name);
    Ok(())
}

/// A fault of the base folder: how it is made and undone, the exit code of a deploy then, and what it tells.
type Fault = (&'static str, &'static str, i32, [&'static str; 3]);

const FULL: Fault =
    ("fill", "empty", 5, ["failed before anything was touched", "o space left on device", "hint: see `df -h`"]);
const NO_INODES: Fault = ("exhaust", "empty", 5, FULL.3);
const READ_ONLY: Fault = (
    "freeze",
    "thaw",
    9,
    ["nothing can be begun", "as root: read-only file system", "hint: mount it writable, or name"],
);

/// What is asked for is refused while the fault is there, and why is told. The second kind is seen at the first look.
fn refused(bench: &Bench, machine: &Machine, (fault, undo, code, words): &Fault) {
    machine.fault(&[fault, &bench.base()]);
    let planned = bench.run(&["plan", "--all"]);
    let ran = bench.run(&["deploy", "--all"]);
    machine.fault(&[undo, &bench.base()]);
    let seen = *code == 9;
    assert_eq!((planned.code, ran.code), (Some(if seen { 9 } else { 0 }), Some(*code)), "{ran:?} {planned:?}");
    for word in words {
        assert!(ran.err.contains(word) && (!seen || planned.err.contains(word)), "{fault}: {word}: {}", ran.err);
    }
    assert!(ran.took < PATIENCE, "{fault}: {:?}", ran.took);
}

/// The base folder takes no byte, no file, and then cannot be written at all: the old version answers, and with room again the next
/// deploy brings the new one. In the whole table it has a little room, too.
pub(super) fn full_disk(machine: &Machine, service: Service) -> Result<(), Failed> {
    let port = port();
    let bench = begun("disk", machine, service, port);
    bench.registry(&service(&bench, "one", &machine.name, port, "new", ""));
    for fault in [FULL, NO_INODES, READ_ONLY] {
        refused(&bench, machine, &fault);
        assert_eq!(bench.answer(machine, port), "v0", "after {}", fault.0);
    }
    bench.run(&["deploy", "--all"]).exits(0);
    assert_eq!(bench.answer(machine, port), "new");
    assert_eq!(bench.amiss(machine), "");
    if super::kit::full() { little_room(machine, service) } else { Ok(()) }
}

/// So many KiB are left in the base folder. There is none, and there is enough, between them.
const ROOM: [u32; 14] = [0, 4, 8, 12, 16, 20, 24, 32, 40, 48, 64, 96, 160, 320];

/// A disk that fills at any point of a deploy: it is the new version or the old one, and which is told.
fn little_room(machine: &Machine, service: Service) -> Result<(), Failed> {
    let port = port();
    let bench = Bench::new("room", std::slice::from_ref(machine));
    let base = bench.base();
    machine.inside(&format!("mkdir -p {base} && mount -t tmpfs -o size=200m,mode=755 none {base}"));
    let write = |version: &str| bench.registry(&service(&bench, "one", &machine.name, port, version, ""));
    write("v0");
    bench.run(&["deploy", "--all"]).exits(0);
    let (mut answers, mut fitted) = ("v0".to_owned(), 0);
    for room in ROOM {
        let used = machine.inside(&format!("df -k --output=used {base} | tail -n 1"));
        machine.inside(&format!("mount -o remount,size={}k {base}", used.trim().parse::<u32>()? + room));
        let new = format!("room-{room}");
        write(&new);
        let ran = bench.run(&["deploy", "--all", "--no-auto-heal"]);
        machine.inside(&format!("mount -o remount,size=200m {base}"));
        assert!(ran.took < PATIENCE && matches!(ran.code, Some(0 | 5)), "{room} KiB: {ran:?}");
        if ran.code == Some(0) {
            fitted += 1;
            answers.clone_from(&new);
        } else {
            assert!(ran.err.contains("hint: see `df -h`"), "{room} KiB: {}", ran.err);
        }
        let ends = [(ROOM[0], Some(5)), (ROOM[ROOM.len() - 1], Some(0))];
        assert!(ends.iter().all(|(end, code)| room != *end || ran.code == *code), "{room} KiB: {ran:?}");
        assert_eq!(bench.answer(machine, port), answers, "{room} KiB: {}", ran.err);
        bench.run(&["deploy", "--all"]).exits(0);
        assert_eq!(bench.answer(machine, port), new, "with room again, after {room} KiB");
        assert_eq!(bench.amiss(machine), "", "after {room} KiB");
        answers = new;
    }
    eprintln!("lab: disk table on {}: {} amounts of room, {fitted} were enough", machine.name, ROOM.len());
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
