//! In the middle of one long step, what tells of the run hangs while its host lives, and then the link goes: the run is followed again
//! each time, and ends as if nothing had been.

use std::time::{Duration, Instant};

use libtest_mimic::{Failed, Trial};

use super::kit::{Bench, Machine, PATIENCE, port, wait};
use super::signals::Talk;
use super::{trial, usual};
use crate::fixture::delay_proxy::DelayProxy;

pub fn trials() -> Vec<Trial> {
    vec![trial("what_tells_of_a_run_hangs_and_then_its_link_goes", anew)]
}

fn anew(machines: Vec<Machine>) -> Result<(), Failed> {
    let machine = &usual(&machines)[0];
    let world = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let target = format!("{}:{}", machine.address, machine.port).parse()?;
    let proxy = world.block_on(DelayProxy::start(target, Duration::ZERO));
    let (mut bench, port) = (Bench::new("follower", std::slice::from_ref(machine)), port());
    bench.through(machine, proxy.port());
    // The host is given up after 3 s in which it cannot be followed.
    let held = format!("until [ -e /tmp/go-{0} ]; do : >/tmp/at-{0}; sleep 0.2; done", bench.id);
    let hook = format!("    hooks: {{ before: [{{ run: [sh, -c, \"{held}\"], timeout: 3m }}] }}\n");
    bench.registry(&bench.service("one", &[&machine.name], port, "one", &hook));

    let mut deploy = Talk::of(&bench, "state", &["deploy", "--all", "--events", "--no-auto-heal"]);
    wait("the long step", PATIENCE, || !machine.inside(&format!("ls /tmp/at-{} 2>/dev/null", bench.id)).is_empty());
    let told = || followers(&bench, machine);
    let first = told();
    assert!(!first.is_empty(), "nobody tells of the run");
    machine.inside(&format!("kill -STOP {}", first.join(" ")));
    let hangs = Instant::now();
    wait("another that tells of it", PATIENCE, || told().iter().any(|pid| !first.contains(pid)));
    eprintln!("lab: followed again {:.1} s after what told of it hung", hangs.elapsed().as_secs_f64());

    // The new one holds for longer than a dead link would; that it has nothing to tell is the step's matter.
    let second: Vec<String> = told().into_iter().filter(|pid| !first.contains(pid)).collect();
    let age = format!("ps -o etimes= -p {}", second.join(","));
    wait("it holds", PATIENCE, || {
        machine.inside(&age).lines().any(|line| line.trim().parse().is_ok_and(|age: u64| age > 17))
    });
    proxy.cut();
    let known = |pid: &String| first.contains(pid) || second.contains(pid);
    wait("one more, over another link", PATIENCE, || told().iter().any(|pid| !known(pid)));
    machine.inside(&format!(": >/tmp/go-{}", bench.id));
    assert_eq!(deploy.ends(PATIENCE), Some(0), "{:#?}", deploy.said);
    assert!(deploy.said.iter().any(|line| line.contains(r#""outcome":"committed""#)), "{:#?}", deploy.said);
    assert_eq!((bench.answer(machine, port).as_str(), bench.amiss(machine).as_str()), ("one", ""));
    // What hung ends once it goes on.
    machine.inside(&format!("kill -CONT {}; rm -f /tmp/go-{1} /tmp/at-{1}", first.join(" "), bench.id));
    wait("what told of it is gone", PATIENCE, || told().is_empty());
    Ok(())
}

/// The processes on a host that tell of a run of this bench.
fn followers(bench: &Bench, machine: &Machine) -> Vec<String> {
    let all = machine.inside(&format!("pgrep -f '[r]unner {} '", bench.base()));
    all.split_whitespace().map(str::to_owned).collect()
}
