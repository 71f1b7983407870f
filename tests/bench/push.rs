//! An image of ten layers sent to a host over one link, by `docker save | zstd | ssh docker load` and by `push: direct`: all of it,
//! and with one layer changed; and the latter with a cut in the middle. Both roads begin in this machine's engine.

use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::delay_proxy::DelayProxy;
use crate::docker_save::{layer, noise, root_script, save};
use crate::lab::{Host, Lab};
use crate::spread;

const TIMES: usize = 3;
const LAYERS: usize = 10;
const EACH: usize = 8 << 20;
const PORT: u16 = 31_100;
const IMAGE: &str = "bench/sent:1";
/// A link on loopback as it is, and one of 100 Mbit/s with a round trip of 20 ms.
const LINKS: [(&str, u64, Duration); 2] =
    [("loopback", 0, Duration::ZERO), ("100 Mbit/s, 20 ms", 12_500_000, Duration::from_millis(10))];

/// What was measured of one road: seconds, and bytes over the link in both directions.
#[derive(Default)]
struct Road(Vec<Duration>, Vec<u64>);

struct Link<'a> {
    lab: &'a Lab,
    host: &'a Host,
    proxy: &'a DelayProxy,
    layers: Vec<Vec<u8>>,
}

pub fn run(inventory: &Value) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let mut proxies = Vec::new();
    let lab = Lab::new(inventory, &["trixie-docker"], |address, port| {
        let target = format!("{address}:{port}").parse().expect("an address");
        proxies.push(runtime.block_on(DelayProxy::start(target, Duration::ZERO)));
        ("127.0.0.1".to_owned(), proxies.last().expect("one").port())
    });
    let (Some(host), Some(proxy)) = (lab.hosts.first(), proxies.first()) else {
        println!("\npush: skipped: it wants a host with Docker and zstd");
        return;
    };
    std::fs::write(lab.file("push.yml"), lab.head() + &service(host)).expect("written");
    let mut layers = vec![output(Command::new("docker").args(["exec", &host.container, "sh", "-c", &root_script()]))];
    layers.extend((2..LAYERS).map(|number| layer(&[(&format!("l{number}"), &noise(number as u64, EACH))])));
    let link = Link { lab: &lab, host, proxy, layers };
    let mut version = 0;
    for (name, rate, delay) in LINKS {
        proxy.throttle(rate);
        proxy.delay(delay);
        link.measure((name, rate), &mut version);
    }
    lab.portoser(&["remove", "--all", "--yes"], "push.yml");
    shell(&format!("docker rmi {IMAGE}"));
}

fn service(host: &Host) -> String {
    format!(
        "  sent-{}:\n    type: docker\n    host: {}\n    image: {IMAGE}\n    push: direct\n    \
         command: [sh, -c, \"exec httpd -f -p 80 -h /www\"]\n    port: {PORT}\n    ports: [\"{PORT}:80\"]\n    \
         checks: [{{ http: /, start_period: 5s, interval: 100ms }}]\n    stop: {{ signal: SIGKILL }}\n    deploy: {{ soak: 0s }}\n",
        std::process::id(),
        host.name
    )
}

impl Link<'_> {
    fn measure(&self, (name, rate): (&str, u64), version: &mut u64) {
        let mut roads: [Road; 5] = Default::default();
        let mut sizes = (0, 0);
        for _ in 0..TIMES {
            self.forget();
            for road in [0, 1] {
                self.next(version);
                self.count(&mut roads[road], || self.usual());
            }
            self.forget();
            for road in [2, 3] {
                self.next(version);
                self.count(&mut roads[road], || self.deploy());
            }
            sizes = self.next(version);
            // Without a limit most of it waits within sshd by the time of the cut.
            if rate > 0 {
                self.count(&mut roads[4], || self.cut(sizes.1 / 2));
            }
        }
        let (whole, changed) = sizes;
        println!(
            "\nan image of {LAYERS} layers, which packs to {whole} bytes, its changed layer to {changed}; {name}\n{:<58} {:>8} {:>8} {:>8} {:>12}",
            "", "min ms", "median", "max", "bytes"
        );
        let names = [
            "docker save | zstd | ssh docker load: all",
            "docker save | zstd | ssh docker load: one layer changed",
            "portoser deploy to its proof, push: direct: all",
            "portoser deploy to its proof, push: direct: one layer",
            "the same, cut in the middle",
        ];
        for (name, Road(times, bytes)) in names.iter().zip(roads).filter(|(_, road)| !road.0.is_empty()) {
            println!("{name:<58} {} {:>12}", spread(times), bytes.iter().max().unwrap_or(&0));
        }
    }

    /// Another last layer, in this machine's engine; how long the image and that layer are when they are packed.
    fn next(&self, version: &mut u64) -> (u64, u64) {
        *version += 1;
        let (text, changed) = (format!("v{version}"), noise(*version << 8, EACH));
        let mut layers = self.layers.clone();
        layers.push(layer(&[("www/index.html", text.as_bytes()), ("changed", &changed)]));
        save(&self.lab.file("image.tar"), IMAGE, "amd64", &layers);
        std::fs::write(self.lab.file("layer.tar"), layers.last().expect("a layer")).expect("written");
        let file = |name: &str| self.lab.file(name).display().to_string();
        // The one before would stay there without a name.
        shell(&format!("docker rmi -f {IMAGE} 2>/dev/null; docker load --quiet --input {}", file("image.tar")));
        let packed = |name| shell(&format!("zstd -3qc {} | wc -c", file(name))).trim().parse().expect("a number");
        (packed("image.tar"), packed("layer.tar"))
    }

    fn count(&self, road: &mut Road, act: impl FnOnce()) {
        let (before, began) = (self.proxy.bytes(), Instant::now());
        act();
        road.0.push(began.elapsed());
        road.1.push(self.proxy.bytes() - before);
    }

    /// The usual way. It ends when the host's engine has the image, and starts nothing.
    fn usual(&self) {
        let ssh = self.lab.ssh_words(self.host).join(" ");
        shell(&format!("docker save {IMAGE} | zstd -3qc | {ssh} 'zstd -dqc | sudo docker load --quiet'"));
    }

    fn deploy(&self) {
        self.lab.portoser(&["deploy", "--all"], "push.yml");
    }

    /// A deploy whose link is cut when so many bytes have passed.
    fn cut(&self, at: u64) {
        let at = self.proxy.bytes() + at;
        std::thread::scope(|scope| {
            let deploy = scope.spawn(|| self.deploy());
            while self.proxy.bytes() < at && !deploy.is_finished() {
                std::thread::sleep(Duration::from_millis(1));
            }
            self.proxy.cut();
            deploy.join().expect("a deploy");
        });
    }

    /// Takes the image from the host, and with it every layer.
    fn forget(&self) {
        if self.lab.file("state").exists() {
            self.lab.portoser(&["remove", "--all", "--yes"], "push.yml");
        }
        let left = self.host.inside(&format!(
            "docker rmi -f {IMAGE} >/dev/null; docker image prune -f >/dev/null; docker images -q --filter reference='*/sent*' \
             --filter reference='portoser/sent-*/*'"
        ));
        assert_eq!(left, "", "the host's engine has none of it");
    }
}

fn shell(script: &str) -> String {
    String::from_utf8_lossy(&output(Command::new("bash").args(["-o", "pipefail", "-c", script]))).into_owned()
}

fn output(command: &mut Command) -> Vec<u8> {
    let output = command.stdin(std::process::Stdio::null()).output().expect("started");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}
