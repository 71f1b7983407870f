//! Python services on real hosts, with packages that the trial makes itself: their virtual environments, and what a failing one
//! leaves alone.

use std::time::Duration;

use libtest_mimic::{Failed, Trial};

use crate::fixture::delay_proxy::DelayProxy;
use crate::fixture::sshd::command;
use crate::fixture::wheel;

use super::kit::{Bench, Machine, port};
use super::{kill, suites, trial, usual};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("python_comes_changes_fails_and_goes", life),
        trial("python_killed_anywhere_is_old_or_new_and_converges", killed),
        trial("python_from_git_with_one_changed_file_sends_that_file_and_makes_no_environment", little),
    ]
}

/// A service that tells the version of its package and its own, and is bad when its own begins so.
const APP: &str = r#"import os
from wsgiref.simple_server import WSGIServer, make_server
import greet
VERSION = "@VERSION@"
class Server(WSGIServer): allow_reuse_address = True
def app(env, start):
    bad = VERSION.startswith("bad") and env["PATH_INFO"] == "/health"
    start("503 Bad" if bad else "200 OK", [("Content-Type", "text/plain")])
    return [(VERSION if "ALONE" in os.environ else f"{VERSION} with {greet.VERSION}").encode()]
make_server("0.0.0.0", int(os.environ["PORT"]), app, Server).serve_forever()
"#;

/// The project of one service in a bench.
struct Project<'a> {
    bench: &'a Bench,
    port: u16,
}

impl Project<'_> {
    /// Writes source, lock and wheels: this version of the source with this one of its package.
    fn lay(&self, version: &str, package: &str) {
        let (app, wheels) = (self.bench.at("app"), self.bench.at("wheels"));
        for folder in [&app, &wheels] {
            std::fs::create_dir_all(folder).expect("a folder");
        }
        for version in ["1.0", "2.0"] {
            wheel::write(&wheels, "greet", version);
        }
        // As `python -m venv` leaves one here: it is not sent, and its links lead to this machine's interpreter.
        let venv = app.join(".venv/bin");
        if !venv.exists() {
            std::fs::create_dir_all(&venv).expect("a folder");
            std::fs::write(app.join(".venv/pyvenv.cfg"), "home = /usr/bin\n").expect("its settings");
            std::os::unix::fs::symlink("/usr/bin/python3", venv.join("python")).expect("a link");
        }
        std::fs::write(app.join("app.py"), APP.replace("@VERSION@", version)).expect("the source");
        std::fs::write(app.join("requirements.txt"), format!("greet=={package}\n")).expect("the lock");
    }

    /// The same, with the registry.
    fn write(&self, version: &str, package: &str, more: &str) {
        self.write_from("app", version, package, more);
    }

    fn write_from(&self, source: &str, version: &str, package: &str, more: &str) {
        self.lay(version, package);
        let hosts: Vec<&str> = self.bench.machines.iter().map(|one| one.name.as_str()).collect();
        let (id, hosts, port) = (&self.bench.id, hosts.join(", "), self.port);
        self.bench.registry(&format!(
            "  {id}-py:\n    type: python\n    hosts: [{hosts}]\n    source: {source}\n    wheels: wheels\n    port: {port}\n    \
             checks: [{{ http: /health }}]\n{more}"
        ));
    }

    /// What lies in a folder of the service on a host.
    fn lies(&self, machine: &Machine, folder: &str) -> Vec<String> {
        let found = machine.inside(&format!("ls {}/services/{}-py/{folder}", self.bench.base(), self.bench.id));
        found.lines().map(str::to_owned).collect()
    }
}

const RUN: &str = "    run: [python, ./app.py]\n";

