//! A three-service stack on all hosts: first deploy, change, nothing to do, a release that fails, and twenty at once.

use libtest_mimic::{Failed, Trial};

use super::counted::Counted;
use super::kit::{Bench, Machine, port};
use super::{kill, pair, table, trial, usual};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("a_stack_comes_changes_fails_and_comes_back", stack),
        trial("a_plan_tells_what_changes_and_what_it_promises", tells),
        trial("nothing_to_do_is_one_connection_and_one_exec_for_each_host", cheap),
        trial("twenty_at_once_are_serial_and_none_is_lost", twenty),
    ]
}

fn three(bench: &Bench, hosts: &[&str], ports: [u16; 3], versions: [&str; 3]) {
    let needs = |what: &str| format!("    needs: [{}-{what}]\n", bench.id);
    bench.registry(
        &(bench.service("db", hosts, ports[0], versions[0], "")
            + &bench.service("api", hosts, ports[1], versions[1], &needs("db"))
            + &bench.service("web", hosts, ports[2], versions[2], &needs("api"))),
    );
}

fn stack(machines: Vec<Machine>) -> Result<(), Failed> {
    let machines = usual(&machines);
    let bench = Bench::new("stack", &machines);
    let hosts: Vec<&str> = machines.iter().map(|one| one.name.as_str()).collect();
    let ports = [port(), port(), port()];
    let all = hosts.len();
    let deploy = || bench.run(&["deploy", "--all", "--events"]);
    let answers = |want: [&str; 3]| {
        for machine in &machines {
            for (port, want) in ports.iter().zip(want) {
                assert_eq!(bench.answer(machine, *port), want, "{}", machine.name);
            }
            assert_eq!(bench.amiss(machine), "", "{}", machine.name);
        }
    };
    three(&bench, &hosts, ports, ["one", "one", "one"]);
    let first = deploy().exits(0);
    assert_eq!(first.ended("committed"), 3 * all);
    answers(["one", "one", "one"]);
    three(&bench, &hosts, ports, ["one", "one", "two"]);
    let change = deploy().exits(0);
    assert_eq!((change.ended("committed"), change.ended("nothing-to-do")), (all, 2 * all));
    answers(["one", "one", "two"]);
    let nothing = deploy().exits(0);
    assert_eq!(nothing.ended("nothing-to-do"), 3 * all);
    three(&bench, &hosts, ports, ["one", "bad", "three"]);
    let failing = deploy().exits(5);
    assert_eq!(failing.ended("rolled-back"), 1, "the canary: {}", failing.out);
    answers(["one", "one", "two"]);
    three(&bench, &hosts, ports, ["one", "one", "two"]);
    assert_eq!(deploy().exits(0).ended("nothing-to-do"), 3 * all, "what came back is the release that was there");
    let back = bench.run(&["rollback", &format!("{}-web", bench.id), "--events"]).exits(0);
    assert_eq!(back.ended("committed"), all, "{}", back.out);
    answers(["one", "one", "one"]);
    eprintln!(
        "lab: 3 services on {all} hosts: first {:?}, change {:?}, nothing to do {:?}, a failure and back {:?}",
        first.took, change.took, nothing.took, failing.took
    );
    let gone = bench.run(&["remove", "--all", "--yes", "--events"]).exits(0);
    assert_eq!(gone.ended("committed"), 3 * all, "{}", gone.out);
    for machine in &machines {
        assert!(ports.iter().all(|port| bench.answer(machine, *port).is_empty()), "{}", machine.name);
        let left =
            format!("ls -d /etc/systemd/system/portoser-{}-* {}/services/*/releases/* 2>&-", bench.id, bench.base());
        assert_eq!(machine.inside(&left), "", "{}", machine.name);
    }
    Ok(())
}

