//! A file in a volume, which lives through whatever is done to its service.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::docker;
use super::kit::{Bench, Machine, Ran, port};

/// Puts a file into the volume of a service, which must then be there for ever.
pub(super) fn canary(bench: &Bench, machine: &Machine, name: &str) {
    machine.inside(&format!("echo alive >{}/canary", folder(bench, name)));
}

/// Where the volume lies on its host.
pub(super) fn folder(bench: &Bench, name: &str) -> String {
    format!("/var/lib/docker/volumes/portoser-{}-{name}_data/_data", bench.id)
}

/// Whether it still is.
pub(super) fn is_alive(bench: &Bench, machine: &Machine, name: &str) {
    let said = machine.inside(&format!("cat {}/canary", folder(bench, name)));
    assert_eq!(said.trim(), "alive", "the volume's file on {}", machine.name);
}

/// Its controller and the host's runner are killed in the middle of a deploy, and it moves to another host and back: the volume
/// stays where it was, and is there again.
pub(super) fn moved_and_killed(machines: &[Machine], operations: &AtomicUsize) {
    let [one, other] = machines else { panic!("two hosts with an engine are needed: {machines:?}") };
    docker::side_by_side(machines, docker::image).expect("the image");
    let (bench, port) = (Bench::new("moved", machines), port());
    let name = format!("{}-web", bench.id);
    let write = |version| bench.registry(&docker::service(&bench, "web", &one.name, port, version, ""));
    let lives = |ran: Ran| {
        operations.fetch_add(1, Ordering::SeqCst);
        is_alive(&bench, one, "web");
        ran
    };
    let verb = |words: &[&str]| lives(bench.run(words).exits(0));
    write("one");
    bench.run(&["deploy", "--all"]).exits(0);
    canary(&bench, one, "web");
    let runner = format!(
        "for r in {}/runs/*/runner; do [ ! -e ${{r%runner}}end ] && read -r p x <$r && kill -9 $p && echo killed; done",
        bench.base()
    );
    for (version, controller) in [("two", true), ("three", false)] {
        write(version);
        let mut killed = false;
        let ran = bench.run_in("state", &["deploy", "--all", "--events"], &mut |_, child| {
            if killed || bench.answer(one, port) != version {
                return;
            }
            killed = if controller { child.kill().is_ok() } else { one.inside(&runner).contains("killed") };
        });
        assert!(killed, "it was to be killed behind the switch: {}", ran.out);
        lives(ran);
        verb(&["deploy", "--all"]);
        assert_eq!(bench.answer(one, port), version);
    }
    verb(&["service", "move", &name, &other.name]);
    verb(&["deploy", &name]);
    assert_eq!(bench.answer(other, port), "three");
    verb(&["remove", &name, "--host", &one.name, "--yes"]);
    assert_eq!(bench.answer(one, port), "");
    verb(&["service", "move", &name, &one.name]);
    verb(&["deploy", &name]);
    let said = verb(&["exec", &name, "--host", &one.name, "--", "cat", "/data/canary"]);
    assert_eq!(said.out.trim(), "alive", "the service finds it again");
}
