//! The kill test: whatever dies at whatever boundary, the service answers as old or new, and the next deploy converges.
//! Every boundary is tried, none is left out; what other tables ask for is an even sample, but with `PORTOSER_LAB_FULL=1`.

use std::collections::VecDeque;
use std::io::Read as _;
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use libtest_mimic::{Failed, Trial};

use crate::fixture::delay_proxy::DelayProxy;

use super::kit::{Bench, Machine, Ran, port, wait};
use super::{trial, usual};

/// The host notices a lost controller after 3 s here; what it was at, undoing and proving takes the rest.
const DEADLINE: Duration = Duration::from_secs(40);

/// As many points of each kind as there are.
const ALL: usize = usize::MAX;

pub fn trials() -> Vec<Trial> {
    vec![trial("killed_anywhere_it_is_old_or_new_and_converges", table)]
}

/// What dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Victim {
    Controller,
    Runner,
    Link,
}

/// How services are written, and how they answer.
type Kind = (Service, Answer);

/// Where it dies: after this event, or this line of the host's journal.
type Point = (Victim, usize);

fn table(machines: Vec<Machine>) -> Result<(), Failed> {
    all(&usual(&machines), NATIVE, |_, _| {}, ALL)
}

/// A service as YAML: the bench, its name, host, port and version, and further keys.
pub(super) type Service = fn(&Bench, &str, &str, u16, &str, &str) -> String;

/// One that systemd runs.
pub(super) const NATIVE: Service =
    |bench, name, host, port, version, more| bench.service(name, &[host], port, version, more);

/// What a service of this name, at this port, answers on a host.
pub(super) type Answer = fn(&Bench, &Machine, &str, u16) -> String;

/// What must hold after each point.
pub(super) type Holds = fn(&Bench, &Machine);

/// The whole table, or a sample of so many points of each kind, for services that are written so.
pub(super) fn all(machines: &[Machine], service: Service, holds: Holds, sample: usize) -> Result<(), Failed> {
    all_that_answer(machines, service, (|bench, machine, _, port| bench.answer(machine, port), holds), sample)
}

/// The same for services that answer in another way than at their port of the host.
pub(super) fn all_that_answer(
    machines: &[Machine],
    service: Service,
    (answer, holds): (Answer, Holds),
    sample: usize,
) -> Result<(), Failed> {
    let service = (service, answer);
    let (measured, events, lines) = measure(&machines[0], service);
    let full = super::kit::full();
    let spread = |victim: Victim, count: usize| {
        // The middle of each part: what dies before the beginning or after the end proves least.
        let every = if full { 1 } else { count.div_ceil(sample) };
        (every / 2..=count).step_by(every).map(move |number| (victim, number))
    };
    let points: VecDeque<Point> = spread(Victim::Controller, events)
        .chain(spread(Victim::Runner, lines).filter(|(_, line)| *line > 0))
        .chain(spread(Victim::Link, events))
        .collect();
    let (tried, began) = (points.len(), Instant::now());
    let runners = points.iter().filter(|(victim, _)| *victim == Victim::Runner).count();
    let points = Mutex::new(points);
    let (failed, missed) = (Mutex::new(Vec::new()), AtomicUsize::new(0));
    let mut measured = Some(measured);
    std::thread::scope(|scope| {
        // Beside other trials each host has one lane, so that those find their hosts awake.
        for machine in machines.iter().chain(machines).take(if full { 2 } else { 1 } * machines.len()) {
            // The first lane goes on where the measure ended.
            let stand = measured.take();
            scope.spawn(|| lane((machine, stand), (service, holds), &points, (&failed, &missed)));
        }
    });
    let failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
    let missed = missed.into_inner();
    eprintln!(
        "lab: kill test: {tried} points ({events} events, {lines} lines of the host's journal) in {:?}, {} failed; {missed} runners \
         ended before their last line was seen",
        began.elapsed(),
        failed.len()
    );
    // What is written at the very end may be read too late to strike; more than that says that the killer is at fault.
    assert!(missed <= runners.div_ceil(10), "{missed} runners were not killed");
    if failed.is_empty() { Ok(()) } else { Err(failed.join("\n\n").into()) }
}

