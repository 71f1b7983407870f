//! Containers on real engines: Docker 20.10 with docker-compose 1.29, and Docker 26 with the compose plugin. The image is made on
//! the host, of its own busybox, as no registry can be reached.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use libtest_mimic::{Failed, Trial};
use portoser::registry::{Format, load_text};
use serde_json::{Value, json};

use crate::hostile::values;

use super::kit::{Bench, Machine, port};
use super::volume::{self, canary, is_alive};
use super::{engines, kill, several, table, trial};

/// So many points of each kind of death in an ordinary run.
const SAMPLE: usize = 1;

pub fn trials() -> Vec<Trial> {
    vec![
        trial("containers_come_change_fail_and_come_back", life),
        trial("a_project_keeps_what_did_not_change", project),
        trial("containers_killed_anywhere_are_old_or_new", killed),
        trial("the_tables_of_native_services_hold_for_containers", tables),
        trial("hostile_values_reach_a_container_exactly", injection),
    ]
}

/// Makes the image `trial/http:1`, with a server of files.
pub(super) fn image(machine: &Machine) {
    let made = machine.inside(IMAGE);
    assert!(made.contains("ready"), "{}: {made}", machine.name);
}

const IMAGE: &str = include_str!("../fixture/image.sh");

/// A service of that image: it answers its version, is healthy unless that begins with `bad`, and ends at once for `crash`.
pub(super) fn service(bench: &Bench, name: &str, host: &str, port: u16, version: &str, more: &str) -> String {
    let health = if version.starts_with("bad") { "unwell" } else { "health" };
    let command = if version == "crash" { "echo gone; exit 3" } else { "exec httpd -f -p $PORT -h /www" };
    format!(
        "  {}-{name}:\n    type: docker\n    host: {host}\n    image: trial/http:1\n    pull: never\n    \
         command: [sh, -c, \"{command}\"]\n    port: {port}\n    ports: [\"{port}:80\"]\n    \
         volumes: [\"data:/data\", \"./www:/www:ro\"]\n    \
         files: {{ www/index.html: {{ text: \"{version}\" }}, www/{health}: {{ text: ok }} }}\n    \
         env: {{ ODD: \"a\\\"b $$ 'c' \\u2028 \\\\ d\" }}\n    checks: [{{ http: /health, start_period: 2s }}, {{ unit: true }}]\n    \
         stop: {{ signal: SIGKILL }}\n{more}",
        bench.id
    )
}

/// The engines of a trial: both, or in an ordinary run the one whose name begins so.
pub(super) fn chosen(machines: &[Machine], usual: &str) -> Vec<Machine> {
    let full = super::kit::full();
    let mut all = engines(machines);
    all.retain(|machine| full || machine.image.starts_with(usual));
    all
}

fn life(machines: Vec<Machine>) -> Result<(), Failed> {
    let (operations, both) = (AtomicUsize::new(0), engines(&machines));
    std::thread::scope(|scope| {
        let moved = scope.spawn(|| volume::moved_and_killed(&both, &operations));
        let lived = side_by_side(&chosen(&machines, "trixie"), |machine| one_life(machine, &operations));
        moved.join().map_err(|why| Failed::from(told(why)))?;
        lived
    })?;
    eprintln!("lab: docker: a file in a volume lived through {} operations", operations.into_inner());
    Ok(())
}

/// The same on all hosts at once.
pub(super) fn side_by_side(machines: &[Machine], body: impl Fn(&Machine) + Sync) -> Result<(), Failed> {
    if machines.is_empty() {
        return Err("the lab has none of the hosts of this trial".into());
    }
    std::thread::scope(|scope| {
        let body = &body;
        let all: Vec<_> = machines.iter().map(|machine| scope.spawn(move || body(machine))).collect();
        let wrong: Vec<String> = all.into_iter().filter_map(|one| one.join().err().map(told)).collect();
        if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n\n").into()) }
    })
}

/// What a thread panicked with.
fn told(why: Box<dyn std::any::Any + Send>) -> String {
    why.downcast_ref::<String>().cloned().unwrap_or_else(|| "it panicked".into())
}