fn life(machines: Vec<Machine>) -> Result<(), Failed> {
    // What runs once needs another host on which it does not.
    let machines = suites(&machines);
    let all = machines.len();
    let bench = Bench::new("py", &machines);
    let project = Project { bench: &bench, port: port() };
    let deploy = || bench.run(&["deploy", "--all", "--events"]);
    let answers = |want: &str| {
        for machine in &machines {
            assert_eq!(bench.answer(machine, project.port), want, "{}", machine.name);
            assert_eq!(bench.amiss(machine), "", "{}", machine.name);
        }
    };
    let once = format!(
        "{RUN}    user: plain\n    once: {{ run: [sh, -c, 'id -un >>${{SHARED_DIR}}/once; greet >>${{SHARED_DIR}}/once'] }}\n"
    );
    // Nobody else is touched when it fails, however many may fail or go first.
    project.write(
        "one",
        "1.0",
        &format!("{RUN}    once: {{ run: [\"false\"] }}\n    deploy: {{ canary: 2, max_fail: 1 }}\n"),
    );
    let failing = deploy().exits(5);
    assert_eq!((failing.ended("rolled-back"), failing.ended("not-touched")), (1, all - 1), "{}", failing.out);
    // Where the first host is out of service, it runs on the next one; and not again when that host comes back.
    project.write("one", "1.0", &once);
    bench.run(&["host", "cordon", &machines[0].name]).exits(0);
    let first = deploy().exits(0);
    assert_eq!(first.ended("committed"), all - 1);
    bench.run(&["host", "uncordon", &machines[0].name]).exits(0);
    let rest = deploy().exits(0);
    assert_eq!((rest.ended("committed"), rest.ended("nothing-to-do")), (1, all - 1), "{}", rest.out);
    answers("one with 1.0");
    assert_eq!(deploy().exits(0).ended("nothing-to-do"), all);
    let venvs: Vec<_> = machines.iter().map(|machine| project.lies(machine, "venvs")).collect();
    let made =
        |machine: &Machine| machine.inside(&format!("stat -c %Y-%i {}/services/*/venvs/*/bin/python", bench.base()));
    let before: Vec<_> = machines.iter().map(made).collect();
    project.write("two", "1.0", RUN);
    let plan = bench.run(&["plan"]).exits(0).out;
    assert!(plan.contains("~ app.py") && plan.contains("@@"), "{plan}");
    let change = deploy().exits(0);
    answers("two with 1.0");
    assert_eq!(
        machines.iter().map(made).collect::<Vec<_>>(),
        before,
        "a change of the source makes no virtual environment"
    );

    project.write("three", "9.9", RUN);
    let failing = deploy().exits(5);
    assert!(failing.out.contains("no version of `greet==9.9`"), "{}", failing.out);
    answers("two with 1.0");
    project.write("three", "2.0", "    run: [nobody, ./app.py]\n");
    let failing = deploy().exits(5);
    assert!(failing.out.contains("`nobody`"), "{}", failing.out);
    project.write("bad", "2.0", RUN);
    deploy().exits(5);
    answers("two with 1.0");
    project.write("four", "2.0", &once);
    deploy().exits(0);
    answers("four with 2.0");
    let back = bench.run(&["rollback", "--all"]).exits(0);
    assert!(back.err.contains("this goes back across `sh -c"), "{}", back.err);
    answers("two with 1.0");
    let said: Vec<_> =
        machines.iter().map(|one| one.inside(&format!("cat {}/services/*/shared/once", bench.base()))).collect();
    let ran = |number: usize| said.get(number).map_or("plain\n1.0\n", |said| said.as_str());
    assert_eq!(
        (ran(0), ran(1)),
        ("plain\n2.0\n", "plain\n1.0\n"),
        "once, by its user, with its programs, and not again when it comes back"
    );
    assert!(said.iter().skip(2).all(|said| said.contains("No such file")), "on no other host: {said:?}");
    let exec = bench
        .run(&[
            "exec",
            &format!("{}-py", bench.id),
            "--host",
            &machines[0].name,
            "--",
            "python",
            "-c",
            "import greet, sys; print(greet.VERSION, sys.prefix)",
        ])
        .exits(0);
    assert!(exec.out.contains("1.0 /opt/"), "{}", exec.out);

    machines[0].inside(&format!("cd {}/services/*/current/ && echo visits >db.sqlite3", bench.base()));
    project.write("five", "1.0", RUN);
    let leaving = deploy().exits(0);
    assert!(leaving.out.contains("which is not in force any more: db.sqlite3 (1 in all)"), "{}", leaving.out);
    bench.run(&["remove", "--all", "--yes"]).exits(0);
    let left = machines[0].inside(&format!("cat {}/services/*/left/*/db.sqlite3", bench.base()));
    assert_eq!(left, "visits\n", "what it wrote into its release outlives even its removal");
    for (machine, venvs) in machines.iter().zip(venvs) {
        assert_eq!(venvs.len(), 1, "{venvs:?}");
        assert!(project.lies(machine, "").iter().all(|left| ["shared", "left"].contains(&left.as_str())));
    }
    eprintln!("lab: python: first deploy on {all} hosts {:?}, one changed file {:?}", first.took, change.took);
    Ok(())
}

