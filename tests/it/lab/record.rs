//! A run outlives its controller: whoever comes later, from whatever machine, sees it, and goes on with it.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::Child;

use libtest_mimic::{Failed, Trial};
use serde_json::Value;

use crate::fixture::sshd::command;

use super::kit::{Bench, Machine, Ran, port};
use super::{pair, trial, usual};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("a_dead_controllers_run_is_watched_from_another_machine", watched),
        trial("a_run_whose_controller_died_is_resumed", resumed),
        trial("a_restart_is_resumed_where_it_was_not_done", restarted),
        trial("the_hosts_tell_the_history", history),
        trial("who_watches_changes_nothing", harmless),
    ]
}

/// Long enough to come between the switch and the verdict.
const SOAK: &str = "    deploy: { soak: 3s, lost_after: 3s }\n";

/// Starts a verb and reads its events up to the first of this kind.
fn until(
    bench: &Bench,
    state: &str,
    words: &[&str],
    kind: &str,
) -> (Child, BufReader<std::process::ChildStdout>, Value) {
    let mut child = bench.command_in(state, words).spawn().expect("portoser starts");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe"));
    let mut line = String::new();
    while lines.read_line(&mut line).expect("a line") > 0 {
        let event: Value = serde_json::from_str(&line).expect("an event");
        if event["event"] == kind {
            return (child, lines, event);
        }
        line.clear();
    }
    panic!("it ended before `{kind}`: {:?}", child.wait_with_output());
}

/// A service at `v1`, and `v2` asked for; the run that brings it is killed right after the switch. Gives the run.
fn killed(bench: &Bench, machine: &Machine, port: u16) -> String {
    bench.registry(&bench.service("one", &[&machine.name], port, "v1", SOAK));
    bench.run(&["deploy", "--all"]).exits(0);
    bench.registry(&bench.service("one", &[&machine.name], port, "v2", SOAK));
    let (mut child, _, _) = until(bench, "state", &["deploy", "--all", "--events"], "switched");
    child.kill().expect("killed");
    child.wait().expect("an end");
    machine.inside(&format!("ls {}/runs | tail -n 1", bench.base())).trim().to_owned()
}

fn has(ran: &Ran, event: &str) -> bool {
    ran.events.iter().any(|one| one["event"] == event)
}

fn watched(machines: Vec<Machine>) -> Result<(), Failed> {
    let machines = &usual(&machines)[..1];
    let (machine, port) = (&machines[0], port());
    let bench = Bench::new("watched", machines);
    let run = killed(&bench, machine, port);
    let ran = bench.run_in("elsewhere", &["attach", "--events"], &mut |_, _| {}).exits(5);
    assert_eq!(ran.events[0]["run"], run.as_str(), "the run that is under way");
    for event in ["switched", "undoing", "ended", "finished"] {
        assert!(has(&ran, event), "{event}: {ran:#?}");
    }
    assert_eq!(ran.ended("rolled-back"), 1);
    assert_eq!(bench.answer(machine, port), "v1");
    // What is over is told again, in the same words; and a run that was proven is told as such.
    let again = bench.run_in("elsewhere", &["attach", &run, "--events"], &mut |_, _| {}).exits(5);
    assert_eq!(again.ended("rolled-back"), 1);
    bench.run(&["deploy", "--all"]).exits(0);
    let run = machine.inside(&format!("ls {}/runs | tail -n 1", bench.base())).trim().to_owned();
    let good = bench.run_in("elsewhere", &["attach", &run, "--events"], &mut |_, _| {}).exits(0);
    assert!(has(&good, "proven") && good.ended("committed") == 1, "{good:#?}");
    bench.run_in("elsewhere", &["attach", "20200101-000000-00000000"], &mut |_, _| {}).exits(2);
    let none = bench.run_in("elsewhere", &["attach"], &mut |_, _| {}).exits(0);
    assert!(none.err.contains("no run is under way"), "{none:?}");
    Ok(())
}

