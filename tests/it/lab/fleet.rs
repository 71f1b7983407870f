//! Several hosts: who goes first, who goes back, who is left alone; and the ways back by hand.

use libtest_mimic::{Failed, Trial};
use serde_json::{Value, json};

use super::kit::{self, Bench, Machine, port};
use super::{kill, pair, table, trial, usual};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("a_failing_host_decides_for_the_others_as_the_policy_says", policies),
        trial("opposite_orders_do_not_wait_for_each_other", opposite),
        trial("a_rollback_is_a_deploy_of_what_was_proven", rollback),
        trial("removed_services_leave_what_is_shared", remove),
        trial("fewer_instances_stop_what_is_too_many", instances),
        trial("a_unit_of_the_users_own_takes_the_place_of_ours", own_unit),
        trial("what_is_kept_on_lost_contact_stays", lost),
        trial("a_check_that_another_answers_proves_nothing", another),
        trial("what_takes_long_to_stop_is_waited_for", patience),
    ]
}

/// A service on several hosts, and what each of them answers.
struct Fleet {
    bench: Bench,
    machines: Vec<Machine>,
    port: u16,
}

impl Fleet {
    fn new(name: &str, machines: &[Machine]) -> Self {
        Self { bench: Bench::new(name, machines), machines: machines.to_vec(), port: port() }
    }

    fn write(&self, version: &str, policy: &str) {
        let hosts: Vec<&str> = self.machines.iter().map(|one| one.name.as_str()).collect();
        let more = format!("    deploy: {{ {policy} }}\n");
        self.bench.registry(&self.bench.service("one", &hosts, self.port, version, &more));
    }

    fn answers(&self) -> Vec<String> {
        self.machines.iter().map(|one| self.bench.answer(one, self.port)).collect()
    }

    /// On this host every version but `one` is unhealthy from now on, or no longer.
    fn spoil(&self, number: usize, bad: bool) {
        let verb = if bad { "touch" } else { "rm -f" };
        self.machines[number].inside(&format!("{verb} /tmp/bad-{}", self.port));
    }

    /// All is in order, and no host is spoilt any more.
    fn in_order(&self) {
        for (number, machine) in self.machines.iter().enumerate() {
            self.spoil(number, false);
            assert_eq!(self.bench.amiss(machine), "", "{}", machine.name);
        }
    }
}

fn policies(machines: Vec<Machine>) -> Result<(), Failed> {
    let fleet = Fleet::new("fleet", &usual(&machines));
    let all = fleet.machines.len();
    let (last, none) = (all - 1, all - 2);
    assert!(all > 3, "a canary, two hosts that change, and one that must not be touched: {all} hosts");
    let careful = "canary: 1, batch: 1";
    fleet.write("one", "canary: 0, batch: 100%");
    fleet.bench.run(&["deploy", "--all"]).exits(0);
    let one = vec!["one".to_owned(); all];
    // The canary fails: nobody else is touched.
    fleet.write("two", careful);
    fleet.spoil(0, true);
    let canary = fleet.bench.run(&["deploy", "--all", "--events"]).exits(5);
    assert_eq!((canary.ended("rolled-back"), canary.ended("not-touched")), (1, all - 1), "{}", canary.out);
    assert_eq!(fleet.answers(), one);
    fleet.spoil(0, false);
    // A batch behind it fails: those before it go back, too, and the rest is not touched.
    fleet.spoil(none, true);
    let batch = fleet.bench.run(&["deploy", "--all", "--events"]).exits(5);
    assert_eq!((batch.ended("rolled-back"), batch.ended("not-touched")), (all - 1, 1), "{}", batch.out);
    assert_eq!(fleet.answers(), one);
    // With --keep those that were proven stay.
    let keep = fleet.bench.run(&["deploy", "--all", "--events", "--keep"]).exits(5);
    assert_eq!((keep.ended("committed"), keep.ended("not-touched")), (all - 2, 1), "{}", keep.out);
    let mut want = vec!["two".to_owned(); all];
    (want[none], want[last]) = ("one".into(), "one".into());
    assert_eq!(fleet.answers(), want);
    // With one failure allowed all others are reached.
    let most = fleet.bench.run(&["deploy", "--all", "--events", "--max-fail", "1"]).exits(5);
    assert_eq!((most.ended("committed"), most.ended("rolled-back")), (1, 1), "{}", most.out);
    want[last] = "two".into();
    assert_eq!(fleet.answers(), want);
    fleet.spoil(none, false);
    let mended = fleet.bench.run(&["deploy", "--all", "--events"]).exits(0);
    assert_eq!((mended.ended("committed"), mended.ended("nothing-to-do")), (1, all - 1), "{}", mended.out);
    assert_eq!(fleet.answers(), vec!["two".to_owned(); all]);
    fleet.in_order();
    Ok(())
}

