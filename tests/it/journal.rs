//! The journal on a real disk: what it remembers, many portosers at once, crashes, damaged and newer files.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use libtest_mimic::{Failed, Trial};
use portoser::host::{Hooks, Record, Supervisor};
use portoser::journal::{Journal, JournalError, OpenRun, StartOfRun, differences};
use portoser::model::{Event, FixedClock, HostName, Outcome, ReleaseId, RunId, Scope, ServiceName};
use serde_json::json;

const PROCESSES: u32 = 20;
const RUNS_EACH: u32 = 5;

pub fn trials() -> Vec<Trial> {
    let trial = |name: &str, body: fn() -> Result<(), Failed>| Trial::test(format!("journal::{name}"), body);
    vec![
        trial("a_run_is_remembered", a_run_is_remembered),
        trial("a_release_is_remembered_as_it_was_first_told", a_release_is_remembered_as_it_was_first_told),
        trial("many_processes_lose_nothing", many_processes_lose_nothing),
        trial("a_killed_writer_leaves_an_unfinished_run", a_killed_writer_leaves_an_unfinished_run),
        trial("a_damaged_file_is_named_and_left_alone", a_damaged_file_is_named_and_left_alone),
        trial("no_damage_makes_it_panic", no_damage_makes_it_panic),
        trial("a_file_of_the_first_schema_is_brought_up", a_file_of_the_first_schema_is_brought_up),
        trial("a_run_that_was_resumed_is_settled", a_run_that_was_resumed_is_settled),
        trial("a_newer_file_is_named_and_left_alone", a_newer_file_is_named_and_left_alone),
        trial("folder_and_files_are_private", folder_and_files_are_private),
        trial("opening_is_cheap", opening_is_cheap),
    ]
}

/// What a process does that a trial started: writes runs, or dies in the middle of one.
pub fn as_another_process() -> Option<i32> {
    let folder = std::env::var_os("PORTOSER_TEST_JOURNAL")?;
    let number: u32 = std::env::var("PORTOSER_TEST_NUMBER").ok()?.parse().ok()?;
    let journal = Journal::open(Path::new(&folder)).expect("opens");
    for round in 0..RUNS_EACH {
        let run = begin(&journal, number * 100 + round);
        deploy(&run, Outcome::Committed);
        if number == 0 {
            std::process::abort();
        }
        run.end(0).expect("ends");
    }
    Some(0)
}

fn start(number: u32) -> StartOfRun {
    StartOfRun {
        id: RunId::new(Timestamp::UNIX_EPOCH, number),
        verb: "deploy".into(),
        who: "ann@desk".into(),
        registry: Some("/srv/registry.yml".into()),
        environment: None,
        request: json!({ "services": ["api"] }),
        digest: None,
        resumes: None,
    }
}

fn begin(journal: &Journal, number: u32) -> OpenRun {
    journal.begin_run(&start(number)).expect("begins")
}

fn api() -> ServiceName {
    ServiceName::try_from("api").expect("a name")
}

fn release(digit: u8) -> ReleaseId {
    ReleaseId::from_digest(&[digit; 32])
}

/// Tells what a deploy of `api` to `web1` tells, up to its outcome if there is one.
fn tell(run: &OpenRun, outcome: Option<Outcome>) {
    let (service, host) = (api(), HostName::try_from("web1").expect("a name"));
    let mut events = vec![
        Event::Looking { host: host.clone() },
        Event::Found { host: host.clone(), service: service.clone(), release: Some(release(1)) },
        Event::Step { host: host.clone(), service: service.clone(), number: 1, of: 2, what: "make a link".into() },
        Event::Switched { host: host.clone(), service: service.clone(), release: Some(release(2)) },
    ];
    if let Some(outcome) = outcome {
        let release = Some(if outcome == Outcome::Committed { release(2) } else { release(1) });
        events.push(Event::Ended { host, service, outcome, release });
    }
    for event in &events {
        run.tell(event).expect("is written");
    }
}

