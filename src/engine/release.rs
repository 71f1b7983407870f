//! A release that the host's init system runs, whatever its engine: its files, units, environment and record, and the steps
//! that bring it into force. Which supervisor a host has is a fact of the look; what each wants is in the files beside this one.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::engine::{launchd, own_scope, owner, process, systemd};
use crate::host::run::{TreeEntry, TreeKind, within};
use crate::host::{FORMAT, Hooks, Init, Layout, OURS, Once, Record, Seen, SeenService, Supervisor, UnitFile, Venv};
use crate::model::{Cmd, Content, ReleaseId, Scope, Step, UnitChange, quote, sha256, spread};
use crate::plan::{self, Refused, Subject, Variables, Wanted};
use crate::registry::{self, Service};

/// What an engine says of a release; the rest follows from the service.
pub(super) struct Shape<'a> {
    /// The engine's name.
    pub(super) engine: &'static str,
    pub(super) runs: Runs<'a>,
    /// Environment variables that go before the user's; values may hold `${RELEASE_DIR}` and the like.
    pub(super) env: BTreeMap<String, String>,
    /// Further files of ours.
    pub(super) files: Vec<TreeEntry>,
    pub(super) venv: Option<Venv>,
    /// What a deploy runs on one host only, and whether this is that host.
    pub(super) once: Option<(&'a registry::Hook, bool)>,
}