/// Two services on the same two hosts, deployed at once, each beginning at another end.
fn opposite(machines: Vec<Machine>) -> Result<(), Failed> {
    let machines = usual(&machines);
    let (bench, ports) = (Bench::new("cross", &machines[..2]), [port(), port()]);
    let names = [machines[0].name.as_str(), machines[1].name.as_str()];
    for version in ["one", "two", "three"] {
        let hosts = [names, [names[1], names[0]]];
        let services = ["a", "b"].iter().zip(hosts).zip(ports).map(|((name, hosts), port)| {
            bench.service(name, &hosts, port, version, "    deploy: { canary: 1, batch: 1 }\n")
        });
        bench.registry(&services.collect::<String>());
        let both = ["a", "b"].map(|name| {
            let service = format!("{}-{name}", bench.id);
            bench.command_in(name, &["deploy", &service, "--events"]).spawn().expect("portoser starts")
        });
        for child in both {
            let output = child.wait_with_output()?;
            let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(0), "{text}");
        }
        for machine in &machines[..2] {
            assert_eq!(ports.map(|port| bench.answer(machine, port)), [version; 2], "{}", machine.name);
            assert_eq!(bench.amiss(machine), "");
        }
    }
    Ok(())
}

fn rollback(machines: Vec<Machine>) -> Result<(), Failed> {
    let fleet = Fleet::new("back", &pair(&machines)[..]);
    let service = format!("{}-one", fleet.bench.id);
    let mut releases = Vec::new();
    for version in ["one", "two", "three"] {
        fleet.write(version, "canary: 0, batch: 100%, keep_releases: 3, keep_for: 1h");
        let ran = fleet.bench.run(&["deploy", "--all", "--events"]).exits(0);
        let ended = ran.events.iter().find(|event| event["event"] == "ended").expect("an end");
        releases.push(ended["release"].as_str().expect("a release").to_owned());
    }
    let went = |words: &[&str], code: i32, version: &str| {
        let ran = fleet.bench.run(words).exits(code);
        assert_eq!(fleet.answers(), [version; 2], "{words:?}: {}", ran.out);
        ran
    };
    // The last proven one before the current one, and then the one before that.
    went(&["rollback", &service, "--events"], 0, "two");
    let first = went(&["rollback", &service, &releases[0], "--events"], 0, "one");
    assert_eq!(first.ended("committed"), 2);
    went(&["rollback", &service, "--to", &releases[2][..8]], 0, "three");
    // It is gated like every deploy: what is not healthy now is not brought back.
    fleet.spoil(0, true);
    // Asked again, it could go one release too far; the release must be named.
    // Neither the old version nor the one that is there is healthy on the spoilt host.
    let unnamed = went(&["rollback", &service, "--events"], 6, "three");
    let run = unnamed.events[0]["run"].as_str().expect("a run").to_owned();
    let resumed = went(&["resume", &run], 2, "three");
    assert!(resumed.err.contains("--to"), "{}", resumed.err);
    let one = went(&["rollback", &service, "--to", &releases[0]], 0, "one");
    assert_eq!(one.code, Some(0));
    let refused = went(&["rollback", &service, "--to", &releases[1], "--events"], 5, "one");
    assert!(refused.ended("rolled-back") > 0, "{}", refused.out);
    fleet.spoil(0, false);
    went(&["rollback", &service, "--to", "0123456789abcdef"], 9, "one");
    fleet.in_order();
    Ok(())
}

