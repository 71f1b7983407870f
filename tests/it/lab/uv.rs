//! What a host with uv installs packages from, beside a `uv.lock`: `requirements.txt` with the index that uv is told, an index of the
//! registry's, and a folder of wheels where no index can be reached.

use crate::fixture::wheel;

use super::kit::{Bench, Machine, port};

/// Answers the version of a package that is installed.
const SERVE: &str = r#"import importlib.metadata as m, http.server as h, os, sys
class H(h.BaseHTTPRequestHandler):
    def do_GET(s): s.send_response(200); s.end_headers(); s.wfile.write(m.version(sys.argv[1]).encode())
    def log_message(s, *a): pass
h.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), H).serve_forever()
"#;

/// Nobody listens there.
const NOWHERE: &str = "http://127.0.0.1:1/simple";

/// Deploys one service in each of these ways; the host has uv, and an index at this port.
pub(super) fn ways(bench: &Bench, machine: &Machine, index: u16) {
    let (port, name, index) = (port(), format!("{}-ways", bench.id), format!("http://127.0.0.1:{index}/simple"));
    std::fs::create_dir_all(bench.at("ways")).expect("a folder");
    std::fs::create_dir_all(bench.at("wheels")).expect("a folder");
    wheel::write(&bench.at("wheels"), "greet", "1.0");
    std::fs::write(bench.at("ways/serve.py"), SERVE).expect("the program");
    let deploy = |package: &str, version: &str, more: &str| {
        std::fs::write(bench.at("ways/requirements.txt"), format!("{package}=={version}\n")).expect("a list");
        bench.registry(&format!(
            "  {name}:\n    type: python\n    host: {}\n    source: ways\n    run: [python, ./serve.py, {package}]\n    \
             port: {port}\n    env: {{ PORT: \"${{PORT}}\" }}\n    checks: [{{ http: / }}]\n{more}",
            machine.name
        ));
        bench.run(&["deploy", &name, "--no-auto-heal"])
    };
    let elsewhere = format!("    build_env: {{ UV_DEFAULT_INDEX: \"{NOWHERE}\" }}\n");
    let wheels = format!("    wheels: wheels\n{elsewhere}");
    for (package, version, more) in [
        ("h11", "0.16.0", format!("    build_env: {{ UV_DEFAULT_INDEX: \"{index}\" }}\n")),
        ("idna", "3.10", format!("    index: {index}\n")),
        ("greet", "1.0", wheels.clone()),
    ] {
        deploy(package, version, &more).exits(0);
        assert_eq!(bench.answer(machine, port), version, "{more}");
        assert_eq!(bench.amiss(machine), "", "{more}");
        let by = format!("cat $(readlink -f {}/services/{name}/current)/.portoser/venv", bench.base());
        let by = format!(
            "cat {}/services/{name}/venvs/$({by} | sed -n 's/^id=//p')/lib/*/site-packages/{package}-*/INSTALLER",
            bench.base()
        );
        assert_eq!(machine.inside(&by).trim(), "uv", "{more}");
    }
    for more in [&wheels, &elsewhere] {
        let told = deploy("nowhere-to-be-had", "1.0", more).exits(5);
        assert!(told.err.contains("nowhere-to-be-had"), "{}", told.err);
        assert_eq!((bench.answer(machine, port), bench.amiss(machine)), ("1.0".into(), String::new()), "{more}");
    }
}

/// A project without a lock, and what can be chosen of it.
const PROJECT: &str = r#"[project]
name = "picky"
version = "1.0"
requires-python = ">=3.11"
dependencies = ["idna==3.10"]
[project.optional-dependencies]
fast = ["h11==0.16.0"]
slow = ["click==8.2.1"]
quick = ["Picky[fast]"]
[dependency-groups]
ops = ["sniffio==1.3.1"]
tools = ["annotated-types==0.7.0"]
"#;

/// Answers its interpreter, what of the project is installed, and two variables.
const SHOW: &str = r#"import importlib.metadata as m, http.server as h, os, sys
names = {d.metadata["Name"] for d in m.distributions()} & {"idna", "h11", "click", "sniffio", "annotated-types"}
told = ["%d.%d" % sys.version_info[:2], *sorted(names), os.environ["SEEN"], os.environ.get("PIP_INDEX_URL", "none")]
class H(h.BaseHTTPRequestHandler):
    def do_GET(s): s.send_response(200); s.end_headers(); s.wfile.write(" ".join(told).encode())
    def log_message(s, *a): pass
h.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), H).serve_forever()
"#;

/// Deploys a project by its `pyproject.toml` to each host, for the Python that it has: an extra and a group are chosen, and the index
/// that only the building is told is in no environment of the service.
pub(super) fn project(bench: &Bench, machines: &[Machine], index: u16) {
    std::fs::create_dir_all(bench.at("picky")).expect("a folder");
    std::fs::write(bench.at("picky/pyproject.toml"), PROJECT).expect("the project");
    std::fs::write(bench.at("picky/show.py"), SHOW).expect("the program");
    let index = format!("http://127.0.0.1:{index}/simple");
    let all: Vec<_> = machines
        .iter()
        .map(|machine| (machine, port(), if machine.image.starts_with("bookworm") { "3.11" } else { "3.13" }))
        .collect();
    let service = |(machine, port, python): &(&Machine, u16, &str)| {
        format!(
            "  {}-picky-{port}:\n    type: python\n    host: {}\n    source: picky\n    run: [python, ./show.py]\n    python: \"{python}\"\n    \
             extras: [quick]\n    groups: [ops]\n    port: {port}\n    env: {{ PORT: \"${{PORT}}\", SEEN: \"yes\" }}\n    checks: [{{ http: / }}]\n    \
             build_env: {{ PIP_INDEX_URL: \"{index}\", UV_DEFAULT_INDEX: \"{index}\" }}\n",
            bench.id, machine.name
        )
    };
    let write = |all: &[(&Machine, u16, &str)]| bench.registry(&all.iter().map(service).collect::<String>());
    write(&all);
    bench.run(&["deploy", "--all", "--no-auto-heal"]).exits(0);
    for (machine, port, python) in &all {
        let told = format!("{python} h11 idna sniffio yes none");
        assert_eq!(bench.answer(machine, *port), told, "{}", machine.name);
        assert_eq!(bench.amiss(machine), "", "{}", machine.name);
    }
    // What the project asks of its interpreter, and packages that only its build would name, are known before.
    for (from, to, told) in [
        (">=3.11", ">=3.99", "wants Python >=3.99"),
        ("dependencies = [\"idna==3.10\"]", "dynamic = [\"dependencies\"]", "leaves its dependencies to its build"),
    ] {
        std::fs::write(bench.at("picky/pyproject.toml"), PROJECT.replace(from, to)).expect("the project");
        let refused = bench.run(&["deploy", "--all"]).exits(9);
        assert!(refused.err.contains(told), "{}", refused.err);
    }
    std::fs::write(bench.at("picky/pyproject.toml"), PROJECT).expect("the project");
    // Only uv fetches an interpreter that a host does not have.
    write(&[(all[0].0, all[0].1, "3.8")]);
    let refused = bench.run(&["deploy", "--all"]).exits(9);
    assert!(refused.err.contains("3.8"), "{}", refused.err);
}
