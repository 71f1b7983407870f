//! A service behind a proxy, Caddy, that holds the host's port: who asks the proxy notices no deploy, nor one that fails.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use libtest_mimic::{Failed, Trial};
use serde_json::Value;

use super::docker::{image, side_by_side};
use super::kit::{Bench, Machine, PATIENCE, port};
use super::store::program;
use super::{engines, trial};

pub fn trials() -> Vec<Trial> {
    vec![trial("who_asks_a_proxy_in_front_notices_no_deploy", proxy)]
}

/// Makes the image `trial/caddy:1`.
fn caddy(machine: &Machine) {
    image(machine);
    program(machine, "caddy", "usr/bin/caddy", "/usr/local/bin/trial-caddy");
    let made = machine.inside(CADDY);
    assert!(made.trim_end().ends_with("ready"), "{}: {made}", machine.name);
}

const CADDY: &str = "docker image inspect trial/caddy:1 >/dev/null 2>&1 && { echo ready; exit; }
d=$(mktemp -d) && mkdir $d/bin && cp /usr/local/bin/trial-caddy $d/bin/caddy || exit
for l in $(ldd /usr/local/bin/trial-caddy 2>/dev/null | grep -o '/[^ ]*'); do mkdir -p $d${l%/*}; cp $l $d$l; done
c=$(docker create trial/http:1 true) && tar -C $d -c . | docker cp - $c:/ && docker commit $c trial/caddy:1 && docker rm $c && rm -r $d && echo ready";

/// A service that Caddy serves by this file, on a network that both are on.
fn served(bench: &Bench, machine: &Machine, name: &str, file: &str, more: &str) -> String {
    format!(
        "  {0}-{name}:\n    type: docker\n    host: {1}\n    image: trial/caddy:1\n    pull: never\n    \
         command: [caddy, run, --adapter, caddyfile, --config, /etc/caddy/Caddyfile]\n    env: {{ HOME: /tmp }}\n    \
         networks: [{0}-net]\n    volumes: [\"./caddy:/etc/caddy:ro\"]\n    files: {{ caddy/Caddyfile: {{ text: {2} }} }}\n    \
         checks: [{{ unit: true }}]\n    stop: {{ timeout: 10s }}\n{more}",
        bench.id,
        machine.name,
        Value::from(format!("{{\n  admin off\n  auto_https off\n}}\n:8080 {{\n  {file}\n}}\n")),
    )
}

fn proxy(machines: Vec<Machine>) -> Result<(), Failed> {
    let mut machines = engines(&machines);
    if !super::kit::full() {
        machines.retain(|machine| machine.image.starts_with("trixie"));
    }
    side_by_side(&machines, |machine| {
        caddy(machine);
        let (bench, port) = (Bench::new("front", std::slice::from_ref(machine)), port());
        let front = format!("    port: {port}\n    ports: [\"{port}:8080\"]\n    needs: [{}-web]\n", bench.id);
        let passes = format!("reverse_proxy {}-web:8080 {{\n    lb_try_duration 5s\n  }}", bench.id);
        let write = |file: &str| {
            let web = served(&bench, machine, "web", file, "");
            bench.registry(&(web + &served(&bench, machine, "front", &passes, &front)));
        };
        write("respond v1");
        bench.run(&["deploy", "--all"]).exits(0);
        assert_eq!(bench.answer(machine, port), "v1");
        write("respond v2");
        let plan = bench.run(&["plan", "--all"]).exits(0);
        assert!(plan.out.contains("downtime: no: the new containers are proven beside the old ones"), "{}", plan.out);
        let over = format!("/run/{}-over", bench.id);
        let told = std::thread::scope(|scope| {
            let asked = scope.spawn(|| machine.inside(&format!("python3 - {port} {over} <<'END'\n{ASK}END")));
            let deployed = catch_unwind(AssertUnwindSafe(|| {
                let begun = machine
                    .inside(&format!("timeout 60 sh -c 'until [ -e {over}.begun ]; do sleep 0.1; done' && echo begun"));
                assert_eq!(begun.trim(), "begun", "nothing answered who asks");
                for (file, code) in [("respond v2", 0), ("answers nothing", 5), ("respond v3", 0)] {
                    write(file);
                    let ran = bench.run(&["deploy", "--all", "--no-auto-heal"]).exits(code);
                    assert!(ran.took < PATIENCE / 2, "what ends again and again is not waited for: {:?}", ran.took);
                    eprintln!("lab: {}: `{file}` behind a proxy: {:?}", machine.name, ran.took);
                }
            }));
            // Whatever failed, who asks is not left to ask on.
            machine.inside(&format!("touch {over}"));
            let told = asked.join();
            deployed.unwrap_or_else(|failed| resume_unwind(failed));
            told.expect("who asks")
        });
        machine.inside(&format!("rm {over} {over}.begun"));
        eprintln!("lab: {}: through the proxy: {told}", machine.name);
        let told: Value = serde_json::from_str(&told).expect("what was answered");
        assert_eq!(told["failed"], serde_json::json!([]), "{told}");
        let versions: Vec<&String> = told["answers"].as_object().expect("answers").keys().collect();
        assert_eq!(versions, ["v1", "v2", "v3"], "{told}");
        assert_eq!(bench.answer(machine, port), "v3");
        assert_eq!(bench.amiss(machine), "");
    })
}

/// Asks until that file is there, two minutes at most: on a connection that is kept, and on one of its own each time.
const ASK: &str = r#"
import collections, http.client, json, os, sys, threading, time
port, over, until = int(sys.argv[1]), sys.argv[2], time.time() + 120
answers, failed = collections.Counter(), []
def ask(kept):
    link = None
    while not os.path.exists(over) and time.time() < until:
        try:
            if link is None: link = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            link.request("GET", "/")
            answer = link.getresponse()
            body = answer.read().decode()
            if answer.status == 200:
                if not answers: open(over + ".begun", "w").close()
                answers[body] += 1
            else: failed.append(f"{answer.status} {body}")
        except (OSError, http.client.HTTPException) as error:
            failed.append(repr(error)); link = None
        if link and not kept: link.close(); link = None
        time.sleep(0.01)
both = [threading.Thread(target=ask, args=[kept]) for kept in (True, False)]
for one in both: one.start()
for one in both: one.join()
print(json.dumps({"answers": answers, "failed": failed}))
"#;
