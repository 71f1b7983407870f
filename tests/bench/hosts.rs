//! Real hosts: nothing to do and a first deploy, beside OpenSSH's `true` on all of them in parallel; on loopback, and through
//! proxies that delay each direction by 25 ms.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::delay_proxy::DelayProxy;
use crate::{head, row};

const TIMES: usize = 7;
const ONE_WAY: Duration = Duration::from_millis(25);

const PROGRAM: &str = "import http.server, os
class H(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(os.environ[\"GREETING\"].encode())
    def log_message(self, *a): pass
http.server.ThreadingHTTPServer((\"0.0.0.0\", int(os.environ[\"PORT\"])), H).serve_forever()
";

struct Bench {
    folder: tempfile::TempDir,
    key: String,
    /// Name, and where its sshd is reached.
    hosts: Vec<(String, String, u16)>,
}

pub fn run(inventory: &str) {
    let inventory: Value = serde_json::from_slice(&std::fs::read(inventory).expect("an inventory")).expect("JSON");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let near = Bench::new(&inventory, |address, port| (address.to_owned(), port));
    println!("\n{} hosts, user deploy, sudo", near.hosts.len());
    let mut first = 0;
    near.measure("loopback", &mut first);
    let mut proxies = Vec::new();
    let far = Bench::new(&inventory, |address, port| {
        let target = format!("{address}:{port}").parse().expect("an address");
        let proxy = runtime.block_on(DelayProxy::start(target, ONE_WAY));
        let at = std::net::SocketAddr::from(([127, 0, 0, 1], proxy.port()));
        proxies.push(proxy);
        (at.ip().to_string(), at.port())
    });
    far.measure("50 ms round trip", &mut first);
    let before: usize = proxies.iter().map(DelayProxy::connections).sum();
    far.portoser(&["deploy", "--all"], first - 1);
    let after: usize = proxies.iter().map(DelayProxy::connections).sum();
    println!("\nconnections of one deploy with nothing to do: {} for {} hosts", after - before, far.hosts.len());
}

impl Bench {
    fn new(inventory: &Value, mut way: impl FnMut(&str, u16) -> (String, u16)) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir_all(folder.path().join(".ssh")).expect("made");
        std::fs::create_dir_all(folder.path().join("app")).expect("made");
        std::fs::write(folder.path().join("app/hello.py"), PROGRAM).expect("written");
        let (mut known, mut hosts) = (String::new(), Vec::new());
        for host in inventory["hosts"].as_array().expect("hosts").iter().filter(|host| host["init"] == "systemd") {
            let (address, port) = (host["address"].as_str().expect("text"), host["port"].as_u64().expect("a number"));
            let (address, port) = way(address, u16::try_from(port).expect("a port"));
            for line in host["host_keys"].as_array().expect("keys") {
                let key = line.as_str().and_then(|line| line.split_once(' ')).expect("a line").1;
                let _ = writeln!(known, "[{address}]:{port},{address} {key}");
            }
            hosts.push((host["name"].as_str().expect("a name").to_owned(), address, port));
        }
        std::fs::write(folder.path().join(".ssh/known_hosts"), known).expect("written");
        Self { folder, key: inventory["key"].as_str().expect("a key").to_owned(), hosts }
    }

    fn measure(&self, way: &str, first: &mut usize) {
        head(way);
        row("OpenSSH: `true` on all, in parallel", (0..TIMES).map(|_| self.openssh()).collect());
        let mut times = Vec::new();
        for _ in 0..TIMES {
            self.registry(*first);
            times.push(self.portoser(&["deploy", "--all"], *first));
            *first += 1;
        }
        row("portoser: first deploy", times);
        row("OpenSSH: `true` on all, again", (0..TIMES).map(|_| self.openssh()).collect());
        row("portoser: nothing to do", (0..TIMES).map(|_| self.portoser(&["deploy", "--all"], *first - 1)).collect());
    }

    /// A registry whose service was never on the hosts: one with another name and port.
    fn registry(&self, number: usize) {
        let process = std::process::id();
        let mut text = "version: 1\ndefaults: { user: deploy, become: sudo }\nhosts:\n".to_owned();
        for (name, address, port) in &self.hosts {
            let base = format!("/opt/bench-{process}");
            let _ = writeln!(
                text,
                "  {name}: {{ address: {address}, port: {port}, identity: {}, base: {base} }}",
                self.key
            );
        }
        let names: Vec<&str> = self.hosts.iter().map(|host| host.0.as_str()).collect();
        let port = 20_000 + number;
        let _ = write!(
            text,
            "services:\n  hello-{process}-{number}:\n    type: native\n    hosts: [{}]\n    source: ./app\n    run: \
             [/usr/bin/python3, ./hello.py]\n    port: {port}\n    env: {{ GREETING: hello }}\n    checks: [{{ http: /, \
             start_period: 20s }}]\n    deploy: {{ canary: 0, batch: 100%, soak: 0s }}\n",
            names.join(", ")
        );
        std::fs::write(self.file(number), text).expect("written");
    }

    fn file(&self, number: usize) -> PathBuf {
        self.folder.path().join(format!("registry-{number}.yml"))
    }

    fn portoser(&self, words: &[&str], number: usize) -> Duration {
        let began = Instant::now();
        let out = Command::new(env!("CARGO_BIN_EXE_portoser"))
            .arg("-r")
            .arg(self.file(number))
            .args(words)
            .env("HOME", self.folder.path())
            .env("PORTOSER_STATE", self.folder.path().join("state"))
            .env_remove("SSH_AUTH_SOCK")
            .output()
            .expect("started");
        let took = began.elapsed();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        took
    }

    fn openssh(&self) -> Duration {
        let known = self.folder.path().join(".ssh/known_hosts");
        let began = Instant::now();
        let children: Vec<_> = self.hosts.iter().map(|(_, address, port)| self.ssh(&known, address, *port)).collect();
        for mut child in children {
            assert!(child.wait().expect("ended").success());
        }
        began.elapsed()
    }

    fn ssh(&self, known: &Path, address: &str, port: u16) -> std::process::Child {
        Command::new("ssh")
            .args(["-F", "none", "-n", "-o", "BatchMode=yes", "-i", &self.key, "-p", &port.to_string()])
            .arg("-o")
            .arg(format!("UserKnownHostsFile={}", known.display()))
            .arg(format!("deploy@{address}"))
            .arg("true")
            .stdout(Stdio::null())
            .spawn()
            .expect("ssh")
    }
}
