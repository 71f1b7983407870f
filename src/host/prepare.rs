//! What services need of a host before the first deploy, and the words that tell or bring it. It installs nothing that a
//! service of the registry, or the user, does not ask for.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use crate::model::Cmd;

const SCRIPT: &str = include_str!("prepare.sh");

/// How long bringing all of it may take: packages are fetched.
const BRING: Duration = Duration::from_secs(1800);

/// Something that a host may lack, in the order in which it is brought.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Thing {
    /// The base folder; without a path, where it is by default.
    Base(Option<String>),
    /// A user for a service.
    User(String),
    /// Python of this major and minor version, or any, that can make virtual environments.
    Python(Option<String>),
    Uv,
    Docker,
    Compose,
}

impl Thing {
    fn word(&self) -> String {
        match self {
            Self::Base(path) => format!("base:{}", path.as_deref().unwrap_or_default()),
            Self::User(name) => format!("user:{name}"),
            Self::Python(version) => format!("python:{}", version.as_deref().unwrap_or_default()),
            Self::Uv => "uv".into(),
            Self::Docker => "docker".into(),
            Self::Compose => "compose".into(),
        }
    }
}

impl fmt::Display for Thing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Base(Some(path)) => write!(f, "the base folder {path}"),
            Self::Base(None) => f.write_str("the base folder"),
            Self::User(name) => write!(f, "the user {name}"),
            Self::Python(Some(version)) => write!(f, "Python {version} with venv, or uv"),
            Self::Python(None) => f.write_str("Python with venv, or uv"),
            Self::Uv => f.write_str("uv"),
            Self::Docker => f.write_str("docker"),
            Self::Compose => f.write_str("docker compose"),
        }
    }
}

/// How long it may take to look.
const LOOK: Duration = Duration::from_secs(30);

/// The words that tell which of these a host lacks.
#[must_use]
pub fn look(things: &BTreeSet<Thing>) -> Cmd {
    words("look", things).within(LOOK)
}

/// The words that bring them.
#[must_use]
pub fn bring(things: &BTreeSet<Thing>) -> Cmd {
    words("do", things).within(BRING)
}

fn words(how: &str, things: &BTreeSet<Thing>) -> Cmd {
    Cmd::new("/bin/sh").args(["-c", SCRIPT, "prepare", how]).args(things.iter().map(Thing::word))
}

/// What of these a host said that it lacks.
#[must_use]
pub fn lacking(things: &BTreeSet<Thing>, said: &str) -> BTreeSet<Thing> {
    let lacks = |thing: &&Thing| {
        let word = thing.word();
        said.lines().any(|line| line.strip_prefix("lacks ") == Some(word.as_str()))
    };
    things.iter().filter(lacks).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_asked_for_can_be_lacking() {
        let user = Thing::User("api".into());
        let things = BTreeSet::from([Thing::Base(None), user.clone(), Thing::Uv]);
        let found = lacking(&things, "welcome\nlacks user:api\nlacks docker\nlacks uvx\n lacks uv\n");
        assert_eq!(found, BTreeSet::from([user]));
    }
}
