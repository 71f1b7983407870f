//! Images that are sent over SSH: only what the host's engine lacks, again from where a cut left it, and proven by their digests.
//! No engine but the host's has a part in it, except where it is compared with one.

use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use libtest_mimic::{Failed, Trial};
use portoser::model::{hex, sha256};
use serde_json::json;

use crate::fixture::delay_proxy::DelayProxy;
use crate::fixture::sshd::command;

use super::docker::{chosen, side_by_side};
use super::kit::{Bench, Machine, port};
use super::trial;

pub fn trials() -> Vec<Trial> {
    vec![trial("an_image_is_sent_as_the_layers_that_the_host_lacks", layers)]
}

/// So many layers has the image, and this many bytes the one that changes.
const LAYERS: usize = 10;
const CHANGED: usize = 9 << 20;

/// Text that packs to about half.
fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        b"0123456789abcdef"[(state & 15) as usize]
    };
    (0..len).map(|_| next()).collect()
}

/// A layer with these files.
fn layer(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (path, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(bytes.len() as u64);
        archive.append_data(&mut header, path, *bytes).expect("a member");
    }
    archive.into_inner().expect("a layer")
}

/// Writes an archive as `docker save` does, and gives the digest of its last layer.
fn save(to: &Path, reference: &str, architecture: &str, layers: &[Vec<u8>]) {
    let digests: Vec<String> = layers.iter().map(|layer| format!("sha256:{}", hex(&sha256(layer)))).collect();
    let config = json!({
        "architecture": architecture, "os": "linux", "config": { "Env": ["PATH=/bin"] },
        "rootfs": { "type": "layers", "diff_ids": digests },
    });
    let names: Vec<String> = (1..=layers.len()).map(|number| format!("{number}/layer.tar")).collect();
    let manifest = json!([{ "Config": "config.json", "RepoTags": [reference], "Layers": names }]);
    let mut archive = tar::Builder::new(std::fs::File::create(to).expect("an archive"));
    let mut put = |name: &str, bytes: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(bytes.len() as u64);
        archive.append_data(&mut header, name, bytes).expect("a member");
    };
    for (name, layer) in names.iter().zip(layers) {
        put(name, layer);
    }
    put("config.json", config.to_string().as_bytes());
    put("manifest.json", manifest.to_string().as_bytes());
    archive.finish().expect("an archive");
}

