//! Python services: the source in its release, and a virtual environment beside it that releases with the same packages share.
//! The project itself is not installed; it runs from its release, so that a changed source file makes no new environment.

mod lock;
mod requires;
mod uv_lock;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::engine::release::{self, Runs, Shape};
use crate::host::run::{Tree, TreeEntry};
use crate::host::{Layout, OURS, Record, Seen, SeenService, Venv};
use crate::model::{Cmd, Content, ReleaseId, Scope, ServiceName, Step, UnitChange, quote, sha256};
use crate::plan::{self, Engine, Refused, SourceTree, Subject, Wanted};
use crate::registry::{self, Kind, Lock, Service};

/// How long making a virtual environment may take: some packages are compiled.
const BUILD: Duration = Duration::from_secs(900);

/// Where programs are looked for behind those of the virtual environment.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

const MAKE: &str = include_str!("python/venv.sh");
const PRUNE: &str = include_str!("python/prune.sh");

/// The engine.
pub(super) struct Python;

impl Engine for Python {
    fn name(&self) -> &'static str {
        "python"
    }

    fn serves(&self, kind: &Kind) -> bool {
        matches!(kind, Kind::Python(_))
    }

    fn units(&self, service: &Service) -> Vec<(Scope, String)> {
        release::unit_names(service)
    }

    fn wanted(&self, subject: &Subject<'_>) -> Result<Wanted, Refused> {
        let Kind::Python(python) = &subject.service.kind else {
            return Err(Refused::new("it is no Python service", "see `portoser schema`"));
        };
        let version = interpreter(subject, python)?;
        // Of one that uv fetches nobody knows the patch yet, and uv asks itself.
        if let Some(exact) = subject.facts.pythons.get(python.version.as_deref().unwrap_or_default()) {
            requires::holds(subject, exact)?;
        }
        let kind = lock::kind(subject, python)?;
        let lock = lock::read(subject, python, kind)?;
        let mut files = vec![plan::ours("build.env", Content::secret(build_env(python)), 0o600)];
        let (path, text) = match &lock {
            lock::Packages::File(path) => (path.clone(), None),
            lock::Packages::Made(text) => (format!("{OURS}/requirements.txt"), Some(text)),
        };
        if let Some(text) = text {
            files.push(plan::ours("requirements.txt", Content::open(text.as_str()), 0o644));
        }
        let id = digest(subject, python, kind, [&version, &path], &files)?;
        let folder = Layout::new(&subject.facts.base).venv(&subject.service.name, &id);
        let besides =
            subject.sources.wheels.get(&subject.service.name).map(|wheels| wheelhouse(&subject.service.name, wheels));
        let mut words = python.words.clone();
        let program = words.first().filter(|word| !word.contains('/')).cloned();
        if let (Some(program), Some(first)) = (&program, words.first_mut()) {
            *first = format!("{folder}/bin/{program}");
        }
        let settings = settings(python, kind, [id.as_str(), &version, &path, program.as_deref().unwrap_or_default()]);
        files.push(plan::ours("venv", Content::open(settings), 0o644));
        let venv = Venv { id, wheels: besides.as_ref().map(|tree| tree.release.clone()) };
        let env = environment(subject, &folder);
        let once = python.once.as_ref().map(|hook| (hook, subject.first));
        let runs = Runs::Words(&words);
        let shape = Shape { engine: self.name(), runs, env, files, venv: Some(venv), once };
        Ok(Wanted { besides, ..release::wanted(subject, &shape)? })
    }

    fn activate(&self, record: &Record, layout: &Layout, seen: &SeenService) -> Vec<Step> {
        release::activate(record, layout, seen, before(record, layout, seen))
    }

    fn after(&self, record: &Record, layout: &Layout) -> Vec<Step> {
        let folder = layout.service(&record.service);
        let cmd = Cmd::new("/bin/sh").args(["-c", PRUNE, "prune-venvs", &folder]);
        vec![Step::Run { cmd, undo: None }]
    }

    fn change(&self, record: &Record, layout: &Layout, change: UnitChange) -> Vec<Step> {
        release::change(record, layout, change)
    }

    fn reloads(&self, record: &Record) -> bool {
        release::reloads(record)
    }

    fn remove(&self, record: &Record, layout: &Layout) -> Vec<Step> {
        let mut steps = release::remove(record, layout);
        steps.push(Step::Remove { path: layout.venvs(&record.service) });
        steps.push(Step::Remove { path: layout.wheelhouses(&record.service) });
        steps
    }

    fn names(&self, record: &Record) -> Vec<String> {
        release::names(record)
    }

    fn runs(&self, record: &Record, seen: &Seen) -> bool {
        release::runs(record, seen)
    }
}

/// The steps before the switch: the virtual environment, and what runs once for all hosts. A release that was proven here had
/// its `once`; going back to it must not run that again.
fn before(record: &Record, layout: &Layout, seen: &SeenService) -> Vec<Step> {
    let folder = layout.release(&record.service, &record.release);
    let mut steps = Vec::new();
    if let Some(venv) = &record.venv {
        let path = layout.venv(&record.service, &venv.id);
        let mut wheels = String::new();
        if let Some(id) = venv.wheels.as_ref().filter(|_| !seen.venvs.contains(&venv.id)) {
            wheels = layout.wheels(&record.service, id);
            steps.push(Step::Folder { path: layout.wheelhouses(&record.service), mode: 0o755, owner: None });
            steps.push(Step::Unpack { release: id.clone(), into: wheels.clone(), owner: None, from: None });
        }
        let cmd = Cmd::new("/bin/sh").args(["-c", MAKE, "make-venv", &path, &folder]);
        let cmd = if wheels.is_empty() { cmd } else { cmd.arg(wheels) };
        // One that was cut off is of no use to anybody; a whole one is there for the next try.
        let undo =
            "[ -e \"$1/.portoser-complete\" ] || { rm -rf \"$1\"; [ ! -d \"$1.before\" ] || mv \"$1.before\" \"$1\"; }";
        let undo = Cmd::new("/bin/sh").args(["-c", undo, "drop-venv", &path]);
        steps.push(Step::Make { cmd: cmd.within(BUILD), undo: Some(undo) });
    }
    if let Some(once) = record.once.as_ref().filter(|once| once.here && !seen.proven.contains(&record.release)) {
        steps.push(release::once_step(&folder, record.user.as_deref(), once));
    }
    steps
}

