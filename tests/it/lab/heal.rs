//! The fault lab: each file under `tests/lab/faults/` is injected for real, and `diagnose` must name its roots and nothing else.
//! Strict: 0 when a root is missed, else the share of true roots among all that were named.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use libtest_mimic::{Failed, Trial};
use serde::Deserialize;
use serde_json::Value;

use super::kit::{Bench, Machine, port};
use super::{trial, usual};

/// A fault: how it is made and undone, and what must be said of it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fault {
    about: String,
    /// Whether it is tried in every run, and not only with `PORTOSER_LAB_FULL`.
    #[serde(default)]
    quick: bool,
    /// A script that makes it, as root on the host; variables name the parts of the stack.
    #[serde(default)]
    inject: String,
    /// A fault of `tests/lab/faults.sh`, and its undo.
    outside: Option<String>,
    outside_undo: Option<String>,
    /// A condition in shell that holds once the fault shows.
    until: Option<String>,
    /// What is undone by hand; the services are started again after it.
    #[serde(default)]
    undo: String,
    /// The roots, as `PLAYBOOK WHERE`: app, db, web or host.
    roots: BTreeSet<String>,
    /// Deeds that no root may propose.
    #[serde(default)]
    never: Vec<String>,
}

pub fn trials() -> Vec<Trial> {
    vec![trial("heal_names_the_roots_of_faults", faults)]
}

/// The least mean score.
const LEAST: f64 = 0.95;

fn faults(machines: Vec<Machine>) -> Result<(), Failed> {
    let machines = usual(&machines);
    let full = std::env::var_os("PORTOSER_LAB_FULL").is_some();
    let only = std::env::var("PORTOSER_FAULT").ok();
    let machines = if full { &machines[..] } else { &machines[..1] };
    let (mut scores, mut report) = (Vec::new(), String::new());
    for image in ["bookworm", "trixie"] {
        let Some(machine) = machines.iter().find(|one| one.image == image) else { continue };
        let stack = Stack::new(machine);
        for (name, fault) in all() {
            let wanted =
                only.as_ref().map_or(full || fault.quick, |only| only.split(',').any(|one| name.contains(one)));
            if !wanted {
                continue;
            }
            let began = Instant::now();
            let (score, named) = stack.score(&fault);
            if std::env::var_os("PORTOSER_FAULT").is_some() {
                eprintln!("{}", stack.last.borrow());
            }
            eprintln!("lab: {image} {name}: {score:.2} {named:?} ({:.1} s)", began.elapsed().as_secs_f64());
            if score < 1.0 {
                report += &format!("\n{image} {name} ({}): {score:.2}, named {named:?}", fault.about);
            }
            scores.push(score);
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "a few dozen")]
    let mean = scores.iter().sum::<f64>() / scores.len().max(1) as f64;
    eprintln!("lab: {} faults, mean score {mean:.3}", scores.len());
    if mean < LEAST { Err(format!("mean score {mean:.3}, {LEAST} is the least{report}").into()) } else { Ok(()) }
}

fn all() -> Vec<(String, Fault)> {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/lab/faults"));
    let files = fs::read_dir(folder).expect("the faults").filter_map(Result::ok).map(|entry| entry.path());
    let mut all: Vec<_> = files
        .map(|path| {
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let text = fs::read_to_string(&path).expect("a fault");
            let fault = serde_yaml::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
            (name, fault)
        })
        .collect();
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all
}

/// Three services on a host, each needing the next: web, app, db.
struct Stack {
    bench: Bench,
    machine: Machine,
    /// Assignments and functions for the scripts of faults.
    prelude: String,
    /// What the last diagnosis said.
    last: std::cell::RefCell<String>,
}

