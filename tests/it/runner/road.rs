//! The road of a run: what is committed, what is taken back, and who decides.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use libtest_mimic::Trial;
use portoser::host::run::{self, Compression, End, Happened, Order, Report, Why};
use portoser::model::{Cmd, OnLostContact, Step};

use super::desk::{DEADLINE, furnish, put, release, stage, steps, tree, trial};

pub fn trials(shell: &'static str) -> Vec<Trial> {
    vec![
        trial(shell, "a_run_is_committed", |desk| {
            furnish(desk);
            let run = desk.run(1, vec![stage(None, Some(release('a')), steps(desk, 'a'))]);
            let session = desk.commit(&run, &[tree('a')])?;
            let current = format!("{}/current", desk.service());
            let is = |path: String, want: &str| {
                let text = fs::read_to_string(&path).unwrap_or_default();
                if text == want { Ok(()) } else { Err(format!("{path} is {text:?}")) }
            };
            is(format!("{current}/bin/api"), "#!/bin/sh\necho a\n")?;
            is(format!("{current}/.portoser/env"), "SECRET=a\n")?;
            is(desk.at("world/wants"), "changed a")?;
            let mode = |path: String| fs::metadata(path).map(|meta| meta.permissions().mode() & 0o7777).unwrap_or(0);
            for (path, want) in [
                (format!("{current}/bin/api"), 0o755),
                (format!("{current}/bin"), 0o755),
                (format!("{current}/.portoser/env"), 0o600),
                (desk.at("world/new.conf"), 0o640),
                (desk.at("base/runs"), 0o700),
                (desk.at("base"), 0o755),
            ] {
                if mode(path.clone()) != want {
                    return Err(format!("{path} has mode {:o}", mode(path.clone())));
                }
            }
            for gone in ["world/gone", "world/gone.conf", "base/runs/20270115-080001-00000001/payload"] {
                if fs::symlink_metadata(desk.at(gone)).is_ok() {
                    return Err(format!("{gone} is still there"));
                }
            }
            let proven = fs::read_to_string(format!("{}/proven", desk.service())).unwrap_or_default();
            if !proven.starts_with("aaaaaaaaaaaaaaaa 20270115-080001-00000001 ") || !proven.ends_with(" me@desk\n") {
                return Err(format!("the record is {proven:?}"));
            }
            let begun = session.events().iter().filter(|event| matches!(event, Happened::Begin { .. })).count();
            if begun == run.stages[0].steps.len() { Ok(()) } else { Err(format!("{begun} steps were told")) }
        }),
        trial(shell, "every_failing_step_leaves_all_as_before", |desk| {
            furnish(desk);
            let mut number = 1;
            desk.commit(&desk.run(number, vec![stage(None, Some(release('a')), steps(desk, 'a'))]), &[tree('a')])?;
            furnish_again(desk);
            let before = desk.picture();
            for at in 0..=steps(desk, 'b').len() {
                number += 1;
                let mut steps = steps(desk, 'b');
                steps.insert(at, Step::Run { cmd: Cmd::new("sh").args(["-c", "echo why; exit 3"]), undo: None });
                let run = desk.run(number, vec![stage(Some(release('a')), Some(release('b')), steps)]);
                let mut session = desk.open(&run, &[tree('b')]);
                session.ends(End::RolledBack)?;
                let events = session.events();
                let failed = Happened::Failed { stage: 1, step: at + 1, code: 3 };
                let why = Happened::Evidence("why".into());
                if !events.contains(&failed) || !events.contains(&why) {
                    return Err(format!("the failure was not told: {events:#?}"));
                }
                let after = desk.picture();
                if before != after {
                    return Err(format!("after step {at} failed: {}", difference(&before, &after)));
                }
            }
            Ok(())
        }),
        trial(shell, "the_verdict_takes_it_back", |desk| {
            furnish(desk);
            let before = desk.picture();
            let run = desk.run(1, vec![stage(None, Some(release('a')), steps(desk, 'a'))]);
            let mut session = desk.open(&run, &[tree('a')]);
            session.until("switched", |event| *event == Happened::Switched { stage: 1 })?;
            session.send(Order::Undo(1));
            session.until("ordered", |event| *event == Happened::Undoing { stage: 1, why: Why::Ordered })?;
            session.ends(End::RolledBack)?;
            same(&before, desk.picture())
        }),
        trial(shell, "a_release_that_is_written_anew_comes_back_as_it_was", |desk| {
            furnish(desk);
            desk.commit(&desk.run(1, vec![stage(None, Some(release('a')), steps(desk, 'a'))]), &[tree('a')])?;
            furnish_again(desk);
            let folder = format!("{}/releases/aaaaaaaaaaaaaaaa", desk.service());
            fs::write(format!("{folder}/edited"), "by hand").map_err(|error| error.to_string())?;
            let before = desk.picture();
            let mut all = vec![Step::Remove { path: folder }];
            all.extend(steps(desk, 'a'));
            let run = desk.run(2, vec![stage(Some(release('a')), Some(release('a')), all)]);
            let mut session = desk.open(&run, &[tree('a')]);
            session.until("switched", |event| *event == Happened::Switched { stage: 1 })?;
            session.send(Order::Undo(1));
            session.ends(End::RolledBack)?;
            same(&before, desk.picture())
        }),
        trial(shell, "a_kept_stage_can_go_back_until_the_finish", |desk| {
            furnish(desk);
            let before = desk.picture();
            let run = desk.run(1, vec![stage(None, Some(release('a')), steps(desk, 'a'))]);
            let mut session = desk.open(&run, &[tree('a')]);
            session.until("switched", |event| *event == Happened::Switched { stage: 1 })?;
            session.send(Order::Keep(1));
            session.until("kept", |event| *event == Happened::Kept { stage: 1, proven: true })?;
            session.send(Order::Undo(1));
            session.until("undone", |event| *event == Happened::Undone { stage: 1 })?;
            session.send(Order::Finish);
            session.ends(End::RolledBack)?;
            let proven = fs::read_to_string(format!("{}/proven", desk.service())).unwrap_or_default();
            if !proven.is_empty() {
                return Err(format!("it still counts as proven: {proven}"));
            }
            same(&before, desk.picture())
        }),
        trial(shell, "without_a_verdict_it_goes_back_by_itself", |desk| {
            furnish(desk);
            let before = desk.picture();
            let mut only = stage(None, Some(release('a')), steps(desk, 'a'));
            only.verdict_within = Duration::from_secs(1);
            let run = desk.run(1, vec![only]);
            let mut session = desk.open(&run, &[tree('a')]);
            session.until("switched", |event| *event == Happened::Switched { stage: 1 })?;
            session.cut();
            let mut session = desk.start(run::attach(&run.base, &run.id, 0, DEADLINE));
            session.until("late", |event| *event == Happened::Late { stage: 1 })?;
            session.ends(End::RolledBack)?;
            same(&before, desk.picture())
        }),
        trial(shell, "without_a_verdict_it_stays_where_the_policy_says_so", |desk| {
            furnish(desk);
            let mut only = stage(None, Some(release('a')), steps(desk, 'a'));
            only.verdict_within = Duration::from_secs(1);
            only.on_lost_contact = OnLostContact::Keep;
            only.go_within = Duration::from_secs(1);
            let mut session = desk.open(&desk.run(1, vec![only]), &[tree('a')]);
            session.until("kept", |event| *event == Happened::Kept { stage: 1, proven: false })?;
            session.ends(End::Committed)?;
            if fs::metadata(format!("{}/proven", desk.service())).is_ok() {
                return Err("it counts as proven".into());
            }
            Ok(())
        }),
        trial(shell, "another_release_than_expected_stops_it_untouched", |desk| {
            furnish(desk);
            desk.commit(&desk.run(1, vec![stage(None, Some(release('a')), steps(desk, 'a'))]), &[tree('a')])?;
            let before = desk.picture();
            let run = desk.run(2, vec![stage(None, Some(release('b')), steps(desk, 'b'))]);
            let mut session = desk.open(&run, &[tree('b')]);
            session.until("stale", |event| {
                *event == Happened::Stale { stage: 1, found: release('a').as_str().to_owned() }
            })?;
            session.ends(End::Stale)?;
            same(&before, desk.picture())
        }),
        trial(shell, "stages_wait_for_their_go", |desk| {
            let mut other = stage(None, None, vec![put(desk, "world/two", "2", 0o644)]);
            other.go_within = Duration::from_secs(1);
            let stages = vec![stage(None, None, vec![put(desk, "world/one", "1", 0o644)]), other];
            desk.commit(&desk.run(1, stages.clone()), &[])?;
            for file in ["world/one", "world/two"] {
                fs::remove_file(desk.at(file)).map_err(|error| error.to_string())?;
            }
            // Without the second `go` the run ends, and the first stage stays.
            let mut session = desk.open(&desk.run(2, stages), &[]);
            session.until("switched", |event| *event == Happened::Switched { stage: 1 })?;
            session.send(Order::Keep(1));
            session.ends(End::Committed)?;
            if fs::metadata(desk.at("world/one")).is_err() || fs::metadata(desk.at("world/two")).is_ok() {
                return Err("the wrong stages were done".into());
            }
            Ok(())
        }),
        trial(shell, "told_to_stop_it_goes_back", |desk| {
            furnish(desk);
            let before = desk.picture();
            let run = desk.run(1, vec![stage(None, Some(release('a')), steps(desk, 'a'))]);
            let mut session = desk.open(&run, &[tree('a')]);
            session.until("begun", |event| matches!(event, Happened::Begin { step: 2, .. }))?;
            session.send(Order::Stop);
            session.until("stop", |event| *event == Happened::Undoing { stage: 1, why: Why::Stop })?;
            session.ends(End::RolledBack)?;
            same(&before, desk.picture())
        }),
        trial(shell, "a_step_that_takes_too_long_is_ended", |desk| {
            let slow = Step::Run { cmd: Cmd::new("sleep").arg("60").within(Duration::from_secs(1)), undo: None };
            let mut session = desk.open(&desk.run(1, vec![stage(None, None, vec![slow])]), &[]);
            session.until("evidence", |event| *event == Happened::Evidence("it took longer than 1 s".into()))?;
            session.ends(End::RolledBack)
        }),
        trial(shell, "what_is_made_ends_when_nobody_waits_for_it", |desk| {
            let making = |seconds: &str| Step::Make {
                cmd: Cmd::new("sh").args(["-c", "touch \"$0/made\"; sleep \"$1\"", &desk.at("world"), seconds]),
                undo: Some(Cmd::new("rm").arg("-f").arg(desk.at("world/made"))),
            };
            let begin = |number, seconds| {
                let mut run = desk.run(number, vec![stage(None, None, vec![making(seconds)])]);
                run.contact = Some(Duration::from_secs(1));
                let mut session = desk.open(&run, &[]);
                session.until("locked", |event| matches!(event, Happened::Locked { .. }))?;
                session.send(Order::Go(1));
                session.until("begun", |event| matches!(event, Happened::Begin { .. }))?;
                Ok::<_, String>((run, session))
            };
            let gone = |session: &mut super::desk::Session| {
                session.ends(End::RolledBack)?;
                if fs::metadata(desk.at("world/made")).is_ok() { Err("it is still there".to_owned()) } else { Ok(()) }
            };
            let (run, session) = begin(1, "60")?;
            session.cut();
            let mut session = desk.start(run::attach(&run.base, &run.id, 0, DEADLINE));
            // The attached one gives no sign of life.
            let told = "nobody gave a sign of life for 1 s, so it was ended";
            session.until("evidence", |event| *event == Happened::Evidence(told.into()))?;
            gone(&mut session)?;
            let (_, mut session) = begin(2, "60")?;
            session.send(Order::Stop);
            session.until("stop", |event| *event == Happened::Undoing { stage: 1, why: Why::Stop })?;
            gone(&mut session)?;
            // Whoever gives signs of life is waited for, longer than the host's patience.
            let (_, mut session) = begin(3, "3")?;
            for _ in 0..6 {
                session.send(Order::Here);
                std::thread::sleep(Duration::from_millis(500));
            }
            session.until("switched", |event| *event == Happened::Switched { stage: 1 })?;
            session.send(Order::Keep(1));
            session.until("kept", |event| *event == Happened::Kept { stage: 1, proven: true })?;
            session.send(Order::Finish);
            session.ends(End::Committed)
        }),
        trial(shell, "a_payload_that_is_sent_again_is_taken_in_once", |desk| {
            let run = desk.run(1, vec![stage(None, Some(release('a')), steps(desk, 'a'))]);
            let opening = run::open(&run, &[tree('a')], Compression::Gzip).map_err(|error| error.to_string())?;
            let mut first = desk.start(opening.clone());
            first.until("switched", |event| *event == Happened::Switched { stage: 1 })?;
            first.cut();
            let mut second = desk.start(opening.clone());
            second.until("switched", |event| *event == Happened::Switched { stage: 1 })?;
            second.send(Order::Keep(1));
            second.until("kept", |event| *event == Happened::Kept { stage: 1, proven: true })?;
            second.send(Order::Finish);
            second.ends(End::Committed)?;
            // Also when it is over; but who begins the run anew sends another one.
            desk.start(opening).ends(End::Committed)?;
            let all =
                |desk: &super::desk::Desk| fs::read_dir(desk.at("base/runs")).map(Iterator::count).unwrap_or_default();
            if all(desk) != 1 {
                return Err(format!("{} runs", all(desk)));
            }
            let anew = desk.run(1, vec![stage(Some(release('a')), Some(release('a')), Vec::new())]);
            desk.commit(&anew, &[])?;
            if all(desk) == 2 { Ok(()) } else { Err(format!("{} runs", all(desk))) }
        }),
        trial(shell, "a_payload_of_which_nobody_heard_is_followed_when_it_is_sent_again", |desk| {
            let run = desk.run(1, vec![stage(None, Some(release('a')), steps(desk, 'a'))]);
            let opening = run::open(&run, &[tree('a')], Compression::Gzip).map_err(|error| error.to_string())?;
            desk.unheard(opening.clone());
            let mut session = desk.start(opening);
            session.until("switched", |event| *event == Happened::Switched { stage: 1 })?;
            session.send(Order::Keep(1));
            session.until("kept", |event| *event == Happened::Kept { stage: 1, proven: true })?;
            session.send(Order::Finish);
            session.ends(End::Committed)
        }),
        trial(shell, "a_payload_that_is_cut_does_nothing", |desk| {
            let run = desk.run(1, vec![stage(None, Some(release('a')), steps(desk, 'a'))]);
            for pack in [Compression::None, Compression::Gzip] {
                let mut opening = run::open(&run, &[tree('a')], pack).map_err(|error| error.to_string())?;
                let mut bytes = Vec::new();
                std::io::Read::read_to_end(&mut opening.payload, &mut bytes).map_err(|error| error.to_string())?;
                let mut cuts: Vec<usize> = (0..bytes.len()).step_by(bytes.len() / 17).collect();
                cuts.extend([1, 511, 512, bytes.len() - 513, bytes.len() - 512, bytes.len() - 511, bytes.len() - 1]);
                for cut in cuts {
                    let mut session = desk.start_with(&opening, &bytes[..cut]);
                    session.input = None;
                    session.until_report("a refusal", |report| matches!(report, Report::Refused(_)))?;
                    if fs::metadata(desk.at(&format!("base/runs/{}", run.id))).is_ok() {
                        return Err(format!("cut at {cut} of {}, it was taken in", bytes.len()));
                    }
                }
                if fs::read_dir(desk.at("base/runs")).is_ok_and(|mut all| all.next().is_some()) {
                    return Err("something was left behind".into());
                }
            }
            Ok(())
        }),
    ]
}

/// The world as the first run found it, in part: what is to be removed is there again.
fn furnish_again(desk: &super::desk::Desk) {
    fs::write(desk.at("world/gone.conf"), "again").expect("a file");
    fs::create_dir_all(desk.at("world/gone/deep")).expect("a folder");
    fs::remove_file(desk.at("world/ran")).expect("removed");
}

type Picture = std::collections::BTreeMap<String, String>;

pub fn same(before: &Picture, after: Picture) -> Result<(), String> {
    if *before == after { Ok(()) } else { Err(difference(before, &after)) }
}

pub fn difference(before: &Picture, after: &Picture) -> String {
    let gone = before.iter().filter(|(path, what)| after.get(*path) != Some(what)).map(|one| format!("- {one:?}"));
    let new = after.iter().filter(|(path, what)| before.get(*path) != Some(what)).map(|one| format!("+ {one:?}"));
    gone.chain(new).collect::<Vec<_>>().join("\n")
}
