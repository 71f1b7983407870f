//! What is wrong, as far as it was noticed: so that what is new can be told from what is known, also by a later process.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rusqlite::{Row, TransactionBehavior, params};

use crate::journal::{Journal, JournalError, read};
use crate::model::{HostName, ServiceName};

/// Something that is or was wrong.
#[derive(Clone, Debug, PartialEq)]
pub struct Trouble {
    pub host: HostName,
    /// None when it is the host's own.
    pub service: Option<ServiceName>,
    /// The problem's name or fingerprint.
    pub problem: String,
    pub because: String,
    pub since: Timestamp,
    /// None: it is still so.
    pub healed: Option<Timestamp>,
    pub gave_up: bool,
    /// When each kind of news of it was told last.
    pub told: BTreeMap<String, Timestamp>,
}

impl Journal {
    /// What was noticed of a registry's hosts and services, in a fixed order.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn troubles(&self, registry: &str) -> Result<Vec<Trouble>, JournalError> {
        const SQL: &str = "SELECT host, service, problem, because, since, healed, gave_up, told FROM trouble
             WHERE registry = ?1 ORDER BY host, service, problem";
        self.all(SQL, params![registry], of_row)
    }

    /// Writes down what is so now, in the place of what was before.
    ///
    /// # Errors
    /// When it cannot be written; then it is as it was.
    pub fn keep_troubles(&self, registry: &str, all: &[Trouble]) -> Result<(), JournalError> {
        let failed = |source| JournalError::sql(&self.file, source);
        let mut connection = self.connection();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
        transaction.execute("DELETE FROM trouble WHERE registry = ?1", params![registry]).map_err(failed)?;
        for one in all {
            let told: BTreeMap<&str, i64> =
                one.told.iter().map(|(kind, at)| (kind.as_str(), at.as_millisecond())).collect();
            let row = params![
                registry,
                one.host.as_str(),
                one.service.as_ref().map_or("", ServiceName::as_str),
                one.problem,
                one.because,
                one.since.as_millisecond(),
                one.healed.map(Timestamp::as_millisecond),
                one.gave_up,
                serde_json::json!(told).to_string(),
            ];
            let sql = "INSERT OR REPLACE INTO trouble VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
            transaction.execute(sql, row).map_err(failed)?;
        }
        transaction.commit().map_err(failed)
    }
}

fn of_row(row: &Row<'_>) -> rusqlite::Result<Trouble> {
    let service: String = row.get(1)?;
    let told: serde_json::Value = read::json(row, 7)?;
    let times = told.as_object().into_iter().flatten();
    let time = |value: &serde_json::Value| Timestamp::from_millisecond(value.as_i64()?).ok();
    Ok(Trouble {
        host: read::name(row, 0)?,
        service: if service.is_empty() { None } else { Some(read::name(row, 1)?) },
        problem: row.get(2)?,
        because: row.get(3)?,
        since: read::time(row, 4)?,
        healed: read::optional_time(row, 5)?,
        gave_up: row.get(6)?,
        told: times.filter_map(|(kind, value)| Some((kind.clone(), time(value)?))).collect(),
    })
}
