//! A look that asks for more than the usual in the same exec: what the look sees, who listens, and the further answers by key.

use std::collections::BTreeMap;
use std::fmt::Display;

use crate::host::Seen;
use crate::host::look::discover::{Listeners, read_listeners};
use crate::host::look::read::{LookError, framed, seen};

/// What such a look found.
#[derive(Clone, Debug, Default)]
pub struct Beside {
    pub seen: Seen,
    /// Who listens on TCP ports; none where the host does not tell.
    pub listeners: Option<Listeners>,
    /// The answers to what was asked besides, by their keys.
    pub parts: BTreeMap<String, String>,
}

/// Reads the answer to `script_beside`.
///
/// # Errors
/// When the answer is not ours, or is cut: the host was then not seen.
pub fn read_beside(answer: &[u8]) -> Result<Beside, LookError> {
    let parts = short(framed(answer)?);
    let get = |key: &str| parts.iter().find(|part| part.0 == key).map(|part| part.1.as_str());
    Ok(Beside {
        seen: seen(&parts)?,
        listeners: read_listeners(get),
        parts: parts.into_iter().filter(|(key, _)| key.contains('/')).collect(),
    })
}

/// Parts that are unseen where they are not there.
const ABSENT: &[&str] = &["units/", "job/", "discover/", "process "];

/// What hung, in words.
pub fn late(seconds: impl Display, program: &str) -> String {
    // A shell that waits does so at a file.
    let what = if program == "sh" { "a file or folder".to_owned() } else { format!("`{program}`") };
    unanswered(&what, Some(seconds))
}

/// What is said of all that hung.
pub const MUTE: &str = "did not answer";

/// What look.sh says of a program that somebody else ended.
pub const ENDED: &str = "was ended by a signal";

fn unanswered(what: &str, seconds: Option<impl Display>) -> String {
    let within = seconds.map(|seconds| format!(" within {seconds} s")).unwrap_or_default();
    format!("{what} {MUTE}{within}")
}

/// What had to be ended is missing in the answer behind it. Of the caller's parts it is noted, as a line `!late SECONDS PROGRAM`; of
/// the look's own, what is not whole is not there, and what that leaves unseen has its reason.
fn short(all: Vec<(String, String)>) -> Vec<(String, String)> {
    let mut late: Option<(u32, String)> = None;
    let mut parts = Vec::new();
    for (mut key, mut text) in all {
        if let Some(seconds) = key.strip_prefix("late/") {
            let (seconds, before) = (seconds.parse().unwrap_or_default(), late.map_or(0, |(before, _)| before));
            late = Some((before.saturating_add(seconds), text.lines().next().unwrap_or_default().to_owned()));
            continue;
        }
        let past = late.take();
        let part = match key.split_once(' ') {
            Some((service, part)) if !service.contains('/') => part.to_owned(),
            _ => key.clone(),
        };
        match (part.as_str(), past) {
            ("hangs", past) => text = unanswered(&text, past.map(|(seconds, _)| seconds)),
            (_, None) => {}
            ("base-hangs", Some((seconds, _))) => text = unanswered("the base folder", Some(seconds)),
            ("runs-hang", Some((seconds, _))) => text = unanswered("the folder of the runs", Some(seconds)),
            ("drift" | "drift-late", Some((seconds, program))) => {
                key.push_str(if part == "drift" { "-late" } else { "" });
                text = self::late(seconds, &program);
            }
            ("disk", _) => text.clear(),
            (part, _) if ABSENT.iter().any(|start| part.starts_with(start)) => continue,
            (_, Some((seconds, program))) if key.contains('/') => text = format!("{text}\n!late {seconds} {program}"),
            _ => {}
        }
        parts.push((key, text));
    }
    parts
}

#[cfg(test)]
mod tests;
