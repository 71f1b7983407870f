//! A look that asks for more than the usual in the same exec: what the look sees, who listens, and the further answers by key.

use std::collections::BTreeMap;

use crate::host::Seen;
use crate::host::look::discover::{Listener, read_listeners};
use crate::host::look::read::{LookError, framed, seen};

/// What such a look found.
#[derive(Clone, Debug, Default)]
pub struct Beside {
    pub seen: Seen,
    /// Who listens on TCP ports; none where the host does not tell.
    pub listeners: Option<BTreeMap<u16, Listener>>,
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

/// What had to be ended is missing in the answer behind it. Of the caller's parts it is noted, as a line `!late SECONDS PROGRAM`; of
/// the look's own, what is not whole is not there.
fn short(all: Vec<(String, String)>) -> Vec<(String, String)> {
    let mut late: Option<(u32, String)> = None;
    let mut parts = Vec::new();
    for (key, mut text) in all {
        if let Some(seconds) = key.strip_prefix("late/") {
            let (seconds, before) = (seconds.parse().unwrap_or_default(), late.map_or(0, |(before, _)| before));
            late = Some((before.saturating_add(seconds), text.lines().next().unwrap_or_default().to_owned()));
            continue;
        }
        let Some((seconds, program)) = late.take() else {
            parts.push((key, text));
            continue;
        };
        let own = ["units/", "job/", "discover/"].iter().any(|start| key.starts_with(start));
        if key == "disk" {
            text.clear();
        } else if key.contains('/') {
            text = format!("{text}\n!late {seconds} {program}");
        }
        if !own {
            parts.push((key, text));
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::short;
    use crate::host::look::{GUARD, SHELLS};

    #[test]
    #[expect(clippy::disallowed_methods, reason = "real shells run what stands by")]
    fn what_stands_by_leaves_a_script_that_hangs_for_ever() {
        // A second passes at once, a thousand of them are too many, and no program is found that could be ended.
        let sleep = "past=0\nsleep() { past=$((past + 1)); [ \"$past\" -lt 1000 ] || { echo stayed >&2; exit; }; }";
        let guard = GUARD.replace("\nguard &", "\nhung() { return 1; }\nguard &");
        let script = format!("{sleep}\n{guard}\nwait \"$dog\"\necho over");
        for shell in SHELLS {
            let told = std::process::Command::new(shell[0]).args(&shell[1..]).args(["-c", &script]).output();
            let told = told.expect(shell[0]);
            let told = [told.stdout, told.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
            assert_eq!(told, ["over\n", ""], "{shell:?}");
        }
    }

    #[test]
    fn what_is_short_of_an_answer_says_so_and_no_other_does() {
        let pairs =
            |all: &[(&str, &str)]| all.iter().map(|(key, text)| ((*key).into(), (*text).into())).collect::<Vec<_>>();
        let told = [
            ("late/5", "df"),
            ("disk", "Filesystem 1 2"),
            ("writable", "yes"),
            ("late/2", "systemctl"),
            ("units/system", "Id=a.service"),
            ("late/10", "docker"),
            ("blind", "docker does not answer"),
            ("late/2", "grep"),
            ("late/2", "find"),
            ("heal/access a", "user 7"),
            ("heal/log a", "fine"),
        ];
        let kept = [
            ("disk", ""),
            ("writable", "yes"),
            ("blind", "docker does not answer"),
            ("heal/access a", "user 7\n!late 4 find"),
            ("heal/log a", "fine"),
        ];
        assert_eq!(short(pairs(&told)), pairs(&kept));
    }
}
