//! Two controllers of the same hosts: what one did to heal counts for the other, as the host itself remembers it.

use libtest_mimic::{Failed, Trial};
use serde_json::Value;

use super::kit::{Bench, Machine, port};
use super::{trial, usual};

pub fn trials() -> Vec<Trial> {
    vec![trial("two_controllers_count_each_others_remedies", counted)]
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
