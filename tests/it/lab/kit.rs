//! The bench of the lab's trials: the real binary, hosts that are real, and a way past ssh to see what is there.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::fixture::mixed::SERVER;
use crate::fixture::sshd::command;

/// What a trial may wait for anything.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Every trial has ports of its own, so that trials can share a host.
static PORT: AtomicU16 = AtomicU16::new(0);

/// A port that no other trial of this program uses.
pub fn port() -> u16 {
    // Two programs at once meet only when their process ids are equal modulo forty.
    let ours = u16::try_from(std::process::id() % 40).unwrap_or_default();
    12_000 + ours * 500 + PORT.fetch_add(1, Ordering::SeqCst) % 500
}

/// Whether the long tables are wanted, too.
pub fn full() -> bool {
    std::env::var_os("PORTOSER_LAB_FULL").is_some()
}

/// A host of the lab.
#[derive(Clone, Debug)]
pub struct Machine {
    pub name: String,
    pub address: String,
    pub port: u16,
    pub image: String,
    pub key: PathBuf,
    pub container: String,
    /// Where the container is reached directly, on any port.
    pub container_address: String,
    pub host_keys: Vec<String>,
}

impl Machine {
    /// Runs a script as root on the host, past ssh; its output, whatever it exits with.
    pub fn inside(&self, script: &str) -> String {
        super::inside::inside(&self.container, script)
    }

