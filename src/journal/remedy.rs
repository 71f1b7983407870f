//! What was done to heal, and whether it helped. Budgets, cool-downs and breakers are judged from it, and lessons counted.

use jiff::Timestamp;
use rusqlite::{Row, params};
use serde::{Deserialize, Serialize};

use crate::journal::write::word;
use crate::journal::{Journal, JournalError, read};
use crate::model::{HostName, RunId, ServiceName};

/// How a remedy ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// A second look says that the problem is gone.
    Helped,
    /// It was done, the problem stayed, and it was undone.
    NoHelp,
    /// It could not be done.
    Failed,
}

/// A remedy, when it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartOfRemedy {
    pub run: RunId,
    /// None when the problem is the host's own.
    pub service: Option<ServiceName>,
    pub host: HostName,
    /// The playbook that knows the problem, or the fingerprint of one that none knows.
    pub problem: String,
    /// The playbook whose remedy it is, or the rung of the ladder.
    pub remedy: String,
    /// What was seen, as JSON; without secrets.
    pub evidence: serde_json::Value,
}

/// A remedy of the past.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Remedy {
    pub run: RunId,
    pub service: Option<ServiceName>,
    pub host: HostName,
    pub problem: String,
    pub remedy: String,
    #[serde(serialize_with = "super::entry::time")]
    pub began: Timestamp,
    /// None: its end was not seen.
    #[serde(serialize_with = "perhaps")]
    pub ended: Option<Timestamp>,
    pub verdict: Option<Verdict>,
}

fn perhaps<S: serde::Serializer>(time: &Option<Timestamp>, to: S) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => super::entry::time(time, to),
        None => to.serialize_none(),
    }
}

impl Journal {
    /// Writes that a remedy begins, so that one that kills its controller counts too. Its number comes back.
    ///
    /// # Errors
    /// When it cannot be written; then it must not begin.
    pub fn begin_remedy(&self, start: &StartOfRemedy) -> Result<i64, JournalError> {
        let began = self.clock.now().as_millisecond();
        let connection = self.connection();
        let written = connection.execute(
            "INSERT INTO remedy (run, service, host, problem, remedy, began, evidence) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![
                start.run.as_str(),
                start.service.as_ref().map(ServiceName::as_str),
                start.host.as_str(),
                start.problem,
                start.remedy,
                began,
                start.evidence.to_string(),
            ],
        );
        written.map_err(|source| JournalError::sql(&self.file, source))?;
        Ok(connection.last_insert_rowid())
    }

    /// Writes how the remedy of this number ended.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn end_remedy(&self, number: i64, verdict: Verdict) -> Result<(), JournalError> {
        let ended = self.clock.now().as_millisecond();
        self.connection()
            .execute(
                "UPDATE remedy SET ended = ?2, outcome = ?3 WHERE number = ?1",
                params![number, ended, word(&verdict)],
            )
            .map(drop)
            .map_err(|source| JournalError::sql(&self.file, source))
    }

    /// The remedies that began at this time or later, the oldest first.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn remedies(&self, since: Timestamp) -> Result<Vec<Remedy>, JournalError> {
        const SQL: &str = "SELECT run, service, host, problem, remedy, began, ended, outcome FROM remedy
             WHERE began >= ?1 ORDER BY number";
        self.all(SQL, params![since.as_millisecond()], of_row)
    }
}

fn of_row(row: &Row<'_>) -> rusqlite::Result<Remedy> {
    Ok(Remedy {
        run: read::name(row, 0)?,
        service: read::optional_name(row, 1)?,
        host: read::name(row, 2)?,
        problem: row.get(3)?,
        remedy: row.get(4)?,
        began: read::time(row, 5)?,
        ended: read::optional_time(row, 6)?,
        verdict: read::optional_word(row, 7)?,
    })
}
