//! From what the registry says and what lies on this machine's disk to the files of a release, byte for byte.

use std::collections::BTreeMap;
use std::path::PathBuf;

use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, UndefinedBehavior};
use sha2::{Digest, Sha256};

use crate::host::run::{TreeEntry, TreeKind};
use crate::host::{Layout, OURS};
use crate::model::{Content, ReleaseId, ServiceName};
use crate::plan::engine::{Refused, Subject};
use crate::registry::{self, FileSource, Service};

/// What was read from this machine's disk for a plan.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The tree of each service with a `source`.
    pub trees: BTreeMap<ServiceName, SourceTree>,
    /// Templates and files to copy, by path.
    pub texts: BTreeMap<PathBuf, Vec<u8>>,
    /// The user's own unit templates, by name (`systemd.service`), where they replace ours.
    pub templates: BTreeMap<String, String>,
}

/// The files of a source, sorted by path.
pub type SourceTree = Vec<TreeEntry>;

/// The variables of one instance of a service on a host, by name (`registry::VARIABLES`).
#[must_use]
pub fn variables(subject: &Subject<'_>, id: &ReleaseId, instance: u16) -> BTreeMap<&'static str, String> {
    let Subject { service, host, facts, .. } = subject;
    let layout = Layout::new(&facts.base);
    let mut all = BTreeMap::from([
        ("HOST", host.name.to_string()),
        ("ADDRESS", host.address.clone()),
        ("SERVICE", service.name.to_string()),
        ("INSTANCE", instance.to_string()),
        ("RELEASE_DIR", layout.release(&service.name, id)),
        ("SHARED_DIR", layout.shared(&service.name)),
    ]);
    if let Some(port) = service.port {
        all.insert("PORT", (u32::from(port) + u32::from(instance) - 1).to_string());
    }
    all
}

/// Puts the values of `${NAME}` into a text (`registry::expand`). The registry has refused what cannot be expanded; such
/// a text stays as it is.
#[must_use]
pub fn fill(text: &str, variables: &BTreeMap<&'static str, String>) -> String {
    registry::expand(text, |name| variables.get(name).cloned()).unwrap_or_else(|_| text.to_owned())
}

/// The environment of one instance: `PORT`, then the host's, then the service's, filled in.
#[must_use]
pub fn environment(subject: &Subject<'_>, id: &ReleaseId, instance: u16) -> BTreeMap<String, String> {
    let variables = variables(subject, id, instance);
    let port = variables.get("PORT").map(|port| ("PORT".to_owned(), port.clone()));
    let mut env: BTreeMap<String, String> = port.into_iter().collect();
    let written = subject.host.env.iter().chain(&subject.service.env);
    env.extend(written.map(|(name, value)| (name.clone(), fill(value, &variables))));
    env
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
        entries.insert(entry.path.clone(), entry.kind.clone());
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
    let mut engine = Environment::new();
    engine.set_undefined_behavior(UndefinedBehavior::Strict);
    engine.set_syntax(SyntaxConfig::builder().keep_trailing_newline(true).build()?);
    engine.set_fuel(Some(1_000_000));
    let mut values: BTreeMap<String, minijinja::Value> = BTreeMap::new();
    let env = environment(subject, id, 1);
    // The service's own variables stand beside ours, so that a template can say {{ GREETING }}.
    values.extend(env.iter().map(|(name, value)| (name.clone(), value.clone().into())));
    values.extend(variables(subject, id, 1).into_iter().map(|(name, value)| (name.to_owned(), value.into())));
    values.insert("env".into(), minijinja::Value::from_iter(env));
    values.insert("labels".into(), minijinja::Value::from_iter(subject.service.labels.clone()));
    engine.render_str(text, values).map(String::into_bytes)
}

/// What tells two entries apart: mode and content, or the target of a link. A folder has none.
#[must_use]
pub fn mark(kind: &TreeKind) -> Option<String> {
    match kind {
        TreeKind::Folder => None,
        TreeKind::File { sha256, mode, .. } => Some(format!("{mode:o} {}", hex(sha256))),
        TreeKind::Made { content, mode } => Some(format!("{mode:o} {}", hex(&Sha256::digest(&content.bytes)))),
        TreeKind::Link { target } => Some(format!("-> {target}")),
    }
}

/// The manifest of a release, in the format that `sha256sum -c` reads: the hash of every regular file by its path.
#[must_use]
pub fn manifest<'a>(entries: impl IntoIterator<Item = (&'a str, &'a [u8; 32])>) -> String {
    let mut text = String::new();
    for (path, hash) in entries {
        text.push_str(&hex(hash));
        text.push_str("  ");
        text.push_str(path);
        text.push('\n');
    }
    text
}

/// Lower-case hexadecimal.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The instances of a service, counted from 1.
pub fn instances(service: &Service) -> std::ops::RangeInclusive<u16> {
    1..=service.instances.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_filled_in_and_the_rest_stays() {
        let variables = BTreeMap::from([("PORT", "80".to_owned())]);
        assert_eq!(fill("--port=${PORT} $${PORT} $PORT", &variables), "--port=80 ${PORT} $PORT");
        assert_eq!(fill("${PORT} ${NO}", &variables), "${PORT} ${NO}");
    }
}
