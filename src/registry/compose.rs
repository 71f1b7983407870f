//! What must be known of the user's own compose file before compose reads it: where it is, its parts, and which image each names.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::registry::docker::{COMPOSE_FILES, is_image};

/// The compose file that a path of this machine means: itself, or the one in the folder.
#[must_use]
pub fn compose_file(path: &Path) -> Option<PathBuf> {
    let inside = || COMPOSE_FILES.iter().map(|name| path.join(name)).find(|file| file.is_file());
    if path.is_file() { Some(path.to_owned()) } else { inside() }
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

/// The image of a part that a host fetches, if it fetches one, and that is known without compose.
#[must_use]
pub fn part_fetches(part: &Value) -> Option<&str> {
    part_image(part).filter(|_| part.get("build").is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_and_what_they_run_from() {
        let text = "services: { web: { image: 'a/b:1', build: . }, db: { image: 'c:2' }, odd: { image: 'c:${TAG}' }, \
                    none: {}, asked: { image: d, profiles: [x] } }";
        let parts = compose_parts(&serde_yaml::from_str(text).expect("YAML"));
        assert_eq!(parts.keys().collect::<Vec<_>>(), ["db", "none", "odd", "web"]);
        assert_eq!((part_image(&parts["web"]), part_fetches(&parts["web"])), (Some("a/b:1"), None));
        assert_eq!(part_fetches(&parts["db"]), Some("c:2"));
        assert_eq!((part_image(&parts["odd"]), part_image(&parts["none"])), (None, None));
        assert!(compose_parts(&Value::Null).is_empty());
    }
}
