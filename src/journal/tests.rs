//! What the journal is told it tells again, character by character; whatever stands in a row, it is told or called damaged.

use jiff::Timestamp;
use proptest::prelude::*;
use rusqlite::types::Value;

use super::*;
use crate::model::{Event, FixedClock, HostName, Outcome, RunId, ServiceName};

fn start(number: u32, text: &[String], absent: bool) -> StartOfRun {
    let given = |at: usize| text.get(at).filter(|_| !absent).cloned();
    StartOfRun {
        id: RunId::new(Timestamp::UNIX_EPOCH, number),
        verb: text[0].clone(),
        who: text[1].clone(),
        registry: given(2),
        environment: given(3),
        request: serde_json::json!({ "services": text }),
        digest: given(4),
        resumes: (!absent).then(|| RunId::new(Timestamp::UNIX_EPOCH, number + 1)),
    }
}

/// Begins a run, and tells it that a service failed on a host with these words.
fn told(journal: &Journal, start: &StartOfRun, words: &str) -> (OpenRun, [Event; 2]) {
    let host = HostName::try_from("web1").expect("a name");
    let service = ServiceName::try_from("api").expect("a name");
    let run = journal.begin_run(start).expect("begins");
    let text = || words.to_owned();
    let events = [
        Event::Failed {
            host: host.clone(),
            service: Some(service.clone()),
            error: text(),
            hint: Some(text()),
            evidence: vec![text()],
        },
        Event::Ended { host, service, outcome: Outcome::RolledBack, release: None },
    ];
    events.iter().for_each(|event| run.tell(event).expect("told"));
    (run, events)
}

fn remedy(start: &StartOfRun, text: &str) -> StartOfRemedy {
    StartOfRemedy {
        run: start.id.clone(),
        service: ServiceName::try_from("api").ok(),
        host: HostName::try_from("web1").expect("a name"),
        problem: text.to_owned(),
        remedy: text.to_owned(),
        evidence: serde_json::json!([text]),
    }
}

#[test]
fn a_remedy_is_told_while_it_runs_and_when_it_ended() {
    let folder = tempfile::tempdir().expect("a folder");
    let journal = Journal::open(folder.path()).expect("opens");
    let start = start(1, &vec!["x".to_owned(); 6], false);
    journal.begin_run(&start).expect("begins");
    let remedies = || journal.remedies(Timestamp::UNIX_EPOCH).expect("readable");
    let number = journal.begin_remedy(&remedy(&start, "port '1'")).expect("begins");
    assert_eq!((remedies()[0].verdict, remedies()[0].ended), (None, None));
    journal.begin_remedy(&StartOfRemedy { service: None, ..remedy(&start, "disk") }).expect("begins");
    journal.end_remedy(number, Verdict::Helped).expect("ends");
    let all = remedies();
    assert_eq!(all.len(), 2);
    assert_eq!((all[0].verdict, all[0].problem.as_str()), (Some(Verdict::Helped), "port '1'"));
    assert!(all[0].ended >= Some(all[0].began) && all[1].service.is_none() && all[1].verdict.is_none());
    assert!(journal.remedies(all[0].began + jiff::SignedDuration::from_hours(1)).expect("readable").is_empty());
}

#[test]
fn old_runs_lose_their_lines_and_nothing_else() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |days: i64| Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_hours(days * 24);
    let open = |days| Journal::open_with(folder.path(), Arc::new(FixedClock(at(days)))).expect("opens");
    let journal = open(0);
    let text = vec!["x".to_owned(); 6];
    let kept = |outcome| {
        let (host, service) =
            (HostName::try_from("web1").expect("a name"), ServiceName::try_from("api").expect("a name"));
        Event::Ended { host, service, outcome, release: None }
    };
    let end = |journal: &Journal, number, outcome| {
        let (run, _) = told(journal, &start(number, &text, false), "x");
        run.tell(&kept(outcome)).expect("told");
        run.end(0).expect("ends");
    };
    // Replaced later; without an end; and what runs there still.
    end(&journal, 1, Outcome::Committed);
    drop(told(&journal, &start(2, &text, false), "x"));
    end(&open(1), 3, Outcome::Committed);
    end(&open(2), 4, Outcome::RolledBack);
    let lines = |journal: &Journal| {
        [1, 2, 3, 4].map(|number| journal.events(&RunId::new(Timestamp::UNIX_EPOCH, number)).expect("readable").len())
    };
    // Old, but among the newest.
    let later = open(200);
    end(&later, 5, Outcome::RolledBack);
    assert!(lines(&later).iter().all(|lines| *lines >= 2), "{:?}", lines(&later));
    for number in 0..u32::try_from(prune::RUNS).expect("a number") {
        later.begin_run(&start(100 + number, &text, false)).expect("begins").end(0).expect("ends");
    }
    // Many, and not a day's first.
    assert!(lines(&later).iter().all(|lines| *lines >= 2), "{:?}", lines(&later));
    let last = open(201);
    end(&last, 9999, Outcome::RolledBack);
    let [replaced, open, standing, back] = lines(&last);
    assert_eq!((replaced, back), (0, 0));
    assert!(open >= 2 && standing >= 2);
    assert_eq!(last.runs(2000).expect("readable").len(), 1006);
}

