//! A real image registry on a lab host, of its own for each trial: engines take it without TLS, as it is on the loopback address, and
//! Podman is told to.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use crate::fixture::sshd::command;

use super::kit::{Bench, Machine, PATIENCE, port, wait};

/// What lets `lab` in where a registry wants to know who asks; below, its bcrypt as htpasswd writes it.
pub const PASSWORD: &str = "lab-secret";
const HTPASSWD: &str = "lab:$2b$05$abcdefghijklmnopqrstuuPtNTphIlilWp9q1wz4rhnWoBpMvGZkq";

/// Where its program is on a host, and the hosts that have it: it stays for the next one.
const PROGRAM: &str = "/usr/local/bin/trial-registry";
static THERE: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Brings the program to a host, once.
fn bring(machine: &Machine) {
    let mut there = THERE.lock().unwrap_or_else(PoisonError::into_inner);
    if !there.contains(&machine.container) {
        program(machine, "docker-registry", "usr/bin/docker-registry", PROGRAM);
        there.insert(machine.container.clone());
    }
}

/// Brings a program of one of Debian's packages to a host.
pub(super) fn program(machine: &Machine, package: &str, path: &str, to: &str) {
    let fetched = command(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/lab/program.sh")).args([package, path]).output();
    let fetched = fetched.expect("program.sh");
    assert!(fetched.status.success(), "program.sh: {}", String::from_utf8_lossy(&fetched.stderr));
    let program = String::from_utf8_lossy(&fetched.stdout).trim().to_owned();
    // Another program of trials may run the one that is there.
    let beside = format!("{to}-{}", std::process::id());
    let copied = command("docker").args(["cp", &program, &format!("{}:{beside}", machine.container)]).status();
    assert!(copied.is_ok_and(|status| status.success()), "docker cp");
    machine.inside(&format!("mv -f {beside} {to}"));
}

/// The registry. It goes when this goes.
pub struct Store {
    machine: Machine,
    /// The unit that it runs as.
    pub id: String,
    port: u16,
    private: bool,
}

impl Store {
    /// Starts one; a private one lets nobody in without a password.
    pub fn new(machine: &Machine, bench: &Bench, private: bool) -> Self {
        bring(machine);
        let port = port();
        let store = Self { machine: machine.clone(), id: format!("store-{}-{port}", bench.id), port, private };
        let id = &store.id;
        let auth = if private {
            format!("auth: {{ htpasswd: {{ realm: lab, path: /var/tmp/{id}/htpasswd }} }}")
        } else {
            String::new()
        };
        machine.inside(&format!(
            "mkdir -p /var/tmp/{id}; echo '{HTPASSWD}' >/var/tmp/{id}/htpasswd; cat >/var/tmp/{id}/config.yml <<'END'\n\
             version: 0.1\nlog: {{ level: error, accesslog: {{ disabled: true }} }}\n\
             storage: {{ filesystem: {{ rootdirectory: /var/tmp/{id}/files }} }}\n\
             http: {{ addr: \"127.0.0.1:{port}\" }}\n{auth}\nEND\n\
             p=/etc/containers/registries.conf.d; [ ! -d $p ] || {{ systemctl stop podman\n\
             printf '[[registry]]\\nlocation = \"127.0.0.1:{port}\"\\ninsecure = true\\n' >$p/{id}.conf; }}\n",
        ));
        store.start();
        store
    }

    /// Its name, as references begin with it.
    pub fn name(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub fn start(&self) {
        let (id, port) = (&self.id, self.port);
        let run = format!("systemd-run --quiet --collect --unit={id} {PROGRAM} serve /var/tmp/{id}/config.yml");
        let said = self.machine.inside(&run);
        let open = format!("bash -c 'exec 3<>/dev/tcp/127.0.0.1/{port}' && echo open");
        wait(&format!("the registry answers ({said})"), PATIENCE, || self.machine.inside(&open).contains("open"));
    }

    pub fn stop(&self) {
        self.machine.inside(&format!("systemctl stop {}", self.id));
    }

    /// Puts an image there and nowhere else: `trial/http:1` with this page, and with so many bytes that pack badly.
    pub fn push(&self, reference: &str, page: &str, bytes: usize) {
        let reference = format!("{}/{reference}", self.name());
        let login = if self.private {
            format!("echo {PASSWORD} | docker --config $d login -u lab --password-stdin {}", self.name())
        } else {
            "true".into()
        };
        let said = self.machine.inside(&format!(
            "d=$(mktemp -d) && printf '%s' '{page}' >$d/index.html && head -c {bytes} /dev/urandom >$d/noise && \
             c=$(docker create trial/http:1 true) && docker cp $d/index.html $c:/www/index.html && docker cp $d/noise $c:/noise && \
             docker commit $c {reference} && docker rm $c && {login} && docker --config $d push {reference} && \
             docker rmi {reference} && rm -r $d && echo pushed"
        ));
        assert!(said.lines().any(|line| line == "pushed"), "{said}");
    }
}

impl Store {
    /// Puts an image there whose manifest says that its last layer has so many bytes.
    pub fn claim(&self, name: &str, from: &str, to: &str, bytes: u64) {
        let script = CLAIM.replace("URL", &format!("http://{}/v2/{name}/manifests", self.name()));
        let script = script.replace("FROM", from).replace("TO", to).replace("BYTES", &bytes.to_string());
        let script = script.replace("PASSWORD", PASSWORD);
        let said = self.machine.inside(&format!("python3 -c '{script}'"));
        assert!(said.trim_end().ends_with("claimed"), "{said}");
    }
}

const CLAIM: &str = r#"
import base64, json, urllib.request as u
who = "Basic " + base64.b64encode(b"lab:PASSWORD").decode()
kinds = "application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.manifest.v1+json"
m = json.load(u.urlopen(u.Request("URL/FROM", headers={"Accept": kinds, "Authorization": who})))
kind = m["mediaType"]
m["layers"][-1]["size"] = BYTES
u.urlopen(u.Request("URL/TO", json.dumps(m).encode(), {"Content-Type": kind, "Authorization": who}, method="PUT"))
print("claimed")
"#;

impl Drop for Store {
    fn drop(&mut self) {
        let id = &self.id;
        self.machine.inside(&format!(
            "systemctl stop {id}; rm -rf /var/tmp/{id} /etc/containers/registries.conf.d/{id}.conf; \
             docker images --digests --format '{{{{.Repository}}}}:{{{{.Tag}}}} {{{{.Repository}}}}@{{{{.Digest}}}}' | \
             sed 's/^[^ ]*:<none> //; s/ .*//' | grep '^{}/' | xargs -r docker rmi",
            self.name()
        ));
    }
}
