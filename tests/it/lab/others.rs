//! Two controllers of the same hosts: what one did to heal counts for the other, as the host itself remembers it.

use libtest_mimic::{Failed, Trial};
use serde_json::Value;

use super::kit::{Bench, Machine, port};
use super::{trial, usual};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("two_controllers_count_each_others_remedies", counted),
        trial("what_one_controller_stopped_no_other_starts", rests),
    ]
}

/// The host keeps that a service was stopped on purpose, whoever did it, and until somebody lets it run again.
fn rests(machines: Vec<Machine>) -> Result<(), Failed> {
    let machines = &usual(&machines)[..1];
    let (one, port) = (&machines[0], port());
    let bench = Bench::new("rests", machines);
    let heal = "    heal: { policy: full, looks: 1, cooldown: 1s, tries: 9 }\n";
    bench.registry(&bench.service("one", &[&one.name], port, "one", heal));
    bench.run(&["deploy", "--all"]).exits(0);
    let (unit, service) = (format!("portoser-{}-one.service", bench.id), format!("{}-one", bench.id));
    let state = || one.inside(&format!("systemctl is-active {unit} || :")).trim().to_owned();
    let word = || one.inside(&format!("cat {}/services/{service}/stopped 2>/dev/null || :", bench.base()));
    let elsewhere = |words: &[&str]| bench.run_in("elsewhere", words, &mut |_, _| {}).exits(0);
    let left_alone = || {
        let ran = bench.run(&["heal"]).exits(8);
        assert!(ran.out.contains("stopped on purpose by") && state() != "active", "{}", ran.out);
    };
    elsewhere(&["stop", &service]);
    assert!(word().contains(" in run "), "{}", word());
    left_alone();
    elsewhere(&["start", &service]);
    assert_eq!((word().as_str(), state().as_str()), ("", "active"));
    if !super::kit::full() {
        return Ok(());
    }
    // One that is down already may be stopped for good, too.
    one.inside(&format!("systemctl stop {unit}"));
    elsewhere(&["stop", &service]);
    left_alone();
    // Nothing to do is nothing to do.
    elsewhere(&["stop", &service]);
    elsewhere(&["deploy", &service]);
    assert_eq!((word().as_str(), state().as_str()), ("", "active"));
    // A person who takes the risk lets it run again.
    elsewhere(&["stop", &service]);
    bench.run(&["heal", "--risk", "safe"]).exits(0);
    assert_eq!((word().as_str(), state().as_str()), ("", "active"));
    one.inside(&format!("systemctl stop {unit}"));
    bench.run(&["heal"]).exits(0);
    assert_eq!(state(), "active", "what nobody stopped on purpose is healed");
    Ok(())
}

fn counted(machines: Vec<Machine>) -> Result<(), Failed> {
    let machines = &usual(&machines)[..1];
    let (one, port) = (&machines[0], port());
    let bench = Bench::new("others", machines);
    let heal = "    heal: { policy: full, looks: 1, cooldown: 1h }\n";
    bench.registry(&bench.service("one", &[&one.name], port, "one", heal));
    bench.run(&["deploy", "--all"]).exits(0);
    let unit = format!("portoser-{}-one.service", bench.id);
    let stop = || one.inside(&format!("systemctl stop {unit}"));
    stop();
    bench.run(&["heal"]).exits(0);
    stop();
    let ran = bench.run_in("elsewhere", &["heal", "--json"], &mut |_, _| {}).exits(8);
    let document: Value = serde_json::from_str(&ran.out)?;
    assert_eq!(document["treated"].as_array().map(Vec::len), Some(0), "{document}");
    assert!(document["left"].to_string().contains("treated just now"), "{document}");
    // A person's words may be run for longer than a minute, and are so when they are done again.
    let service = format!("{}-one", bench.id);
    bench.run(&["fix", &service, "--timeout", "5m", "--", "systemctl", "start", &unit]).exits(0);
    let learned = std::fs::read_dir(bench.at("playbooks/learned"))?.filter_map(Result::ok);
    let text: String = learned.filter_map(|file| std::fs::read_to_string(file.path()).ok()).collect();
    assert!(text.contains("timeout: 5m") && text.contains("start"), "{text}");
    Ok(())
}