pub(super) fn one_life(machine: &Machine, operations: &AtomicUsize) {
    image(machine);
    let bench = Bench::new("dock", std::slice::from_ref(machine));
    let (port, host) = (port(), machine.name.as_str());
    let name = format!("{}-web", bench.id);
    let write = |version: &str| bench.registry(&service(&bench, "web", host, port, version, several::LIMITS));
    let verb = |words: &[&str], code: i32| {
        let ran = bench.run(words).exits(code);
        if operations.fetch_add(1, Ordering::SeqCst) > 0 || !bench.answer(machine, port).is_empty() {
            is_alive(&bench, machine, "web");
        }
        ran
    };
    let answers = |version: &str| {
        assert_eq!(bench.answer(machine, port), version, "on {}", machine.name);
        assert_eq!(bench.amiss(machine), "", "on {}", machine.name);
    };
    write("one");
    bench.run(&["deploy", "--all"]).exits(0);
    canary(&bench, machine, "web");
    answers("one");
    assert_eq!(verb(&["deploy", "--all", "--events"], 0).ended("nothing-to-do"), 1);
    write("two");
    assert_eq!(verb(&["deploy", "--all", "--events"], 0).ended("committed"), 1);
    answers("two");
    for broken in ["bad", "crash"] {
        write(broken);
        verb(&["deploy", "--all", "--no-auto-heal"], 5);
        answers("two");
    }
    // An image that is not there fails before anything is stopped.
    let text = std::fs::read_to_string(bench.at("registry.yml")).expect("the registry");
    let before = containers(machine, &bench);
    std::fs::write(bench.at("registry.yml"), text.replace("trial/http:1", "trial/none:9")).expect("a registry");
    let missing = verb(&["deploy", "--all", "--no-auto-heal"], 5);
    assert!(missing.err.contains("trial/none:9` is not on the host"), "{}", missing.err);
    assert_eq!(containers(machine, &bench), before, "nothing was touched");
    write("two");
    verb(&["rollback", &name], 0);
    answers("one");
    verb(&["stop", &name], 0);
    assert_eq!(bench.answer(machine, port), "");
    verb(&["start", &name], 0);
    verb(&["restart", &name], 0);
    answers("one");
    several::as_written(&bench, machine, &name);
    let said = bench.run(&["exec", &name, "--", "sh", "-c", "printf %s \"$ODD\"; exit 7"]);
    assert_eq!((said.code, said.out.trim_end()), (Some(7), "a\"b $$ 'c' \u{2028} \\ d"), "{}", said.err);
    assert!(bench.run(&["status", &name]).exits(0).out.contains("active (running)"));
    let called = machine.inside(&format!("docker ps --format '{{{{.Names}}}}' --filter name=portoser-{name}"));
    let called = called.trim();
    // What is taken away by hand is seen, and comes back; what is edited is not written over.
    machine.inside(&format!("docker rm -f $(docker ps -q --filter name=portoser-{name})"));
    assert_eq!(bench.run(&["status", &name]).code, Some(8));
    // Nor is what somebody else gave its name.
    machine.inside(&format!("docker run -d --name {called} trial/http:1 sleep 100000"));
    let told = bench.run(&["status", &name]).exits(8);
    assert!(told.out.contains("and was not made by compose"), "{}", told.out);
    let refused = bench.run(&["deploy", "--all"]).exits(9);
    assert!(refused.err.contains(&format!("stands in the way: container {called}")), "{}", refused.err);
    // One of another number is in nobody's way.
    let other = format!("{}7", called.trim_end_matches('1'));
    machine.inside(&format!("docker rename {called} {other}"));
    write("one");
    verb(&["deploy", "--all"], 0);
    answers("one");
    machine.inside(&format!("docker rm -f {other}"));
    machine.inside(&format!("echo edited >{}/services/{name}/current/www/index.html", bench.base()));
    verb(&["deploy", "--all"], 9);
    verb(&["deploy", "--all", "--overwrite"], 0);
    answers("one");
    let gone = verb(&["remove", &name, "--yes"], 0);
    assert!(gone.err.contains(&format!("the volume portoser-{name}_data stays")), "{}", gone.err);
    assert_eq!(containers(machine, &bench), "");
    assert_eq!(machine.inside(&format!("docker images -q 'portoser/{name}/*'")), "", "our tags are gone");
    verb(&["deploy", "--all"], 0);
    answers("one");
}

/// The containers of a bench: their ids and when each was started.
pub(super) fn containers(machine: &Machine, bench: &Bench) -> String {
    let list = format!("docker ps -aq --filter name=portoser-{}", bench.id);
    machine.inside(&format!(
        "for c in $({list}); do docker inspect -f '{{{{.Name}}}} {{{{.Id}}}} {{{{.State.StartedAt}}}}' $c; done | sort"
    ))
}

pub(super) const COMPOSE: &str = r#"version: "3.7"
x-kept: &kept { volumes: ["./index:/index:ro", "./uploads:/uploads"], restart: unless-stopped, stop_grace_period: 1s }
services:
  web:
    <<: *kept
    image: trial/http:1
    command: ["sh", "-c", "cp /index /www/index.html; exec httpd -f -p 80 -h /www"]
    ports: ["PORT:80"]
    environment: { GREETING: "${GREETING:-none}" }
  db:
    image: trial/http:${TAG:-1}
    command: ["sleep", "100000"]
    volumes: ["data:/data"]
    restart: unless-stopped
    stop_grace_period: 1s
  once:
    image: trial/http:1
    command: ["true"]
