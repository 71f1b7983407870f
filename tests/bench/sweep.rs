//! A sweep over a thousand hosts: one OpenSSH server behind a thousand loopback addresses, beside parallel `ssh ... true`; then
//! with a hundred black holes. Time, CPU for each host and the largest memory of the controller. All hosts are this machine, so
//! most of the time goes to their side.

use std::collections::BTreeMap;
use std::io::{Read as _, Seek as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener as Silent};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::sshd::{Sshd, command, missing, user};

const HOSTS: usize = 1000;
const HOLES: usize = 100;
/// All hosts are this machine: more at once do not end sooner, they only take longer each.
const AT_ONCE: usize = 8;

/// What a program took.
#[derive(Default)]
struct Took {
    wall: Duration,
    /// User and system time of the process with its children.
    cpu: Duration,
    /// The largest resident set, in KiB.
    memory: u64,
    code: Option<i32>,
    /// Its standard output.
    says: String,
}

pub fn run() {
    if let Some(why) = missing() {
        println!("sweep: skipped: {why}");
        return;
    }
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let server = Sshd::start("MaxStartups 10000\nMaxSessions 1000\nLogLevel QUIET\n");
    let port = server.port();
    // The server has its port on 127.0.0.1, so the same port of all other loopback addresses is free.
    let _forwards = runtime.block_on(forward(port));
    write(&server, HOSTS, 0);
    println!("\n{HOSTS} hosts, {} processors", std::thread::available_parallelism().map_or(0, usize::from));
    let openssh = || {
        let list: String = (0..HOSTS).map(|number| format!("{}\n", address(number))).collect();
        std::fs::write(server.folder().join("hosts"), list).expect("written");
        let (at, port) = (server.folder(), port.to_string());
        let mut xargs = command("xargs");
        xargs.arg("-a").arg(at.join("hosts")).args(["-P", "64", "-I", "@", "ssh", "-F"]);
        measure(xargs.arg(at.join("openssh_config")).args(["-p", &port, "@", "true"]))
    };
    report("OpenSSH: `true` on all, 64 at once", &openssh(), HOSTS);
    // They share their base folder, so that what is deployed to one is on all of them.
    report("portoser: deploy of one service to one of them", &portoser(&server, &["deploy", "--host", "h0"]), 1);
    sweep("portoser: sweep", &server);
    let silent: Vec<Silent> =
        (0..HOLES / 2).map(|number| Silent::bind((hole(number), port)).expect("a port")).collect();
    let closed: Vec<_> =
        (HOLES / 2..HOLES).map(|number| full(&runtime, SocketAddr::from((hole(number), port)))).collect();
    write(&server, HOSTS - HOLES, HOLES);
    sweep("portoser: sweep, 50 silent, 50 behind closed walls", &server);
    drop((silent, closed));
    write(&server, HOSTS, 0);
    report("portoser: host check", &portoser(&server, &["host", "check", "--json"]), HOSTS);
    report("portoser: plan", &portoser(&server, &["plan", "--all", "--json"]), HOSTS);
    report("portoser: remove", &portoser(&server, &["remove", "one", "--host", "h0", "--yes"]), 1);
}

/// A sweep, and below its figures what it says of the hosts: this machine is truly overloaded while it is a thousand hosts.
fn sweep(what: &str, server: &Sshd) {
    let took = portoser(server, &["sweep", "--all", "--json"]);
    report(what, &took, HOSTS);
    let says: serde_json::Value = serde_json::from_str(&took.says).unwrap_or_default();
    let mut left: BTreeMap<&str, usize> = BTreeMap::new();
    for problem in says["left"].as_array().into_iter().flatten() {
        *left.entry(problem["problem"].as_str().unwrap_or("unknown")).or_default() += 1;
    }
    let treated = says["treated"].as_array().map_or(0, Vec::len);
    println!("    {treated} treated, {} looks not taken; left: {left:?}", says["unseen"]);
}

/// A listener whose queue is full: the kernel drops what comes, as a firewall does.
fn full(runtime: &tokio::runtime::Runtime, at: SocketAddr) -> (TcpListener, Vec<std::net::TcpStream>) {
    let _inside = runtime.enter();
    let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
    socket.bind(at).expect("a port");
    let listener = socket.listen(1).expect("it listens");
    let connect = |_| std::net::TcpStream::connect_timeout(&at, Duration::from_millis(50)).ok();
    let open = (0..8).map_while(connect).collect();
    (listener, open)
}

fn address(number: usize) -> Ipv4Addr {
    let number = u8::try_from(number / 250).and_then(|high| Ok((high, u8::try_from(number % 250)?))).expect("in range");
    Ipv4Addr::new(127, 77, number.0, number.1 + 1)
}

fn hole(number: usize) -> Ipv4Addr {
    Ipv4Addr::new(127, 78, 0, u8::try_from(number).expect("in range") + 1)
}

