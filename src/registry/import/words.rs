//! Values of other tools in the registry's words: names, commands, times, sizes, health checks.

use serde_json::{Map, Value, json};

use crate::model::ServiceName;
use crate::registry::text::{Gate, User, Variable, Word};

/// A name by the registry's rule: what is not a letter or digit becomes `-`. Nothing when no letter is left.
pub(super) fn slug(name: &str) -> Option<String> {
    let mut slug = String::new();
    for c in name.chars().map(|c| c.to_ascii_lowercase()) {
        if c.is_ascii_alphanumeric() {
            slug.push(c);
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    if slug.starts_with(|c: char| c.is_ascii_digit()) {
        slug.insert_str(0, "s-");
    }
    slug.truncate(63);
    let slug = slug.trim_end_matches('-');
    ServiceName::fits(slug).then(|| slug.to_owned())
}

pub(super) fn is_variable(name: &str) -> bool {
    Variable::good(name)
}

pub(super) fn is_word(text: &str) -> bool {
    Word::good(text)
}

pub(super) fn is_user(text: &str) -> bool {
    User::good(text)
}

/// A text that means itself where the registry replaces `${PORT}` and the like.
pub(super) fn literal(text: &str) -> String {
    text.replace("${", "$${")
}

/// Words that mean themselves.
pub(super) fn literals<'a>(words: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    words.into_iter().map(literal).collect()
}

/// What begins a command in a folder.
pub(super) const ENV: &str = "/usr/bin/env";
/// What reads a command line.
pub(super) const SHELL: &str = "/bin/sh";

/// A command line of a shell.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Command {
    /// It is nothing but words.
    Words(Vec<String>),
    /// It needs a shell.
    Shell(String),
    /// It is not a command line.
    Broken,
}

impl Command {
    /// Reads a command line as a POSIX shell would.
    pub(super) fn read(text: &str) -> Self {
        let text = text.trim();
        let (mut single, mut double, mut escaped, mut shell) = (false, false, false, false);
        for (at, c) in text.char_indices() {
            let quoted = single || escaped;
            escaped = c == '\\' && !quoted;
            match c {
                '\'' if !double && !quoted => single = true,
                '\'' if single => single = false,
                '"' if !quoted => double = !double,
                '$' | '`' => shell |= !quoted,
                '~' => shell |= !quoted && !double && (at == 0 || text[..at].ends_with(char::is_whitespace)),
                ';' | '&' | '|' | '<' | '>' | '(' | ')' | '{' | '}' | '*' | '?' | '[' | '!' | '#' | '\n' => {
                    shell |= !quoted && !double;
                }
                _ => {}
            }
        }
        // `NAME=value command` sets a variable for the command.
        let first = text.split_whitespace().next().unwrap_or_default();
        shell |= first.split_once('=').is_some_and(|(name, _)| Variable::good(name));
        match shlex::split(text) {
            Some(words) if !shell && !words.is_empty() => Self::Words(words),
            Some(words) if !words.is_empty() => Self::Shell(text.to_owned()),
            _ => Self::Broken,
        }
    }

    /// The words that do this, through `/bin/sh` if it needs a shell.
    pub(super) fn words(self) -> Option<Vec<String>> {
        let words = match self {
            Self::Words(words) => words,
            Self::Shell(text) => vec![SHELL.to_owned(), "-c".to_owned(), text],
            Self::Broken => return None,
        };
        let good = words.iter().all(|word| is_word(word)) && words.first().is_some_and(|first| is_program(first));
        good.then(|| literals(words.iter().map(String::as_str)))
    }
}

/// Whether a word can be the first one of a command.
pub(super) fn is_program(word: &str) -> bool {
    crate::registry::text::Program::good(word)
}

/// These words, begun in a folder of the host. `-C` is known to the `env` of GNU and of the BSDs.
pub(super) fn within(folder: &str, words: Vec<String>) -> Vec<String> {
    [ENV.to_owned(), "-C".to_owned(), literal(folder)].into_iter().chain(words).collect()
}

/// A time in milliseconds, as the registry writes it.
pub(super) fn millis(millis: i64) -> Option<String> {
    let time = std::time::Duration::from_millis(u64::try_from(millis).ok()?);
    let text = crate::registry::write_duration(time);
    crate::registry::parse_duration(&text).is_ok().then_some(text)
}

/// A size such as `512M` or `1g`, whose units are powers of 1024, as the registry writes it.
pub(super) fn size(text: &str) -> Option<String> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => "B",
        "k" | "kb" | "kib" => "KiB",
        "m" | "mb" | "mib" => "MiB",
        "g" | "gb" | "gib" => "GiB",
        "t" | "tb" | "tib" => "TiB",
        _ => return None,
    };
    let bytes = crate::registry::parse_size(&format!("{number}{unit}")).ok()?;
    (bytes > 0).then(|| crate::registry::write_size(bytes))
}

