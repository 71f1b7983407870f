//! names: whether the host resolves the names that its services are pointed at by their environment.

use std::collections::BTreeSet;

use crate::heal::Observation;
use crate::heal::observe::scene::{About, Heard, Look, Placed, Scene};

pub(super) const LOOK: Look = Look { name: "names", about: About::Service, shell: SHELL, calls, judge };

const SHELL: &str = r#"
look_names() { # NAME...; of what had to be ended it is said how long it had, where the host has a clock that costs no process
  for name; do
    began=
    read -r began rest </proc/uptime
    if command -v getent >/dev/null; then answer=$(bounded getent hosts "$name"); code=$?
    elif command -v nslookup >/dev/null; then answer=$(bounded nslookup "$name"); code=$?
    elif command -v dscacheutil >/dev/null; then answer=$(bounded dscacheutil -q host -a name "$name"); code=$?
    else lacks 'getent or nslookup'; return; fi
    case $code in
      137)
        code=late
        [ -z "$began" ] || { read -r ended rest </proc/uptime; code="late $((${ended%%.*} - ${began%%.*}))"; } ;;
      *) [ -n "$answer" ] || code=gone ;;
    esac
    printf '%s %s\n' "$name" "$code"
  done
}
"#;

/// A resolver that was given so many seconds and did not answer is to blame for it. What was ended sooner, as other programs hung
/// before it, may have been well.
const PATIENCE: u64 = 5;

/// The schemes behind which stands the name of a host. Behind others stands a bucket, a file, or a name of another kind.
const SCHEMES: &str = "http https ws wss ftp ftps sftp ssh tcp udp tls ssl ldap ldaps smtp smtps imap imaps pop3 pop3s grpc grpcs \
    postgres postgresql mysql mariadb mssql sqlserver oracle redis rediss valkey valkeys memcached memcache mongodb couchdb \
    cassandra neo4j bolt clickhouse elasticsearch amqp amqps mqtt mqtts nats kafka pulsar stomp rtsp rtmp socks4 socks5 socks5h";

/// Whether a name stands behind the scheme: `postgresql`, with its driver as in `postgresql+asyncpg`, or within `jdbc:postgresql`.
/// With `+srv` it is no name of a host, and with `+unix` a path.
fn names_a_host(scheme: &str) -> bool {
    let scheme = scheme.to_ascii_lowercase();
    let (kind, driver) = scheme.split_once('+').unwrap_or((&scheme, ""));
    let kind = kind.strip_prefix("jdbc:").unwrap_or(kind);
    SCHEMES.split_ascii_whitespace().any(|one| one == kind) && !matches!(driver, "srv" | "unix")
}

/// The names that a service is pointed at. What a container is pointed at is the container's to resolve, by its networks' own names.
fn pointed_at(placed: &Placed<'_>) -> BTreeSet<String> {
    if placed.service.kind.is_docker() { BTreeSet::new() } else { pointed(placed.service.env.values()) }
}

/// The names in values such as `postgres://user@db.lan:5432/app`.
fn pointed(values: impl Iterator<Item = impl AsRef<str>>) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for value in values {
        let split = value.as_ref().split_once("://");
        let Some((_, rest)) = split.filter(|(scheme, _)| names_a_host(scheme)) else { continue };
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let place = authority.rsplit('@').next().unwrap_or_default();
        // Several hosts, as some databases take them, are parted by commas.
        for one in place.split(',') {
            let name = one.split(':').next().unwrap_or_default();
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
            let number = name.chars().all(|c| c.is_ascii_digit() || c == '.');
            if !name.is_empty() && name.chars().all(plain) && !number && name != "localhost" && !name.starts_with('-') {
                names.insert(name.to_owned());
            }
        }
    }
    names
}

