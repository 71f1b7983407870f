//! What helped once is known the second time: a fault that no playbook knows is healed on one host, and the same fault of another
//! service on another host is healed by what was learned, three times as fast.

use std::time::Instant;

use libtest_mimic::{Failed, Trial};
use serde_json::Value;

use super::kit::{Bench, Machine, Ran, port};
use super::{pair, trial};

pub fn trials() -> Vec<Trial> {
    vec![trial("what_helped_once_helps_sooner_elsewhere", pairs)]
}

/// A fault that no playbook knows. SHARED, NAME and PORT stand for those of a service.
struct Pair {
    name: &'static str,
    /// What the service does at each question: Python.
    live: &'static str,
    inject: &'static str,
    /// What a person does about it.
    words: &'static [&'static str],
}

/// So many pairs are tried side by side; more would wait for the processors, and not for what is tried.
const AT_ONCE: usize = 3;

/// The first one is tried in every run, all of them with `PORTOSER_LAB_FULL`.
const PAIRS: &[Pair] = &[
    Pair {
        name: "latch",
        live: "if os.path.exists(shared + '/latch'): say('the cellar is flooded')",
        inject: "touch SHARED/latch",
        words: &["rm", "-f", "SHARED/latch"],
    },
    Pair {
        name: "gull",
        live: "if os.path.exists('/tmp/gull-' + str(port)): say(f'gull 17 sits on {port} since 12:30:01')",
        inject: "touch /tmp/gull-PORT",
        words: &["rm", "-f", "/tmp/gull-PORT"],
    },
    Pair {
        name: "pump",
        live: "if read('pump', 'on') != 'on': say('pump of ' + name + ' rests')",
        inject: "printf off >SHARED/pump",
        words: &["sh", "-c", "printf on >SHARED/pump"],
    },
    Pair {
        name: "valve",
        live: "if not os.path.isdir(shared + '/valve') and os.path.exists(shared + '/wet'): say('valve unseated')",
        inject: "touch SHARED/wet",
        words: &["mkdir", "-p", "SHARED/valve"],
    },
    Pair {
        name: "tide",
        live: "if os.path.exists('/tmp/tide-' + name): say('the tide is in at ' + name)",
        inject: "touch /tmp/tide-NAME",
        words: &["rm", "-f", "/tmp/tide-NAME"],
    },
    Pair {
        name: "queue",
        live: "if len(glob.glob(shared + '/in/*')) > 3: say('4 letters wait in ' + shared + '/in')",
        inject: "mkdir -p SHARED/in && touch SHARED/in/1 SHARED/in/2 SHARED/in/3 SHARED/in/4",
        words: &["sh", "-c", "mkdir -p SHARED/old && mv SHARED/in/* SHARED/old/"],
    },
    Pair {
        name: "mode",
        live: "if os.path.islink(shared + '/mode') and os.readlink(shared + '/mode') == 'storm': say('not in a storm')",
        inject: "ln -sfn storm SHARED/mode",
        words: &["ln", "-sfn", "calm", "SHARED/mode"],
    },
    Pair {
        name: "stamp",
        live: "if os.path.exists(shared + '/stamp') and os.path.getmtime(shared + '/stamp') < 1e9: say('milk has turned')",
        inject: "touch -d 1999-01-01 SHARED/stamp",
        words: &["touch", "SHARED/stamp"],
    },
    Pair {
        name: "keel",
        live: "if read('keel', '{}') == '}{': say('keel is upside down: {{}}')",
        inject: "printf '}{' >SHARED/keel",
        words: &["sh", "-c", "printf '{}' >SHARED/keel"],
    },
    Pair {
        name: "rope",
        live: "if os.path.exists(shared + '/knot ' + name): say(\"it's a \\\"knot\\\" on line 8\")",
        inject: "touch 'SHARED/knot NAME'",
        words: &["rm", "-f", "SHARED/knot NAME"],
    },
];

/// Answers 200, or while one of the faults is there 503, which its log tells.
fn program(pairs: &[Pair]) -> String {
    let faults: Vec<String> = pairs.iter().map(|pair| format!("    {}", pair.live)).collect();
    format!(
        "import glob, os, socket\n\
         shared, name, port, said = os.environ['DATA'], os.environ['NAME'], int(os.environ['PORT']), set()\n\
         class Sick(Exception): pass\n\
         def say(text): said.add(text) or print(text, flush=True) if text not in said else None; raise Sick()\n\
         def read(file, usual): return open(shared + '/' + file).read() if os.path.exists(shared + '/' + file) else usual\n\
         def look():\n{}\n\
         s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)\n\
         s.bind(('127.0.0.1', port)); s.listen(64)\n\
         while True:\n    \
         c, _ = s.accept(); c.settimeout(2); c.recv(4096)\n    \
         try: look(); status = b'200 OK'\n    \
         except Sick: status = b'503 Sick'\n    \
         c.sendall(b'HTTP/1.1 ' + status + b'\\r\\nConnection: close\\r\\nContent-Length: 0\\r\\n\\r\\n'); c.close()\n",
        faults.join("\n")
    )
}

