//! launchd: the job's property list, as launchd.plist(5) has it. The steps are those of units (`systemd.rs`); the run script
//! speaks to launchctl. None of this ever ran on a Mac: it is held to the manual pages and to answers
//! that we wrote after published ones.

use minijinja::{AutoEscape, Environment, UndefinedBehavior, context};

use crate::host::{Layout, UnitFile};
use crate::model::{ReleaseId, Scope};
use crate::plan::{self, Refused, Subject};
use crate::registry::{RestartPolicy, Service};

const TEMPLATE: &str = include_str!("../../templates/launchd.plist.j2");

/// The label of an instance's job.
pub(super) fn label(service: &Service, instance: u16) -> String {
    if service.instances > 1 {
        format!("portoser-{}.{instance}", service.name)
    } else {
        format!("portoser-{}", service.name)
    }
}

/// The job of an instance, as a file. It holds the environment, so only its owner may read it.
pub(super) fn unit(
    subject: &Subject<'_>,
    id: &ReleaseId,
    instance: u16,
    words: &[String],
) -> Result<UnitFile, Refused> {
    let name = label(subject.service, instance);
    let folder = match subject.service.scope {
        Scope::System => "/Library/LaunchDaemons".to_owned(),
        Scope::User => format!("{}/Library/LaunchAgents", subject.facts.home),
    };
    let text = render(subject, id, instance, words, &name)?;
    Ok(UnitFile { path: Some(format!("{folder}/{name}.plist")), enable: None, name, text })
}

fn render(
    subject: &Subject<'_>,
    id: &ReleaseId,
    instance: u16,
    words: &[String],
    label: &str,
) -> Result<String, Refused> {
    let service = subject.service;
    let layout = Layout::new(&subject.facts.base);
    let env: Vec<(String, String)> =
        plan::environment(subject, &plan::variables(subject, id, instance)).into_iter().collect();
    let texts = words.iter().chain(env.iter().map(|(_, value)| value));
    for text in texts {
        // XML 1.0 has no way to write most control characters.
        if text.chars().any(|c| c.is_control() && c != '\n' && c != '\t') {
            return Err(Refused::new(
                "a word of `run` or a value of `env` holds a control character",
                "a property list carries only newline and tab; put the value into a file",
            ));
        }
    }
    let values = context! {
        service => service.name.as_str(),
        release => id.as_str(),
        label => label,
        words => words.to_vec(),
        env => env,
        folder => layout.release(&service.name, id),
        user => service.user.as_deref(),
        restart => context! {
            policy => match service.restart.policy {
                RestartPolicy::Always => "always",
                RestartPolicy::OnFailure => "on-failure",
                RestartPolicy::Never => "never",
            },
            delay => service.restart.delay.as_secs().max(1),
        },
        stop => context! { timeout => service.stop.timeout.as_secs().max(1) },
        limits => context! { files => service.limits.files },
        log => format!("{}/log.{instance}", layout.service(&service.name)),
    };
    let template = subject.sources.templates.get("launchd.plist").map_or(TEMPLATE, String::as_str);
    let text = subject.sources.parsed.render("launchd.plist", template, || Ok(engine()), values).map_err(|error| {
        let line = error.line().unwrap_or_default();
        Refused::new(format!("the template launchd.plist.j2, line {line}: {error}"), "compare it with portoser's own")
    })?;
    Ok(text + "\n")
}

fn engine() -> Environment<'static> {
    let mut engine = Environment::new();
    engine.set_undefined_behavior(UndefinedBehavior::SemiStrict);
    // The rules of HTML escape all that XML text must not hold.
    engine.set_auto_escape_callback(|_| AutoEscape::Html);
    engine.set_fuel(Some(1_000_000));
    engine
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::{Facts, Init};
    use crate::plan::Sources;
    use crate::registry::{Format, load_text};

    const REGISTRY: &str = "version: 1
hosts: { mac: { address: 192.0.2.1 } }
services:
  api:
    type: native
    host: mac
    run: [/usr/local/bin/api, '--name=<a & b>']
    port: 8080
    restart: { policy: on-failure }
";

    #[test]
    fn a_property_list_is_written() {
        let registry = load_text(REGISTRY, Format::Yaml, "/tmp/registry.yml".as_ref(), None).expect("valid");
        let (service, host) =
            (registry.services.values().next().expect("one"), registry.hosts.values().next().expect("one"));
        let facts = Facts { init: Init::Launchd, base: "/opt/portoser".into(), ..Facts::default() };
        let sources = Sources::default();
        let subject = Subject { service, host, facts: &facts, sources: &sources, first: false };
        let id = ReleaseId::from_digest(&[1; 32]);
        let words = ["/usr/local/bin/api".to_owned(), "--name=<a & b>".to_owned()];
        let unit = unit(&subject, &id, 1, &words).expect("written");
        assert_eq!(unit.path.as_deref(), Some("/Library/LaunchDaemons/portoser-api.plist"));
        assert!(unit.text.contains("<string>--name=&lt;a &amp; b&gt;</string>"), "{}", unit.text);
        assert!(unit.text.contains("<key>PORT</key><string>8080</string>"), "{}", unit.text);
        assert!(unit.text.contains("<key>SuccessfulExit</key><false/>"), "{}", unit.text);
    }
}