/// Where a row may be damaged.
const COLUMNS: &[(&str, &str)] = &[
    ("run", "id verb who registry environment request started ended code digest resumes"),
    ("outcome", "run service host before after outcome began ended error"),
    ("event", "run number at line"),
    ("remedy", "run service host problem remedy began ended outcome evidence"),
];

fn values() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<i64>().prop_map(Value::Integer),
        "(?s).{0,30}".prop_map(Value::Text),
        "[{\\[\"]?[-a-z0-9:]{0,30}".prop_map(Value::Text),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_was_told_is_told_again(text in prop::collection::vec("(?s).{0,30}", 6), absent in any::<bool>(), code in any::<u8>()) {
        let folder = tempfile::tempdir().expect("a folder");
        let journal = Journal::open(folder.path()).expect("opens");
        let start = start(1, &text, absent);
        let (run, events) = told(&journal, &start, &text[5]);
        run.end(code).expect("ends");
        let read = journal.run(&start.id).expect("readable").expect("is there");
        prop_assert_eq!((read.verb, read.who, read.registry), (start.verb, start.who, start.registry));
        prop_assert_eq!((read.environment, read.request, read.digest), (start.environment, start.request, start.digest));
        prop_assert_eq!((read.resumes, read.end.map(|end| end.code)), (start.resumes, Some(code)));
        prop_assert_eq!(read.outcomes, [(Some(Outcome::RolledBack), 1)]);
        let entries = journal.entries(&start.id).expect("readable");
        prop_assert_eq!(entries[0].error.as_ref(), Some(&text[5]));
        let read = journal.events(&start.id).expect("readable");
        let read: Vec<Event> = read.into_iter().map(|(_, line)| serde_json::from_value(line).expect("an event")).collect();
        prop_assert_eq!(read, events);
    }

    #[test]
    fn any_row_is_told_or_called_damaged(damage in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), values()), 1..4)) {
        let folder = tempfile::tempdir().expect("a folder");
        let journal = Journal::open(folder.path()).expect("opens");
        let start = start(1, &vec!["x".to_owned(); 5], false);
        told(&journal, &start, "x").0.end(5).expect("ends");
        let number = journal.begin_remedy(&remedy(&start, "x")).expect("begins");
        journal.end_remedy(number, Verdict::NoHelp).expect("ends");
        journal.connection().pragma_update(None, "foreign_keys", false).expect("set");
        for (table, column, value) in damage {
            let (table, columns) = COLUMNS[table.index(COLUMNS.len())];
            let columns: Vec<&str> = columns.split(' ').collect();
            let sql = format!("UPDATE {table} SET {} = ?1", columns[column.index(columns.len())]);
            // A value of the wrong type is refused by the table itself.
            let _ = journal.connection().execute(&sql, [value]);
        }
        let answers = [
            journal.runs(10).map(drop),
            journal.unfinished().map(drop),
            journal.history(None, 10).map(drop),
            journal.changes(None, 10).map(drop),
            journal.events(&start.id).map(drop),
            journal.remedies(Timestamp::UNIX_EPOCH).map(drop),
        ];
        for answer in answers {
            prop_assert!(matches!(answer, Ok(()) | Err(JournalError::Damaged { .. })), "{:?}", answer);
        }
    }
}
