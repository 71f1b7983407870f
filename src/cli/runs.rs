//! The runs that this machine remembers.

use std::time::Duration;

use serde_json::json;

use crate::cli::history::list_runs;
use crate::cli::render::{duration, heals};
use crate::cli::table::table;
use crate::cli::{Exit, Face, Failure};
use crate::journal::Run;
use crate::model::Outcome;

/// List the runs of this machine, newest first
///
/// With --from-hosts, and where this machine's journal has no run yet, the runs that the hosts of the registry remember: their
/// last twenty, whoever began them, and those that brought what was proven before. A host that could not be asked is named, and
/// the exit code is 4.
#[derive(Debug, clap::Args)]
pub(super) struct Runs {
    /// How many to list
    #[arg(long, short = 'n', default_value_t = 20, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// Only runs without an end: still running, or their controller was lost
    #[arg(long)]
    unfinished: bool,
    /// Ask the hosts for their own records, whatever this machine remembers
    #[arg(long)]
    from_hosts: bool,
}

impl Runs {
    pub(super) fn run(self, face: &Face) -> Result<Exit, Failure> {
        if self.from_hosts {
            return list_runs(face, self.limit, self.unfinished);
        }
        let journal = face.journal()?;
        // Without a registry there is no host to ask.
        if journal.runs(1)?.is_empty() && face.registry().is_ok() {
            face.talk("from the hosts' own records; this machine's journal has no run yet");
            return list_runs(face, self.limit, self.unfinished);
        }
        let mut runs = if self.unfinished { journal.unfinished()? } else { journal.runs(self.limit)? };
        runs.truncate(usize::try_from(self.limit).unwrap_or(usize::MAX));
        if face.flags.json || face.flags.events {
            face.document(&json!({ "runs": runs }));
            return Ok(Exit::DONE);
        }
        if runs.is_empty() {
            face.talk(if self.unfinished { "every run has an end" } else { "no run yet" });
        }
        let rows: Vec<_> = runs.iter().map(row).collect();
        table(face, ["RUN", "STARTED (UTC)", "VERB", "WHO", "TOOK", "EXIT", "OUTCOME"], &rows);
        let resumed = |run: &Run| runs.iter().any(|later| later.resumes.as_ref() == Some(&run.id));
        if let Some(run) = runs.iter().find(|run| run.end.is_none() && !resumed(run) && !heals(&run.verb)) {
            face.talk(format!(
                "hint: `portoser attach {0}` shows whether it still runs; if not, `portoser resume {0}` goes on with it",
                run.id
            ));
        }
        Ok(Exit::DONE)
    }
}

fn row(run: &Run) -> [String; 7] {
    let (took, code) = match run.end {
        Some(end) => (duration(took(run.started, end.at)), end.code.to_string()),
        None => ("-".into(), "-".into()),
    };
    let ended = run.end.is_some();
    let verb = match &run.resumes {
        Some(earlier) => format!("{}, resumes {earlier}", run.verb),
        None => run.verb.clone(),
    };
    [run.id.to_string(), when(run.started), verb, run.who.clone(), took, code, outcomes(run, ended)]
}

fn outcomes(run: &Run, ended: bool) -> String {
    match (run.outcomes.is_empty(), ended) {
        (true, true) => "-".into(),
        (true, false) => "no end was seen".into(),
        (false, _) => counted(&run.outcomes),
    }
}

/// How many services ended how, in one cell.
pub(super) fn counted(outcomes: &[(Option<Outcome>, u64)]) -> String {
    let counted: Vec<_> = outcomes.iter().map(|(outcome, count)| format!("{count} {}", word(*outcome))).collect();
    counted.join(", ")
}

/// A time between two others; none when the clock was set back.
pub(super) fn took(from: jiff::Timestamp, to: jiff::Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from)).unwrap_or_default()
}

/// A time for people. It is UTC everywhere, as in the ids of runs and in most logs of hosts.
pub(super) fn when(time: jiff::Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// An outcome in a table.
pub(super) fn word(outcome: Option<Outcome>) -> &'static str {
    match outcome {
        Some(Outcome::NothingToDo) => "in place",
        Some(Outcome::Committed) => "done",
        Some(Outcome::Unhealthy) => "UNHEALTHY",
        Some(Outcome::NotTouched) => "not touched",
        Some(Outcome::RolledBack) => "back",
        Some(Outcome::RollbackFailed) => "NOT PROVEN BACK",
        None => "no end was seen",
    }
}
