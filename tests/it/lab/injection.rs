//! Hostile values in every field of the registry: carried exactly to a real host or refused with a fault; never run.

use std::path::{Path, PathBuf};

use libtest_mimic::{Failed, Trial};
use portoser::registry::{Format, load_text};
use serde_json::{Value, json};

use crate::hostile::{harmless, values};

use super::kit::{Bench, Machine, port};
use super::{trial, usual};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("hostile_values_arrive_exactly_or_are_refused", injection),
        trial("hostile_answers_of_a_host_are_shown_harmless", answers),
    ]
}

/// A value as the registry writes it: `${` is the registry's own; all else is meant as it stands.
pub(super) fn written(value: &str) -> Value {
    json!(value.replace("${", "$${"))
}

/// Whether a registry may say this of a service.
fn takes(service: &Value) -> bool {
    let mut service = service.clone();
    service["type"] = "native".into();
    service["host"] = "h".into();
    let text = json!({ "version": 1, "hosts": { "h": { "address": "x" } }, "services": { "s": service } }).to_string();
    load_text(&text, Format::Yaml, Path::new("/registry.yml"), None).is_ok()
}

fn in_variable(value: &str) -> bool {
    takes(&json!({ "run": ["x"], "env": { "H": written(value) } }))
}

fn injection(machines: Vec<Machine>) -> Result<(), Failed> {
    let bench = Bench::new("wild", &usual(&machines)[..1]);
    std::fs::write(bench.at("echo.py"), ECHO)?;
    let all = carried(&bench, "echo.py", &["/usr/bin/python3", "./echo.py"], |_| json!({ "type": "native" }))?;
    let judged = refusals(&bench, &all);
    assert!(!Path::new(&format!("/tmp/pwned-{}", bench.id)).exists(), "something was run here");
    eprintln!("lab: {judged} judged by the registry's rules");
    Ok(())
}

/// Carries every value to the first host of a bench as a word, a variable, a file's text and a file's name, in a service with
/// this source and these first words, and with what `more` makes of the values. Gives the values.
pub(super) fn carried(
    bench: &Bench,
    source: &str,
    begin: &[&str],
    more: impl Fn(&[String]) -> Value,
) -> Result<Vec<String>, Failed> {
    let (machine, port) = (&bench.machines[0], port());
    let all = values(&PathBuf::from(format!("/tmp/pwned-{}", bench.id)));
    // What the registry refuses in words is judged with the other fields.
    let values: Vec<String> =
        all.iter().filter(|value| takes(&json!({ "run": ["x", written(value)] }))).cloned().collect();
    assert!(values.len() >= 200, "{} of {}", values.len(), all.len());
    let run: Vec<Value> =
        begin.iter().map(|word| Value::from(*word)).chain(values.iter().map(|value| written(value))).collect();
    let env: serde_json::Map<String, Value> = values
        .iter()
        .filter(|value| in_variable(value))
        .enumerate()
        .map(|(number, value)| (format!("H{number}"), written(value)))
        .chain([("PORT".to_owned(), json!("${PORT}"))])
        .collect();
    let files: serde_json::Map<String, Value> = values
        .iter()
        .enumerate()
        .flat_map(|(number, value)| {
            let name = format!("etc/n{number}{}", value.replace('/', "_"));
            let named = (name.len() < 200 && takes(&json!({ "run": ["x"], "files": { &name: { "text": "x" } } })))
                .then(|| (name, json!({ "text": "x" })));
            [Some((format!("etc/t{number}"), json!({ "text": value }))), named].into_iter().flatten()
        })
        .collect();
    let mut service = json!({
        "host": machine.name, "source": source, "run": run, "env": env, "files": files, "port": port,
        "hooks": { "before": [{ "run": ["/usr/bin/printf", "%s", written(&values[0]), written(&values[1])] }] },
        "checks": [{ "http": "/", "send": { "X-Wild": "$(touch /tmp/pwned)" } }],
    });
    for (key, value) in more(&values).as_object().into_iter().flatten() {
        service[key] = value.clone();
    }
    bench.registry(&format!("  {}-one: {service}\n", bench.id));
    let ran = bench.run(&["deploy", "--all"]);
    assert_eq!(ran.code, Some(0), "{}\n{}", ran.out, ran.err);
    let answer: Value = serde_json::from_str(&bench.answer(machine, port))?;
    let mut carried = 0;
    for (value, got) in values.iter().zip(answer["words"].as_array().into_iter().flatten()) {
        assert_eq!(got, value, "a word");
        carried += 1;
    }
    assert_eq!(carried, values.len());
    for (number, value) in values.iter().filter(|value| in_variable(value)).enumerate() {
        assert_eq!(answer["env"][format!("H{number}")], json!(value), "a variable");
        carried += 1;
    }
    for (number, value) in values.iter().enumerate() {
        assert_eq!(answer["files"][format!("t{number}")], json!(value), "a file's text");
        carried += 1;
    }
    let pwned = format!("ls -d /tmp/pwned* {}/services/*/releases/*/pwned* 2>/dev/null", bench.base());
    assert_eq!(machine.inside(&pwned), "", "something was run on the host");
    assert!(!Path::new(&format!("/tmp/pwned-{}", bench.id)).exists(), "something was run here");
    eprintln!("lab: {} hostile values: {carried} carried exactly to a {} service", values.len(), service["type"]);
    Ok(all)
}