    /// One of the lab's faults, by `tests/lab/faults.sh`.
    pub fn fault(&self, words: &[&str]) {
        let mut script = command(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/lab/faults.sh"));
        let (verb, rest) = words.split_first().expect("a fault");
        let output = script.arg(verb).arg(&self.container).args(rest).output().expect("faults.sh");
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

/// The hosts that `PORTOSER_LAB` names; `None` without a lab.
pub fn machines() -> Option<Vec<Machine>> {
    Some(machines_of(std::path::Path::new(&std::env::var_os("PORTOSER_LAB")?)))
}

/// The hosts of an inventory.
pub fn machines_of(file: &std::path::Path) -> Vec<Machine> {
    let text = std::fs::read_to_string(file).expect("the inventory");
    let lab: Value = serde_json::from_str(&text).expect("an inventory");
    let text = |host: &Value, key: &str| host[key].as_str().unwrap_or_default().to_owned();
    let machine = |host: &Value| Machine {
        name: text(host, "name"),
        address: text(host, "address"),
        port: host["port"].as_u64().and_then(|port| port.try_into().ok()).unwrap_or(22),
        image: text(host, "image"),
        key: text(host, "key").into(),
        container: text(host, "container"),
        container_address: text(host, "container_address"),
        host_keys: host["host_keys"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|key| Some(key.as_str()?.to_owned()))
            .collect(),
    };
    lab["hosts"].as_array().into_iter().flatten().map(machine).collect()
}

/// A registry, a home and a state folder of their own, and a base folder on each host that is theirs alone.
pub struct Bench {
    folder: tempfile::TempDir,
    pub id: String,
    pub machines: Vec<Machine>,
    /// Where each host is reached: itself, or a proxy before it.
    pub doors: BTreeMap<String, (String, u16)>,
    pub user: String,
}

impl Bench {
    pub fn new(name: &str, machines: &[Machine]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        // Names of services hold the id, so that no two trials meet in a unit's name.
        let id = format!("{name}{}", port());
        let doors = machines.iter().map(|one| (one.name.clone(), (one.address.clone(), one.port))).collect();
        let bench = Self { folder, id, machines: machines.to_vec(), doors, user: "deploy".into() };
        std::fs::write(bench.at("server.py"), SERVER).expect("the service");
        bench.know();
        bench
    }

    pub fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn base(&self) -> String {
        format!("/opt/trial-{}", self.id)
    }

    /// Pins the hosts' keys where they are reached.
    pub fn know(&self) {
        let mut known = String::new();
        for machine in &self.machines {
            let (address, port) = &self.doors[&machine.name];
            for key in &machine.host_keys {
                let key = key.split_once(' ').map_or("", |(_, key)| key);
                known +=
                    &if *port == 22 { format!("{address} {key}\n") } else { format!("[{address}]:{port} {key}\n") };
            }
        }
        std::fs::write(self.at("known_hosts"), known).expect("known_hosts");
        let known = self.at("known_hosts");
        let config = format!("UserKnownHostsFile {}\nGlobalKnownHostsFile none\nConnectTimeout 5\n", known.display());
        std::fs::write(self.at("ssh_config"), config).expect("ssh_config");
    }

    /// Reaches a host through this port of 127.0.0.1.
    pub fn through(&mut self, machine: &Machine, port: u16) {
        self.doors.insert(machine.name.clone(), ("127.0.0.1".into(), port));
        self.know();
    }

    /// Writes the registry: the hosts, then these services (YAML, indented by two).
    pub fn registry(&self, services: &str) {
        self.registry_with("become: sudo", services);
    }

    /// As `registry`, with this in the place of `become: sudo`.
    pub fn registry_with(&self, defaults: &str, services: &str) {
        let mut hosts = String::new();
        for machine in &self.machines {
            let (address, port) = &self.doors[&machine.name];
            hosts += &format!("  {}: {{ address: {address}, port: {port} }}\n", machine.name);
        }
        let (user, base, key) = (&self.user, self.base(), self.machines[0].key.display());
        let text = format!(
            "version: 1\ndefaults:\n  user: {user}\n  {defaults}\n  base: {base}\n  identity: {key}\n  \
             check: {{ start_period: 5s, interval: 100ms, timeout: 2s, retries: 3 }}\n  \
             deploy: {{ soak: 200ms, lost_after: 3s, keep_releases: 0, keep_for: 0s }}\n\
             hosts:\n{hosts}services:\n{services}"
        );
        std::fs::write(self.at("registry.yml"), text).expect("a registry");
    }

    /// One service that runs `server.py`, as YAML for `registry`.
    pub fn service(&self, name: &str, hosts: &[&str], port: u16, version: &str, more: &str) -> String {
        format!(
            "  {}-{name}:\n    type: native\n    hosts: [{}]\n    source: server.py\n    \
             run: [/usr/bin/python3, ./server.py, \"{version}\"]\n    port: {port}\n    \
             env: {{ PORT: \"${{PORT}}\" }}\n    checks: [{{ http: /health }}]\n{more}",
            self.id,
            hosts.join(", ")
        )
    }

    /// The binary with these words, in this bench's world; state in the folder of this name.
    pub fn command_in(&self, state: &str, words: &[&str]) -> Command {
        let mut portoser = command(env!("CARGO_BIN_EXE_portoser"));
        portoser.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", self.folder.path()).env("USER", "trial");
        portoser.env("PORTOSER_STATE", self.at(state)).env("PORTOSER_SSH_CONFIG", self.at("ssh_config"));
        portoser.env("PORTOSER_REGISTRY", self.at("registry.yml")).args(words);
        portoser.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        portoser
    }

    /// Runs the binary to its end, which must come.
    pub fn run(&self, words: &[&str]) -> Ran {
        self.run_in("state", words, &mut |_, _| {})
    }

    /// Runs the binary; `heard` gets every event with its number from 1, and the process.
    pub fn run_in(&self, state: &str, words: &[&str], heard: &mut dyn FnMut(usize, &mut Child)) -> Ran {
        let began = Instant::now();
        let mut child = self.command_in(state, words).spawn().expect("portoser starts");
        let mut stderr = child.stderr.take().expect("a pipe");
        let talk = std::thread::spawn(move || {
            let mut text = String::new();
            let _ = stderr.read_to_string(&mut text);
            text
        });
        let watched = child.id().to_string();
        let (over, wait) = std::sync::mpsc::channel::<()>();
        let dog = std::thread::spawn(move || {
            if wait.recv_timeout(3 * PATIENCE) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
                let _ = command("kill").args(["-KILL", &watched]).status();
            }
        });
        let (mut out, mut events) = (String::new(), Vec::new());
        heard(0, &mut child);
        for line in BufReader::new(child.stdout.take().expect("a pipe")).lines().map_while(Result::ok) {
            if let Ok(event @ Value::Object(_)) = serde_json::from_str(&line) {
                events.push(event);
                heard(events.len(), &mut child);
            }
            out += &line;
            out.push('\n');
        }
        let status = child.wait().expect("an end");
        drop(over);
        dog.join().expect("the watchdog");
        Ran { code: status.code(), out, err: talk.join().expect("standard error"), events, took: began.elapsed() }
    }

    /// What a service answers on a host, from within; empty when it does not.
    pub fn answer(&self, machine: &Machine, port: u16) -> String {
        let ask = ANSWER.replace("PORT", &port.to_string());
        machine.inside(&format!("timeout 3 bash -c '{ask}' 2>/dev/null")).trim().to_owned()
    }

    /// What of ours lies on a host that no manifest names, or that is unfinished: one line each; empty when all is in order.
    pub fn amiss(&self, machine: &Machine) -> String {
        machine.inside(&AMISS.replace("BASE", &self.base()).replace("ID", &self.id))
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        for machine in &self.machines {
            let script = CLEAN.replace("BASE", &self.base()).replace("ID", &self.id);
            machine.inside(&script);
        }
    }
}

/// How a run of the binary ended.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
    pub events: Vec<Value>,
    pub took: Duration,
}

impl Ran {
    /// Ends the trial unless the exit code is this one.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}\n{}", self.out, self.err);
        self
    }