/// Takes one point after the other; a point that failed ends its bench, and the next begins with a fresh one.
fn lane(
    (machine, mut stand): (&Machine, Option<Stand>),
    (service, holds): (Kind, Holds),
    points: &Mutex<VecDeque<Point>>,
    (failed, missed): (&Mutex<Vec<String>>, &AtomicUsize),
) {
    let next = || points.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    while let Some((victim, number)) = next() {
        let mut one = stand.take().unwrap_or_else(|| Stand::new(machine, service));
        let tried = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            missed.fetch_add(one.point(victim, number).into(), Ordering::Relaxed);
            holds(&one.bench, machine);
        }));
        match tried {
            Ok(()) => stand = Some(one),
            Err(why) => {
                let why = why.downcast_ref::<String>().cloned().unwrap_or_else(|| "it panicked".into());
                let why = format!("{victim:?} after {number} on {}: {why}", machine.name);
                failed.lock().unwrap_or_else(PoisonError::into_inner).push(why);
            }
        }
    }
}

/// How many events a whole change has, and how many lines the host's journal of it.
fn measure(machine: &Machine, service: Kind) -> (Stand, usize, usize) {
    let mut stand = Stand::new(machine, service);
    let ran = stand.change().exits(0);
    let lines = machine.inside(&format!("cd {}/runs && wc -l <$(ls | tail -n 1)/journal", stand.bench.base()));
    (stand, ran.events.len(), lines.trim().parse().expect("a number of lines"))
}

/// A stack of two services on one host, reached through a proxy.
struct Stand {
    bench: Bench,
    ports: [u16; 2],
    version: usize,
    service: Kind,
    proxy: DelayProxy,
    _world: tokio::runtime::Runtime,
}

impl Stand {
    fn new(machine: &Machine, service: Kind) -> Self {
        let world =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let target = format!("{}:{}", machine.address, machine.port).parse().expect("an address");
        let proxy = world.block_on(DelayProxy::start(target, Duration::ZERO));
        let mut bench = Bench::new("kill", std::slice::from_ref(machine));
        bench.through(machine, proxy.port());
        let mut stand = Self { bench, ports: [port(), port()], version: 0, service, proxy, _world: world };
        stand.change().exits(0);
        stand
    }

    fn machine(&self) -> &Machine {
        &self.bench.machines[0]
    }

    fn answer(&self, number: usize) -> String {
        (self.service.1)(&self.bench, self.machine(), ["a", "b"][number], self.ports[number])
    }

    /// Asks for the next version of both.
    fn next(&mut self) {
        self.version += 1;
        let (bench, host) = (&self.bench, self.machine().name.as_str());
        let version = format!("v{}", self.version);
        let needs = format!("    needs: [{}-a]\n", bench.id);
        bench.registry(
            &((self.service.0)(bench, "a", host, self.ports[0], &version, "")
                + &(self.service.0)(bench, "b", host, self.ports[1], &version, &needs)),
        );
    }

    fn change(&mut self) -> Ran {
        self.next();
        self.bench.run(&["deploy", "--all", "--events"])
    }

