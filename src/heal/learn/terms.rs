//! What differs from place to place in a person's words, and the names that stand for it: `{service}`, `{port}`, `{shared}` and
//! the like. A brace that is meant as such is written twice. What a host told only ever becomes a plain word of a command.

use std::fmt::Write as _;

use crate::heal::{Observation, Problem};
use crate::host::Layout;
use crate::registry::{Host, Service};

/// What looks measure that is another one at each place.
const MEASURED: &[&str] = &["unit", "user", "pid", "container", "holder", "path"];

/// The values at one place, by the names that stand for them; what goes first is put in first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms(Vec<(String, String)>);

impl Terms {
    /// The values where a problem was seen.
    #[must_use]
    pub fn of(host: Option<&Host>, service: Option<&Service>, problem: &Problem, seen: &[Observation]) -> Self {
        let mut terms = Self::default();
        let base = seen.iter().find(|one| one.look == "base" && one.host == problem.host);
        let layout = base.and_then(|one| one.values.get("path")).map(|base| Layout::new(base));
        if let (Some(layout), Some(service)) = (&layout, service) {
            let release = seen.iter().find(|one| {
                one.look == "release" && one.host == problem.host && one.service.as_ref() == Some(&service.name)
            });
            let release = release.and_then(|one| one.values.get("release"));
            terms.add("release", layout.current(&service.name));
            // The folder behind the link is another one at each place, and the link leads to it.
            terms.0.extend(
                release
                    .map(|id| ("release".to_owned(), format!("{}/{id}", layout.releases(&service.name))))
                    .filter(plain),
            );
            terms.add("shared", layout.shared(&service.name));
            terms.add("folder", layout.service(&service.name));
        }
        if let Some(layout) = &layout {
            terms.add("base", layout.base().to_owned());
        }
        let evidence = problem.evidence.iter().filter_map(|number| seen.get(*number));
        for (name, value) in evidence.flat_map(|one| &one.values) {
            if !MEASURED.contains(&name.as_str()) {
                continue;
            }
            // A path that a host names is taken only where nothing but the service's own lies.
            let ours = || {
                layout.as_ref().zip(service).is_some_and(|(layout, service)| {
                    value.starts_with(&format!("{}/", layout.service(&service.name)))
                        && !value.split('/').any(|part| part == "..")
                })
            };
            if !value.starts_with('/') || ours() {
                terms.add(name, value.clone());
            }
        }
        if let Some(service) = service {
            terms.add("service", service.name.to_string());
            service.port.into_iter().for_each(|port| terms.add("port", port.to_string()));
            service.account().into_iter().for_each(|user| terms.add("user", user.to_owned()));
        }
        terms.add("host", problem.host.to_string());
        if let Some(host) = host {
            terms.add("address", host.address.clone());
        }
        // What a pattern found in a log is anybody's text: a name and nothing more, or a path of the service's own.
        for (name, value) in &problem.captured {
            let name_only = !value.contains('/') && !value.contains("..");
            let own =
                || terms.0.iter().any(|(other, folder)| other == "folder" && value.starts_with(&format!("{folder}/")));
            if name_only || (own() && !value.split('/').any(|part| part == "..")) {
                terms.add(name, value.clone());
            }
        }
        terms
    }

    /// Adds a value, unless the name has one or the value is no plain word.
    fn add(&mut self, name: &str, value: String) {
        let known = self.0.iter().any(|(other, _)| *other == name);
        self.0.extend(Some((name.to_owned(), value)).filter(|_| !known).filter(plain));
    }

    /// The words with names in the place of what differs.
    #[must_use]
    pub fn generalize(&self, words: &[String]) -> Vec<String> {
        words.iter().map(|word| self.general(word)).collect()
    }

    fn general(&self, word: &str) -> String {
        let (mut said, mut rest, mut before) = (String::new(), word, None);
        while let Some(c) = rest.chars().next() {
            let fits = |(_, value): &&(String, String)| {
                rest.strip_prefix(value.as_str())
                    .is_some_and(|after| !before.is_some_and(joins) && !after.starts_with(joins))
            };
            // The longest one says most: the folder of a service holds its name. A user or a host that is called as the service
            // is mostly so called after it.
            let found = self.0.iter().filter(fits).max_by_key(|(name, value)| (value.len(), *name == "service"));
            let taken = match found {
                Some((name, value)) => {
                    let _ = write!(said, "{{{name}}}");
                    value.len()
                }
                None => {
                    said.push(c);
                    if matches!(c, '{' | '}') {
                        said.push(c);
                    }
                    c.len_utf8()
                }
            };
            before = rest[..taken].chars().next_back();
            rest = &rest[taken..];
        }
        said
    }

    /// The words with the values of this place.
    ///
    /// # Errors
    /// The name that has no value here.
    pub fn specialize(&self, words: &[String]) -> Result<Vec<String>, String> {
        words.iter().map(|word| self.special(word)).collect()
    }

