//! `portoser host prepare` on a real host: what is lacking is shown, brought once, and then there.

use libtest_mimic::{Failed, Trial};

use crate::fixture::sshd::command;

use super::kit::{Bench, Machine, full, machines_of, port};
use super::{docker, fastapi, trial, usual};

/// With `PORTOSER_LAB_FULL` also what takes minutes: packages are fetched.
pub fn trials() -> Vec<Trial> {
    let mut all = vec![trial("a_host_gets_what_its_services_need_and_nothing_twice", prepare)];
    all.extend(full().then(|| trial("docker_compose_and_uv_are_brought_and_a_deploy_follows", engines)));
    all
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

/// Hosts of a trial's own, as what is installed, or taken away, stays so.
pub(super) struct Fresh {
    id: String,
    folder: tempfile::TempDir,
}

impl Fresh {
    pub(super) fn new(name: &str, hosts: &str) -> Self {
        let id = format!("{name}-{}", std::process::id());
        let fresh = Self { id, folder: tempfile::tempdir().expect("a folder") };
        let mut up = fresh.lab("up.sh");
        let up = up.args(["--hosts", hosts, "--inventory"]).arg(fresh.folder.path().join("lab.json"));
        let output = up.output().expect("up.sh");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        fresh
    }

    pub(super) fn machines(&self) -> Vec<Machine> {
        machines_of(&self.folder.path().join("lab.json"))
    }

    fn lab(&self, script: &str) -> std::process::Command {
        let mut command = command(&format!("{}/tests/lab/{script}", env!("CARGO_MANIFEST_DIR")));
        command.args(["--id", &self.id]);
        command
    }
}

impl Drop for Fresh {
    fn drop(&mut self) {
        let _ = self.lab("down.sh").output();
    }
}

fn engines(_: Vec<Machine>) -> Result<(), Failed> {
    let fresh = Fresh::new("prep", "bookworm=1,trixie=1");
    let machines = fresh.machines();
    let bench = Bench::new("prep", &machines);
    let (web, api, index) = (port(), port(), port());
    let _indexes: Vec<fastapi::Index> =
        machines.iter().map(|machine| fastapi::Index::new(&bench, machine, index)).collect();
    for machine in &machines {
        // As on the lab's hosts that have Docker: a container cannot write the kernel's IPv6 settings, and Docker 26 gives up over that.
        machine.inside(
            "d=/etc/systemd/system/docker.service.d; mkdir -p $d && \
             printf '[Service]\\nEnvironment=DOCKER_ALLOW_IPV6_ON_IPV4_INTERFACE=1\\n' >$d/lab.conf",
        );
        // The index that the host is set to: the lab's own, with the real uv in it.
        machine.inside(&format!("printf '[global]\\nindex-url = http://127.0.0.1:{index}/simple\\n' >/etc/pip.conf"));
    }
    fastapi::lay(&bench, index);
    let mut services = fastapi::service(&bench, api, index);
    for machine in &machines {
        services += &docker::service(&bench, &format!("{}-web", machine.name), &machine.name, web, "one", "");
    }
    bench.registry(&services);
    let lacks = |machine: &Machine| {
        format!("{}: lacks the base folder {}; uv; docker; docker compose\n", machine.name, bench.base())
    };
    let all: String = machines.iter().map(lacks).collect();
    assert_eq!(bench.run(&["host", "prepare", "--only-look"]).exits(0).out, all);
    let whole: String =
        machines.iter().map(|machine| format!("{}: has all that its services need\n", machine.name)).collect();
    let brought = bench.run(&["host", "prepare", "--yes"]).exits(0);
    assert!(brought.out.ends_with(&whole), "{}\n{}", brought.out, brought.err);
    assert_eq!(bench.run(&["host", "prepare", "--yes"]).exits(0).out, whole, "nothing is brought twice");
    for machine in &machines {
        docker::image(machine);
    }
    bench.run(&["deploy", "--all"]).exits(0);
    for machine in &machines {
        assert_eq!(bench.answer(machine, web), "one", "on {}", machine.name);
        assert_eq!(bench.answer(machine, api), "one on 0.115.12", "on {}", machine.name);
        assert_eq!(bench.amiss(machine), "", "on {}", machine.name);
        let by =
            machine.inside(&format!("cat {}/services/*/venvs/*/lib/*/site-packages/fastapi-*/INSTALLER", bench.base()));
        assert_eq!(by.trim(), "uv", "on {}", machine.name);
    }
    assert_eq!(bench.run(&["deploy", "--all", "--events"]).exits(0).ended("nothing-to-do"), 4);
    eprintln!("lab: docker, compose and uv on {} hosts: {:?}", machines.len(), brought.took);
    Ok(())
}