/// Passes what comes to each address on to the server.
async fn forward(port: u16) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    for number in 0..HOSTS {
        let listener = TcpListener::bind((address(number), port)).await.expect("a port");
        tasks.spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((mut near, _)) = listener.accept().await {
                open.spawn(async move {
                    let Ok(mut far) = TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await else {
                        return;
                    };
                    let _ = (near.set_nodelay(true), far.set_nodelay(true));
                    let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
                });
                while open.try_join_next().is_some() {}
            }
        });
    }
    tasks
}

/// The registry of so many hosts, and of so many that say nothing.
fn write(server: &Sshd, hosts: usize, holes: usize) {
    let (at, port) = (server.folder().display(), server.port());
    let mut text = format!(
        "version: 1\nat_once: {AT_ONCE}\ndefaults: {{ user: {}, port: {port}, base: {at}/base, identity: [{at}/id] }}\nhosts:\n",
        user()
    );
    let mut known = String::new();
    let mut add = |name: String, address: Ipv4Addr| {
        text += &format!("  {name}: {{ address: {address} }}\n");
        known += &server.known_line("host.pub", &format!("[{address}]:{port}"));
    };
    (0..hosts).for_each(|number| add(format!("h{number}"), address(number)));
    (0..holes).for_each(|number| add(format!("x{number}"), hole(number)));
    // One service on all of them.
    let names: Vec<String> = (0..hosts).map(|n| format!("h{n}")).chain((0..holes).map(|n| format!("x{n}"))).collect();
    text += &format!(
        "services:\n  one: {{ type: native, hosts: [{}], run: [/bin/sleep, \"9999\"], checks: [{{ unit: true }}] }}\n",
        names.join(", ")
    );
    std::fs::write(server.folder().join("registry.yml"), text).expect("written");
    std::fs::write(server.known_hosts(), known).expect("written");
    let _ = server.options("");
    let config = format!(
        "User {}\nIdentityFile {at}/id\nIdentitiesOnly yes\nUserKnownHostsFile {at}/known_hosts\nGlobalKnownHostsFile none\nBatchMode yes\n",
        user()
    );
    std::fs::write(server.folder().join("openssh_config"), config).expect("written");
}

fn portoser(server: &Sshd, words: &[&str]) -> Took {
    let at = server.folder();
    let mut portoser = command(env!("CARGO_BIN_EXE_portoser"));
    portoser.env("PORTOSER_REGISTRY", at.join("registry.yml")).env("PORTOSER_STATE", at.join("state"));
    portoser.env("PORTOSER_SSH_CONFIG", at.join("ssh_config")).env("HOME", at).args(words);
    measure(&mut portoser)
}

/// Runs it to its end, looking now and then at what it takes. Children that ended are in the times of their parent.
fn measure(command: &mut std::process::Command) -> Took {
    let began = Instant::now();
    let mut says = tempfile::tempfile().expect("a file");
    let stdout = says.try_clone().expect("the same file");
    let mut child = command.stdin(Stdio::null()).stdout(stdout).stderr(Stdio::null()).spawn().expect("it starts");
    let mut took = Took::default();
    let status = loop {
        look(&child, &mut took);
        if let Some(status) = child.try_wait().expect("a child") {
            break status;
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    took.wall = began.elapsed();
    says.rewind().and_then(|()| says.read_to_string(&mut took.says)).expect("text");
    Took { code: status.code(), ..took }
}

fn look(child: &Child, took: &mut Took) {
    let read = |file: &str| std::fs::read_to_string(format!("/proc/{}/{file}", child.id())).unwrap_or_default();
    let status = read("status");
    let fields: BTreeMap<&str, &str> = status.lines().filter_map(|line| line.split_once(':')).collect();
    let most = fields.get("VmHWM").and_then(|text| text.split_whitespace().next()?.parse().ok());
    took.memory = took.memory.max(most.unwrap_or_default());
    let stat = read("stat");
    // After the name in parentheses: utime, stime, cutime and cstime are the 12th to the 15th, in hundredths of a second.
    let ticks = stat.rsplit_once(')').map_or(Vec::new(), |(_, rest)| rest.split_whitespace().collect());
    let sum: u64 = ticks.iter().skip(11).take(4).filter_map(|word| word.parse::<u64>().ok()).sum();
    took.cpu = took.cpu.max(Duration::from_millis(sum * 10));
}

fn report(what: &str, took: &Took, hosts: usize) {
    let each = took.cpu.as_secs_f64() * 1000.0 / f64::from(u32::try_from(hosts).unwrap_or(u32::MAX));
    println!(
        "{what:<46} {:>7.1} s {each:>7.1} ms CPU a host {:>5} MiB, exit {}",
        took.wall.as_secs_f64(),
        took.memory / 1024,
        took.code.unwrap_or(-1)
    );
    let _ = std::io::stdout().flush();
}
