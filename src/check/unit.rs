//! unit: every instance is active, and is still the same process at the next question. It is read from one look at the
//! supervisor, whichever the host has.

use std::collections::BTreeMap;

use super::shown::{last_line, shown};
use super::{Bad, Good, Need, Ran, Subject, Verdict};
use crate::host::{Seen, SeenUnit, Supervisor, look};
use crate::model::{Cmd, Scope};

/// Asks the supervising loop in each folder of a supervised process, which knows its process by its start time.
const PROCESSES: &str = include_str!("processes.sh");

/// Inspects the containers of a project.
const CONTAINERS: &str = r#"all=$(docker ps -aq --filter "label=com.docker.compose.project=$1" --filter label=com.docker.compose.oneoff=False) || exit
[ -z "$all" ] || exec docker inspect --format "$2" $all"#;

/// Prints each job under a line of its own.
const JOBS: &str = r#"domain=$1; shift; for job; do printf '@%s\n' "$job"; launchctl print "$domain/$job" || :; done"#;

pub(super) fn words(subject: &Subject) -> Result<Need, Verdict> {
    if subject.units.is_empty() {
        return Err(Verdict::Unseen("the service has no unit on this host".into()));
    }
    let units = subject.units.iter().cloned();
    Ok(Need::State(match subject.supervisor {
        Supervisor::Systemd => {
            let (first, scope) = match subject.scope {
                Scope::System => (Cmd::new("systemctl"), "--system"),
                Scope::User => {
                    let at = format!("XDG_RUNTIME_DIR=/run/user/{}", subject.uid);
                    (Cmd::new("env").args([at.as_str(), "systemctl"]), "--user")
                }
            };
            first.args([scope, "show", "-p", PROPERTIES, "--"]).args(units)
        }
        Supervisor::Launchd => {
            let domain = if subject.scope == Scope::User { format!("gui/{}", subject.uid) } else { "system".into() };
            Cmd::new("sh").args(["-c", JOBS, "sh", &domain]).args(units)
        }
        Supervisor::Process => Cmd::new("sh").args(["-c", PROCESSES, "sh"]).args(units),
        Supervisor::Compose => Cmd::new("sh").args(["-c", CONTAINERS, "sh", project(subject), look::INSPECT]),
    }))
}

/// The project that the parts belong to.
pub(super) fn project(subject: &Subject) -> &str {
    subject.units.first().and_then(|name| name.split('/').next()).unwrap_or_default()
}

const PROPERTIES: &str = "Id,LoadState,ActiveState,SubState,Result,ExecMainStatus,NRestarts,MainPID,UnitFileState";

/// Judges what the supervisor said.
pub(super) fn judge(subject: &Subject, ran: &Ran) -> Verdict {
    if matches!(ran.code, None | Some(126 | 127)) {
        return Verdict::Unseen(format!("the supervisor cannot be asked: {}", last_line(&ran.err)));
    }
    if subject.supervisor == Supervisor::Compose && ran.code != Some(0) {
        return Verdict::Unseen(format!("docker cannot be asked: {}", last_line(&ran.err)));
    }
    let text = String::from_utf8_lossy(&ran.out);
    let seen = match subject.supervisor {
        Supervisor::Systemd => look::units(&text),
        Supervisor::Launchd => blocks(&text).map(|(name, block)| (name.to_owned(), look::job(block))).collect(),
        Supervisor::Compose => {
            let all = match look::containers(&text) {
                Ok(all) => all,
                Err(line) => return Verdict::Unseen(format!("docker tells of a container in unknown words: {line}")),
            };
            let mut seen = look::container_units(&all, None);
            for name in &subject.units {
                seen.entry(name.clone()).or_default();
            }
            seen
        }
        Supervisor::Process => blocks(&text).map(|(name, block)| (name.to_owned(), look::process(block))).collect(),
    };
    judged(subject, &seen).unwrap_or_else(|name| {
        let said = [last_line(&ran.err), last_line(&ran.out)].concat();
        Verdict::Unseen(format!("the supervisor says nothing of {name}: {said}"))
    })
}

/// What a look that was taken already says; nothing where it tells nothing of a unit.
pub(super) fn seen(subject: &Subject, seen: &Seen) -> Option<Verdict> {
    // What docker does not tell of though it answers is not there.
    let gone = || (subject.supervisor == Supervisor::Compose && seen.blind.is_none()).then(SeenUnit::default);
    let unit = |name: &String| Some((name.clone(), seen.units.get(name).cloned().or_else(gone)?));
    let units: BTreeMap<String, SeenUnit> = subject.units.iter().map(unit).collect::<Option<_>>()?;
    if units.is_empty() { None } else { judged(subject, &units).ok() }
}

/// Judges all units of a service; an error is the name of one of which nothing is known.
fn judged<'s>(subject: &'s Subject, seen: &BTreeMap<String, SeenUnit>) -> Result<Verdict, &'s str> {
    let mut lives = Vec::new();
    for name in &subject.units {
        let unit = seen.get(name).ok_or(name.as_str())?;
        if let Some(bad) = fault(name, unit) {
            return Ok(Verdict::Bad(bad));
        }
        lives.push(format!("{name} {}", unit.pid));
    }
    let says = if lives.len() == 1 { "active".into() } else { format!("all {} active", lives.len()) };
    Ok(Verdict::Good(Good { says, life: Some(lives.join(", ")), certificate: None }))
}

