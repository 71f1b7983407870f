//! Docker with containerd's image store, as new installations have it: a service lives there as elsewhere, and its images are fetched,
//! pinned and sent. On a host of its own, as an engine has one store.

use std::sync::atomic::AtomicUsize;

use libtest_mimic::{Failed, Trial};
use serde_json::Value;

use crate::fixture::docker_save::{layer, save};

use super::kit::{Bench, Machine, PATIENCE, full, port, wait};
use super::room::Own;
use super::signals::Talk;
use super::store::Store;
use super::{docker, pull, pull_parts, push, trial};

/// With `PORTOSER_LAB_FULL`, as it takes a host of its own.
pub fn trials() -> Vec<Trial> {
    let all = vec![trial("containers_live_with_the_image_store_of_containerd", lives)];
    if full() { all } else { Vec::new() }
}

/// Layers cannot lie on those of the lab's own engine.
const SWITCH: &str = r#"systemctl stop docker.socket docker containerd; mkdir -p /etc/docker /var/lib/docker/snapshots /var/lib/containerd
mount --bind /var/lib/docker/snapshots /var/lib/containerd; echo '{"features": {"containerd-snapshotter": true}}' >/etc/docker/daemon.json
systemctl start containerd docker; docker info --format '{{.DriverStatus}}'"#;

fn lives(_: Vec<Machine>) -> Result<(), Failed> {
    let own = Own::new("trixie-docker");
    let said = own.machine.inside(SWITCH);
    assert!(said.contains("io.containerd.snapshotter"), "{said}");
    docker::one_life(&own.machine, &AtomicUsize::new(0));
    images(&own.machine)?;
    pull_parts::one(&own.machine);
    Ok(())
}

/// What a container says is told: the last of it, since when, and while it is said.
fn heard(bench: &Bench, name: &str) {
    let say = |word: &str| {
        bench.run(&["exec", name, "--", "sh", "-c", &format!("echo {word} >/proc/1/fd/1")]).exits(0);
    };
    let logs = |words: &[&str]| bench.run(&[&["logs", name], words].concat()).exits(0).out;
    say("first");
    say("second");
    wait("both are told", PATIENCE, || logs(&["--since", "10m"]).lines().count() == 2);
    let last = logs(&["--lines", "1"]);
    assert!(last.lines().count() == 1 && last.trim_end().ends_with(" second"), "{last}");
    let mut follow = Talk::of(bench, "state", &["logs", name, "--follow", "--lines", "1"]);
    follow.says(&["second"]);
    say("third");
    follow.says(&["third"]);
    follow.signal("INT");
    assert_eq!(follow.ends(PATIENCE), Some(130));
}

/// Images come from a registry and from here, and go back; and what is down is healed.
pub(super) fn images(machine: &Machine) -> Result<(), Failed> {
    let bench = Bench::new("store", std::slice::from_ref(machine));
    let (store, port, name) = (Store::new(machine, &bench, false), port(), format!("{}-app", bench.id));
    let reference = format!("{}/app:1", store.name());
    let write = |how: &str| bench.registry(&pull::service(&bench, machine, port, &reference, how));
    let answers = |page: &str| {
        assert_eq!(bench.answer(machine, port), page);
        assert_eq!(bench.amiss(machine), "");
    };
    store.push("app:1", "one", 1000);
    write("    pull: always\n");
    let plan: Value = serde_json::from_str(&bench.run(&["plan", "--all", "--json"]).exits(0).out)?;
    assert_eq!(plan["changes"][0]["fetches"][0]["at_most"], true, "which layers it has, it tells nobody: {plan}");
    bench.run(&["deploy", "--all"]).exits(0);
    answers("one");
    heard(&bench, &name);
    machine.inside(&format!("docker kill $(docker ps -q --filter label=portoser.service={name})"));
    wait("it is down", PATIENCE, || bench.answer(machine, port).is_empty());
    bench.run(&["heal", &name]).exits(0);
    answers("one");
    store.push("app:1", "two", 1000);
    bench.run(&["deploy", "--all"]).exits(0);
    answers("two");
    assert_eq!(bench.run(&["deploy", "--all", "--events"]).exits(0).ended("nothing-to-do"), 1);
    store.stop();
    bench.run(&["rollback", &name]).exits(0);
    answers("one");
    let layers = [push::root(machine), layer(&[("www/index.html", b"sent".as_slice())])];
    save(&bench.at("sent.tar"), &reference, "amd64", &layers);
    write("    push: { from: sent.tar }\n");
    let sent = bench.run(&["deploy", "--all"]).exits(0);
    assert!(sent.err.contains("sent 2 of 2 layers"), "{}", sent.err);
    answers("sent");
    assert_eq!(bench.run(&["deploy", "--all", "--events"]).exits(0).ended("nothing-to-do"), 1);
    bench.run(&["rollback", &name]).exits(0);
    answers("one");
    bench.run(&["remove", &name, "--yes"]).exits(0);
    let left = machine.inside("docker images --digests");
    assert!(!left.contains(&store.name()) && !left.contains(&format!("portoser/{name}")), "{left}");
    Ok(())
}
