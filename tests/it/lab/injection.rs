//! Hostile values in every field of the registry: carried exactly to a real host or refused with a fault; never run.

use libtest_mimic::{Failed, Trial};
use serde_json::{Value, json};

use super::kit::{Bench, Machine, port};
use super::{trial, usual};

pub fn trials() -> Vec<Trial> {
    vec![trial("hostile_values_arrive_exactly_or_are_refused", injection)]
}

/// Hostile values; each that is run leaves the file `/tmp/pwned-ID` somewhere.
fn corpus(id: &str) -> Vec<String> {
    let touch = format!("touch /tmp/pwned-{id}");
    let mut all: Vec<String> = Vec::new();
    for wrap in [
        "$(@)",
        "`@`",
        ";@;",
        "|@",
        "||@",
        "&&@",
        "&@&",
        "\n@\n",
        "'@'",
        "\"@\"",
        "';@;'",
        "\";@;\"",
        "'$(@)'",
        "\"`@`\"",
        "\\$(@)",
        "$((@))",
        "<(@)",
        ">(@)",
        "{@,}",
        "%{@}",
        "{{ @ }}",
        "{% @ %}",
        "-@",
        "--@",
        "#@",
        "=@",
        "*@",
        "~@",
        "é@",
        "\u{202e}@",
        "🦀@",
        " @ ",
        "\t@",
        "\r@",
        "\\@",
        "@\\",
        "%n@",
        "%i@",
        "%%@",
        "$@x",
        "$$@",
        "!@",
        "!!@",
        "[@]",
        "?@",
        "\u{7f}@",
        "\u{1b}[31m@",
    ] {
        all.push(wrap.replace('@', &touch));
    }
    all.extend(
        [
            "", "-", "--", "-rf", "--help", "'", "\"", "\\", "''", "\"\"", "$", "$$", "$HOME", "$0", "$*", "~root",
            "*", "%s%n", "\u{feff}",
        ]
        .map(str::to_owned),
    );
    all.push("x'\"".repeat(2000));
    all
}

fn injection(machines: Vec<Machine>) -> Result<(), Failed> {
    let machines = &usual(&machines)[..1];
    let (machine, port) = (&machines[0], port());
    let bench = Bench::new("wild", machines);
    std::fs::write(bench.at("echo.py"), ECHO)?;
    let all = corpus(&bench.id);
    // Control characters are refused in words, and judged with the other fields.
    let values: Vec<String> = all.iter().filter(|value| !value.contains(['\r', '\u{7f}', '\u{1b}'])).cloned().collect();
    // `${` is the registry's own; all else is meant as it stands.
    let written = |value: &String| json!(value.replace("${", "$${"));
    let run: Vec<Value> =
        ["/usr/bin/python3", "./echo.py"].map(Value::from).into_iter().chain(values.iter().map(written)).collect();
    let env: serde_json::Map<String, Value> = values
        .iter()
        .filter(|value| !value.contains(['\n', '\r']))
        .enumerate()
        .map(|(number, value)| (format!("H{number}"), written(value)))
        .chain([("PORT".to_owned(), json!("${PORT}"))])
        .collect();
    let files: serde_json::Map<String, Value> = values
        .iter()
        .enumerate()
        .flat_map(|(number, value)| {
            let name = value.replace(['/', '\n', '\r', '\t', '\u{7f}', '\u{1b}'], "_");
            let named = (!name.is_empty() && name.len() < 200 && !name.contains('$'))
                .then(|| (format!("etc/n{number}{name}"), json!({ "text": "x" })));
            [Some((format!("etc/t{number}"), json!({ "text": value }))), named].into_iter().flatten()
        })
        .collect();
    let service = json!({
        "type": "native", "host": machine.name, "source": "echo.py", "run": run, "env": env, "files": files, "port": port,
        "hooks": { "before": [{ "run": ["/usr/bin/printf", "%s", written(&values[0]), written(&values[1])] }] },
        "checks": [{ "http": "/", "send": { "X-Wild": "$(touch /tmp/pwned)" } }],
    });
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
    for (number, value) in values.iter().filter(|value| !value.contains(['\n', '\r'])).enumerate() {
        assert_eq!(answer["env"][format!("H{number}")], json!(value), "a variable");
        carried += 1;
    }
    for (number, value) in values.iter().enumerate() {
        assert_eq!(answer["files"][format!("t{number}")], json!(value), "a file's text");
        carried += 1;
    }
    let refused = refusals(&bench, &all);
    let pwned = format!("ls -d /tmp/pwned* {}/services/*/releases/*/pwned* 2>/dev/null", bench.base());
    assert_eq!(machine.inside(&pwned), "", "something was run on the host");
    assert!(!std::path::Path::new(&format!("/tmp/pwned-{}", bench.id)).exists(), "something was run here");
    eprintln!(
        "lab: {} hostile values: {carried} carried exactly, {refused} judged by the registry's rules",
        values.len()
    );
    Ok(())
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

/// Answers with its words, its environment and its files.
const ECHO: &str = r#"import json, os, socket, sys
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