/// What is wrong with a unit, if anything.
fn fault(name: &str, unit: &SeenUnit) -> Option<Bad> {
    let state = if unit.sub.is_empty() { unit.active.clone() } else { format!("{} ({})", unit.active, unit.sub) };
    let says = if !unit.loaded {
        if name.contains('/') { "it has no container" } else { "the supervisor does not know it" }.to_owned()
    } else if unit.sub == "auto-restart" {
        "it ended and waits to be started again".to_owned()
    } else if unit.sub == "unhealthy" {
        "its own health check fails".to_owned()
    } else if unit.sub == "starting" {
        "its own health check has not said yes yet".to_owned()
    } else if unit.runs() {
        return None;
    } else {
        format!("it is {}", shown(unit.active.as_bytes()))
    };
    let facts = [("state", state), ("result", unit.result.clone()), ("exit status", unit.status.clone())];
    let told = facts.into_iter().filter(|(_, value)| !value.is_empty());
    let evidence = told.map(|(key, value)| format!("{name}: {key} {}", shown(value.as_bytes()))).collect();
    // A unit that is down and that nothing will start again does not come up by waiting.
    Some(Bad { says: format!("{name}: {says}"), evidence, hopeless: unit.active == "failed" })
}

/// The parts of an answer, each under a line `@NAME`.
fn blocks(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let after_first = text.strip_prefix('@').unwrap_or_default();
    after_first.split("\n@").filter_map(|part| part.split_once('\n').or(Some((part, ""))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn subject(supervisor: Supervisor, unit: &str) -> Subject {
        let units = vec![unit.to_owned()];
        Subject { supervisor, scope: Scope::System, units, folder: None, uid: 501, tools: BTreeSet::new() }
    }

    fn said(out: &str) -> Ran {
        Ran { code: Some(0), out: out.into(), err: Vec::new() }
    }

    #[test]
    fn systemd_is_read() {
        let api = subject(Supervisor::Systemd, "api.service");
        let answer = |active: &str, sub: &str, pid: u32| {
            said(&format!("Id=api.service\nLoadState=loaded\nActiveState={active}\nSubState={sub}\nMainPID={pid}\n"))
        };
        let Verdict::Good(good) = judge(&api, &answer("active", "running", 7)) else { panic!("good") };
        assert_eq!(good.life.as_deref(), Some("api.service 7"));
        let Verdict::Bad(bad) = judge(&api, &answer("failed", "failed", 0)) else { panic!("bad") };
        assert!(bad.hopeless);
        let Verdict::Bad(bad) = judge(&api, &answer("activating", "auto-restart", 0)) else { panic!("bad") };
        assert!(!bad.hopeless && bad.says.contains("again"), "{bad:?}");
        let Verdict::Unseen(_) = judge(&api, &said("Failed to connect to bus\n")) else { panic!("unseen") };
    }

    #[test]
    fn a_look_that_was_taken_needs_no_question() {
        let api = subject(Supervisor::Compose, "portoser-api/api");
        let unit = SeenUnit { loaded: true, active: "active".into(), sub: "running".into(), ..SeenUnit::default() };
        let there = Seen { units: BTreeMap::from([("portoser-api/api".to_owned(), unit)]), ..Seen::default() };
        assert!(matches!(seen(&api, &there), Some(Verdict::Good(_))));
        let gone = seen(&api, &Seen::default());
        assert!(matches!(&gone, Some(Verdict::Bad(bad)) if bad.says.ends_with("it has no container")), "{gone:?}");
        let blind = Seen { blind: Some("docker does not answer".into()), ..Seen::default() };
        assert!(seen(&api, &blind).is_none() && seen(&subject(Supervisor::Systemd, "api.service"), &there).is_none());
    }

    #[test]
    fn launchd_is_read() {
        let api = subject(Supervisor::Launchd, "dev.portoser.api");
        let answer = "@dev.portoser.api\nsystem/dev.portoser.api = {\n\tstate = running\n\n\tpid = 123\n\tlast exit code = 0\n}\n";
        let Verdict::Good(good) = judge(&api, &said(answer)) else { panic!("good") };
        assert_eq!(good.life.as_deref(), Some("dev.portoser.api 123"));
        let Verdict::Bad(bad) = judge(&api, &said("@dev.portoser.api\n\tstate = not running\n\tlast exit code = 78\n"))
        else {
            panic!("bad")
        };
        assert!(bad.evidence.iter().any(|line| line.contains("78")), "{bad:?}");
        assert!(matches!(judge(&api, &said("@dev.portoser.api\nCould not find service\n")), Verdict::Bad(_)));
    }

    #[test]
    fn a_supervised_process_is_read() {
        let folder = "/opt/portoser/services/api/process/1";
        let api = subject(Supervisor::Process, folder);
        let block = |says: &str| said(&format!("@{folder}\n{says}\n"));
        let Verdict::Good(good) = judge(&api, &block("lives 4711 99 boot")) else { panic!("good") };
        assert_eq!(good.life, Some(format!("{folder} 4711")));
        assert!(matches!(judge(&api, &block("waits")), Verdict::Bad(bad) if !bad.hopeless));
        assert!(matches!(judge(&api, &block("ended")), Verdict::Bad(bad) if bad.hopeless));
        assert!(matches!(judge(&api, &said("")), Verdict::Unseen(_)));
    }
}
