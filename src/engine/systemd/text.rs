//! The text of a unit, from `templates/systemd.service.j2`, which a registry may replace with its own. Escapes follow
//! systemd.service(5) and systemd.syntax(7).

use std::collections::BTreeMap;
use std::time::Duration;

use minijinja::{Environment, UndefinedBehavior, Value};

use crate::engine::outline::{Outlines, Setting, Settings};
use crate::host::{Layout, OURS};
use crate::model::ReleaseId;
use crate::plan::{Refused, Subject};
use crate::registry::RestartPolicy;

const TEMPLATE: &str = include_str!("../../../templates/systemd.service.j2");

/// The text of the unit of an instance.
pub(super) fn render(
    subject: &Subject<'_>,
    id: &ReleaseId,
    instance: u16,
    words: &[String],
    target: &'static str,
) -> Result<String, Refused> {
    let settings = settings(subject, id, instance, words, target)?;
    let text = match subject.sources.templates.get("systemd.service") {
        Some(own) => subject.sources.parsed.render("systemd.service", own, || Ok(engine()), context(settings)),
        None => ours(settings),
    };
    let text = text.map_err(|error| {
        let line = error.line().unwrap_or_default();
        Refused::new(format!("the template systemd.service.j2, line {line}: {error}"), "compare it with portoser's own")
    })?;
    Ok(text + "\n")
}

fn ours(settings: Settings<'_>) -> Result<String, minijinja::Error> {
    static OUTLINES: Outlines = Outlines::new();
    match OUTLINES.fill(&settings, in_full) {
        Some(text) => Ok(text),
        None => in_full(settings),
    }
}

fn in_full(settings: Settings<'_>) -> Result<String, minijinja::Error> {
    engine().render_str(TEMPLATE, context(settings))
}

fn engine() -> Environment<'static> {
    let mut engine = Environment::new();
    engine.set_undefined_behavior(UndefinedBehavior::SemiStrict);
    engine.set_fuel(Some(100_000));
    engine
}

fn context(settings: Settings<'_>) -> Value {
    let (mut all, mut groups) = (BTreeMap::new(), BTreeMap::<&str, BTreeMap<&str, Value>>::new());
    for (name, setting) in settings {
        match name.split_once('.') {
            Some((group, name)) => groups.entry(group).or_default().insert(name, setting.into()),
            None => all.insert(name, setting.into()),
        };
    }
    all.extend(groups.into_iter().map(|(group, values)| (group, Value::from(values))));
    Value::from(all)
}

fn settings<'a>(
    subject: &Subject<'a>,
    id: &'a ReleaseId,
    instance: u16,
    words: &[String],
    target: &'static str,
) -> Result<Settings<'a>, Refused> {
    let service = subject.service;
    let release = specifier(&Layout::new(&subject.facts.base).release(&service.name, id));
    let mut command = String::with_capacity(256);
    for word in words {
        if !command.is_empty() {
            command.push(' ');
        }
        escape(word, &mut command)?;
    }
    let policy = match service.restart.policy {
        RestartPolicy::Always => "always",
        RestartPolicy::OnFailure => "on-failure",
        RestartPolicy::Never => "no",
    };
    let own = |text: String| Setting::Text(text.into());
    let text = |text: &'a str| Setting::Text(text.into());
    let (limits, log) = (&service.limits, &service.log);
    Ok(vec![
        ("service", text(service.name.as_str())),
        ("release", text(id.as_str())),
        ("description", own(service.name.as_str().to_owned() + " (portoser)")),
        ("env_file", own([release.as_str(), "/", OURS, "/env.", &instance.to_string()].concat())),
        ("folder", own(release)),
        ("command", own(command)),
        ("reload", service.reload.as_deref().map_or(Setting::Nothing, |signal| text(signal.trim_start_matches("SIG")))),
        ("user", service.user.as_deref().map_or(Setting::Nothing, |user| own(specifier(user)))),
        ("restart.policy", text(policy)),
        ("restart.max", Setting::Number(Some(service.restart.max.into()))),
        ("restart.within", own(seconds(service.restart.within))),
        ("restart.delay", own(seconds(service.restart.delay))),
        ("stop.signal", text(&service.stop.signal)),
        ("stop.timeout", own(seconds(service.stop.timeout))),
        ("limits.memory", Setting::Number(limits.memory)),
        ("limits.cpu", Setting::Tenths(limits.cpu_millis)),
        ("limits.files", Setting::Number(limits.files)),
        ("limits.tasks", Setting::Number(limits.tasks)),
        ("log.lines", Setting::Number(log.lines.map(u64::from))),
        ("log.per", own(seconds(log.per.unwrap_or(Duration::from_secs(30))))),
        ("identifier", text(service.name.as_str())),
        ("harden", own(service.harden.iter().map(|one| one.lines()).collect::<Vec<_>>().join("\n"))),
        ("target", text(target)),
    ])
}

