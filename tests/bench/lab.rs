//! Hosts of a lab, a folder for registries, and the two programs that are compared on them.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

pub struct Lab {
    pub folder: tempfile::TempDir,
    pub key: String,
    pub hosts: Vec<Host>,
}

pub struct Host {
    pub name: String,
    /// Where its sshd is reached.
    pub address: String,
    pub port: u16,
    pub image: String,
    pub container: String,
    /// Where its services are reached.
    pub inside: String,
}

impl Lab {
    /// The hosts with systemd of these images, each reached by the way that is given.
    pub fn new(inventory: &Value, images: &[&str], mut way: impl FnMut(&str, u16) -> (String, u16)) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir_all(folder.path().join(".ssh")).expect("made");
        let (mut known, mut hosts) = (String::new(), Vec::new());
        let text = |host: &Value, key: &str| host[key].as_str().expect("text").to_owned();
        for host in inventory["hosts"].as_array().expect("hosts") {
            if !images.contains(&host["image"].as_str().unwrap_or_default()) {
                continue;
            }
            let port = host["port"].as_u64().expect("a number");
            let (address, port) = way(&text(host, "address"), u16::try_from(port).expect("a port"));
            for line in host["host_keys"].as_array().expect("keys") {
                let key = line.as_str().and_then(|line| line.split_once(' ')).expect("a line").1;
                let _ = writeln!(known, "[{address}]:{port},{address} {key}");
            }
            hosts.push(Host {
                name: text(host, "name"),
                address,
                port,
                image: text(host, "image"),
                container: text(host, "container"),
                inside: text(host, "container_address"),
            });
        }
        std::fs::write(folder.path().join(".ssh/known_hosts"), known).expect("written");
        Self { folder, key: text(inventory, "key"), hosts }
    }

    /// The head of a registry: the hosts, up to `services:`.
    pub fn head(&self) -> String {
        let mut text = "version: 1\ndefaults: { user: deploy, become: sudo }\nhosts:\n".to_owned();
        for Host { name, address, port, .. } in &self.hosts {
            let (key, base) = (&self.key, format!("/opt/bench-{}", std::process::id()));
            let _ = writeln!(text, "  {name}: {{ address: {address}, port: {port}, identity: {key}, base: {base} }}");
        }
        text + "services:\n"
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// How long portoser takes for this with the registry of this name.
    pub fn portoser(&self, words: &[&str], registry: &str) -> Duration {
        let began = Instant::now();
        let out = Command::new(env!("CARGO_BIN_EXE_portoser"))
            .arg("-r")
            .arg(self.file(registry))
            .args(words)
            .env("HOME", self.folder.path())
            .env("PORTOSER_STATE", self.file("state"))
            .env_remove("SSH_AUTH_SOCK")
            .output()
            .expect("started");
        let took = began.elapsed();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        took
    }

    /// How long OpenSSH takes for `true` on all hosts in parallel.
    pub fn openssh(&self) -> Duration {
        let began = Instant::now();
        let children: Vec<_> = self.hosts.iter().map(|host| self.ssh(host)).collect();
        for mut child in children {
            assert!(child.wait().expect("ended").success());
        }
        began.elapsed()
    }

    /// The words with which OpenSSH goes to a host.
    pub fn ssh_words(&self, host: &Host) -> Vec<String> {
        let known = format!("UserKnownHostsFile={}", self.file(".ssh/known_hosts").display());
        let words =
            ["ssh", "-F", "none", "-o", "BatchMode=yes", "-i", &self.key, "-p", &host.port.to_string(), "-o", &known]
                .map(str::to_owned);
        words.into_iter().chain([format!("deploy@{}", host.address)]).collect()
    }

    fn ssh(&self, host: &Host) -> std::process::Child {
        let words = self.ssh_words(host);
        Command::new(&words[0])
            .args(&words[1..])
            .arg("true")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("ssh")
    }
}

impl Host {
    /// Runs a script as root on the host, past ssh; its output.
    pub fn inside(&self, script: &str) -> String {
        let out =
            Command::new("docker").args(["exec", "--user", "0", &self.container, "/bin/sh", "-c", script]).output();
        String::from_utf8_lossy(&out.expect("docker exec").stdout).into_owned()
    }
}