volumes: { data: {} }
"#;

fn project(machines: Vec<Machine>) -> Result<(), Failed> {
    side_by_side(&chosen(&machines, "bookworm"), |machine| {
        image(machine);
        let bench = Bench::new("shop", std::slice::from_ref(machine));
        let (port, name) = (port(), format!("{}-shop", bench.id));
        let folder = bench.at("shop");
        std::fs::create_dir(&folder).expect("a folder");
        std::fs::write(folder.join("compose.yml"), COMPOSE.replace("PORT", &port.to_string())).expect("a compose file");
        // What compose finds beside the file is laid over it, as compose does it by itself.
        let over = "version: \"3.7\"\nservices:\n  web: { environment: { OVER: laid } }\n  \
                    beside: { image: trial/http:1, command: [sleep, \"100000\"], network_mode: \"service:web\", stop_grace_period: 1s }\n";
        std::fs::write(folder.join("compose.override.yml"), over).expect("an override");
        let index = |text: &str| std::fs::write(folder.join("index"), text).expect("a file");
        let write = |more: &str| {
            bench.registry(&format!(
                "  {name}:\n    type: docker\n    host: {}\n    compose: shop\n    compose_service: web\n    pull: never\n    \
                 port: {port}\n    env: {{ GREETING: \"a$b\" }}\n{more}",
                machine.name
            ));
        };
        write("");
        index("one");
        bench.run(&["deploy", "--all"]).exits(0);
        assert_eq!(bench.answer(machine, port), "one");
        // A part that lives in the network of another is in none of its own, and well.
        let told = bench.run(&["diagnose"]);
        let told = told.out + &told.err;
        assert!(told.contains("score "), "{told}");
        assert!(!told.contains("[network-gone,"), "{told}");
        let kept = |part: &str| {
            let all = containers(machine, &bench);
            all.lines()
                .find(|line| line.contains(&format!("shop-{part}")) || line.contains(&format!("shop_{part}")))
                .map(str::to_owned)
        };
        let before = (kept("db"), kept("web"));
        assert!(before.0.is_some() && before.1.is_some(), "{}", containers(machine, &bench));
        canary(&bench, machine, "shop");
        let upload = format!("{}/services/{name}/shared/uploads/canary", bench.base());
        bench.run(&["exec", &name, "--", "touch", "/uploads/canary"]).exits(0);
        let said = bench.run(&["exec", &name, "--", "sh", "-c", "echo $GREETING $OVER"]).exits(0);
        assert_eq!(said.out.trim_end(), "a$b laid");
        // The database part is the same, so its container stays; the other comes anew.
        index("two");
        bench.run(&["deploy", "--all"]).exits(0);
        assert_eq!(bench.answer(machine, port), "two");
        assert_eq!(kept("db"), before.0, "the part that did not change was left alone");
        assert_ne!(kept("web"), before.1);
        index("three");
        write("    checks: [{ http: /nothing, start_period: 1s }]\n");
        bench.run(&["deploy", "--all", "--no-auto-heal"]).exits(5);
        assert_eq!(bench.answer(machine, port), "two");
        assert_eq!(kept("db"), before.0);
        write("");
        bench.run(&["rollback", &name]).exits(0);
        assert_eq!(bench.answer(machine, port), "one");
        std::fs::write(folder.join("compose.yml"), "services: { web: { image: 7, prots: [] } }\n").expect("a file");
        let wrong = bench.run(&["deploy", "--all", "--no-auto-heal"]).exits(5);
        assert!(wrong.err.contains("compose does not accept the compose file"), "{}", wrong.err);
        assert_eq!(bench.answer(machine, port), "one");
        assert_eq!(machine.inside(&format!("ls {upload}")).trim(), upload, "what was uploaded outlives its release");
        bench.run(&["remove", &name, "--yes"]).exits(0);
        assert_eq!(machine.inside(&format!("ls {upload}")).trim(), upload);
        is_alive(&bench, machine, "shop");
    })
}

/// The tables of native services, on both engines; in an ordinary run a part on each.
fn tables(machines: Vec<Machine>) -> Result<(), Failed> {
    let full = super::kit::full();
    let parts: kill::Holds = |bench, machine| {
        let list = "docker ps -aq --filter label=com.docker.compose.project=portoser";
        assert_eq!(machine.inside(&format!("{list}-{}-one | wc -l", bench.id)).trim(), "1", "one container is left");
    };
    side_by_side(&engines(&machines), |machine| {
        image(machine);
        let newer = machine.image.starts_with("trixie");
        if full {
            table::at_once(machine, service, parts, 20).expect("many at once");
        } else if newer {
            table::short(machine, service, parts).expect("without room, and many at once");
        }
        if full || !newer {
            let counts = [(3, "three"), (1, "one"), (2, "again"), (3, "more")];
            let counts = if full { &counts[..] } else { &counts[..2] };
            let count = |bench: &Bench, machine: &Machine| {
                machine.inside(&format!("docker ps -q --filter name=portoser-{}-one | wc -l", bench.id))
            };
            table::instances(machine, service, counts, count).expect("instances");
        }
        if full {
            table::full_disk(machine, service).expect("a full disk");
        }
        if full && newer {
            several::named(machine); // docker-compose 1.29 knows no `name` in its files.
        }
    })
}