fn calls(scene: &Scene<'_>) -> Vec<Vec<String>> {
    let services = scene.services.iter().map(|placed| (placed.service.name.to_string(), pointed_at(placed)));
    let call = |(service, names): (String, BTreeSet<String>)| {
        (!names.is_empty()).then(|| std::iter::once(service).chain(names).collect())
    };
    services.filter_map(call).collect()
}

fn judge(scene: &Scene<'_>, heard: &Heard) -> Vec<Observation> {
    let mut found = Vec::new();
    for placed in &scene.services {
        let names = pointed_at(placed);
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
                Some(code) => match code.strip_prefix("late") {
                    Some(seconds) => late(one, &name, seconds.trim().parse().ok()),
                    None => one.bad(format!("{name} cannot be resolved on the host")),
                },
                None => one.unseen(format!("{name} was not asked for")),
            });
        }
    }
    found
}

/// A resolver that had to be ended after so many seconds, where that is known.
fn late(one: Observation, name: &str, seconds: Option<u64>) -> Observation {
    let Some(seconds) = seconds else {
        return one.unseen(format!("the host's resolver did not answer for {name} in time"));
    };
    let says = format!("the host's resolver did not answer for {name} within {seconds} s");
    if seconds >= PATIENCE { one.bad(says) } else { one.unseen(says) }
}

#[cfg(test)]
mod tests {
    use super::{LOOK, SHELL, pointed};
    use crate::heal::observe::looks::tests::{says, service_told};
    use crate::host::look::SHELLS;

    #[test]
    fn a_resolver_that_was_ended_early_is_not_called_bad() {
        let told = |part: &str| {
            let env = "env: { DB: \"postgres://db.lan/x\" }";
            says(&service_told(&LOOK, env, 0, &[], &[("heal/names api", part)])).concat()
        };
        assert_eq!(told("db.lan 0"), "good db.lan is resolved");
        assert_eq!(told("db.lan gone"), "bad db.lan cannot be resolved on the host");
        let why = "the host's resolver did not answer for db.lan";
        assert_eq!(told("db.lan late 2\n!late 2 getent"), format!("unseen {why} within 2 s"));
        assert_eq!(told("db.lan late 5\n!late 7 getent"), format!("bad {why} within 5 s"));
        assert_eq!(told("db.lan late\n!late 5 getent"), format!("unseen {why} in time"));
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "real shells run the look")]
    fn what_was_ended_says_how_long_it_had() {
        let script = format!(
            "bounded() {{ \"$@\"; }}\ngetent() {{ [ \"$2\" = none ] || echo 1; }}\n{SHELL}\n\
             look_names well none\ngetent() {{ sh -c 'kill -9 $$'; }}\nlook_names ill"
        );
        for shell in SHELLS {
            let told = std::process::Command::new(shell[0]).args(&shell[1..]).args(["-c", &script]).output();
            let told = told.expect(shell[0]);
            let told = String::from_utf8_lossy(&told.stdout).into_owned();
            let (before, seconds) = told.trim_end().rsplit_once(' ').expect("words");
            assert_eq!(before, "well 0\nnone gone\nill late", "{shell:?}");
            assert!(seconds.parse::<u64>().is_ok(), "{shell:?}: {told}");
        }
    }

    #[test]
    fn what_is_no_name_of_a_host_is_not_asked() {
        let values = [
            "s3://bucket/key",
            "gs://bucket",
            "mongodb+srv://cluster0.example.net/db",
            "file://share/x",
            "unix://run/x.sock",
            "http+unix://run-x.sock/v1",
            "arn://x",
        ];
        assert!(pointed(values.iter()).is_empty(), "{:?}", pointed(values.iter()));
        let values =
            ["postgresql+asyncpg://a.lan/x", "jdbc:mysql://b.lan/x", "HTTPS://c.lan", "mongodb://d.lan,e.lan:27018/x"];
        let found: Vec<String> = pointed(values.iter()).into_iter().collect();
        assert_eq!(found, ["a.lan", "b.lan", "c.lan", "d.lan", "e.lan"]);
    }

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
