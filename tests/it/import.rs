//! Files of other tools, as a user imports them. A case is a folder under `tests/cases/import`: `command.txt` says what
//! it tries, the words, and the exit code that they must end with; `registry.yml` is the registry before (none: there is none), `told.txt` is what is
//! printed, and `after.yml` the registry afterwards (none: it is as before). `UPDATE=1` rewrites the last two.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use libtest_mimic::{Failed, Trial};
use portoser::registry;

use crate::cases;

pub fn trials() -> Vec<Trial> {
    let folder = cases::root().join("tests/cases/import");
    let found = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut folders: Vec<PathBuf> = found.filter_map(Result::ok).map(|entry| entry.path()).collect();
    folders.sort();
    let case = |path: PathBuf| Trial::test(format!("import::{}", cases::name(&path)), move || case(&path));
    let from_a_host = Trial::test("import::a_file_on_a_host", a_file_on_a_host);
    folders.into_iter().map(case).chain([from_a_host]).collect()
}

fn case(from: &Path) -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    copy(from, folder.path())?;
    let command = fs::read_to_string(from.join("command.txt"))?;
    let last = command.lines().last().unwrap_or_default();
    let (words, code) = last.rsplit_once(" -> ").ok_or("the last line is not `WORDS -> CODE`")?;
    let words = shlex::split(words).ok_or("`command` is not words")?;
    let first = run(folder.path(), &words)?;
    cases::expect(&from.join("told.txt"), &first.1)?;
    assert_eq!(first.0.to_string(), code, "{}", first.1);
    let (before, after) = (from.join("registry.yml"), folder.path().join("registry.yml"));
    let before = fs::read_to_string(before).ok();
    let after = fs::read_to_string(after).ok();
    match after.filter(|after| before.as_ref() != Some(after)) {
        Some(text) => {
            cases::expect(&from.join("after.yml"), &text)?;
            registry::load_text(&text, registry::Format::Yaml, &folder.path().join("registry.yml"), None)
                .map_err(|faults| faults.to_string())?;
            // What is there already stays; a second time there is nothing to add.
            let second = run(folder.path(), &words)?;
            assert!(second.1.contains("nothing to add"), "the second time: {}", second.1);
        }
        None if from.join("after.yml").exists() => return Err("the registry is as before".into()),
        None => {}
    }
    Ok(())
}

/// A file on a host begins in its folder there, and its services run on that host.
fn a_file_on_a_host() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let at = folder.path();
    fs::write(at.join("registry.yml"), "version: 1\nhosts: { here: { connection: local }, there: {} }\n")?;
    fs::create_dir(at.join("it's $HOME"))?;
    let file = at.join("it's $HOME/ecosystem.json");
    fs::write(
        &file,
        r#"{ "apps": [{ "name": "a", "script": "./a.js" }, { "name": "b", "script": "b", "cwd": "sub" }] }"#,
    )?;
    let words = |path: &Path| {
        let path = format!("here:{}", path.display());
        ["import", "ecosystem", &path, "--dry-run", "--quiet"].map(str::to_owned)
    };
    let (code, told) = run(at, &words(&file))?;
    let expected = r#"services:
  a:
    type: native
    host: here
    run: [/usr/bin/env, "-C", "FOLDER/it's $HOME", node, ./a.js]
    stop: { signal: SIGINT }
  b:
    type: native
    host: here
    run: [/usr/bin/env, "-C", "FOLDER/it's $HOME/sub", b]
---
"#;
    assert_eq!((code, told.as_str()), (0, expected));
    let (code, told) = run(at, &words(&at.join("nothing.json")))?;
    assert!(code == 2 && told.contains("on `here`: cat: "), "{code}: {told}");
    Ok(())
}

/// Runs the program in a folder; what it printed, data before talk, and its exit code.
fn run(folder: &Path, words: &[String]) -> Result<(i32, String), Failed> {
    #[expect(clippy::disallowed_methods, reason = "the real program is what is tried")]
    let mut command = Command::new(env!("CARGO_BIN_EXE_portoser"));
    command.args(words).current_dir(folder).env_clear().env("HOME", folder).stdin(Stdio::null());
    let output = command.output()?;
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    let (out, err) = (text(output.stdout), text(output.stderr));
    let told = if out.is_empty() { err } else { format!("{out}---\n{err}") };
    // The folder's name differs each time.
    let folder = folder.display().to_string();
    Ok((output.status.code().unwrap_or(-1), told.replace(&folder, "FOLDER")))
}

fn copy(from: &Path, to: &Path) -> Result<(), Failed> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let name = entry.file_name();
        if entry.file_type()?.is_dir() {
            fs::create_dir(to.join(&name))?;
            copy(&entry.path(), &to.join(&name))?;
        } else if !["command.txt", "told.txt", "after.yml"].contains(&name.to_string_lossy().as_ref()) {
            fs::copy(entry.path(), to.join(&name))?;
        }
    }
    Ok(())
}
