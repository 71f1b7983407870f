//! Ctrl-C at the moments that a trial has to hold: while a look goes on that a remedy is judged by, and while a host is being told that
//! it is out of service.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use libtest_mimic::{Failed, Trial};
use serde_json::{Value, json};

use crate::fixture::sshd::command;
use crate::verbs::{Place, trial};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("interrupted::the_look_that_judges_a_remedy_is_taken_to_its_end", judged),
        trial("interrupted::a_host_that_is_being_cordoned_by_a_drain_may_be_so", draining),
    ]
}

/// What a trial may wait for anything.
const PATIENCE: Duration = Duration::from_secs(120);

#[track_caller]
fn wait(what: &str, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < until, "{what}: not within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn start(mut of: Command) -> Child {
    of.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts")
}

/// Interrupts it: its exit code, what it says on both ways, and how long that took.
fn interrupt(child: Child) -> Result<(Option<i32>, String, String, Duration), Failed> {
    let began = Instant::now();
    command("kill").args(["-INT", &child.id().to_string()]).status()?;
    let output = child.wait_with_output()?;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ok((output.status.code(), text(output.stdout), text(output.stderr), began.elapsed()))
}

/// To start it anew helps, and from then on each look takes longer than others may after the wish to stop.
fn judged(place: &Place<'_>) -> Result<(), Failed> {
    let file = place.folder.join("registry.yml");
    let [good, slow, at, armed] = ["good", "slow", "at", "armed"].map(|name| place.at(name));
    let text = std::fs::read_to_string(&file)?.replace("  down: { address: 127.0.0.1, port: 1 }\n", "");
    let starts = "'echo up; exec sleep 600']\n    env";
    let anew = starts.replace("echo up", &format!("[ ! -e {armed} ] || touch {good} {slow}; echo up"));
    let asks = format!("command: [test, -e, {good}], interval: 200ms,");
    let slowly = format!("if [ -e {slow} ]; then touch {at}; sleep 4; fi; test -e {good}");
    let slowly = format!("command: [sh, -c, '{slowly}'], interval: 200ms, timeout: 20s,");
    assert!(text.contains(starts) && text.contains(&asks), "{text}");
    let text = text.replace(starts, &anew).replace(&asks, &slowly);
    std::fs::write(&file, format!("{text}defaults: {{ heal: {{ policy: full, apart: 50ms }} }}\n"))?;
    place.want(0, &["deploy", "--all"])?;
    std::fs::rename(&good, &armed)?;
    let mut healing = start(place.command(&["heal", "above", "--json"]));
    let asked = || std::fs::exists(&at).unwrap_or_default();
    wait("the check after the remedy", || asked() || healing.try_wait().is_ok_and(|ended| ended.is_some()));
    assert!(asked(), "it ended before: {:?}", healing.wait_with_output());
    let (code, out, err, took) = interrupt(healing)?;
    std::fs::remove_file(&slow)?;
    let told: Value = serde_json::from_str(&out)?;
    assert_eq!((code, &told["treated"][0]["verdict"]), (Some(130), &json!("helped")), "{told}{err}");
    assert!(took > Duration::from_secs(4), "the look was over after {took:?}");
    place.want(0, &["status", "above"])?;
    place.want(0, &["remove", "--all", "--yes", "--quiet"])?;
    Ok(())
}

fn draining(place: &Place<'_>) -> Result<(), Failed> {
    place.want(0, &["deploy", "--all"])?;
    // To write the word down takes as long as nobody reads it.
    let pipe = place.at("base/cordon.new");
    command("mkfifo").arg(&pipe).status()?;
    let drain = start(place.command(&["host", "drain", "box", "--alone"]));
    let telling = || {
        let found = command("pgrep").args(["-f", &format!(" cordon {} ", place.at("base/cordon"))]).output();
        found.is_ok_and(|found| !found.stdout.is_empty())
    };
    // Its words are in no command line but its own.
    wait("the host is told", telling);
    let (code, _, err, took) = interrupt(drain)?;
    assert_eq!(code, Some(130), "{err}");
    assert!(err.contains("it may be cordoned by now; the way back is `portoser host uncordon box`"), "{err}");
    assert!(took < Duration::from_secs(6), "it ended after {took:?}");
    // It waited until the host had ended it.
    assert!(!telling(), "the host is told on: {err}");
    std::fs::remove_file(&pipe)?;
    // Nothing was stopped.
    place.want(0, &["status"])?;
    place.want(0, &["remove", "--all", "--yes", "--quiet"])?;
    Ok(())
}