fn deploy(run: &OpenRun, outcome: Outcome) {
    tell(run, Some(outcome));
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

fn a_run_is_remembered() -> Result<(), Failed> {
    let folder = folder();
    let now: Timestamp = "2026-11-21T02:00:00Z".parse()?;
    let journal = Journal::open_with(folder.path(), Arc::new(FixedClock(now)))?;
    let run = begin(&journal, 7);
    let id = run.id().clone();
    tell(&run, None);

    let seen = journal.run(&id)?.ok_or("the run is there at once")?;
    assert_eq!((seen.end, seen.started, seen.outcomes.as_slice()), (None, now, [(None, 1)].as_slice()));
    assert_eq!(journal.unfinished()?.len(), 1);
    let entry = journal.history(Some(&api()), 10)?.pop().ok_or("so is the change")?;
    assert_eq!((entry.before, entry.after, entry.outcome), (Some(release(1)), Some(release(2)), None));

    deploy(&run, Outcome::RolledBack);
    run.end(5)?;
    let seen = journal.run(&id)?.ok_or("it stays")?;
    assert_eq!(seen.end.map(|end| end.code), Some(5));
    assert_eq!(seen.outcomes, [(Some(Outcome::RolledBack), 1)]);
    let entry = journal.history(None, 10)?.pop().ok_or("it has an end")?;
    assert_eq!((entry.after, entry.outcome), (Some(release(1)), Some(Outcome::RolledBack)));
    assert_eq!(journal.unfinished()?, []);
    assert_eq!(journal.changes(Some(&api()), 10)?.len(), 1);
    deploy(&begin(&journal, 8), Outcome::NothingToDo);
    assert_eq!((journal.changes(None, 10)?.len(), journal.history(None, 10)?.len()), (1, 2));
    let events = journal.events(&id)?;
    let names: Vec<_> = events.iter().filter_map(|(_, event)| event["event"].as_str()).collect();
    let deploy = ["looking", "found", "step", "switched"];
    assert_eq!(names, [&deploy[..], &deploy[..], &["ended"]].concat());
    Ok(())
}

fn record(summary: &[(&str, &str)]) -> Record {
    Record {
        format: portoser::host::FORMAT,
        service: api(),
        release: release(1),
        engine: "native".into(),
        supervisor: Supervisor::Systemd,
        scope: Scope::System,
        units: Vec::new(),
        user: None,
        checks: Vec::new(),
        hooks: Hooks::default(),
        stop: None,
        venv: None,
        once: None,
        summary: summary.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect(),
        files: BTreeMap::new(),
    }
}

fn a_release_is_remembered_as_it_was_first_told() -> Result<(), Failed> {
    let folder = folder();
    let journal = Journal::open(folder.path())?;
    let first = record(&[("run", "./bin/api"), ("env KEY", "[secret]")]);
    let run = RunId::new(Timestamp::UNIX_EPOCH, 1);
    journal.record_release(&run, &first)?;
    let second = record(&[("run", "./bin/api --new")]);
    journal.record_release(&run, &second)?;
    let found = journal.releases_like("0101")?;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].record, first);
    let differ: Vec<_> = differences(&first, &second).into_iter().map(|d| (d.what, d.before, d.after)).collect();
    let text = |text: &str| Some(text.to_owned());
    let run = ("run".into(), text("./bin/api"), text("./bin/api --new"));
    assert_eq!(differ, [("env KEY".into(), text("[secret]"), None), run]);
    assert_eq!(journal.releases_like("%")?, []);
    Ok(())
}

fn another_process(folder: &Path, number: u32) -> std::io::Result<std::process::Child> {
    #[expect(clippy::disallowed_methods, reason = "real processes write at once")]
    let mut command = Command::new(std::env::current_exe()?);
    command.env("PORTOSER_TEST_JOURNAL", folder).env("PORTOSER_TEST_NUMBER", number.to_string());
    command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn()
}

