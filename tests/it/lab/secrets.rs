//! A secret of the registry stays where it belongs: it is looked for in all that is said, kept and shown, here and on the host.

use std::path::Path;

use libtest_mimic::{Failed, Trial};

use super::kit::{Bench, Machine, port};
use super::{trial, usual};

pub fn trials() -> Vec<Trial> {
    vec![trial("a_secret_is_nowhere_to_be_read", nowhere)]
}

/// It tells its secret to everybody, as services do when they fail; and it is well only for who sends the right words.
const CHATTY: &str = r#"import http.server, os, sys
token, version = os.environ["API_TOKEN"], sys.argv[1]
print("starting with", token, flush=True)
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        sent = self.headers.get("Authorization") or ""
        self.send_response(200 if version == "good" and sent == "Bearer " + os.environ["SENT_TOKEN"] else 500)
        self.end_headers()
        self.wfile.write(f"with {token}, sent {sent}".encode())
    def log_message(self, *words): print(token, "was asked", flush=True)
http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Answer).serve_forever()
"#;

/// All that is in files below a folder of this machine.
fn holds(folder: &Path, secret: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok) {
        let path = entry.path();
        if path.is_dir() {
            found.extend(holds(&path, secret));
        } else if std::fs::read(&path).is_ok_and(|text| String::from_utf8_lossy(&text).contains(secret)) {
            found.push(path.display().to_string());
        }
    }
    found
}

fn nowhere(machines: Vec<Machine>) -> Result<(), Failed> {
    let machines = &usual(&machines)[..1];
    let one = &machines[0];
    let bench = Bench::new("secret", machines);
    let port = port();
    let secrets = [format!("tokenOf{}Env", bench.id), format!("tokenOf{}Sent", bench.id)];
    std::fs::write(bench.at("server.py"), CHATTY)?;
    let write = |version: &str, from: &str| {
        let service = bench
            .service(
                "one",
                &[&one.name],
                port,
                version,
                "    hooks: { before: [{ run: [sh, -c, 'echo hook says $API_TOKEN >&2'] }] }\n",
            )
            .replace("PORT: ", &format!("API_TOKEN: {}, SENT_TOKEN: {}, PORT: ", secrets[0], secrets[1]))
            .replace(
                "http: /health",
                &format!("http: /health, from: {from}, send: {{ Authorization: Bearer {} }}", secrets[1]),
            );
        bench.registry(&service);
    };
    let clean = |what: &str, said: &str| {
        for secret in &secrets {
            assert!(!said.contains(secret.as_str()), "{what} shows {secret}: {said}");
        }
    };
    // Whoever is on the host may look at the processes all the time.
    one.inside(&format!(
        "rm -f /tmp/ps-{0}; (while [ ! -e /tmp/ps-{0}.end ]; do ps -eo args; sleep 0.02; done >/tmp/ps-{0} 2>&1 &)",
        bench.id
    ));
    for from in ["host", "controller"] {
        write("good", from);
        for flags in [&["--steps"][..], &["--steps", "--json"]] {
            let plan = bench.run(&[&["plan", "--all", "-v"][..], flags].concat()).exits(0);
            clean("plan", &(plan.out + &plan.err));
        }
        let good = bench.run(&["deploy", "--all", "-v"]).exits(0);
        clean("deploy", &(good.out + &good.err));
        write("bad", from);
        for flags in [&["--events"][..], &["--json"], &["-v"]] {
            let bad = bench.run(&[&["deploy", "--all", "--no-auto-heal"][..], flags].concat()).exits(5);
            assert!(bad.out.contains("[masked]") || bad.err.contains("[masked]"), "{}{}", bad.out, bad.err);
            clean("a failed deploy", &(bad.out + &bad.err));
        }
    }
    for verb in [&["status"][..], &["status", "--json"], &["diagnose", "-v"], &["history"], &["history", "show", "-v"]]
    {
        let ran = bench.run(verb);
        clean(&verb.join(" "), &(ran.out + &ran.err));
    }
    for secret in &secrets {
        assert_eq!(holds(&bench.at("state"), secret), Vec::<String>::new(), "what this machine keeps");
        let others = format!("su -s /bin/sh nobody -c 'grep -rls {secret} {}'", bench.base());
        assert_eq!(one.inside(&others), "", "another user of the host reads it");
    }
    let processes = one.inside(&format!(
        "touch /tmp/ps-{0}.end; grep -c . /tmp/ps-{0}; grep tokenOf{0} /tmp/ps-{0} | grep -v grep; rm -f /tmp/ps-{0}",
        bench.id
    ));
    assert!(
        processes.lines().next().is_some_and(|count| count.trim().parse::<u32>().is_ok_and(|count| count > 100)),
        "{processes}"
    );
    assert_eq!(processes.lines().count(), 1, "the host's processes show it: {processes}");
    Ok(())
}
