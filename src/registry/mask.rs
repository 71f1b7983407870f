//! What must not be shown, although a text holds it: values that the registry gives under names that say so, and what stands where
//! secrets do. It masks texts for people; it is no store of secrets.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

use crate::model::Ask;
use crate::registry::Registry;

/// What is written in the place of a secret.
const MASK: &str = "[masked]";

/// A word that names a secret, and the value behind it; the user's part of a URL; a bearer's token.
static NAMED: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    [
        r#"(?i)(\b[\w-]*(?:passw(?:or)?d|passphrase|secret|token|api[_-]?key|private[_-]?key|credential)[\w-]*["']?\s*[:=]\s*["']?)[^\s"',;&]+"#,
        r"(\b[a-z][a-z0-9+.-]*://[^\s/:@]*:)[^\s/@]+@",
        r"(?i)(\b(?:bearer|basic)\s+)[A-Za-z0-9._~+/=-]{8,}",
    ]
    .iter()
    .filter_map(|pattern| Regex::new(pattern).ok())
    .collect()
});

/// A header whose value is not for everybody.
static HEADER: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"(?i)auth|cookie|passw|secret|token|key|session|signature|credential").ok());

/// How a header says by which scheme it proves who asks (the register of IANA, HTTP Authentication Schemes).
const SCHEMES: &[&str] = &["basic", "bearer", "digest", "negotiate", "token"];

/// Whether the value of a header of this name is not for everybody.
#[must_use]
pub fn is_private_header(name: &str) -> bool {
    HEADER.as_ref().is_none_or(|pattern| pattern.is_match(name))
}

/// A name of a variable whose value is not for everybody.
static SECRET: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"(?i)passw|passphrase|secret|token|api_?key|private_?key|credential|_url$|_dsn$").ok()
});

fn is_secret(name: &str) -> bool {
    SECRET.as_ref().is_none_or(|pattern| pattern.is_match(name))
}

/// What stands where the rest of a long text was cut off.
const CUT: char = '…';

/// The shortest value that is looked for; shorter ones would mask ordinary words.
const SHORTEST: usize = 5;

/// What must not be shown, of a registry.
#[derive(Debug, Default)]
pub struct Mask {
    secrets: BTreeSet<String>,
}

impl Mask {
    /// The values of the registry whose names say that they are not for everybody.
    #[must_use]
    pub fn of(registry: &Registry) -> Self {
        let services = registry.services.values().flat_map(|service| &service.env);
        let all = services.chain(registry.hosts.values().flat_map(|host| &host.env));
        let kept = all.filter(|(name, value)| is_secret(name) && !value.contains("${"));
        let checks = registry.services.values().flat_map(|service| &service.checks);
        let asked = checks.filter_map(|check| if let Ask::Http(http) = &check.ask { Some(&http.send) } else { None });
        let sent = asked.flatten().filter(|(name, _)| is_private_header(name));
        // Of `Bearer TOKEN` the token alone is what an answer may repeat; the word before it is no secret, and tells of others'.
        let sent = sent.flat_map(|(_, value)| value.split_whitespace().chain([value.as_str()]));
        let sent = sent.filter(|word| !SCHEMES.iter().any(|scheme| scheme.eq_ignore_ascii_case(word)));
        Self::of_values(kept.map(|(_, value)| value.as_str()), sent)
    }

