//! More of containers: limits and signals as they are written, a project under a name of its own, and a service on two hosts.

use libtest_mimic::{Failed, Trial};

use super::docker::{COMPOSE, containers, image, side_by_side};
use super::kit::{Bench, Machine, full, port};
use super::{engines, trial};

/// All with `PORTOSER_LAB_FULL`, as they take minutes.
pub fn trials() -> Vec<Trial> {
    let mut all = vec![trial("a_project_is_of_one_service", one_service)];
    if full() {
        all.push(trial("containers_on_several_hosts_come_back_together", canary));
    }
    all
}

/// What an engine is told beside the image, as YAML of a service.
pub(super) const LIMITS: &str = "    limits: { memory: 64MiB, cpu: 0.5, files: 512, tasks: 64 }\n    \
    restart: { policy: on-failure, max: 4 }\n    log: { max_size: 1MiB }\n    reload: SIGHUP\n";

const TOLD: &str = "{{.HostConfig.Memory}} {{.HostConfig.NanoCpus}} {{.HostConfig.PidsLimit}} \
    {{.HostConfig.RestartPolicy.Name}}:{{.HostConfig.RestartPolicy.MaximumRetryCount}} {{.Config.StopTimeout}} \
    {{range .HostConfig.Ulimits}}{{.Name}}={{.Soft}}:{{.Hard}} {{end}}{{.Config.StopSignal}} {{json .HostConfig.LogConfig.Config}}";

/// As Docker tells it, and as Podman does: it has more limits, a number for the signal, and hands what is said to the journal.
const WANTED: [&str; 2] = [
    "67108864 500000000 64 on-failure:4 30 nofile=512:512 SIGKILL {\"max-file\":\"2\",\"max-size\":\"1048576\"}",
    "67108864 500000000 64 on-failure:4 30 RLIMIT_NOFILE=512:512 9 null",
];

/// The one container of a service is as `LIMITS` says; it hears a signal, and what it says is heard.
pub(super) fn as_written(bench: &Bench, machine: &Machine, name: &str) {
    let told =
        machine.inside(&format!("docker inspect -f '{TOLD}' $(docker ps -q --filter label=portoser.service={name})"));
    let podman = machine.inside("docker version").contains("Podman");
    let told: Vec<&str> = told.split_whitespace().filter(|word| !word.starts_with("RLIMIT_NPROC=")).collect();
    assert_eq!(told.join(" "), WANTED[usize::from(podman)], "on {}", machine.name);
    bench.run(&["exec", name, "--", "sh", "-c", "echo heard of it >/proc/1/fd/1"]).exits(0);
    let said = bench.run(&["logs", name]).exits(0).out;
    assert!(said.lines().any(|line| line.ends_with("heard of it")), "{said}");
    let before = containers(machine, bench);
    bench.run(&["reload", name]).exits(0);
    assert_eq!(containers(machine, bench), before, "a signal starts nothing");
}

/// A compose file that names its project finds the volumes that it had before portoser came.
pub(super) fn named(machine: &Machine) {
    let bench = Bench::new("named", std::slice::from_ref(machine));
    let (port, name) = (port(), format!("{}-shop", bench.id));
    let own = format!("portoser-{}-own", bench.id);
    let text = COMPOSE.replace("PORT", &port.to_string()).replace("./uploads:/uploads", "data:/uploads");
    std::fs::create_dir(bench.at("shop")).expect("a folder");
    std::fs::write(bench.at("shop/compose.yml"), format!("name: {own}\n{text}")).expect("a compose file");
    let index = |text: &str| std::fs::write(bench.at("shop/index"), text).expect("a file");
    bench.registry(&format!(
        "  {name}:\n    type: docker\n    host: {}\n    compose: shop\n    compose_service: web\n    pull: never\n    \
             port: {port}\n",
        machine.name
    ));
    let data = format!("/var/lib/docker/volumes/{own}_data/_data/canary");
    machine.inside(&format!(
            "docker volume create --label com.docker.compose.project={own} --label com.docker.compose.volume=data {own}_data; \
             echo alive >{data}"
        ));
    for (text, words) in [("one", ["deploy", "--all"]), ("two", ["deploy", "--all"]), ("one", ["rollback", &name])] {
        index(text);
        bench.run(&words).exits(0);
        assert_eq!(bench.answer(machine, port), text);
        let said = bench.run(&["exec", &name, "--", "cat", "/uploads/canary"]).exits(0);
        assert_eq!(said.out.trim(), "alive");
    }
    assert!(bench.run(&["status", &name]).exits(0).out.contains("active (running)"));
    bench.run(&["remove", &name, "--yes"]).exits(0);
    assert_eq!(machine.inside(&format!("cat {data}")).trim(), "alive");
}

