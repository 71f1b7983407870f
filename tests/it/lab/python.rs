//! Python services on real hosts, with packages that the trial makes itself: their virtual environments, and what a failing one
//! leaves alone.

use libtest_mimic::{Failed, Trial};

use crate::fixture::wheel;

use super::kit::{Bench, Machine, port};
use super::{trial, usual};

pub fn trials() -> Vec<Trial> {
    vec![trial("python_comes_changes_fails_and_goes", life)]
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
    return [f"{VERSION} with {greet.VERSION}".encode()]
make_server("127.0.0.1", int(os.environ["PORT"]), app, Server).serve_forever()
"#;

/// The project of one service in a bench.
pub(super) struct Project<'a> {
    pub bench: &'a Bench,
    pub port: u16,
}

impl Project<'_> {
    /// Writes source, lock and registry: this version of the source with this one of its package.
    pub fn write(&self, version: &str, package: &str, more: &str) {
        let (app, wheels) = (self.bench.at("app"), self.bench.at("wheels"));
        for folder in [&app, &wheels] {
            std::fs::create_dir_all(folder).expect("a folder");
        }
        for version in ["1.0", "2.0"] {
            wheel::write(&wheels, "greet", version);
        }
        std::fs::write(app.join("app.py"), APP.replace("@VERSION@", version)).expect("the source");
        std::fs::write(app.join("requirements.txt"), format!("greet=={package}\n")).expect("the lock");
        let hosts: Vec<&str> = self.bench.machines.iter().map(|one| one.name.as_str()).collect();
        let (id, hosts, port) = (&self.bench.id, hosts.join(", "), self.port);
        self.bench.registry(&format!(
            "  {id}-py:\n    type: python\n    hosts: [{hosts}]\n    source: app\n    wheels: wheels\n    port: {port}\n    \
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
    let machines = usual(&machines);
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
    project.write("one", "1.0", &once);
    let first = deploy().exits(0);
    assert_eq!(first.ended("committed"), all);
    answers("one with 1.0");
    assert_eq!(deploy().exits(0).ended("nothing-to-do"), all);
    let venvs: Vec<_> = machines.iter().map(|machine| project.lies(machine, "venvs")).collect();
    let made =
        |machine: &Machine| machine.inside(&format!("stat -c %Y-%i {}/services/*/venvs/*/bin/python", bench.base()));
    let before: Vec<_> = machines.iter().map(made).collect();
    project.write("two", "1.0", RUN);
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
    project.write("four", "2.0", RUN);
    deploy().exits(0);
    answers("four with 2.0");
    bench.run(&["rollback", "--all"]).exits(0);
    answers("two with 1.0");
    let said: Vec<_> =
        machines.iter().map(|one| one.inside(&format!("cat {}/services/*/shared/once", bench.base()))).collect();
    assert_eq!(said[0], "plain\n1.0\n", "once, by its user, with its programs, and not again when it comes back");
    assert!(said[1..].iter().all(|said| said.contains("No such file")), "on the first host only: {said:?}");
    let exec = bench
        .run(&[
            "exec",
            &format!("{}-py", bench.id),
            "--",
            "python",
            "-c",
            "import greet, sys; print(greet.VERSION, sys.prefix)",
        ])
        .exits(0);
    assert!(exec.out.contains("1.0 /opt/"), "{}", exec.out);

    bench.run(&["remove", "--all", "--yes"]).exits(0);
    for (machine, venvs) in machines.iter().zip(venvs) {
        assert_eq!(venvs.len(), 1, "{venvs:?}");
        assert!(project.lies(machine, "").iter().all(|left| left == "shared"));
    }
    eprintln!("lab: python: first deploy on {all} hosts {:?}, one changed file {:?}", first.took, change.took);
    Ok(())
}
