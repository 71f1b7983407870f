//! Stacks of all three engines, with needs among them.

use libtest_mimic::{Failed, Trial};

use crate::fixture::mixed::{self, Places};

use super::counted::Counted;
use super::kit::{Bench, Machine, port};
use super::{docker, engines, trial, usual};

pub fn trials() -> Vec<Trial> {
    vec![trial("containers_python_and_native_services_need_each_other", stack)]
}

const DEPLOY: [&str; 3] = ["deploy", "--all", "--events"];

/// One service of each type on one host; with `PORTOSER_LAB_FULL` ten of each on four hosts. `tests/bench` prints the times.
fn stack(machines: Vec<Machine>) -> Result<(), Failed> {
    let mut machines: Vec<Machine> = engines(&machines).into_iter().chain(usual(&machines)).collect();
    let full = super::kit::full();
    if full {
        machines.truncate(4);
    } else {
        machines.retain(|one| one.image == "trixie-docker");
    }
    let with = engines(&machines);
    if with.is_empty() {
        return Err("the lab has no host with an engine (trixie-docker)".into());
    }
    with.iter().for_each(docker::image);
    let mut bench = Bench::new("mix", &machines);
    let counted = Counted::new(&mut bench);
    mixed::write(&bench.at(""));
    let ports: Vec<[u16; 3]> = (0..if full { 10 } else { 1 }).map(|_| [port(), port(), port()]).collect();
    let names = |machines: &[Machine]| machines.iter().map(|one| one.name.clone()).collect::<Vec<_>>();
    let places = Places { engines: &names(&with), all: &names(&machines) };
    let write = |versions: [&str; 3]| bench.registry(&mixed::services(&bench.id, &places, &ports, versions));
    let answers = |versions: [&str; 3]| {
        for (number, row) in ports.iter().enumerate() {
            let hosts = [&with[number % with.len()], &with[number % with.len()], &machines[number % machines.len()]];
            for ((port, host), version) in row.iter().zip(hosts).zip(versions) {
                assert_eq!(bench.answer(host, *port), version, "row {number} on {}", host.name);
            }
        }
        machines.iter().for_each(|machine| assert_eq!(bench.amiss(machine), "", "{}", machine.name));
    };
    let each = ports.len();
    write(["one", "one", "one"]);
    // The look, the run, and one that answers what the gates ask of the containers.
    let first = if full { bench.run(&DEPLOY).exits(0) } else { counted.run(&bench, &DEPLOY, 3) };
    assert_eq!(first.ended("committed"), 3 * each);
    answers(["one", "one", "one"]);
    let nothing = counted.run(&bench, &DEPLOY, 1);
    assert_eq!(nothing.ended("nothing-to-do"), 3 * each);
    write(["one", "two", "two"]);
    let change = bench.run(&DEPLOY).exits(0);
    assert_eq!((change.ended("committed"), change.ended("nothing-to-do")), (2 * each, each), "{}", change.out);
    if each == 1 {
        // What fails is the one in the middle: the one before it was proven and stays, and the one behind it is not touched.
        write(["two", "bad", "three"]);
        let failing = bench.run(&DEPLOY).exits(5);
        assert_eq!((failing.ended("committed"), failing.ended("rolled-back")), (1, 1), "{}", failing.out);
        answers(["two", "two", "two"]);
    }
    bench.run(&["remove", "--all", "--yes"]).exits(0);
    assert!(machines.iter().all(|machine| ports.iter().flatten().all(|port| bench.answer(machine, *port).is_empty())));
    eprintln!(
        "lab: {} services of all three engines on {} hosts: one connection and one exec for each; first {:?}, nothing to do {:?}",
        3 * each,
        machines.len(),
        first.took,
        nothing.took
    );
    Ok(())
}
