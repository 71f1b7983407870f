//! What runs already is taken over as it runs: the same process, the same containers, the same data beside the file.

use libtest_mimic::{Failed, Trial};
use serde_json::Value;

use super::kit::{Bench, Machine, PATIENCE, port, wait};
use super::{docker, engines, trial};

pub fn trials() -> Vec<Trial> {
    vec![trial("what_runs_is_adopted_without_a_restart", adopt)]
}

/// A project as somebody else wrote it: a variable from `.env`, and data and settings beside the file.
const COMPOSE: &str = "version: '3.7'
services:
  web:
    image: ${IMAGE}
    command: [httpd, -f, -p, '80', -h, /www]
    ports: ['PORT:80']
    volumes: ['./www:/www:ro']
    restart: unless-stopped
    stop_signal: SIGKILL
  db:
    image: trial/http:1
    build: ./none
    command: [sleep, '100000']
    volumes: ['./data:/data', 'more:/more']
    stop_signal: SIGKILL
volumes: { more: {} }
";

fn adopt(machines: Vec<Machine>) -> Result<(), Failed> {
    // One with docker-compose, one with the plugin: they tell by hashes of their own whether what runs is what the file says.
    docker::side_by_side(&engines(&machines), one)
}

/// Ends what the trial started, however it ends.
struct Gone<'a>(&'a Machine, String);

impl Drop for Gone<'_> {
    fn drop(&mut self) {
        let id = &self.1;
        self.0.inside(&format!(
            "systemctl stop {id}-unit; rm /etc/systemd/system/{id}-unit.service; systemctl daemon-reload; \
             docker rm -f $(docker ps -aq --filter label=com.docker.compose.project={id}) {id}-sly; rm -rf /srv/{id}"
        ));
    }
}

