//! systemd: the unit's text, and the steps that bring units into force. The text comes from `templates/systemd.service.j2`, which
//! a registry may replace with its own. Escapes follow systemd.service(5), systemd.syntax(7) and systemd.exec(5).

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Duration;

use minijinja::{Environment, UndefinedBehavior, context};

use crate::host::{Layout, OURS, Record, UnitFile};
use crate::model::{Probe, ReleaseId, Scope, Step, UnitChange};
use crate::plan::{Refused, Subject};
use crate::registry::{RestartPolicy, Service};

const TEMPLATE: &str = include_str!("../../templates/systemd.service.j2");

const NAME: &str = "systemd.service";

static OURS_PARSED: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut engine = engine();
    // An error would be told by the first rendering, and the tests render it.
    let _ = engine.add_template(NAME, TEMPLATE);
    engine
});

fn engine() -> Environment<'static> {
    let mut engine = Environment::new();
    engine.set_undefined_behavior(UndefinedBehavior::SemiStrict);
    engine.set_fuel(Some(100_000));
    engine
}

/// How long a unit may take to become active after the start; a service that needs longer says so in its checks.
const START: Duration = Duration::from_secs(30);

/// The name of the unit of an instance. The prefix keeps clear of the distribution's own units.
pub(super) fn unit_name(service: &Service, instance: u16) -> String {
    if service.instances > 1 {
        format!("portoser-{}@{instance}.service", service.name)
    } else {
        format!("portoser-{}.service", service.name)
    }
}

/// The unit of an instance, as a file.
pub(super) fn unit(
    subject: &Subject<'_>,
    id: &ReleaseId,
    instance: u16,
    words: &[String],
) -> Result<UnitFile, Refused> {
    let service = subject.service;
    let name = unit_name(service, instance);
    let (folder, target) = match service.scope {
        Scope::System => ("/etc/systemd/system".to_owned(), "multi-user.target"),
        Scope::User => (format!("{}/.config/systemd/user", subject.facts.home), "default.target"),
    };
    let text = render(subject, id, instance, words, target)?;
    Ok(UnitFile {
        path: Some(format!("{folder}/{name}")),
        enable: Some(format!("{folder}/{target}.wants/{name}")),
        name,
        text,
    })
}

fn render(
    subject: &Subject<'_>,
    id: &ReleaseId,
    instance: u16,
    words: &[String],
    target: &str,
) -> Result<String, Refused> {
    let service = subject.service;
    let release = Layout::new(&subject.facts.base).release(&service.name, id);
    let command: Result<Vec<String>, Refused> = words.iter().map(|word| escape(word)).collect();
    let values = context! {
        service => service.name.as_str(),
        release => id.as_str(),
        description => format!("{} (portoser)", service.name),
        folder => path(&release),
        env_file => path(&format!("{release}/{OURS}/env.{instance}")),
        command => command?.join(" "),
        user => service.user.as_deref().map(specifier),
        restart => context! {
            policy => match service.restart.policy {
                RestartPolicy::Always => "always",
                RestartPolicy::OnFailure => "on-failure",
                RestartPolicy::Never => "no",
            },
            max => service.restart.max,
            within => seconds(service.restart.within),
            delay => seconds(service.restart.delay),
        },
        stop => context! { signal => service.stop.signal.as_str(), timeout => seconds(service.stop.timeout) },
        limits => context! {
            memory => service.limits.memory,
            cpu => service.limits.cpu_millis.map(|millis| f64::from(millis) / 10.0),
            files => service.limits.files,
            tasks => service.limits.tasks,
        },
        log => context! { lines => service.log.lines, per => seconds(service.log.per.unwrap_or(Duration::from_secs(30))) },
        identifier => service.name.as_str(),
        harden => service.harden,
        target => target,
    };
    let text = match subject.sources.templates.get("systemd.service") {
        Some(own) => engine().render_str(own, values),
        // Parsing the template costs more than filling it in; a plan of ten thousand services does it once.
        None => OURS_PARSED.get_template(NAME).and_then(|template| template.render(values)),
    };
    let text = text.map_err(|error| {
        let line = error.line().unwrap_or_default();
        Refused::new(format!("the template systemd.service.j2, line {line}: {error}"), "compare it with portoser's own")
    })?;
    Ok(text + "\n")
}

/// Seconds with milliseconds, as systemd.time(7) reads them.
fn seconds(time: Duration) -> String {
    format!("{}ms", time.as_millis())
}

/// A `%` begins a specifier in every value.
fn specifier(text: &str) -> String {
    text.replace('%', "%%")
}

/// A path as the value of a setting that takes one path; our paths hold no quotes or control characters.
fn path(path: &str) -> String {
    specifier(path)
}

/// One word of a command line: quoted, C escapes, `$` and `%` doubled, so that systemd hands over the very word.
fn escape(word: &str) -> Result<String, Refused> {
    let mut text = String::from("\"");
    for c in word.chars() {
        match c {
            '\0' => return Err(Refused::new("a word of `run` holds a NUL character", "no program can be given one")),
            '\\' => text.push_str("\\\\"),
            '"' => text.push_str("\\\""),
            '$' => text.push_str("$$"),
            '%' => text.push_str("%%"),
            '\n' => text.push_str("\\n"),
            '\t' => text.push_str("\\t"),
            c if c.is_ascii_control() => text.push_str(&format!("\\x{:02x}", c as u32)),
            c => text.push(c),
        }
    }
    text.push('"');
    Ok(text)
}