impl Stack {
    fn new(machine: &Machine) -> Self {
        let bench = Bench::new("heal", std::slice::from_ref(machine));
        let (id, base) = (bench.id.clone(), bench.base());
        let ports = [port(), port(), port()];
        let folder = bench.at("source");
        fs::create_dir_all(folder.join("bin")).expect("a folder");
        let interpreter = format!("/usr/local/bin/python-{id}");
        fs::write(folder.join("bin/serve"), format!("#!{interpreter}\n{SERVE}")).expect("the program");
        fs::set_permissions(folder.join("bin/serve"), std::os::unix::fs::PermissionsExt::from_mode(0o755))
            .expect("a mode");
        fs::write(folder.join("app.json"), "{}\n").expect("settings");
        let service = |number: usize, name: &str, needs: &str| {
            let port = ports[number];
            let need = if needs.is_empty() { String::new() } else { format!("    needs: [{id}-{needs}]\n") };
            let at = if needs.is_empty() { 0 } else { ports[number + 1] };
            format!(
                "  {id}-{name}:\n    type: native\n    host: {}\n    source: source\n    run: [./bin/serve]\n    port: {port}\n{need}    \
                 user: u-{id}\n    env: {{ PORT: \"${{PORT}}\", NEED: \"http://db-{id}.trial:{at}/\", TOKEN: secret, SHARED: \"${{SHARED_DIR}}\" }}\n    \
                 limits: {{ files: 64 }}\n    restart: {{ policy: always, delay: 200ms, max: 3, within: 60s }}\n    checks: [{{ http: /health }}]\n",
                machine.name
            )
        };
        bench.registry(&(service(0, "web", "app") + &service(1, "app", "db") + &service(2, "db", "")));
        let prelude = format!(
            "id={id} base={base} app={id}-app user=u-{id} interpreter={interpreter} kept=/var/tmp/kept-{id}\n\
             unit_web=portoser-{id}-web.service unit_app=portoser-{id}-app.service unit_db=portoser-{id}-db.service\n\
             port_web={} port_app={} port_db={}\nrelease=$base/services/$app/current shared=$base/services/$app/shared\n\
             listens() {{ n=0; until ss -Htln \"sport = :$1\" | grep -q . || [ $n -gt 100 ]; do sleep 0.1; n=$((n + 1)); done; }}\n",
            ports[0], ports[1], ports[2]
        );
        let stack = Self { bench, machine: machine.clone(), prelude, last: Default::default() };
        stack.inside(&format!(
            "useradd -M -s /usr/sbin/nologin $user; ln -sf /usr/bin/python3 $interpreter\necho 127.0.0.1 db-{id}.trial >>/etc/hosts\n\
             mkdir -p $base $kept; mount -t tmpfs -o size=8m,nr_inodes=900,mode=755 none $base"
        ));
        stack.bench.run(&["deploy", "--all"]).exits(0);
        stack.inside(
            "cp -a $release/bin/serve $release/app.json $release/.portoser/env.1 /etc/systemd/system/$unit_app $kept/",
        );
        stack
    }

    fn inside(&self, script: &str) -> String {
        self.machine.inside(&format!("{}{script}", self.prelude))
    }

