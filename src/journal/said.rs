//! What was said before, so that who hears only of news does not hear the same again.

use std::time::Duration;

use rusqlite::params;

use crate::journal::{Journal, JournalError};

impl Journal {
    /// Whether something is news about a thing: it is not what was said of it last, or that was longer ago than this. What is news
    /// counts as said from now on.
    ///
    /// # Errors
    /// When it cannot be written; then it is as it was.
    pub fn is_news(&self, about: &str, what: &str, within: Duration) -> Result<bool, JournalError> {
        let now = self.clock.now().as_millisecond();
        let since = now.saturating_sub(i64::try_from(within.as_millis()).unwrap_or(i64::MAX));
        let sql = "INSERT INTO said VALUES (?1, ?2, ?3) ON CONFLICT (about) DO UPDATE
             SET what = excluded.what, at = excluded.at WHERE what <> excluded.what OR at < ?4";
        let written = self.connection().execute(sql, params![about, what, now, since]);
        written.map(|rows| rows > 0).map_err(|source| JournalError::sql(&self.file, source))
    }
}