    /// One point of the table: the change, the death, what is left, and the next deploy. Whether the runner ended before its killer
    /// struck.
    fn point(&mut self, victim: Victim, number: usize) -> bool {
        let old = format!("v{}", self.version);
        self.next();
        let new = format!("v{}", self.version);
        let killer = (victim == Victim::Runner).then(|| self.killer(number));
        let ran = self.bench.run_in("state", &["deploy", "--all", "--events"], &mut |count, child| {
            if count == number && victim == Victim::Controller {
                let _ = child.kill();
            }
            if count == number && victim == Victim::Link {
                self.proxy.closed(true);
                self.proxy.cut();
            }
        });
        let missed = killer.is_some_and(|killer| !struck(killer));
        self.proxy.closed(false);
        let expected: &[Option<i32>] = match victim {
            Victim::Controller => &[None, Some(0)],
            Victim::Runner | Victim::Link => &[Some(0), Some(4), Some(5), Some(6)],
        };
        assert!(expected.contains(&ran.code), "its exit code: {ran:?}");
        self.quiet();
        for number in [0, 1] {
            wait("old or new", DEADLINE, || {
                // What answers by its own address may be both for a moment.
                let said = self.answer(number);
                !said.is_empty() && said.lines().all(|line| [&old, &new].contains(&&line.to_owned()))
            });
        }
        if victim != Victim::Runner {
            // Who dies elsewhere leaves nothing that is for the next run to settle.
            let mut amiss = String::new();
            wait("nothing half done is left", DEADLINE, || {
                amiss = self.bench.amiss(self.machine());
                amiss.is_empty()
            });
        }
        let again = self.bench.run(&["deploy", "--all", "--events"]);
        assert_eq!(again.code, Some(0), "the next deploy converges; first {ran:#?}, then {again:#?}");
        for number in [0, 1] {
            assert_eq!(self.answer(number), new, "the next deploy brings the new version");
        }
        assert_eq!(self.bench.amiss(self.machine()), "", "after the next deploy");
        missed
    }

    /// Kills the runner as soon as its journal has this many lines.
    fn killer(&self, lines: usize) -> std::process::Child {
        let script = KILLER.replace("BASE", &self.bench.base()).replace("LINES", &lines.to_string());
        let mut docker = crate::fixture::sshd::command("docker");
        let child = docker.args(["exec", "--interactive", &self.machine().container, "python3", "-c", &script]);
        let mut child = child.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("docker exec");
        let mut first = [0];
        let _ = child.stdout.as_mut().expect("a pipe").read(&mut first);
        child
    }

    /// Waits until no run of ours lives on the host any more; there, as asking from here costs more than all it does.
    fn quiet(&self) {
        let script =
            QUIET.replace("BASE", &self.bench.base()).replace("TENTHS", &(DEADLINE.as_secs() * 10).to_string());
        assert_eq!(self.machine().inside(&script), "", "the host settles within {DEADLINE:?}");
    }
}

const QUIET: &str = r#"
cd BASE/runs
for try in $(seq TENTHS); do
  lives=
  for run in *; do
    [ -e $run/end ] || { read -r process rest <$run/runner && kill -0 $process && lives=$run; } 2>/dev/null
  done
  [ -n "$lives" ] || exit 0
  sleep 0.1
done
echo "$lives lives"
"#;

/// Ends the killer, which is not to meet a later run; whether it has struck.
fn struck(mut killer: std::process::Child) -> bool {
    drop(killer.stdin.take());
    let mut said = String::new();
    let _ = killer.stdout.take().expect("a pipe").read_to_string(&mut said);
    let _ = killer.wait();
    said.contains("struck")
}

const KILLER: &str = r#"
import os, select, signal, sys, time
base = "BASE/runs"
known, seen, begun = set(os.listdir(base)), 0, set()
print("x", flush=True)
until = time.time() + 40
while time.time() < until and not select.select([sys.stdin], [], [], 0.004)[0]:
    # Looked at closely is only what has changed, or may have in the same tick of the clock, as dozens of these are at work.
    changed = os.stat(base).st_mtime
    if changed != seen or time.time() - changed < 0.1: seen, begun = changed, set(os.listdir(base)) - known
    for run in begun:
        try:
            with open(f"{base}/{run}/journal") as j: count = j.read().count("\n")
            if count < LINES: continue
            with open(f"{base}/{run}/runner") as r: words = r.readline().split()
        except OSError: continue
        if words and "starting" not in words:
            try: os.kill(int(words[0]), signal.SIGKILL)
            except OSError: raise SystemExit
            print("struck", flush=True)
            raise SystemExit
"#;
