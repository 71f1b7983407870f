//! What several attempts to send an image brought to one folder of a host.

use std::fs;
use std::path::Path;

use libtest_mimic::Trial;

use super::desk::{Desk, command, trial};

pub fn trials(shell: &'static str) -> Vec<Trial> {
    vec![trial(shell, "attempts_that_meet_keep_what_is_longest", meet)]
}

/// Between the bytes and the name of the one attempt comes the whole of the other.
const MEET: &str = r#"
other=$3 folder=$2
cat() {
  command cat "$@"
  [ -z "$other" ] || { now=$other other= && sh -c "$script" sh "$now" "$folder"; }
}
tidied "$2"
arrived "$1" "$2"
"#;

fn meet(desk: &Desk) -> Result<(), String> {
    let script = [include_str!("../../../src/host/push/arrived.sh"), MEET].concat();
    let folder = desk.at("image");
    let mut ended = command(Path::new("/bin/true")).spawn().map_err(|e| e.to_string())?;
    let left = format!("2.0.none.new-{}", ended.id());
    ended.wait().map_err(|e| e.to_string())?;
    let busy = format!("2.0.none.new-{}", std::process::id());
    for (path, bytes) in [
        ("first/1.0.none", "0123456789"),
        ("second/1.0.none", "01234"),
        (&format!("image/{left}"), "0"),
        (&format!("image/{busy}"), "0"),
    ] {
        let path = desk.at(path);
        fs::create_dir_all(Path::new(&path).parent().expect("a folder")).expect("a folder");
        fs::write(path, bytes).expect("a file");
    }
    let mut shell = command(Path::new(&desk.at("bin/sh")));
    shell.args(["-c", &script, "sh", &desk.at("first"), &folder, &desk.at("second")]).env("script", &script);
    let output = shell.env("PATH", format!("{}:/usr/bin:/bin", desk.at("bin"))).output().map_err(|e| e.to_string())?;
    let part = fs::read_to_string(desk.at("image/1.0.none.part")).unwrap_or_default();
    assert_eq!(part, "0123456789", "{}", String::from_utf8_lossy(&output.stderr));
    let mut names: Vec<String> = fs::read_dir(folder)
        .expect("the folder")
        .map(|entry| entry.expect("a name").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    assert_eq!(names, ["1.0.none.part", &busy], "what nobody joins any more is gone");
    Ok(())
}
