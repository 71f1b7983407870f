//! A stack of services on a real host, in which faults are made, named, healed and undone.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::lab::kit::{Bench, Machine, Ran};
use crate::lab::store::Store;

use super::{Fault, heals};

/// Kills the runner of a run that is at a step.
const STRIKE: &str = "for one in $base/runs/*/; do\n  [ ! -e $one/end ] && grep -q ' begin ' $one/journal && read -r pid rest <$one/runner || continue\n  \
     kill -9 $pid && echo struck\ndone";

/// Services on a host.
pub struct Stack {
    pub bench: Bench,
    pub machine: Machine,
    /// Assignments and functions for the scripts of faults.
    pub prelude: String,
    /// What starts all of it anew, and what takes it away.
    pub restart: &'static str,
    pub clean: &'static str,
    /// A condition that holds while all of it answers.
    pub answers: &'static str,
    /// What the last diagnosis and the last healing said.
    pub last: Mutex<String>,
    /// The image registry that it fetches from.
    pub store: Option<Store>,
}

/// What came of a fault.
#[derive(Default)]
pub struct Tried {
    pub score: f64,
    pub named: BTreeSet<String>,
    /// Whether a remedy that may be done can mend it, as the fault itself has it.
    pub may: bool,
    pub healed: Option<Duration>,
    /// What was left, and why, where it was not healed.
    pub left: String,
    /// After how long everybody was answered again, where somebody was not.
    pub answered: Option<Duration>,
    /// Whether a release was rolled back.
    pub back: bool,
    /// What was done that must not be done, and what was lost.
    pub wrong: Vec<String>,
}

impl Stack {
    pub fn inside(&self, script: &str) -> String {
        self.machine.inside(&format!("{}{script}", self.prelude))
    }

