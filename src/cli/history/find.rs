//! From the first letters of an id to the run or the releases that are meant: in the journal of this machine, and when that
//! has nothing of it, or on request, in the records of the hosts.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::cli::history::hosts::{ask, exit};
use crate::cli::{Exit, Face, Failure};
use crate::deploy::{Remembered, Unseen, Want};
use crate::host::Record;
use crate::journal::{Journal, JournalError, Run};
use crate::model::{FailureKind, RunId};

/// What an id stands for.
pub(super) enum Found {
    Run(Box<Run>),
    /// A run of which only the hosts know.
    OnHosts(RunId),
    Release(Box<Known>),
}

/// A release, and the run that made it first, as far as that is known.
pub(super) struct Known {
    pub(super) record: Record,
    pub(super) first: Option<(RunId, Timestamp)>,
}

/// Finds ids. The hosts are asked at most once.
pub(super) struct Finder<'f> {
    face: &'f Face,
    /// None: only the hosts are asked.
    journal: Option<Journal>,
    heard: Option<Remembered>,
}

impl<'f> Finder<'f> {
    pub(super) fn new(face: &'f Face, from_hosts: bool) -> Result<Self, Failure> {
        let journal = if from_hosts { None } else { Some(face.journal()?) };
        Ok(Self { face, journal, heard: None })
    }

    pub(super) fn journal(&self) -> Option<&Journal> {
        self.journal.as_ref()
    }

    /// What the hosts said, if they were asked.
    pub(super) fn heard(&self) -> Option<&Remembered> {
        self.heard.as_ref()
    }

    /// The exit code of a verb that found what it looked for.
    pub(super) fn exit(&self) -> Exit {
        self.heard.as_ref().map_or(Exit::DONE, exit)
    }

    /// Finds the one run or release whose id begins so. A whole id of a run is 24 characters, of a release 16.
    pub(super) fn find(&mut self, prefix: &str) -> Result<Result<Found, JournalError>, Failure> {
        if let Some(journal) = &self.journal {
            let found = one(prefix, in_journal(journal, prefix)?);
            let could_be = !prefix.is_empty() && prefix.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
            // Without a registry there is no host to ask.
            if !matches!(found, Err(JournalError::Unknown { .. })) || !could_be || self.face.registry().is_err() {
                return Ok(found);
            }
        }
        if self.heard.is_none() {
            let heard = ask(self.face, None, Want::Releases)?;
            self.face.talk(match self.journal {
                None => "from the hosts' own records",
                Some(_) => "from the hosts' own records; this machine's journal has nothing of it",
            });
            self.heard = Some(heard);
        }
        let Some(heard) = &self.heard else { return Ok(one(prefix, Named::new())) };
        let found = one(prefix, on_hosts(heard, prefix));
        // What could not be asked may know it.
        if matches!(found, Err(JournalError::Unknown { .. })) && !heard.unseen.is_empty() {
            let hosts = heard.unseen.len();
            let says =
                format!("no host that could be asked knows a run or a release `{prefix}`, and {hosts} could not");
            return Err(Failure::say(FailureKind::Unreachable, says)
                .hints(heard.unseen.values().map(Unseen::hint).collect::<BTreeSet<_>>()));
        }
        Ok(found)
    }
}

/// What was found, by the name that tells it from others.
type Named = Vec<(String, Found)>;

fn in_journal(journal: &Journal, prefix: &str) -> Result<Named, JournalError> {
    if prefix.is_empty() {
        return Ok(Named::new());
    }
    let runs = journal.runs_like(prefix)?.into_iter().map(|run| (run.id.to_string(), Found::Run(Box::new(run))));
    let releases = journal.releases_like(prefix)?.into_iter().map(|release| {
        let name = format!("{} of {}", release.record.release, release.record.service);
        let first = Some((release.first_run, release.at));
        (name, Found::Release(Box::new(Known { record: release.record, first })))
    });
    Ok(runs.chain(releases).collect())
}

fn on_hosts(heard: &Remembered, prefix: &str) -> Named {
    if prefix.is_empty() {
        return Named::new();
    }
    let runs = heard.runs_like(prefix).into_iter().map(|run| (run.to_string(), Found::OnHosts(run)));
    let releases = heard.releases_like(prefix).into_iter().map(|(record, first)| {
        let name = format!("{} of {}", record.release, record.service);
        (name, Found::Release(Box::new(Known { record, first })))
    });
    runs.chain(releases).collect()
}

/// The one that was found.
fn one(prefix: &str, mut found: Named) -> Result<Found, JournalError> {
    match (found.pop(), found.is_empty()) {
        (Some((_, found)), true) => Ok(found),
        (None, _) => Err(JournalError::Unknown { prefix: prefix.to_owned() }),
        (Some(last), false) => {
            found.push(last);
            let found = found.into_iter().map(|(name, _)| name).collect();
            Err(JournalError::Ambiguous { prefix: prefix.to_owned(), found })
        }
    }
}