pub(super) fn one(machine: &Machine) {
    docker::image(machine);
    let bench = Bench::new("adopt", std::slice::from_ref(machine));
    let (id, ports, host) = (bench.id.clone(), [port(), port()], machine.name.as_str());
    let _gone = Gone(machine, id.clone());
    let compose = COMPOSE.replace("PORT", &ports[0].to_string());
    let up = format!("cd /srv/{id} && {{ docker compose up -d || docker-compose up -d; }} 2>&1");
    machine.inside(&format!(
        "mkdir -p /srv/{id}/www /srv/{id}/data /srv/{id}/none && cd /srv/{id} && printf 'FROM scratch\\nRUN false\\n' >none/Dockerfile && echo alive >data/canary && echo old >www/index.html && \
         echo IMAGE=trial/http:1 >.env && cat >docker-compose.yml <<'END'\n{compose}END\n\
         printf '[Service]\\nExecStart=/usr/bin/python3 -m http.server {}\\n' >/etc/systemd/system/{id}-unit.service\n\
         systemctl daemon-reload; systemctl start {id}-unit; {up}",
        ports[1]
    ));
    let answers = |want: &str| assert_eq!(bench.answer(machine, ports[0]), want, "{host}");
    wait("the project answers", PATIENCE, || !bench.answer(machine, ports[0]).is_empty());
    wait("the unit answers", PATIENCE, || !bench.answer(machine, ports[1]).is_empty());
    // One that was started again by the engine is as good as another.
    let web = format!(
        "$(docker ps -q --filter label=com.docker.compose.project={id} --filter label=com.docker.compose.service=web)"
    );
    machine.inside(&format!("kill -9 $(docker inspect -f '{{{{.State.Pid}}}}' {web})"));
    wait("it is up again", PATIENCE, || !bench.answer(machine, ports[0]).is_empty());
    let runs = || {
        machine.inside(&format!(
            "docker inspect -f '{{{{.Name}}}} {{{{.Id}}}} {{{{.State.StartedAt}}}}' \
             $(docker ps -q --filter label=com.docker.compose.project={id}) | sort; \
             systemctl show -p MainPID -p ActiveEnterTimestampMonotonic {id}-unit"
        ))
    };
    let before = runs();
    assert_eq!(before.lines().count(), 4, "{before}");
    bench.registry("");
    let written = std::fs::read_to_string(bench.at("registry.yml")).expect("the registry");
    std::fs::write(bench.at("registry.yml"), written.trim_end().trim_end_matches("services:")).expect("a registry");
    let found: Value =
        serde_json::from_str(&bench.run(&["discover", host, "--json"]).exits(0).out).expect("a document");
    let entry = &found["services"][&id];
    assert_eq!(
        (&entry["port"], &entry["project"]["folder"]),
        (&ports[0].into(), &format!("/srv/{id}").into()),
        "{found}"
    );
    let unit = format!("{id}-unit");
    // An image may bring labels along, and they may name any file of the host.
    machine.inside(&format!(
        "docker run -d --name {id}-sly --label com.docker.compose.project={id}sly --label com.docker.compose.service=a \
         --label com.docker.compose.project.working_dir=/etc --label com.docker.compose.project.config_files=/etc/shadow \
         trial/http:1 sleep 100000"
    ));
    let sly = bench.run(&["adopt", host, &format!("{id}sly"), "--yes"]).exits(9);
    assert!(sly.err.contains("/etc/shadow of") && sly.err.contains("is no compose file"), "{}", sly.err);
    assert!(!bench.at(&format!("{id}sly")).exists(), "nothing of it is brought here");
    machine.inside(&format!("docker rm -f {id}-sly"));
    // A file that was changed since is not what runs: nothing is touched, and nothing is taken over.
    let edit = |from: &str, to: &str| machine.inside(&format!("sed -i 's/{from}/{to}/' /srv/{id}/docker-compose.yml"));
    edit("100000", "99999");
    let differs = bench.run(&["adopt", host, &id, "--yes"]).exits(5);
    assert!(differs.err.contains("is not what its compose file says: db"), "{}", differs.err);
    assert_eq!(runs(), before, "nothing was touched");
    edit("99999", "100000");
    std::fs::write(bench.at(&id).join("docker-compose.yml"), &compose).expect("the file");
    bench.run(&["deploy", &id]).exits(0);
    assert_eq!(runs(), before, "it was taken over as it runs");
    bench.run(&["adopt", host, &unit]).exits(9);
    bench.run(&["adopt", host, &unit, "--yes"]).exits(0);
    assert_eq!(bench.run(&["deploy", "--all", "--events"]).exits(0).ended("nothing-to-do"), 2);
    assert_eq!(runs(), before, "the same containers and the same process after adopting and after a deploy");
    bench.run(&["adopt", host, &id, "--yes"]).exits(2);
    bench.run(&["status"]).exits(0);
    drifts(&bench, machine, &up);

    // From here on it is a service like any other; what lies beside the file stays the host's.
    let kept = || {
        let said = machine.inside(&format!(
            "docker exec $(docker ps -q --filter label=com.docker.compose.project={id} \
             --filter label=com.docker.compose.service=db) cat /data/canary"
        ));
        assert_eq!(said.trim(), "alive", "{host}");
    };
    // What ran was not built anew; another release would be.
    let changed =
        compose.replace("    build: ./none\n", "").replace("-h, /www]", "-h, /www]\n    environment: { NEW: '1' }");
    std::fs::write(bench.at(&id).join("docker-compose.yml"), changed).expect("the file");
    bench.run(&["deploy", "--all"]).exits(0);
    answers("old");
    kept();
    updated(&bench, machine);
    bench.run(&["rollback", &id]).exits(0);
    assert_eq!(changes(&bench), "", "what came back is as it was made");
    answers("old");
    kept();
    // What goes by itself once it is stopped is no reason to stay, and a network of others is not for us to take away.
    machine.inside(&format!(
        "docker network create {id}-other; docker network connect {id}-other {web}; \
         docker run -d --rm --stop-signal SIGKILL --label com.docker.compose.project={id} --label com.docker.compose.oneoff=True \
         trial/http:1 sleep 100000"
    ));
    let gone = bench.run(&["remove", &id, "--yes"]).exits(0);
    assert_eq!(machine.inside(&format!("docker ps -aq --filter label=com.docker.compose.project={id}")), "");
    assert_eq!(machine.inside(&format!("ls {}/services/{id} | grep made", bench.base())), "");
    assert!(gone.err.contains(&format!("the network {id}-other stays, as it is not")), "{}", gone.err);
    machine.inside(&format!("docker network rm {id}-other"));
    for left in ["volume", "network"].iter().zip(["more", "default"]) {
        let (kind, name) = (left.0, format!("{id}_{}", left.1));
        assert!(gone.err.contains(&format!("the {kind} {name} stays")), "{}", gone.err);
        assert!(machine.inside(&format!("docker {kind} ls --format '{{{{.Name}}}}'")).contains(&name), "{kind} {name}");
    }
    assert_eq!(machine.inside(&format!("cat /srv/{id}/data/canary")).trim(), "alive");
}