fn resumed(machines: Vec<Machine>) -> Result<(), Failed> {
    let machines = &pair(&machines)[..];
    let port = port();
    let bench = Bench::new("resumed", machines);
    let names = machines.iter().map(|one| one.name.as_str()).collect::<Vec<_>>();
    bench.registry(&bench.service("one", &names, port, "v1", SOAK));
    let words = ["deploy", "--all", "--batch", "1", "--events"];
    let (mut child, _, _) = until(&bench, "state", &words, "proven");
    child.kill().expect("killed");
    child.wait().expect("an end");
    let lives = bench.run(&["resume"]).exits(7);
    assert!(lives.err.contains("portoser attach"), "{lives:?}");
    let run = machines[0].inside(&format!("ls {}/runs | tail -n 1", bench.base())).trim().to_owned();
    bench.run_in("elsewhere", &["attach", &run], &mut |_, _| {}).exits(5);
    // Another machine hears from the host what was asked, and would do the same.
    let foreign = bench.run_in("elsewhere", &["resume", &run, "--dry-run"], &mut |_, _| {}).exits(0);
    assert!(foreign.err.contains("is of another machine") && foreign.err.contains(r#""batch":1"#), "{foreign:?}");
    let unknown = bench.run_in("elsewhere", &["resume", "20200101-000000-00000000"], &mut |_, _| {}).exits(2);
    assert!(unknown.err.contains("no host that was asked knows"), "{unknown:?}");
    bench.run(&["resume", "--dry-run"]).exits(0);
    let ran = bench.run(&["resume", "--events"]).exits(0);
    assert_eq!((ran.ended("nothing-to-do"), ran.ended("committed")), (1, 1), "{ran:#?}");
    for machine in machines {
        assert_eq!(bench.answer(machine, port), "v1");
        assert_eq!(bench.amiss(machine), "");
    }
    let runs: Value = serde_json::from_str(&bench.run(&["runs", "--json"]).exits(0).out)?;
    assert_eq!(runs["runs"][0]["resumes"], run.as_str(), "{runs}");
    let settled = bench.run(&["resume"]).exits(2);
    assert!(settled.err.contains("has an end"), "{settled:?}");
    bench.registry(&bench.service("one", &names, port, "v2", SOAK));
    let changed = bench.run(&["resume", &run, "--dry-run"]).exits(0);
    assert!(changed.err.contains("the registry was changed"), "{changed:?}");
    Ok(())
}

fn restarted(machines: Vec<Machine>) -> Result<(), Failed> {
    let machines = &pair(&machines)[..];
    let port = port();
    let bench = Bench::new("restarted", machines);
    let names = machines.iter().map(|one| one.name.as_str()).collect::<Vec<_>>();
    bench.registry(&bench.service("one", &names, port, "v1", "    deploy: { batch: 1, lost_after: 3s }\n"));
    bench.run(&["deploy", "--all"]).exits(0);
    let pids = || {
        let pid = |one: &Machine| one.inside(&format!("systemctl show -p MainPID portoser-{}-one", bench.id));
        machines.iter().map(pid).collect::<Vec<_>>()
    };
    // The second host begins when the first is done.
    let mut hosts = std::collections::BTreeSet::new();
    let mut child = bench.command_in("state", &["restart", "--all", "--events"]).spawn()?;
    for line in BufReader::new(child.stdout.take().ok_or("a pipe")?).lines() {
        let event: Value = serde_json::from_str(&line?)?;
        if event["event"] == "step" && hosts.insert(event["host"].to_string()) && hosts.len() == 2 {
            break;
        }
    }
    child.kill()?;
    child.wait()?;
    bench.run_in("elsewhere", &["attach"], &mut |_, _| {});
    let before = pids();
    // From another machine: the hosts know what was asked, and where it was done.
    let run = machines[0].inside(&format!("ls {}/runs | tail -n 1", bench.base())).trim().to_owned();
    let asked = bench.run_in("elsewhere", &["resume", &run, "--events"], &mut |_, _| {}).exits(9);
    assert!(asked.err.contains("give --yes"), "{asked:?}");
    let ran = bench.run_in("elsewhere", &["resume", &run, "--yes", "--events"], &mut |_, _| {}).exits(0);
    assert_eq!((ran.ended("nothing-to-do"), ran.ended("committed")), (1, 1), "{ran:#?}");
    let after = pids();
    assert_eq!(before.iter().zip(&after).filter(|(before, after)| before == after).count(), 1, "{before:?} {after:?}");
    Ok(())
}

fn history(machines: Vec<Machine>) -> Result<(), Failed> {
    let machines = &pair(&machines)[..];
    let port = port();
    let bench = Bench::new("history", machines);
    let names = machines.iter().map(|one| one.name.as_str()).collect::<Vec<_>>();
    for (version, code) in [("v1", 0), ("v2", 0), ("bad", 5)] {
        bench.registry(&bench.service("one", &names, port, version, ""));
        bench.run(&["deploy", "--all"]).exits(code);
    }
    let elsewhere = |words: &[&str], code: i32| bench.run_in("elsewhere", words, &mut |_, _| {}).exits(code);
    let read = |ran: &Ran| serde_json::from_str::<Value>(&ran.out);
    let told = read(&elsewhere(&["history", "--from-hosts", "--json"], 0))?;
    let fallen_back = elsewhere(&["history", "--json"], 0);
    assert!(fallen_back.err.contains("from the hosts' own records"), "{fallen_back:?}");
    assert_eq!(read(&fallen_back)?, told);
    let told = told["history"].as_array().ok_or("a list")?;
    let done = |entry: &&Value| entry["outcome"] == "committed";
    let releases: std::collections::BTreeSet<&str> =
        told.iter().filter(done).filter_map(|entry| entry["after"].as_str()).collect();
    assert_eq!((told.iter().filter(done).count(), releases.len()), (4, 2), "{told:#?}");
    assert!(told.iter().any(|entry| entry["outcome"] == "rolled-back"), "{told:#?}");
    assert!(told.iter().all(|entry| entry["who"].as_str().is_some_and(|who| who.starts_with("trial@"))), "{told:#?}");
    // What this machine has nothing of is asked of the hosts, and that is said.
    let run = told[0]["run"].as_str().ok_or("a run")?;
    let shown = elsewhere(&["history", "show", run], 0);
    assert!(shown.err.contains("from the hosts' own records") && shown.out.contains("taken back"), "{shown:?}");
    let releases: Vec<&str> = releases.into_iter().collect();
    let release = elsewhere(&["history", "show", releases[0]], 0);
    assert!(release.out.contains("first made") && !release.out.contains("not known"), "{release:?}");
    let differ = elsewhere(&["history", "compare", releases[0], releases[1]], 0);
    assert!(differ.out.contains("v1") && differ.out.contains("v2"), "{differ:?}");
    elsewhere(&["history", "show", "0000000000000000"], 2);
    // A host that cannot be asked is not a host without a history.
    let mut bench = bench;
    bench.doors.insert(machines[1].name.clone(), ("127.0.0.1".into(), 1));
    bench.registry(&bench.service("one", &names, port, "v2", ""));
    let half = bench.run_in("elsewhere", &["history", "--from-hosts", "--json"], &mut |_, _| {}).exits(4);
    assert!(half.err.contains(&format!("`{}` could not be asked", machines[1].name)), "{half:?}");
    assert!(read(&half)?["history"].as_array().is_some_and(|told| told.len() >= 2), "{half:?}");
    Ok(())
}

fn harmless(machines: Vec<Machine>) -> Result<(), Failed> {
    let machines = &usual(&machines)[..1];
    let (machine, port) = (&machines[0], port());
    let bench = Bench::new("harmless", machines);
    bench.registry(&bench.service("one", &[&machine.name], port, "v1", SOAK));
    let (mut deploy, mut rest, _) = until(&bench, "state", &["deploy", "--all", "--events"], "switched");
    let (mut watcher, _lines, _) = until(&bench, "elsewhere", &["attach", "--events"], "switched");
    let interrupted = command("kill").args(["-INT", &watcher.id().to_string()]).status().expect("kill");
    assert!(interrupted.success());
    assert_eq!(watcher.wait().expect("an end").code(), Some(130));
    let _ = rest.read_to_string(&mut String::new());
    assert_eq!(deploy.wait().expect("an end").code(), Some(0), "the deploy goes on");
    assert_eq!(bench.answer(machine, port), "v1");
    assert_eq!(bench.amiss(machine), "");
    Ok(())
}
