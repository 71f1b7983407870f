//! Hosts whose connections and commands are counted: reached through a proxy, and served by an sshd of the trial's own.

use std::time::Duration;

use tokio::runtime::Runtime;

use crate::fixture::delay_proxy::DelayProxy;

use super::kit::{Bench, Machine, Ran, port};

/// The hosts of a bench, counted. Its sshd ends with it.
pub struct Counted {
    machines: Vec<Machine>,
    proxies: Vec<DelayProxy>,
    id: String,
    _world: Runtime,
}

impl Counted {
    pub fn new(bench: &mut Bench) -> Self {
        let world = Runtime::new().expect("a runtime");
        let (id, port, machines) = (bench.id.clone(), port(), bench.machines.clone());
        let mut proxies = Vec::new();
        for machine in &machines {
            // Its notes name every command that is started for a client.
            machine.inside(&format!(
                "/usr/sbin/sshd -p {port} -o LogLevel=VERBOSE -o PidFile=/run/{id}.pid -E /tmp/{id}-sshd.log"
            ));
            let target = format!("{}:{port}", machine.container_address).parse().expect("an address");
            let proxy = world.block_on(DelayProxy::start(target, Duration::ZERO));
            bench.through(machine, proxy.port());
            proxies.push(proxy);
        }
        Self { machines, proxies, id, _world: world }
    }

    /// Runs the binary, which must end well, with one connection and so many commands for each host.
    pub fn run(&self, bench: &Bench, words: &[&str], execs: usize) -> Ran {
        let links: Vec<usize> = self.proxies.iter().map(DelayProxy::connections).collect();
        let marks: Vec<usize> = self.machines.iter().map(|machine| self.commands(machine).len()).collect();
        let ran = bench.run(words).exits(0);
        for (proxy, before) in self.proxies.iter().zip(links) {
            assert_eq!(proxy.connections() - before, 1, "connections of {words:?}");
        }
        for (machine, before) in self.machines.iter().zip(marks) {
            let now = self.commands(machine);
            assert_eq!(now.len() - before, execs, "execs of {words:?} on {}: {:#?}", machine.name, &now[before..]);
        }
        ran
    }

    /// The commands that the trial's sshd started on a host.
    fn commands(&self, machine: &Machine) -> Vec<String> {
        let notes = machine.inside(&format!("cat /tmp/{}-sshd.log", self.id));
        notes.lines().filter(|line| line.contains("Starting session")).map(str::to_owned).collect()
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        for machine in &self.machines {
            machine.inside(&format!("kill $(cat /run/{id}.pid); rm -f /tmp/{id}-sshd.log", id = self.id));
        }
    }
}
