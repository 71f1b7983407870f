//! What runs on a host that portoser never saw: units, ports and their owners, containers.

use libtest_mimic::{Failed, Trial};
use serde_json::Value;

use crate::fixture::sshd::command;

use super::docker::side_by_side;
use super::kit::{Bench, Machine, port};
use super::{suites, trial};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("units_and_ports_are_discovered_and_taken_in", units_and_ports),
        trial("compose_projects_are_discovered", compose_projects),
    ]
}

/// Takes what a trial made away, however it ends.
struct Gone<F: Fn()>(F);

impl<F: Fn()> Drop for Gone<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).expect("a document")
}

/// Whether something that was left has this in its words, and this as its reason.
fn left(found: &Value, what: &str, why: &str) -> bool {
    let all = found["left"].as_array().expect("a list");
    all.iter().any(|left| {
        left["what"].as_str().is_some_and(|text| text.contains(what))
            && left["why"].as_str().is_some_and(|text| text.contains(why))
    })
}

fn units_and_ports(machines: Vec<Machine>) -> Result<(), Failed> {
    side_by_side(&suites(&machines), |machine| {
        let bench = Bench::new("found", std::slice::from_ref(machine));
        let (id, ports) = (bench.id.clone(), [port(), port(), port(), port()]);
        let _gone = Gone(|| {
            machine.inside(&format!(
                "systemctl disable --now {id}-web {id}-at@{p}; rm -f /etc/systemd/system/{id}-*; systemctl daemon-reload; \
                 kill $(cat /run/{id}.pid)",
                p = ports[1],
            ));
        });
        machine.inside(&format!(
            "cd /etc/systemd/system; serve='ExecStart=/usr/bin/python3 -m http.server --bind 127.0.0.1'; \
             printf '[Service]\\n%s {}\\n[Install]\\nWantedBy=multi-user.target\\n' \"$serve\" >{id}-web.service; \
             printf '[Service]\\n%s %%i\\n' \"$serve\" >{id}-at@.service; \
             printf '[Service]\\nExecStart=/bin/true\\n' >{id}-idle.service; \
             systemctl daemon-reload; systemctl enable --now {id}-web {id}-at@{p}; \
             setsid python3 -m http.server {} >/dev/null 2>&1 </dev/null & echo $! >/run/{id}.pid",
            ports[0],
            ports[2],
            p = ports[1],
        ));
        let host = machine.name.as_str();
        bench.registry(&bench.service("own", &[host], ports[3], "v1", ""));
        bench.run(&["deploy", "--all"]).exits(0);
        let listens = || {
            let tables = machine.inside("cat /proc/net/tcp /proc/net/tcp6");
            ports.iter().all(|port| tables.contains(&format!(":{port:04X} ")))
        };
        super::kit::wait("the ports are open", super::kit::PATIENCE, listens);
        let found = json(&bench.run(&["discover", host, "--json"]).exits(0).out);
        let (web, at) = (format!("{id}-web"), format!("{id}-at-{}", ports[1]));
        assert_eq!(found["services"][&web]["unit"], format!("{web}.service"), "{found}");
        assert_eq!(found["services"][&web]["port"], ports[0], "{found}");
        assert_eq!(found["services"][&at]["unit"], format!("{id}-at@{}.service", ports[1]), "{found}");
        assert_eq!(found["services"][&at]["port"], ports[1], "{found}");
        assert!(left(&found, &format!("{id}-idle.service"), "neither runs nor is enabled"), "{found}");
        assert!(left(&found, &format!("portoser-{id}-own.service"), "portoser made it"), "{found}");
        assert!(left(&found, &format!("port {} (python3", ports[2]), "no unit runs it"), "{found}");
        bench.run(&["discover", host, "--add"]).exits(0);
        let again = json(&bench.run(&["discover", host, "--json"]).exits(0).out);
        assert!(left(&again, &format!("{web}.service"), &format!("as `{web}`")), "{again}");
        bench.run(&["deploy", &web, &at]).exits(0);
        // Someone without rights sees the units, and says that the owners of ports are not seen.
        let registry = std::fs::read_to_string(bench.at("registry.yml")).expect("the registry");
        let plain = registry.replace("user: deploy\n  become: sudo", "user: plain");
        std::fs::write(bench.at("registry.yml"), plain).expect("a registry");
        let found = json(&bench.run(&["discover", host, "--json"]).exits(0).out);
        assert!(left(&found, &format!("port {} (an unknown", ports[2]), "cannot be seen"), "{found}");
    })
}

/// The engine of this machine, which the lab runs in; the containers are made and never started.
fn compose_projects(machines: Vec<Machine>) -> Result<(), Failed> {
    let bench = Bench::new("shop", &machines[..1]);
    let docker = |words: &[&str]| {
        let output = command("docker").args(words).output().expect("docker");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    let image = docker(&["inspect", "--format", "{{.Image}}", &machines[0].container]);
    let id = bench.id.clone();
    let names = [format!("{id}-web-1"), format!("{id}-db-1"), format!("{id}-lone")];
    let _gone = Gone(|| {
        docker(&["rm", "--force", &names[0], &names[1], &names[2]]);
    });
    for (name, service) in [(&names[0], "web"), (&names[1], "db")] {
        let project = format!("com.docker.compose.project={id}");
        let service = format!("com.docker.compose.service={service}");
        let files = format!("com.docker.compose.project.config_files=/srv/{id}/compose.yml,/srv/{id}/more.yml");
        docker(&[
            "create", "--name", name, "--label", &project, "--label", &service, "--label", &files, &image, "true",
        ]);
    }
    docker(&["create", "--name", &names[2], &image, "true"]);
    std::fs::write(bench.at("registry.yml"), "version: 1\nhosts: { here: { connection: local } }\n")?;
    let found = json(&bench.run(&["discover", "here", "--json"]).exits(0).out);
    assert!(left(&found, &format!("compose project {id} (db, web)"), "it is not made of one file"), "{found}");
    assert!(left(&found, &format!("container {id}-lone"), "compose did not make it"), "{found}");
    Ok(())
}
