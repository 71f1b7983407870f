//! The host's lock: one at a time, in the order of arrival, and never stranded.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use libtest_mimic::Trial;
use portoser::host::run::{End, Happened, Order};
use portoser::model::{Clock as _, Cmd, Step, SystemClock};

use super::desk::{Desk, command, release, run_id, stage, trial};

pub fn trials(shell: &'static str) -> Vec<Trial> {
    vec![
        trial(shell, "twenty_runs_at_once_are_serial_and_none_is_lost", |desk| {
            // Two at a time in the guarded part would both find no folder, or one would fail to make it.
            let guarded = guarded(desk);
            let mut sessions: Vec<_> = (1..=20)
                .map(|number| {
                    let mut run = desk.run(number, vec![stage(None, None, vec![guarded.clone()])]);
                    run.wait_lock = Duration::from_secs(120);
                    desk.open(&run, &[])
                })
                .collect();
            let mut generations = BTreeSet::new();
            for session in &mut sessions {
                session.until("begun", |event| matches!(event, Happened::Run { .. }))?;
                session.send(Order::Keep(1));
                session.send(Order::Finish);
            }
            for session in &mut sessions {
                session.ends(End::Committed)?;
                for event in session.events() {
                    if let Happened::Locked { generation } = event {
                        generations.insert(generation);
                    }
                }
            }
            let done = fs::read_to_string(desk.at("world/done")).unwrap_or_default();
            if done.lines().count() == 20 && generations == (1..=20).collect() {
                return Ok(());
            }
            Err(format!("{} were done, in the generations {generations:?}", done.lines().count()))
        }),
        trial(shell, "records_go_and_what_ended_lately_stays", thinned),
        trial(shell, "a_run_that_takes_the_name_of_a_record_is_not_thinned", taken),
        trial(shell, "a_killed_holder_strands_nobody", |desk| {
            for number in 1..=4 {
                let run = desk.run(number, vec![stage(None, None, vec![guarded(desk)])]);
                let mut session = desk.open(&run, &[]);
                session.until("switched", |event| *event == Happened::Switched { stage: 1 })?;
                desk.kill(&run);
            }
            desk.settle()
        }),
        trial(shell, "waiting_for_the_lock_has_an_end", |desk| {
            let first = desk.run(1, vec![stage(None, None, vec![guarded(desk)])]);
            let mut holder = desk.open(&first, &[]);
            holder.until("switched", |event| *event == Happened::Switched { stage: 1 })?;
            let mut second = desk.run(2, vec![stage(None, None, vec![guarded(desk)])]);
            second.wait_lock = Duration::from_secs(1);
            let mut waiter = desk.open(&second, &[]);
            let id = first.id.to_string();
            waiter.until("the holder", |event| matches!(event, Happened::Waiting(holder) if holder.run == id))?;
            waiter.ends(End::LockTimeout)?;
            holder.send(Order::Undo(1));
            holder.ends(End::RolledBack)
        }),
        trial(shell, "a_ticket_keeps_its_place", |desk| {
            let first = desk.run(1, vec![stage(None, None, vec![guarded(desk)])]);
            let mut holder = desk.open(&first, &[]);
            holder.until("switched", |event| *event == Happened::Switched { stage: 1 })?;
            let mut later = desk.open(&desk.run(2, vec![stage(None, None, vec![guarded(desk)])]), &[]);
            later.until("waits", |event| matches!(event, Happened::Waiting(_)))?;
            let mut again = desk.run(3, vec![stage(None, None, vec![guarded(desk)])]);
            again.ticket = Some("00000000000001".into());
            let mut first_in_line = desk.open(&again, &[]);
            first_in_line.until("waits", |event| matches!(event, Happened::Waiting(_)))?;
            holder.send(Order::Stop);
            first_in_line.until("locked", |event| *event == Happened::Locked { generation: 2 })?;
            first_in_line.send(Order::Stop);
            later.until("locked", |event| *event == Happened::Locked { generation: 3 })
        }),
        trial(shell, "a_run_that_is_sent_again_keeps_its_script", |desk| {
            // The first runner is slow to clear up, and the second one slow to begin.
            let slow = |name: &str, script: &str| {
                let file = desk.at(&format!("bin/{name}"));
                fs::remove_file(&file).ok();
                fs::write(
                    &file,
                    format!("#!/bin/sh\n{script}\nexec $(PATH=/usr/bin:/bin; command -v {name}) \"$@\"\n"),
                )
                .expect("a program");
                fs::set_permissions(file, fs::Permissions::from_mode(0o755)).expect("a mode");
            };
            slow("rm", "for word; do case $word in */run.sh) sleep 0.5 ;; esac; done");
            slow("setsid", "sleep 1");
            let late = desk.run(1, vec![stage(Some(release('a')), None, vec![guarded(desk)])]);
            desk.open(&late, &[]).ends(End::Stale)?;
            desk.commit(&desk.run(1, vec![stage(None, None, vec![guarded(desk)])]), &[]).map(drop)
        }),
    ]
}

