//! Ctrl-C, as real signals: who only looks is gone at once, who waits for a host gives up its place, and nothing that a verb began
//! on a host runs on.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::process::Child;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use libtest_mimic::{Failed, Trial};

use super::kit::{Bench, Machine, PATIENCE, port, wait};
use super::{trial, usual};
use crate::fixture::sshd::command;

pub fn trials() -> Vec<Trial> {
    vec![
        trial("ctrl_c_ends_a_verb_that_looks", looking),
        trial("ctrl_c_ends_a_wait_for_a_host_and_a_deploy_says_so", waiting),
        trial("ctrl_c_once_undoes_on_every_host_and_twice_leaves_that_to_them", twice),
        trial("ctrl_c_ends_the_words_on_the_host", words),
    ]
}

/// "At once", on a machine that does much else.
const AT_ONCE: Duration = Duration::from_secs(6);

/// The binary, and what it says on both ways, line by line.
pub(super) struct Talk {
    child: Child,
    lines: Receiver<String>,
    pub(super) said: Vec<String>,
}

impl Talk {
    pub(super) fn of(bench: &Bench, state: &str, words: &[&str]) -> Self {
        let mut child = bench.command_in(state, words).spawn().expect("portoser starts");
        let (tell, lines) = channel();
        for pipe in [
            Box::new(child.stdout.take().expect("a pipe")) as Box<dyn std::io::Read + Send>,
            Box::new(child.stderr.take().expect("a pipe")),
        ] {
            let tell = tell.clone();
            std::thread::spawn(move || {
                for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                    let _ = tell.send(line);
                }
            });
        }
        Self { child, lines, said: Vec::new() }
    }

    /// Waits until it says one of these.
    #[track_caller]
    pub(super) fn says(&mut self, parts: &[&str]) -> String {
        let until = Instant::now() + PATIENCE;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let line = self.lines.recv_timeout(left).unwrap_or_else(|_| panic!("no {parts:?}: {:#?}", self.said));
            self.said.push(line.clone());
            if parts.iter().any(|part| line.contains(part)) {
                return line;
            }
        }
    }

    pub(super) fn signal(&self, name: &str) {
        let sent = command("kill").args(["-s", name, &self.child.id().to_string()]).status();
        assert!(sent.expect("kill").success());
    }

    /// Waits for its end, which must come soon; the exit code.
    #[track_caller]
    pub(super) fn ends(&mut self, within: Duration) -> Option<i32> {
        let mut code = None;
        wait("its end", within, || {
            code = self.child.try_wait().expect("a child");
            code.is_some()
        });
        self.said.extend(self.lines.iter());
        code.and_then(|code| code.code())
    }
}

fn looking(machines: Vec<Machine>) -> Result<(), Failed> {
    let machines = &usual(&machines)[..1];
    let mut bench = Bench::new("sig", machines);
    // It takes connections, and never says a word.
    let mute = TcpListener::bind("127.0.0.1:0")?;
    mute.set_nonblocking(true)?;
    bench.through(&machines[0], mute.local_addr()?.port());
    bench.registry(&bench.service("one", &[&machines[0].name], port(), "one", ""));
    let (host, service) = (machines[0].name.clone(), format!("{}-one", bench.id));
    let verbs: &[&[&str]] = &[
        &["plan"],
        &["status"],
        &["host", "check"],
        &["host", "trust", &host],
        &["diagnose"],
        &["discover", &host],
        &["logs", &service],
        &["exec", &service, "--", "true"],
        &["run", "--all", "--", "true"],
        &["ssh", &host, "--", "true"],
        &["history", "--from-hosts"],
        &["deploy", "--all"],
        &["stop", &service],
        &["rollback", &service],
    ];
    for verb in verbs {
        let mut talk = Talk::of(&bench, "state", verb);
        let mut taken = None;
        wait("it asks for the host", PATIENCE, || {
            taken = mute.accept().ok();
            taken.is_some()
        });
        let began = Instant::now();
        talk.signal("INT");
        let code = talk.ends(AT_ONCE);
        assert_eq!(code, Some(130), "{verb:?}: {:#?}", talk.said);
        eprintln!("lab: ctrl-c of `{}`: {} ms", verb.join(" "), began.elapsed().as_millis());
    }
    Ok(())
}

