//! Real hosts: nothing to do and a first deploy, beside OpenSSH's `true` on all of them in parallel; on loopback, and through
//! proxies that delay each direction by 25 ms.

use std::time::Duration;

use serde_json::Value;
use tokio::runtime::Runtime;

use crate::delay_proxy::DelayProxy;
use crate::lab::{Host, Lab};
use crate::{head, row};

const TIMES: usize = 7;
/// The port of the sshd that counts.
const COUNTED: u16 = 2299;
const ONE_WAY: Duration = Duration::from_millis(25);

pub const PROGRAM: &str = "import http.server, os
class H(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(os.environ[\"GREETING\"].encode())
    def log_message(self, *a): pass
http.server.ThreadingHTTPServer((\"0.0.0.0\", int(os.environ[\"PORT\"])), H).serve_forever()
";

pub const PLAIN: [&str; 2] = ["bookworm", "trixie"];

pub fn run(inventory: &Value) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let near = Lab::new(inventory, &PLAIN, |address, port| (address.to_owned(), port));
    println!("\n{} hosts, user deploy, sudo", near.hosts.len());
    let mut first = 0;
    measure(&near, "loopback", &mut first);
    let (far, _proxies) = far(inventory, &runtime);
    measure(&far, "50 ms round trip", &mut first);
    counted(inventory, &near, first);
}

/// The same hosts behind proxies that delay each direction, which live as long as they are held.
pub fn far(inventory: &Value, runtime: &Runtime) -> (Lab, Vec<DelayProxy>) {
    let mut proxies = Vec::new();
    let lab = Lab::new(inventory, &PLAIN, |address, port| {
        let target = format!("{address}:{port}").parse().expect("an address");
        let proxy = runtime.block_on(DelayProxy::start(target, ONE_WAY));
        let at = std::net::SocketAddr::from(([127, 0, 0, 1], proxy.port()));
        proxies.push(proxy);
        (at.ip().to_string(), at.port())
    });
    (lab, proxies)
}

/// What sshd itself says it was asked for, by one that runs beside the host's own and names every session.
fn counted(inventory: &Value, near: &Lab, number: usize) {
    let log = format!("/tmp/bench-{}-sshd.log", std::process::id());
    let start = format!("/usr/sbin/sshd -p {COUNTED} -o LogLevel=VERBOSE -o PidFile=/run/bench-sshd.pid -E {log}");
    let mut addresses = Vec::new();
    for host in &near.hosts {
        host.inside(&start);
        addresses.push(host.inside.clone());
    }
    let mut addresses = addresses.into_iter();
    let lab = Lab::new(inventory, &PLAIN, |_, _| (addresses.next().expect("a host"), COUNTED));
    std::fs::create_dir_all(lab.file("app")).expect("made");
    std::fs::write(lab.file("app/hello.py"), PROGRAM).expect("written");
    registry(&lab, number);
    let count = |what: &str| {
        let lines = |host: &Host| host.inside(&format!("grep -c '{what}' {log}; true")).trim().parse::<usize>();
        lab.hosts.iter().map(|host| lines(host).unwrap_or_default()).sum::<usize>()
    };
    println!();
    for words in ["first deploy", "deploy with nothing to do"] {
        let (links, execs) = (count("Accepted publickey"), count("Starting session"));
        lab.portoser(&["deploy", "--all"], &file(number));
        let (links, execs) = (count("Accepted publickey") - links, count("Starting session") - execs);
        println!("{words}: {links} connections and {execs} commands on {} hosts", lab.hosts.len());
    }
    for host in &near.hosts {
        host.inside(&format!("kill $(cat /run/bench-sshd.pid); rm -f {log}"));
    }
}

fn measure(lab: &Lab, way: &str, first: &mut usize) {
    head(way);
    row("OpenSSH: `true` on all, in parallel", (0..TIMES).map(|_| lab.openssh()).collect());
    std::fs::create_dir_all(lab.file("app")).expect("made");
    std::fs::write(lab.file("app/hello.py"), PROGRAM).expect("written");
    let mut times = Vec::new();
    for _ in 0..TIMES {
        registry(lab, *first);
        times.push(lab.portoser(&["deploy", "--all"], &file(*first)));
        *first += 1;
    }
    row("portoser: first deploy", times);
    row("OpenSSH: `true` on all, again", (0..TIMES).map(|_| lab.openssh()).collect());
    let again = (0..TIMES).map(|_| lab.portoser(&["deploy", "--all"], &file(*first - 1)));
    row("portoser: nothing to do", again.collect());
}

/// A registry whose service was never on the hosts: one with another name and port.
pub fn registry(lab: &Lab, number: usize) {
    let names: Vec<&str> = lab.hosts.iter().map(|host| host.name.as_str()).collect();
    let (process, port) = (std::process::id(), 20_000 + number);
    let service = format!(
        "  hello-{process}-{number}:\n    type: native\n    hosts: [{}]\n    source: ./app\n    run: \
         [/usr/bin/python3, ./hello.py]\n    port: {port}\n    env: {{ GREETING: hello }}\n    checks: [{{ http: /, \
         start_period: 20s }}]\n    deploy: {{ canary: 0, batch: 100%, soak: 0s }}\n",
        names.join(", ")
    );
    std::fs::write(lab.file(&file(number)), lab.head() + &service).expect("written");
}

pub fn file(number: usize) -> String {
    format!("registry-{number}.yml")
}
