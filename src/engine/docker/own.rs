//! The user's own compose file: used as it is, with an override of ours that pins images and marks containers. Here it is only
//! read for what must be known before anything is done: its parts, and where it keeps data beside itself.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::{Rendered, caller, data, project_name, render, sent, settings, tag};
use crate::host::push::Image;
use crate::host::run::TreeEntry;
use crate::host::{Layout, OURS};
use crate::model::{Content, Hash, ReleaseId, hex};
use crate::plan::{self, Refused, Subject};
use crate::registry::text::{Gate as _, ProjectName};
use crate::registry::{
    COMPOSE_FILES, Docker, Project, compose_document, compose_files_among, compose_parts, parse_duration, part_fetches,
    part_image, part_runs_it,
};

/// The project of a compose file, which is among the entries of the release.
pub(super) fn render(
    subject: &Subject<'_>,
    docker: &Docker,
    (path, sent): (&Path, &[Image]),
    entries: &[TreeEntry],
) -> Result<Rendered, Refused> {
    let service = subject.service;
    let (part, adopted) = match &docker.project {
        Project::Compose { part, adopted, .. } => (part.as_deref(), adopted.as_ref()),
        Project::Image(_) => (None, None),
    };
    let texts = files(subject, path)?;
    let document = compose_document(&texts).map_err(|why| Refused::new(why, "see `docker compose config`"))?;
    let (names, texts): (Vec<String>, Vec<String>) = texts.into_iter().unzip();
    let (name, text) = (names[0].clone(), texts.concat());
    let known = compose_parts(&document);
    if known.is_empty() {
        return Err(Refused::new(format!("`{name}` has no services"), "see `docker compose config`"));
    }
    let main = main(&known, part, &name)?;
    if main.is_none() && !service.env.is_empty() && !text.contains('$') {
        return Err(Refused::new(
            "nothing says which part of the compose file `env` is for",
            "give `compose_service`, or name the variables in the file",
        ));
    }
    own_to_compose(subject, &known, &name)?;
    let own_name = document.get("name").and_then(Value::as_str).filter(|name| !name.contains('$'));
    named(&known, own_name, &name)?;
    let called = adopted.map(|one| one.name.as_str()).or(own_name).map_or_else(|| project_name(service), str::to_owned);
    let mut links = BTreeMap::new();
    if adopted.is_none() {
        // What an adopted project keeps and reads beside its file lies on the host, its `.env` too.
        defined(subject, &known, entries, &name)?;
        settings::holds(subject, entries, &names, &called)?;
        links = data::links(&known, entries)?;
    }
    let origins = Origins { subject, docker, only: part, sent };
    let (mut over, images) = over(&origins, (&text, &document), &known, main.as_ref(), entries)?;
    let shared = Layout::new(&subject.facts.base).shared(&service.name);
    for (part, one) in known.iter().filter(|_| !links.is_empty()) {
        let mounts = data::mounts(one, &links, &shared);
        if !mounts.is_empty() {
            over["services"][part]["volumes"] = mounts.into();
        }
    }
    Ok(Rendered {
        name: called,
        files: names.into_iter().chain([format!("{OURS}/override.yml")]).collect(),
        ours: vec![plan::ours("override.yml", Content::secret(render::yaml(&over)), 0o600)],
        links: links.into_values().collect(),
        parts: known.keys().cloned().collect(),
        images,
        networks: Vec::new(),
        main,
        folder: adopted.map(|one| one.folder.clone()),
        beside: false,
        mounted: None,
        grace: known.values().filter_map(grace).max(),
    })
}

/// Refuses names that compose would refuse, or take for other ones.
fn named(known: &BTreeMap<String, Value>, own: Option<&str>, file: &str) -> Result<(), Refused> {
    if let Some(own) = own.filter(|own| !ProjectName::good(own)) {
        let hint = "use a-z, 0-9 and `_`, `-`, start with a letter or digit";
        return Err(Refused::new(format!("`{file}` names its project {own:?}, which is no name for one"), hint));
    }
    let takes = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    match known.keys().find(|part| part.is_empty() || !part.chars().all(takes)) {
        Some(part) => Err(Refused::new(
            format!("`{file}` has a service {part:?}, which is no name for one"),
            "use letters, digits and `.`, `_`, `-`",
        )),
        None => Ok(()),
    }
}

