//! How containers were made: as it was noted when we made them, and as they are. What others made anew with other settings, or
//! changed by `docker update`, differs. Where nobody can know, nothing is said.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::host::facts::SeenContainer;

/// What is said of a container that compose would replace, as it was made of something else.
pub(in crate::host) const REMADE: &str = "made anew with other settings";

/// What `docker update` changes, as it is told in this order behind part, hash and version.
const SETTINGS: [&str; 9] = [
    "memory",
    "swap",
    "memory reservation",
    "cpus",
    "cpu shares",
    "cpu quota",
    "cpu set",
    "pids limit",
    "restart policy",
];

/// How a container was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    part: String,
    /// Compose's own hash of what it made it from; only the same compose makes the same one of the same text.
    hash: String,
    version: String,
    settings: [Value; SETTINGS.len()],
}

impl Made {
    /// Reads the array; none where it is another one, or compose did not make the container.
    pub(super) fn read(value: &Value) -> Option<Self> {
        let fields: &[Value; 3 + SETTINGS.len()] = value.as_array()?.as_slice().try_into().ok()?;
        let text = |index: usize| fields[index].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        let mut settings = [const { Value::Null }; SETTINGS.len()];
        for (setting, field) in settings.iter_mut().zip(&fields[3..]) {
            *setting = plain(field);
        }
        Some(Self { part: text(0)?, hash: text(1)?, version: text(2)?, settings })
    }

    /// Reads the lines that were noted: `ID ARRAY`.
    pub(super) fn noted(text: &str) -> Vec<Self> {
        let line = |line: &str| Self::read(&serde_json::from_str(line.split_once(' ')?.1).ok()?);
        text.lines().filter_map(line).collect()
    }

    /// Whether it is a container of this part.
    pub(super) fn is_of(&self, part: &str) -> bool {
        self.part == part
    }

    /// What differs in a container that was made from the same.
    fn changed(&self, now: &Self) -> Vec<&'static str> {
        let all = SETTINGS.iter().zip(self.settings.iter().zip(&now.settings));
        all.filter(|(_, (then, now))| then != now).map(|(name, _)| *name).collect()
    }
}

/// A setting that is not given is written in more than one way.
fn plain(value: &Value) -> Value {
    match value {
        Value::Number(number) if number.as_i64().is_some_and(|number| number <= 0) => Value::Null,
        Value::String(text) if text.is_empty() || text == "no" => Value::Null,
        Value::Object(keys) => {
            let keys: serde_json::Map<String, Value> = keys
                .iter()
                .map(|(key, value)| (key.clone(), plain(value)))
                .filter(|(_, value)| !value.is_null())
                .collect();
            if keys.is_empty() { Value::Null } else { keys.into() }
        }
        value => value.clone(),
    }
}

/// The containers of these parts that are not as they were made by us, each with what is the matter.
pub(super) fn altered(noted: &[Made], containers: &BTreeMap<String, Vec<SeenContainer>>, project: &str) -> Vec<String> {
    let prefix = format!("{project}/");
    let ours = containers.iter().filter(|(name, _)| name.starts_with(&prefix)).flat_map(|(_, all)| all);
    let line = |container: &SeenContainer| {
        let now = container.made.as_ref()?;
        // Another compose makes another hash of the same text.
        let ours: Vec<&Made> =
            noted.iter().filter(|made| made.part == now.part && made.version == now.version).collect();
        if ours.is_empty() {
            return None;
        }
        let same = ours.iter().filter(|made| made.hash == now.hash).map(|made| made.changed(now));
        let what = match same.min_by_key(Vec::len) {
            None => REMADE.to_owned(),
            Some(changed) if changed.is_empty() => return None,
            Some(changed) => format!("other {} than it was made with", changed.join(", ")),
        };
        Some(format!("container {}: {what}", container.name))
    };
    ours.filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::host::look::INSPECT;

    /// A container's array: its hash, its compose, its memory and its restart policy.
    fn array(hash: &str, version: &str, memory: &str, policy: &str) -> String {
        format!(
            r#"["web","{hash}","{version}",{memory},0,0,0,0,0,"",null,{{"Name":"{policy}","MaximumRetryCount":0}}]"#
        )
    }

    /// What is said of a container that is so, where this was noted.
    fn told(noted: &[String], now: &str) -> Vec<String> {
        let noted: String = noted.iter().map(|array| format!("id {array}\n")).collect();
        let made = Made::read(&serde_json::from_str(now).expect("JSON"));
        let container = SeenContainer { name: "c".into(), made, ..SeenContainer::default() };
        altered(&Made::noted(&noted), &BTreeMap::from([("p/web".to_owned(), vec![container])]), "p")
    }

    #[test]
    fn what_others_made_or_changed_is_told() {
        let made = [array("a", "2.26.1", "0", "unless-stopped")];
        assert_eq!(told(&made, &made[0]), [""; 0]);
        let other = array("b", "2.26.1", "0", "unless-stopped");
        assert_eq!(told(&made, &other), ["container c: made anew with other settings"]);
        let updated = array("a", "2.26.1", "8388608", "no");
        assert_eq!(told(&made, &updated), ["container c: other memory, restart policy than it was made with"]);
    }

    #[test]
    fn what_nobody_can_know_is_no_change() {
        let now = array("b", "2.26.1", "8388608", "no");
        assert_eq!(told(&[], &now), [""; 0], "nothing was noted");
        assert_eq!(told(&[array("a", "1.29.2", "0", "no")], &now), [""; 0], "another compose made it anew");
        let other = array("a", "2.26.1", "0", "no").replace("web", "db");
        assert_eq!(told(&[other], &now), [""; 0], "another part");
        let short = r#"["web","a","2.26.1"]"#.to_owned();
        assert_eq!(told(&[short, "[".into(), "\"".into()], &now), [""; 0], "notes in other words");
        // Engines and their versions write in different ways what is not given.
        let (empty, null) = (array("a", "2", "0", "no"), array("a", "2", "null", "").replace("null,{", "-1,{"));
        assert_eq!(told(&[empty], &null), [""; 0]);
        // One of several containers of a part may have been left as it was.
        assert_eq!(told(&[array("a", "2.26.1", "0", "no"), now.clone()], &now), [""; 0]);
    }

    #[test]
    fn the_runner_notes_what_the_look_asks() {
        let script = include_str!("../run/sh/compose.sh");
        let made = script.split_once("\nhow_made='").and_then(|(_, rest)| rest.split_once('\'')).expect("the format").0;
        assert!(INSPECT.ends_with(&format!(",{made}]")), "{INSPECT}\n{made}");
        assert_eq!(made.matches("{{json ").count(), 3 + SETTINGS.len());
    }

    proptest! {
        #[test]
        fn any_notes_are_read(text in "(?s).{0,100}", one in "[\\[\\]{}\",:a0-9 ]{0,60}") {
            let _ = (Made::noted(&text), Made::noted(&format!("id [{one}]")));
        }
    }
}
