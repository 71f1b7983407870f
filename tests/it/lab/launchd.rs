//! The whole road of launchd, with a stand-in for `launchctl` on a host that has no init system. It proves which words are said, and
//! that the answers are read; what a Mac makes of them it cannot prove.

use libtest_mimic::{Failed, Trial};

use super::kit::{Bench, Machine, PATIENCE, port, wait};
use super::log::talkative;
use super::{trial, without_init};

pub fn trials() -> Vec<Trial> {
    vec![trial("a_stand_in_for_launchd_runs_jobs_through_their_life", life)]
}

const STAND_IN: &str = include_str!("launchd/launchctl.py");

/// Takes the stand-in away again, so that the host is what it was for the other trials.
struct StandIn(Machine);

impl StandIn {
    fn on(machine: &Machine) -> Self {
        machine.inside(&format!(
            "mkdir -p /Library/LaunchDaemons /var/lib/fake-launchd; cat >/usr/local/bin/launchctl <<'END'\n{STAND_IN}END\n\
             chmod 755 /usr/local/bin/launchctl"
        ));
        Self(machine.clone())
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.0.inside(
            "for job in /var/lib/fake-launchd/*/; do job=${job%/}; launchctl bootout \"system/${job##*/system.}\"; done; \
             rm -rf /usr/local/bin/launchctl /Library /var/lib/fake-launchd",
        );
    }
}

fn life(machines: Vec<Machine>) -> Result<(), Failed> {
    let Some((one, _alone)) = without_init(&machines) else {
        eprintln!("skipped: lab::launchd: no host without an init system in this lab");
        return Ok(());
    };
    let one = &one;
    let _launchd = StandIn::on(one);
    let bench = Bench::new("mac", std::slice::from_ref(one));
    let port = port();
    std::fs::write(bench.at("server.py"), talkative())?;
    let write = |version: &str, line: &str| {
        let service = bench.service("one", &[&one.name], port, version, "");
        bench.registry(
            &service
                .replace("{ http: /health }", &format!("{{ http: /health }}, {{ unit: true }}, {{ log: '{line}' }}")),
        );
    };
    let name = format!("{}-one", bench.id);
    write("one", "ready one");
    let check = bench.run(&["host", "check", &one.name]).exits(0);
    assert!(check.out.contains("launchd"), "{}", check.out);
    bench.run(&["deploy", "--all"]).exits(0);
    assert_eq!(bench.answer(one, port), "one");
    let again = bench.run(&["deploy", "--all"]).exits(0);
    assert!(again.err.contains("nothing to do"), "{}", again.err);
    let logs = bench.run(&["logs", &name]).exits(0);
    assert!(logs.out.contains("ready one"), "{}", logs.out);
    write("two", "ready two");
    bench.run(&["deploy", "--all"]).exits(0);
    assert_eq!(bench.answer(one, port), "two");
    // The line was said by the release before, and by nobody since.
    write("three", "ready two");
    bench.run(&["deploy", "--all", "--no-auto-heal"]).exits(5);
    assert_eq!(bench.answer(one, port), "two");
    write("two", "ready two");
    for (verb, answers) in [("stop", ""), ("start", "two"), ("restart", "two")] {
        bench.run(&[verb, &name]).exits(0);
        wait("its answer", PATIENCE, || bench.answer(one, port) == answers);
    }
    let status = bench.run(&["status"]).exits(0);
    assert!(status.out.contains("good"), "{}", status.out);
    // One that launchd does not know any more is found, and brought back.
    one.inside(&format!("launchctl bootout system/portoser-{name}"));
    bench.run(&["status"]).exits(8);
    bench.run(&["deploy", "--all"]).exits(0);
    assert_eq!(bench.answer(one, port), "two");
    bench.run(&["rollback", &name]).exits(0);
    assert_eq!(bench.answer(one, port), "one");
    // launchd says no more than that it is under way, of what takes its time.
    std::fs::write(bench.at("server.py"), slow(&talkative()))?;
    for version in ["slow", "other"] {
        write(version, &format!("ready {version}"));
        bench.run(&["deploy", "--all", "--no-auto-heal"]).exits(0);
        assert_eq!(bench.answer(one, port), version);
    }
    bench.run(&["stop", &name]).exits(0);
    assert_eq!(bench.answer(one, port), "");
    bench.run(&["remove", &name, "--yes"]).exits(0);
    assert_eq!(one.inside("ls /Library/LaunchDaemons /var/lib/fake-launchd | grep portoser"), "");
    Ok(())
}

/// The same service, which takes six seconds to stop.
fn slow(service: &str) -> String {
    let stop = "import signal, time\ndef stop(*_):\n    time.sleep(6)\n    raise SystemExit\nsignal.signal(signal.SIGTERM, stop)\n";
    format!("{stop}{service}")
}
