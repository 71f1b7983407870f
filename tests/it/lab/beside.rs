//! Containers that hold no port of the host and write to nothing: the new ones are proven before the old ones stop, whatever happens
//! in between. What ran when is what the engine itself tells of starts and ends.

use libtest_mimic::{Failed, Trial};

use super::docker::{chosen, image, side_by_side};
use super::kit::{Bench, Machine, port};
use super::{engines, kill, trial};

pub fn trials() -> Vec<Trial> {
    vec![trial("new_containers_are_proven_before_old_ones_stop", beside)]
}

/// A service that answers its version on a network of its own, and is not well when that begins with `bad`.
fn service(bench: &Bench, name: &str, host: &str, _port: u16, version: &str, more: &str) -> String {
    let health = if version.starts_with("bad") { "unwell" } else { "health" };
    let command = if version == "crash" { "echo gone; exit 3" } else { "exec httpd -f -p 80 -h /www" };
    format!(
        "  {0}-{name}:\n    type: docker\n    host: {host}\n    image: trial/http:1\n    pull: never\n    \
         command: [sh, -c, \"{command}\"]\n    networks: [{0}-net]\n    volumes: [\"./www:/www:ro\"]\n    \
         files: {{ www/index.html: {{ text: \"{version}\" }}, www/{health}: {{ text: ok }} }}\n    \
         healthcheck: {{ test: [ls, /www/health], interval: 1s, timeout: 2s, retries: 2, start_period: 1s }}\n    \
         checks: [{{ unit: true }}]\n    stop: {{ signal: SIGKILL }}\n{more}",
        bench.id
    )
}

/// What the containers of a service answer, by their own addresses; each version once.
fn answer(bench: &Bench, machine: &Machine, name: &str, _port: u16) -> String {
    let list = format!("docker ps -q --filter label=portoser.service={}-{name}", bench.id);
    machine.inside(&format!(
        "for c in $({list}); do a=$(docker inspect -f '{{{{range .NetworkSettings.Networks}}}}{{{{.IPAddress}}}}{{{{end}}}}' $c); \
         curl -sf -m 3 http://$a/; echo; done | sort -u"
    ))
    .trim()
    .to_owned()
}

/// How few containers of a service ran at any moment since then, by the host's clock.
fn fewest(machine: &Machine, service: &str, since: &str) -> i64 {
    let label = format!("label=portoser.service={service}");
    let running: i64 = machine
        .inside(&format!("docker ps -q --filter {label} | wc -l"))
        .trim()
        .parse()
        .expect("a number of containers");
    let told = machine.inside(&format!(
        "docker events --since {since} --until $(date +%s.%N) --filter type=container --filter {label} --filter event=start \
         --filter event=die --format '{{{{.Status}}}}'"
    ));
    let mut count = running;
    let before = told.lines().rev().map(|event| {
        count += if event.trim() == "start" { -1 } else { 1 };
        count
    });
    before.min().unwrap_or(running).min(running)
}

/// The containers of a service: their ids and when each was started.
fn containers(machine: &Machine, service: &str) -> String {
    let list = format!("docker ps -aq --no-trunc --filter label=portoser.service={service}");
    machine.inside(&format!(
        "for c in $({list}); do docker inspect -f '{{{{.Id}}}} {{{{.State.StartedAt}}}}' $c; done | sort"
    ))
}

fn beside(machines: Vec<Machine>) -> Result<(), Failed> {
    let full = super::kit::full();
    if full {
        killed(&machines)?;
    }
    // Both composes, as they tell what is left over in ways of their own.
    side_by_side(&engines(&machines), |machine| {
        image(machine);
        let bench = Bench::new("side", std::slice::from_ref(machine));
        let (host, name, port) = (machine.name.as_str(), format!("{}-app", bench.id), port());
        let write = |version: &str, more: &str| bench.registry(&service(&bench, "app", host, 0, version, more));
        let answers = |version: &str, count: usize| {
            assert_eq!(answer(&bench, machine, "app", 0), version, "on {host}");
            let all = containers(machine, &name);
            assert_eq!(all.lines().count(), count, "{all}");
            assert_eq!(bench.amiss(machine), "");
        };
        write("one", "");
        bench.run(&["deploy", "--all"]).exits(0);
        answers("one", 1);
        assert_eq!(bench.run(&["deploy", "--all", "--events"]).exits(0).ended("nothing-to-do"), 1);
        let since = machine.inside("date +%s.%N").trim().to_owned();
        write("two", "");
        let plan = bench.run(&["plan", "--all"]).exits(0);
        assert!(plan.out.contains("downtime: no: the new containers are proven beside the old ones"), "{}", plan.out);
        bench.run(&["deploy", "--all"]).exits(0);
        answers("two", 1);
        let kept = containers(machine, &name);
        for broken in if full { &["bad", "crash"][..] } else { &["bad"] } {
            write(broken, "");
            bench.run(&["deploy", "--all", "--no-auto-heal"]).exits(5);
            assert_eq!(containers(machine, &name), kept, "the old container was left alone");
        }
        bench.run(&["rollback", &name]).exits(0);
        answers("one", 1);
        write("three", "    instances: 2\n");
        bench.run(&["deploy", "--all"]).exits(0);
        answers("three", 2);
        assert!(fewest(machine, &name, &since) >= 1, "it ran at every moment on {host}");
        if !full {
            return;
        }
        bench.run(&["restart", &name]).exits(0);
        answers("three", 2);
        // A port has one holder.
        write("four", &format!("    port: {port}\n    ports: [\"{port}:80\"]\n"));
        let plan = bench.run(&["plan", "--all"]).exits(0);
        let why = format!(
            "downtime: yes: the old container is stopped before the new one starts: both would hold port {port}"
        );
        assert!(plan.out.contains(&why), "{}", plan.out);
        bench.run(&["deploy", "--all"]).exits(0);
        answers("four", 1);
        write("five", "");
        bench.run(&["deploy", "--all"]).exits(0);
        answers("five", 1);
        bench.run(&["remove", &name, "--yes"]).exits(0);
        assert_eq!(containers(machine, &name), "");
    })
}

/// The kill table, which also sees that one of each runs at every moment.
fn killed(machines: &[Machine]) -> Result<(), Failed> {
    let machines = chosen(machines, "bookworm");
    side_by_side(&machines, image)?;
    let alone: kill::Holds = |bench, machine| {
        for name in ["a", "b"] {
            let name = format!("{}-{name}", bench.id);
            let all = containers(machine, &name);
            assert_eq!(all.lines().count(), 1, "nothing is left of what died: {all}");
            let since = machine.inside("echo $(($(date +%s) - 45))").trim().to_owned();
            assert!(fewest(machine, &name, &since) >= 1, "{name} ran at every moment");
        }
    };
    kill::all_that_answer(&machines, service, (answer, alone), 1)
}
