//! What a native service has proven, for Python: the making of a virtual environment that is left alone, is told to stop, or finds
//! no room; a wheel as the source; hostile values; and many at once.

use std::time::Duration;

use libtest_mimic::{Failed, Trial};
use serde_json::{Map, Value, json};

use crate::fixture::sshd::command;
use crate::fixture::{mixed, wheel};

use super::injection::{ECHO, carried, written};
use super::kit::{Bench, Machine, PATIENCE, port, wait};
use super::{table, trial, usual};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("a_virtual_environment_that_nobody_waits_for_is_not_made_to_its_end", alone),
        trial("a_virtual_environment_that_finds_no_room_leaves_the_old_version", full),
        trial("hostile_values_reach_a_python_service_exactly", injection),
        trial("many_python_deploys_at_once_are_serial", many),
    ]
}

/// A service of `mixed`'s program, whose first word is its version.
fn service(bench: &Bench, name: &str, host: &str, port: u16, version: &str, more: &str) -> String {
    if !bench.at("app").exists() {
        mixed::write(&bench.at(""));
    }
    format!(
        "  {}-{name}:\n    type: python\n    host: {host}\n    source: app\n    run: [python, ./server.py, \"{version}\"]\n    \
         port: {port}\n    env: {{ PORT: \"${{PORT}}\" }}\n    checks: [{{ http: /health }}]\n{more}",
        bench.id
    )
}

/// The index accepts a connection and never says a word, so that pip waits.
fn alone(machines: Vec<Machine>) -> Result<(), Failed> {
    let machines = &usual(&machines)[..1];
    let machine = &machines[0];
    let bench = Bench::new("alone", machines);
    let (port, silent, id) = (port(), port(), bench.id.clone());
    let write = |version: &str, more: &str| bench.registry(&service(&bench, "one", &machine.name, port, version, more));
    write("one", "");
    bench.run(&["deploy", "--all", "--no-auto-heal"]).exits(0);
    let venvs = || machine.inside(&format!("ls {}/services/{id}-one/venvs", bench.base()));
    let before = venvs();
    machine.inside(&format!(
        "setsid python3 -c 'import socket, time; s = socket.create_server((\"127.0.0.1\", {silent})); time.sleep(300)' \
         >/dev/null 2>&1 </dev/null & echo $! >/run/{id}.pid"
    ));
    std::fs::write(bench.at("app/requirements.txt"), "nothing-here==1.0\n")?;
    write("two", &format!("    index: http://127.0.0.1:{silent}/simple\n"));
    for (signal, codes) in [("-KILL", [None, None]), ("-INT", [Some(130), Some(5)])] {
        let child = bench.command_in("state", &["deploy", "--all", "--events", "--no-auto-heal"]).spawn()?;
        let asks = format!("pgrep -f '{id}.*[p]ip install'");
        wait("pip asks the index", 3 * PATIENCE, || !machine.inside(&asks).trim().is_empty());
        command("kill").args([signal, &child.id().to_string()]).status()?;
        let output = child.wait_with_output()?;
        assert!(codes.contains(&output.status.code()), "{signal}: {output:?}");
        // Not within the fifteen minutes that making one may take.
        let lives = format!("cd {}/runs && for r in *; do [ -e $r/end ] || echo lives; done", bench.base());
        wait("the host settles", Duration::from_secs(30), || !machine.inside(&lives).contains("lives"));
        assert_eq!((venvs(), bench.answer(machine, port)), (before.clone(), "one".into()), "after {signal}");
        assert_eq!(bench.amiss(machine), "", "after {signal}");
    }
    machine.inside(&format!("kill $(cat /run/{id}.pid); rm /run/{id}.pid"));
    std::fs::write(bench.at("app/requirements.txt"), "")?;
    write("two", "");
    bench.run(&["deploy", "--all", "--no-auto-heal"]).exits(0);
    assert_eq!(bench.answer(machine, port), "two");
    Ok(())
}

/// A base folder in which a release fits, and an environment does not.
fn full(machines: Vec<Machine>) -> Result<(), Failed> {
    let machines = &usual(&machines)[..1];
    let machine = &machines[0];
    let bench = Bench::new("room", machines);
    let (port, base) = (port(), bench.base());
    machine.inside(&format!("mkdir -p {base} && mount -t tmpfs -o size=100m,mode=755 none {base}"));
    bench.registry(&service(&bench, "one", &machine.name, port, "one", ""));
    bench.run(&["deploy", "--all", "--no-auto-heal"]).exits(0);
    let used = machine.inside(&format!("df -k --output=used {base} | tail -n 1"));
    let size = used.trim().parse::<u32>()? + 3_000;
    machine.inside(&format!("mount -o remount,size={size}k {base}"));
    // A wheel as the source has an environment of its own.
    wheel::write(&bench.at(""), "greet", "1.0");
    let text = service(&bench, "one", &machine.name, port, "two", "")
        .replace("source: app", "source: greet-1.0-py3-none-any.whl");
    bench.registry(&text.replace("./server.py", "-c, \"import greet, http.server as h, os, sys\\nsys.argv = ['x', os.environ['PORT']]\\n\
        class H(h.BaseHTTPRequestHandler):\\n  def do_GET(s): s.send_response(200); s.end_headers(); s.wfile.write(greet.VERSION.encode())\\n\
        h.HTTPServer(('127.0.0.1', int(os.environ['PORT'])), H).serve_forever()\""));
    let ran = bench.run(&["deploy", "--all", "--no-auto-heal"]).exits(5);
    assert!(ran.err.contains("is full") && ran.err.contains("hint: see `df -h`"), "{}", ran.err);
    assert_eq!(bench.answer(machine, port), "one", "what runs was not touched");
    machine.inside(&format!("mount -o remount,size=200m {base}"));
    assert_eq!(bench.amiss(machine), "");
    bench.run(&["deploy", "--all", "--no-auto-heal"]).exits(0);
    assert_eq!(bench.answer(machine, port), "1.0", "from the wheel");
    Ok(())
}

fn injection(machines: Vec<Machine>) -> Result<(), Failed> {
    let bench = Bench::new("wildpy", &usual(&machines)[..1]);
    let machine = &bench.machines[0];
    mixed::write(&bench.at(""));
    std::fs::write(bench.at("app/echo.py"), ECHO)?;
    let all = carried(&bench, "app", &["python", "./echo.py"], |values| {
        let build: Map<String, Value> =
            values.iter().take(200).enumerate().map(|(number, value)| (format!("B{number}"), written(value))).collect();
        let script = "import sys; open('${SHARED_DIR}/once', 'w').write('\\0'.join(sys.argv[1:]))";
        let begin = [json!("python"), json!("-c"), json!(script)];
        let once: Vec<Value> = begin.into_iter().chain(values.iter().map(|value| written(value))).collect();
        json!({ "type": "python", "build_env": build, "once": { "run": once } })
    })?;
    let said = machine.inside(&format!("cat {}/services/*/shared/once", bench.base()));
    let said: Vec<&str> = said.split('\0').collect();
    assert!(said.len() >= 200 && said.iter().all(|word| all.iter().any(|value| value == word)), "{} words", said.len());
    Ok(())
}

fn many(machines: Vec<Machine>) -> Result<(), Failed> {
    let machine = &usual(&machines)[0];
    if std::env::var_os("PORTOSER_LAB_FULL").is_none() {
        return table::short(machine, service, |_, _| {});
    }
    table::full_disk(machine, service)?;
    table::at_once(machine, service, |_, _| {}, 20)
}
