//! Guests: a run within the lock of another one that waits for its verdict. There is one writer at any time, and what the guest did
//! is taken back before what its host did.

use std::fs;

use libtest_mimic::Trial;
use portoser::host::run::{End, Happened, HostRun, Order};
use portoser::model::{Cmd, Step};

use super::desk::{Desk, Session, stage, trial};

pub fn trials(shell: &'static str) -> Vec<Trial> {
    vec![
        trial(shell, "a_guest_works_within_the_lock_and_its_host_goes_on", |desk| {
            let (mut host, mut guest) = both(desk)?;
            guest.send(Order::Keep(1));
            guest.send(Order::Finish);
            guest.ends(End::Committed)?;
            host.send(Order::Keep(1));
            host.send(Order::Finish);
            host.ends(End::Committed)?;
            log_is(desk, "host guest")
        }),
        trial(shell, "a_guest_of_nobody_touches_nothing", |desk| {
            let mut guest = desk.open(&guest_run(desk, &host_run(desk)), &[]);
            guest.ends(End::Stale)?;
            log_is(desk, "")
        }),
        trial(shell, "a_guest_is_taken_back_before_its_host", |desk| {
            let (mut host, mut guest) = both(desk)?;
            host.send(Order::Undo(1));
            host.ends(End::RolledBack)?;
            guest.ends(End::RolledBack)?;
            log_is(desk, "host guest -guest -host")
        }),
        trial(shell, "who_comes_after_a_killed_host_waits_for_its_guest", |desk| {
            let (_host, mut guest) = both(desk)?;
            desk.kill(&host_run(desk));
            desk.settle()?;
            guest.ends(End::RolledBack)?;
            log_is(desk, "host guest -guest -host")
        }),
        trial(shell, "a_killed_guest_is_settled_before_its_host", |desk| {
            let (mut host, _guest) = both(desk)?;
            desk.kill(&guest_run(desk, &host_run(desk)));
            host.send(Order::Undo(1));
            host.ends(End::RolledBack)?;
            log_is(desk, "host guest -guest -host")
        }),
        trial(shell, "both_killed_are_settled_in_order", |desk| {
            let (_host, _guest) = both(desk)?;
            desk.kill(&host_run(desk));
            desk.kill(&guest_run(desk, &host_run(desk)));
            desk.settle()?;
            log_is(desk, "host guest -guest -host")
        }),
    ]
}

fn host_run(desk: &Desk) -> HostRun {
    desk.run(1, vec![stage(None, None, vec![noted(desk, "host")])])
}

fn guest_run(desk: &Desk, host: &HostRun) -> HostRun {
    HostRun {
        within: Some(host.id.clone()),
        ..desk.run(2, vec![stage(None, None, vec![noted(desk, "guest"), noted(desk, "")])])
    }
}

/// A run that waits for its verdict, and a guest of it that does, too.
fn both(desk: &Desk) -> Result<(Session, Session), String> {
    let run = host_run(desk);
    let mut host = desk.open(&run, &[]);
    host.until("switched", |event| *event == Happened::Switched { stage: 1 })?;
    let mut guest = desk.open(&guest_run(desk, &run), &[]);
    guest.until("switched", |event| *event == Happened::Switched { stage: 1 })?;
    Ok((host, guest))
}

/// A step that writes its name down, and the same with a minus when it is undone.
fn noted(desk: &Desk, name: &str) -> Step {
    let log = desk.at("world/log");
    let write = |word: &str| Cmd::new("sh").args(["-c", "[ -z \"$1\" ] || echo \"$1\" >>\"$2\"", "note", word, &log]);
    let undo = if name.is_empty() { String::new() } else { format!("-{name}") };
    Step::Run { cmd: write(name), undo: Some(write(&undo)) }
}

fn log_is(desk: &Desk, wanted: &str) -> Result<(), String> {
    let log = fs::read_to_string(desk.at("world/log")).unwrap_or_default();
    let found: Vec<&str> = log.lines().collect();
    if found.join(" ") == wanted { Ok(()) } else { Err(format!("{found:?}, not {wanted}")) }
}
