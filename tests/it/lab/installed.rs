//! The unit that `watch --install` writes, on a real host: systemd finds no fault in it, starts it, and ends it in good order.

use libtest_mimic::Trial;

use super::kit::{Bench, Machine, PATIENCE, wait};
use super::{trial, usual};
use crate::fixture::sshd::command;

pub fn trials() -> Vec<Trial> {
    vec![trial("a_watch_that_is_installed_is_run_by_systemd", |machines| {
        installed(&usual(&machines)[0]);
        Ok(())
    })]
}

fn installed(machine: &Machine) {
    let bench = Bench::new("installed", std::slice::from_ref(machine));
    let folder = format!("/root/{}", bench.id);
    machine.inside(&format!(
        "mkdir {folder}; printf 'version: 1\\nhosts: {{ here: {{ connection: local, base: {folder}/base }} }}\\n' >{folder}/registry.yml"
    ));
    let to = format!("{}:{folder}/portoser", machine.container);
    let copied = command("docker").args(["cp", env!("CARGO_BIN_EXE_portoser"), &to]).status();
    assert!(copied.is_ok_and(|status| status.success()), "docker cp");
    let portoser = format!("{folder}/portoser --registry {folder}/registry.yml --state {folder}/state");
    let start =
        machine.inside(&format!("{portoser} watch --install --interval 1s 2>{folder}/talk || cat {folder}/talk"));
    let unit = "portoser-watch.service";
    let faults = machine.inside(&format!("systemd-analyze verify /etc/systemd/system/{unit} || echo refused"));
    assert!(!faults.contains("refused") && !faults.contains("portoser"), "{faults}");
    let says = machine.inside(&start);
    wait("a pass of the watch", PATIENCE, || machine.inside(&format!("{portoser} runs 2>&1")).contains("watch"));
    let state = machine.inside(&format!("systemctl show -p ActiveState,NRestarts {unit}"));
    let enabled = machine.inside(&format!("systemctl is-enabled {unit}"));
    machine.inside(&format!("systemctl stop {unit}"));
    let ended =
        machine.inside(&format!("systemctl show -p Result --value {unit}; journalctl -q -u {unit} -n 20 -o cat"));
    let again = machine.inside(&format!(
        "{portoser} --yes -v --color never watch --install --dry-run here >{folder}/talk 2>&1; systemctl cat {unit}; systemd-analyze verify {unit} 2>&1"
    ));
    let asked = machine.inside(&format!("{portoser} --yes -K watch --install 2>&1; echo $?"));
    let nobody = machine.inside(&format!("{portoser} --yes watch --install nobody >/dev/null 2>&1; echo $?"));
    machine.inside(&format!(
        "systemctl disable {unit}; rm -r /etc/systemd/system/{unit} {folder}; systemctl daemon-reload"
    ));
    assert!(state.contains("ActiveState=active") && state.contains("NRestarts=0"), "{start}{says}{state}{ended}");
    assert_eq!(enabled.trim(), "enabled");
    assert!(ended.starts_with("success"), "{ended}");
    assert!(again.contains(" --color never --verbose watch --interval 30s --dry-run here\n"), "{again}");
    assert!(asked.ends_with("\n2\n") && nobody == "2\n", "{asked} {nobody}");
}
