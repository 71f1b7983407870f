//! The runner is killed, everywhere; what the next run finds is the old state or the new one, never anything between.

use std::fs;

use libtest_mimic::Trial;
use portoser::host::run::{End, Happened, Order, Report};

use super::desk::{Desk, furnish, release, stage, steps, tree, trial};
use super::road::difference;

pub fn trials(shell: &'static str) -> Vec<Trial> {
    vec![trial(shell, "killed_after_every_line_of_the_journal", move |_| {
        let mut line = 1;
        while killed_after(shell, line)? {
            line += 1;
        }
        if line > 30 { Ok(()) } else { Err(format!("only {line} lines were tried")) }
    })]
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
    settled(&desk, &before, line)
}

fn settled(desk: &Desk, before: &std::collections::BTreeMap<String, String>, at: u64) -> Result<bool, String> {
    desk.settle()?;
    let after = desk.picture();
    let id = super::desk::run_id(1);
    let end = fs::read_to_string(desk.at(&format!("base/runs/{id}/end"))).unwrap_or_default();
    let kept = end.trim() == "committed";
    let current = fs::read_link(format!("{}/current", desk.service())).ok();
    if kept != current.is_some() {
        return Err(format!("killed after {at}: the end is {end:?}, but `current` is {current:?}"));
    }
    if kept {
        // All of the new state is there: a run like it, from the same start, says what that is.
        let other = Desk::new("dash");
        furnish(&other);
        let run = other.run(1, vec![stage(None, Some(release('a')), steps(&other, 'a'))]);
        let mut session = other.commit(&run, &[tree('a')])?;
        while session.next()?.is_some() {}
        let strip = |desk: &Desk, picture: std::collections::BTreeMap<String, String>| {
            let root = desk.at("");
            picture.into_iter().map(|(path, what)| (path.replace(&root, ""), what.replace(&root, ""))).collect()
        };
        let (want, got) = (strip(&other, other.picture()), strip(desk, after));
        if want != got {
            return Err(format!("killed after {at}: {}", difference(&want, &got)));
        }
    } else if *before != after {
        return Err(format!("killed after {at}: {}", difference(before, &after)));
    }
    // Nothing is stranded: the next run goes through.
    let next = desk.run(2, Vec::new());
    desk.open(&next, &[]).ends(End::Nothing)?;
    Ok(true)
}
