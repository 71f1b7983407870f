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
