//! Whatever stands in this machine's journal, each question is answered with what stands there, or the file is called
//! damaged. An input is lines of `TABLE.COLUMN VALUE`, which change one row of each table; `NULL` and numbers are meant so.
#![no_main]

use std::cell::OnceCell;
use std::collections::BTreeSet;

use libfuzzer_sys::fuzz_target;
use portoser::journal::{Journal, JournalError};
use portoser::model::{RunId, ServiceName};
use rusqlite::types::Value;
use rusqlite::{Connection, params};

/// One row in each table, as a deploy that ended well leaves them; columns that it leaves out are NULL.
const SOUND: &str = r#"
    DELETE FROM event; DELETE FROM outcome; DELETE FROM release; DELETE FROM run;
    INSERT INTO run (id, verb, who, request, started, ended, code)
        VALUES ('20260101-000000-0123abcd', 'deploy', 'ann@desk', '{}', 1000, 2000, 0);
    INSERT INTO outcome (run, service, host, after, outcome, began, ended)
        VALUES ('20260101-000000-0123abcd', 'api', 'web1', '0123456789abcdef', 'committed', 1000, 2000);
    INSERT INTO event (run, number, at, line) VALUES ('20260101-000000-0123abcd', 1, 1000, '{}');
    INSERT INTO release (service, id, first_run, at, record)
        VALUES ('api', '0123456789abcdef', '20260101-000000-0123abcd', 1000, '{"format":1,"service":"api",
            "release":"0123456789abcdef","engine":"native","supervisor":"systemd","scope":"system","units":[],"user":null,
            "checks":[],"hooks":{"before":[],"after":[]},"summary":{},"files":{}}');
"#;

struct Desk {
    journal: Journal,
    file: Connection,
    /// `TABLE.COLUMN`, read from the schema, so that a new column is tried too.
    columns: BTreeSet<String>,
    _folder: tempfile::TempDir,
}

thread_local! {
    static DESK: OnceCell<Desk> = const { OnceCell::new() };
}

fn desk() -> Desk {
    let folder = tempfile::tempdir().expect("a folder");
    let journal = Journal::open(folder.path()).expect("a journal");
    let file = Connection::open(folder.path().join("journal.db")).expect("the journal's file");
    file.execute_batch("PRAGMA synchronous = OFF; PRAGMA foreign_keys = OFF").expect("set");
    let sql = "SELECT t.name || '.' || c.name FROM sqlite_master t, pragma_table_info(t.name) c WHERE t.type = 'table'";
    let columns = file
        .prepare(sql)
        .and_then(|mut columns| columns.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<BTreeSet<_>>>());
    Desk { journal, file, columns: columns.expect("the columns"), _folder: folder }
}

impl Desk {
    /// Writes the row, with the changes that the tables' types allow; whether there was one.
    fn write(&self, text: &str) -> bool {
        let mut changed = false;
        self.file.execute_batch(&format!("BEGIN IMMEDIATE; {SOUND}")).expect("a sound row");
        for line in text.lines().take(40) {
            let Some((column, value)) = line.split_once(' ').filter(|(column, _)| self.columns.contains(*column))
            else {
                continue;
            };
            let (table, column) = column.split_once('.').expect("both");
            let value = match value {
                "NULL" => Value::Null,
                _ => value.parse().map_or_else(|_| Value::Text(value.to_owned()), Value::Integer),
            };
            changed |= self.file.execute(&format!("UPDATE {table} SET {column} = ?1"), params![value]).is_ok();
        }
        self.file.execute_batch("COMMIT").expect("written");
        changed
    }

    fn told(&self, column: &str) -> Option<String> {
        self.file.query_row(&format!("SELECT {column}"), [], |row| row.get(0)).expect("one row")
    }
}

/// The answer; `None` when the file is called damaged. There is no third way.
fn answer<T>(answer: Result<T, JournalError>) -> Option<T> {
    match answer {
        Ok(answer) => Some(answer),
        Err(JournalError::Damaged { says, .. }) => {
            assert!(!says.is_empty());
            None
        }
        Err(other) => panic!("neither an answer nor damage: {other}"),
    }
}

fuzz_target!(|text: &str| {
    DESK.with(|cell| {
        let desk = cell.get_or_init(desk);
        let changed = desk.write(text);
        let journal = &desk.journal;
        let runs = answer(journal.runs(10));
        assert!(changed || runs.as_ref().is_some_and(|runs| runs.len() == 1 && runs[0].end.is_some()));
        assert_eq!(runs, answer(journal.runs_like("")), "two ways to the same run");
        for run in runs.iter().flatten() {
            assert_eq!(Some(run.who.clone()), desk.told("who FROM run"));
            assert_eq!(run.registry, desk.told("registry FROM run"));
            assert_eq!(run.environment, desk.told("environment FROM run"));
            assert_eq!(answer(journal.run(&run.id)), Some(Some(run.clone())));
            answer(journal.events(&run.id));
            answer(journal.entries(&run.id));
        }
        let open = answer(journal.unfinished());
        assert!(runs.is_none() || open.is_some_and(|open| open.iter().all(|run| run.end.is_none())));
        let releases = answer(journal.releases_like(""));
        assert!(changed || releases.is_some_and(|releases| releases.len() == 1));
        let (history, changes) = (answer(journal.history(None, 10)), answer(journal.changes(None, 10)));
        assert!(changed || history.as_ref().is_some_and(|history| history.len() == 1));
        assert!(history.is_none() || changes.is_some(), "a part of what can be read cannot be read");
        for entry in history.iter().flatten() {
            assert_eq!(entry.error, desk.told("error FROM outcome"));
            assert!(answer(journal.history(Some(&entry.service), 10)).is_some_and(|of| of.contains(entry)));
        }
        answer(journal.history(ServiceName::try_from(text).ok().as_ref(), 10));
        let id = RunId::try_from("20260101-000000-0123abcd").expect("an id");
        answer(journal.run(&id));
        answer(journal.entries(&id));
    });
});