    /// Makes the fault, asks, heals, undoes it.
    pub fn score(&self, fault: &Fault) -> Tried {
        // It is gone where the host was off.
        self.store.iter().for_each(Store::start);
        self.well("before the fault");
        self.inside("for one in $shareds; do echo kept >$one/canary; chown --reference=$one $one/canary; done");
        self.inside(&fault.inject);
        let registry = self.otherwise(fault);
        self.killed(fault);
        fault.outside.iter().for_each(|words| self.machine.fault(&words.split(' ').collect::<Vec<_>>()));
        let shows = fault.until.as_ref().is_none_or(|until| self.shows(until));
        let ran = self.bench.run(&["diagnose", "--json"]);
        if std::env::var_os("PORTOSER_FAULT").is_some() {
            *self.last.lock().expect("no panic") = self.bench.run(&["diagnose"]).out;
        }
        let mut tried = Tried::default();
        let found: Value =
            serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}: {}{}", ran.out, ran.err));
        let problems = found["problems"].as_array().cloned().unwrap_or_default();
        let roots: Vec<&Value> = problems.iter().filter(|one| one["root"] == true && is_made(one, "name")).collect();
        if shows {
            self.named(fault, &roots, &mut tried);
            let breaks = |one: &Value| one["root"] == true && one["latent"] == false;
            let code = if problems.iter().any(breaks) {
                8
            } else if fault.blind {
                4
            } else {
                0
            };
            assert_eq!(ran.code, Some(code), "{}\n{}", ran.out, ran.err);
            assert!(found["score"] != 100 || tried.named.is_empty(), "{}", ran.out);
            if heals() {
                self.heal(fault, &mut tried);
            }
        } else {
            tried.named = BTreeSet::from(["the fault did not show".to_owned()]);
        }
        fault.outside_undo.iter().for_each(|words| self.machine.fault(&words.split(' ').collect::<Vec<_>>()));
        std::fs::write(self.bench.at("registry.yml"), registry).expect("the registry");
        if heals() && shows && fault.returns {
            self.returned(&mut tried);
        }
        if heals() && shows {
            let canaries = self.inside("for one in $shareds; do cat $one/canary; done");
            if canaries.lines().any(|line| line != "kept") {
                tried.wrong.push(format!("data was lost: {canaries}"));
            }
        }
        self.inside(&format!("{}\nrm -f $shared/do $shared/live", fault.undo));
        if tried.back {
            // The release that has the faults comes into force again.
            self.bench.run(&["deploy", "--all", "--overwrite", "--no-auto-heal"]);
        }
        tried
    }

    /// The registry as the fault has it; gives what it was.
    fn otherwise(&self, fault: &Fault) -> String {
        let path = self.bench.at("registry.yml");
        let before = std::fs::read_to_string(&path).expect("the registry");
        let mut text = before.clone();
        for (from, to) in &fault.registry {
            assert!(text.contains(from), "{from:?} is not in the registry: {text}");
            text = text.replace(from, to);
        }
        std::fs::write(path, text).expect("the registry");
        before
    }

    /// Kills a run of ours in the middle, where the fault wants it: on the host and here.
    fn killed(&self, fault: &Fault) {
        let words: Vec<String> = fault.killed.iter().map(|word| word.replace("ID", &self.bench.id)).collect();
        let mut words: Vec<&str> = words.iter().map(String::as_str).collect();
        if words.is_empty() {
            return;
        }
        words.push("--events");
        let mut struck = false;
        self.bench.run_in("killed", &words, &mut |_, child| {
            struck = struck || self.inside(STRIKE).contains("struck");
            if struck {
                child.kill().expect("it can be killed");
            }
        });
        assert!(struck, "no run was met in the middle");
    }

    /// Which of the roots were named.
    fn named(&self, fault: &Fault, roots: &[&Value], tried: &mut Tried) {
        tried.named = roots.iter().map(|one| self.name(one, "name")).collect();
        for deed in roots.iter().flat_map(|one| one["would"].as_array().into_iter().flatten()) {
            let says = deed["do"].as_object().into_iter().flatten();
            let says: Vec<String> =
                says.map(|(verb, to)| format!("{verb} {}", to.as_str().unwrap_or_default())).collect();
            if fault.never.contains(&says[0]) {
                tried.wrong.push(format!("{says:?} is proposed"));
            }
        }
        let (true_ones, all) = (fault.roots.intersection(&tried.named).count(), tried.named.len());
        #[expect(clippy::cast_precision_loss, reason = "a handful")]
        let share = true_ones as f64 / all.max(1) as f64;
        tried.score = if true_ones < fault.roots.len() {
            0.0
        } else if all == 0 {
            1.0
        } else {
            share
        };
    }

    /// Heals, and judges what was done.
    fn heal(&self, fault: &Fault, tried: &mut Tried) {
        tried.may = fault.lasts.is_none() || !fault.done.is_empty();
        // What did not help against the fault before may help against this one; we and the hosts forget it.
        for kept in ["healing", "playbooks"] {
            let _ = std::fs::remove_dir_all(self.bench.at(kept));
        }
        // Their folders would fill the small disk of the native stack, besides.
        self.inside("for one in $base/runs/[0-9]*; do [ ! -e $one/end ] || rm -rf $one; done");
        let before = self.inside("readlink $release");
        let ran = self.healing(fault, tried);
        tried.back = self.inside("readlink $release") != before;
        let took = ran.took;
        *self.last.lock().expect("no panic") += &ran.out;
        let document: Value =
            serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}: {}{}", ran.out, ran.err));
        let mut done = BTreeSet::new();
        for one in document["treated"].as_array().into_iter().flatten() {
            let (act, helped) = (self.name(one, "remedy"), one["verdict"] == "helped");
            // What changed nothing and was undone is no help to anybody; nor is what was needless.
            // One that could not be done, or not be undone, is never right.
            let right = match one["verdict"].as_str() {
                Some("helped") => fault.done.contains(&act),
                Some("no-help") => fault.tried.contains(&act),
                _ => false,
            };
            if !right {
                let (verdict, about) = (&one["verdict"], self.name(one, "problem"));
                tried.wrong.push(format!("{act} was done against {about}, and its verdict is {verdict}"));
            }
            done.extend(helped.then_some(act));
        }
        // Its last look saw all and found nothing wrong.
        let left = document["left"]
            .as_array()
            .into_iter()
            .flatten()
            .any(|one| one["latent"] == false && is_made(one, "problem"));
        // Roots on which looks disagree are left, too.
        let unsure = document["unsure"].as_array().is_some_and(|all| !all.is_empty());
        let claims = ran.code == Some(0) || (!left && !unsure && document["unseen"] == 0);
        // Who asks beside it has the last word.
        let answers = claims && self.inside(&format!("{} || echo down", self.answers)).is_empty();
        if claims && !answers {
            tried
                .wrong
                .push(format!("it says that all is well ({:?}), and not all of it answers: {}", ran.code, ran.out));
        }
        // Whether by what was to be done: what is well for another reason is a miss.
        let meant = fault.done.is_subset(&done);
        tried.healed = (meant && (answers || fault.lasts.is_some())).then_some(took);
        if tried.healed.is_none() {
            let (did, left) = (&document["treated"], &document["left"]);
            tried.left = format!("{:?} was to help, and {done:?} did; left is {left} of {did}", fault.done);
        }
    }

    /// Waits until all of it answers again by itself; healing then finds nothing to do.
    fn returned(&self, tried: &mut Tried) {
        self.inside("rm -f $kept/over");
        let answered = self.answered().is_some();
        let ran = self.bench.run_in("healing", &["heal", "--json"], &mut |_, _| {});
        let document: Value = serde_json::from_str(&ran.out).unwrap_or_default();
        let idle = document["treated"].as_array().is_some_and(Vec::is_empty);
        if !answered || !idle || ran.code != Some(0) {
            tried.wrong.push(format!("it is not well by itself: {answered} {:?} {}", ran.code, ran.out));
        }
    }

    /// Heals, while somebody asks again and again whether all of it answers.
    fn healing(&self, fault: &Fault, tried: &mut Tried) -> Ran {
        let risk = fault.risk.iter().flat_map(|risk| ["--risk", risk.as_str()]);
        let words: Vec<&str> = ["heal", "--json"].into_iter().chain(risk).collect();
        let heal = || self.bench.run_in("healing", &words, &mut |_, _| {});
        let down = !self.inside(&format!("rm -f $kept/over; {} || echo down", self.answers)).is_empty();
        if !down || fault.outside.is_some() {
            return heal();
        }
        std::thread::scope(|scope| {
            let began = Instant::now();
            let answered = scope.spawn(|| self.answered());
            let ran = heal();
            self.inside("touch $kept/over");
            let at = answered.join().expect("who asks");
            tried.answered = at.map(|at| at.duration_since(began));
            ran
        })
    }

    /// When all of it answers, if it does before the healing is over.
    fn answered(&self) -> Option<Instant> {
        let good = &self.answers;
        let script = format!(
            "n=0; until {good}; do [ ! -e $kept/over ] && [ $n -lt 600 ] || exit; n=$((n + 1)); sleep 0.05; done; echo good"
        );
        self.inside(&script).contains("good").then(Instant::now)
    }

    /// How long all of it takes to answer after it was started anew, without any of us.
    pub fn own_start(&self) -> Duration {
        let began = Instant::now();
        self.inside(&format!("rm -f $kept/over; {}", self.restart));
        self.answered().map(|at| at.duration_since(began)).unwrap_or_default()
    }

    /// Whether the condition comes to hold.
    fn shows(&self, until: &str) -> bool {
        let end = Instant::now() + Duration::from_secs(20);
        while Instant::now() < end {
            if self.inside(&format!("if {until}; then echo shows; fi")).contains("shows") {
                return true;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        false
    }

    fn name(&self, problem: &Value, key: &str) -> String {
        let elsewhere = problem["host"].as_str().filter(|host| *host != self.machine.name);
        let part = problem["service"].as_str().map(|service| service.rsplit('-').next().unwrap_or_default());
        let at = match (part, elsewhere) {
            (Some(part), Some(host)) => format!("{part}@{host}"),
            (part, host) => part.or(host).unwrap_or("host").to_owned(),
        };
        format!("{} {at}", problem[key].as_str().unwrap_or_default())
    }

    /// Waits until all is well, which is itself a look that must name nothing.
    fn well(&self, when: &str) {
        self.inside(self.restart);
        let (mut last, mut deployed) = (String::new(), false);
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(60) {
            let ran = self.bench.run(&["diagnose", "--json"]);
            let found: Value = serde_json::from_str(&ran.out).unwrap_or_default();
            let wrong = found["problems"].as_array().is_none_or(|all| all.iter().any(|one| is_made(one, "name")));
            if !wrong && found["unseen"] == 0 {
                return;
            }
            if heals() && !deployed && began.elapsed() > Duration::from_secs(4) {
                // Whatever was healed or not, it goes on with what the registry wants.
                deployed = true;
                self.bench.run(&["deploy", "--all", "--overwrite", "--no-auto-heal"]);
            }
            last = ran.out + &ran.err;
        }
        panic!("{when} not all is well:\n{last}");
    }
}

/// Whether a problem may be of our making. The hosts of a lab share its machine's processors, and whoever is at work there is seen.
fn is_made(problem: &Value, key: &str) -> bool {
    problem[key] != "overloaded"
}

impl Drop for Stack {
    fn drop(&mut self) {
        self.inside(self.clean);
    }
}
