//! The runner is killed, everywhere; what the next run finds is the old state or the new one, never anything between.

use std::fs;

use libtest_mimic::Trial;
use portoser::host::run::{End, Happened, Order, Report};

use super::desk::{Desk, furnish, release, stage, steps, tree, trial};
use super::road::difference;

pub fn trials(shell: &'static str) -> Vec<Trial> {
    // Only bash can count its commands, which are more than the lines; the script is the same.
    if shell == "bash" {
        return vec![
            trial(shell, "killed_before_any_command_of_the_runner", |_| everywhere("run")),
            trial(shell, "killed_before_any_command_of_the_settling", |_| everywhere("settle")),
        ];
    }
    vec![trial(shell, "killed_after_every_line_of_the_journal", move |_| {
        let mut line = 1;
        while killed_after(shell, line)? {
            line += 1;
        }
        if line > 30 { Ok(()) } else { Err(format!("only {line} lines were tried")) }
    })]
}

/// How many commands lie between two tries; 1 tries them all.
fn stride() -> u64 {
    std::env::var("PORTOSER_KILL_STRIDE").ok().and_then(|text| text.parse().ok()).unwrap_or(61)
}

/// Kills the runner (or who settles behind it) before its nth command, for every nth that the stride meets.
fn everywhere(who: &'static str) -> Result<(), String> {
    let (mut at, mut tries) = (1, 0);
    while killed_before(who, at)? {
        at += stride();
        tries += 1;
    }
    eprintln!("note: the {who} was killed at {tries} places, up to command {at}");
    if tries > 3 { Ok(()) } else { Err(format!("only {tries} places were tried")) }
}

/// False when there are fewer commands.
fn killed_before(who: &str, at: u64) -> Result<bool, String> {
    let desk = Desk::new("bash");
    furnish(&desk);
    let before = desk.picture();
    let (shell, order) = (desk.at("bin/sh"), desk.at("kill"));
    fs::remove_file(&shell).map_err(|error| error.to_string())?;
    let script = format!(
        "#!/bin/bash\nif [ \"${{4-}}\" = {who} ] && [ -e '{order}' ]; then\n  rm '{order}'\n  exec /bin/bash --posix -c \
         'set -T; nth_command=0; trap \"nth_command=\\$((nth_command + 1)); [ \\$nth_command != {at} ] || kill -9 $$\" DEBUG; \
         . \"$0\"' \"$@\"\nfi\nexec /bin/bash --posix \"$@\"\n"
    );
    fs::write(&shell, script).map_err(|error| error.to_string())?;
    fs::set_permissions(&shell, std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .map_err(|error| error.to_string())?;
    fs::write(&order, "").map_err(|error| error.to_string())?;
    let run = desk.run(1, vec![stage(None, Some(release('a')), few(&desk))]);
    let mut session = desk.open(&run, &[tree('a')]);
    while let Some(report) = session.next()? {
        let Report::Told(entry) = report else { continue };
        match entry.event {
            Happened::Switched { .. } if who == "settle" => desk.kill(&run),
            Happened::Switched { stage } => session.send(Order::Keep(stage)),
            Happened::Kept { .. } => session.send(Order::Finish),
            _ => {}
        }
    }
    if who == "run" && session.events().iter().any(|event| matches!(event, Happened::End(_))) {
        return Ok(false);
    }
    settled_as(&desk, &before, at, few)?;
    // The one who settled took up the order and was not killed: there is no such command.
    let log = fs::read_to_string(desk.at(&format!("base/runs/{}/log", desk.settler()))).unwrap_or_default();
    Ok(who == "run" || log.contains("Killed"))
}

/// A step of each kind that changes files.
fn few(desk: &Desk) -> Vec<portoser::model::Step> {
    let all = steps(desk, 'a');
    [0, 2, 3, 4, 5, 6, 7, 9].iter().map(|&index: &usize| all[index].clone()).collect()
}

/// False when the run has fewer lines.
fn killed_after(shell: &str, line: u64) -> Result<bool, String> {
    let desk = Desk::new(shell);
    furnish(&desk);
    let before = desk.picture();
    let run = desk.run(1, vec![stage(None, Some(release('a')), steps(&desk, 'a'))]);
    let mut session = desk.open(&run, &[tree('a')]);
    loop {
        let Some(report) = session.next()? else { return Ok(false) };
        let Report::Told(entry) = report else { continue };
        match entry.event {
            Happened::Switched { stage } => session.send(Order::Keep(stage)),
            Happened::Kept { .. } => session.send(Order::Finish),
            _ => {}
        }
        if entry.line == line {
            desk.kill(&run);
            break;
        }
    }
    // The follower must notice; if the run was faster, it has its end.
    let over = |report: &Report| {
        let end = matches!(report, Report::Told(entry) if matches!(entry.event, Happened::End(_)));
        end || *report == Report::Orphaned
    };
    if !session.seen.iter().any(over) {
        session.until_report("the end, or that there is none", over)?;
    }
    settled_as(&desk, &before, line, |desk| steps(desk, 'a'))
}

type Picture = std::collections::BTreeMap<String, String>;

fn settled_as(
    desk: &Desk,
    before: &Picture,
    at: u64,
    steps: fn(&Desk) -> Vec<portoser::model::Step>,
) -> Result<bool, String> {
    desk.settle()?;
    let after = desk.picture();
    let id = super::desk::run_id(1);
    let end = fs::read_to_string(desk.at(&format!("base/runs/{id}/end"))).unwrap_or_default();
    let kept = end.starts_with("committed ");
    let current = fs::read_link(format!("{}/current", desk.service())).ok();
    if kept != current.is_some() {
        return Err(format!("killed after {at}: the end is {end:?}, but `current` is {current:?}"));
    }
    if kept {
        // All of the new state is there: a run like it, from the same start, says what that is.
        let other = Desk::new("dash");
        furnish(&other);
        let run = other.run(1, vec![stage(None, Some(release('a')), steps(&other))]);
        let mut session = other.commit(&run, &[tree('a')])?;
        while session.next()?.is_some() {}
        let strip = |desk: &Desk, picture: Picture| -> Picture {
            let root = desk.at("");
            picture.into_iter().map(|(path, what)| (path.replace(&root, ""), what.replace(&root, ""))).collect()
        };
        let (want, got) = (strip(&other, other.picture()), strip(desk, after));
        if want != got {
            return Err(format!("killed after {at}: {}", difference(&want, &got)));
        }
    } else if *before != after {
        return Err(format!("killed at {at}: {}", difference(before, &after)));
    }
    // Nothing is stranded: the next run goes through.
    let next = desk.run(2, Vec::new());
    desk.open(&next, &[]).ends(End::Nothing)?;
    Ok(true)
}