    /// The values of these variables whose names say that they are not for everybody.
    #[must_use]
    pub fn of_variables<'a>(all: impl IntoIterator<Item = (&'a str, String)>) -> Self {
        let kept: Vec<String> = all.into_iter().filter(|(name, _)| is_secret(name)).map(|(_, value)| value).collect();
        Self::of_values(kept.iter().map(String::as_str), [])
    }

    /// A value of several lines is known by each.
    fn of_values<'a>(values: impl Iterator<Item = &'a str>, words: impl IntoIterator<Item = &'a str>) -> Self {
        let lines = values.flat_map(|value| value.lines().chain([value])).chain(words);
        // What a host says may come with its odd characters escaped.
        let ways = lines.flat_map(|line| [line.to_owned(), line.escape_debug().to_string()]);
        Self { secrets: ways.filter(|line| line.len() >= SHORTEST).collect() }
    }

    /// The text without what must not be shown.
    #[must_use]
    pub fn text(&self, text: &str) -> String {
        let mut text = text.to_owned();
        // The longest first: a value of several lines goes before its lines.
        let mut secrets: Vec<&String> = self.secrets.iter().collect();
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        for secret in secrets {
            if text.contains(secret.as_str()) {
                text = text.replace(secret.as_str(), MASK);
            }
        }
        if text.contains(CUT) {
            text = self.without_beginnings(text);
        }
        for (number, pattern) in NAMED.iter().enumerate() {
            let by = if number == 1 { format!("${{1}}{MASK}@") } else { format!("${{1}}{MASK}") };
            text = pattern.replace_all(&text, by.as_str()).into_owned();
        }
        text
    }

    /// A text that was cut may end with the beginning of a secret.
    fn without_beginnings(&self, text: String) -> String {
        let pieces = text.split_inclusive(CUT).map(|piece| {
            let Some(head) = piece.strip_suffix(CUT) else { return piece.to_owned() };
            let beginnings = self.secrets.iter().flat_map(|secret| {
                let ends = secret.char_indices().map(|(at, _)| at).filter(|at| *at >= SHORTEST);
                ends.map(|at| &secret[..at])
            });
            let longest = beginnings.filter(|beginning| head.ends_with(beginning)).max_by_key(|one| one.len());
            longest.map_or_else(|| piece.to_owned(), |one| format!("{}{MASK}{CUT}", &head[..head.len() - one.len()]))
        });
        pieces.collect()
    }

    /// Masks all texts of a document; keys stay as they are.
    pub fn json(&self, value: &mut Value) {
        match value {
            Value::String(text) => *text = self.text(text),
            Value::Array(all) => all.iter_mut().for_each(|one| self.json(one)),
            Value::Object(all) => all.values_mut().for_each(|one| self.json(one)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_masked_wherever_they_stand() {
        let mask = Mask { secrets: BTreeSet::from(["hunter2hunter2".to_owned()]) };
        let said = |text: &str| mask.text(text);
        assert_eq!(said("got hunter2hunter2 as it"), "got [masked] as it");
        assert_eq!(said("DB_PASSWORD=abc other=1"), "DB_PASSWORD=[masked] other=1");
        assert_eq!(said(r#"{"api_key": "abc", "a": 1}"#), r#"{"api_key": "[masked]", "a": 1}"#);
        assert_eq!(said("connect postgres://app:s3cret@db:5432/x"), "connect postgres://app:[masked]@db:5432/x");
        assert_eq!(said("Authorization: Bearer abcdefgh12345"), "Authorization: Bearer [masked]");
        assert_eq!(said("it said hunter2hun…"), "it said [masked]…");
        assert_eq!(said("it said hunt…"), "it said hunt…");
        assert_eq!(said("KeyError: 'DATABASE_URL'"), "KeyError: 'DATABASE_URL'");
    }

    #[test]
    fn the_scheme_of_a_header_still_tells_of_the_secrets_of_others() {
        let text = "version: 1\nhosts: { one: {} }\nservices:\n  api:\n    type: native\n    host: one\n    run: [/bin/x]\n    port: 80\n    \
                    checks: [{ http: /, send: { Authorization: Bearer ours-ours-ours } }]\n";
        let file = std::path::Path::new("/registry.yml");
        let registry = crate::registry::load_text(text, crate::registry::Format::Yaml, file, None).expect("valid");
        let mask = Mask::of(&registry);
        assert_eq!(mask.text("we sent ours-ours-ours"), "we sent [masked]");
        assert_eq!(mask.text("Authorization: Bearer theirs-theirs"), "Authorization: Bearer [masked]");
    }
}