fn remove(machines: Vec<Machine>) -> Result<(), Failed> {
    let fleet = Fleet::new("gone", &pair(&machines)[..]);
    let service = format!("{}-one", fleet.bench.id);
    let folder = format!("{}/services/{service}", fleet.bench.base());
    fleet.write("one", "canary: 0");
    fleet.bench.run(&["deploy", "--all"]).exits(0);
    for machine in &fleet.machines {
        machine.inside(&format!("echo precious >{folder}/shared/data"));
    }
    let unasked = fleet.bench.run(&["remove", &service]).exits(9);
    assert_eq!(fleet.answers(), ["one"; 2], "{}", unasked.err);
    let removed = fleet.bench.run(&["remove", &service, "--yes"]).exits(0);
    assert!(removed.err.contains(&format!("{folder}/shared")), "what is left is named: {}", removed.err);
    for machine in &fleet.machines {
        assert_eq!(fleet.bench.answer(machine, fleet.port), "", "{}", removed.err);
        let left =
            machine.inside(&format!("cd {folder} && find . -type f; ls -d /etc/systemd/system/portoser-{service}*"));
        assert!(left.starts_with("./shared/data\n") && !left.contains("\n/etc"), "{left}");
    }
    fleet.bench.run(&["remove", &service, "--yes"]).exits(0);
    fleet.bench.run(&["deploy", "--all"]).exits(0);
    assert_eq!(fleet.answers(), ["one"; 2]);
    assert_eq!(fleet.machines[0].inside(&format!("cat {folder}/shared/data")), "precious\n");
    fleet.in_order();
    Ok(())
}

fn instances(machines: Vec<Machine>) -> Result<(), Failed> {
    let counts = [(3, "three"), (2, "two"), (1, "one"), (3, "again")];
    table::instances(&usual(&machines)[0], kill::NATIVE, &counts, |bench, machine| {
        machine.inside(&format!("ls /etc/systemd/system | grep -c portoser-{}-one", bench.id))
    })
}

/// `run:` becomes `unit:`: our own unit does not run on beside it, and is back when the other one fails or nobody wants it.
fn own_unit(machines: Vec<Machine>) -> Result<(), Failed> {
    let machine = &usual(&machines)[0];
    let (bench, port) = (Bench::new("hand", std::slice::from_ref(machine)), port());
    let name = format!("{}-one", bench.id);
    // Named so that it goes with the rest of the trial.
    let unit = format!("portoser-{}-theirs.service", bench.id);
    let theirs = |words: &str| {
        machine.inside(&format!(
            "printf '[Service]\\nExecStart={words}\\n' >/etc/systemd/system/{unit}; systemctl daemon-reload"
        ));
    };
    let ours =
        || machine.inside(&format!("systemctl is-active portoser-{name}; ls /etc/systemd/system/*/ | grep -c {name}"));
    bench.registry(&bench.service("one", &[&machine.name], port, "one", ""));
    bench.run(&["deploy", "--all"]).exits(0);
    assert_eq!((bench.answer(machine, port).as_str(), ours().as_str()), ("one", "active\n1\n"));
    bench.registry(&format!(
        "  {name}:\n    type: native\n    host: {}\n    unit: {unit}\n    checks: [{{ unit: true }}]\n",
        machine.name
    ));
    theirs("/bin/false");
    bench.run(&["deploy", "--all", "--no-auto-heal"]).exits(5);
    assert_eq!((bench.answer(machine, port).as_str(), ours().as_str()), ("one", "active\n1\n"));
    theirs("/bin/sleep infinity");
    bench.run(&["deploy", "--all"]).exits(0);
    assert_eq!((bench.answer(machine, port).as_str(), ours().as_str()), ("", "inactive\n0\n"));
    bench.run(&["status"]).exits(0);
    // The registry means another unit now, and what runs is seen all the same.
    bench.registry(&bench.service("one", &[&machine.name], port, "one", ""));
    let status: Value = serde_json::from_str(&bench.run(&["status", "--json"]).exits(8).out)?;
    let seen = &status["services"][0]["units"][0];
    assert_eq!((&seen["name"], &seen["active"]), (&json!(unit), &json!("active")), "{status}");
    // It is the host's own: nobody stops it, and that is said.
    let stays = format!("{unit} belongs to the host, and stays as it is");
    let plan = bench.run(&["plan"]).exits(0);
    assert!(plan.out.contains(&format!("unit: {unit} -> (none); {stays}")), "{}", plan.out);
    let back = bench.run(&["rollback", &name]).exits(0);
    assert!(back.err.contains(&format!("{name}: {stays}")), "{}", back.err);
    assert_eq!((bench.answer(machine, port).as_str(), ours().as_str()), ("one", "active\n1\n"));
    assert_eq!(machine.inside(&format!("systemctl is-active {unit}")), "active\n");
    bench.registry(&format!("  {name}:\n    type: native\n    host: {}\n    unit: no-{unit}\n", machine.name));
    let none = bench.run(&["deploy", "--all", "--no-auto-heal"]).exits(5);
    assert!(none.err.contains(&format!("the host has no unit `no-{unit}`")), "{}", none.err);
    Ok(())
}