fn many_processes_lose_nothing() -> Result<(), Failed> {
    // The folder is empty, so they also race to make the file.
    let folder = folder();
    let writers: Result<Vec<_>, _> = (1..=PROCESSES).map(|number| another_process(folder.path(), number)).collect();
    for writer in writers? {
        let ended = writer.wait_with_output()?;
        assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    }
    let journal = Journal::open(folder.path())?;
    let all = PROCESSES * RUNS_EACH;
    let runs = journal.runs(2 * all)?;
    assert_eq!(runs.len(), all as usize);
    assert!(runs.iter().all(|run| run.end.is_some() && run.outcomes == [(Some(Outcome::Committed), 1)]));
    assert_eq!(journal.history(Some(&api()), 2 * all)?.len(), all as usize);
    for run in runs {
        assert_eq!(journal.events(&run.id)?.len(), 5, "{}", run.id);
    }
    Ok(())
}

fn a_killed_writer_leaves_an_unfinished_run() -> Result<(), Failed> {
    let folder = folder();
    let ended = another_process(folder.path(), 0)?.wait_with_output()?;
    assert!(!ended.status.success(), "it was to abort");
    let journal = Journal::open(folder.path())?;
    let unfinished = journal.unfinished()?;
    assert_eq!(unfinished.len(), 1);
    assert_eq!(journal.entries(&unfinished[0].id)?.len(), 1);
    assert_eq!(journal.events(&unfinished[0].id)?.len(), 5);
    deploy(&begin(&journal, 1), Outcome::NothingToDo);
    Ok(())
}

fn a_damaged_file_is_named_and_left_alone() -> Result<(), Failed> {
    let folder = folder();
    let file = folder.path().join("journal.db");
    let bytes = b"this is no journal".repeat(100);
    std::fs::write(&file, &bytes)?;
    let error = Journal::open(folder.path()).err().ok_or("it must not open")?;
    assert!(matches!(error, JournalError::Damaged { .. }), "{error:?}");
    assert!(error.to_string().contains("journal.db"), "{error}");
    assert!(error.hint().contains("mv "), "{}", error.hint());
    assert_eq!(std::fs::read(&file)?, bytes);
    Ok(())
}

/// Whatever stands in the file, reading it gives runs or an error.
fn no_damage_makes_it_panic() -> Result<(), Failed> {
    let folder = folder();
    let journal = Journal::open(folder.path())?;
    for number in 0..20 {
        let run = begin(&journal, number);
        deploy(&run, Outcome::Committed);
        journal.record_release(run.id(), &record(&[("run", "./bin/api")]))?;
        run.end(0)?;
    }
    drop(journal);
    let file = folder.path().join("journal.db");
    let connection = rusqlite::Connection::open(&file)?;
    let _: i64 = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
    drop(connection);
    let whole = std::fs::read(&file)?;
    // A small generator of numbers (xorshift), so that a failure comes again.
    let mut state = 0x9e37_79b9_u32;
    let mut number = |below: usize| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as usize % below
    };
    let (mut read, mut refused) = (0, 0);
    for _ in 0..150 {
        let mut damaged = whole.clone();
        for _ in 0..=number(8) {
            let at = number(damaged.len());
            damaged[at] = number(256) as u8;
        }
        damaged.truncate(damaged.len() - number(2) * number(whole.len()));
        std::fs::write(&file, damaged)?;
        for side in ["-wal", "-shm"] {
            let _ = std::fs::remove_file(folder.path().join(format!("journal.db{side}")));
        }
        let all = Journal::open(folder.path()).and_then(|journal| {
            journal.releases_like("0")?;
            journal.history(None, 100)?;
            journal.runs(100)?.iter().try_for_each(|run| journal.events(&run.id).map(drop))
        });
        match all {
            Ok(()) => read += 1,
            Err(error) => {
                assert!(!error.hint().is_empty(), "{error}");
                refused += 1;
            }
        }
    }
    assert!(read > 0 && refused > 0, "the damage is of both kinds: {read} were read, {refused} refused");
    Ok(())
}

