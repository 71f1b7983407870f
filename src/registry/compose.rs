//! What must be known of the user's own compose file before compose reads it: where it is, what compose lays over it, its parts,
//! and which image each names.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ignore::WalkBuilder;
use serde_json::Value;
use serde_yaml::Value as Yaml;

use crate::registry::docker::{COMPOSE_FILES, COMPOSE_OVERRIDES, is_image};

/// The walk over what is sent of a folder: all of it, as `.gitignore` and `.ignore` leave it, without `.git`.
#[must_use]
pub fn sent_of(folder: &Path) -> WalkBuilder {
    let mut walk = WalkBuilder::new(folder);
    walk.hidden(false).parents(false).git_global(false).require_git(false).follow_links(false);
    walk.filter_entry(|entry| entry.file_name() != ".git");
    walk
}

/// The compose files that a path of this machine means: itself; or those in the folder that compose finds there by itself, as far as
/// they are sent.
#[must_use]
pub fn compose_files(path: &Path) -> Vec<PathBuf> {
    if path.is_file() {
        return vec![path.to_owned()];
    }
    let walk = sent_of(path).max_depth(Some(1)).build().filter_map(Result::ok);
    let there: Vec<PathBuf> = walk.map(ignore::DirEntry::into_path).filter(|path| path.is_file()).collect();
    compose_files_among(path, |file| there.iter().any(|one| one == file))
}

/// The compose files of a folder, the one over which the other is laid first; none when that one is not there.
pub fn compose_files_among(folder: &Path, is_there: impl Fn(&Path) -> bool) -> Vec<PathBuf> {
    let first = |names: &[&str]| names.iter().map(|name| folder.join(name)).find(|file| is_there(file));
    let Some(file) = first(&COMPOSE_FILES) else { return Vec::new() };
    std::iter::once(file).chain(first(&COMPOSE_OVERRIDES)).collect()
}

/// What the compose files at a path of this machine say together, as far as they can be read.
///
/// # Errors
/// When one of them cannot be read from disk.
pub fn compose_here(path: &Path) -> Result<Value, (PathBuf, std::io::Error)> {
    let read = |file: PathBuf| match std::fs::read_to_string(&file) {
        Ok(text) => Ok((String::new(), text)),
        Err(error) => Err((file, error)),
    };
    let texts = compose_files(path).into_iter().map(read).collect::<Result<Vec<_>, _>>()?;
    Ok(compose_document(&texts).unwrap_or_default())
}

/// What compose files, each by its name and its text, say together: merge keys followed, each laid over the one before as compose
/// does it.
///
/// # Errors
/// Why one of them is not YAML that can be read.
pub fn compose_document(texts: &[(String, String)]) -> Result<Value, String> {
    let mut whole = Yaml::Null;
    for (name, text) in texts {
        let read = serde_yaml::from_str::<Yaml>(text).map_err(|error| error.to_string()).and_then(merged);
        let read = read.map_err(|error| format!("`{name}` is not YAML that can be read: {error}"))?;
        lay(&mut whole, read);
    }
    Ok(plain(whole))
}

/// Follows merge keys (<https://yaml.org/type/merge.html>), also those within what is merged, which the library leaves as they are: what
/// a mapping says itself goes first, then the earlier of several that are merged into it.
fn merged(value: Yaml) -> Result<Yaml, String> {
    match value {
        Yaml::Mapping(mut keys) => {
            let sources = match keys.remove("<<") {
                None => Vec::new(),
                Some(Yaml::Sequence(all)) => all,
                Some(one) => vec![one],
            };
            let own = keys.into_iter().map(|(key, value)| Ok((key, merged(value)?)));
            let mut all: serde_yaml::Mapping = own.collect::<Result<_, String>>()?;
            for source in sources {
                let Yaml::Mapping(more) = merged(source)? else {
                    return Err("`<<` merges what is no mapping".into());
                };
                for (key, value) in more {
                    all.entry(key).or_insert(value);
                }
            }
            Ok(Yaml::Mapping(all))
        }
        Yaml::Sequence(items) => items.into_iter().map(merged).collect::<Result<_, _>>().map(Yaml::Sequence),
        Yaml::Tagged(mut tagged) => {
            tagged.value = merged(std::mem::take(&mut tagged.value))?;
            Ok(Yaml::Tagged(tagged))
        }
        scalar => Ok(scalar),
    }
}

/// Lays a value over another one. Lists are joined; a volume takes the place of the one that is mounted where it is.
fn lay(under: &mut Yaml, over: Yaml) {
    match (under, over) {
        (under, Yaml::Tagged(tagged)) => *under = tagged.value,
        (Yaml::Mapping(under), Yaml::Mapping(over)) => {
            for (key, value) in over {
                if matches!(&value, Yaml::Tagged(tagged) if tagged.tag == "!reset") {
                    under.remove(&key);
                    continue;
                }
                let below = under.entry(key.clone()).or_insert(Yaml::Null);
                if let (Some("volumes"), Yaml::Sequence(old), Yaml::Sequence(new)) = (key.as_str(), &mut *below, &value)
                {
                    old.retain(|old| target(old).is_none_or(|at| !new.iter().any(|new| target(new) == Some(at))));
                }
                lay(below, value);
            }
        }
        (Yaml::Sequence(under), Yaml::Sequence(over)) => under.extend(over),
        (_, Yaml::Null) => {}
        (under, over) => *under = over,
    }
}

/// Where in its container a volume is mounted.
fn target(volume: &Yaml) -> Option<&str> {
    match volume {
        // Where a variable stands, only compose knows which colon parts.
        Yaml::String(text) if text.contains('$') => None,
        Yaml::String(text) => text.split(':').nth(1).or(Some(text)),
        _ => volume.get("target").and_then(Yaml::as_str),
    }
}

