//! A host whose docker is stopped, closed to the login user, or without compose: each is told at the plan in its own words, with what
//! to do, and nothing is touched.

use libtest_mimic::{Failed, Trial};

use super::docker::{image, service};
use super::kit::{Bench, Machine, port};
use super::prepare::Fresh;
use super::trial;

pub fn trials() -> Vec<Trial> {
    vec![trial("why_docker_cannot_be_used_is_told_at_the_plan", told)]
}

fn told(_: Vec<Machine>) -> Result<(), Failed> {
    let fresh = Fresh::new("silent", "trixie-docker=1");
    let machines = fresh.machines();
    let machine = &machines[0];
    let mut bench = Bench::new("silent", &machines);
    let service = service(&bench, "web", &machine.name, port(), "one", "");
    let refused = |bench: &Bench, says: &[&str]| {
        for verb in ["plan", "deploy"] {
            let err = bench.run(&[verb, "--all"]).exits(9).err;
            for says in says {
                assert!(err.contains(says), "{verb}: no `{says}`: {err}");
            }
        }
    };
    bench.registry(&service);
    machine.inside("systemctl stop docker.socket docker.service");
    refused(&bench, &["Cannot connect to the Docker daemon", "hint: see `systemctl status docker` on the host"]);
    machine.inside("systemctl start docker.socket docker.service");
    machine.inside(
        "f=$(ls /usr/lib*/docker/cli-plugins/docker-compose) && echo $f >/root/where && mv $f /root/compose; hash -r; \
                    ! b=$(command -v docker-compose) || mv $b /root/binary",
    );
    refused(
        &bench,
        &["neither `docker compose` nor `docker-compose` is on the host", "`portoser host prepare` brings"],
    );
    machine.inside("mv /root/compose $(cat /root/where)");
    bench.user = "plain".into();
    machine.inside(&format!("mkdir -p {0}; chown plain {0}", bench.base()));
    bench.registry_with("become: none", &service);
    refused(&bench, &["permission denied", "hint: let the login user use docker (group `docker`)"]);
    assert_eq!(machine.inside("docker ps -aq"), "", "nothing was touched");
    machine.inside("usermod -aG docker plain");
    image(machine);
    bench.run(&["deploy", "--all"]).exits(0);
    Ok(())
}
