//! Reading the journal: runs, history, releases.

use std::time::Duration;

use jiff::Timestamp;
use rusqlite::types::Type;
use rusqlite::{Params, Row, params};
use serde_json::Value;

use crate::host::Record;
use crate::journal::{EndOfRun, HistoryEntry, Journal, JournalError, Release, Run};
use crate::model::{HostName, RunId, ServiceName};

type Read<T> = rusqlite::Result<T>;

const RUN: &str = "SELECT id, verb, who, registry, environment, request, started, ended, code, digest, resumes
    FROM run";
/// A run that is gone on with is settled, unless the later run ended without having done it all: then this one is still open.
const NOT_RESUMED: &str = "id NOT IN (SELECT resumes FROM run WHERE resumes IS NOT NULL AND coalesce(code, 0) = 0)";
const ENTRY: &str =
    "SELECT o.run, r.verb, r.who, r.environment, o.began, o.service, o.host, o.before, o.after, o.outcome,
    o.ended, o.error FROM outcome o JOIN run r ON r.id = o.run";
const RELEASE: &str = "SELECT first_run, at, record FROM release";

impl Journal {
    /// The newest runs, newest first.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn runs(&self, limit: u32) -> Result<Vec<Run>, JournalError> {
        self.read_runs(&format!("{RUN} ORDER BY started DESC, id DESC LIMIT ?1"), params![limit])
    }

    /// The runs without an end, newest first: those that still run, and those whose controller was lost. One that another run
    /// went on with is not among them.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn unfinished(&self) -> Result<Vec<Run>, JournalError> {
        self.read_runs(&format!("{RUN} WHERE ended IS NULL AND {NOT_RESUMED} ORDER BY started DESC, id DESC"), [])
    }

    /// One run.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn run(&self, id: &RunId) -> Result<Option<Run>, JournalError> {
        Ok(self.read_runs(&format!("{RUN} WHERE id = ?1"), params![id.as_str()])?.pop())
    }

    /// The runs whose id begins with `prefix`; at most 10.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn runs_like(&self, prefix: &str) -> Result<Vec<Run>, JournalError> {
        self.read_runs(&format!("{RUN} WHERE substr(id, 1, length(?1)) = ?1 ORDER BY id LIMIT 10"), params![prefix])
    }

    /// What happened to a service, or to all of them; newest first.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn history(&self, service: Option<&ServiceName>, limit: u32) -> Result<Vec<HistoryEntry>, JournalError> {
        self.entries_of(service, "true", limit)
    }

    /// As `history`, without what was in place already or not touched.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn changes(&self, service: Option<&ServiceName>, limit: u32) -> Result<Vec<HistoryEntry>, JournalError> {
        self.entries_of(service, "coalesce(o.outcome, '') NOT IN ('nothing-to-do', 'not-touched')", limit)
    }

    fn entries_of(
        &self,
        service: Option<&ServiceName>,
        only: &str,
        limit: u32,
    ) -> Result<Vec<HistoryEntry>, JournalError> {
        const NEWEST: &str = "ORDER BY o.began DESC, o.run DESC, o.service, o.host";
        match service {
            Some(service) => {
                let sql = format!("{ENTRY} WHERE {only} AND o.service = ?1 {NEWEST} LIMIT ?2");
                self.all(&sql, params![service.as_str(), limit], entry)
            }
            None => self.all(&format!("{ENTRY} WHERE {only} {NEWEST} LIMIT ?1"), params![limit], entry),
        }
    }

    /// What one run did, by service and host.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn entries(&self, run: &RunId) -> Result<Vec<HistoryEntry>, JournalError> {
        self.all(&format!("{ENTRY} WHERE o.run = ?1 ORDER BY o.began, o.service, o.host"), params![run.as_str()], entry)
    }

    /// The events of a run in their order, with their times. An event is as `--events` prints it.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn events(&self, run: &RunId) -> Result<Vec<(Timestamp, Value)>, JournalError> {
        let sql = "SELECT at, line FROM event WHERE run = ?1 ORDER BY number";
        self.all(sql, params![run.as_str()], |row| Ok((time(row, 0)?, json(row, 1)?)))
    }

    /// How long a service was interrupted on a host by the newest deploy that was kept there: from the step of this name to the
    /// moment when its checks were good. None when no such deploy is known.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn interruption(
        &self,
        service: &ServiceName,
        host: &HostName,
        step: &str,
    ) -> Result<Option<Duration>, JournalError> {
        let about = "json_extract(line, '$.service') = ?1 AND json_extract(line, '$.host') = ?2";
        let sql = format!(
            "SELECT run, at FROM event WHERE run IN (SELECT run FROM outcome WHERE service = ?1 AND host = ?2 AND outcome = \
             'committed') AND {about} AND json_extract(line, '$.event') = 'step' AND json_extract(line, '$.what') = ?3 ORDER BY at \
             DESC LIMIT 1"
        );
        let place = params![service.as_str(), host.as_str(), step];
        let begun = self.all(&sql, place, |row| Ok((row.get::<_, String>(0)?, time(row, 1)?)))?;
        let Some((run, from)) = begun.into_iter().next() else { return Ok(None) };
        let sql = format!(
            "SELECT at FROM event WHERE {about} AND run = ?3 AND json_extract(line, '$.event') IN ('soaking', 'proven') ORDER \
             BY number LIMIT 1"
        );
        let until = self.all(&sql, params![service.as_str(), host.as_str(), run], |row| time(row, 0))?;
        Ok(until.first().and_then(|until| Duration::try_from(until.duration_since(from)).ok()))
    }

    /// The releases whose id begins with `prefix`, of all services; at most 10.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn releases_like(&self, prefix: &str) -> Result<Vec<Release>, JournalError> {
        let sql = format!("{RELEASE} WHERE substr(id, 1, length(?1)) = ?1 ORDER BY at, service LIMIT 10");
        self.all(&sql, params![prefix], release)
    }

    /// The hosts on which services were ever worked at.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn places(&self) -> Result<Vec<(ServiceName, HostName)>, JournalError> {
        self.all("SELECT DISTINCT service, host FROM outcome", [], |row| Ok((name(row, 0)?, name(row, 1)?)))
    }

    /// Whether the newest run of this registry and environment that changed a service on a host left it there.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn left_there(
        &self,
        (registry, environment): (&str, Option<&str>),
        service: &ServiceName,
        host: &HostName,
    ) -> Result<bool, JournalError> {
        let sql = "SELECT r.verb FROM outcome o JOIN run r ON r.id = o.run WHERE o.service = ?1 AND o.host = ?2 AND \
                   o.outcome = 'committed' AND r.registry = ?3 AND r.environment IS ?4 ORDER BY o.began DESC LIMIT 1";
        let place = params![service.as_str(), host.as_str(), registry, environment];
        let verbs = self.all(sql, place, |row| row.get::<_, String>(0))?;
        Ok(verbs.first().is_some_and(|verb| verb != "remove"))
    }

    fn read_runs(&self, sql: &str, params: impl Params) -> Result<Vec<Run>, JournalError> {
        let mut runs = self.all(sql, params, run)?;
        for run in &mut runs {
            let sql = "SELECT outcome, count(*) FROM outcome WHERE run = ?1 GROUP BY outcome ORDER BY outcome";
            let count = |row: &Row<'_>| Ok((optional_word(row, 0)?, row.get::<_, i64>(1)?.unsigned_abs()));
            run.outcomes = self.all(sql, params![run.id.as_str()], count)?;
        }
        Ok(runs)
    }

    pub(super) fn all<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl Fn(&Row<'_>) -> Read<T>,
    ) -> Result<Vec<T>, JournalError> {
        let connection = self.connection();
        let rows = connection
            .prepare_cached(sql)
            .and_then(|mut statement| statement.query_map(params, read)?.collect::<Read<Vec<T>>>());
        rows.map_err(|source| match source {
            rusqlite::Error::FromSqlConversionFailure(..) | rusqlite::Error::InvalidColumnType(..) => {
                JournalError::Damaged { file: self.file.to_path_buf(), says: source.to_string() }
            }
            source => JournalError::sql(&self.file, source),
        })
    }
}