/// The environment in the format of `EnvironmentFile=`: in double quotes only `"`, `\`, `` ` `` and `$` are escaped, and a newline
/// is itself. systemd drops a value with any other control character, so such a value is refused here.
pub(super) fn env_file(env: &BTreeMap<String, String>) -> Result<String, Refused> {
    let mut text = String::new();
    for (name, value) in env {
        if value.chars().any(|c| c.is_control() && c != '\n' && c != '\t') {
            return Err(Refused::new(
                format!("the value of the environment variable `{name}` holds a control character"),
                "systemd carries only newline and tab; put the value into a file",
            ));
        }
        text.push_str(name);
        text.push_str("=\"");
        for c in value.chars() {
            if matches!(c, '"' | '\\' | '`' | '$') {
                text.push('\\');
            }
            text.push(c);
        }
        text.push_str("\"\n");
    }
    Ok(text)
}

/// Brings our own units into force. The unit's file decides which release runs; `current` follows at once. A unit of the
/// release before that has no successor (fewer instances) is stopped and removed.
pub(super) fn activate(record: &Record, before: Option<&Record>, link: Step) -> Vec<Step> {
    let scope = record.scope;
    let old = before.map(|before| before.units.as_slice()).unwrap_or_default();
    let gone: Vec<&UnitFile> =
        old.iter().filter(|unit| unit.path.is_some() && record.units.iter().all(|new| new.path != unit.path)).collect();
    let mut steps = Vec::new();
    for unit in record.units.iter().chain(gone.iter().copied()) {
        steps.push(Step::HoldUnit { unit: unit.name.clone(), scope });
    }
    for unit in &record.units {
        steps.extend(put(unit));
    }
    for unit in gone {
        steps.push(Step::Unit { unit: unit.name.clone(), scope, change: UnitChange::Stop });
        steps.extend(take(unit));
    }
    steps.push(link);
    steps.push(Step::ReloadUnits { scope });
    for unit in &record.units {
        steps.push(Step::Unit { unit: unit.name.clone(), scope, change: UnitChange::Restart });
    }
    steps.extend(record.units.iter().map(|unit| active(unit, scope)));
    steps
}

/// Starts units that are the user's own; their files are not ours.
pub(super) fn adopt(record: &Record, link: Step) -> Vec<Step> {
    let scope = record.scope;
    let mut steps = vec![link];
    for unit in &record.units {
        steps.push(Step::HoldUnit { unit: unit.name.clone(), scope });
        steps.push(Step::Unit { unit: unit.name.clone(), scope, change: UnitChange::Start });
        steps.push(active(unit, scope));
    }
    steps
}

pub(super) fn change(record: &Record, change: UnitChange) -> Vec<Step> {
    let scope = record.scope;
    let mut steps = Vec::new();
    for unit in &record.units {
        steps.push(Step::HoldUnit { unit: unit.name.clone(), scope });
        steps.push(Step::Unit { unit: unit.name.clone(), scope, change });
        if change != UnitChange::Stop {
            steps.push(active(unit, scope));
        }
    }
    steps
}

pub(super) fn remove(record: &Record) -> Vec<Step> {
    let scope = record.scope;
    let mut steps = Vec::new();
    for unit in record.units.iter().filter(|unit| unit.path.is_some()) {
        steps.push(Step::HoldUnit { unit: unit.name.clone(), scope });
        steps.push(Step::Unit { unit: unit.name.clone(), scope, change: UnitChange::Stop });
        steps.extend(take(unit));
    }
    steps.push(Step::ReloadUnits { scope });
    steps
}

fn put(unit: &UnitFile) -> Vec<Step> {
    let mut steps = Vec::new();
    if let Some(path) = &unit.path {
        let content = crate::model::Content::open(unit.text.clone());
        // A job of launchd holds its environment; a unit of systemd names a file for it.
        let mode = if path.ends_with(".plist") { 0o600 } else { 0o644 };
        steps.push(Step::Put { path: path.clone(), content, mode, owner: None });
        if let Some(enable) = &unit.enable {
            // The link that `systemctl enable` makes for this [Install] section; made by us, it can be put back exactly.
            let folder = enable.rsplit_once('/').map_or("/", |(folder, _)| folder).to_owned();
            steps.insert(0, Step::Folder { path: folder, mode: 0o755, owner: None });
            steps.push(Step::Link { path: enable.clone(), target: path.clone() });
        }
    }
    steps
}

fn take(unit: &UnitFile) -> Vec<Step> {
    unit.enable.iter().chain(&unit.path).map(|path| Step::Remove { path: path.clone() }).collect()
}

fn active(unit: &UnitFile, scope: Scope) -> Step {
    Step::Wait { probe: Probe::UnitActive { unit: unit.name.clone(), scope }, within: START }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_escaped_for_exec_start() {
        assert_eq!(escape("a b").ok().as_deref(), Some("\"a b\""));
        assert_eq!(escape("$(x) %h \"q\" \\ \n").ok().as_deref(), Some("\"$$(x) %%h \\\"q\\\" \\\\ \\n\""));
        assert!(escape("a\0b").is_err());
    }

    #[test]
    fn an_environment_value_keeps_its_newline_and_refuses_other_controls() {
        let env = BTreeMap::from([("A".to_owned(), "x\"$`\\\ny".to_owned())]);
        assert_eq!(env_file(&env).ok().as_deref(), Some("A=\"x\\\"\\$\\`\\\\\ny\"\n"));
        assert!(env_file(&BTreeMap::from([("A".to_owned(), "\u{1b}".to_owned())])).is_err());
    }
}
