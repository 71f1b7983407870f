//! `portoser diagnose`: what is the matter with services and hosts, and why.

use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Value, json};

use crate::cli::playbook::library;
use crate::cli::registry::{Thing, thing};
use crate::cli::{Exit, Face, Failure, bundle, safe, session};
use crate::deploy::Selection;
use crate::heal::{
    Diagnosis, HealFault, Observation, Problem, Refrained, Sight, WOULD, diagnose, is_own, unknown_looks,
};
use crate::model::{FailureKind, HostName};
use crate::registry::Registry;

/// Look at services and hosts from every side, and say what is the matter and from which root it grows
///
/// One connection and one exec for each host; what the services need is looked at, too. Nothing is changed. Ends with 8 when
/// something is wrong, and else with 4 when something could not be seen: what was not seen is neither good nor bad. What is LATENT
/// breaks nothing yet, and does not count.
#[derive(Debug, clap::Args)]
pub(super) struct Diagnose {
    /// Services or hosts; everything, if none is named
    #[arg(value_name = "SERVICE|HOST")]
    names: Vec<String>,
    /// Write all that was seen and concluded to this file, as JSON, for a ticket; secrets are masked
    #[arg(long, value_name = "FILE")]
    bundle: Option<PathBuf>,
}

impl Diagnose {
    pub(super) fn run(self, face: &Face) -> Result<Exit, Failure> {
        let app = session::look(face)?;
        let selection = selection(&app.registry, &self.names)?;
        warn(face, &app.registry);
        let library = Arc::new(library(face, &app.registry.file)?);
        let run = app.run_id();
        let (found, outlook) = session::looking(&app, async |stop| {
            let (ground, mut events) = app.ground(&run, "diagnose", stop.soon.clone());
            events.close();
            diagnose(&ground, &selection, &library, &app.journal).await.map_err(|fault| match fault {
                HealFault::Deploy(fault) => session::failed("looking", &fault),
                HealFault::Journal(error) => Failure::from(error),
            })
        })?;
        if let Some(file) = &self.bundle {
            bundle::write(file, &run, document(&found, &outlook), None)?;
        }
        if face.flags.json || face.flags.events {
            face.document(&document(&found, &outlook));
        } else {
            show(face, &found, &outlook);
        }
        // What breaks nothing yet is told, and stops nobody who asks whether all is well.
        Ok(if found.roots().any(|root| !root.latent) {
            Exit(FailureKind::Unhealthy.code())
        } else if found.count(Sight::Unseen) > 0 {
            Exit(FailureKind::Unreachable.code())
        } else {
            Exit::DONE
        })
    }
}

/// Warns of looks that the registry accepts as unseen, and that there are not.
pub(super) fn warn(face: &Face, registry: &Registry) {
    for look in unknown_looks(registry) {
        face.warn(safe(&format!("`heal.unseen` names `{look}`, which is no look; `diagnose -v` shows their names")));
    }
}

/// What the names mean. A name that is both a service's and a host's means the service.
pub(super) fn selection(registry: &Registry, names: &[String]) -> Result<Selection, Failure> {
    let mut selection = Selection { all: names.is_empty(), ..Selection::default() };
    for name in names {
        match thing(registry, name)? {
            Thing::Service(service) => selection.services.push(service.name.clone()),
            Thing::Host(host) => selection.hosts.push(host.name.clone()),
        }
    }
    Ok(selection)
}

/// Where a problem or an observation is.
pub(super) fn place(host: impl std::fmt::Display, service: Option<&impl std::fmt::Display>) -> String {
    service.map_or_else(|| host.to_string(), |service| format!("{service} on {host}"))
}

/// What `heal` would choose for a root, and what holds it; nothing where it would be done.
fn chosen<'a>(
    outlook: &'a [Refrained],
    root: &Problem,
) -> impl Iterator<Item = (&'a String, Option<&'a String>)> + use<'a> {
    let why = outlook.iter().find(|one| one.problem.is_same(root)).map(|one| one.why.as_slice()).unwrap_or_default();
    why.iter().map(|(what, why)| (what, Some(why).filter(|why| *why != WOULD)))
}

