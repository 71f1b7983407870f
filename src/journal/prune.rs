//! What is not remembered for ever: the lines of what happened in a run, which are most of the journal. Runs, their outcomes, releases
//! and remedies stay.

use jiff::SignedDuration;
use rusqlite::params;

use crate::journal::Journal;

/// The newest runs keep their lines, however old they are.
pub(super) const RUNS: i64 = 1000;
/// Younger runs keep theirs, however many there are.
const AGE: SignedDuration = SignedDuration::from_hours(90 * 24);
/// How many runs may lose them at once: no run is to wait for long.
const AT_ONCE: i64 = 500;

impl Journal {
    /// Drops the lines of runs that are neither among the newest nor young, once a day. A run without an end keeps its own, and so does
    /// the one that brought what a service runs on a host, as it tells for how long the service was interrupted.
    pub(super) fn prune(&self) -> rusqlite::Result<()> {
        let now = self.clock.now();
        let connection = self.connection();
        let today: i64 = connection.query_row(
            "SELECT count(*) FROM (SELECT started FROM run ORDER BY started DESC LIMIT 2) WHERE started / 86400000 = ?1",
            params![now.as_millisecond() / 86_400_000],
            |row| row.get(0),
        )?;
        if today > 1 {
            return Ok(());
        }
        let old = now.checked_sub(AGE).map_or(i64::MIN, |at| at.as_millisecond());
        connection.execute(
            "DELETE FROM event WHERE run IN (
                SELECT r.id FROM run r WHERE r.ended IS NOT NULL AND r.started < ?1
                    AND r.started < (SELECT started FROM run ORDER BY started DESC LIMIT 1 OFFSET ?2)
                    AND EXISTS (SELECT 1 FROM event e WHERE e.run = r.id)
                    AND NOT EXISTS (
                        SELECT 1 FROM outcome o WHERE o.run = r.id AND o.outcome = 'committed' AND NOT EXISTS (
                            SELECT 1 FROM outcome p WHERE p.service = o.service AND p.host = o.host
                                AND p.outcome = 'committed' AND p.began > o.began))
                ORDER BY r.started LIMIT ?3)",
            params![old, RUNS - 1, AT_ONCE],
        )?;
        Ok(())
    }
}
