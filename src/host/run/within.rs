//! Words in a service's release, with its environment and as its user: hooks, what runs once, and what a person asks for. The
//! script is the supervising loop's own.

use crate::host::OURS;
use crate::model::{Cmd, quote};

pub(super) const SCRIPT: &str = include_str!("sh/within.sh");

/// The words in this folder of a release; as who deploys there when no user is named. The environment comes from a file, because
/// a value may be a secret and a secret is never a word.
#[must_use]
pub fn within(name: &str, folder: &str, user: Option<&str>, words: &[String]) -> Cmd {
    let user = quote(user.unwrap_or_default());
    let script = format!("{SCRIPT}plain=''\ncd \"$1\" && shift || exit 125\nwithin {user} ./{OURS}/env.sh \"$@\"");
    Cmd::new("/bin/sh").args(["-c", &script, name, folder]).args(words)
}