    /// How many services ended so.
    pub fn ended(&self, outcome: &str) -> usize {
        self.events.iter().filter(|event| event["event"] == "ended" && event["outcome"] == outcome).count()
    }
}

/// Waits until this holds.
#[track_caller]
pub fn wait(what: &str, time: Duration, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + time;
    // Asking costs more than waiting: what does not hold soon is asked less often.
    let mut pause = Duration::from_millis(50);
    while !holds() {
        assert!(Instant::now() < until, "{what}: not within {time:?}");
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(400));
    }
}

/// Asks for `/` without any program but the shell; prints the body of what is answered with 200.
const ANSWER: &str = r#"
end=$(printf "\r")
# In one piece: a server that answers the first of several would break off at the others.
request=$(printf "GET / HTTP/1.0\r\nHost: trial\r\n\r")
exec 3<>/dev/tcp/127.0.0.1/PORT && cat <<<"$request" >&3 || exit
read -r protocol code rest <&3
[ "$code" = 200 ] || exit
while read -r line <&3 && [ "$line" != "$end" ]; do :; done
cat <&3
"#;

/// Every release holds exactly what its manifest names, with these hashes; nothing of an unfinished run is left.
const AMISS: &str = r#"cd BASE 2>/dev/null || exit 0
for r in services/*/releases/*; do
  [ -d "$r" ] || { echo "$r: no folder"; continue; }
  # What lies outside of a release, such as the unit, is as the current one names it.
  if [ "$r" -ef "${r%/releases/*}/current" ]; then all=.; else all='^[0-9a-f]*  [^/]'; fi
  (cd "$r" && { grep -e "$all" .portoser/manifest | sha256sum --quiet -c - || echo "$r: differs from its manifest"; } 2>&1)
  (cd "$r" && find . -type f ! -path ./.portoser/manifest ! -path '*/__pycache__/*' | sed 's,^\./,,' | sort >/tmp/have-ID
   sed 's/^[0-9a-f]*  //;s,^\./,,' .portoser/manifest | sort | comm -23 /tmp/have-ID - | sed "s,^,$r: not in the manifest: ,"; rm -f /tmp/have-ID)
done
for s in services/*; do [ -e "$s/current/.portoser/manifest" ] || echo "$s: current leads nowhere"; done
find services -path '*/venvs/*/*' -prune -o '(' -name '*.tmp*' -o -name '.new*' -o -name '*.old-*' ')' -print | sed 's/^/left behind: /'
for r in runs/*; do [ -e "$r/end" ] || echo "$r: no end"; done
for r in runs/*/payload runs/*/trees runs/*/out runs/*/config; do [ ! -e "$r" ] || echo "left behind: $r"; done
for w in services/*/wheels/*; do [ ! -e "$w" ] || echo "$w: left behind"; done
for v in services/*/venvs/*; do [ ! -d "$v" ] || [ -e "$v/.portoser-complete" ] || echo "$v: not whole"; done
find runs -name '.new-*' | sed 's/^/left behind: /'
[ -z "$(ls queue 2>/dev/null)" ] || echo "queue: $(ls queue)"
last=$(ls lock | grep -v out | tail -n 1); [ -z "$last" ] || [ -e "lock/$last.out" ] || echo "lock $last is held"
for u in /etc/systemd/system/portoser-ID-*; do
  [ -e "$u" ] || continue
  n=${u##*/portoser-}; n=${n%.service}; [ -d "services/${n%@*}" ] || echo "$u: whose?"
done
"#;

const CLEAN: &str = r#"if command -v docker >/dev/null; then
  all() { [ $# -lt 3 ] || docker "$@"; }
  all rm -f $(docker ps -aq --filter name=portoser-ID)
  all volume rm $(docker volume ls -q --filter name=portoser-ID)
  all network rm $(docker network ls -q --filter name=ID)
  all rmi $(docker images --format '{{.Repository}}:{{.Tag}}' | grep '^portoser/ID')
fi >/dev/null 2>&1
for r in BASE/runs/*/runner; do [ -e "$r" ] && read -r p x <"$r" && [ ! -e "${r%runner}end" ] && kill -9 "$p"; done 2>/dev/null
systemctl stop 'portoser-ID-*' 2>/dev/null
rm -f /etc/systemd/system/portoser-ID-* /etc/systemd/system/*.wants/portoser-ID-*
systemctl daemon-reload 2>/dev/null; systemctl reset-failed 'portoser-ID-*' 2>/dev/null; umount BASE 2>/dev/null; rm -rf BASE
"#;