/// Two services whose compose files name one project: the second would take the containers of the first for leftovers of its own.
fn one_service(machines: Vec<Machine>) -> Result<(), Failed> {
    // docker-compose 1.29 knows no `name` in its files.
    let machines: Vec<Machine> = engines(&machines).into_iter().filter(|one| one.image.starts_with("trixie")).collect();
    side_by_side(&machines, |machine| {
        image(machine);
        let bench = Bench::new("whose", std::slice::from_ref(machine));
        let (own, host) = (format!("portoser-{}-own", bench.id), &machine.name);
        let mut services = String::new();
        for part in ["one", "two"] {
            std::fs::create_dir(bench.at(part)).expect("a folder");
            let text = format!(
                "name: {own}\nservices: {{ {part}: {{ image: trial/http:1, command: [sleep, '1000'], init: true }} }}\n"
            );
            std::fs::write(bench.at(&format!("{part}/compose.yml")), text).expect("a compose file");
            services += &format!(
                "  {}-{part}:\n    type: docker\n    host: {host}\n    compose: {part}\n    pull: never\n",
                bench.id
            );
        }
        bench.registry(&services);
        let [one, two] = ["one", "two"].map(|part| format!("{}-{part}", bench.id));
        let both = bench.run(&["plan"]).exits(9);
        assert!(
            both.err.contains(&format!("its compose project `{own}` is that of `{one}` on this host")),
            "{}",
            both.err
        );
        // What lies beside the file and would have compose bring up something else is refused before anything is done.
        for (line, told) in [
            ("COMPOSE_PROFILES=debug", "parts with the profiles `debug`"),
            ("COMPOSE_PROJECT_NAME=old", "calls the project `old`"),
            ("COMPOSE_FILE=compose.yml:more.yml", "names the compose files `compose.yml:more.yml`"),
            ("DOCKER_HOST=tcp://127.0.0.1:1", "another engine"),
        ] {
            std::fs::write(bench.at("one/.env"), format!("{line}\n")).expect("settings");
            let refused = bench.run(&["deploy", &one]).exits(9);
            assert!(refused.err.contains(told), "{}", refused.err);
        }
        std::fs::write(bench.at("one/.env"), format!("COMPOSE_PROJECT_NAME={own}\n")).expect("settings");
        bench.run(&["deploy", &one]).exits(0);
        let before = containers(machine, &bench);
        // Nobody looks at a service that is not asked for; what lies on the host is found there, before anything is done.
        let second = bench.run(&["deploy", &two, "--no-auto-heal"]).exits(5);
        assert!(
            second.err.contains(&format!("and is of the service {one}, which `portoser remove` takes away")),
            "{}",
            second.err
        );
        assert_eq!(containers(machine, &bench), before, "the first one is untouched");
        // A service of another type does not run because these containers do.
        bench.registry(&format!("  {one}:\n    type: native\n    host: {host}\n    run: [/bin/sleep, '1000']\n"));
        let other = bench.run(&["status", &one]).exits(8);
        assert!(other.out.contains("it is there as a docker service"), "{}", other.out);
        bench.registry(&services);
        bench.run(&["remove", &one, "--yes"]).exits(0);
        bench.run(&["deploy", &two]).exits(0);
        bench.run(&["remove", &two, "--yes"]).exits(0);
    })
}

/// A service on two hosts goes to one of them first; where the second one fails, both come back.
fn canary(machines: Vec<Machine>) -> Result<(), Failed> {
    let machines = engines(&machines);
    side_by_side(&machines, image)?;
    let [first, second] = machines.as_slice() else { return Err("two hosts with an engine are needed".into()) };
    let bench = Bench::new("both", &machines);
    let (port, gate) = (port(), format!("/var/tmp/{}-gate", bench.id));
    let write = |version: &str| {
        bench.registry(&format!(
            "  {}-web:\n    type: docker\n    hosts: [{}, {}]\n    image: trial/http:1\n    pull: never\n    \
             command: [sh, -c, \"exec httpd -f -p 80 -h /www\"]\n    port: {port}\n    ports: [\"{port}:80\"]\n    \
             volumes: [\"./www:/www:ro\", \"{gate}:/gate:ro\"]\n    files: {{ www/index.html: {{ text: {version} }} }}\n    \
             healthcheck: {{ test: [CMD-SHELL, \"! ls /gate/{version}\"], interval: 1s, retries: 1, start_period: 0s }}\n    \
             checks: [{{ unit: true }}]\n    stop: {{ timeout: 1s }}\n    deploy: {{ canary: 1, batch: 1 }}\n",
            bench.id, first.name, second.name
        ));
    };
    let answers = |version: &str| {
        for machine in &machines {
            assert_eq!(bench.answer(machine, port), version, "on {}", machine.name);
            assert_eq!(bench.amiss(machine), "", "on {}", machine.name);
        }
    };
    for machine in &machines {
        machine.inside(&format!("mkdir {gate}"));
    }
    write("one");
    bench.run(&["deploy", "--all"]).exits(0);
    answers("one");
    write("two");
    // The second host has what the new version takes for a fault.
    second.inside(&format!("touch {gate}/two"));
    let back = bench.run(&["deploy", "--all", "--events", "--no-auto-heal"]).exits(5);
    assert_eq!(back.ended("rolled-back"), 2, "{}", back.out);
    answers("one");
    // The canary fails, and the other one is not touched.
    first.inside(&format!("touch {gate}/two"));
    second.inside(&format!("rm {gate}/two"));
    let canary = bench.run(&["deploy", "--all", "--events", "--no-auto-heal"]).exits(5);
    assert_eq!((canary.ended("rolled-back"), canary.ended("not-touched")), (1, 1), "{}", canary.out);
    answers("one");
    first.inside(&format!("rm {gate}/two"));
    bench.run(&["deploy", "--all"]).exits(0);
    answers("two");
    for machine in &machines {
        machine.inside(&format!("rm -r {gate}"));
    }
    Ok(())
}