/// Wheels as a tree of their own, because they are sent only where a virtual environment is made of them.
fn wheelhouse(service: &ServiceName, wheels: &SourceTree) -> Tree {
    let marks: Vec<_> = wheels.iter().map(|entry| (&entry.path, plan::mark(&entry.kind))).collect();
    let digest = sha256(&serde_json::to_vec(&(service, marks)).unwrap_or_default());
    Tree { release: ReleaseId::from_digest(&digest), entries: wheels.clone() }
}

/// The version of the interpreter on the host, without its patch, which does not matter to what is installed.
fn interpreter(subject: &Subject<'_>, python: &registry::Python) -> Result<String, Refused> {
    let wanted = python.version.clone().unwrap_or_default();
    if let Some(version) = subject.facts.pythons.get(&wanted) {
        let mut parts = version.split('.');
        return Ok([parts.next().unwrap_or_default(), ".", parts.next().unwrap_or_default()].concat());
    }
    let host = &subject.host.name;
    if subject.facts.tools.contains("uv") {
        // It fetches what is not there.
        return python.version.clone().ok_or_else(|| {
            Refused::new(
                "the host has no Python, and nothing says which one to fetch",
                "give it `python`, such as \"3.12\"",
            )
        });
    }
    let hint = format!("install it, or run `portoser host prepare {host}`, which brings uv");
    Err(Refused::new(format!("the host has no Python {wanted}").trim_end(), hint))
}

/// The name of the virtual environment: a digest of all that what is in it depends on.
fn digest(
    subject: &Subject<'_>,
    python: &registry::Python,
    kind: Lock,
    [version, path]: [&str; 2],
    files: &[TreeEntry],
) -> Result<ReleaseId, Refused> {
    let facts = subject.facts;
    let named = lock::marks(subject, path)?;
    let made: Vec<Option<String>> = files.iter().map(|file| plan::mark(&file.kind)).collect();
    let all = (1, version, &facts.system, &facts.machine, kind as u8, flags(python), named, made);
    let text = serde_json::to_vec(&all).unwrap_or_default();
    Ok(ReleaseId::from_digest(&sha256(&text)))
}

/// The extras and groups, as uv is told.
fn flags(python: &registry::Python) -> Vec<String> {
    let extras = python.extras.iter().flat_map(|extra| ["--extra".to_owned(), extra.clone()]);
    let groups = python.groups.iter().flat_map(|group| ["--group".to_owned(), group.clone()]);
    extras.chain(groups).collect()
}

/// How the virtual environment is made, for the script that makes it. The one that prunes reads the first line.
fn settings(python: &registry::Python, kind: Lock, [id, version, lock, program]: [&str; 4]) -> String {
    // With an index or wheels of one's own, the URLs in uv.lock do not count; its requirements are installed as pip would.
    let uv = kind == Lock::Uv && python.index.is_none() && python.wheels.is_none();
    let mut text = format!("id={id}\n");
    for (name, value) in
        [("version", version), ("lock", lock), ("program", program), ("uv", if uv { "yes" } else { "" })]
    {
        text.push_str(&format!("{name}={}\n", quote(value)));
    }
    let flags: Vec<_> = flags(python).iter().map(|flag| quote(flag).into_owned()).collect();
    text + &format!("set -- {}\n", flags.join(" "))
}

/// What uv and pip are told besides; values may be private.
fn build_env(python: &registry::Python) -> String {
    let mut env: BTreeMap<&str, &str> = BTreeMap::new();
    for name in ["UV_DEFAULT_INDEX", "PIP_INDEX_URL"] {
        env.extend(python.index.as_deref().map(|index| (name, index)));
    }
    env.extend(python.build_env.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    env.iter().map(|(name, value)| format!("export {name}={}\n", quote(value))).collect()
}

/// What makes it run in its virtual environment, wherever a program of it is started.
fn environment(subject: &Subject<'_>, venv: &str) -> BTreeMap<String, String> {
    let given = |name: &str| subject.service.env.get(name).or_else(|| subject.host.env.get(name)).map(String::as_str);
    let source = subject.sources.trees.get(&subject.service.name);
    let has_src = source.into_iter().flatten().any(|entry| entry.path.starts_with("src/"));
    let own = if has_src { "${RELEASE_DIR}/src:${RELEASE_DIR}" } else { "${RELEASE_DIR}" };
    let path = given("PYTHONPATH").map_or_else(|| own.to_owned(), |more| format!("{own}:{more}"));
    let mut env = BTreeMap::from([
        ("VIRTUAL_ENV".to_owned(), venv.to_owned()),
        ("PATH".to_owned(), format!("{venv}/bin:{}", given("PATH").unwrap_or(PATH))),
        ("PYTHONPATH".to_owned(), path),
    ]);
    if given("PYTHONUNBUFFERED").is_none() {
        // What it prints is its log, and a log that comes when the buffer is full tells nothing of a crash.
        env.insert("PYTHONUNBUFFERED".to_owned(), "1".to_owned());
    }
    env
}
