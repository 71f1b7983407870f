//! What a process runs, and where: `script`, `args`, `interpreter` and `cwd` as the registry's `run` and `source`.

use std::path::PathBuf;

use super::names::get;
use crate::registry::fault::shown;
use crate::registry::import::Around;
use crate::registry::import::entry::Entry;
use crate::registry::import::item::Item;
use crate::registry::import::notes::Notes;
use crate::registry::import::python;
use crate::registry::import::words::{is_program, is_word, literals, within};

/// What runs scripts with these endings (`lib/API/interpreter.json` of PM2).
const INTERPRETERS: [(&str, &str); 10] = [
    ("sh", "bash"),
    ("py", "python"),
    ("rb", "ruby"),
    ("php", "php"),
    ("pl", "perl"),
    ("js", "node"),
    ("cjs", "node"),
    ("mjs", "node"),
    ("ts", "bun"),
    ("tsx", "bun"),
];

/// Sets `run` and `source`; the error says why that cannot be done.
pub(super) fn run(app: &Item<'_>, around: &Around<'_>, entry: &mut Entry, notes: &mut Notes) -> Result<(), String> {
    let item = get(app, "script").ok_or("it has no `script`")?;
    let script = item.text().filter(|text| !text.is_empty()).ok_or("its `script` is not a text")?;
    let mut words: Vec<&str> = Vec::new();
    let interpreter = get(app, "interpreter");
    let named = interpreter.as_ref().and_then(Item::text);
    let ending = script.rsplit('/').next().unwrap_or_default().rsplit_once('.').map(|(_, ending)| ending);
    let usual = INTERPRETERS.iter().find(|(known, _)| Some(*known) == ending).map(|(_, program)| *program);
    let at = place(app, around);
    let is_line = is_line(script, &at);
    let shell = named.filter(|named| named.rsplit('/').next().is_some_and(|name| name.ends_with("sh")));
    let program = match is_line {
        true => Some(shell.unwrap_or("bash")),
        false => named.or(usual).filter(|program| *program != "none"),
    };
    words.extend(program);
    let options = list(app, "node_args")?;
    if program.is_some() && !is_line {
        words.extend(options.iter().map(String::as_str));
    }
    if matches!(at, At::Nowhere) && !script.starts_with('/') && !is_line && is_path(script) {
        return Err(format!("`{}` is neither on this machine nor at an absolute path", shown(script)));
    }
    let path = script_path(script, program.is_some(), &at);
    let arguments = list(app, "args")?;
    if is_line {
        words.extend(["-c", script]);
    } else {
        words.push(&path);
        words.extend(arguments.iter().map(String::as_str));
    }
    if let Some(bad) = words.iter().find(|word| !is_word(word)) {
        return Err(format!("`{}` cannot be a word of a command", shown(bad)));
    }
    if !words.first().is_some_and(|first| is_program(first)) {
        return Err(format!("`{}` cannot be a program", shown(words[0])));
    }
    let mut words = literals(words);
    match &at {
        At::Here(source, folder) => {
            entry.set("source", source.as_str());
            words = python::adopt(words, folder, source, entry).unwrap_or_else(|words| words);
        }
        At::There(folder) => words = within(folder, words),
        At::Nowhere => {}
    }
    entry.put(&item, "run", words, notes);
    if matches!(program, Some("node")) {
        // What PM2 sends, and what programs written for it wait for.
        entry.set("stop.signal", "SIGINT");
    }
    tell(app, (program.is_some(), is_line), &at, entry, notes);
    Ok(())
}

/// Whether PM2 gives it to a shell: a script with a blank in it is a line for `bash -c`, whatever interpreter and arguments it has.
fn is_line(script: &str, at: &At) -> bool {
    let is_file = matches!(at, At::Here(_, folder) if folder.join(script).is_file());
    script.contains(' ') && !is_file
}

/// Where a process runs.
enum At {
    /// In files that are on this machine; they become the release.
    Here(String, PathBuf),
    /// In a folder of the host.
    There(String),
    /// It does not say, or that folder is nowhere.
    Nowhere,
}

fn place(app: &Item<'_>, around: &Around<'_>) -> At {
    let cwd = get(app, "cwd");
    match cwd.as_ref().map(Item::text) {
        Some(Some(cwd)) if cwd.starts_with('/') => At::There(cwd.to_owned()),
        Some(Some(cwd)) => match (around.found(cwd), around.there) {
            (Some(found), _) => At::Here(around.named(&found), found),
            (None, Some(there)) => At::There(format!("{there}/{}", cwd.trim_start_matches("./"))),
            (None, None) => At::Nowhere,
        },
        Some(None) => At::Nowhere,
        None => match (&around.folder, around.there, get(app, "script").as_ref().and_then(Item::text)) {
            (_, _, Some(script)) if script.starts_with('/') => At::Nowhere,
            (Some(folder), _, Some(script)) if folder.join(script).is_file() => {
                At::Here(around.named(folder), folder.clone())
            }
            (_, Some(there), Some(script)) if is_path(script) => At::There(there.to_owned()),
            _ => At::Nowhere,
        },
    }
}

/// Whether a script is a file of the program, and not the name of a program of the host.
fn is_path(script: &str) -> bool {
    let ending = script.rsplit_once('.').map(|(_, ending)| ending);
    script.contains('/') || INTERPRETERS.iter().any(|(known, _)| Some(*known) == ending)
}

/// A script that runs by itself begins with `./` in the release, or is looked for in the PATH.
fn script_path(script: &str, interpreted: bool, at: &At) -> String {
    let relative = script.contains('/') && !script.starts_with(['/', '.']);
    if !interpreted && relative && !matches!(at, At::Nowhere) { format!("./{script}") } else { script.to_owned() }
}

/// Arguments as a list, or as a line that PM2 splits like a shell.
fn list(app: &Item<'_>, key: &str) -> Result<Vec<String>, String> {
    let Some(item) = get(app, key) else { return Ok(Vec::new()) };
    let texts = item.texts().ok_or_else(|| format!("its `{key}` are neither a list nor a text"))?;
    if item.is_list() {
        return Ok(texts.into_iter().map(str::to_owned).collect());
    }
    shlex::split(texts[0]).ok_or_else(|| format!("its `{key}` have a quote without an end"))
}

/// Says where the other values went.
fn tell(app: &Item<'_>, (interpreted, is_line): (bool, bool), at: &At, entry: &Entry, notes: &mut Notes) {
    let run = entry.key("run");
    for key in ["args", "interpreter", "node_args"] {
        let Some(item) = get(app, key) else { continue };
        match key {
            "args" | "node_args" | "interpreter" if is_line => {
                notes.needless(&item, "PM2 gives a script with a blank to a shell, without it")
            }
            "node_args" if !interpreted => notes.needless(&item, "the script runs without an interpreter"),
            "interpreter" if entry.keys["type"] == "python" => {
                notes.became(&item, format!("{}: python", entry.key("type")));
            }
            _ => notes.became(&item, run.clone()),
        }
    }
    let Some(item) = get(app, "cwd") else { return };
    match at {
        At::Here(source, _) => notes.became(&item, format!("{}: {source}", entry.key("source"))),
        At::There(folder) if folder.starts_with('/') => {
            notes.became(&item, format!("{run}: it begins in {}", shown(folder)))
        }
        At::There(_) | At::Nowhere => notes.wrong(&item, "a folder of this machine, or an absolute one of the host"),
    }
}