/// The controller is killed behind the switch: a service that says so stays on the new version, without a proof.
fn lost(machines: Vec<Machine>) -> Result<(), Failed> {
    let fleet = Fleet::new("lost", &usual(&machines)[..1]);
    let (machine, service) = (&fleet.machines[0], format!("{}-one", fleet.bench.id));
    fleet.write("one", "on_lost_contact: keep");
    fleet.bench.run(&["deploy", "--all"]).exits(0);
    let book = format!("cat {}/services/{service}/proven", fleet.bench.base());
    let before = machine.inside(&book);
    fleet.write("two", "on_lost_contact: keep, soak: 30s");
    let mut switched = false;
    let killed = fleet.bench.run_in("state", &["deploy", "--all", "--events"], &mut |_, child| {
        switched = true;
        if fleet.bench.answer(machine, fleet.port) == "two" {
            let _ = child.kill();
        }
    });
    assert!(switched && killed.code.is_none(), "it was to be killed: {}", killed.out);
    let runs = format!("for r in {}/runs/*; do [ -e $r/end ] || echo $r; done", fleet.bench.base());
    kit::wait("the end of the run on the host", kit::PATIENCE, || machine.inside(&runs).is_empty());
    assert_eq!(fleet.answers(), ["two"]);
    assert_eq!(machine.inside(&book), before, "what nobody proved is not called proven");
    // It is well, and whoever comes next proves it; then it is what a rollback comes back to.
    for ended in ["committed", "nothing-to-do"] {
        fleet.write("two", "on_lost_contact: keep");
        let again = fleet.bench.run(&["deploy", "--all", "--events"]).exits(0);
        assert_eq!(again.ended(ended), 1, "{}", again.out);
        assert_eq!(fleet.answers(), ["two"]);
    }
    fleet.write("three", "on_lost_contact: keep");
    fleet.bench.run(&["deploy", "--all"]).exits(0);
    fleet.bench.run(&["rollback", &service]).exits(0);
    assert_eq!(fleet.answers(), ["two"]);
    fleet.in_order();
    Ok(())
}

/// Port 22 answers, but it is sshd that does; the service itself dies again and again.
fn another(machines: Vec<Machine>) -> Result<(), Failed> {
    let machines = &usual(&machines)[..1];
    let bench = Bench::new("other", machines);
    bench.registry(&format!(
        "  {}-one:\n    type: native\n    host: {}\n    run: [/bin/sh, -c, 'sleep 0.7; exec /usr/bin/python3 -m http.server 22']\n    \
         checks: [{{ tcp: 22 }}]\n    restart: {{ max: 20, within: 60s, delay: 100ms }}\n    deploy: {{ soak: 3s }}\n",
        bench.id, machines[0].name
    ));
    let ran = bench.run(&["deploy", "--all", "--events"]).exits(5);
    assert_eq!(ran.ended("rolled-back"), 1, "{}", ran.out);
    assert!(ran.out.contains("did not stay up") && ran.out.contains("see that it stays up"), "{}", ran.out);
    let left =
        machines[0].inside(&format!("ls -d {}/services/* /etc/systemd/system/portoser-{}*", bench.base(), bench.id));
    assert!(!left.starts_with('/') && !left.contains("\n/"), "{left}");
    Ok(())
}

/// A version that takes longer to stop than one word to systemd may take otherwise. It is bad, and has to stop to go back.
fn patience(machines: Vec<Machine>) -> Result<(), Failed> {
    let stop = if kit::full() { 310 } else { 2 };
    let machine = &usual(&machines)[0];
    let (bench, port) = (Bench::new("slow", std::slice::from_ref(machine)), port());
    let write = |version: &str, more: &str| {
        bench.registry(&bench.service("one", &[&machine.name], port, version, more));
    };
    let slow = |words: &[&str]| {
        let mut portoser = bench.command_in("state", words);
        let output = portoser.output().expect("portoser runs");
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    write("one", "");
    assert_eq!(slow(&["deploy", "--all", "--events"]).0, Some(0));
    // A signal that it does not hear.
    write("bad", &format!("    stop: {{ signal: SIGWINCH, timeout: {stop}s }}\n"));
    let (code, text) = slow(&["deploy", "--all", "--events"]);
    assert_eq!(code, Some(5), "it is killed when its time is up: {text}");
    assert_eq!(bench.answer(machine, port), "one");
    assert_eq!(bench.amiss(machine), "");
    Ok(())
}
