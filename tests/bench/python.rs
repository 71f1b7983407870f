//! How long a Python service does not answer while one file of its source is deployed, beside a restart of its unit by systemd
//! itself, and what goes over the link.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::delay_proxy::DelayProxy;
use crate::lab::Lab;
use crate::mixed::{SERVER, write};
use crate::{head, row};

const TIMES: usize = 9;
const PATIENCE: Duration = Duration::from_secs(60);
const PORT: u16 = 31_000;

pub fn run(inventory: &Value) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let mut proxies = Vec::new();
    let mut lab = Lab::new(inventory, &["bookworm", "trixie"], |address, port| {
        let target = format!("{address}:{port}").parse().expect("an address");
        let proxy = runtime.block_on(DelayProxy::start(target, Duration::ZERO));
        proxies.push(proxy);
        ("127.0.0.1".to_owned(), proxies.last().expect("one").port())
    });
    lab.hosts.truncate(1);
    let Some(host) = lab.hosts.first() else { return };
    write(lab.folder.path());
    let name = format!("py-{}", std::process::id());
    let registry = lab.head()
        + &format!(
            "  {name}:\n    type: python\n    host: {}\n    source: app\n    run: [python, ./server.py, one]\n    \
             port: {PORT}\n    env: {{ PORT: \"${{PORT}}\" }}\n    checks: [{{ http: /health, interval: 100ms }}]\n    \
             deploy: {{ soak: 200ms }}\n",
            host.name
        );
    std::fs::write(lab.file("python.yml"), registry).expect("written");
    let deploy = || lab.portoser(&["deploy", "--all"], "python.yml");
    deploy();
    let address = format!("{}:{PORT}", host.inside);
    let (mut deploys, mut restarts, mut sent) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..TIMES {
        let changed = SERVER.replace("127.0.0.1", "0.0.0.0") + &format!("# {round}\n");
        std::fs::write(lab.file("app/server.py"), changed).expect("written");
        let before = proxies[0].bytes();
        let took = interruption(&address, || _ = deploy());
        if round > 0 {
            deploys.push(took);
            sent.push(proxies[0].bytes() - before);
        }
        restarts
            .push(interruption(&address, || _ = host.inside(&format!("systemctl restart portoser-{name}.service"))));
    }
    head("a Python service, one changed file: interruption");
    row("systemctl restart", restarts);
    row("portoser: deploy", deploys);
    println!("bytes over the link, most: {} (the file has {})", sent.iter().max().unwrap_or(&0), SERVER.len());
    lab.portoser(&["remove", "--all", "--yes"], "python.yml");
}

/// The longest time without an answer while this is done.
fn interruption(address: &str, act: impl FnOnce()) -> Duration {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let client = scope.spawn(|| {
            let (mut longest, mut last) = (Duration::ZERO, Instant::now());
            let until = Instant::now() + PATIENCE;
            // To the first answer after all is done.
            loop {
                let ended = over.load(Ordering::SeqCst) || Instant::now() > until;
                let good = answers(address);
                if good {
                    longest = longest.max(last.elapsed());
                    last = Instant::now();
                }
                if ended && (good || Instant::now() > until) {
                    return longest;
                }
                std::thread::sleep(Duration::from_millis(2));
            }
        });
        act();
        over.store(true, Ordering::SeqCst);
        client.join().expect("the client")
    })
}

fn answers(address: &str) -> bool {
    let ask = || {
        let mut stream = TcpStream::connect_timeout(&address.parse().ok()?, Duration::from_secs(2)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(2))).ok()?;
        stream.write_all(b"GET / HTTP/1.0\r\n\r\n").ok()?;
        let mut said = String::new();
        stream.read_to_string(&mut said).ok()?;
        said.contains("200 OK").then_some(())
    };
    ask().is_some()
}
