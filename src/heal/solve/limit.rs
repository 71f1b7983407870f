//! Limits of units.

use crate::heal::solve::deed::Found;
use crate::model::{Content, Scope, Step};

/// A limit of the unit is doubled until the host starts again; the registry's `limits` are the place for good.
pub(super) fn raise(what: &str, found: &Found<'_>) -> Option<Vec<Step>> {
    let (key, least) = match what {
        "files" => ("LimitNOFILE", 1024),
        "memory" => ("MemoryMax", 64 << 20),
        "tasks" => ("TasksMax", 64),
        _ => return None,
    };
    let unit = found.unit("unit").filter(|unit| unit.ends_with(".service") && !unit.contains('/'))?;
    let now: u64 = found.unit(what)?.parse().ok().filter(|now| *now < u64::MAX / 2)?;
    if found.scope == Scope::User {
        return None;
    }
    let (unit, scope) = (unit.to_owned(), found.scope);
    let folder = format!("/run/systemd/system/{unit}.d");
    let text = format!("[Service]\n{key}={}\n", (now * 2).max(least));
    Some(vec![
        // Its undo comes last, and starts the unit again as it was.
        Step::HoldUnit { unit, scope },
        Step::Folder { path: folder.clone(), mode: 0o755, owner: None },
        // Settings are read in the order of their files' names, and those of `systemctl edit` are in `override.conf`.
        Step::Put {
            path: format!("{folder}/zz-raised-{what}.conf"),
            content: Content::open(text),
            mode: 0o644,
            owner: None,
        },
        Step::ReloadUnits { scope },
    ])
}