fn killed(machines: Vec<Machine>) -> Result<(), Failed> {
    let machines = chosen(&machines, "trixie");
    side_by_side(&machines, image)?;
    let alone: kill::Holds = |bench, machine| {
        let names = machine.inside(&format!(
            "docker ps -a --format '{{{{.Names}}}} {{{{.State}}}}' --filter name=portoser-{}",
            bench.id
        ));
        assert_eq!(names.lines().filter(|line| line.ends_with(" running")).count(), 2, "{names}");
        assert_eq!(names.lines().count(), 2, "nothing is left of what died: {names}");
    };
    kill::all(&machines, service, alone, SAMPLE)
}

fn injection(machines: Vec<Machine>) -> Result<(), Failed> {
    side_by_side(&engines(&machines), |machine| {
        image(machine);
        let bench = Bench::new("odd", std::slice::from_ref(machine));
        let takes = |service: Value| {
            let text = json!({ "version": 1, "hosts": { "h": {} }, "services": { "s": service } }).to_string();
            load_text(&text, Format::Yaml, Path::new("/registry.yml"), None).is_ok()
        };
        let all = values(&PathBuf::from(format!("/tmp/pwned-{}", bench.id)));
        let words: Vec<&String> = all
            .iter()
            .filter(|value| value.len() < 10_000)
            .filter(|value| {
                takes(json!({ "type": "docker", "host": "h", "image": "x", "command": ["x", written(value)] }))
            })
            .collect();
        assert!(words.len() >= 200, "{} of {}", words.len(), all.len());
        let label =
            |value: &&&String| takes(json!({ "type": "docker", "host": "h", "image": "x", "labels": { "l": value } }));
        let labels: serde_json::Map<String, Value> = words
            .iter()
            .filter(label)
            .enumerate()
            .map(|(number, value)| (format!("l{number}"), json!(value)))
            .collect();
        let env: serde_json::Map<String, Value> =
            words.iter().enumerate().map(|(number, value)| (format!("H{number}"), written(value))).collect();
        let script = "cat /proc/$$/cmdline >/data/words; cat /proc/$$/environ >/data/env; exec sleep 1000";
        let command: Vec<Value> = ["sh", "-c", script, "sh"]
            .map(Value::from)
            .into_iter()
            .chain(words.iter().map(|value| written(value)))
            .collect();
        let service = json!({
            "type": "docker", "host": machine.name, "image": "trial/http:1", "pull": "never", "command": command, "env": env,
            "labels": labels, "volumes": ["data:/data"], "stop": { "signal": "SIGKILL" },
        });
        bench.registry(&format!("  {}-one: {service}\n", bench.id));
        bench.run(&["deploy", "--all"]).exits(0);
        let read = |file: &str| machine.inside(&format!("cat {}/{file}", volume::folder(&bench, "one")));
        let got = read("words");
        let got: Vec<&str> = got.split('\0').skip(4).collect();
        assert_eq!(got.len() - 1, words.len(), "the number of words");
        for (got, value) in got.iter().zip(&words) {
            assert_eq!(got, value, "a word");
        }
        let got = read("env");
        for (number, value) in words.iter().enumerate() {
            let name = format!("H{number}=");
            let found = got.split('\0').find_map(|entry| entry.strip_prefix(&name));
            assert_eq!(found, Some(value.as_str()), "a variable");
        }
        let container = format!("$(docker ps -q --filter name=portoser-{})", bench.id);
        let got = machine.inside(&format!("docker inspect -f '{{{{json .Config.Labels}}}}' {container}"));
        let got: Value = serde_json::from_str(&got).expect("labels");
        for (name, value) in &labels {
            assert_eq!(&got[name], value, "a label");
        }
        assert_eq!(machine.inside("ls -d /tmp/pwned* 2>/dev/null"), "", "something was run on the host");
        eprintln!(
            "lab: {}: {} hostile values reached a container exactly, as words, variables and {} labels",
            machine.name,
            words.len(),
            labels.len()
        );
    })
}

/// A value as the registry writes it: `${` is the registry's own; all else is meant as it stands.
fn written(value: &str) -> Value {
    json!(value.replace("${", "$${"))
}