/// How long a part may take to stop. What compose fills in, the host asks of the containers that have it.
fn grace(one: &Value) -> Option<Duration> {
    parse_duration(one.get("stop_grace_period")?.as_str()?).ok()
}

/// The names and the texts of the compose files: there is one at least, and what compose lays over it comes behind.
fn files(subject: &Subject<'_>, path: &Path) -> Result<Vec<(String, String)>, Refused> {
    let texts = &subject.sources.texts;
    let is_there = |file: &Path| texts.contains_key(file);
    let found = if is_there(path) { vec![path.to_owned()] } else { compose_files_among(path, is_there) };
    if found.is_empty() {
        return Err(Refused::new(
            format!("there is no compose file in `{}`", path.display()),
            format!("it must be called one of {}", COMPOSE_FILES.join(", ")),
        ));
    }
    let name = |file: &Path| file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let text = |file: &Path| texts.get(file).map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    Ok(found.iter().map(|file| (name(file), text(file).unwrap_or_default())).collect())
}

/// Compose takes a variable that nothing defines for an empty text; here it is refused. Where a `.env` is sent, that may define
/// it.
fn defined(
    subject: &Subject<'_>,
    known: &BTreeMap<String, Value>,
    entries: &[TreeEntry],
    file: &str,
) -> Result<(), Refused> {
    if entries.iter().any(|entry| entry.path == ".env") {
        return Ok(());
    }
    let env = plan::environment(subject, &plan::variables(subject, &ReleaseId::from_digest(&[0; 32]), 1));
    let mut missing = BTreeSet::new();
    for one in known.values() {
        variables(one, false, &mut missing);
    }
    // These are always there when compose is called.
    missing.retain(|name| !env.contains_key(name) && !matches!(name.as_str(), "HOME" | "PATH" | "PWD"));
    if missing.is_empty() {
        return Ok(());
    }
    let all: Vec<&str> = missing.iter().map(String::as_str).collect();
    Err(Refused::new(
        format!("`{file}` names variables that nothing defines: {}", all.join(", ")),
        "give them in `env`, or a default in the file (`${NAME:-default}`); a `.env` that .gitignore names is not sent",
    ))
}

/// Compose is not given what it would go by itself, so it cannot put that into a text.
fn own_to_compose(subject: &Subject<'_>, known: &BTreeMap<String, Value>, file: &str) -> Result<(), Refused> {
    let env = plan::environment(subject, &plan::variables(subject, &ReleaseId::from_digest(&[0; 32]), 1));
    let mut all = BTreeSet::new();
    for one in known.values() {
        variables(one, true, &mut all);
    }
    match caller::OWN.iter().find(|name| env.contains_key(**name) && all.contains(**name)) {
        Some(name) => Err(Refused::new(
            format!("`{file}` names `{name}` of `env`, by which compose itself would go"),
            "give the value under another name for the file: `env` hands it to the container of `compose_service` as it stands",
        )),
        None => Ok(()),
    }
}

