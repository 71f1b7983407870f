//! Supervised processes on a host without an init system.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use portoser::host::run::{End, Happened, Order};
use portoser::model::{Content, Probe, Step, UnitChange};

use super::desk::{DEADLINE, Desk, Session, command, stage, trial};

pub fn trials(shell: &'static str) -> Vec<Trial> {
    vec![
        ended(shell, "a_process_is_started_replaced_and_brought_back", |desk| {
            up(desk, 1, &settings("sleep 1001"))?;
            is(desk, "sleep 1001")?;
            let first = pid(desk)?;
            // A version that does not stay: the one before runs again.
            let mut session = open(desk, 2, &settings_of("false", "never", 3));
            session.ends(End::RolledBack)?;
            is(desk, "sleep 1001")?;
            // A failure before the process is touched leaves it alone.
            let second = pid(desk)?;
            let mut steps = steps(desk, &settings("sleep 1002"));
            steps.insert(3, Step::Run { cmd: portoser::model::Cmd::new("false"), undo: None });
            desk.open(&desk.run(3, vec![stage(None, None, steps)]), &[]).ends(End::RolledBack)?;
            if pid(desk)? != second || first == second {
                return Err("it was started again, or never".into());
            }
            up(desk, 4, &settings("sleep 1004"))?;
            is(desk, "sleep 1004")?;
            change(desk, 5, UnitChange::Stop)?;
            if alive(second) || fs::metadata(format!("{}/pid", folder(desk))).is_ok() {
                return Err("it was not stopped".into());
            }
            // Its end is undone, too.
            change(desk, 6, UnitChange::Start)?;
            let hold = Step::HoldProcess { folder: folder(desk) };
            let stop = Step::Process { folder: folder(desk), change: UnitChange::Stop };
            let mut session = desk.open(&desk.run(7, vec![stage(None, None, vec![hold, stop])]), &[]);
            session.until("switched", |event| *event == Happened::Switched { stage: 1 })?;
            session.send(Order::Undo(1));
            session.ends(End::RolledBack)?;
            is(desk, "sleep 1004")
        }),
        ended(shell, "a_process_that_dies_is_started_again", |desk| {
            up(desk, 1, &settings("sleep 1001"))?;
            let first = pid(desk)?;
            kill(first);
            until("another process", || pid(desk).is_ok_and(|now| now != first && alive(now)))?;
            is(desk, "sleep 1001")
        }),
        ended(shell, "a_process_that_dies_too_often_is_given_up", |desk| {
            let mut session = open(desk, 1, &settings_of("sleep 0.4", "always", 2));
            session.until("switched", |event| *event == Happened::Switched { stage: 1 })?;
            let log = format!("{}/log", folder(desk));
            until("the last word", || fs::read_to_string(&log).is_ok_and(|text| text.contains("given up")))?;
            until("the end", || fs::metadata(format!("{}/supervisor", folder(desk))).is_err())
        }),
        ended(shell, "a_supervisor_that_was_killed_is_replaced", |desk| {
            up(desk, 1, &settings("sleep 1001"))?;
            let orphan = pid(desk)?;
            let supervisor = number(&format!("{}/supervisor", folder(desk)))?;
            kill(supervisor);
            until("its death", || !alive(supervisor))?;
            change(desk, 2, UnitChange::Restart)?;
            is(desk, "sleep 1001")?;
            if alive(orphan) || pid(desk)? == orphan {
                return Err("the process of the killed supervisor still lives".into());
            }
            Ok(())
        }),
        ended(shell, "the_log_is_written_and_the_environment_is_there", |desk| {
            fs::write(desk.at("world/env"), "export GREETING='it'\\''s $(x)'\n").map_err(|error| error.to_string())?;
            let text = format!(
                "dir='{}'\nenv='{}'\nset -- sh -c 'echo \"$GREETING in $PWD\"; exec sleep 1001'\n",
                desk.at("world"),
                desk.at("world/env")
            );
            up(desk, 1, &text)?;
            let want = format!("it's $(x) in {}\n", desk.at("world"));
            let log = format!("{}/log", folder(desk));
            let read = || fs::read_to_string(&log).unwrap_or_default();
            until("the log", || read() == want).map_err(|error| format!("{error}: {:?}", read()))
        }),
    ]
}

/// A trial behind which no process is left.
fn ended(shell: &'static str, name: &str, test: fn(&Desk) -> Result<(), String>) -> Trial {
    trial(shell, name, move |desk| {
        let outcome = test(desk);
        let script = format!("{}/supervise.sh", folder(desk));
        let _ = command(Path::new("/bin/sh")).args([&script, &folder(desk), "stop"]).status();
        outcome
    })
}

fn folder(desk: &Desk) -> String {
    format!("{}/process/1", desk.service())
}

fn settings(words: &str) -> String {
    settings_of(words, "always", 5)
}

fn settings_of(words: &str, policy: &str, max: u32) -> String {
    format!("policy={policy}\nmax={max}\nwindow=60\ndelay=0\ntimeout=3\nset -- {words}\n")
}

fn steps(desk: &Desk, settings: &str) -> Vec<Step> {
    let folder = folder(desk);
    let content = Content::open(settings);
    vec![
        Step::Folder { path: folder.clone(), mode: 0o755, owner: None },
        Step::HoldProcess { folder: folder.clone() },
        Step::Put { path: format!("{folder}/supervise"), content, mode: 0o644, owner: None },
        Step::Process { folder: folder.clone(), change: UnitChange::Restart },
        Step::Wait { probe: Probe::ProcessAlive { folder }, within: Duration::from_secs(5) },
    ]
}

fn open(desk: &Desk, number: u32, settings: &str) -> Session {
    desk.open(&desk.run(number, vec![stage(None, None, steps(desk, settings))]), &[])
}

fn up(desk: &Desk, number: u32, settings: &str) -> Result<(), String> {
    desk.commit(&desk.run(number, vec![stage(None, None, steps(desk, settings))]), &[]).map(|_| ())
}

fn change(desk: &Desk, number: u32, change: UnitChange) -> Result<(), String> {
    let step = Step::Process { folder: folder(desk), change };
    desk.commit(&desk.run(number, vec![stage(None, None, vec![step])]), &[]).map(|_| ())
}

fn number(file: &str) -> Result<i32, String> {
    let text = fs::read_to_string(file).map_err(|error| format!("{file}: {error}"))?;
    text.split(' ').next().and_then(|word| word.parse().ok()).ok_or_else(|| format!("{file} holds {text:?}"))
}

fn pid(desk: &Desk) -> Result<i32, String> {
    number(&format!("{}/pid", folder(desk)))
}

/// Whether the supervised process runs these words.
fn is(desk: &Desk, words: &str) -> Result<(), String> {
    let path = format!("/proc/{}/cmdline", pid(desk)?);
    let runs =
        || fs::read_to_string(&path).is_ok_and(|line| line.trim_end_matches('\0').replace('\0', " ").ends_with(words));
    until(words, runs)
}

fn alive(pid: i32) -> bool {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    text.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

fn kill(pid: i32) {
    let _ = command(Path::new("/bin/kill")).args(["-9", &pid.to_string()]).status();
}

fn until(what: &str, holds: impl Fn() -> bool) -> Result<(), String> {
    let start = Instant::now();
    while !holds() {
        if start.elapsed() > DEADLINE {
            return Err(format!("never came: {what}"));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}
