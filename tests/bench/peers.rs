//! The same work by Ansible, by pyinfra and by portoser, in one run on the same hosts: three files, a unit that is enabled and
//! started, and an HTTP check. Ansible is given pipelining, 50 forks, no facts, and connections that outlive a run.

use std::fmt::Write as _;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::hosts::{PLAIN, PROGRAM, far, file, registry};
use crate::lab::Lab;
use crate::{head, row};

const TIMES: usize = 3;
/// Names and ports of what is deployed first begin here, apart from those of `hosts.rs`.
const FIRST: usize = 500;
/// Where the playbook and its like are; the programs run in this folder.
const WORK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/bench/peers");

pub fn run(inventory: &Value) {
    let Ok(venv) = std::env::var("PORTOSER_PEERS") else {
        println!(
            "\npeers: skipped: PORTOSER_PEERS names no folder with the programs of Ansible and pyinfra; `tests/bench/run 8 peers` makes one"
        );
        return;
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let near = Lab::new(inventory, &PLAIN, |address, port| (address.to_owned(), port));
    measure(&near, &venv, "loopback", FIRST);
    let (far, _proxies) = far(inventory, &runtime);
    measure(&far, &venv, "50 ms round trip", FIRST + 3 * TIMES);
}

fn measure(lab: &Lab, venv: &str, way: &str, first: usize) {
    head(&format!("{} hosts, {way}", lab.hosts.len()));
    std::fs::create_dir_all(lab.file("app")).expect("made");
    std::fs::write(lab.file("app/hello.py"), PROGRAM).expect("written");
    row("OpenSSH: `true` on all, in parallel", (0..TIMES).map(|_| lab.openssh()).collect());
    let work: [(&str, &dyn Fn(usize) -> Duration); 3] = [
        ("portoser", &|number| {
            registry(lab, number);
            lab.portoser(&["deploy", "--all"], &file(number))
        }),
        ("pyinfra", &|number| pyinfra(lab, venv, number)),
        ("Ansible", &|number| ansible(lab, venv, number)),
    ];
    for (place, (name, deploy)) in work.into_iter().enumerate() {
        let first = first + place * TIMES;
        row(&format!("{name}: first deploy"), (first..first + TIMES).map(deploy).collect());
        row(&format!("{name}: nothing to do"), (0..TIMES).map(|_| deploy(first)).collect());
    }
}

/// Names the service and its port, in the ways of the two.
fn values(number: usize) -> (String, String) {
    (format!("service=hello-{}-{number}", std::process::id()), format!("at={}", 20_000 + number))
}

fn ansible(lab: &Lab, venv: &str, number: usize) -> Duration {
    let mut hosts = String::new();
    for host in &lab.hosts {
        let (name, address, port) = (&host.name, &host.address, host.port);
        let _ = writeln!(hosts, "{name} ansible_host={address} ansible_port={port}");
    }
    let key = &lab.key;
    let _ = write!(
        hosts,
        "[all:vars]\nansible_user=deploy\nansible_ssh_private_key_file={key}\nansible_python_interpreter=/usr/bin/python3\n"
    );
    std::fs::write(lab.file("hosts.ini"), hosts).expect("written");
    let (service, at) = values(number);
    let known = lab.file(".ssh/known_hosts");
    timed(
        lab,
        Command::new(format!("{venv}/bin/ansible-playbook"))
            .arg("-i")
            .arg(lab.file("hosts.ini"))
            .args(["-e", &service, "-e", &at, "-e", &format!("from={}", lab.folder.path().display()), "playbook.yml"])
            .env("ANSIBLE_FORKS", "50")
            .env("ANSIBLE_PIPELINING", "True")
            .env("ANSIBLE_HOME", lab.file("ansible"))
            .env("ANSIBLE_SSH_CONTROL_PATH_DIR", lab.file("cp"))
            .env(
                "ANSIBLE_SSH_ARGS",
                format!(
                    "-F none -o ControlMaster=auto -o ControlPersist=20s -o UserKnownHostsFile={}",
                    known.display()
                ),
            ),
    )
}

fn pyinfra(lab: &Lab, venv: &str, number: usize) -> Duration {
    let mut hosts = "hosts = [\n".to_owned();
    for host in &lab.hosts {
        let (name, address, port) = (&host.name, &host.address, host.port);
        let _ = writeln!(
            hosts,
            "('{name}', {{'ssh_hostname': '{address}', 'ssh_port': {port}, 'ssh_user': 'deploy', 'ssh_key': '{}', \
             'ssh_known_hosts_file': '{}'}}),",
            lab.key,
            lab.file(".ssh/known_hosts").display()
        );
    }
    std::fs::write(lab.file("hosts.py"), hosts + "]\n").expect("written");
    let (service, at) = values(number);
    timed(
        lab,
        Command::new(format!("{venv}/bin/pyinfra"))
            .args(["-y", "--data", &service, "--data", &at])
            .args(["--data", &format!("source={}", lab.folder.path().display())])
            .arg(lab.file("hosts.py"))
            .arg("work.py"),
    )
}

/// How long it takes, in the folder of the work and with the lab's folder as its home.
fn timed(lab: &Lab, command: &mut Command) -> Duration {
    let began = Instant::now();
    let out = command.current_dir(WORK).env("HOME", lab.folder.path()).env_remove("SSH_AUTH_SOCK").output();
    let out = out.expect("started");
    let took = began.elapsed();
    assert!(out.status.success(), "{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    took
}