/// Every field with a rule of its own, with every value: `validate` says yes or tells the fault. How many it judged.
fn refusals(bench: &Bench, values: &[String]) -> usize {
    let host = bench.machines[0].name.as_str();
    let fields = [
        "/hosts/H/address",
        "/hosts/H/user",
        "/hosts/H/base",
        "/hosts/H/labels/k",
        "/services/s/user",
        "/services/s/unit",
        "/services/s/labels/k",
        "/services/s/needs/0",
        "/services/s/checks/0/http",
        "/services/s/checks/0/host",
    ];
    let values: Vec<&str> =
        values.iter().map(String::as_str).filter(|value| value.len() < 1000).step_by(3).chain(["a\0b"]).collect();
    let mut judged = 0;
    for field in fields {
        for value in &values {
            let mut registry = json!({
                "version": 1, "hosts": { "H": { "address": "x", "labels": { "k": "v" } } },
                "services": { "s": { "type": "native", "host": "H", "unit": "u.service", "port": 80, "needs": ["t"],
                    "labels": { "k": "v" }, "checks": [{ "http": "/", "host": "h" }] },
                    "t": { "type": "native", "host": "H", "unit": "t.service" } },
            });
            let text = registry.to_string().replace("\"H\"", &json!(host).to_string());
            registry = serde_json::from_str(&text).expect("json");
            let place = field.replace('H', host);
            let (parent, key) = place.rsplit_once('/').expect("a path");
            match registry.pointer_mut(parent).expect("a place") {
                Value::Array(list) => list[0] = json!(value),
                map => map[key] = json!(value),
            }
            std::fs::write(bench.at("wild.yml"), registry.to_string()).expect("a registry");
            let file = bench.at("wild.yml").display().to_string();
            let ran = bench.run(&["validate", "--registry", &file]);
            assert!([Some(0), Some(3)].contains(&ran.code), "{field} {value:?}: {ran:?}");
            assert!(
                ran.code == Some(0) || ran.err.contains("wild.yml:") || ran.out.contains("wild.yml:"),
                "{field} {value:?}: {ran:?}"
            );
            judged += 1;
        }
    }
    judged
}

