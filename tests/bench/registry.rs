//! What costs no connection: start-up, and the verbs that only read the registry, for 1,000 and 10,000 services.

use std::collections::{BTreeMap, BTreeSet};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use portoser::host::{Facts, Init, Seen};
use portoser::plan::{Graph, Inputs, Sources, plan};
use portoser::registry::{Format, load_text};

use crate::large_registry::large_registry;
use crate::{head, row};

const TIMES: usize = 9;

pub fn run() {
    head("start-up, whole process");
    row("portoser --version", processes(&["--version"]));
    row("portoser --help", processes(&["--help"]));
    for services in [1_000, 10_000] {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("registry.yml");
        std::fs::write(&file, large_registry(services)).expect("written");
        let name = file.to_str().expect("a path");
        head(&format!("{services} services, whole process"));
        for verb in [&["validate"][..], &["list"], &["order"], &["graph"], &["impact", "service-1"]] {
            let mut words = vec!["-r", name];
            words.extend(verb);
            row(&format!("portoser {}", verb.join(" ")), processes(&words));
            println!("{:<58} {:>8.1} MiB", "  its peak memory", peak(&words));
        }
        planned(services);
    }
}

/// A plan from facts that are given, in this process.
fn planned(services: usize) {
    let text = large_registry(services);
    let began = Instant::now();
    let registry = load_text(&text, Format::Yaml, "/bench/registry.yml".as_ref(), None).expect("valid");
    println!("{:<58} {:>8.1} ms", "parse and check, in process", began.elapsed().as_secs_f64() * 1000.0);
    let facts = Facts { init: Init::Systemd, base: "/opt/portoser".into(), ..Facts::default() };
    let seen = Seen { facts, ..Seen::default() };
    let seen: BTreeMap<_, _> = registry.hosts.keys().map(|host| (host.clone(), seen.clone())).collect();
    let chosen: BTreeSet<_> = registry.services.keys().cloned().collect();
    let (health, sources) = (BTreeMap::new(), Sources::default());
    let times = (0..TIMES).map(|_| {
        let began = Instant::now();
        let inputs = Inputs {
            registry: &registry,
            waves: Graph::of(&registry).waves(&chosen),
            hosts: registry.hosts.keys().cloned().collect(),
            seen: &seen,
            health: &health,
            sources: &sources,
            engines: portoser::engine::ALL,
            overwrite: false,
        };
        let plan = plan(&inputs).expect("planned");
        assert_eq!(plan.changes.len(), services);
        began.elapsed()
    });
    row("plan of a first deploy, facts given, in process", times.collect());
    println!("{:<58} {:>8.1} MiB", "  peak memory of this process so far", own_peak());
}

fn processes(words: &[&str]) -> Vec<Duration> {
    let once = || {
        let began = Instant::now();
        let ended = Command::new(env!("CARGO_BIN_EXE_portoser")).args(words).stdout(Stdio::null()).status();
        assert!(ended.expect("started").success(), "{words:?}");
        began.elapsed()
    };
    once();
    (0..TIMES).map(|_| once()).collect()
}

/// The peak resident memory of a process in MiB, as its status tells it until it ends.
fn peak(words: &[&str]) -> f64 {
    let script = "\"$@\" >/dev/null & pid=$!; most=0; while kill -0 $pid 2>/dev/null; do \
                  while read -r key value unit; do [ \"$key\" = VmHWM: ] && most=$value; done \
                  </proc/$pid/status; done 2>/dev/null; echo $most";
    let out = Command::new("sh").args(["-c", script, "sh", env!("CARGO_BIN_EXE_portoser")]).args(words).output();
    let kib: f64 = String::from_utf8_lossy(&out.expect("started").stdout).trim().parse().unwrap_or(0.0);
    kib / 1024.0
}

/// The peak resident memory of this process in MiB.
fn own_peak() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|kib| kib.parse::<f64>().ok()).unwrap_or_default() / 1024.0
}
