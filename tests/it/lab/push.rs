//! Images that are sent over SSH: only what the host's engine lacks, again from where a cut left it, and proven by their digests.
//! No engine but the host's has a part in it, except where it is compared with one.

use std::io::Write as _;
use std::process::Stdio;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use libtest_mimic::{Failed, Trial};

use crate::fixture::delay_proxy::DelayProxy;
use crate::fixture::docker_save::{layer, noise, root_script, save};
use crate::fixture::sshd::command;

use super::docker::{chosen, side_by_side};
use super::kit::{Bench, Machine, port};
use super::{kill, trial};

pub fn trials() -> Vec<Trial> {
    vec![trial("an_image_is_sent_as_the_layers_that_the_host_lacks", layers)]
}

/// So many layers has the image, and this many bytes the one that changes.
const LAYERS: usize = 10;
const CHANGED: usize = 9 << 20;

/// The root of the image, from the host's own busybox.
pub(super) fn root(machine: &Machine) -> Vec<u8> {
    let mut docker = command("docker");
    docker.args(["exec", &machine.container, "/bin/sh", "-c", &root_script()]);
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
             checks: [{{ http: /, start_period: 5s }}, {{ unit: true }}]\n    stop: {{ signal: SIGKILL }}\n"
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

/// How long it is when it is packed as for this host.
fn packed(bytes: &[u8], machine: &Machine) -> u64 {
    let words = if has_zstd(machine) { ["zstd", "-3qc"] } else { ["gzip", "-6c"] };
    let mut packer =
        command(words[0]).arg(words[1]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a packer");
    let mut input = packer.stdin.take().expect("a pipe");
    let bytes = bytes.to_vec();
    let feed = std::thread::spawn(move || input.write_all(&bytes));
    let packed = packer.wait_with_output().expect("an end").stdout.len() as u64;
    feed.join().expect("a feed").expect("it reads all");
    packed
}

fn has_zstd(machine: &Machine) -> bool {
    machine.inside("command -v zstd").contains('/')
}

fn layers(machines: Vec<Machine>) -> Result<(), Failed> {
    if super::kit::full() {
        killed(machines.clone())?;
    }
    side_by_side(&chosen(&machines, "trixie"), |machine| {
        let sent = Sent::new(machine);
        sent.write("{ from: image.tar }");
        sent.version(1);
        sent.bench.run(&["deploy", "--all"]).exits(0);
        sent.answers("v1");
        let first = sent.proxy.bytes();

        let changed = packed(&sent.version(2), machine);
        let before = sent.proxy.bytes();
        let deploy = sent.bench.run(&["deploy", "--all"]).exits(0);
        let bytes = sent.proxy.bytes() - before;
        sent.answers("v2");
        assert!(deploy.err.contains("sent 1 of 10 layers"), "{}", deploy.err);

        // The link is cut when a half has passed. It is slower than the host, as links are: else most would wait within sshd then.
        let cut = packed(&sent.version(3), machine);
        sent.proxy.throttle(1 << 20);
        let before = sent.proxy.bytes();
        let again = cut_in_the_middle(&sent, before + cut / 2);
        sent.proxy.throttle(0);
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
        assert!(again as f64 <= cut as f64 * 1.05, "{again} bytes for {cut}, with a cut");

        let name = format!("{}-web", sent.bench.id);
        sent.bench.run(&["rollback", &name]).exits(0);
        sent.answers("v2");
        if super::kit::full() && has_zstd(machine) {
            of_this_machine(&sent);
        }
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

/// Docker of this machine, where there is one: what it has, what it builds, and how long the usual way takes.
fn of_this_machine(sent: &Sent) {
    let Some(docker) = std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
        .map(|folder| folder.join("docker"))
        .find(|file| file.is_file())
    else {
        eprintln!("skipped: push: there is no docker on this machine");
        return;
    };
    let (bench, machine) = (&sent.bench, &sent.bench.machines[0]);
    let deploy = || {
        let mut deploy = bench.command_in("state", &["deploy", "--all"]);
        let path = format!("{}:/usr/bin:/bin", docker.parent().expect("a folder").display());
        let began = Instant::now();
        let output = deploy.env("PATH", path).output().expect("portoser starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        began.elapsed()
    };
    let shell = |script: &str| {
        let output = command("sh").args(["-c", script]).current_dir(bench.at("")).output().expect("a shell");
        assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
    };
    sent.version(5);
    shell("docker load --quiet --input image.tar");
    sent.write("direct");
    let ours = deploy();
    sent.answers("v5");
    let began = Instant::now();
    shell(&format!(
        "docker save trial/sent:1 | zstd -3qc | ssh -F ssh_config -i {} -p {} deploy@127.0.0.1 'zstd -dqc | sudo docker load'",
        machine.key.display(),
        sent.proxy.port(),
    ));
    eprintln!(
        "lab: push: one changed layer of {LAYERS} deployed in {ours:?}; docker save | zstd | ssh docker load {:?}",
        began.elapsed()
    );
    std::fs::create_dir(bench.at("built")).expect("a folder");
    std::fs::write(bench.at("built/root.tar"), &sent.layers[0]).expect("a file");
    std::fs::write(bench.at("built/index.html"), "v6").expect("a file");
    let lines = "FROM scratch\nADD root.tar /\nENV PATH=/bin\nCOPY index.html /www/index.html\n";
    std::fs::write(bench.at("built/Dockerfile"), lines).expect("a file");
    sent.write("{ build: built }");
    deploy();
    sent.answers("v6");
    let name = format!("{}-web", bench.id);
    bench.run(&["rollback", &name]).exits(0);
    sent.answers("v5");
    sent.write("{ from: image.tar }");
    sent.version(2);
    deploy();
    shell("docker rmi trial/sent:1");
}

/// The kill table, for services whose images are sent.
fn killed(machines: Vec<Machine>) -> Result<(), Failed> {
    static ROOT: OnceLock<Vec<u8>> = OnceLock::new();
    let service: kill::Service = |bench, name, host, port, version, more| {
        let root = ROOT.get_or_init(|| root(&bench.machines[0]));
        let archive = format!("image-{name}-{version}.tar");
        save(
            &bench.at(&archive),
            "trial/http:1",
            "amd64",
            &[root.clone(), layer(&[("version", format!("{name} {version}").as_bytes())])],
        );
        super::docker::service(bench, name, host, port, version, more)
            .replace("pull: never", &format!("push: {{ from: {archive} }}"))
    };
    let tidy: kill::Holds = |bench, machine| {
        assert_eq!(machine.inside(&format!("ls {}/pushed", bench.base())), "", "nothing is left of what was sent");
    };
    kill::all(&chosen(&machines, "trixie"), service, tidy, 1)
}

/// What cannot be sent is told before anything is touched.
fn refused(sent: &Sent) {
    let (archive, machine) = (sent.bench.at("image.tar"), &sent.bench.machines[0]);
    sent.version(4);
    machine.fault(&["fill", &sent.bench.base()]);
    let told = sent.bench.run(&["deploy", "--all", "--no-auto-heal"]);
    machine.fault(&["empty", &sent.bench.base()]);
    assert!(told.code == Some(5) && told.err.contains("cannot be sent"), "{told:?}");
    assert!(told.err.contains(" are free"), "{}", told.err);
    sent.answers("v2");
    save(&archive, "trial/sent:1", "arm64", &sent.layers);
    let told = sent.bench.run(&["deploy", "--all"]).exits(9);
    assert!(told.err.contains("is made for linux/arm64"), "{}", told.err);
    save(&archive, "trial/other:1", "amd64", &sent.layers);
    std::fs::write(&archive, b"no archive").expect("a file");
    let told = sent.bench.run(&["deploy", "--all"]).exits(3);
    assert!(told.err.contains("no archive of an image"), "{}", told.err);
}
