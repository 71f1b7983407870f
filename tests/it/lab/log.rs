//! A check of the log is about what was said since the start: neither a long log nor the release before changes its verdict.

use libtest_mimic::{Failed, Trial};

use super::docker::{chosen, image, side_by_side};
use super::kit::{Bench, Machine, PATIENCE, port, wait};
use super::reboot::Own;
use super::signals::Talk;
use super::{trial, usual, without_init};
use crate::fixture::mixed::SERVER;

pub fn trials() -> Vec<Trial> {
    vec![
        trial("a_log_check_is_about_this_start_under_systemd", |machines| all(&usual(&machines)[0])),
        trial("a_log_check_is_about_this_start_without_an_init_system", |machines| match without_init(&machines) {
            Some((one, _alone)) => all(&one),
            None => {
                eprintln!("skipped: lab::log: no host without an init system in this lab");
                Ok(())
            }
        }),
        trial("a_log_that_is_turned_over_is_not_bad", turned_over),
        trial("a_journal_that_dropped_its_oldest_lines_is_not_bad", dropped),
    ]
}

/// What a service said first is gone from the journal: that is unseen, a deploy leaves it alone, and what is said later is shown. It is
/// a host of this trial's own, as the journal is all services'.
fn dropped(_: Vec<Machine>) -> Result<(), Failed> {
    let own = Own::up();
    let one = &own.machine;
    let bench = Bench::new("dropped", std::slice::from_ref(one));
    let (name, told) = (format!("{}-one", bench.id), format!("/run/{}", bench.id));
    bench.registry(&format!(
        "  {name}:\n    type: native\n    host: {}\n    user: root\n    \
         run: [/bin/sh, -c, \"rm -f {told}; mkfifo {told}; echo ready; while :; do cat {told}; done\"]\n    \
         checks: [{{ log: '^ready$' }}]\n",
        one.name
    ));
    let say = |line: &str| one.inside(&format!("timeout 10 sh -c 'echo {line} >{told}'"));
    bench.run(&["deploy", "--all"]).exits(0);
    let mut follow = Talk::of(&bench, "state", &["logs", &name, "--follow"]);
    follow.says(&["ready"]);
    // The journal begins a new file, and the old ones go.
    let left =
        || one.inside("journalctl --rotate; journalctl --vacuum-files=1 2>&1; journalctl -o cat | grep -cx ready");
    wait("the line is dropped", PATIENCE, || left().trim_end().ends_with("\n0"));
    let status = bench.run(&["status"]).exits(4);
    assert!(status.out.contains("is not all since the start"), "{}", status.out);
    let again = bench.run(&["deploy", "--all"]).exits(0);
    assert!(again.err.contains("nothing to do"), "{}", again.err);
    // Who follows goes on, and who asks anew gets what is left.
    say("later");
    follow.says(&["later"]);
    follow.signal("INT");
    assert_eq!(follow.ends(PATIENCE), Some(130));
    let logs = bench.run(&["logs", &name]).exits(0);
    assert!(logs.out.contains("later") && !logs.out.contains("ready"), "{}", logs.out);
    // It starts anew, and all is there.
    bench.run(&["restart", &name]).exits(0);
    bench.run(&["status"]).exits(0);
    Ok(())
}

/// A container's log that is emptied when it is full takes the wanted line with it, and the service is left alone.
fn turned_over(machines: Vec<Machine>) -> Result<(), Failed> {
    side_by_side(&chosen(&machines, "bookworm"), |one| {
        image(one);
        let bench = Bench::new("turned", std::slice::from_ref(one));
        // It says much when it is told to.
        let run = "echo ready; while :; do sleep 0.2; [ ! -e /told ] || seq 200000; rm -f /told; done";
        bench.registry(&format!(
            "  {}-one:\n    type: docker\n    host: {}\n    image: trial/http:1\n    pull: never\n    \
             command: [/bin/sh, -c, \"{run}\"]\n    log: {{ max_size: 512KiB }}\n    stop: {{ signal: SIGKILL }}\n    \
             checks: [{{ log: '^ready$' }}]\n    deploy: {{ soak: 3s }}\n",
            bench.id, one.name
        ));
        let name = format!("{}-one", bench.id);
        bench.run(&["deploy", "--all"]).exits(0);
        bench.run(&["status"]).exits(0);
        bench.run(&["exec", &name, "--", "touch", "/told"]).exits(0);
        wait("its log is turned over", PATIENCE, || bench.run(&["status"]).code == Some(4));
        let status = bench.run(&["status"]).exits(4);
        assert!(status.out.contains("is not all since the start"), "{}", status.out);
        let again = bench.run(&["deploy", "--all"]).exits(0);
        assert!(again.err.contains("nothing to do"), "{}", again.err);
    })
}

/// The usual service; it says when it is ready, and much when it is asked to.
pub(super) fn talkative() -> String {
    let ready = "print('ready', sys.argv[1], flush=True)\nwhile True:";
    let noise = "asked = c.recv(4096)\n        if b'/noise' in asked: [print('noise', n, 'x' * 120) for n in range(6000)]; sys.stdout.flush()";
    SERVER.replacen("while True:", ready, 1).replacen("asked = c.recv(4096)", noise, 1)
}

fn all(one: &Machine) -> Result<(), Failed> {
    let bench = Bench::new("log", std::slice::from_ref(one));
    let port = port();
    std::fs::write(bench.at("server.py"), talkative())?;
    let write = |version: &str, line: &str| {
        let more = "    log: { lines: 100000, per: 1s }\n";
        let service = bench.service("one", &[&one.name], port, version, more);
        bench.registry(
            &service.replace("{ http: /health }", &format!("{{ http: /health }}, {{ log: '^ready {line}$' }}")),
        );
    };
    let name = format!("{}-one", bench.id);
    write("one", "one");
    bench.run(&["deploy", "--all"]).exits(0);
    // More than is read of it at all.
    let ask = format!(
        "python3 -c \"import urllib.request as u; u.urlopen('http://127.0.0.1:{port}/noise', timeout=30).read()\""
    );
    one.inside(&ask);
    wait("the noise in the log", PATIENCE, || bench.run(&["logs", &name, "-n", "5"]).out.contains("noise 5999"));
    let again = bench.run(&["deploy", "--all"]).exits(0);
    assert!(again.err.contains("nothing to do"), "{}", again.err);
    bench.run(&["status"]).exits(0);
    // What was never said in it is not known to be missing, and a healthy service is left alone.
    write("one", "never");
    let unseen = bench.run(&["status"]).exits(4);
    assert!(unseen.out.contains("is not all since the start"), "{}", unseen.out);
    // The release before said the line that is wanted of this one.
    write("two", "one");
    bench.run(&["deploy", "--all", "--no-auto-heal"]).exits(5);
    assert_eq!(bench.answer(one, port), "one");
    write("two", "two");
    bench.run(&["deploy", "--all"]).exits(0);
    bench.run(&["remove", &name, "--yes"]).exits(0);
    Ok(())
}
