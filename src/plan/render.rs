//! From what the registry says and what lies on this machine's disk to the files of a release, byte for byte.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, UndefinedBehavior};

use crate::host::push::Image;
use crate::host::run::{TreeEntry, TreeKind};
use crate::host::{Layout, OURS};
use crate::model::{Content, ReleaseId, ServiceName};
use crate::plan::engine::{Refused, Subject};
use crate::plan::parsed::Parsed;
use crate::registry::{self, FileSource, Git, Kind, Native, STOP_MOST, Service};

/// What was read from this machine's disk for a plan.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The tree of each service with a `source`.
    pub trees: BTreeMap<ServiceName, SourceTree>,
    /// The commit of each service whose source is in git.
    pub commits: BTreeMap<ServiceName, Commit>,
    /// The wheels of each Python service that brings its own.
    pub wheels: BTreeMap<ServiceName, SourceTree>,
    /// The images of each service that sends its own, for each platform that they are made for.
    pub images: BTreeMap<ServiceName, Vec<Image>>,
    /// The files of the trees whose differences may be shown.
    pub open: BTreeSet<PathBuf>,
    /// Templates and files to copy, by path.
    pub texts: BTreeMap<PathBuf, Vec<u8>>,
    /// The user's own unit templates, by name (`systemd.service`), where they replace ours.
    pub templates: BTreeMap<String, String>,
    /// What became of the templates among these when they were parsed.
    pub parsed: Parsed,
}

/// A commit that a source is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// Its whole id.
    pub id: String,
    /// Where it is from, as the registry says.
    pub git: Git,
}

/// The files of a source, sorted by path.
pub type SourceTree = Vec<TreeEntry>;

/// The variables of one instance of a service on a host, by name (`registry::VARIABLES`).
#[derive(Clone, Debug)]
pub struct Variables<'a>(Vec<(&'static str, Cow<'a, str>)>);

impl<'a> Variables<'a> {
    /// The value of a variable, if there is one of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// The same with another value for this one.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: String) -> Self {
        self.0.retain(|(known, _)| *known != name);
        self.0.push((name, value.into()));
        self
    }

    /// All of them, in no order that means anything.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.0.iter().map(|(name, value)| (*name, value.as_ref()))
    }
}

/// The variables of this instance, counted from 1.
#[must_use]
pub fn variables<'a>(subject: &Subject<'a>, id: &ReleaseId, instance: u16) -> Variables<'a> {
    let Subject { service, host, facts, .. } = *subject;
    let layout = Layout::new(&facts.base);
    let mut all: Vec<(&str, Cow<'_, str>)> = Vec::with_capacity(registry::VARIABLES.len());
    all.extend([
        ("HOST", host.name.as_str().into()),
        ("ADDRESS", host.address.as_str().into()),
        ("SERVICE", service.name.as_str().into()),
        ("INSTANCE", instance.to_string().into()),
        ("RELEASE_DIR", layout.release(&service.name, id).into()),
        ("SHARED_DIR", layout.shared(&service.name).into()),
    ]);
    if let Some(port) = service.port {
        all.push(("PORT", (u32::from(port) + u32::from(instance) - 1).to_string().into()));
    }
    Variables(all)
}

/// Puts the values of `${NAME}` into a text (`registry::expand`). The registry has refused what cannot be expanded; such
/// a text stays as it is.
#[must_use]
pub fn fill(text: &str, variables: &Variables<'_>) -> String {
    if !text.contains("${") {
        return text.to_owned();
    }
    registry::expand(text, |name| variables.get(name).map(str::to_owned)).unwrap_or_else(|_| text.to_owned())
}

/// The environment of one instance: `PORT`, then the host's, then the service's, filled in.
#[must_use]
pub fn environment(subject: &Subject<'_>, variables: &Variables<'_>) -> BTreeMap<String, String> {
    let port = variables.get("PORT").map(|port| ("PORT".to_owned(), port.to_owned()));
    let mut env: BTreeMap<String, String> = port.into_iter().collect();
    let written = subject.host.env.iter().chain(&subject.service.env);
    env.extend(written.map(|(name, value)| (name.clone(), fill(value, variables))));
    env
}

/// Whether the user's files or the environment of a release may depend on its id, because they are free to name its folder.
#[must_use]
pub fn names_its_folder(subject: &Subject<'_>) -> bool {
    let mut values = subject.host.env.values().chain(subject.service.env.values());
    let mut files = subject.service.files.values();
    values.any(|value| value.contains("RELEASE_DIR"))
        || files.any(|file| matches!(file.source, FileSource::Template(_)))
}

/// The user's part of a release: the source with the managed files laid over it, sorted by path.
pub fn tree(subject: &Subject<'_>, id: &ReleaseId) -> Result<SourceTree, Refused> {
    let service = subject.service;
    let mut entries: BTreeMap<String, TreeKind> = BTreeMap::new();
    for entry in subject.sources.trees.get(&service.name).into_iter().flatten() {
        if entry.path.split('/').next() == Some(OURS) {
            return Err(Refused::new(
                format!("the source has a `{OURS}` folder, which is portoser's own name in a release"),
                "rename it, or name it in .gitignore",
            ));
        }
        let mut kind = entry.kind.clone();
        if let TreeKind::File { mode, .. } = &mut kind {
            *mode = carried(service, *mode);
        }
        entries.insert(entry.path.clone(), kind);
    }
    for (path, file) in &service.files {
        let bytes = managed(subject, id, path, &file.source)?;
        for folder in path.match_indices('/').map(|(at, _)| path[..at].to_owned()) {
            entries.entry(folder).or_insert(TreeKind::Folder);
        }
        entries.insert(path.clone(), TreeKind::Made { content: Content::open(bytes), mode: file.mode });
    }
    Ok(entries.into_iter().map(|(path, kind)| TreeEntry { path, kind }).collect())
}

