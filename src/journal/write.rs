//! Writing a run as it happens. What matters after a crash is written at once, the rest with it or in batches.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use rusqlite::{Transaction, TransactionBehavior, params};

use crate::host::Record;
use crate::journal::{Journal, JournalError, StartOfRun};
use crate::model::{Event, HostName, Outcome, ReleaseId, RunId, ServiceName};

/// How many events may wait for a transaction.
const BATCH: usize = 64;

/// A run that is being written. Dropping it leaves the run unfinished.
#[derive(Debug)]
pub struct OpenRun {
    journal: Journal,
    id: RunId,
    pending: Mutex<Pending>,
}

#[derive(Debug, Default)]
struct Pending {
    /// How many events were told.
    number: i64,
    lines: Vec<Line>,
    changes: Vec<Change>,
    /// When each host was first looked at.
    looking: BTreeMap<HostName, i64>,
    found: BTreeMap<(ServiceName, HostName), Option<ReleaseId>>,
}

#[derive(Debug)]
struct Line {
    number: i64,
    at: i64,
    text: String,
}

/// A change to the row of a service on a host. What is `None` stays as it is, except `after` at the end.
#[derive(Debug)]
struct Change {
    service: ServiceName,
    host: HostName,
    began: i64,
    before: Option<ReleaseId>,
    after: Option<ReleaseId>,
    error: Option<String>,
    /// The outcome, and when.
    end: Option<(Outcome, i64)>,
}

impl Journal {
    /// Writes that a run begins.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn begin_run(&self, start: &StartOfRun) -> Result<OpenRun, JournalError> {
        let started = self.clock.now().as_millisecond();
        let written = self.connection().execute(
            "INSERT INTO run (id, verb, who, registry, environment, request, started, digest, resumes)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            params![
                start.id.as_str(),
                start.verb,
                start.who,
                start.registry,
                start.environment,
                start.request.to_string(),
                started,
                start.digest,
                start.resumes.as_ref().map(RunId::as_str),
            ],
        );
        written.map_err(|source| JournalError::sql(&self.file, source))?;
        Ok(OpenRun { journal: self.clone(), id: start.id.clone(), pending: Mutex::default() })
    }

    /// Remembers what a release is; one that is known already stays as it is.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn record_release(&self, run: &RunId, record: &Record) -> Result<(), JournalError> {
        let at = self.clock.now().as_millisecond();
        self.connection()
            .execute(
                "INSERT INTO release (service, id, first_run, at, record) VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT DO NOTHING",
                params![record.service.as_str(), record.release.as_str(), run.as_str(), at, record.line()],
            )
            .map(drop)
            .map_err(|source| JournalError::sql(&self.file, source))
    }
}

impl OpenRun {
    /// The run.
    #[must_use]
    pub fn id(&self) -> &RunId {
        &self.id
    }

    /// Writes an event, at once when it changes what is known of a service, else with the next one that does.
    ///
    /// # Errors
    /// When it cannot be written; it is kept for the next attempt.
    pub fn tell(&self, event: &Event) -> Result<(), JournalError> {
        let at = self.journal.clock.now().as_millisecond();
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        pending.number += 1;
        let number = pending.number;
        let text = serde_json::to_string(event).unwrap_or_default();
        pending.lines.push(Line { number, at, text });
        let changes = pending.take(event, at);
        if changes || pending.lines.len() >= BATCH { self.write(&mut pending) } else { Ok(()) }
    }

    /// Writes what waits, and that the run ended with this exit code.
    ///
    /// # Errors
    /// When it cannot be written; the run stays unfinished then.
    pub fn end(self, code: u8) -> Result<(), JournalError> {
        let ended = self.journal.clock.now().as_millisecond();
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        self.write(&mut pending)?;
        self.journal
            .connection()
            .execute(
                "UPDATE run SET ended = ?2, code = ?3 WHERE id = ?1",
                params![self.id.as_str(), ended, i64::from(code)],
            )
            .map(drop)
            .map_err(|source| JournalError::sql(&self.journal.file, source))?;
        // It is no fault of this run when it does not work; the next day's first one tries again.
        let _ = self.journal.prune();
        Ok(())
    }