fn tells(machines: Vec<Machine>) -> Result<(), Failed> {
    let machines = &pair(&machines)[..];
    let bench = Bench::new("tells", machines);
    let hosts: Vec<&str> = machines.iter().map(|one| one.name.as_str()).collect();
    let port = port();
    let write = |greeting: &str, memory: &str| {
        let more = format!(
            "    files: {{ etc/app.toml: {{ text: \"greeting = '{{{{ GREETING }}}}'\\npassword = {memory}-hunter\\nend = 1\\n\" }} }}\n    \
             limits: {{ memory: {memory} }}\n"
        );
        let service = bench
            .service("app", &hosts, port, "v1", &more)
            .replace("env: {", &format!("env: {{ GREETING: {greeting}, "));
        bench.registry(&service.replace("{{ GREETING }}", greeting));
    };
    write("hello", "64MiB");
    let first = bench.run(&["plan", "--all", "--detailed-exitcode"]).exits(20);
    assert!(first.out.contains("downtime: no: nothing of it runs here yet"), "{}", first.out);
    bench.run(&["deploy", "--all"]).exits(0);
    let same = bench.run(&["plan", "--all", "--detailed-exitcode"]).exits(0);
    assert!(same.out.contains("nothing to do: 2 in place"), "{}", same.out);
    write("bonjour", "96MiB");
    let server = std::fs::read_to_string(bench.at("server.py"))?;
    std::fs::write(bench.at("server.py"), format!("{server}# as of today\n"))?;
    let told = bench.run(&["plan", "--all", "--detailed-exitcode"]).exits(20).out;
    for part in [
        "-greeting = 'hello'",
        "+greeting = 'bonjour'",
        "-password = [masked]",
        "+# as of today",
        "-MemoryMax=",
        "+MemoryMax=",
        "~GREETING",
        "downtime: yes: the old process ends before the new one starts",
        "as the last time",
        "way back: yes: ",
        "on 2 hosts: 1 first; then the other one",
        "plan: 2 to deploy",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert!(!told.contains("hunter"), "{told}");
    let document = bench.run(&["plan", "--all", "--json"]).exits(0).out;
    assert!(!document.contains("hunter"), "{document}");
    let document: serde_json::Value = serde_json::from_str(&document)?;
    let change = &document["changes"][0];
    assert_eq!(change["guarantee"]["zero_downtime"], false, "{change}");
    assert!(change["last_interruption"].as_f64().is_some_and(|seconds| seconds > 0.0 && seconds < 60.0), "{change}");
    assert_eq!(change["texts"].as_array().map(Vec::len), Some(4), "{change}");
    machines[0].inside(&format!("echo edited >>{}/services/{}-app/current/etc/app.toml", bench.base(), bench.id));
    bench.run(&["plan", "--all"]).exits(9);
    let over = bench.run(&["plan", "--all", "--overwrite"]).exits(0).out;
    assert!(over.contains("way back: no: ") && over.contains("was edited on the host (etc/app.toml"), "{over}");
    assert!(over.contains("-edited"), "{over}");
    // The way back is told as the way there; what was secret in the old release is so still.
    bench.run(&["deploy", "--all", "--overwrite"]).exits(0);
    let back = ["rollback", &format!("{}-app", bench.id), "--dry-run"];
    let told = bench.run(&back).exits(0).out;
    for part in [
        "+greeting = 'hello'",
        "-greeting = 'bonjour'",
        "+password = [masked]",
        "-# as of today",
        "-MemoryMax=",
        "+MemoryMax=",
        "~GREETING",
        "plan: 2 to deploy",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert!(!told.contains("hunter"), "{told}");
    // What is closed to others here is only named.
    std::fs::set_permissions(bench.at("server.py"), std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    let told = bench.run(&back).exits(0).out;
    assert!(told.contains("~ server.py") && !told.contains("as of today"), "{told}");
    Ok(())
}

fn cheap(machines: Vec<Machine>) -> Result<(), Failed> {
    let machines = usual(&machines);
    let mut bench = Bench::new("cheap", &machines);
    let counted = Counted::new(&mut bench);
    let hosts: Vec<&str> = machines.iter().map(|one| one.name.as_str()).collect();
    three(&bench, &hosts, [port(), port(), port()], ["one", "one", "one"]);
    let deploy = ["deploy", "--all", "--events"];
    counted.run(&bench, &["plan", "--all"], 1);
    assert_eq!(counted.run(&bench, &deploy, 2).ended("committed"), 3 * hosts.len());
    assert_eq!(counted.run(&bench, &deploy, 1).ended("nothing-to-do"), 3 * hosts.len());
    eprintln!(
        "lab: on each of {} hosts: one connection; one exec for nothing to do, two for a first deploy",
        hosts.len()
    );
    Ok(())
}

fn twenty(machines: Vec<Machine>) -> Result<(), Failed> {
    table::at_once(&usual(&machines)[0], kill::NATIVE, |_, _| {}, 20)
}
