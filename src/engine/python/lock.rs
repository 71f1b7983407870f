//! What names the packages of a Python project, as `pip install -r` takes it.

use std::collections::{BTreeMap, BTreeSet};

use toml::{Table, Value};

use crate::engine::python::uv_lock;
use crate::host::run::TreeKind;
use crate::plan::{self, Refused, Subject};
use crate::registry::{self, Lock, Python};

/// What is installed.
pub(super) enum Packages {
    /// What this file of the source says.
    File(String),
    /// These requirements, one a line.
    Made(String),
}

/// What names the packages: what the registry found, or, where only git had the source, what lies in it.
pub(super) fn kind(subject: &Subject<'_>, python: &Python) -> Result<Lock, Refused> {
    if let Some(lock) = python.lock {
        return Ok(lock);
    }
    let tree = subject.sources.trees.get(&subject.service.name).map(Vec::as_slice).unwrap_or_default();
    let is_there = |name: &str| tree.iter().any(|one| one.path == name && matches!(one.kind, TreeKind::File { .. }));
    match registry::lock_of(is_there) {
        Ok(Lock::Requirements) if !python.extras.is_empty() || !python.groups.is_empty() => Err(Refused::new(
            "the source says nothing of extras and groups",
            "they stand in `uv.lock` and `pyproject.toml`; take the keys away",
        )),
        Ok(lock) => Ok(lock),
        Err((what, hint)) => Err(Refused { what, hint: hint.map(str::to_owned), host: false }),
    }
}

/// Reads the lock of a service.
pub(super) fn read(subject: &Subject<'_>, python: &Python, lock: Lock) -> Result<Packages, Refused> {
    match lock {
        Lock::Uv => locked(subject, python),
        Lock::Requirements => {
            files(subject, "requirements.txt")?;
            Ok(Packages::File("requirements.txt".into()))
        }
        Lock::Project => project(text(subject, "pyproject.toml")?, python).map(Packages::Made),
        Lock::Wheel => {
            let tree = subject.sources.trees.get(&subject.service.name);
            let name = tree.and_then(|tree| tree.first()).map(|entry| entry.path.clone()).unwrap_or_default();
            let extras =
                if python.extras.is_empty() { String::new() } else { format!("[{}]", python.extras.join(",")) };
            Ok(Packages::File(name + &extras))
        }
    }
}

/// What `uv.lock` says, for uv and pip; what only uv can install needs uv on the host.
fn locked(subject: &Subject<'_>, python: &Python) -> Result<Packages, Refused> {
    let alone = python.index.is_none() && python.wheels.is_none() && subject.facts.tools.contains("uv");
    let lock = text(subject, "uv.lock")?;
    if let Some((kind, name)) = uv_lock::lacks(lock, &python.extras, &python.groups) {
        return Err(absent("uv.lock", kind, name));
    }
    match uv_lock::requirements(lock, &python.extras, &python.groups) {
        Ok(text) => Ok(Packages::Made(text)),
        Err(_) if alone => Ok(Packages::File("uv.lock".into())),
        Err(why) => {
            let hint = format!("bring uv to the host with `portoser host prepare {}`", subject.host.name);
            Err(Refused::new(format!("pip cannot install what `uv.lock` says: {why}"), hint))
        }
    }
}

/// What tells one state of this file from another, and of those that it includes.
pub(super) fn marks(subject: &Subject<'_>, path: &str) -> Result<BTreeMap<String, String>, Refused> {
    let all = match path {
        "requirements.txt" => files(subject, path)?,
        _ => BTreeSet::from([path.split('[').next().unwrap_or(path).to_owned()]),
    };
    let tree = subject.sources.trees.get(&subject.service.name);
    let entries = tree.into_iter().flatten().filter(|entry| all.contains(&entry.path));
    Ok(entries.filter_map(|entry| Some((entry.path.clone(), plan::mark(&entry.kind)?))).collect())
}

fn text<'a>(subject: &Subject<'a>, path: &str) -> Result<&'a str, Refused> {
    let tree = subject.sources.trees.get(&subject.service.name);
    let entry = tree.into_iter().flatten().find(|entry| entry.path == path);
    let bytes = entry.and_then(|entry| match &entry.kind {
        TreeKind::File { from, .. } => subject.sources.texts.get(from),
        _ => None,
    });
    if bytes.is_none() {
        return Err(Refused::new(
            format!("the source has no `{path}`, or ignores it"),
            "see the source's .gitignore, and the lines of requirements.txt that begin with -r or -c",
        ));
    }
    let text = bytes.and_then(|bytes| std::str::from_utf8(bytes).ok());
    text.ok_or_else(|| Refused::new(format!("`{path}` is not UTF-8"), "write it anew as UTF-8"))
}