/// A step that fails when another one like it is in its middle.
fn guarded(desk: &Desk) -> Step {
    let script = "mkdir \"$1/in\" && sleep 0.02 && echo x >>\"$1/done\" && rmdir \"$1/in\"";
    Step::Run { cmd: Cmd::new("sh").args(["-c", script, "guarded", &desk.at("world")]), undo: None }
}

/// Ten records too many, of which the first five ended just now: as their followers may still come, only the five behind them go.
fn thinned(desk: &Desk) -> Result<(), String> {
    let now = SystemClock.now().as_second();
    let ends = (0..30).map(|number| match number {
        0..5 => format!("stale {now}\n"),
        // As a full disk, an older version and a broken file leave it.
        5 => String::new(),
        6 => "committed\n".to_owned(),
        7 => "committed 09x\n".to_owned(),
        _ => format!("committed {}\n", now - 700),
    });
    for (number, end) in (0..).zip(ends) {
        let folder = format!("{}/runs/{}", desk.base(), run_id(number));
        fs::create_dir_all(&folder).expect("a folder");
        fs::write(format!("{folder}/end"), end).expect("a file");
        fs::write(format!("{folder}/journal"), "").expect("a file");
    }
    desk.commit(&desk.run(99, vec![stage(None, None, Vec::new())]), &[])?;
    let left: Vec<u32> = (0..30)
        .filter(|number| fs::exists(format!("{}/runs/{}", desk.base(), run_id(*number))).is_ok_and(|is| is))
        .collect();
    let expected: Vec<u32> = (0..5).chain(10..30).collect();
    if left == expected { Ok(()) } else { Err(format!("{left:?} are left")) }
}

/// Thirty records, all of them old; while they are thinned, the first is begun once more under its name.
fn taken(desk: &Desk) -> Result<(), String> {
    let of = |number| format!("{}/runs/{}", desk.base(), run_id(number));
    for number in 0..30 {
        fs::create_dir_all(of(number)).expect("a folder");
        fs::write(format!("{}/end", of(number)), "stale 1\n").expect("a file");
    }
    let runner = include_str!("../../../src/host/run/sh/runner.sh");
    let thin = runner.split_once("\nthin() {").and_then(|(_, rest)| rest.split_once("\n}\n")).ok_or("no thin")?.0;
    // The time is asked for when the records are listed already.
    let script = format!(
        "thin() {{{thin}\n}}\nnow() {{ now=1000000; mv \"$2\" \"$2.1\" && mkdir \"$2\" && : >\"$2/journal\"; }}\n\
         base=$1 first=$2\nset_now() {{ now \"$base\" \"$first\"; }}\nthin\n"
    )
    .replace("  now\n", "  set_now\n");
    let mut shell = command(Path::new(&desk.at("bin/sh")));
    let output = shell.args(["-c", &script, "sh", &desk.base(), &of(0)]).output().map_err(|error| error.to_string())?;
    let left = fs::read_dir(format!("{}/runs", desk.base())).expect("the runs").count();
    match fs::exists(format!("{}/journal", of(0))) {
        // The live one, nine that went with it, and the record that made room for it.
        Ok(true) if left == 22 => Ok(()),
        there => Err(format!("{there:?}, {left} are left: {}", String::from_utf8_lossy(&output.stderr))),
    }
}