fn run(row: &Row<'_>) -> Read<Run> {
    let end = match (optional_time(row, 7)?, row.get::<_, Option<i64>>(8)?) {
        (Some(at), Some(code)) => Some(EndOfRun { at, code: u8::try_from(code).map_err(|error| bad(8, error))? }),
        _ => None,
    };
    Ok(Run {
        id: name(row, 0)?,
        verb: row.get(1)?,
        who: row.get(2)?,
        registry: row.get(3)?,
        environment: row.get(4)?,
        request: json(row, 5)?,
        digest: row.get(9)?,
        resumes: optional_name(row, 10)?,
        started: time(row, 6)?,
        end,
        outcomes: Vec::new(),
    })
}

fn entry(row: &Row<'_>) -> Read<HistoryEntry> {
    let began = time(row, 4)?;
    let ended = optional_time(row, 10)?;
    Ok(HistoryEntry {
        run: name(row, 0)?,
        verb: row.get(1)?,
        who: row.get(2)?,
        environment: row.get(3)?,
        began,
        service: name(row, 5)?,
        host: name(row, 6)?,
        before: optional_name(row, 7)?,
        after: optional_name(row, 8)?,
        outcome: optional_word(row, 9)?,
        // A clock that was set back makes no negative time.
        took: ended.map(|ended| Duration::try_from(ended.duration_since(began)).unwrap_or_default()),
        error: row.get(11)?,
    })
}