/// What status tells of changes on the host.
fn changes(bench: &Bench) -> String {
    let told: Value = serde_json::from_str(&bench.run(&["status", &bench.id, "--json"]).out).expect("a document");
    let all = told["services"][0]["drift"].as_array().unwrap_or_else(|| panic!("{told}")).clone();
    all.iter().map(|line| line.as_str().unwrap_or_default().to_owned()).collect()
}

/// Somebody edits the settings beside the file, and brings the project up by hand: that is not written over by itself. What is made
/// anew of the same is no change.
fn drifts(bench: &Bench, machine: &Machine, up: &str) {
    let id = &bench.id;
    let env =
        |tag: &str| machine.inside(&format!("docker tag trial/http:1 {tag}; echo IMAGE={tag} >/srv/{id}/.env; {up}"));
    env(&format!("{id}/http:1"));
    assert!(changes(bench).ends_with("made anew with other settings"), "{}: {}", machine.name, changes(bench));
    let refused = bench.run(&["deploy", id]).exits(9);
    assert!(refused.err.contains("containers were changed on the host"), "{}", refused.err);
    bench.run(&["stop", id]).exits(0);
    let refused = bench.run(&["start", id]).exits(9);
    assert!(refused.err.contains("made anew with other settings"), "{}", refused.err);
    env("trial/http:1");
    machine.inside(&format!("docker rmi {id}/http:1"));
    machine.inside(&up.replace("up -d", "up -d --force-recreate"));
    assert_eq!(changes(bench), "", "{}", machine.name);
    assert_eq!(bench.run(&["deploy", "--all", "--events"]).exits(0).ended("nothing-to-do"), 2);
}

/// Somebody changes a container as it runs: that stays, and is told, until it is to be lost.
fn updated(bench: &Bench, machine: &Machine) {
    let id = &bench.id;
    let web = format!(
        "$(docker ps -q --filter label=com.docker.compose.project={id} --filter label=com.docker.compose.service=web)"
    );
    assert_eq!(changes(bench), "", "{}", machine.name);
    machine.inside(&format!("docker update --memory 64m --memory-swap 64m --restart no {web}"));
    let memory = || machine.inside(&format!("docker inspect -f '{{{{.HostConfig.Memory}}}}' {web}"));
    let told = "other memory, swap, restart policy than it was made with";
    assert!(changes(bench).ends_with(told), "{}: {}", machine.name, changes(bench));
    bench.run(&["deploy", id]).exits(9);
    bench.run(&["rollback", id]).exits(9);
    bench.run(&["stop", id]).exits(0);
    bench.run(&["start", id]).exits(0);
    assert!(changes(bench).ends_with(told), "{}: {}", machine.name, changes(bench));
    assert_eq!(memory().trim(), "67108864");
    let named = bench.run(&["diagnose", id, "--json"]).exits(0);
    assert!(
        named.out.contains("container-changed") && named.out.contains("restart policy than it was"),
        "{}",
        named.out
    );
    bench.run(&["deploy", id, "--overwrite"]).exits(0);
    assert_eq!((memory().trim(), changes(bench).as_str()), ("0", ""), "{}", machine.name);
    assert_eq!(bench.run(&["deploy", id, "--events"]).exits(0).ended("nothing-to-do"), 1);
}
