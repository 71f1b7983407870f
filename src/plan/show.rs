//! How a plan reads: plain text, no colour. Waves in their order; a line for each service and host, below it what changes and
//! what is promised. What is the same on several hosts is told once.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use crate::host::Fetch;
use crate::model::{HostName, ServiceName, size};
use crate::plan::change::{Action, Change, Plan, Turn};
use crate::plan::guarantee::guarantee;
use crate::registry::{Kind, Mask, Registry, Service};

/// The most hosts that one line names.
const NAMED: usize = 4;

/// How to show a plan.
pub struct Manner<'a> {
    pub registry: &'a Registry,
    /// What must not be shown.
    pub mask: &'a Mask,
    /// How long the service was interrupted on a host the last time.
    pub pace: &'a BTreeMap<(ServiceName, HostName), Duration>,
    /// Every step, too.
    pub steps: bool,
}

/// The plan as text.
#[must_use]
pub fn show(plan: &Plan, manner: &Manner<'_>) -> String {
    let mut text = String::new();
    let by_service = plan.by_service();
    let waves: Vec<&Vec<ServiceName>> =
        plan.waves.iter().filter(|wave| wave.iter().any(|name| by_service.contains_key(name))).collect();
    for (number, wave) in waves.iter().enumerate() {
        if waves.len() > 1 {
            let after = if number == 0 { String::new() } else { format!(", once wave {number} is proven") };
            let _ = writeln!(text, "wave {}{after}", number + 1);
        }
        for name in *wave {
            if let Some(changes) = by_service.get(name) {
                service(&mut text, name, changes, manner);
            }
        }
    }
    for strays in &plan.strays {
        let _ = writeln!(text, "  on {}  left alone: {strays}", strays.host);
    }
    for (service, host, why) in &plan.left {
        let _ = writeln!(text, "  {service} on {host}  stays as it is: {why}");
    }
    text + &total(plan)
}

fn service(text: &mut String, name: &ServiceName, changes: &[&Change], manner: &Manner<'_>) {
    let known = manner.registry.services.get(name);
    // The hosts, the line, what changes, and what is promised.
    let mut told: Vec<(Vec<&str>, String, String, String)> = Vec::new();
    for change in changes {
        let (line, what, promise) = (headline(change), what(change, manner), promise(change, known, manner));
        match told.iter_mut().find(|other| (&other.1, &other.2, &other.3) == (&line, &what, &promise)) {
            Some(same) => same.0.push(change.host.as_str()),
            None => told.push((vec![change.host.as_str()], line, what, promise)),
        }
    }
    for (number, (hosts, line, what, promise)) in told.iter().enumerate() {
        let _ = writeln!(text, "  {name} on {}  {line}", places(hosts));
        match told[..number].iter().find(|earlier| what.lines().count() > 2 && earlier.2 == *what) {
            Some(earlier) => {
                let _ = writeln!(text, "      changes as on {}", places(&earlier.0));
            }
            None => text.push_str(what),
        }
        text.push_str(promise);
    }
    text.push_str(&known.map(|known| order(known, changes)).unwrap_or_default());
}

fn places(hosts: &[&str]) -> String {
    let more = hosts.len().saturating_sub(NAMED);
    let named = hosts[..hosts.len().min(NAMED)].join(", ");
    if more == 0 { named } else { format!("{named} and {more} more") }
}

fn headline(change: &Change) -> String {
    let after = &change.record.release;
    match (change.action, &change.before) {
        (Action::Turn(Turn::Change(turn)), _) => format!("{turn} {after}"),
        (Action::Turn(Turn::Remove), _) => format!("remove {after}"),
        (Action::Turn(Turn::Mend), _) => format!("mend {after}"),
        (Action::Nothing, _) => format!("in place ({after})"),
        (Action::Refresh, _) => format!("write its record anew ({after})"),
        (Action::Restart, _) => format!("start again ({after})"),
        (Action::Repair, _) => format!("write its files anew ({after})"),
        (Action::Deploy, None) => format!("deploy {after}"),
        (Action::Deploy, Some(before)) => format!("deploy {after}, replacing {before}"),
    }
}

/// What changes, and why.
fn what(change: &Change, manner: &Manner<'_>) -> String {
    let mut text = String::new();
    for reason in &change.reasons {
        // What the difference below shows needs no line of its own.
        let file = reason.strip_prefix("~ ");
        if !change.texts.iter().any(|one| Some(one.path.as_str()) == file) {
            let _ = writeln!(text, "      {}", manner.mask.text(reason).escape_debug());
        }
    }
    for one in &change.texts {
        let _ = writeln!(text, "      ~ {}", one.path.escape_debug());
        for line in manner.mask.text(&one.diff).lines() {
            let _ = writeln!(text, "        {}", shown(line));
        }
    }
    text
}