/// Seconds with milliseconds, as systemd.time(7) reads them.
fn seconds(time: Duration) -> String {
    // The registry's times are far below the 500 million years at which this would matter.
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX).to_string() + "ms"
}

/// A `%` begins a specifier in every value; our paths hold nothing else that has a meaning there.
fn specifier(text: &str) -> String {
    text.replace('%', "%%")
}

/// One word of a command line: quoted, C escapes, `$` and `%` doubled, so that systemd hands over the very word.
fn escape(word: &str, text: &mut String) -> Result<(), Refused> {
    text.push('"');
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
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn escaped(word: &str) -> Option<String> {
        let mut text = String::new();
        escape(word, &mut text).ok().map(|()| text)
    }

    #[test]
    fn a_word_is_escaped_for_exec_start() {
        assert_eq!(escaped("a b").as_deref(), Some("\"a b\""));
        assert_eq!(escaped("$(x) %h \"q\" \\ \n").as_deref(), Some("\"$$(x) %%h \\\"q\\\" \\\\ \\n\""));
        assert!(escaped("a\0b").is_none());
    }

    /// All that may be missing may be there or not, and some texts are any text.
    fn some_settings() -> impl Strategy<Value = Settings<'static>> {
        let number = || prop::option::of(any::<u64>());
        let tenths = prop::option::of(0..5_000_000_u32);
        let missing = (prop::option::of("[ -~\u{1}\u{2}é]{0,8}"), number(), tenths, number(), number(), number());
        let texts = prop::array::uniform6("[ -~\n\u{1}\u{2}0-9é]{1,12}");
        (missing, texts, any::<bool>()).prop_map(|((user, memory, cpu, files, tasks, lines), texts, harden)| {
            let [release, folder, command, policy, per, target] = texts;
            let own = |text: String| Setting::Text(text.into());
            let text = |text: &'static str| Setting::Text(text.into());
            vec![
                ("service", text("api")),
                ("release", own(release)),
                ("description", text("api (portoser)")),
                ("env_file", text("/env")),
                ("folder", own(folder)),
                ("command", own(command)),
                ("reload", if harden { text("HUP") } else { Setting::Nothing }),
                ("user", user.map_or(Setting::Nothing, own)),
                ("restart.policy", own(policy)),
                ("restart.max", Setting::Number(Some(5))),
                ("restart.within", text("60000ms")),
                ("restart.delay", text("1ms")),
                ("stop.signal", text("SIGTERM")),
                ("stop.timeout", text("30ms")),
                ("limits.memory", Setting::Number(memory)),
                ("limits.cpu", Setting::Tenths(cpu)),
                ("limits.files", Setting::Number(files)),
                ("limits.tasks", Setting::Number(tasks)),
                ("log.lines", Setting::Number(lines)),
                ("log.per", own(per)),
                ("identifier", text("api")),
                ("harden", if harden { text("PrivateTmp=yes") } else { text("") }),
                ("target", own(target)),
            ]
        })
    }

    proptest! {
        #[test]
        fn the_outline_of_our_template_is_filled_in_as_the_template_would_be(settings in some_settings()) {
            let filled = Outlines::new().fill(&settings, in_full);
            prop_assert_eq!(filled, Some(in_full(settings).expect("rendered")));
        }
    }
}