/// A requirements file and those that it includes.
fn files(subject: &Subject<'_>, first: &str) -> Result<BTreeSet<String>, Refused> {
    let (mut all, mut rest) = (BTreeSet::new(), vec![first.to_owned()]);
    while let Some(path) = rest.pop() {
        if !all.insert(path.clone()) {
            continue;
        }
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        for line in text(subject, &path)?.lines() {
            match line_of(line) {
                Line::Includes(other) => rest.push(beside(folder, other)),
                Line::Local(what) => {
                    return Err(Refused::new(
                        format!("`{path}` asks to install `{what}` from the source"),
                        "take the line away: the source runs as it lies; install other projects of yours as wheels",
                    ));
                }
                Line::Other => {}
            }
        }
    }
    Ok(all)
}

/// A path relative to this folder of the source; what leads out of it is not found there.
fn beside(folder: &str, path: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if !parts.is_empty() => _ = parts.pop(),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// A line of a requirements file (pip's "Requirements File Format").
#[derive(Debug, PartialEq, Eq)]
enum Line<'a> {
    Includes(&'a str),
    /// A project of the source itself.
    Local(&'a str),
    Other,
}

fn line_of(line: &str) -> Line<'_> {
    let line = line.trim();
    let option = |names: [&str; 2]| {
        let rest = names.iter().find_map(|name| line.strip_prefix(name))?;
        let rest = rest.strip_prefix('=').unwrap_or(rest).trim();
        (rest.len() < line.len()).then(|| rest.split(" #").next().unwrap_or(rest).trim())
    };
    if let Some(path) = option(["--requirement", "-r"]).or_else(|| option(["--constraint", "-c"])) {
        return if path.contains("://") { Line::Other } else { Line::Includes(path) };
    }
    if let Some(path) = option(["--editable", "-e"]) {
        return if path.contains("://") { Line::Other } else { Line::Local(path) };
    }
    let first = line.split([' ', ';']).next().unwrap_or_default();
    let is_path = first.starts_with('.') || first.starts_with('/') || first.starts_with("file:");
    if is_path { Line::Local(first) } else { Line::Other }
}

/// The dependencies of a `pyproject.toml` (PEP 621), of these extras, and of these groups (PEP 735).
fn project(text: &str, python: &Python) -> Result<String, Refused> {
    let table: Table = text.parse().map_err(|error| {
        let error: toml::de::Error = error;
        Refused::new(format!("`pyproject.toml` is not TOML: {}", error.message()), "see `uv lock` in the source")
    })?;
    let project = table.get("project").and_then(Value::as_table);
    let project = project.ok_or_else(|| {
        let hint = "name the packages under `project.dependencies`, or write a requirements.txt";
        Refused::new("`pyproject.toml` has no `[project]`", hint)
    })?;
    if texts(project.get("dynamic")).iter().any(|name| name == "dependencies") {
        let hint = "name them under `project.dependencies`, write a requirements.txt, or run `uv lock` in the source";
        return Err(Refused::new("`pyproject.toml` leaves its dependencies to its build (`dynamic`)", hint));
    }
    let mut all = texts(project.get("dependencies"));
    let groups = table.get("dependency-groups").and_then(Value::as_table);
    for name in &python.groups {
        group(groups, name, &mut BTreeSet::new(), &mut all)?;
    }
    extras(project, &python.extras, &mut all)?;
    let mut lines: Vec<String> = all.iter().map(|line| line.replace(['\r', '\n'], " ")).collect();
    lines.sort();
    lines.dedup();
    Ok(lines.iter().map(|line| format!("{line}\n")).collect())
}

/// Adds the requirements of these extras, and of those that a requirement of the project's own name asks for (`all = ["me[a,b]"]`).
/// A condition on such a requirement is not asked.
fn extras(project: &Table, names: &[String], all: &mut Vec<String>) -> Result<(), Refused> {
    let own = project.get("name").and_then(Value::as_str).map(normal);
    let known = project.get("optional-dependencies").and_then(Value::as_table);
    let (mut rest, mut done) = (names.to_vec(), BTreeSet::new());
    loop {
        all.retain(|line| {
            let is_own = own.as_deref() == Some(&normal(name_of(line)));
            if is_own {
                let asked =
                    line.split_once('[').and_then(|(_, more)| more.split_once(']')).map_or("", |(names, _)| names);
                rest.extend(asked.split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()));
            }
            !is_own
        });
        let Some(name) = rest.pop() else { return Ok(()) };
        if done.insert(normal(&name)) {
            let extra = known.and_then(|known| find(known, &name));
            all.extend(texts(Some(extra.ok_or_else(|| absent("pyproject.toml", "extra", &name))?)));
        }
    }
}

