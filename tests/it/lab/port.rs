//! Whose unit is stopped for a port: only one whose main process holds it.

use std::time::Duration;

use libtest_mimic::{Failed, Trial};

use super::kit::{Bench, Machine, port, wait};
use super::{trial, usual};

pub fn trials() -> Vec<Trial> {
    vec![trial("a_unit_is_stopped_only_for_what_it_is_itself", taken)]
}

fn taken(machines: Vec<Machine>) -> Result<(), Failed> {
    let machines = &usual(&machines)[..1];
    let (one, port) = (&machines[0], port());
    let bench = Bench::new("taken", machines);
    let heal = "    heal: { policy: full, looks: 1, cooldown: 1s, tries: 9 }\n";
    bench.registry(&bench.service("one", &[&one.name], port, "one", heal));
    bench.run(&["deploy", "--all"]).exits(0);
    let (unit, stranger) = (format!("portoser-{}-one.service", bench.id), format!("stranger-{port}.service"));
    let active = |unit: &str| one.inside(&format!("systemctl is-active {unit} || :")).trim() == "active";
    let listener = format!("python3 -m http.server --bind 127.0.0.1 {port}");
    let takes = |words: &str| {
        one.inside(&format!("systemctl stop {unit}; cd /; systemd-run -q --collect --unit={stranger} {words}"));
        let listens = format!("grep -qi ':{port:04X} 00000000:0000 0A' /proc/net/tcp && echo yes || :");
        wait("a stranger listens", Duration::from_secs(20), || one.inside(&listens).trim() == "yes");
    };
    if super::kit::full() {
        takes(&listener);
        // Only a person can say that a stranger goes.
        bench.run(&["heal"]).exits(8);
        assert!(active(&stranger));
        bench.run(&["heal", "--risk", "ask"]).exits(0);
        assert!(active(&unit) && !active(&stranger));
    }
    // The holder is a child of something else: the unit may be a session's, or an engine's.
    takes(&format!("/bin/sh -c '{listener}; exit'"));
    let ran = bench.run(&["heal", "--risk", "ask"]).exits(8);
    assert!(active(&stranger) && !active(&unit), "{}", ran.out);
    one.inside(&format!("systemctl stop {stranger}"));
    Ok(())
}