    fn special(&self, word: &str) -> Result<String, String> {
        let (mut said, mut rest) = (String::new(), word);
        while let Some(at) = rest.find(['{', '}']) {
            said.push_str(&rest[..at]);
            let brace = &rest[at..=at];
            let after = &rest[at + 1..];
            if let Some(after) = after.strip_prefix(brace) {
                said.push_str(brace);
                rest = after;
                continue;
            }
            let named = if brace == "{" { after.split_once('}') } else { None };
            let Some((name, after)) = named else { return Err(format!("a single `{brace}`")) };
            let value = self.0.iter().find(|(other, _)| *other == name);
            said.push_str(&value.ok_or_else(|| format!("`{{{name}}}`"))?.1);
            rest = after;
        }
        Ok(said + rest)
    }
}

/// Whether a value means the same wherever it stands in a command, a script's text included.
fn plain((_, value): &(String, String)) -> bool {
    let good = |c: char| c.is_ascii_alphanumeric() || "/._@:+-".contains(c);
    value.len() > 1 && value.len() <= 1024 && value.chars().all(good) && !value.starts_with('-')
}

/// Whether a character goes on with the word beside it.
fn joins(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::heal::playbook::Library;
    use crate::heal::{World, analyze};
    use crate::registry::{Format, load_text};

    fn terms() -> Terms {
        let all = [
            ("release", "/opt/p/services/web/current"),
            ("release", "/opt/p/services/web/releases/0123456789abcdef"),
            ("shared", "/opt/p/services/web/shared"),
            ("base", "/opt/p"),
            ("service", "web"),
            ("port", "80"),
            ("host", "pi1"),
        ];
        Terms(all.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    #[test]
    fn what_differs_gets_a_name_and_nothing_else() {
        let said = |word: &str| terms().general(word);
        assert_eq!(said("/opt/p/services/web/current/web.lock"), "{release}/{service}.lock");
        assert_eq!(said("/opt/p/services/web/releases/0123456789abcdef/x"), "{release}/x");
        assert_eq!(said("portoser-web.service"), "portoser-{service}.service");
        assert_eq!(said("http://pi1:80/"), "http://{host}:{port}/");
        assert_eq!(said("website 8080 /opt/python"), "website 8080 /opt/python");
        assert_eq!(said("{{.Names}} ${web}"), "{{{{.Names}}}} ${{{service}}}");
    }

    #[test]
    fn of_equal_values_the_name_of_the_service_goes_first() {
        let all = [("user", "pg"), ("service", "pg"), ("host", "pg")];
        let terms = Terms(all.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect());
        assert_eq!(terms.general("portoser-pg.service"), "portoser-{service}.service");
    }

    #[test]
    fn the_user_of_a_container_is_no_name_of_the_host() {
        let said = |kind: &str, user: &str| {
            let text = format!(
                "version: 1\nhosts:\n  one: {{ address: 192.0.2.1 }}\nservices:\n  api: {{ {kind}, host: one, user: \"{user}\" }}\n"
            );
            let registry =
                load_text(&text, Format::Yaml, std::path::Path::new("/registry.yml"), None).expect("a registry");
            let host = registry.hosts.values().next().expect("a host");
            let world = World::default();
            let bad = Observation::host("cordon", &host.name).bad("something");
            let library = Library::load(std::path::Path::new("/nowhere")).unwrap_or_else(|_| panic!("they are valid"));
            let problems = analyze(&world, std::slice::from_ref(&bad), &library);
            let terms = Terms::of(Some(host), registry.services.values().next(), &problems[0], &[bad]);
            terms.general(&format!("chown {user} /x"))
        };
        assert_eq!(said("type: docker, image: \"api:1\"", "1000"), "chown 1000 /x");
        assert_eq!(said("type: native, run: [a]", "ann"), "chown {user} /x");
    }

    #[test]
    fn another_place_gets_its_own_values() {
        let learned = terms().generalize(&["rm".into(), "/opt/p/services/web/shared/lock".into()]);
        let other = Terms(vec![("shared".into(), "/srv/services/api/shared".into())]);
        assert_eq!(other.specialize(&learned), Ok(vec!["rm".into(), "/srv/services/api/shared/lock".into()]));
        assert_eq!(other.specialize(&["{port}".into()]), Err("`{port}`".into()));
        assert_eq!(other.specialize(&["a } b".into()]), Err("a single `}`".into()));
    }

    #[test]
    fn a_value_that_is_no_plain_word_is_not_taken() {
        let mut terms = Terms::default();
        for value in ["a b", "$(reboot)", "-rf", "a'b", "", "x\ny", "`id`", "a;b"] {
            terms.add("unit", value.to_owned());
        }
        assert_eq!(terms, Terms::default());
    }

    proptest! {
        #[test]
        fn at_the_same_place_the_words_are_the_same(word in "(web|pi1|80|[{}a-z/:. ]|/opt/p/services/web/(current|shared)|\\PC){0,12}") {
            let words = vec![word];
            prop_assert_eq!(terms().specialize(&terms().generalize(&words)), Ok(words));
        }
    }
}