fn release(row: &Row<'_>) -> Read<Release> {
    let record = Record::parse(&row.get::<_, String>(2)?).map_err(|says| bad(2, std::io::Error::other(says)))?;
    Ok(Release { first_run: name(row, 0)?, at: time(row, 1)?, record })
}

pub(super) fn bad(column: usize, error: impl std::error::Error + Send + Sync + 'static) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error))
}

pub(super) fn name<T: TryFrom<String, Error = crate::model::BadName>>(row: &Row<'_>, column: usize) -> Read<T> {
    T::try_from(row.get::<_, String>(column)?).map_err(|error| bad(column, error))
}

pub(super) fn optional_name<T: TryFrom<String, Error = crate::model::BadName>>(
    row: &Row<'_>,
    column: usize,
) -> Read<Option<T>> {
    let text = row.get::<_, Option<String>>(column)?;
    text.map(T::try_from).transpose().map_err(|error| bad(column, error))
}

pub(super) fn json(row: &Row<'_>, column: usize) -> Read<Value> {
    serde_json::from_str(&row.get::<_, String>(column)?).map_err(|error| bad(column, error))
}

/// A value that is written as one word, the same as in JSON.
pub(super) fn optional_word<T: serde::de::DeserializeOwned>(row: &Row<'_>, column: usize) -> Read<Option<T>> {
    let text = row.get::<_, Option<String>>(column)?;
    text.map(|text| serde_json::from_value(Value::String(text))).transpose().map_err(|error| bad(column, error))
}

pub(super) fn time(row: &Row<'_>, column: usize) -> Read<Timestamp> {
    Timestamp::from_millisecond(row.get(column)?).map_err(|error| bad(column, error))
}

pub(super) fn optional_time(row: &Row<'_>, column: usize) -> Read<Option<Timestamp>> {
    let time = row.get::<_, Option<i64>>(column)?;
    time.map(Timestamp::from_millisecond).transpose().map_err(|error| bad(column, error))
}
