//! What a service wrote into its release: no way in which a release goes takes it along.

use std::fs;
use std::os::unix::fs::symlink;
use std::time::Duration;

use libtest_mimic::Trial;
use portoser::host::run::{End, Happened};
use portoser::model::{Cmd, Step};

use super::desk::{Desk, furnish, release, stage, steps, tree, trial};

pub fn trials(shell: &'static str) -> Vec<Trial> {
    vec![trial(shell, "what_was_written_into_a_release_outlives_it", outlives)]
}

/// A name that a careless script would take for several, or for a flag.
const HOSTILE: &str = "up loads/-rf *\n$(touch x) 'é";

fn outlives(desk: &Desk) -> Result<(), String> {
    furnish(desk);
    let service = desk.service();
    let of = |letter| format!("{service}/releases/{}", release(letter));
    let left = |letter| format!("{service}/left/{}", release(letter));
    let activate = |letter| steps(desk, letter)[..3].to_vec();
    let mut number = 0;
    let mut turn = |before, letter, after: Vec<Step>| {
        number += 1;
        let mut stage = stage(before, Some(release(letter)), activate(letter));
        stage.steps.push(steps(desk, letter)[9].clone());
        stage.after = after;
        desk.commit(&desk.run(number, vec![stage]), &[tree(letter)])
    };
    let told = |events: Vec<Happened>, text: &str| {
        let is = |event: &Happened| matches!(event, Happened::Note(note) if note.contains(text));
        if events.iter().any(is) { Ok(()) } else { Err(format!("{text:?} was not told: {events:#?}")) }
    };
    let prune = |keep| Step::Prune {
        folder: format!("{service}/releases"),
        keep: vec![release(keep)],
        older_than: Duration::ZERO,
    };
    let write = |letter| {
        for name in ["db.sqlite3", HOSTILE, "__pycache__/app.pyc", "lib/x.pyc", "node_modules/m/i.js"] {
            let path = format!("{}/{name}", of(letter));
            fs::create_dir_all(path.rsplit_once('/').expect("a folder").0).expect("a folder");
            fs::write(path, "data").expect("a file");
        }
    };
    turn(None, 'a', Vec::new())?;
    write('a');
    // A folder that was sent is moved away, and a link leads there: what it holds now is nobody's to remove.
    fs::rename(format!("{}/bin", of('a')), desk.at("world/bin")).expect("moved");
    symlink(desk.at("world/bin"), format!("{}/bin", of('a'))).expect("a link");
    let second = turn(Some(release('a')), 'b', vec![Step::Unnamed { folder: of('a') }, prune('b')])?;
    told(second.events(), "db.sqlite3 ")?;
    told(second.events(), "(3 in all)")?;
    told(second.events(), &format!("kept in {}", left('a')))?;
    kept(&left('a'))?;
    gone(&of('a'))?;
    if fs::read_to_string(desk.at("world/bin/api")).is_err() {
        return Err("a file behind a link was removed".into());
    }
    // The same release again: what it left before stays as it is.
    turn(Some(release('b')), 'a', Vec::new())?;
    write('a');
    turn(Some(release('a')), 'b', vec![prune('b')])?;
    kept(&left('a'))?;
    kept(&format!("{}.1", left('a')))?;
    // One that is taken back, as it was never proven.
    let words = ["-c", "echo data >\"$1/db.sqlite3\"; exit 3", "write", &of('c')];
    let mut failing = stage(Some(release('b')), Some(release('c')), activate('c'));
    failing.steps.push(Step::Run { cmd: Cmd::new("sh").args(words), undo: None });
    desk.open(&desk.run(90, vec![failing]), &[tree('c')]).ends(End::RolledBack)?;
    kept_file(&left('c'), "db.sqlite3")?;
    // One whose removal was cut off after its manifest was gone; and a whole one without anything of the user's.
    fs::create_dir_all(format!("{}.gone-20270115-080001-00000001/deep", of('d'))).expect("a folder");
    fs::write(format!("{}.gone-20270115-080001-00000001/deep/db", of('d')), "data").expect("a file");
    turn(Some(release('b')), 'e', vec![prune('e')])?;
    kept_file(&left('d'), "deep/db")?;
    for letter in ['b', 'e'] {
        gone(&left(letter))?;
    }
    // All of the service.
    write('e');
    let removal = stage(Some(release('e')), None, vec![Step::Remove { path: format!("{service}/releases") }]);
    desk.commit(&desk.run(91, vec![removal]), &[])?;
    kept(&left('e'))?;
    gone(&format!("{service}/releases"))
}

fn kept_file(folder: &str, name: &str) -> Result<(), String> {
    let found = fs::read_to_string(format!("{folder}/{name}")).map_err(|error| format!("{folder}/{name}: {error}"))?;
    if found.trim_end() == "data" { Ok(()) } else { Err(format!("{folder}/{name} is {found:?}")) }
}

/// The data is there, and nothing besides.
fn kept(folder: &str) -> Result<(), String> {
    kept_file(folder, "db.sqlite3")?;
    kept_file(folder, HOSTILE)?;
    let names = fs::read_dir(folder).map_err(|error| error.to_string())?;
    let mut names: Vec<_> = names.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    if names == ["db.sqlite3", "up loads"] { Ok(()) } else { Err(format!("{folder} holds {names:?}")) }
}

fn gone(path: &str) -> Result<(), String> {
    if fs::symlink_metadata(path).is_ok() { Err(format!("{path} is still there")) } else { Ok(()) }
}