/// A URL that a health check asks.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Url {
    pub(super) https: bool,
    pub(super) host: String,
    pub(super) port: Option<u16>,
    /// Path and query.
    pub(super) path: String,
}

impl Url {
    pub(super) fn read(text: &str) -> Option<Self> {
        let uri: hyper::Uri = text.trim().parse().ok()?;
        let https = match uri.scheme_str()? {
            "http" => false,
            "https" => true,
            _ => return None,
        };
        let host = uri.host()?.trim_matches(['[', ']']).to_owned();
        if uri.authority()?.as_str().contains('@') {
            return None;
        }
        let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        Some(Self { https, host, port: uri.port_u16(), path })
    }

    /// Whether it names the very host that asks.
    pub(super) fn is_here(&self) -> bool {
        matches!(self.host.as_str(), "localhost" | "127.0.0.1" | "::1" | "0.0.0.0")
    }

    /// Whether its host is a name, not an address.
    pub(super) fn is_named(&self) -> bool {
        !self.is_here() && self.host.parse::<std::net::IpAddr>().is_err()
    }

    /// A check that asks this path of the service itself; `port` is the service's own.
    pub(super) fn check(&self, port: Option<i64>) -> Map<String, Value> {
        let mut check = Map::from_iter([("http".to_owned(), json!(self.path))]);
        let asked = self.port.map(i64::from).or(if self.https { Some(443) } else { Some(80) });
        if asked != port {
            check.insert("port".to_owned(), json!(asked));
        }
        if self.is_named() {
            check.insert("host".to_owned(), json!(self.host));
        }
        if self.https {
            check.insert("tls".to_owned(), json!({ "name": self.host }));
        }
        check
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_become_names() {
        assert_eq!(slug("Api_v2.prod").as_deref(), Some("api-v2-prod"));
        assert_eq!(slug("3scale").as_deref(), Some("s-3scale"));
        assert_eq!(slug("__x--y__").as_deref(), Some("x-y"));
        assert_eq!(slug("日本"), None);
    }

    #[test]
    fn a_shell_is_only_used_where_it_is_needed() {
        let words = |text| Command::read(text);
        let list = |words: &[&str]| Command::Words(words.iter().map(|word| (*word).to_owned()).collect());
        assert_eq!(words("./run.sh --port 80"), list(&["./run.sh", "--port", "80"]));
        assert_eq!(words("echo 'a; b' \"c & d\""), list(&["echo", "a; b", "c & d"]));
        assert_eq!(words("a --x=y"), list(&["a", "--x=y"]));
        for shell in ["a && b", "a | b", "X=1 a", "echo $HOME", "echo \"$HOME\"", "ls *", "~/bin/a", "a > b", "a; b"] {
            assert!(matches!(words(shell), Command::Shell(_)), "{shell}");
        }
        assert_eq!(words("echo '"), Command::Broken);
        assert_eq!(words(" "), Command::Broken);
        assert_eq!(words("a ${X}").words().expect("words")[2], "a $${X}");
    }

    #[test]
    fn sizes_and_times_are_converted() {
        assert_eq!(size("512M").as_deref(), Some("512MiB"));
        assert_eq!(size("1.5g").as_deref(), Some("1536MiB"));
        assert_eq!(size("1048576").as_deref(), Some("1MiB"));
        assert_eq!(size("0"), None);
        assert_eq!(size("12 parsecs"), None);
        assert_eq!(millis(1600).as_deref(), Some("1s600ms"));
        assert_eq!(millis(-1), None);
    }

    #[test]
    fn urls_become_checks() {
        let check = |text: &str, port| Value::Object(Url::read(text).expect("a URL").check(port));
        assert_eq!(check("http://localhost:80/health?x=1", Some(80)), json!({ "http": "/health?x=1" }));
        assert_eq!(
            check("https://a.example:8443/", Some(80)),
            json!({ "http": "/", "port": 8443, "host": "a.example", "tls": { "name": "a.example" } })
        );
        assert_eq!(Url::read("ftp://a/"), None);
        assert_eq!(Url::read("http://u:p@a/"), None);
        assert_eq!(Url::read("/health"), None);
    }

    proptest! {
        #[test]
        fn any_text_becomes_a_name_or_none(text in ".{0,80}") {
            if let Some(slug) = slug(&text) {
                prop_assert!(ServiceName::fits(&slug));
            }
        }

        #[test]
        fn words_that_need_no_shell_mean_what_a_shell_reads(words in prop::collection::vec("[a-z ;&$'\"\\\\*]{1,8}", 1..5)) {
            let line = shlex::try_join(words.iter().map(String::as_str)).expect("no NUL");
            if let Command::Words(read) = Command::read(&line) {
                prop_assert_eq!(read, words);
            }
        }
    }
}
