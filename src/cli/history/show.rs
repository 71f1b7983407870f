//! One run, or one release, with everything that is remembered of it.

use serde_json::{Value, json};

use crate::cli::history::find::{Finder, Found, Known};
use crate::cli::history::hosts;
use crate::cli::render::{duration, short};
use crate::cli::runs::{took, when};
use crate::cli::{Exit, Face, Failure, replay, safe, safe_json};
use crate::journal::{Journal, Run};
use crate::model::{Event, FailureKind};

/// Show a run or a release
///
/// What this machine's journal has nothing of is asked of the hosts of the registry.
#[derive(Debug, clap::Args)]
pub(super) struct Show {
    /// The run or the release, or the first letters of its id
    id: String,
    /// Ask the hosts for their own records, whatever this machine remembers
    #[arg(long)]
    from_hosts: bool,
}

impl Show {
    pub(super) fn run(self, face: &Face) -> Result<Exit, Failure> {
        let mut finder = Finder::new(face, self.from_hosts)?;
        match finder.find(&self.id)?? {
            Found::Run(run) => finder.journal().map_or(Ok(()), |journal| show_run(face, journal, &run))?,
            Found::OnHosts(run) => finder.heard().into_iter().for_each(|heard| hosts::show_run(face, heard, &run)),
            Found::Release(release) => show_release(face, &release),
        }
        Ok(finder.exit())
    }
}

fn show_run(face: &Face, journal: &Journal, run: &Run) -> Result<(), Failure> {
    let events = journal.events(&run.id)?;
    if face.flags.json || face.flags.events {
        let entries = journal.entries(&run.id)?;
        let events = events.iter().map(|(at, event)| json!({ "at": at.to_string(), "event": event }));
        face.document(&json!({ "run": run, "history": entries, "events": events.collect::<Vec<_>>() }));
        return Ok(());
    }
    let field = |name: &str, value: &str| face.data(format!("{name:<12} {}", safe(value)));
    field("run", run.id.as_str());
    field("verb", &run.verb);
    field("who", &run.who);
    field("started", &format!("{} UTC", when(run.started)));
    match run.end {
        Some(end) => {
            let says = FailureKind::of_code(end.code).map_or("done or nothing to do", FailureKind::says);
            let took = duration(took(run.started, end.at));
            field("ended", &format!("{} UTC, after {took}, exit {} ({says})", when(end.at), end.code));
        }
        None => field("ended", "no end was seen: it still runs, or its controller was lost"),
    }
    run.resumes.iter().for_each(|earlier| field("resumes", earlier.as_str()));
    run.registry.iter().for_each(|file| field("registry", file));
    run.environment.iter().for_each(|name| field("environment", name));
    if run.request != Value::Null {
        field("request", &safe_json(&run.request, false).unwrap_or_default());
    }
    face.data("");
    // An event of another version that this one cannot read is shown as it was written.
    let read: Vec<_> =
        events.iter().filter_map(|(_, event)| serde_json::from_value::<Event>(event.clone()).ok()).collect();
    replay(&read, face.flags.verbose).iter().for_each(|line| face.data(line));
    if events.is_empty() && run.end.is_some() {
        face.talk("what happened line by line is not remembered any more");
    }
    if read.len() < events.len() {
        face.warn(format!("{} events of another version of portoser are not shown", events.len() - read.len()));
    }
    Ok(())
}

fn show_release(face: &Face, release: &Known) {
    if face.flags.json || face.flags.events {
        let (run, at) = release.first.as_ref().map(|(run, at)| (run, at.to_string())).unzip();
        let release = json!({ "first_run": run, "at": at, "record": release.record });
        return face.document(&json!({ "release": release }));
    }
    let record = &release.record;
    let field = |name: &str, value: &str| face.data(format!("{:<12} {}", safe(name), safe(value)));
    field("release", record.release.as_str());
    field("service", record.service.as_str());
    match &release.first {
        Some((run, at)) => field("first made", &format!("{} UTC, by run {run}", when(*at))),
        None => field("first made", "not known any more"),
    }
    field("engine", &record.engine);
    record.user.iter().for_each(|user| field("user", user));
    record.summary.iter().for_each(|(key, value)| field(key, value));
    if !record.files.is_empty() {
        face.data(format!("\n{} files", record.files.len()));
    }
    for (path, mark) in &record.files {
        face.data(format!("  {:<16}  {}", safe(mark).chars().take(16).collect::<String>(), safe(path)));
    }
    for unit in &record.units {
        face.data(format!("\nunit {}", safe(&unit.name)));
        unit.text.lines().for_each(|line| face.data(format!("  | {}", safe(line)).trim_end()));
    }
    face.talk(format!(
        "hint: `portoser history compare {} OTHER` shows in what two releases differ",
        short(&record.release)
    ));
}
