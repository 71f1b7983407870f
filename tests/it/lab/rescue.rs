//! Healing as a part of a deploy, on a real host: what is in the way of a release is healed within the lock that its run holds, and
//! the gate is asked once more; when the controller dies in the middle of it, both are taken back.

use std::time::Duration;

use libtest_mimic::{Failed, Trial};

use crate::fixture::sshd::command;

use super::kit::{Bench, Machine, PATIENCE, port, wait};
use super::trial;

pub fn trials() -> Vec<Trial> {
    vec![trial("what_is_in_the_way_of_a_deploy_is_healed", rescued)]
}

/// A service, and another one that is well only while the first one runs.
fn bench(machine: &Machine) -> (Bench, u16, u16) {
    let bench = Bench::new("rescue", std::slice::from_ref(machine));
    let (db, app) = (port(), port());
    let more = format!(
        "    needs: [{}-db]\n    heal: {{ policy: full, looks: 2, apart: 100ms, cooldown: 1s, tries: 9 }}\n",
        bench.id
    );
    let one =
        bench.service("db", &[&machine.name], db, "db", "    heal: { policy: full, apart: 100ms, cooldown: 1s }\n");
    let two = bench.service("app", &[&machine.name], app, "app", &more);
    let check = format!("checks: [{{ tcp: {db}, start_period: 1s, interval: 100ms, retries: 3 }}]");
    bench.registry(&(one + &two.replace("checks: [{ http: /health }]", &check)));
    (bench, db, app)
}

fn rescued(machines: Vec<Machine>) -> Result<(), Failed> {
    let machine = machines.into_iter().find(|one| one.image.starts_with("bookworm")).expect("a host with systemd");
    let (bench, db, app) = bench(&machine);
    let (needed, service) = (format!("{}-db", bench.id), format!("{}-app", bench.id));
    let unit = format!("portoser-{needed}.service");
    bench.run(&["deploy", &needed]).exits(0);

    // The need was stopped: without healing the release goes back, and the need is left as it is.
    machine.inside(&format!("systemctl stop {unit}"));
    bench.run(&["deploy", &service, "--no-auto-heal"]).exits(5);
    assert_eq!((bench.answer(&machine, db), bench.answer(&machine, app)), (String::new(), String::new()));

    // With it, the need is started while the release waits, and the release is proven.
    let ran = bench.run(&["deploy", &service]).exits(0);
    assert!(ran.err.contains("was stopped: healed"), "{}", ran.err);
    assert_eq!((bench.answer(&machine, db).as_str(), bench.answer(&machine, app).as_str()), ("db", "app"));
    assert_eq!(bench.amiss(&machine), "");

    if super::kit::full() {
        killed(&bench, &machine, (&unit, &service, app));
    }
    Ok(())
}

/// The controller dies while a remedy waits for its second look, and the release for its verdict.
fn killed(bench: &Bench, machine: &Machine, (unit, service, app): (&str, &str, u16)) {
    bench.run(&["remove", service, "--yes"]).exits(0);
    machine.inside(&format!("systemctl stop {unit}"));
    let mut killers = Vec::new();
    let ran = bench.run_in("state", &["deploy", service], &mut |count, child| {
        let (machine, unit, child) = (machine.clone(), unit.to_owned(), child.id().to_string());
        if count == 0 {
            killers.push(std::thread::spawn(move || {
                let active = || machine.inside(&format!("systemctl is-active {unit}")).trim() == "active";
                wait("the remedy", PATIENCE, active);
                let _ = command("kill").args(["-KILL", &child]).status();
            }));
        }
    });
    killers.into_iter().for_each(|killer| killer.join().expect("the controller is killed"));
    assert_eq!(ran.code, None, "{}", ran.err);
    let over = format!("for r in {}/runs/*; do [ -e $r/end ] || echo $r; done", bench.base());
    wait("both runs are over", Duration::from_secs(40), || machine.inside(&over).is_empty());
    assert_eq!(machine.inside(&format!("systemctl is-active {unit}")).trim(), "inactive", "the remedy is taken back");
    assert_eq!(bench.answer(machine, app), "", "the release is taken back");
}
