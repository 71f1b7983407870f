//! names: whether the host resolves the names that its services are pointed at by their environment.

use std::collections::BTreeSet;

use crate::heal::Observation;
use crate::heal::observe::scene::{About, Heard, Look, Scene};

pub(super) const LOOK: Look = Look { name: "names", about: About::Service, shell: SHELL, calls, judge };

const SHELL: &str = r#"
look_names() { # NAME...
  for name; do
    if command -v getent >/dev/null; then answer=$(bounded getent hosts "$name"); code=$?
    elif command -v nslookup >/dev/null; then answer=$(bounded nslookup "$name"); code=$?
    elif command -v dscacheutil >/dev/null; then answer=$(bounded dscacheutil -q host -a name "$name"); code=$?
    else lacks 'getent or nslookup'; return; fi
    case $code in 137) code=late ;; *) [ -n "$answer" ] || code=gone ;; esac
    printf '%s %s\n' "$name" "$code"
  done
}
"#;

/// The names in values such as `postgres://user@db.lan:5432/app`.
fn pointed(values: impl Iterator<Item = impl AsRef<str>>) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for value in values {
        let Some((scheme, rest)) = value.as_ref().split_once("://") else { continue };
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let place = authority.rsplit('@').next().unwrap_or_default();
        // Several hosts, as some databases take them, are parted by commas.
        for one in place.split(',') {
            let name = one.split(':').next().unwrap_or_default();
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
            let number = name.chars().all(|c| c.is_ascii_digit() || c == '.');
            if !scheme.is_empty()
                && !name.is_empty()
                && name.chars().all(plain)
                && !number
                && name != "localhost"
                && !name.starts_with('-')
            {
                names.insert(name.to_owned());
            }
        }
    }
    names
}

fn calls(scene: &Scene<'_>) -> Vec<Vec<String>> {
    let services =
        scene.services.iter().map(|placed| (placed.service.name.to_string(), pointed(placed.service.env.values())));
    let call = |(service, names): (String, BTreeSet<String>)| {
        (!names.is_empty()).then(|| std::iter::once(service).chain(names).collect())
    };
    services.filter_map(call).collect()
}

fn judge(scene: &Scene<'_>, heard: &Heard) -> Vec<Observation> {
    let mut found = Vec::new();
    for placed in &scene.services {
        let names = pointed(placed.service.env.values());
        if names.is_empty() {
            continue;
        }
        let one = scene.of(&LOOK, placed);
        let text = match heard.whole(&LOOK, placed.service.name.as_str()) {
            Ok(text) => text,
            Err(why) => {
                found.push(one.unseen(why));
                continue;
            }
        };
        for name in names {
            let one = one.clone().of(&name).with("name", &name);
            let code = text.lines().find_map(|line| line.strip_prefix(&name)?.strip_prefix(' '));
            found.push(match code {
                Some("0") => one.good(format!("{name} is resolved")),
                Some("late") => one.bad(format!("the host's resolver does not answer for {name}")),
                Some(_) => one.bad(format!("{name} cannot be resolved on the host")),
                None => one.unseen(format!("{name} was not asked for")),
            });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::pointed;

    #[test]
    fn names_are_taken_from_addresses_only() {
        let values = [
            "postgres://u:p%40@db.lan:5432/x",
            "http://127.0.0.1:80",
            "redis://a.lan,b.lan:6379",
            "plain.text",
            "://x",
        ];
        let found: Vec<String> = pointed(values.iter()).into_iter().collect();
        assert_eq!(found, ["a.lan", "b.lan", "db.lan"]);
    }
}
