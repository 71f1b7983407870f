//! What happened to services, and what their releases were.

mod compare;
mod find;
mod hosts;
mod show;

pub(super) use hosts::list_runs;

use serde_json::json;

use crate::cli::render::{duration, short};
use crate::cli::runs::{when, word};
use crate::cli::table::table;
use crate::cli::{Exit, Face, Failure};
use crate::deploy::Want;
use crate::journal::HistoryEntry;
use crate::model::ServiceName;

/// Show what happened to services on hosts, newest first
///
/// This machine's journal tells it. With --from-hosts, and where the journal has nothing of it, the hosts' own records do: their last
/// twenty runs, and the last hundred releases that were proven of each service, whoever brought them; a host that could not be
/// asked is named, and the exit code is 4.
#[derive(Debug, clap::Args)]
pub(super) struct History {
    #[command(subcommand)]
    of: Option<Of>,
    /// Only this service
    #[arg(value_name = "SERVICE")]
    service: Option<ServiceName>,
    /// How many entries to show
    #[arg(long, short = 'n', default_value_t = 50, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// Leave out what was in place already or not touched
    #[arg(long)]
    changes: bool,
    /// Ask the hosts for their own records, whatever this machine remembers
    #[arg(long)]
    from_hosts: bool,
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
        if self.from_hosts {
            return self.list_hosts(face);
        }
        let journal = face.journal()?;
        let service = self.service.as_ref();
        let entries = match self.changes {
            true => journal.changes(service, self.limit)?,
            false => journal.history(service, self.limit)?,
        };
        // What was left out on request is remembered all the same. Without a registry there is no host to ask.
        if entries.is_empty() && journal.history(service, 1)?.is_empty() && face.registry().is_ok() {
            face.talk("from the hosts' own records; this machine's journal has nothing of it");
            return self.list_hosts(face);
        }
        list(face, &entries);
        Ok(Exit::DONE)
    }

    fn list_hosts(&self, face: &Face) -> Result<Exit, Failure> {
        let heard = hosts::ask(face, self.service.as_ref(), Want::Runs)?;
        let meant = |entry: &HistoryEntry| self.service.as_ref().is_none_or(|service| *service == entry.service);
        let mut entries: Vec<_> = heard.history().into_iter().filter(meant).collect();
        entries.truncate(usize::try_from(self.limit).unwrap_or(usize::MAX));
        list(face, &entries);
        Ok(hosts::exit(&heard))
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
