//! What happened to services, and what their releases were.

mod compare;
mod find;
mod show;

use serde_json::json;

use crate::cli::render::{duration, short};
use crate::cli::runs::{when, word};
use crate::cli::table::table;
use crate::cli::{Exit, Face, Failure};
use crate::journal::HistoryEntry;
use crate::model::ServiceName;

/// Show what happened to services on hosts, newest first
#[derive(Debug, clap::Args)]
pub(super) struct History {
    #[command(subcommand)]
    of: Option<Of>,
    /// Only this service
    #[arg(value_name = "SERVICE")]
    service: Option<ServiceName>,
    /// How many entries to show
    #[arg(long, short = 'n', default_value_t = 50, value_name = "NUMBER")]
    limit: u32,
    /// Leave out what was in place already or not touched
    #[arg(long)]
    changes: bool,
}

#[derive(Debug, clap::Subcommand)]
enum Of {
    Compare(compare::Compare),
    Show(show::Show),
}

impl History {
    pub(super) fn run(self, face: &Face) -> Result<Exit, Failure> {
        match self.of {
            Some(Of::Compare(verb)) => verb.run(face),
            Some(Of::Show(verb)) => verb.run(face),
            None => self.list(face),
        }
    }

    fn list(&self, face: &Face) -> Result<Exit, Failure> {
        let journal = face.journal()?;
        let service = self.service.as_ref();
        let entries = match self.changes {
            true => journal.changes(service, self.limit)?,
            false => journal.history(service, self.limit)?,
        };
        list(face, &entries);
        Ok(Exit::DONE)
    }
}

/// Prints entries, wherever they come from: the journal of this machine, or the records of the hosts.
pub(super) fn list(face: &Face, entries: &[HistoryEntry]) {
    if face.flags.json || face.flags.events {
        face.document(&json!({ "history": entries }));
        return;
    }
    if entries.is_empty() {
        face.talk("nothing is remembered");
    }
    let rows: Vec<_> = entries.iter().map(row).collect();
    table(face, ["STARTED (UTC)", "SERVICE", "HOST", "VERB", "OUTCOME", "RELEASE", "TOOK", "WHO", "RUN"], &rows);
}

fn row(entry: &HistoryEntry) -> [String; 9] {
    let release = |release: &Option<_>| release.as_ref().map_or("-", short).to_owned();
    let (before, after) = (release(&entry.before), release(&entry.after));
    let change = if before == after { after } else { format!("{before} -> {after}") };
    [
        when(entry.began),
        entry.service.to_string(),
        entry.host.to_string(),
        entry.verb.clone(),
        word(entry.outcome).into(),
        change,
        entry.took.map_or("-".into(), duration),
        entry.who.clone(),
        entry.run.to_string(),
    ]
}
