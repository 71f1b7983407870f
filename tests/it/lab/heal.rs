//! The fault lab: each file under `tests/lab/faults/` is injected for real, and `diagnose` must name its roots and nothing else.
//! Strict: 0 when a root is missed, else the share of true roots among all that were named. With `PORTOSER_LAB_FULL`, `heal` then
//! has to mend what may be mended, touch nothing that is no root, and lose no data.

mod mixed;
mod native;
mod stack;

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use libtest_mimic::{Failed, Trial};
use serde::Deserialize;

use super::kit::Machine;
use super::{engines, trial, usual};
use stack::{Stack, Tried};

/// A fault: how it is made and undone, and what must be said of it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fault {
    about: String,
    /// Which stack it is for.
    #[serde(default)]
    stack: Kind,
    /// Whether it is tried in every run, and not only with `PORTOSER_LAB_FULL`.
    #[serde(default)]
    quick: bool,
    /// Whether it is felt by all that is on the host, so that it needs a lab of its own (`tests/lab/fault-lab.sh`).
    #[serde(default)]
    alone: bool,
    /// A script that makes it, as root on the host; variables name the parts of the stack.
    #[serde(default)]
    inject: String,
    /// What the registry says otherwise for its time: words, and those in their place.
    #[serde(default)]
    registry: Vec<(String, String)>,
    /// Words of ours on the stack; their run is killed in the middle on its host, and they are, too.
    #[serde(default)]
    killed: Vec<String>,
    /// A fault of `tests/lab/faults.sh`, and its undo.
    outside: Option<String>,
    outside_undo: Option<String>,
    /// A condition in shell that holds once the fault shows.
    until: Option<String>,
    /// What is undone by hand; the services are started again after it.
    #[serde(default)]
    undo: String,
    /// The roots, as `PLAYBOOK WHERE`: the part of the stack, `host` for its host, or the name of another host; a part that lies on
    /// another host as `PART@HOST`.
    roots: BTreeSet<String>,
    /// What must be done, as `REMEDY WHERE`: the remedies that have to help, and those of the roots' own playbooks where it does not
    /// say which and does not last. Whatever else is done is a wrong act.
    #[serde(default)]
    done: BTreeSet<String>,
    /// What may be tried before it, and be undone as it does not help: the lower rungs of the ladder, mostly.
    #[serde(default)]
    tried: BTreeSet<String>,
    /// The risk that a person takes for it.
    risk: Option<String>,
    /// Whether all is well again once what is outside is undone, without any of us.
    #[serde(default)]
    returns: bool,
    /// Whether something cannot be seen because of it, and that is all.
    #[serde(default)]
    blind: bool,
    /// Deeds that no root may propose, and no remedy may do.
    #[serde(default)]
    never: Vec<String>,
    /// Why no remedy that may be done can mend it, if none can.
    lasts: Option<String>,
}

/// The stacks.
#[derive(Clone, Copy, Default, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Kind {
    /// Three native services.
    #[default]
    Native,
    /// A service of each engine.
    Mixed,
}

pub fn trials() -> Vec<Trial> {
    vec![trial("heal_names_the_roots_of_faults", faults)]
}

/// The least mean score, and the least share of what is healed of what may be.
const LEAST: f64 = 0.95;
const LEAST_HEALED: f64 = 0.9;

/// Whether faults are healed, too.
fn heals() -> bool {
    super::kit::full() || std::env::var_os("PORTOSER_FAULT").is_some()
}