fn show(face: &Face, found: &Diagnosis, outlook: &[Refrained]) {
    let line = |text: String| face.data(safe(&text));
    for (number, root) in found.problems.iter().enumerate().filter(|(_, problem)| problem.is_root()) {
        let kind = if root.latent { "LATENT " } else { "PROBLEM" };
        let at = place(&root.host, root.service.as_ref());
        line(format!("{kind}  {at}: {} [{}, {}% sure]", root.because, root.name, root.sure));
        // What the sentence says already is not said again.
        for one in evidence(found, root).filter(|one| !root.because.ends_with(&one.says)) {
            line(format!("  seen   {}: {}", one.look, one.says));
            // What systemd says of any unit that fails would take the place of the service's own last words.
            let lines: Vec<&String> = one.lines.iter().filter(|_| one.look == "log").collect();
            let own: Vec<&String> = lines.iter().copied().filter(|line| is_own(line)).collect();
            let shown = if own.is_empty() { lines } else { own };
            shown.iter().rev().take(5).rev().for_each(|said| line(format!("         | {said}")));
        }
        for above in found.brings_about(number).into_iter().map(|number| &found.problems[number]) {
            line(format!("  brings about  {}: {}", place(&above.host, above.service.as_ref()), above.because));
        }
        for (what, held) in chosen(outlook, root) {
            line(held.map_or_else(|| format!("  would  {what}"), |why| format!("  would  not {what}: {why}")));
        }
        if chosen(outlook, root).next().is_none() {
            line("  would  do nothing: only a person can mend it".into());
        }
        root.fingerprint
            .iter()
            .for_each(|print| line(format!("  fingerprint {print}: the failure is known, its cause is not")));
        root.hint.iter().for_each(|hint| line(format!("  hint: {hint}")));
    }
    let row = |one: &Observation, word: &str| {
        line(format!("{word:<7}  {}: {}: {}", place(&one.host, one.service.as_ref()), one.look, one.says));
    };
    for (first, others) in blind(found, face.flags.verbose > 0) {
        match others {
            0 => row(first, "unseen"),
            others => line(format!("unseen   {}: all {} other looks: {}", first.host, others + 1, first.says)),
        }
    }
    if face.flags.verbose > 0 {
        found.observations.iter().filter(|one| one.sight == Sight::Bad).for_each(|one| row(one, "bad"));
        found.observations.iter().filter(|one| one.sight == Sight::Good).for_each(|one| row(one, "good"));
    }
    let (good, bad, unseen) = (found.count(Sight::Good), found.count(Sight::Bad), found.count(Sight::Unseen));
    line(format!("score {} of 100: {good} good, {bad} bad, {unseen} unseen", found.score()));
}

/// What was not seen. Of a host that cannot be reached every look says the same, which is told once, unless each is wanted.
fn blind(found: &Diagnosis, each: bool) -> Vec<(&Observation, usize)> {
    let lost = |host: &HostName| !each && found.is_lost(host);
    let mut all: Vec<(&Observation, usize)> = Vec::new();
    for one in found.observations.iter().filter(|one| one.sight == Sight::Unseen) {
        match all.iter_mut().find(|(first, _)| first.host == one.host && first.says == one.says && lost(&one.host)) {
            Some((_, others)) => *others += 1,
            None => all.push((one, 0)),
        }
    }
    all
}

fn evidence<'a>(found: &'a Diagnosis, problem: &'a Problem) -> impl Iterator<Item = &'a Observation> {
    problem.evidence.iter().filter_map(|number| found.observations.get(*number))
}

/// A diagnosis as it is documented.
#[derive(Serialize)]
pub(super) struct Document<'a> {
    score: u8,
    good: usize,
    bad: usize,
    unseen: usize,
    problems: Vec<Value>,
    observations: &'a [Observation],
}

pub(super) fn document<'a>(found: &'a Diagnosis, outlook: &[Refrained]) -> Document<'a> {
    let problem = |(number, one): (usize, &Problem)| {
        let would: Vec<Value> = one
            .deeds
            .iter()
            .map(|deed| json!({ "do": { deed.verb(): deed.object() }, "says": deed.to_string(), "risk": deed.risk(), "way_back": deed.way_back() }))
            .collect();
        let remedies: Vec<Value> = match one.is_root() {
            true => chosen(outlook, one).map(|(what, held)| json!({ "says": what, "held_by": held })).collect(),
            false => Vec::new(),
        };
        let why = match (one.is_root(), remedies.is_empty()) {
            (false, _) => "it follows from another problem, and only the root is treated",
            (true, true) => "only a person can mend it",
            (true, false) => "diagnose only looks",
        };
        json!({
            "number": number, "name": one.name, "host": one.host, "service": one.service, "because": one.because,
            "root": one.is_root(), "follows": one.follows, "symptom": one.symptom, "latent": one.latent, "sure": one.sure,
            "risk": one.risk, "would": would, "remedies": remedies, "not_done_as": why, "hint": one.hint, "fingerprint": one.fingerprint,
            "evidence": one.evidence,
        })
    };
    Document {
        score: found.score(),
        good: found.count(Sight::Good),
        bad: found.count(Sight::Bad),
        unseen: found.count(Sight::Unseen),
        problems: found.problems.iter().enumerate().map(problem).collect(),
        observations: &found.observations,
    }
}