/// How many points of each kind an ordinary run kills at: a virtual environment takes its time.
const SAMPLE: usize = 2;

/// A Python service, and a native one that needs it. In the whole table every fourth version has another virtual environment.
fn killed(machines: Vec<Machine>) -> Result<(), Failed> {
    let service: kill::Service = |bench, name, host, port, version, more| {
        if name == "b" {
            return bench.service(name, &[host], port, version, more);
        }
        Project { bench, port }.lay(version, "1.0");
        let number: usize = version.trim_start_matches('v').parse().expect("a number");
        format!(
            "  {}-{name}:\n    type: python\n    host: {host}\n    source: app\n    wheels: wheels\n    port: {port}\n    \
             checks: [{{ http: /health }}]\n    env: {{ ALONE: \"1\" }}\n    build_env: {{ VERSION: \"{}\" }}\n{RUN}{more}",
            bench.id,
            if super::kit::full() { number / 4 } else { 0 }
        )
    };
    let machines = usual(&machines);
    let few = if super::kit::full() { &machines[..] } else { &machines[..1] };
    kill::all(few, service, |_, _| {}, SAMPLE)
}

fn little(machines: Vec<Machine>) -> Result<(), Failed> {
    let machines = &usual(&machines)[..1];
    let machine = &machines[0];
    let world = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let target = format!("{}:{}", machine.address, machine.port).parse()?;
    let proxy = world.block_on(DelayProxy::start(target, Duration::ZERO));
    let mut bench = Bench::new("pyl", machines);
    bench.through(machine, proxy.port());
    let project = Project { bench: &bench, port: port() };
    std::fs::create_dir_all(bench.at("app/lib"))?;
    // What no compression makes smaller.
    let mut seed = 1_u64;
    let mut noise = |_| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (seed >> 33) as u8
    };
    for (name, size) in [("app/lib/-a file", 500_000), ("app/data", 500_000), ("app/lib/b\\c", 10)] {
        std::fs::write(bench.at(name), (0..size).map(&mut noise).collect::<Vec<_>>())?;
    }
    // The last commit of a repository.
    let deploy = |version: &str| {
        project.write_from("{ git: app, ref: main }", version, "1.0", RUN);
        let script = "git init -q -b main; git add -A; git -c user.name=t -c user.email=t@t.invalid commit -qm t";
        let done = command("sh").args(["-ec", script]).current_dir(bench.at("app")).env("HOME", bench.at("")).output();
        assert!(done.as_ref().is_ok_and(|done| done.status.success()), "{done:?}");
        let deploy =
            bench.command_in("state", &["deploy", "--all"]).env("PATH", "/usr/local/bin:/usr/bin:/bin").output();
        assert!(deploy.as_ref().is_ok_and(|deploy| deploy.status.success()), "{deploy:?}");
    };
    deploy("v0");
    let first = proxy.bytes();
    let marker = || machine.inside(&format!("stat -c %i-%Z {}/services/*/venvs/*/.portoser-complete", bench.base()));
    let made = marker();
    let before = proxy.bytes();
    deploy("v1");
    let sent = proxy.bytes() - before;
    assert_eq!(bench.answer(machine, project.port), "v1 with 1.0");
    assert_eq!(marker(), made, "no virtual environment was made");
    assert_eq!(bench.amiss(machine), "", "what was copied on the host is as the manifest says");
    eprintln!(
        "lab: python: first deploy {first} bytes, one changed file {sent} bytes over the link (the file has {})",
        APP.len()
    );
    assert!(sent < 100_000, "{sent} bytes");
    Ok(())
}