/// The body of a check, the lines of a log, the names of files that were edited: all of them the host's words.
fn answers(machines: Vec<Machine>) -> Result<(), Failed> {
    let machines = &usual(&machines)[..1];
    let (machine, port) = (&machines[0], port());
    let bench = Bench::new("says", machines);
    let canary = format!("/tmp/pwned-{}", bench.id);
    let values = values(Path::new(&canary));
    let names: Vec<String> = values.iter().map(|value| value.replace('/', "|")).collect();
    let names: Vec<&String> = names.iter().filter(|name| (1..200).contains(&name.len())).collect();
    let files: serde_json::Map<String, Value> = names
        .iter()
        .map(|name| (format!("etc/{name}"), json!({ "text": "x" })))
        .filter(|(name, text)| takes(&json!({ "run": ["x"], "files": { name: text } })))
        .collect();
    assert!(files.len() > 200, "{} names", files.len());
    std::fs::create_dir(bench.at("says"))?;
    std::fs::write(bench.at("says/says.py"), SAYS)?;
    std::fs::write(bench.at("says/values.json"), json!(values).to_string())?;
    let write = |how: &str| {
        let service = json!({
            "type": "native", "host": machine.name, "source": "says", "run": ["/usr/bin/python3", "./says.py", how],
            "env": { "PORT": "${PORT}" }, "files": files, "port": port,
            "checks": [{ "http": "/", "body": { "contains": "all is well" } }],
        });
        bench.registry(&format!("  {}-one: {service}\n", bench.id));
    };
    let shown = |words: &[&str], code: i32| {
        let ran = bench.run(words).exits(code);
        harmless(&ran.out);
        harmless(&ran.err);
        ran
    };
    write("well");
    shown(&["deploy", "--all"], 0);
    for json in [false, true] {
        write(&format!("hostile {json}"));
        let words = if json { &["--json", "deploy", "--all"][..] } else { &["-v", "deploy", "--all"] };
        shown(words, 5);
    }
    let edit = format!(
        "cd {}/services/*/current/etc && for f in * .[!.]*; do echo y >\"./$f\"; done; \
         cd .. && for f in etc/*; do ln \"$f\" \"./${{f#etc/}}\"; done",
        bench.base()
    );
    machine.inside(&edit);
    write("well again");
    for words in [&["plan", "--all"][..], &["--json", "plan", "--all"], &["status"], &["logs", "--all", "-n", "9"]] {
        let ran = bench.run(words);
        harmless(&ran.out);
        harmless(&ran.err);
    }
    let refused = shown(&["deploy", "--all"], 9);
    assert!(refused.err.contains("etc/"), "{}", refused.err);
    shown(&["deploy", "--all", "--overwrite"], 0);
    assert_eq!(
        machine.inside(&format!("ls -d /tmp/pwned* {}/services/*/releases/*/pwned* 2>/dev/null", bench.base())),
        ""
    );
    assert!(!Path::new(&canary).exists(), "something was run here");
    eprintln!("lab: {} hostile values in bodies and logs, {} in names of files", values.len(), files.len());
    Ok(())
}

/// Says all values on its output, and answers with them unless all is well.
const SAYS: &str = r#"import json, os, socket, sys
at = os.path.dirname(os.path.abspath(__file__))
values = json.load(open(os.path.join(at, "values.json")))
for value in values: sys.stdout.buffer.write(value.encode("utf-8", "replace") + b"\n")
sys.stdout.flush()
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("127.0.0.1", int(os.environ["PORT"]))); s.listen(64)
n = 0
while True:
    c, _ = s.accept()
    try:
        c.settimeout(2); c.recv(4096)
        body = "".join(values[n % 7 * 60:]).encode("utf-8", "replace"); n += 1
        if sys.argv[1].startswith("well"): body = b"all is well"
        c.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    except OSError: pass
    finally: c.close()
"#;

/// Answers with its words, its environment and its files.
pub(super) const ECHO: &str = r#"import json, os, socket, sys
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("127.0.0.1", int(os.environ["PORT"]))); s.listen(64)
at = os.path.join(os.path.dirname(os.path.abspath(__file__)), "etc")
files = {n: open(os.path.join(at, n), newline="").read() for n in os.listdir(at) if n[1:].isdigit()}
body = json.dumps({"words": sys.argv[1:], "env": dict(os.environ), "files": files}).encode()
while True:
    c, _ = s.accept()
    try:
        c.settimeout(2); c.recv(4096)
        c.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    except OSError: pass
    finally: c.close()
"#;
