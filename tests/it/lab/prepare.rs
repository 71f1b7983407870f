//! `portoser host prepare` on a real host: what is lacking is shown, brought once, and then there.

use libtest_mimic::{Failed, Trial};

use super::kit::{Bench, Machine, port};
use super::{trial, usual};

pub fn trials() -> Vec<Trial> {
    vec![trial("a_host_gets_what_its_services_need_and_nothing_twice", prepare)]
}

fn prepare(machines: Vec<Machine>) -> Result<(), Failed> {
    let machines = &usual(&machines)[..1];
    let machine = &machines[0];
    let bench = Bench::new("prep", machines);
    let user = format!("p{}", bench.id);
    bench.registry(&bench.service("a", &[&machine.name], port(), "one", &format!("    user: {user}\n")));
    let lacks = format!("{}: lacks the base folder {}; the user {user}\n", machine.name, bench.base());
    assert_eq!(bench.run(&["host", "prepare", "--only-look"]).exits(0).out, lacks);
    let refused = bench.run(&["host", "prepare"]).exits(9);
    assert!(refused.err.contains("nothing was changed") && refused.err.contains("--yes"), "{}", refused.err);
    assert_eq!(bench.run(&["host", "prepare", "--only-look"]).exits(0).out, lacks, "what was refused was not done");
    let whole = format!("{}: has all that its services need\n", machine.name);
    assert!(bench.run(&["host", "prepare", "--yes"]).exits(0).out.ends_with(&whole));
    let passwd = machine.inside(&format!("getent passwd {user}"));
    assert!(passwd.trim_end().ends_with("nologin"), "{passwd}");
    assert_eq!(bench.run(&["host", "prepare", "--yes"]).exits(0).out, whole, "nothing is brought twice");
    bench.run(&["deploy", "--all"]).exits(0);
    bench.run(&["remove", "--all", "--yes"]).exits(0);
    machine.inside(&format!("userdel {user}"));
    Ok(())
}