fn a_file_of_the_first_schema_is_brought_up() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let connection = rusqlite::Connection::open(folder.path().join("journal.db"))?;
    connection.execute_batch(include_str!("../../src/journal/schema-1.sql"))?;
    connection.pragma_update(None, "user_version", 1)?;
    let id = start(1).id;
    connection.execute(
        "INSERT INTO run (id, verb, who, request, started) VALUES (?1, 'deploy', 'ann@desk', '{}', 1000)",
        [id.as_str()],
    )?;
    drop(connection);
    let journal = Journal::open(folder.path())?;
    let run = journal.run(&id)?.ok_or("the run is remembered")?;
    assert_eq!((run.digest, run.resumes, run.who.as_str()), (None, None, "ann@desk"));
    begin(&journal, 2);
    Ok(())
}

fn a_run_that_was_resumed_is_settled() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let journal = Journal::open(folder.path())?;
    drop(begin(&journal, 1));
    let later = StartOfRun { digest: Some("ab".into()), resumes: Some(start(1).id), ..start(2) };
    let refused = StartOfRun { resumes: Some(start(1).id), ..start(3) };
    journal.begin_run(&refused)?.end(4)?;
    assert_eq!(journal.unfinished()?.len(), 1, "a resume that did not do it settles nothing");
    drop(journal.begin_run(&later)?);
    let open: Vec<_> = journal.unfinished()?.into_iter().map(|run| (run.id, run.resumes, run.digest)).collect();
    assert_eq!(open, [(later.id, Some(start(1).id), Some("ab".into()))]);
    Ok(())
}

fn a_newer_file_is_named_and_left_alone() -> Result<(), Failed> {
    let folder = folder();
    drop(Journal::open(folder.path())?);
    let connection = rusqlite::Connection::open(folder.path().join("journal.db"))?;
    connection.pragma_update(None, "user_version", 99)?;
    drop(connection);
    let error = Journal::open(folder.path()).err().ok_or("it must not open")?;
    assert!(matches!(error, JournalError::Newer { found: 99, .. }), "{error:?}");
    let connection = rusqlite::Connection::open(folder.path().join("journal.db"))?;
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    assert_eq!(version, 99);
    Ok(())
}

fn folder_and_files_are_private() -> Result<(), Failed> {
    use std::os::unix::fs::PermissionsExt;
    let folder = folder();
    let state = folder.path().join("a/b");
    let journal = Journal::open(&state)?;
    deploy(&begin(&journal, 1), Outcome::Committed);
    assert_eq!(std::fs::metadata(&state)?.permissions().mode() & 0o777, 0o700);
    let mut files = 0;
    for file in std::fs::read_dir(&state)? {
        let file = file?;
        assert_eq!(file.metadata()?.permissions().mode() & 0o777, 0o600, "{}", file.path().display());
        files += 1;
    }
    assert!(files >= 3, "the database and its side files are there");
    Ok(())
}

/// Not a benchmark: it notices when opening, or a run with nothing to do, begins to wait for the disk.
fn opening_is_cheap() -> Result<(), Failed> {
    let folder = folder();
    drop(Journal::open(folder.path())?);
    let quickest = (0..10).map(|number| {
        let began = Instant::now();
        let journal = Journal::open(folder.path()).expect("opens");
        let opened = began.elapsed();
        let run = begin(&journal, number);
        deploy(&run, Outcome::NothingToDo);
        run.end(0).expect("ends");
        (opened, began.elapsed())
    });
    let (opened, ended) = quickest.min_by_key(|(_, ended)| *ended).ok_or("ten rounds")?;
    eprintln!("journal::opening_is_cheap: open {opened:?}, with a run {ended:?}");
    assert!(opened < Duration::from_millis(5), "opening took {opened:?}");
    assert!(ended < Duration::from_millis(20), "a run took {ended:?}");
    Ok(())
}