/// A service of the trial, and where it is.
struct Place<'a> {
    machine: &'a Machine,
    name: String,
    port: u16,
}

impl Place<'_> {
    fn text(&self, bench: &Bench, text: &str) -> String {
        let shared = format!("{}/services/{}/shared", bench.base(), self.name);
        text.replace("SHARED", &shared).replace("NAME", &self.name).replace("PORT", &self.port.to_string())
    }

    fn entry(&self) -> String {
        format!(
            "  {}:\n    type: native\n    host: {}\n    source: faulty.py\n    run: [/usr/bin/python3, ./faulty.py]\n    \
             port: {}\n    checks: [{{ http: /, start_period: 3s }}]\n    \
             env: {{ PORT: \"${{PORT}}\", DATA: \"${{SHARED_DIR}}\", NAME: \"${{SERVICE}}\" }}\n",
            self.name, self.machine.name, self.port
        )
    }

    fn breaks(&self, bench: &Bench, pair: &Pair) {
        self.machine.inside(&self.text(bench, pair.inject));
    }
}

fn pairs(machines: Vec<Machine>) -> Result<(), Failed> {
    let machines = &pair(&machines)[..];
    let count = if super::kit::full() { PAIRS.len() } else { 1 };
    let bench = Bench::new("learn", machines);
    std::fs::write(bench.at("faulty.py"), program(PAIRS))?;
    let place = |pair: &Pair, number: usize| Place {
        machine: &machines[number],
        name: format!("{}-{}-{}", bench.id, pair.name, ["one", "other"][number]),
        port: port(),
    };
    let all: Vec<_> = PAIRS[..count].iter().map(|pair| (pair, [place(pair, 0), place(pair, 1)])).collect();
    // What is tried in vain for one pair must not open the breaker of the host for the next.
    let patient =
        "become: sudo\n  heal: { policy: full, drafts: true, looks: 2, apart: 100ms, tries: 50, breaker: 500 }";
    bench.registry_with(patient, &all.iter().flat_map(|(_, places)| places).map(Place::entry).collect::<String>());
    bench.run(&["deploy", "--all"]).exits(0);
    let mut slow = Vec::new();
    for some in all.chunks(AT_ONCE) {
        std::thread::scope(|scope| {
            let bench = &bench;
            let tasks = some.iter().map(|(pair, places)| scope.spawn(move || twice(bench, pair, places)));
            let tasks: Vec<_> = tasks.collect();
            slow.extend(tasks.into_iter().filter_map(|task| task.join().unwrap_or(Some("a pair failed".into()))));
        });
    }
    assert!(slow.is_empty(), "{slow:?}");
    let lessons = bench.run(&["lessons", "--json"]).exits(0);
    let document: Value = serde_json::from_str(&lessons.out)?;
    assert_eq!(document["learned"].as_array().map(Vec::len), Some(count), "{}", lessons.out);
    Ok(())
}

/// The first time by a person's words, after what portoser knows was tried in vain; the second time by what was learned. Says what
/// is wrong when that was not much faster.
fn twice(bench: &Bench, pair: &Pair, [one, other]: &[Place<'_>; 2]) -> Option<String> {
    let healed = |ran: &Ran| {
        let document: Value =
            serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}: {}{}", ran.out, ran.err));
        let treated = document["treated"].as_array().cloned().unwrap_or_default();
        treated.into_iter().map(|one| one["remedy"].as_str().unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    one.breaks(bench, pair);
    let began = Instant::now();
    // Each pair has a journal of its own, as one remedy on a host at a time would make them wait for each other.
    let run = |words: &[&str]| bench.run_in(pair.name, words, &mut |_, _| {});
    run(&["heal", &one.name, "--json"]).exits(8);
    let words: Vec<String> = pair.words.iter().map(|word| one.text(bench, word)).collect();
    let mut all = vec!["fix", &one.name, "--json", "--"];
    all.extend(words.iter().map(String::as_str));
    let fixed = run(&all).exits(0);
    let first = began.elapsed();
    let fixed: Value = serde_json::from_str(&fixed.out).unwrap_or_else(|error| panic!("{error}: {}", fixed.out));
    let learned = fixed["learned"]["name"].as_str().unwrap_or_default().to_owned();
    assert!(!learned.is_empty(), "{fixed}");
    other.breaks(bench, pair);
    let began = Instant::now();
    let ran = run(&["heal", &other.name, "--json"]).exits(0);
    let second = began.elapsed();
    assert_eq!(healed(&ran), [learned], "{}{}", ran.out, ran.err);
    let times = first.as_secs_f64() / second.as_secs_f64();
    let (first, second) = (first.as_secs_f64(), second.as_secs_f64());
    eprintln!("lab: {}: {first:.1} s the first time, {second:.1} s the second, {times:.1} times as fast", pair.name);
    // Other trials make both slower by the same time, so that what is asked for is only asked for when nothing else runs.
    let wanted = if super::kit::full() { 3.0 } else { 1.0 };
    (times < wanted).then(|| format!("{}: {first:.1} s and {second:.1} s", pair.name))
}
