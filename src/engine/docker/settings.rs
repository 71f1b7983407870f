//! What a `.env` beside the user's compose file says to compose itself. Files, project and parts are named here by portoser, so what says
//! otherwise there is refused: passed by in silence, it would bring up other parts, or the same ones beside the data that they had.

use crate::engine::docker::caller;
use crate::host::run::{TreeEntry, TreeKind};
use crate::model::ReleaseId;
use crate::plan::{self, Refused, Subject};

const PROFILES: &str = "COMPOSE_PROFILES";

/// Refuses what would not be as it says, in the `.env` that is sent along and in `env`.
pub(super) fn holds(
    subject: &Subject<'_>,
    entries: &[TreeEntry],
    files: &[String],
    project: &str,
) -> Result<(), Refused> {
    let env = plan::environment(subject, &plan::variables(subject, &ReleaseId::from_digest(&[0; 32]), 1));
    let hint = "take `profiles` away from the parts that are meant: parts with profiles are not brought up";
    if env.get(PROFILES).is_some_and(|value| !value.is_empty()) {
        return Err(Refused::new(format!("`env` has `{PROFILES}`, by which compose itself would go"), hint));
    }
    let beside = entries.iter().find(|entry| entry.path == ".env").and_then(|entry| match &entry.kind {
        TreeKind::File { from, .. } => subject.sources.texts.get(from),
        _ => None,
    });
    match beside {
        Some(bytes) => settings(&String::from_utf8_lossy(bytes), files, project),
        None => Ok(()),
    }
}

fn settings(text: &str, files: &[String], project: &str) -> Result<(), Refused> {
    let given = |name: &str| value(text, name).filter(|value| !value.is_empty());
    if let Some(name) = given("COMPOSE_PROJECT_NAME").filter(|name| *name != project) {
        return Err(Refused::new(
            format!(
                "`.env` calls the project `{name}` (COMPOSE_PROJECT_NAME), and here it is `{project}`, with volumes of its own"
            ),
            format!(
                "write `name: {name}` at the top of the compose file, or take the line away if its volumes may be new"
            ),
        ));
    }
    if let Some(all) = given("COMPOSE_FILE").filter(|all| *all != files.join(":")) {
        return Err(Refused::new(
            format!("`.env` names the compose files `{all}` (COMPOSE_FILE), which are not looked at here"),
            "write them as one file (`docker compose config` prints it), or as compose.yml and compose.override.yml",
        ));
    }
    if let Some(all) = given(PROFILES) {
        return Err(Refused::new(
            format!("`.env` brings up parts with the profiles `{all}` ({PROFILES})"),
            "take `profiles` away from the parts that are meant, and the line from `.env`",
        ));
    }
    match caller::OWN.iter().find(|name| name.starts_with("DOCKER_") && given(name).is_some()) {
        Some(name) => Err(Refused::new(
            format!("`.env` has `{name}`, by which compose would speak to another engine than the host's"),
            "take the line away",
        )),
        None => Ok(()),
    }
}

/// The last value that a `.env` gives to a name.
fn value<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let of = |line: &'t str| {
        let line = line.trim_start();
        let value = line.strip_prefix("export ").unwrap_or(line).trim_start().strip_prefix(name)?;
        let value = value.trim_start().strip_prefix('=')?;
        let value = value.split(" #").next().unwrap_or_default().trim();
        Some(['"', '\''].iter().find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote)).unwrap_or(value))
    };
    text.lines().filter_map(of).next_back()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_compose_would_go_by_is_refused_unless_it_is_so_anyway() {
        let judged = |text: &str| settings(text, &["compose.yml".to_owned()], "shop").map_err(|why| why.what);
        for good in [
            "",
            "A=1\nCOMPOSE_PROFILES=\n",
            "COMPOSE_PROJECT_NAME=shop\nCOMPOSE_FILE='compose.yml'\n",
            "# COMPOSE_PROFILES=debug\nCOMPOSE_PROJECT_NAME=other\nexport COMPOSE_PROJECT_NAME = \"shop\" # ours\n",
            "MY_COMPOSE_PROFILES=x\nCOMPOSE_PROFILES_OLD=x\n",
        ] {
            assert_eq!(judged(good), Ok(()), "{good}");
        }
        for (bad, told) in [
            ("COMPOSE_PROJECT_NAME=old", "`old`"),
            ("COMPOSE_PROJECT_NAME=shop\nCOMPOSE_PROJECT_NAME=$X", "`$X`"),
            ("COMPOSE_FILE=compose.yml:more.yml", "more.yml"),
            ("  export COMPOSE_PROFILES='debug'\r\n", "`debug`"),
            ("DOCKER_HOST=tcp://192.0.2.1:2375", "DOCKER_HOST"),
        ] {
            assert!(judged(bad).is_err_and(|why| why.contains(told)), "{bad}");
        }
    }
}