/// As data without tags. Keys are texts to compose, however they are written.
fn plain(value: Yaml) -> Value {
    let key = |key: Yaml| match plain(key) {
        Value::String(text) => text,
        other => other.to_string(),
    };
    match value {
        Yaml::Tagged(tagged) => plain(tagged.value),
        Yaml::Sequence(items) => items.into_iter().map(plain).collect(),
        Yaml::Mapping(keys) => keys.into_iter().map(|(name, value)| (key(name), plain(value))).collect(),
        scalar => serde_json::to_value(scalar).unwrap_or_default(),
    }
}

/// The parts of a compose file that come up without being asked for, as they are written.
#[must_use]
pub fn compose_parts(document: &Value) -> BTreeMap<String, Value> {
    let all = document.get("services").and_then(Value::as_object).into_iter().flatten();
    let asked = |one: &Value| one.get("profiles").and_then(Value::as_array).is_none_or(Vec::is_empty);
    all.filter(|(_, one)| asked(one)).map(|(name, one)| (name.clone(), one.clone())).collect()
}

/// The image that a part names, if that is known without compose: a variable in it may be anything. A part that is built may name
/// one, too.
#[must_use]
pub fn part_image(part: &Value) -> Option<&str> {
    part.get("image").and_then(Value::as_str).filter(|image| is_image(image))
}

/// Whether the image that a part names is the one that it runs, in place of a name for what is built. What it `extends` may be built,
/// too.
#[must_use]
pub fn part_runs_it(part: &Value) -> bool {
    part.get("build").is_none() && part.get("extends").is_none()
}

/// The image of a part that a host fetches, if it fetches one, and that is known without compose.
#[must_use]
pub fn part_fetches(part: &Value) -> Option<&str> {
    part_image(part).filter(|_| part_runs_it(part))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn document(texts: &[&str]) -> Value {
        let texts: Vec<_> = texts.iter().map(|text| ("x.yml".to_owned(), (*text).to_owned())).collect();
        compose_document(&texts).expect("YAML")
    }

    #[test]
    fn parts_and_what_they_run_from() {
        let text = "services: { web: { image: 'a/b:1', build: . }, db: { image: 'c:2' }, odd: { image: 'c:${TAG}' }, \
                    none: {}, asked: { image: d, profiles: [x] }, more: { image: e, extends: { file: f.yml, service: x } } }";
        let parts = compose_parts(&document(&[text]));
        assert_eq!(parts.keys().collect::<Vec<_>>(), ["db", "more", "none", "odd", "web"]);
        assert_eq!((part_image(&parts["web"]), part_fetches(&parts["web"])), (Some("a/b:1"), None));
        assert_eq!(part_fetches(&parts["db"]), Some("c:2"));
        assert_eq!((part_image(&parts["odd"]), part_image(&parts["none"])), (None, None));
        assert_eq!(part_fetches(&parts["more"]), None, "what it goes on from may be built");
        assert!(compose_parts(&Value::Null).is_empty());
    }

    #[test]
    fn merge_keys_are_followed() {
        let text = "x-base: &base { image: 'a:1', volumes: [./data:/data] }\nx-more: &more { image: 'b:1', tty: true }\n\
                    services: { web: { <<: [*base, *more], labels: { 1: x } }, own: { <<: *base, image: 'c:1' } }";
        let parts = compose_parts(&document(&[text]));
        let web = json!({ "image": "a:1", "volumes": ["./data:/data"], "tty": true, "labels": { "1": "x" } });
        assert_eq!((&parts["web"], part_fetches(&parts["own"])), (&web, Some("c:1")));
        let chain = "a: &a { image: 'a:1', tty: true }\nb: &b { <<: *a, tty: false }\nservices: { web: { <<: *b, init: true } }";
        let web = json!({ "image": "a:1", "tty": false, "init": true });
        assert_eq!(compose_parts(&document(&[chain]))["web"], web, "what is merged merges, too");
        let bad = [("x.yml".to_owned(), "a: { <<: 1 }".to_owned())];
        assert!(compose_document(&bad).expect_err("no mapping").starts_with("`x.yml` is not YAML"));
    }

    #[test]
    fn an_override_is_laid_over_as_compose_does_it() {
        let under = "services:\n  web: { image: 'a:1', build: ., volumes: [./a:/a, ./b:/b], ports: ['1:1'] }\n  old: { image: x }\n";
        let over = "services:\n  web: { image: 'a:2', build: !reset null, volumes: [{ type: volume, source: v, target: /a }], \
                    ports: !override ['2:2'], env_file: }\n  old: !reset null\n  new: { image: 'n:1' }\n";
        let web = json!({ "image": "a:2", "volumes": ["./b:/b", { "type": "volume", "source": "v", "target": "/a" }],
                          "ports": ["2:2"], "env_file": null });
        assert_eq!(document(&[under, over]), json!({ "services": { "web": web, "new": { "image": "n:1" } } }));
    }

    #[test]
    fn a_folder_means_the_files_that_compose_finds_and_that_are_sent() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        assert_eq!(compose_files(folder.path()), [] as [PathBuf; 0]);
        for name in ["docker-compose.yml", "compose.yml", "docker-compose.override.yml", "other.override.yml"] {
            std::fs::write(at(name), "").expect("written");
        }
        assert_eq!(compose_files(folder.path()), [at("compose.yml"), at("docker-compose.override.yml")]);
        assert_eq!(compose_files(&at("compose.yml")), [at("compose.yml")], "a file is named, as by `-f`");
        std::fs::write(at(".gitignore"), "*.override.yml\n").expect("written");
        assert_eq!(compose_files(folder.path()), [at("compose.yml")], "what is not sent is not laid over it");
    }
}
