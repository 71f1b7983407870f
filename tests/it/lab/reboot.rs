//! A host that loses its power in the middle of a remedy. It is a host of this trial's own, as no other may be on it then.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use libtest_mimic::{Failed, Trial};

use crate::fixture::sshd::command;

use super::kit::{Bench, Machine, PATIENCE, full, machines_of, port, wait};
use super::trial;

/// With `PORTOSER_LAB_FULL`, as it takes minutes until what was cut is tried once more.
pub fn trials() -> Vec<Trial> {
    let all = vec![trial("a_remedy_is_done_or_not_when_its_host_loses_power", cut)];
    if full() { all } else { Vec::new() }
}

/// A lab of one host, which goes with it.
pub(super) struct Own {
    id: String,
    pub(super) machine: Machine,
    _folder: tempfile::TempDir,
}

fn lab(script: &str, words: &[&str]) -> Command {
    let mut lab =
        command(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lab").join(script).to_str().expect("a path"));
    lab.args(words);
    lab
}

fn done(mut command: Command) {
    let output = command.output().expect("it starts");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

impl Own {
    pub(super) fn up() -> Self {
        let (folder, id) = (tempfile::tempdir().expect("a folder"), format!("own-{}", port()));
        let inventory = folder.path().join("inventory.json");
        let file = inventory.to_str().expect("a path");
        done(lab("up.sh", &["--id", &id, "--hosts", "bookworm=1", "--inventory", file]));
        let machine = machines_of(&inventory).remove(0);
        Self { id, machine, _folder: folder }
    }

    /// The power goes, and comes back.
    fn cycle(&self) {
        for verb in ["kill", "start"] {
            let mut docker = command("docker");
            docker.args([verb, &self.machine.container]);
            done(docker);
        }
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        let _ = lab("down.sh", &["--id", &self.id]).output();
    }
}

/// When the power goes: what the newest run on the host has written by then.
const POINTS: &[&str] = &["switched", "stage"];

fn cut(_: Vec<Machine>) -> Result<(), Failed> {
    let own = Own::up();
    let machine = &own.machine;
    for point in POINTS {
        let (bench, port) = (Bench::new("power", std::slice::from_ref(machine)), port());
        let more =
            "    heal: { policy: full, looks: 1, cooldown: 1ms, tries: 50, breaker: 50 }\n    deploy: { soak: 2s }\n";
        bench.registry(&bench.service("one", &[&machine.name], port, "one", more));
        bench.run(&["deploy", "--all"]).exits(0);
        let service = format!("{}-one", bench.id);
        // What a start of the host does not mend.
        let file = format!("{}/services/{service}/current/server.py", bench.base());
        machine.inside(&format!("rm {file}; systemctl kill -s KILL portoser-{service}.service"));
        let runs = machine.inside(&format!("ls {}/runs", bench.base()));
        let ran = std::thread::scope(|scope| {
            let sweep = scope.spawn(|| bench.run(&["sweep", "--json"]));
            let seen = || {
                let newest =
                    format!("cd {}/runs && new=$(ls | tail -n 1) && echo $new && cat $new/journal", bench.base());
                let told = machine.inside(&newest);
                let run = told.lines().next().unwrap_or_default().to_owned();
                !runs.contains(&run) && told.contains(&format!(" {point} "))
            };
            wait(point, PATIENCE, seen);
            own.cycle();
            sweep.join().expect("a sweep")
        });
        // One that is back in time is healed by the same sweep; if not, by the next.
        assert!(matches!(ran.code, Some(0 | 4 | 8)), "{point}: {ran:?}");
        wait("it is back", PATIENCE, || bench.run(&["host", "check", &machine.name]).code == Some(0));
        // Whether the remedy that was cut helped is not known for as long as it could still be under way.
        let mut ran = bench.run(&["sweep", "--json"]);
        wait("a sweep that heals", Duration::from_secs(240), || {
            if ran.code != Some(0) {
                ran = bench.run(&["sweep", "--json"]);
            }
            ran.code == Some(0)
        });
        assert_eq!(
            (bench.answer(machine, port).as_str(), bench.amiss(machine).as_str()),
            ("one", ""),
            "{point}: {}",
            ran.out
        );
        assert_eq!(bench.run(&["sweep"]).exits(0).out, "", "{point}: all is well");
    }
    Ok(())
}