    fn write(&self, pending: &mut Pending) -> Result<(), JournalError> {
        let mut connection = self.journal.connection();
        // Immediate: a reader that turns writer would not wait its turn.
        let written = connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .and_then(|transaction| write(transaction, &self.id, pending));
        written.map_err(|source| JournalError::sql(&self.journal.file, source))?;
        pending.lines.clear();
        pending.changes.clear();
        Ok(())
    }
}

impl Drop for OpenRun {
    fn drop(&mut self) {
        let mut pending = std::mem::take(&mut *self.pending.lock().unwrap_or_else(PoisonError::into_inner));
        if !pending.lines.is_empty() {
            // Nobody is left to be told of an error.
            let _ = self.write(&mut pending);
        }
    }
}

impl Pending {
    /// Notes what the event changes; whether it must be written at once.
    fn take(&mut self, event: &Event, at: i64) -> bool {
        match event {
            Event::Looking { host } => _ = self.looking.entry(host.clone()).or_insert(at),
            Event::Found { host, service, release } => {
                self.found.insert((service.clone(), host.clone()), release.clone());
            }
            Event::Step { host, service, number: 1, .. } => _ = self.change(service, host, at),
            Event::Switched { host, service, release } => {
                self.change(service, host, at).after.clone_from(release);
            }
            Event::Failed { host, service: Some(service), error, .. } => {
                self.change(service, host, at).error = Some(error.clone());
            }
            Event::Ended { host, service, outcome, release } => {
                // A service that needed no step began with the look at its host.
                let began = self.looking.get(host).copied().unwrap_or(at);
                let change = self.change(service, host, began);
                change.after.clone_from(release);
                change.end = Some((*outcome, at));
            }
            _ => {}
        }
        !self.changes.is_empty()
            || matches!(event, Event::Settling { .. } | Event::Settled { .. } | Event::Undoing { .. })
            || matches!(event, Event::Finished { .. })
    }

    fn change(&mut self, service: &ServiceName, host: &HostName, began: i64) -> &mut Change {
        let (service, host) = (service.clone(), host.clone());
        let before = self.found.get(&(service.clone(), host.clone())).cloned().flatten();
        self.changes.push(Change { service, host, began, before, after: None, error: None, end: None });
        let last = self.changes.len() - 1;
        &mut self.changes[last]
    }
}

/// A value as it is written in the journal: the same word as in JSON.
pub(super) fn word(value: &impl serde::Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

fn write(transaction: Transaction<'_>, run: &RunId, pending: &Pending) -> rusqlite::Result<()> {
    {
        let mut insert = transaction.prepare_cached(
            "INSERT INTO event (run, number, at, line) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
        )?;
        for line in &pending.lines {
            insert.execute(params![run.as_str(), line.number, line.at, line.text])?;
        }
    }
    for change in &pending.changes {
        change.write(&transaction, run)?;
    }
    transaction.commit()
}

impl Change {
    fn write(&self, transaction: &Transaction<'_>, run: &RunId) -> rusqlite::Result<()> {
        let (service, host) = (self.service.as_str(), self.host.as_str());
        let text = |release: &Option<ReleaseId>| release.as_ref().map(|release| release.as_str().to_owned());
        transaction
            .prepare_cached(
                "INSERT INTO outcome (run, service, host, began) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
            )?
            .execute(params![run.as_str(), service, host, self.began])?;
        transaction
            .prepare_cached(
                "UPDATE outcome SET before = coalesce(?4, before), error = coalesce(?6, error),
                    after = CASE WHEN ?7 IS NULL THEN coalesce(?5, after) ELSE ?5 END,
                    outcome = coalesce(?7, outcome), ended = coalesce(?8, ended)
                 WHERE run = ?1 AND service = ?2 AND host = ?3",
            )?
            .execute(params![
                run.as_str(),
                service,
                host,
                text(&self.before),
                text(&self.after),
                self.error,
                self.end.as_ref().map(|(outcome, _)| word(outcome)),
                self.end.as_ref().map(|(_, at)| *at),
            ])
            .map(drop)
    }
}