/// The variables that the texts of a value name, `$NAME` and `${NAME}`: those without a default, or all. `$$` stands for a `$`.
fn variables(value: &Value, all: bool, names: &mut BTreeSet<String>) {
    match value {
        Value::String(text) => {
            let mut rest = text.as_str();
            while let Some(at) = rest.find('$') {
                rest = &rest[at + 1..];
                if let Some(after) = rest.strip_prefix('$') {
                    rest = after;
                    continue;
                }
                let braced = rest.strip_prefix('{');
                let name: String =
                    braced.unwrap_or(rest).chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
                let ends = braced.is_none_or(|braced| braced[name.len()..].starts_with('}'));
                if (ends || all) && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
                    names.insert(name);
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| variables(item, all, names)),
        Value::Object(keys) => keys.values().for_each(|value| variables(value, all, names)),
        _ => {}
    }
}

/// The part that `env` and `exec` are for.
fn main(known: &BTreeMap<String, Value>, part: Option<&str>, file: &str) -> Result<Option<String>, Refused> {
    match part {
        Some(part) if known.contains_key(part) => Ok(Some(part.to_owned())),
        Some(part) => {
            let all: Vec<&str> = known.keys().map(String::as_str).collect();
            Err(Refused::new(
                format!("`{file}` has no service `{part}`"),
                format!("`compose_service` is one of {}", all.join(", ")),
            ))
        }
        None if known.len() == 1 => Ok(known.keys().next().cloned()),
        None => Ok(None),
    }
}

/// What is laid over the compose file; and the pins of its images.
fn over(
    origins: &Origins<'_>,
    (text, document): (&str, &Value),
    known: &BTreeMap<String, Value>,
    main: Option<&String>,
    entries: &[TreeEntry],
) -> Result<(Value, BTreeMap<String, String>), Refused> {
    let subject = origins.subject;
    let service = subject.service;
    let env = plan::environment(subject, &plan::variables(subject, &ReleaseId::from_digest(&[0; 32]), 1));
    let all = serde_json::to_string(&(&env, marks(entries))).unwrap_or_default();
    let whole = digest(&[text.as_bytes(), all.as_bytes()]);
    // All that compose may put into a text.
    let beside: Vec<_> = marks(entries).into_iter().filter(|(path, _)| *path == ".env").collect();
    let values = serde_json::to_string(&(&env, beside)).unwrap_or_default();
    let (mut images, mut parts) = (BTreeMap::new(), Map::new());
    for (part, one) in known {
        // A part whose image is the same keeps its pin, so that its containers are left alone. What is built may differ with
        // any file.
        let image = one.get("image").and_then(Value::as_str).filter(|_| part_runs_it(one));
        let origin = origins.of(part, one)?;
        let version = match (&origin, image) {
            (Some(origin), _) => digest(&[origin.as_bytes()]),
            (None, Some(image)) => digest(&[image.as_bytes(), values.as_bytes()]),
            (None, None) => whole.clone(),
        };
        let pin = tag(&service.name, part, &version);
        let mut over = json!({ "image": pin, "labels": { "portoser.service": service.name } });
        if main == Some(part) && !env.is_empty() {
            over["environment"] = json!(env);
        }
        images.insert(pin, origin.unwrap_or_else(|| format!("part {part}")));
        parts.insert(part.clone(), over);
    }
    let mut over = json!({ "services": parts });
    if let Some(version) = document.get("version") {
        // The older compose refuses files of different versions.
        over["version"] = version.clone();
    }
    Ok((over, images))
}

/// From where the images of parts come.
struct Origins<'a> {
    subject: &'a Subject<'a>,
    docker: &'a Docker,
    /// The part that is meant, if one is named.
    only: Option<&'a str>,
    /// What is sent from this machine.
    sent: &'a [Image],
}

impl Origins<'_> {
    /// What a part's image is pinned by; none where only compose knows it, or builds it. What compose puts nothing into needs no
    /// compose to be known.
    fn of(&self, part: &str, one: &Value) -> Result<Option<String>, Refused> {
        if self.docker.push.is_none() || self.only.is_some_and(|only| only != part) {
            let fetched = part_fetches(one);
            return fetched.map(|image| render::pinned(self.subject, image, self.docker.pull)).transpose();
        }
        let unnamed = || {
            Refused::new(
                format!("the compose file does not say which image of this machine is sent for `{part}`"),
                "give that part an `image` without a variable; `compose_service` names the only part that is sent",
            )
        };
        let image = sent::named(self.sent, part_image(one).ok_or_else(unnamed)?)?;
        Ok(Some(image.id.clone()))
    }
}

fn digest(texts: &[&[u8]]) -> String {
    let mut hash = Hash::default();
    for text in texts {
        hash.update(&text.len().to_le_bytes());
        hash.update(text);
    }
    hex(&hash.finish()[..8])
}

fn marks(entries: &[TreeEntry]) -> Vec<(&str, Option<String>)> {
    entries.iter().map(|entry| (entry.path.as_str(), plan::mark(&entry.kind))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_without_a_default_are_found() {
        let mut names = BTreeSet::new();
        let text = "$A ${B} ${C:-x} ${D-x} ${E:?no} $$F $${G} $1 ${} ${H:+x} a$";
        variables(&json!({ "environment": [text], "ports": [80] }), false, &mut names);
        assert_eq!(names.into_iter().collect::<Vec<_>>(), ["A", "B"]);
    }
}