fn waiting(machines: Vec<Machine>) -> Result<(), Failed> {
    let machines = &usual(&machines)[..1];
    let one = &machines[0];
    let bench = Bench::new("sigwait", machines);
    let soak = "    deploy: { soak: 2m }\n";
    let both = ["a", "b"].map(|name| bench.service(name, &[&one.name], port(), "one", soak));
    bench.registry(&both.concat());
    let name = |end: &str| format!("{}-{end}", bench.id);
    // Both look before one of them has the lock, and the other waits for it.
    let mut talks = ["a", "b"].map(|end| Talk::of(&bench, end, &["deploy", &name(end), "--events", "--no-auto-heal"]));
    let waits = talks.each_mut().map(|talk| {
        let first = talk.says(&["\"event\":\"waiting\"", "\"event\":\"soaking\""]);
        first.contains("waiting")
    });
    let (mut waiting, mut soaking) = match (waits, talks) {
        ([true, false], [a, b]) => (a, b),
        ([false, true], [a, b]) => (b, a),
        (both, _) => panic!("one waits, the other soaks: {both:?}"),
    };
    let began = Instant::now();
    waiting.signal("INT");
    assert_eq!(waiting.ends(AT_ONCE), Some(130), "{:#?}", waiting.said);
    eprintln!("lab: ctrl-c of a wait for a host: {} ms", began.elapsed().as_millis());
    let queue = || one.inside(&format!("ls {}/queue", bench.base()));
    assert_eq!(queue(), "", "its place in the queue is given up");
    soaking.signal("INT");
    soaking.says(&["stopping: the step in hand is finished or undone"]);
    let code = soaking.ends(PATIENCE);
    assert_eq!(code, Some(130), "{:#?}", soaking.said);
    let left = one.inside(&format!("cd {}; ls queue services 2>/dev/null; ls runs/*/end | wc -l", bench.base()));
    assert_eq!(left.split_whitespace().next_back(), Some("2"), "both runs have an end: {left}");
    assert!(!left.contains(&bench.id), "what came is gone again: {left}");
    Ok(())
}

fn twice(machines: Vec<Machine>) -> Result<(), Failed> {
    let machines = &usual(&machines)[1..3];
    let (bench, port) = (Bench::new("sigtwice", machines), port());
    let hosts: Vec<&str> = machines.iter().map(|one| one.name.as_str()).collect();
    let write = |version: &str, soak: &str| {
        let more = format!("    deploy: {{ canary: 2, soak: {soak} }}\n");
        bench.registry(&bench.service("one", &hosts, port, version, &more));
    };
    write("old", "200ms");
    bench.run(&["deploy", "--all"]).exits(0);
    for (signals, version) in [(1, "new"), (2, "newer")] {
        write(version, "2m");
        let mut talk = Talk::of(&bench, "state", &["deploy", "--all", "--events"]);
        for _ in machines {
            talk.says(&["\"event\":\"soaking\""]);
        }
        machines.iter().for_each(|one| assert_eq!(bench.answer(one, port), version));
        talk.signal("INT");
        talk.says(&["stopping: the step in hand is finished or undone"]);
        if signals == 2 {
            talk.signal("INT");
        }
        let code = talk.ends(if signals == 2 { AT_ONCE } else { PATIENCE });
        assert_eq!(code, Some(130), "{:#?}", talk.said);
        let back = |one: &Machine| bench.answer(one, port) == "old" && bench.amiss(one).is_empty();
        for one in machines {
            // Whoever was left alone notices it by himself.
            wait("it is as it was", if signals == 2 { PATIENCE } else { Duration::from_secs(5) }, || back(one));
        }
        let left = talk.said.iter().any(|line| line.contains("the hosts settle by themselves"));
        assert_eq!(left, signals == 2, "{:#?}", talk.said);
    }
    Ok(())
}

fn words(machines: Vec<Machine>) -> Result<(), Failed> {
    let machines = &usual(&machines)[..1];
    let one = &machines[0];
    let bench = Bench::new("sigwords", machines);
    let port = port();
    bench.registry(&bench.service("one", &[&one.name], port, "one", ""));
    bench.run(&["deploy", "--all"]).exits(0);
    let (host, service) = (one.name.clone(), format!("{}-one", bench.id));
    // Each sleeps for a time of its own, so that it can be told from those of other trials.
    let times = [0, 1, 2].map(|number| (90_000 + u32::from(port) * 3 + number).to_string());
    let unit = format!("portoser-{service}.service");
    let verbs: &[(&[&str], String)] = &[
        (&["run", "--host", &host, "--", "sleep", &times[0]], format!("sleep {}", times[0])),
        (&["ssh", &host, "--", "sleep", &times[1]], format!("sleep {}", times[1])),
        (&["exec", &service, "--", "sleep", &times[2]], format!("sleep {}", times[2])),
        (&["logs", "--follow", &service], format!("journalctl.*{unit}")),
    ];
    for (verb, shows) in verbs {
        let runs = || !one.inside(&format!("pgrep -f '^{shows}'")).trim().is_empty();
        let mut talk = Talk::of(&bench, "state", verb);
        wait("it runs on the host", PATIENCE, runs);
        let began = Instant::now();
        talk.signal("INT");
        assert_eq!(talk.ends(AT_ONCE), Some(130), "{verb:?}: {:#?}", talk.said);
        eprintln!("lab: ctrl-c of `{}`: {} ms", verb[0], began.elapsed().as_millis());
        assert!(!runs(), "{verb:?}: it runs on");
    }
    Ok(())
}
