//! Where an engine keeps images and containers there is little room, or none: what ran runs on, and why is told. On a host of its own,
//! as all that is on a host would feel it.

use std::path::Path;
use std::process::Output;

use libtest_mimic::{Failed, Trial};

use crate::fixture::sshd::command;

use super::docker::{containers, image, service, side_by_side};
use super::kit::{Bench, Machine, PATIENCE, Ran, full, machines_of, port};
use super::store::Store;
use super::trial;

/// With `PORTOSER_LAB_FULL`, as it takes minutes.
pub fn trials() -> Vec<Trial> {
    let all = vec![trial("an_engine_without_room_lets_run_what_runs", engine)];
    if full() { all } else { Vec::new() }
}

/// A lab of one host. It goes when this goes.
pub(super) struct Own {
    pub machine: Machine,
    _gone: Gone,
}

impl Own {
    pub(super) fn new(kind: &str) -> Self {
        let (id, folder) = (format!("own-{}", port()), tempfile::tempdir().expect("a folder"));
        let inventory = folder.path().join("inventory.json");
        let hosts = format!("{kind}=1");
        // What failed half-way goes, too.
        let gone = Gone(id.clone());
        let words = ["--id", &id, "--hosts", &hosts, "--inventory", &inventory.display().to_string()];
        let output = script("up.sh", &words).expect("up.sh");
        assert!(output.status.success(), "up.sh: {}", String::from_utf8_lossy(&output.stderr));
        Self { machine: machines_of(&inventory).remove(0), _gone: gone }
    }
}

/// The id of a lab that goes when this goes.
struct Gone(String);

impl Drop for Gone {
    fn drop(&mut self) {
        // A panic here would hide the one that it may follow, and end all trials.
        match script("down.sh", &["--id", &self.0]) {
            Ok(output) if output.status.success() => {}
            failed => eprintln!("lab: {} was not removed: {failed:?}", self.0),
        }
    }
}

fn script(name: &str, words: &[&str]) -> std::io::Result<Output> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lab").join(name);
    command(&file.display().to_string()).args(words).output()
}

/// So many KiB are left where the engine keeps images and containers.
const ROOM: [u32; 13] = [0, 4, 8, 16, 24, 32, 40, 48, 56, 64, 128, 1024, 16_384];

/// Leaves so many KiB to the engine; none leaves it enough.
fn leave(machine: &Machine, room: Option<u32>) {
    let used = machine.inside("df -k --output=used /var/lib/docker | tail -n 1");
    let used: u32 = used.trim().parse().expect("a number");
    machine.inside(&format!("mount -o remount,size={}k /var/lib/docker", room.map_or(600_000, |room| used + room)));
}

fn engine(_: Vec<Machine>) -> Result<(), Failed> {
    let own = ["bookworm-docker", "trixie-docker"].map(Own::new);
    side_by_side(&own.each_ref().map(|own| own.machine.clone()), filled)
}

fn filled(machine: &Machine) {
    machine.inside(
        "systemctl stop docker.socket docker; mount -t tmpfs -o size=600m none /var/lib/docker; systemctl start docker",
    );
    image(machine);
    let (bench, port) = (Bench::new("room", std::slice::from_ref(machine)), port());
    let write = |version: &str| bench.registry(&service(&bench, "one", &machine.name, port, version, ""));
    write("v0");
    bench.run(&["deploy", "--all"]).exits(0);
    let (mut answers, mut fitted) = ("v0".to_owned(), 0);
    for room in ROOM {
        leave(machine, Some(room));
        let new = format!("room-{room}");
        write(&new);
        let before = containers(machine, &bench);
        let ran = bench.run(&["deploy", "--all", "--no-auto-heal"]);
        assert!(ran.took < PATIENCE && matches!(ran.code, Some(0 | 5)), "{room} KiB: {ran:?}");
        if ran.code == Some(0) {
            fitted += 1;
            answers.clone_from(&new);
        } else {
            told(&ran);
            assert_eq!(containers(machine, &bench), before, "{room} KiB: what ran was stopped: {}", ran.err);
        }
        let ends = [(ROOM[0], Some(5)), (ROOM[ROOM.len() - 1], Some(0))];
        assert!(ends.iter().all(|(end, code)| room != *end || ran.code == *code), "{room} KiB: {ran:?}");
        assert_eq!(bench.answer(machine, port), answers, "{room} KiB: {}", ran.err);
        leave(machine, None);
        bench.run(&["deploy", "--all"]).exits(0);
        assert_eq!(bench.answer(machine, port), new, "with room again, after {room} KiB");
        assert_eq!(bench.amiss(machine), "", "after {room} KiB");
        answers = new;
    }
    eprintln!("lab: engine's disk table on {}: {} amounts of room, {fitted} were enough", machine.name, ROOM.len());
    fetched(&bench, machine, port, &answers);
}

fn told(ran: &Ran) {
    assert!(
        ran.err.contains("full on which the engine keeps images") && ran.err.contains("hint: see `df -h`"),
        "{}",
        ran.err
    );
}

/// An image that is too large is refused before; one that turns out to be, as it is unpacked, leaves the old version.
fn fetched(bench: &Bench, machine: &Machine, port: u16, old: &str) {
    let store = Store::new(machine, bench, false);
    store.push("app:1", "noise", 8_000_000);
    let zeros = format!("{}/app:2", store.name());
    let made = machine.inside(&format!(
        "head -c 80000000 /dev/zero >/var/tmp/zeros && c=$(docker create trial/http:1 true) && docker cp /var/tmp/zeros $c:/zeros && \
         docker commit $c {zeros} && docker rm $c && docker push {zeros} && docker rmi {zeros} && rm /var/tmp/zeros && echo pushed"
    ));
    assert!(made.contains("pushed"), "{made}");
    leave(machine, Some(12_000));
    let before = containers(machine, bench);
    for (tag, code) in [("1", 9), ("2", 5)] {
        let text = service(bench, "one", &machine.name, port, "fetched", "");
        bench.registry(
            &text
                .replace("trial/http:1", &format!("{}/app:{tag}", store.name()))
                .replace("pull: never", "pull: missing"),
        );
        let ran = bench.run(&["deploy", "--all", "--no-auto-heal"]).exits(code);
        if code == 9 {
            assert!(ran.err.contains("no room to fetch"), "{}", ran.err);
        } else {
            told(&ran);
        }
        assert_eq!(bench.answer(machine, port), old, "{}", ran.err);
        assert_eq!(containers(machine, bench), before, "nothing was touched");
    }
    leave(machine, None);
    bench.run(&["deploy", "--all"]).exits(0);
    assert_eq!(bench.answer(machine, port), "fetched", "with room again");
    assert_eq!(bench.amiss(machine), "");
}
