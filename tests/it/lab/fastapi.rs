//! FastAPI under uvicorn, from a real `uv.lock`, on a host with uv and on one that has only pip. The packages are the real ones, and
//! each host is asked for them by an index of its own, as no host of the lab reaches the internet.

use libtest_mimic::{Failed, Trial};

use crate::fixture::sshd::command;

use super::kit::{Bench, Machine, PATIENCE, port, wait};
use super::{trial, uv};

pub fn trials() -> Vec<Trial> {
    vec![trial("fastapi_runs_from_uv_lock_with_uv_and_with_pip_only", fastapi)]
}

fn fastapi(machines: Vec<Machine>) -> Result<(), Failed> {
    let of = |image: &str| machines.iter().find(|one| one.image == image).cloned();
    let (Some(pip), Some(uv)) = (of("bookworm"), of("trixie-session")) else {
        return Err("the lab has no bookworm or no trixie-session".into());
    };
    let machines = [pip, uv];
    let bench = Bench::new("fast", &machines);
    let (port, index) = (port(), port());
    let _indexes: Vec<Index> = std::thread::scope(|scope| {
        let all = machines.iter().map(|machine| scope.spawn(|| Index::new(&bench, machine, index)));
        let all: Vec<_> = all.collect();
        all.into_iter().map(|one| one.join().expect("an index")).collect()
    });
    machines[1].inside(&format!(
        "cd /opt/{id} && python3 -m zipfile -e files/uv-*.whl uv && install uv/*/scripts/uv /usr/local/bin/uv",
        id = bench.id
    ));
    lay(&bench, index);
    bench.registry(&service(&bench, port, index));
    let answers = |want: &str| {
        for machine in &machines {
            assert_eq!(bench.answer(machine, port), want, "{}", machine.name);
            assert_eq!(bench.amiss(machine), "", "{}", machine.name);
        }
    };
    let deploy = || bench.run(&["deploy", "--all", "--events"]);
    let first = deploy().exits(0);
    answers("one on 0.115.12");
    let inside = |machine: &Machine, script: &str| {
        machine.inside(&format!("cd {}/services/{}-api/venvs/*/ && {script}", bench.base(), bench.id))
    };
    for (machine, by) in machines.iter().zip(["pip", "uv"]) {
        let said = inside(machine, "cat lib/*/site-packages/fastapi-*/INSTALLER; ls bin");
        assert!(said.starts_with(by) && !said.contains("\nuv\n"), "by {by}, without the group: {said}");
    }
    assert_eq!(deploy().exits(0).ended("nothing-to-do"), 2);
    let made = |machine: &Machine| inside(machine, "stat -c %i .portoser-complete");
    let before: Vec<_> = machines.iter().map(made).collect();
    edit(&bench, "api/api.py", "\"one\"", "\"two\"");
    let change = deploy().exits(0);
    answers("two on 0.115.12");
    assert_eq!(machines.iter().map(made).collect::<Vec<_>>(), before, "no virtual environment was made");
    // A package that is not the one that was locked is not installed, and what runs stays.
    let lock = std::fs::read_to_string(bench.at("api/uv.lock"))?;
    let h11 = lock.split("h11-0.16.0-py3-none-any.whl\", hash = \"sha256:").nth(1).expect("a wheel");
    edit(&bench, "api/uv.lock", &h11[..64], &"0".repeat(64));
    let host = if super::kit::full() { Vec::new() } else { vec!["--host", machines[1].name.as_str()] };
    let forged = bench.run(&[&["deploy", "--all", "--events"], host.as_slice()].concat()).exits(5);
    assert!(forged.out.contains("hash"), "{}", forged.out);
    answers("two on 0.115.12");
    uv::ways(&bench, &machines[1], index);
    uv::project(&bench, &machines, index);
    eprintln!("lab: FastAPI by pip and by uv side by side: {:?}; one changed file {:?}", first.took, change.took);
    Ok(())
}

/// Writes the project, whose lock names the hosts' own index in the place of pypi.org.
pub(super) fn lay(bench: &Bench, index: u16) {
    std::fs::create_dir(bench.at("api")).expect("a folder");
    for (name, text) in [
        ("api.py", include_str!("fastapi/api.py")),
        ("pyproject.toml", include_str!("fastapi/pyproject.toml")),
        ("uv.lock", include_str!("fastapi/uv.lock")),
    ] {
        let text = text.replace("https://pypi.org", &format!("http://127.0.0.1:{index}"));
        let mut parts = text.split("https://files.pythonhosted.org/packages/");
        let mut text = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            // Two folders of two digits, one of the rest of a digest, and the file.
            let file = part.splitn(4, '/').nth(3).expect("the address of a file");
            text.push_str(&format!("http://127.0.0.1:{index}/files/{file}"));
        }
        std::fs::write(bench.at("api").join(name), text).expect("the project");
    }
}

/// The service of the project, on all hosts of a bench.
pub(super) fn service(bench: &Bench, port: u16, index: u16) -> String {
    let hosts: Vec<&str> = bench.machines.iter().map(|one| one.name.as_str()).collect();
    format!(
        "  {}-api:\n    type: python\n    hosts: [{}]\n    source: api\n    \
         run: [uvicorn, \"api:app\", --port, \"${{PORT}}\", --log-level, warning]\n    port: {port}\n    \
         build_env: {{ PIP_INDEX_URL: \"http://127.0.0.1:{index}/simple\" }}\n    checks: [{{ http: /health, start_period: 60s }}]\n    \
         deploy: {{ canary: 0, batch: 100%, soak: 200ms, lost_after: 3s }}\n",
        bench.id,
        hosts.join(", ")
    )
}

fn edit(bench: &Bench, file: &str, from: &str, to: &str) {
    let text = std::fs::read_to_string(bench.at(file)).expect("the file");
    assert!(text.contains(from), "{file}");
    std::fs::write(bench.at(file), text.replace(from, to)).expect("the file");
}

/// The packages on a host, and a server of them that only the host itself reaches.
pub(super) struct Index<'a> {
    machine: &'a Machine,
    id: String,
}

impl<'a> Index<'a> {
    pub(super) fn new(bench: &Bench, machine: &'a Machine, port: u16) -> Self {
        let fetched = command(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/lab/packages.sh")).output();
        let fetched = fetched.expect("packages.sh");
        assert!(fetched.status.success(), "{}", String::from_utf8_lossy(&fetched.stderr));
        let one = Self { machine, id: bench.id.clone() };
        let to = format!("{}:/opt/{}", machine.container, bench.id);
        let copied = command("docker").args(["cp", String::from_utf8_lossy(&fetched.stdout).trim(), &to]).output();
        assert!(copied.expect("docker cp").status.success(), "{to}");
        machine.inside(&format!(
            "cd /opt/{id} && {{ setsid python3 -m http.server --bind 127.0.0.1 {port} >/dev/null 2>&1 </dev/null & \
             echo $! >/run/{id}.pid; }}",
            id = one.id
        ));
        let ask =
            format!("python3 -c 'import socket; socket.create_connection((\"127.0.0.1\", {port})); print(\"yes\")'");
        wait("the index", PATIENCE, || machine.inside(&ask).starts_with("yes"));
        one
    }
}

impl Drop for Index<'_> {
    fn drop(&mut self) {
        let id = &self.id;
        self.machine.inside(&format!("kill $(cat /run/{id}.pid); rm -rf /opt/{id} /run/{id}.pid /usr/local/bin/uv"));
    }
}
