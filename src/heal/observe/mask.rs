//! What programs say may hold secrets: values that the registry gives as such, and what stands where secrets do. They are masked before
//! anything else reads them.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::Regex;

use crate::heal::Observation;
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

/// A name of a variable whose value is not for everybody.
static SECRET: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"(?i)passw|passphrase|secret|token|api_?key|private_?key|credential|_url$|_dsn$").ok()
});

/// The shortest value that is looked for; shorter ones would mask ordinary words.
const SHORTEST: usize = 5;

/// The values of the registry that must not be shown.
pub(super) fn secrets(registry: &Registry) -> BTreeSet<String> {
    let services = registry.services.values().flat_map(|service| &service.env);
    let all = services.chain(registry.hosts.values().flat_map(|host| &host.env));
    let secret = |name: &str| SECRET.as_ref().is_none_or(|pattern| pattern.is_match(name));
    let kept = all.filter(|(name, value)| secret(name) && value.len() >= SHORTEST && !value.contains("${"));
    kept.map(|(_, value)| value.clone()).collect()
}

/// Masks what must not be shown of an observation.
pub(super) fn mask(one: &mut Observation, secrets: &BTreeSet<String>) {
    one.says = masked(&one.says, secrets);
    one.lines.iter_mut().for_each(|line| *line = masked(line, secrets));
    one.values.values_mut().for_each(|value| *value = masked(value, secrets));
}

fn masked(text: &str, secrets: &BTreeSet<String>) -> String {
    let mut text = text.to_owned();
    for secret in secrets {
        if text.contains(secret.as_str()) {
            text = text.replace(secret.as_str(), MASK);
        }
    }
    for (number, pattern) in NAMED.iter().enumerate() {
        let by = if number == 1 { format!("${{1}}{MASK}@") } else { format!("${{1}}{MASK}") };
        text = pattern.replace_all(&text, by.as_str()).into_owned();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_masked_wherever_they_stand() {
        let secrets = BTreeSet::from(["hunter2hunter2".to_owned()]);
        let said = |text: &str| masked(text, &secrets);
        assert_eq!(said("got hunter2hunter2 as it"), "got [masked] as it");
        assert_eq!(said("DB_PASSWORD=abc other=1"), "DB_PASSWORD=[masked] other=1");
        assert_eq!(said(r#"{"api_key": "abc", "a": 1}"#), r#"{"api_key": "[masked]", "a": 1}"#);
        assert_eq!(said("connect postgres://app:s3cret@db:5432/x"), "connect postgres://app:[masked]@db:5432/x");
        assert_eq!(said("Authorization: Bearer abcdefgh12345"), "Authorization: Bearer [masked]");
        assert_eq!(said("KeyError: 'DATABASE_URL'"), "KeyError: 'DATABASE_URL'");
    }
}