/// What the init system runs.
#[derive(Clone, Copy)]
pub(super) enum Runs<'a> {
    Words(&'a [String]),
    /// A unit that is the user's own.
    Unit(&'a str),
}

/// The units whose state the look must ask for.
pub(super) fn unit_names(service: &Service) -> Vec<(Scope, String)> {
    plan::instances(service).map(|instance| (service.scope, systemd::unit_name(service, instance))).collect()
}

/// The release of this shape.
pub(super) fn wanted(subject: &Subject<'_>, shape: &Shape<'_>) -> Result<Wanted, Refused> {
    own_scope::possible(subject)?;
    // The id is the digest of the release as it would be with an id of zeros: a release's files may name its own folder.
    let mut parts = Parts::new(subject, shape, &ReleaseId::from_digest(&[0; 32]))?;
    let id = ReleaseId::from_digest(&parts.digest(subject, shape));
    if plan::names_its_folder(subject) || shape.env.values().any(|value| value.contains("RELEASE_DIR")) {
        parts = Parts::new(subject, shape, &id)?;
    } else {
        parts.units = units(subject, shape.runs, &id)?;
    }
    Ok(parts.finish(subject, shape, id))
}

/// The steps that bring a release into force. What must be there besides its files is made by `before`.
pub(super) fn activate(record: &Record, layout: &Layout, seen: &SeenService, before: Vec<Step>) -> Vec<Step> {
    let folder = layout.release(&record.service, &record.release);
    let own = record.units.iter().any(|unit| unit.path.is_some());
    let mut steps = vec![
        Step::Folder { path: layout.releases(&record.service), mode: 0o755, owner: None },
        Step::Folder { path: layout.shared(&record.service), mode: 0o755, owner: record.user.clone() },
        Step::Unpack { release: record.release.clone(), into: folder.clone(), owner: None, from: None },
        Step::Run { cmd: verify(&folder), undo: None },
    ];
    steps.extend(owner::group(record, &folder));
    steps.extend(owner::shared(record, seen.readable(), &layout.shared(&record.service)));
    steps.extend(before);
    steps.extend(record.hooks.before.iter().map(|hook| plan::hook_step(&folder, hook)));
    let link =
        Step::Link { path: layout.current(&record.service), target: ["releases/", record.release.as_str()].concat() };
    match record.supervisor {
        Supervisor::Systemd if own => steps.extend(systemd::activate(record, seen.readable(), link)),
        Supervisor::Systemd => steps.extend(systemd::adopt(record, seen.readable(), link)),
        Supervisor::Launchd => steps.extend(systemd::activate(record, seen.readable(), link)),
        Supervisor::Process | Supervisor::Compose => {
            steps.extend(process::activate(record, layout, seen.readable(), link));
        }
    }
    steps.extend(record.hooks.after.iter().map(|hook| plan::hook_step(&folder, hook)));
    steps
}

/// The steps that change the state of what runs.
pub(super) fn change(record: &Record, layout: &Layout, change: UnitChange) -> Vec<Step> {
    match record.supervisor {
        Supervisor::Systemd | Supervisor::Launchd => systemd::change(record, change),
        Supervisor::Process | Supervisor::Compose => process::change(record, layout, change),
    }
}

/// Whether what the record names can be told to read its settings again.
pub(super) fn reloads(record: &Record) -> bool {
    let own = |unit: &UnitFile| {
        unit.path.is_none() || record.summary.contains_key("reload") || unit.text.contains("\nExecReload=")
    };
    record.units.iter().all(own)
}

/// The steps that take the service from the host, its shared data excepted.
pub(super) fn remove(record: &Record, layout: &Layout) -> Vec<Step> {
    let mut steps = match record.supervisor {
        Supervisor::Systemd | Supervisor::Launchd => systemd::remove(record),
        Supervisor::Process | Supervisor::Compose => process::remove(record, layout),
    };
    steps.push(Step::Remove { path: layout.current(&record.service) });
    steps.push(Step::Remove { path: layout.releases(&record.service) });
    steps.push(Step::Remove { path: layout.proven(&record.service) });
    steps
}

/// The names under which the look reports what the release consists of.
pub(super) fn names(record: &Record) -> Vec<String> {
    let name = |unit: &UnitFile| match record.supervisor {
        Supervisor::Systemd | Supervisor::Launchd => unit.name.clone(),
        Supervisor::Process | Supervisor::Compose => process::seen_name(record, unit),
    };
    record.units.iter().map(name).collect()
}

/// Whether all that the record names runs.
pub(super) fn runs(record: &Record, seen: &Seen) -> bool {
    names(record).iter().all(|name| seen.units.get(name).is_some_and(|found| found.runs()))
}

fn supervisor(subject: &Subject<'_>) -> Supervisor {
    match subject.facts.init {
        Init::Systemd => Supervisor::Systemd,
        Init::Launchd => Supervisor::Launchd,
        Init::None => Supervisor::Process,
    }
}

/// What a release does, for some id: its files, their marks, and its units.
struct Parts {
    entries: Vec<TreeEntry>,
    files: BTreeMap<String, String>,
    units: Vec<UnitFile>,
}

impl Parts {
    fn new(subject: &Subject<'_>, shape: &Shape<'_>, id: &ReleaseId) -> Result<Self, Refused> {
        let service = subject.service;
        let mut entries = plan::tree(subject, id)?;
        let units = units(subject, shape.runs, id)?;
        entries.push(TreeEntry { path: OURS.into(), kind: TreeKind::Folder });
        entries.extend_from_slice(&shape.files);
        let first = environment(subject, shape, id, 1);
        if matches!(shape.runs, Runs::Words(_)) {
            for instance in plan::instances(service) {
                let own;
                let env = match instance {
                    1 => &first,
                    _ => {
                        own = environment(subject, shape, id, instance);
                        &own
                    }
                };
                let text = match supervisor(subject) {
                    Supervisor::Systemd => systemd::env_file(env)?,
                    Supervisor::Launchd | Supervisor::Process | Supervisor::Compose => process::env_file(env),
                };
                entries.push(plan::ours(&format!("env.{instance}"), Content::secret(text), 0o600));
            }
        }
        entries.push(plan::ours("env.sh", Content::secret(process::env_file(&first)), 0o600));
        let marked = entries.iter().filter_map(|entry| Some((entry.path.clone(), plan::mark(&entry.kind)?)));
        Ok(Self { files: marked.collect(), entries, units })
    }

    /// What a release does is in its files and its units. Checks, hooks and summary are left out: when only they change,
    /// nothing needs to be restarted.
    fn digest(&self, subject: &Subject<'_>, shape: &Shape<'_>) -> [u8; 32] {
        let all = (FORMAT, shape.engine, supervisor(subject), subject.service.scope, &self.units, &self.files);
        let mut text = Vec::with_capacity(4096);
        // Nothing in it can fail to be written.
        let _ = serde_json::to_writer(&mut text, &all);
        sha256(&text)
    }

    fn finish(self, subject: &Subject<'_>, shape: &Shape<'_>, id: ReleaseId) -> Wanted {
        let service = subject.service;
        let variables = plan::variables(subject, &id, 1);
        let record = Record {
            format: FORMAT,
            service: service.name.clone(),
            engine: shape.engine.into(),
            supervisor: supervisor(subject),
            scope: service.scope,
            units: self.units,
            user: service.user.clone(),
            checks: spread(&service.checks, service.port, service.instances),
            hooks: hooks(subject, &variables),
            stop: plan::long_stop(service.stop.timeout),
            venv: shape.venv.clone(),
            once: shape.once.map(|(hook, here)| {
                let (words, seconds) = filled(hook, &variables);
                Once { words, seconds, here }
            }),
            summary: summary(subject, shape.runs, &variables),
            files: self.files,
            release: id,
        };
        Wanted { record, files: self.entries, besides: None, images: Vec::new() }
    }
}

/// The environment of one instance.
fn environment(subject: &Subject<'_>, shape: &Shape<'_>, id: &ReleaseId, instance: u16) -> BTreeMap<String, String> {
    let variables = plan::variables(subject, id, instance);
    let mut env = plan::environment(subject, &variables);
    env.extend(shape.env.iter().map(|(name, value)| (name.clone(), plan::fill(value, &variables))));
    env
}

fn units(subject: &Subject<'_>, runs: Runs<'_>, id: &ReleaseId) -> Result<Vec<UnitFile>, Refused> {
    let supervisor = supervisor(subject);
    let folder = Layout::new(&subject.facts.base).release(&subject.service.name, id);
    let words = match runs {
        Runs::Unit(name) => {
            if supervisor != Supervisor::Systemd {
                return Err(Refused::new(
                    format!("the host has no systemd, so there is no unit `{name}`"),
                    "give `run:` in place of `unit:`",
                ));
            }
            return Ok(vec![UnitFile { name: name.to_owned(), path: None, enable: None, text: String::new() }]);
        }
        Runs::Words(words) => words,
    };
    plan::instances(subject.service)
        .map(|instance| {
            let variables = plan::variables(subject, id, instance);
            let mut words: Vec<String> = words.iter().map(|word| plan::fill(word, &variables)).collect();
            if let Some(relative) = words[0].strip_prefix("./") {
                words[0] = [folder.as_str(), "/", relative].concat();
            } else if words[0].contains('/') && !words[0].starts_with('/') {
                words[0] = format!("{folder}/{}", words[0]);
            }
            match supervisor {
                Supervisor::Systemd => systemd::unit(subject, id, instance, &words),
                Supervisor::Launchd => launchd::unit(subject, id, instance, &words),
                Supervisor::Process | Supervisor::Compose => Ok(process::unit(subject, id, instance, &words)),
            }
        })
        .collect()
}

pub(super) fn hooks(subject: &Subject<'_>, variables: &Variables<'_>) -> Hooks {
    let fill = |hooks: &[registry::Hook]| hooks.iter().map(|hook| filled(hook, variables)).collect();
    let named = &subject.service.hooks.named;
    Hooks {
        before: fill(&subject.service.hooks.before),
        after: fill(&subject.service.hooks.after),
        named: named.iter().map(|(name, hook)| (name.clone(), filled(hook, variables))).collect(),
    }
}

fn filled(hook: &registry::Hook, variables: &Variables<'_>) -> (Vec<String>, u64) {
    let words = hook.words.iter().map(|word| plan::fill(word, variables)).collect();
    (words, hook.timeout.as_secs().max(1))
}

/// What a deploy runs once runs like a hook, but as the service's user, to whom the data belongs that it works on.
pub(super) fn once_step(folder: &str, user: Option<&str>, once: &Once) -> Step {
    let cmd = within("once", folder, user, &once.words).within(Duration::from_secs(once.seconds));
    Step::Run { cmd, undo: None }
}

/// Proves that the files of the release, just sent or long there, are the ones that its manifest names. Units are left out;
/// they are written later. On a failure the files that differ are named.
pub(super) fn verify(folder: &str) -> Cmd {
    let script = "cd \"$1\" || exit; hash() { if command -v sha256sum >/dev/null; then sha256sum -c -; \
                  else shasum -a 256 -c -; fi 2>&1; }; \
                  check() { grep -v '^[0-9a-f]*  /' .portoser/manifest | hash; }; \
                  check >/dev/null || { check | grep -v ': OK$'; exit 1; }";
    Cmd::new("/bin/sh").args(["-c", script, "verify", folder])
}

fn summary(subject: &Subject<'_>, runs: Runs<'_>, variables: &Variables<'_>) -> BTreeMap<String, String> {
    let mut all = described(subject);
    match runs {
        Runs::Words(words) => {
            let words: Vec<_> = words.iter().map(|word| quote(&plan::fill(word, variables)).into_owned()).collect();
            all.insert("run".into(), words.join(" "));
        }
        Runs::Unit(name) => {
            all.insert("unit".into(), name.to_owned());
        }
    }
    all
}

/// What a person wants to compare of any service.
pub(super) fn described(subject: &Subject<'_>) -> BTreeMap<String, String> {
    let service = subject.service;
    let mut all = BTreeMap::new();
    for name in service.env.keys().chain(subject.host.env.keys()) {
        // Names only: a value may be private even when nobody said so. That it changed shows in the hash of the file.
        all.insert(["env ", name].concat(), "set".into());
    }
    if let Some(commit) = subject.sources.commits.get(&service.name) {
        let path = commit.git.path.as_ref().map(|path| format!(" ({path})")).unwrap_or_default();
        let name = commit.git.reference.as_ref().filter(|name| **name != commit.id);
        let name = name.map(|name| format!(" ({name})")).unwrap_or_default();
        all.insert("git".into(), format!("{}{path}", commit.git.shown()));
        all.insert("commit".into(), format!("{}{name}", commit.id));
    }
    if let Some(port) = service.port {
        all.insert("port".into(), port.to_string());
    }
    if service.instances > 1 {
        all.insert("instances".into(), service.instances.to_string());
    }
    if let Some(signal) = &service.reload {
        all.insert("reload".into(), signal.clone());
    }
    if let Some(user) = &service.user {
        all.insert("user".into(), user.clone());
    }
    all
}