/// What the settings of a service say of how long its change takes; a compose file has times of its own.
fn times(service: &Service) -> String {
    let start = service.checks.iter().map(|check| check.start_period).max().unwrap_or_default();
    let stop = service.stop.timeout.as_secs();
    match service.kind {
        Kind::Docker(_) => String::new(),
        _ => format!(" (it has {stop} s to stop, and {} s to start until its checks count)", start.as_secs()),
    }
}

/// What is promised; with its steps, if they are wanted.
fn promise(change: &Change, service: Option<&Service>, manner: &Manner<'_>) -> String {
    let mut text: String = change.fetches.iter().map(fetched).collect();
    if let Some(promise) = guarantee(change, service) {
        let word = if promise.zero_downtime { "no" } else { "yes" };
        let _ = write!(text, "      downtime: {word}: {}", promise.downtime);
        if promise.interrupting.is_some() && !promise.zero_downtime {
            let place = (change.service.clone(), change.host.clone());
            let _ = match manner.pace.get(&place) {
                Some(pace) => write!(text, "; about {:.1} s, as the last time", pace.as_secs_f64()),
                None => {
                    write!(text, "; for how long was not measured here yet{}", service.map(times).unwrap_or_default())
                }
            };
        }
        let word = if promise.rollback { "yes" } else { "no" };
        let _ = writeln!(text, "\n      way back: {word}: {}", promise.way_back);
    }
    for (number, step) in change.steps.iter().enumerate().filter(|_| manner.steps) {
        let _ = writeln!(text, "      {:>2}. {}", number + 1, manner.mask.text(&step.to_string()));
    }
    text
}

/// How much the host fetches.
fn fetched((reference, fetch): &(String, Result<Fetch, String>)) -> String {
    let text = match fetch {
        Ok(fetch) if fetch.bytes() == 0 => return String::new(),
        Ok(fetch) if fetch.held.is_some() => format!("{} of {reference}", size(fetch.bytes())),
        Ok(fetch) => format!("at most {} of {reference}", size(fetch.bytes())),
        Err(why) => format!("{reference}, nobody knows how much: {}", why.escape_debug()),
    };
    format!("      fetches: {text}\n")
}

/// A line of a file, without what would move a terminal's cursor.
fn shown(line: &str) -> String {
    line.chars().flat_map(|c| if c == '\t' || !c.is_control() { vec![c] } else { c.escape_debug().collect() }).collect()
}

/// In which groups the hosts of a service go, where there are several to change.
fn order(service: &Service, changes: &[&Change]) -> String {
    let hosts = changes.iter().filter(|change| change.action != Action::Nothing).count();
    if hosts < 2 {
        return String::new();
    }
    let once: Vec<_> = changes.iter().filter(|change| change.once).map(|change| change.host.as_str()).collect();
    let canary = service.deploy.canary.min(hosts).saturating_sub(once.len());
    let mut first: String = once.iter().map(|host| format!("{host} alone, where its `once` runs; then ")).collect();
    let (batch, rest) = match hosts - canary - once.len() {
        0 if once.is_empty() => return String::new(),
        // All the others are canaries, which go together.
        0 => (canary, canary),
        rest => {
            if canary > 0 {
                first += &format!("{canary} first; then ");
            }
            (service.deploy.batch.size(changes.len()), rest)
        }
    };
    let at_once = match (batch, rest) {
        (_, 1) => "the other one".to_owned(),
        (batch, rest) if batch >= rest => format!("the {}{rest} at once", if first.is_empty() { "" } else { "other " }),
        (1, _) => "one after the other".to_owned(),
        (batch, _) => format!("{batch} at once"),
    };
    format!("      {} on {hosts} hosts: {first}{at_once}, each proven before the next\n", service.name)
}

fn total(plan: &Plan) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for change in &plan.changes {
        *counts.entry(word(change.action)).or_default() += 1;
    }
    if plan.is_nothing() {
        return format!("nothing to do: {} in place\n", plan.changes.len());
    }
    let counts: Vec<String> = counts.iter().map(|(word, count)| format!("{count} {word}")).collect();
    format!("plan: {}\n", counts.join(", "))
}

fn word(action: Action) -> &'static str {
    match action {
        Action::Nothing => "in place",
        Action::Refresh => "to record anew",
        Action::Restart => "to start again",
        Action::Repair => "to repair",
        Action::Deploy => "to deploy",
        Action::Turn(_) => "to change",
    }
}