    /// Makes the fault, asks, undoes it; the score, and the roots that were named.
    fn score(&self, fault: &Fault) -> (f64, BTreeSet<String>) {
        self.well("before the fault");
        self.inside(&fault.inject);
        fault.outside.iter().for_each(|words| self.machine.fault(&words.split(' ').collect::<Vec<_>>()));
        let shows = fault.until.as_ref().is_none_or(|until| self.shows(until));
        let ran = self.bench.run(&["diagnose", "--json"]);
        if std::env::var_os("PORTOSER_FAULT").is_some() {
            *self.last.borrow_mut() = self.bench.run(&["diagnose"]).out;
        }
        fault.outside_undo.iter().for_each(|words| self.machine.fault(&words.split(' ').collect::<Vec<_>>()));
        self.inside(&format!("{}\nrm -f $shared/do $shared/live", fault.undo));
        if !shows {
            return (0.0, BTreeSet::from(["the fault did not show".to_owned()]));
        }
        let found: Value =
            serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}: {}{}", ran.out, ran.err));
        let problems = found["problems"].as_array().cloned().unwrap_or_default();
        let roots: Vec<&Value> = problems.iter().filter(|one| one["root"] == true).collect();
        let named: BTreeSet<String> = roots.iter().map(|one| self.name(one)).collect();
        for deed in roots.iter().flat_map(|one| one["would"].as_array().into_iter().flatten()) {
            let says: Vec<String> = deed["do"]
                .as_object()
                .into_iter()
                .flatten()
                .map(|(verb, to)| format!("{verb} {}", to.as_str().unwrap_or_default()))
                .collect();
            assert!(!fault.never.contains(&says[0]), "{}: {says:?} is proposed", fault.about);
        }
        assert_eq!(ran.code, Some(if problems.is_empty() { 0 } else { 8 }), "{}\n{}", ran.out, ran.err);
        assert!(found["score"] != 100 || named.is_empty(), "{}", ran.out);
        let (true_ones, all) = (fault.roots.intersection(&named).count(), named.len());
        #[expect(clippy::cast_precision_loss, reason = "a handful")]
        let score = if true_ones < fault.roots.len() {
            0.0
        } else if all == 0 {
            1.0
        } else {
            true_ones as f64 / all as f64
        };
        (score, named)
    }

    /// Whether the condition comes to hold.
    fn shows(&self, until: &str) -> bool {
        let end = Instant::now() + Duration::from_secs(20);
        while Instant::now() < end {
            if self.inside(&format!("if {until}; then echo shows; fi")).contains("shows") {
                return true;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        false
    }

    fn name(&self, problem: &Value) -> String {
        let service =
            problem["service"].as_str().map_or("host", |service| service.rsplit('-').next().unwrap_or_default());
        format!("{} {service}", problem["name"].as_str().unwrap_or_default())
    }

    /// Waits until all is well, which is itself a look that must name nothing.
    fn well(&self, when: &str) {
        self.inside(
            "systemctl reset-failed $unit_web $unit_app $unit_db; systemctl restart $unit_db $unit_app $unit_web",
        );
        let mut last = String::new();
        let until = Instant::now() + Duration::from_secs(15);
        while Instant::now() < until {
            let ran = self.bench.run(&["diagnose"]);
            if ran.code == Some(0) {
                return;
            }
            last = ran.out + &ran.err;
        }
        panic!("{when} not all is well:\n{last}");
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        self.inside(
            "systemctl stop stranger-$id $unit_web $unit_app $unit_db; rm -rf $kept $interpreter /run/systemd/system/$unit_app.d\n\
             userdel $user; grep -v db-$id.trial /etc/hosts >/var/tmp/hosts-$id; cat /var/tmp/hosts-$id >/etc/hosts; rm /var/tmp/hosts-$id\n\
             umount $base",
        );
    }
}

/// A service that needs another one, writes to its shared folder, reads its settings, and does what the files `do` (at the
/// start) and `live` (at each question) say.
const SERVE: &str = r#"import json, os, socket, sys, time
os.environ["TOKEN"]
json.load(open("app.json"))
shared = os.environ["SHARED"]
if os.path.exists(shared + "/do"): exec(open(shared + "/do").read())
open(shared + "/state", "a").close()
with open(shared + "/state.new", "w") as state: state.write("started\n" * 1000)
os.remove(shared + "/state.new")
def listen(port):
    one = socket.socket(); one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    one.bind(("127.0.0.1", port)); one.listen(64)
    return one
listener = listen(int(os.environ["PORT"]))
if "ALSO" in os.environ: also = listen(int(os.environ["ALSO"]))
name, need = os.environ["NEED"].split("/")[2].split(":")
sick = False
def well():
    if int(need) == 0: return True
    try:
        with socket.create_connection(("127.0.0.1", int(need)), 1) as c:
            c.settimeout(1); c.sendall(b"GET /health HTTP/1.0\r\n\r\n"); return b" 200 " in c.recv(64)
    except OSError as error:
        print("cannot reach what is needed:", error, flush=True); return False
while True:
    try: c, _ = listener.accept()
    except OSError: continue
    try:
        c.settimeout(2); asked = c.recv(4096)
        if os.path.exists(shared + "/live"): exec(open(shared + "/live").read())
        status = b"200 OK" if not asked.startswith(b"GET /health") or (not sick and well()) else b"503 Bad"
        c.sendall(b"HTTP/1.1 " + status + b"\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok")
    except OSError: pass
    finally: c.close()
"#;
