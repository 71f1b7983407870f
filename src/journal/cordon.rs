//! Which hosts are out of service, as this machine last heard. The word itself is on the hosts; this is for when they cannot be
//! asked, as a host that is switched off for repair cannot say that it is.

use std::collections::BTreeMap;

use rusqlite::params;

use crate::journal::{Journal, JournalError, read};
use crate::model::HostName;

/// A host that is out of service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cordoned {
    /// By whom, since when and why.
    pub why: String,
    /// Whether the host itself was seen to keep the word. If not, it could not be told yet.
    pub kept: bool,
}

/// The registry whose hosts are meant: its file, and the environment.
pub(super) type Domain<'a> = (&'a str, Option<&'a str>);

impl Journal {
    /// The hosts of a registry that were last heard to be out of service.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn cordons(&self, (registry, environment): Domain<'_>) -> Result<BTreeMap<HostName, Cordoned>, JournalError> {
        const SQL: &str = "SELECT host, why, kept FROM cordon WHERE registry = ?1 AND environment = ?2";
        let row = |row: &rusqlite::Row<'_>| {
            Ok((read::name::<HostName>(row, 0)?, Cordoned { why: row.get(1)?, kept: row.get(2)? }))
        };
        Ok(self.all(SQL, params![registry, environment.unwrap_or_default()], row)?.into_iter().collect())
    }

    /// Writes down that a host is out of service, or that it is not.
    ///
    /// # Errors
    /// When it cannot be written; then it is as it was.
    pub fn keep_cordon(
        &self,
        (registry, environment): Domain<'_>,
        host: &HostName,
        cordoned: Option<&Cordoned>,
    ) -> Result<(), JournalError> {
        let environment = environment.unwrap_or_default();
        let connection = self.connection();
        let written = match cordoned {
            Some(Cordoned { why, kept }) => connection.execute(
                "INSERT OR REPLACE INTO cordon VALUES (?1, ?2, ?3, ?4, ?5)",
                params![registry, environment, host.as_str(), why, kept],
            ),
            None => connection.execute(
                "DELETE FROM cordon WHERE registry = ?1 AND environment = ?2 AND host = ?3",
                params![registry, environment, host.as_str()],
            ),
        };
        written.map(drop).map_err(|source| JournalError::sql(&self.file, source))
    }
}
