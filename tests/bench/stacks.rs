//! Nothing to do for 30 services of all three engines on 4 hosts, beside OpenSSH's `true` on them in parallel.

use std::time::Duration;

use serde_json::Value;

use crate::delay_proxy::DelayProxy;
use crate::lab::Lab;
use crate::mixed::{Places, services, write};
use crate::{head, row};

const TIMES: usize = 9;
const HOSTS: usize = 4;
const EACH: u16 = 10;

pub fn run(inventory: &Value) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let mut proxies = Vec::new();
    let images = ["bookworm", "trixie", "bookworm-docker", "trixie-docker"];
    let mut lab = Lab::new(inventory, &images, |address, port| {
        let target = format!("{address}:{port}").parse().expect("an address");
        let proxy = runtime.block_on(DelayProxy::start(target, Duration::ZERO));
        proxies.push(proxy);
        ("127.0.0.1".to_owned(), proxies.last().expect("one").port())
    });
    let docker = |host: &crate::lab::Host| host.image.ends_with("-docker");
    lab.hosts.sort_by_key(|host| !docker(host));
    lab.hosts.truncate(HOSTS);
    let names = |only: &dyn Fn(&crate::lab::Host) -> bool| {
        lab.hosts.iter().filter(|host| only(host)).map(|host| host.name.clone()).collect::<Vec<_>>()
    };
    let (engines, all) = (names(&docker), names(&|_| true));
    if engines.is_empty() || all.len() < HOSTS {
        println!("\nmixed: skipped: it wants four hosts, one of them with a Docker engine");
        return;
    }
    for host in lab.hosts.iter().filter(|host| docker(host)) {
        assert!(host.inside(include_str!("../it/fixture/image.sh")).contains("ready"), "the image on {}", host.name);
    }
    write(lab.folder.path());
    let ports: Vec<[u16; 3]> = (0..EACH).map(|row| [30_000, 30_100, 30_200].map(|first| first + row)).collect();
    let id = format!("mixed-{}", std::process::id());
    let stack = services(&id, &Places { engines: &engines, all: &all }, &ports, ["one"; 3]);
    std::fs::write(lab.file("mixed.yml"), lab.head() + &stack).expect("written");
    head(&format!("{} mixed services on {HOSTS} hosts, loopback", 3 * EACH));
    row("portoser: first deploy", vec![lab.portoser(&["deploy", "--all"], "mixed.yml")]);
    row("OpenSSH: `true` on all, in parallel", (0..TIMES).map(|_| lab.openssh()).collect());
    let count = || proxies.iter().map(DelayProxy::connections).sum::<usize>();
    let before = count();
    row("portoser: nothing to do", (0..TIMES).map(|_| lab.portoser(&["deploy", "--all"], "mixed.yml")).collect());
    println!("connections of one deploy with nothing to do: {} for {HOSTS} hosts", (count() - before) / TIMES);
    lab.portoser(&["remove", "--all", "--yes"], "mixed.yml");
}