/// What the project says of interpreters, if it says so.
pub(super) fn requires(subject: &Subject<'_>) -> Option<String> {
    let table: Table = text(subject, "pyproject.toml").ok()?.parse().ok()?;
    table.get("project")?.get("requires-python")?.as_str().map(str::to_owned)
}

fn group(
    groups: Option<&Table>,
    name: &str,
    known: &mut BTreeSet<String>,
    all: &mut Vec<String>,
) -> Result<(), Refused> {
    if !known.insert(normal(name)) {
        return Ok(());
    }
    let found = groups.and_then(|groups| find(groups, name)).ok_or_else(|| absent("pyproject.toml", "group", name))?;
    all.extend(texts(Some(found)));
    for item in found.as_array().into_iter().flatten() {
        if let Some(other) = item.get("include-group").and_then(Value::as_str) {
            group(groups, other, known, all)?;
        }
    }
    Ok(())
}

fn find<'a>(table: &'a Table, name: &str) -> Option<&'a Value> {
    table.iter().find(|(key, _)| normal(key) == normal(name)).map(|(_, value)| value)
}

fn absent(file: &str, kind: &str, name: &str) -> Refused {
    let more = if file == "uv.lock" { ", or run `uv lock` in the source" } else { "" };
    Refused::new(format!("`{file}` has no {kind} `{name}`"), format!("correct `{kind}s` in the registry{more}"))
}

fn texts(value: Option<&Value>) -> Vec<String> {
    let items = value.and_then(Value::as_array).into_iter().flatten();
    items.filter_map(|item| item.as_str().map(str::to_owned)).collect()
}

/// The name that a requirement begins with (PEP 508).
fn name_of(requirement: &str) -> &str {
    let end = requirement.find(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '.' | '_' | '-'));
    &requirement[..end.unwrap_or(requirement.len())]
}

/// A name as PyPI compares it (PEP 503).
pub(super) fn normal(name: &str) -> String {
    let mut normal = String::with_capacity(name.len());
    for c in name.chars() {
        match c {
            '-' | '_' | '.' if normal.ends_with('-') => {}
            '-' | '_' | '.' => normal.push('-'),
            c => normal.push(c.to_ascii_lowercase()),
        }
    }
    normal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_include_or_install_the_source_are_known() {
        for (line, expected) in [
            ("-r base.txt", Line::Includes("base.txt")),
            ("--requirement=base.txt # more", Line::Includes("base.txt")),
            ("-c ../c.txt", Line::Includes("../c.txt")),
            ("-rbase.txt", Line::Includes("base.txt")),
            ("-e .", Line::Local(".")),
            ("./lib[x] ; python_version > '3'", Line::Local("./lib[x]")),
            ("-e git+https://example.net/a.git", Line::Other),
            ("requests==2.32.3 --hash=sha256:00", Line::Other),
            ("# -r base.txt", Line::Other),
            ("", Line::Other),
        ] {
            assert_eq!(line_of(line), expected, "{line}");
        }
        assert_eq!(beside("a/b", "../c.txt"), "a/c.txt");
    }

    #[test]
    fn dependencies_extras_and_groups_are_gathered() {
        let text = "[project]\nname = 'My.App'\ndependencies = ['b>=1', 'a']\n[project.optional-dependencies]\n\
                    Web_UI = ['c', 'my-app[x, all]']\nx = ['f']\nall = ['My_App[web_ui]', 'g']\n[dependency-groups]\nops = ['d', { include-group = 'more' }]\nmore = ['e']\n";
        let python = |extras: &[&str], groups: &[&str]| Python {
            words: Vec::new(),
            lock: Some(Lock::Project),
            version: None,
            extras: extras.iter().map(|extra| (*extra).into()).collect(),
            groups: groups.iter().map(|group| (*group).into()).collect(),
            build_env: BTreeMap::new(),
            index: None,
            wheels: None,
            once: None,
        };
        assert_eq!(project(text, &python(&[], &[])).as_deref(), Ok("a\nb>=1\n"));
        assert_eq!(project(text, &python(&["web-ui"], &["ops"])).as_deref(), Ok("a\nb>=1\nc\nd\ne\nf\ng\n"));
        assert!(project(text, &python(&["no"], &[])).is_err());
        assert!(project("x = 1", &python(&[], &[])).is_err());
        let built = project("[project]\nname = 'a'\ndynamic = ['version', 'dependencies']\n", &python(&[], &[]));
        assert!(built.is_err_and(|why| why.what.contains("leaves its dependencies")));
    }
}
