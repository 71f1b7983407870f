//! What is wrong, as far as it was noticed: so that what is new can be told from what is known, also by a later process.

use std::collections::{BTreeMap, BTreeSet};

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
    /// When each kind of news of it was told last, by kind and whom.
    pub told: BTreeMap<String, Timestamp>,
    /// The looks that saw it; empty: not known.
    pub looks: BTreeSet<String>,
    /// What is still to be told, by kind and whom: what the news says beside the sentence.
    pub owed: BTreeMap<String, Vec<String>>,
}

impl Journal {
    /// What was noticed of a registry's hosts and services, in a fixed order.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn troubles(&self, registry: &str) -> Result<Vec<Trouble>, JournalError> {
        const SQL: &str =
            "SELECT host, service, problem, because, since, healed, gave_up, told, looks, owed FROM trouble
             WHERE registry = ?1 ORDER BY host, service, problem";
        self.all(SQL, params![registry], of_row)
    }

    /// Writes down what changed, and leaves the rest as it is: others may note theirs at the same time.
    ///
    /// # Errors
    /// When it cannot be written; then it is as it was.
    pub fn note_troubles(&self, registry: &str, changed: &[&Trouble]) -> Result<(), JournalError> {
        const SQL: &str = "INSERT OR REPLACE INTO trouble
             (registry, host, service, problem, because, since, healed, gave_up, told, looks, owed)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
        let failed = |source| JournalError::sql(&self.file, source);
        let mut connection = self.connection();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
        for one in changed {
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
                serde_json::json!(one.looks).to_string(),
                serde_json::json!(one.owed).to_string(),
            ];
            transaction.execute(SQL, row).map_err(failed)?;
        }
        transaction.commit().map_err(failed)
    }
}

fn of_row(row: &Row<'_>) -> rusqlite::Result<Trouble> {
    let service: String = row.get(1)?;
    let told: serde_json::Value = read::json(row, 7)?;
    let times = told.as_object().into_iter().flatten();
    let (looks, owed): (serde_json::Value, serde_json::Value) = (read::json(row, 8)?, read::json(row, 9)?);
    let words = |value: &serde_json::Value| -> Vec<String> {
        value.as_array().into_iter().flatten().filter_map(|word| word.as_str().map(str::to_owned)).collect()
    };
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
        looks: words(&looks).into_iter().collect(),
        owed: owed.as_object().into_iter().flatten().map(|(kind, says)| (kind.clone(), words(says))).collect(),
    })
}