fn faults(machines: Vec<Machine>) -> Result<(), Failed> {
    let full = super::kit::full();
    let only = std::env::var("PORTOSER_FAULT").ok();
    let lab = std::env::var_os("PORTOSER_FAULT_LAB").is_some();
    let wanted = |name: &str, fault: &Fault| match &only {
        Some(only) => only.split(',').any(|one| name.contains(one)),
        None => (full || fault.quick) && (lab || !fault.alone),
    };
    let mut all = all();
    all.retain(|(name, fault)| wanted(name, fault));
    let mut tally = Tally::default();
    for kind in [Kind::Native, Kind::Mixed] {
        let own: Vec<_> = all.iter().filter(|(_, fault)| fault.stack == kind).collect();
        let mut places = if kind == Kind::Native { usual(&machines) } else { engines(&machines) };
        places.sort_by(|one, other| one.image.cmp(&other.image));
        places.dedup_by(|one, other| one.image == other.image);
        places.truncate(if full && kind == Kind::Native { 2 } else { 1 });
        if own.is_empty() {
            continue;
        }
        // What is tried nowhere would be missing from the report, and nobody would miss it.
        assert!(!places.is_empty() || !lab, "the lab has no host for {} of the faults", own.len());
        for machine in &places {
            let stack = if kind == Kind::Native { native::native(machine) } else { mixed::mixed(machine) };
            let start = if heals() { stack.own_start() } else { Duration::ZERO };
            eprintln!("lab: {}: the services themselves take {:.2} s to start", machine.image, start.as_secs_f64());
            own.iter().for_each(|(name, fault)| tally.add((&stack, start), name, fault));
        }
    }
    tally.judge()
}

/// What came of all faults.
#[derive(Default)]
struct Tally {
    scores: Vec<f64>,
    /// How many may be healed, and how long each took that was.
    may: usize,
    healed: Vec<Duration>,
    /// After how long everybody was answered again, without the time that the services themselves take to start.
    good: Vec<Duration>,
    wrong: Vec<String>,
    report: String,
}

impl Tally {
    fn add(&mut self, (stack, start): (&Stack, Duration), name: &str, fault: &Fault) {
        let (began, image) = (Instant::now(), &stack.machine.image);
        let Tried { score, named, may, healed, answered, left, wrong, .. } = stack.score(fault);
        if std::env::var_os("PORTOSER_FAULT").is_some() {
            eprintln!("{}", stack.last.lock().expect("no panic"));
        }
        let how = match (may, healed) {
            (false, _) => String::new(),
            (true, Some(took)) => {
                let good = answered.unwrap_or(took).as_secs_f64();
                format!(", good after {good:.1} s, proven after {:.1} s", took.as_secs_f64())
            }
            (true, None) => format!(", NOT HEALED: {left}"),
        };
        eprintln!("lab: {image} {name}: {score:.2} {named:?}{how} ({:.1} s)", began.elapsed().as_secs_f64());
        if score < 1.0 || (may && healed.is_none()) || !wrong.is_empty() {
            self.report += &format!("\n{image} {name} ({}): {score:.2}, named {named:?}{how} {wrong:?}", fault.about);
        }
        self.scores.push(score);
        self.may += usize::from(may);
        let healed = healed.filter(|_| may);
        self.good.extend(healed.map(|took| answered.map_or(took, |answered| answered.saturating_sub(start))));
        self.healed.extend(healed);
        self.wrong.extend(wrong);
    }

    #[expect(clippy::cast_precision_loss, reason = "a few dozen")]
    fn judge(self) -> Result<(), Failed> {
        let mean = self.scores.iter().sum::<f64>() / self.scores.len().max(1) as f64;
        let share = self.healed.len() as f64 / self.may.max(1) as f64;
        let half = |mut times: Vec<Duration>| {
            times.sort();
            times.get(times.len() / 2).map_or(0.0, Duration::as_secs_f64)
        };
        let (healed, proven, good) = (self.healed.len(), half(self.healed), half(self.good));
        eprintln!(
            "lab: {} faults, mean score {mean:.3}; healed {healed} of {} that policy permits; p50 {good:.1} s to good without the \
             services' own start, {proven:.1} s until it is proven; {} wrong acts or lost data",
            self.scores.len(),
            self.may,
            self.wrong.len()
        );
        eprintln!("{}", self.report);
        let good = mean >= LEAST && (self.may == 0 || share >= LEAST_HEALED) && self.wrong.is_empty();
        if good { Ok(()) } else { Err(format!("mean score {mean:.3}, healed {share:.3}{}", self.report).into()) }
    }
}

fn all() -> Vec<(String, Fault)> {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/lab/faults"));
    let files = fs::read_dir(folder).expect("the faults").filter_map(Result::ok).map(|entry| entry.path());
    let mut all: Vec<_> = files
        .map(|path| {
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let text = fs::read_to_string(&path).expect("a fault");
            let mut fault: Fault = serde_yaml::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
            if fault.done.is_empty() && fault.lasts.is_none() {
                fault.done.clone_from(&fault.roots);
            }
            (name, fault)
        })
        .collect();
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all
}