/// The root of the image, from the host's own busybox.
fn root(machine: &Machine) -> Vec<u8> {
    let lines = include_str!("../fixture/image.sh").lines();
    let made: Vec<&str> = lines.filter(|line| line.starts_with("d=") || line.starts_with("for ")).collect();
    let script = made.join("\n") + "\ntar -C \"$d\" -c . && rm -r \"$d\"";
    let mut docker = command("docker");
    docker.args(["exec", &machine.container, "/bin/sh", "-c", &script]);
    let output = docker.stdin(Stdio::null()).output().expect("docker exec");
    assert!(output.stdout.len() > 100_000, "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// A bench whose only service is sent, and the link that counts.
struct Sent {
    bench: Bench,
    port: u16,
    proxy: DelayProxy,
    layers: Vec<Vec<u8>>,
    _world: tokio::runtime::Runtime,
}

impl Sent {
    fn new(machine: &Machine) -> Self {
        let world = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("one");
        let target = format!("{}:{}", machine.address, machine.port).parse().expect("an address");
        let proxy = world.block_on(DelayProxy::start(target, Duration::ZERO));
        let mut bench = Bench::new("sent", std::slice::from_ref(machine));
        bench.through(machine, proxy.port());
        let mut layers = vec![root(machine)];
        layers.extend((2..LAYERS).map(|number| layer(&[(&format!("l{number}"), &noise(number as u64, 100_000))])));
        Self { bench, port: port(), proxy, layers, _world: world }
    }

    /// The next version of the image: its last layer is another one.
    fn version(&self, number: u64) -> Vec<u8> {
        let (text, noise) = (format!("v{number}"), noise(number << 8, CHANGED));
        let mut layers = self.layers.clone();
        layers.push(layer(&[("www/index.html", text.as_bytes()), ("changed", &noise)]));
        save(&self.bench.at("image.tar"), "trial/sent:1", "amd64", &layers);
        layers.pop().expect("a layer")
    }

    fn write(&self, push: &str) {
        let (id, host, port) = (&self.bench.id, &self.bench.machines[0].name, self.port);
        self.bench.registry(&format!(
            "  {id}-web:\n    type: docker\n    host: {host}\n    image: trial/sent:1\n    push: {push}\n    \
             command: [sh, -c, \"exec httpd -f -p 80 -h /www\"]\n    port: {port}\n    ports: [\"{port}:80\"]\n    \
             checks: [{{ http: /, start_period: 5s }}, {{ unit: true }}]\n    stop: {{ timeout: 1s }}\n"
        ));
    }

    fn answers(&self, version: &str) {
        let machine = &self.bench.machines[0];
        let said = self.bench.answer(machine, self.port);
        assert_eq!(said.lines().next(), Some(version), "on {}", machine.name);
        assert_eq!(self.bench.amiss(machine), "");
        assert_eq!(machine.inside(&format!("ls {}/pushed", self.bench.base())), "", "nothing is left of what was sent");
    }
}

fn packed(bytes: &[u8]) -> u64 {
    let mut zstd = command("zstd").arg("-3qc").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("zstd");
    let mut input = zstd.stdin.take().expect("a pipe");
    let bytes = bytes.to_vec();
    let feed = std::thread::spawn(move || input.write_all(&bytes));
    let packed = zstd.wait_with_output().expect("an end").stdout.len() as u64;
    feed.join().expect("a feed").expect("it reads all");
    packed
}

fn layers(machines: Vec<Machine>) -> Result<(), Failed> {
    side_by_side(&chosen(&machines, "trixie"), |machine| {
        let sent = Sent::new(machine);
        sent.write("{ from: image.tar }");
        sent.version(1);
        sent.bench.run(&["deploy", "--all"]).exits(0);
        sent.answers("v1");
        let first = sent.proxy.bytes();

        let changed = packed(&sent.version(2));
        let before = sent.proxy.bytes();
        let deploy = sent.bench.run(&["deploy", "--all"]).exits(0);
        let bytes = sent.proxy.bytes() - before;
        sent.answers("v2");
        assert!(deploy.err.contains("sent 1 of 10 layers"), "{}", deploy.err);

        // The link is cut when a half has passed.
        let cut = packed(&sent.version(3));
        let before = sent.proxy.bytes();
        let again = cut_in_the_middle(&sent, before + cut / 2);
        sent.answers("v3");
        eprintln!(
            "lab: push: on {} an image of {LAYERS} layers took {first} bytes over the link; with one changed, which packs to \
             {changed}, {bytes} ({:.3}) in {:?} ({}); with a cut in the middle {again} ({:.3})",
            machine.name,
            bytes as f64 / changed as f64,
            deploy.took,
            deploy.err.lines().find(|line| line.contains(" sent ")).unwrap_or_default().trim(),
            again as f64 / cut as f64,
        );
        assert!(bytes as f64 <= changed as f64 * 1.05, "{bytes} bytes for {changed}");
        assert!(again as f64 <= cut as f64 * 1.05 + 2.5e6, "{again} bytes for {cut}, with one piece twice");

        let name = format!("{}-web", sent.bench.id);
        sent.bench.run(&["rollback", &name]).exits(0);
        sent.answers("v2");
        refused(&sent);
        sent.answers("v2");
    })
}

fn cut_in_the_middle(sent: &Sent, at: u64) -> u64 {
    let before = sent.proxy.bytes();
    std::thread::scope(|scope| {
        let deploy = scope.spawn(|| sent.bench.run(&["deploy", "--all"]));
        let until = Instant::now() + super::kit::PATIENCE;
        while sent.proxy.bytes() < at && !deploy.is_finished() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(1));
        }
        sent.proxy.cut();
        let ran = deploy.join().expect("a deploy").exits(0);
        assert!(ran.err.contains("sent 1 of 10 layers"), "{}", ran.err);
    });
    sent.proxy.bytes() - before
}

/// What cannot be sent is told before anything is touched.
fn refused(sent: &Sent) {
    let (archive, machine) = (sent.bench.at("image.tar"), &sent.bench.machines[0]);
    sent.version(4);
    machine.fault(&["fill", &sent.bench.base()]);
    let told = sent.bench.run(&["deploy", "--all", "--no-auto-heal"]);
    machine.fault(&["empty", &sent.bench.base()]);
    assert!(told.code == Some(5) && told.err.contains("cannot be sent"), "{told:?}");
    assert!(told.err.contains("No space left"), "{}", told.err);
    sent.answers("v2");
    save(&archive, "trial/sent:1", "arm64", &sent.layers);
    let told = sent.bench.run(&["deploy", "--all"]).exits(9);
    assert!(told.err.contains("is made for linux/arm64"), "{}", told.err);
    save(&archive, "trial/other:1", "amd64", &sent.layers);
    std::fs::write(&archive, b"no archive").expect("a file");
    let told = sent.bench.run(&["deploy", "--all"]).exits(3);
    assert!(told.err.contains("no archive of an image"), "{}", told.err);
}