/// The mode of a file of the source on the host: who may not read it here may not there, but whom the service runs as.
fn carried(service: &Service, mode: u32) -> u32 {
    let known = match &service.kind {
        // Containers, and units that are not ours, run as whoever their own text says.
        Kind::Docker(_) => false,
        Kind::Native(Native::Unit { .. }) => service.user.is_some(),
        Kind::Native(Native::Run { .. }) | Kind::Python(_) => true,
    };
    match &service.user {
        _ if !known => for_all(mode),
        Some(_) => mode | (mode & 0o500) >> 3,
        None => mode,
    }
}

/// The mode with what its owner may, but write, for everybody.
#[must_use]
pub fn for_all(mode: u32) -> u32 {
    mode | (mode & 0o500) >> 3 | (mode & 0o500) >> 6
}

fn managed(subject: &Subject<'_>, id: &ReleaseId, path: &str, source: &FileSource) -> Result<Vec<u8>, Refused> {
    let read = |file: &PathBuf| {
        let bytes = subject.sources.texts.get(file).cloned();
        bytes.ok_or_else(|| Refused::new(format!("`{}` was not read", file.display()), "run it again"))
    };
    match source {
        FileSource::Copy(file) => read(file),
        FileSource::Text(text) => Ok(text.clone().into_bytes()),
        FileSource::Template(file) => {
            let text = String::from_utf8(read(file)?).map_err(|_| {
                Refused::new(format!("the template of `{path}` is not UTF-8"), "use `copy:` for binary files")
            })?;
            template(&text, subject, id).map_err(|error| {
                let line = error.line().unwrap_or_default();
                Refused::new(
                    format!("the template of `{path}`, line {line}: {error}"),
                    "a template may name the service's variables, its environment, `env` and `labels`",
                )
            })
        }
    }
}

fn template(text: &str, subject: &Subject<'_>, id: &ReleaseId) -> Result<Vec<u8>, minijinja::Error> {
    let mut values: BTreeMap<String, minijinja::Value> = BTreeMap::new();
    let variables = variables(subject, id, 1);
    let env = environment(subject, &variables);
    // The service's own variables stand beside ours, so that a template can say {{ GREETING }}.
    values.extend(env.iter().map(|(name, value)| (name.clone(), value.clone().into())));
    values.extend(variables.iter().map(|(name, value)| (name.to_owned(), value.into())));
    values.insert("env".into(), env.into());
    values.insert("labels".into(), subject.service.labels.clone().into());
    subject.sources.parsed.render("file", text, engine, values.into()).map(String::into_bytes)
}

fn engine() -> Result<Environment<'static>, minijinja::Error> {
    let mut engine = Environment::new();
    engine.set_undefined_behavior(UndefinedBehavior::Strict);
    engine.set_syntax(SyntaxConfig::builder().keep_trailing_newline(true).build()?);
    engine.set_fuel(Some(1_000_000));
    Ok(engine)
}

/// How many seconds a service may take to stop, where that is more than anybody waits for a stop anyway.
#[must_use]
pub fn long_stop(timeout: Duration) -> Option<u64> {
    Some(timeout.min(STOP_MOST).as_secs()).filter(|seconds| *seconds > 60)
}

/// The instances of a service, counted from 1.
pub fn instances(service: &Service) -> std::ops::RangeInclusive<u16> {
    1..=service.instances.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_reads_env_and_labels_by_name() {
        let text = "version: 1\nhosts: { h: { address: 192.0.2.1, env: { ZONE: eu } } }\nservices:\n  api: { type: native, host: h, \
                    run: [x], env: { GREETING: hello }, labels: { tier: web } }\n";
        let registry =
            registry::load_text(text, registry::Format::Yaml, "/registry.yml".as_ref(), None).expect("valid");
        let service = registry.services.values().next().expect("one");
        let host = registry.hosts.values().next().expect("one");
        let (facts, sources) = (crate::host::Facts::default(), Sources::default());
        let subject = Subject { service, host, facts: &facts, sources: &sources, first: false };
        let id = ReleaseId::from_digest(&[0; 32]);
        let text =
            "{{ env.GREETING }} {{ env['ZONE'] }} {{ labels.tier }} {% for name in env %}{{ name }},{% endfor %}\n";
        let made = template(text, &subject, &id).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        assert_eq!(made.expect("rendered"), "hello eu web GREETING,ZONE,\n");
    }

    #[test]
    fn variables_are_filled_in_and_the_rest_stays() {
        let variables = Variables(vec![("PORT", "80".into())]);
        assert_eq!(fill("--port=${PORT} $${PORT} $PORT", &variables), "--port=80 ${PORT} $PORT");
        assert_eq!(fill("${PORT} ${NO}", &variables), "${PORT} ${NO}");
    }
}
