//! Who is well is left alone: however slow the way to a host is and whenever it is looked at, no remedy is run; and neither on a
//! host that answers half or nothing.

use std::time::{Duration, Instant};

use libtest_mimic::{Failed, Trial};
use serde_json::Value;

use crate::fixture::delay_proxy::DelayProxy;

use super::kit::{Bench, Machine, Ran, port};
use super::{pair, trial};

pub fn trials() -> Vec<Trial> {
    vec![trial("who_is_well_is_left_alone", harmless)]
}

/// Sweeps that go on side by side, each with a journal of its own.
const AT_ONCE: u64 = 4;

fn harmless(machines: Vec<Machine>) -> Result<(), Failed> {
    let machines = &pair(&machines)[..];
    let count: u64 = if super::kit::full() { 500 } else { 20 };
    let world = tokio::runtime::Runtime::new()?;
    let mut bench = Bench::new("harmless", machines);
    let mut proxies = Vec::new();
    for machine in machines {
        let target = format!("{}:{}", machine.address, machine.port).parse()?;
        let proxy = world.block_on(DelayProxy::start(target, Duration::ZERO));
        bench.through(machine, proxy.port());
        proxies.push(proxy);
    }
    let heal = "    heal: { policy: full, apart: 100ms }\n";
    let names: Vec<&str> = machines.iter().map(|one| one.name.as_str()).collect();
    bench.registry(&bench.service("one", &names, port(), "one", heal));
    bench.run(&["deploy", "--all"]).exits(0);
    let unit = format!("systemctl show -p MainPID,NRestarts,ActiveEnterTimestamp portoser-{}-one.service", bench.id);
    let lives = || machines.iter().map(|machine| machine.inside(&unit)).collect::<Vec<_>>();
    let before = lives();
    let amiss: Vec<String> = std::thread::scope(|scope| {
        let (bench, proxies) = (&bench, &proxies);
        let sweeps = |lane: u64| move || lane_of_sweeps(bench, proxies, lane, count / AT_ONCE);
        let tasks: Vec<_> = (0..AT_ONCE).map(|lane| scope.spawn(sweeps(lane))).collect();
        tasks.into_iter().flat_map(|task| task.join().expect("a lane")).collect()
    });
    assert!(amiss.is_empty(), "{} of {count}: {amiss:?}", amiss.len());
    // The link ends in the middle of an answer, says nothing, or is not there: it is unseen, and nothing is done.
    proxies[0].delay(Duration::ZERO);
    let links = [("cut", None), ("silent", Some(8)), ("closed", Some(8))];
    // Silence and refusal cost their deadlines.
    for (what, code) in &links[..if count > 20 { 3 } else { 1 }] {
        let began = Instant::now();
        match *what {
            "cut" => {
                proxies[0].throttle(3000);
                let ran = std::thread::scope(|scope| {
                    let sweep = scope.spawn(|| bench.run(&["sweep", "--json"]));
                    super::kit::wait("a connection", Duration::from_secs(20), || proxies[0].open() > 0);
                    proxies[0].cut();
                    sweep.join().expect("a sweep")
                });
                nothing_done(&ran.out);
                proxies[0].throttle(0);
            }
            _ => {
                if *what == "silent" {
                    proxies[0].silent(true)
                } else {
                    proxies[0].closed(true)
                }
                let ran = bench.run(&["sweep", "--json"]);
                assert_eq!(ran.code, *code, "{what}: {}{}", ran.out, ran.err);
                nothing_done(&ran.out);
                proxies[0].silent(false);
            }
        }
        eprintln!("lab: a host whose link is {what}: {:?}", began.elapsed());
    }
    assert_eq!(lives(), before);
    eprintln!("lab: {count} sweeps of who is well: no remedy");
    Ok(())
}

fn nothing_done(document: &str) {
    let document: Value = serde_json::from_str(document).unwrap_or_else(|error| panic!("{error}: {document}"));
    assert_eq!(document["treated"].as_array().map(Vec::len), Some(0), "{document}");
}

/// Whether a sweep found nothing but that its hosts have more to do than they can: they are this machine, on which the trials run,
/// and then that is true.
fn is_busy(ran: &Ran) -> bool {
    let mut left = ran.out.lines().filter(|line| line.starts_with("LEFT") || line.starts_with("LATENT")).peekable();
    ran.code == Some(8) && left.peek().is_some() && left.all(|line| line.contains("is asked for far more than"))
}

/// Sweeps one after the other, with the way to the hosts another one each time; what was not as it must be.
fn lane_of_sweeps(bench: &Bench, proxies: &[DelayProxy], lane: u64, count: u64) -> Vec<String> {
    let (state, mut amiss) = (format!("lane{lane}"), Vec::new());
    let mut number = 0x9E37_79B9_7F4A_7C15_u64.wrapping_mul(lane + 1);
    let mut random = |below: u64| {
        number ^= number << 13;
        number ^= number >> 7;
        number ^= number << 17;
        number % below
    };
    let mut was_busy = false;
    for _ in 0..count {
        for proxy in proxies {
            proxy.delay(Duration::from_millis(random(120)));
        }
        let ran = bench.run_in(&state, &["sweep"], &mut |_, _| {});
        let silent = ran.out.is_empty() && ran.err.is_empty();
        // What was said before is not said again.
        was_busy = is_busy(&ran) || (was_busy && silent && ran.code == Some(8));
        if !(was_busy || silent && ran.code == Some(0)) {
            amiss.push(format!("exit {:?}: {}{}", ran.code, ran.out, ran.err));
        }
    }
    let lessons = bench.run_in(&state, &["lessons", "--json"], &mut |_, _| {});
    let document: Value = serde_json::from_str(&lessons.out).unwrap_or_default();
    if document["lessons"].as_array().is_none_or(|all| !all.is_empty()) {
        amiss.push(format!("remedies were run: {}", lessons.out));
    }
    amiss
}
