//! What a person is asked and told by verbs that go to real hosts: approvals, words that take too long, a session through a jump
//! host.

use std::io::Write as _;
use std::process::Stdio;

use libtest_mimic::{Failed, Trial};

use super::kit::{Bench, Machine, port};
use super::{pair, trial, usual};
use crate::fixture::terminal::Terminal;

pub fn trials() -> Vec<Trial> {
    vec![
        trial("what_is_protected_is_asked_about_only_when_it_changes", protected),
        trial("the_password_of_sudo_is_asked_once", password),
        trial("words_that_take_too_long_are_told_as_such", overdue),
        trial("a_session_goes_through_a_jump_host_with_its_own_key", session),
    ]
}

fn protected(machines: Vec<Machine>) -> Result<(), Failed> {
    let machines = &usual(&machines)[..1];
    let bench = Bench::new("protected", machines);
    let port = port();
    let write = |version: &str, more: &str, rest: &str| {
        bench.registry(&(bench.service("one", &[&machines[0].name], port, version, more) + rest));
    };
    let name = format!("{}-one", bench.id);
    let environment = "environments: { live: { protected: true } }\n";
    write("one", "", environment);
    let deploy = ["--env", "live", "deploy", "--all"];
    let refused = bench.run(&deploy).exits(9);
    assert!(refused.err.contains("`live` is protected") && refused.err.contains("--approve live"), "{}", refused.err);
    assert_eq!(bench.answer(&machines[0], port), "", "nothing was touched");
    bench.run(&["--env", "live", "deploy", "--all", "--approve", "another"]).exits(9);
    let asked = || Terminal::start(&bench.command_in("state", &deploy));
    asked().shows("`live` is protected; type its name to go on").types("lively\n").ends(9);
    assert_eq!(bench.answer(&machines[0], port), "", "nothing was touched");
    asked().shows("type its name to go on").types("live\n").ends(0);
    assert_eq!(bench.answer(&machines[0], port), "one");
    // Nothing moves, and nothing is asked; whoever wants to change it is asked again.
    bench.run(&deploy).exits(0);
    bench.run(&["--env", "live", "plan", "--all"]).exits(0);
    bench.run(&["--env", "live", "restart", &name]).exits(9);
    bench.run(&["--env", "live", "deploy", "--all", "--approve", "live"]).exits(0);
    // A protected service, in no environment.
    write("two", "    protected: true\n", "");
    let refused = bench.run(&["deploy", "--all"]).exits(9);
    assert!(refused.err.contains(&format!("--approve {name}")), "{}", refused.err);
    assert_eq!(bench.answer(&machines[0], port), "one");
    bench.run(&["deploy", "--all", "--approve", &name]).exits(0);
    assert_eq!(bench.answer(&machines[0], port), "two");
    bench.run(&["deploy", "--all"]).exits(0);
    Ok(())
}

/// It is asked for before any host is reached, once for all of them, and not shown.
fn password(machines: Vec<Machine>) -> Result<(), Failed> {
    let machines = &pair(&machines)[..];
    let mut bench = Bench::new("sudo", machines);
    bench.user = "asks".into();
    let port = port();
    bench.registry(&bench.service("one", &[&machines[0].name, &machines[1].name], port, "one", ""));
    let terminal = |words: &[&str]| Terminal::start(&bench.command_in("state", words));
    let question = "password for sudo";
    let deploy = ["--ask-become-pass", "deploy", "--all"];
    let said = terminal(&deploy).shows(question).hides("wrong\n").ends(4);
    assert!(said.contains("not accepted"), "{said}");
    let said = terminal(&deploy).shows(question).hides("lab-password\n").ends(0);
    assert!(said.matches("[hidden]").count() == 1 && !said.contains("lab-password"), "{said}");
    for machine in machines {
        assert_eq!(bench.answer(machine, port), "one");
    }
    let said = terminal(&["status"]).ends(4);
    assert!(said.contains("use --ask-become-pass"), "{said}");
    // Where nobody can be asked, that is said.
    let nobody = bench.run(&deploy).exits(10);
    assert!(nobody.err.contains("there is no terminal to ask on"), "{}", nobody.err);
    Ok(())
}

fn overdue(machines: Vec<Machine>) -> Result<(), Failed> {
    let machines = &usual(&machines)[..1];
    let one = &machines[0];
    let bench = Bench::new("overdue", machines);
    let port = port();
    bench.registry(&bench.service("one", &[&one.name], port, "one", ""));
    bench.run(&["deploy", "--all"]).exits(0);
    let times = [0, 1].map(|number| (80_000 + u32::from(port) * 2 + number).to_string());
    let run = bench.run(&["run", "--all", "--timeout", "1s", "--", "sleep", &times[0]]).exits(5);
    assert!(run.out.contains(" s, and was ended") && !run.out.contains("unreachable"), "{}", run.out);
    let service = format!("{}-one", bench.id);
    let exec = bench.run(&["exec", &service, "--timeout", "1s", "--", "sleep", &times[1]]).exits(5);
    assert!(exec.err.contains("ran longer than 1 s, and was ended"), "{}", exec.err);
    for time in &times {
        assert_eq!(one.inside(&format!("pgrep -f '^sleep {time}'")), "", "it runs on");
    }
    Ok(())
}

fn session(machines: Vec<Machine>) -> Result<(), Failed> {
    let [hop, one] = &pair(&machines)[..] else { return Err("two hosts are needed".into()) };
    let mut bench = Bench::new("session", &[hop.clone(), one.clone()]);
    // On the hop, the lab's addresses are its own; hosts know each other by those of their containers.
    bench.doors.insert(one.name.clone(), (one.container_address.clone(), 22));
    bench.know();
    bench.registry(&bench.service("one", &[&one.name], port(), "one", ""));
    // The key is known by the registry alone, for both, and the hop is reached by a host of its own.
    let text = std::fs::read_to_string(bench.at("registry.yml"))?;
    let (address, port) = &bench.doors[&one.name];
    let plain = format!("{}: {{ address: {address}, port: {port} }}", one.name);
    let jumps = format!("{}: {{ address: {address}, port: {port}, jump: {} }}", one.name, hop.name);
    assert!(text.contains(&plain), "{text}");
    std::fs::write(bench.at("registry.yml"), text.replace(&plain, &jumps))?;
    let mut ssh = bench.command_in("state", &["ssh", &one.name]);
    let mut child = ssh.stdin(Stdio::piped()).spawn()?;
    child.stdin.take().expect("a pipe").write_all(b"hostname; exit 7\n")?;
    let output = child.wait_with_output()?;
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(7), "{said}");
    let ours = one.inside("hostname");
    assert!(said.contains(ours.trim()), "{said}, not {ours}");
    Ok(())
}
