//! Texts by what they may hold. Each type has one rule, told in full when a text breaks it. What a rule lets through is
//! carried exactly as written; nothing is trimmed or mended.

use super::fault::{Place, shown};
use super::read::{Read, Reader};
use super::tree::{Node, Scalar, Trail, Value};

/// The longest single argument that Linux takes (`MAX_ARG_STRLEN`, less the closing NUL).
const LONGEST_WORD: usize = 131_071;

/// A code point that Unicode keeps for use within a program (Unicode 23.7). systemd calls a text that holds one not clean.
fn noncharacter(c: char) -> bool {
    matches!(c, '\u{fdd0}'..='\u{fdef}') || u32::from(c) & 0xfffe == 0xfffe
}

fn no_control(text: &str) -> bool {
    !text.chars().any(char::is_control)
}

fn word(text: &str) -> bool {
    text.len() <= LONGEST_WORD && !text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\t') || noncharacter(c))
}

fn head_tail(text: &str, most: usize, head: impl Fn(u8) -> bool, tail: impl Fn(u8) -> bool) -> bool {
    text.len() <= most && text.bytes().next().is_some_and(head) && text.bytes().skip(1).all(tail)
}

/// Reads a scalar as text. With `any`, numbers and booleans count as their exact text.
fn scalar<'a>(node: &'a Node, at: &Trail<'_>, to: &mut Reader, any: bool) -> Option<&'a str> {
    match &node.value {
        Value::Scalar(Scalar::Text, text) => Some(text),
        Value::Scalar(Scalar::Bool(_) | Scalar::Int(_) | Scalar::Float(_), text) if any => Some(text),
        Value::Scalar(Scalar::Bool(_) | Scalar::Int(_) | Scalar::Float(_), text) => {
            to.wrong(node, at, "a text").hint(format!("put it in quotes: \"{}\"", shown(text)));
            None
        }
        _ => {
            to.wrong(node, at, "a text");
            None
        }
    }
}

/// A rule for texts.
pub(crate) trait Gate {
    /// What a text that fulfils the rule is called.
    const WHAT: &'static str;
    /// The whole rule, for people.
    const RULE: &'static str;
    /// The rule, or the part of it that a regular expression can say, for the schema.
    const PATTERN: Option<&'static str>;

    /// Whether a text fulfils the rule.
    fn good(text: &str) -> bool;
}

/// Tells that a text breaks a rule.
pub(crate) fn refuse<G: Gate>(text: &str, place: Place, at: &Trail<'_>, to: &mut Reader) {
    // What is refused may be a URL with a password in it.
    let text = super::source::masked(text);
    to.fault(place, at, format!("`{}` is not {}", shown(&text), G::WHAT)).why(G::RULE);
}

/// Declares a rule for keys and the like, which are never values of their own.
macro_rules! gate {
    ($(#[doc = $doc:literal])* $name:ident, $pattern:expr, $what:literal, $rule:literal, $gate:expr) => {
        $(#[doc = $doc])*
        #[derive(Clone, Debug)]
        pub(crate) struct $name;

        gate!(@rule $name, $pattern, $what, $rule, $gate);
    };
    (@rule $name:ident, $pattern:expr, $what:literal, $rule:literal, $gate:expr) => {
        impl Gate for $name {
            const WHAT: &'static str = $what;
            const RULE: &'static str = $rule;
            const PATTERN: Option<&'static str> = $pattern;

            fn good(text: &str) -> bool {
                let gate: fn(&str) -> bool = $gate;
                gate(text)
            }
        }
    };
}

/// Declares a type of text with its rule.
macro_rules! text {
    ($(#[doc = $doc:literal])* $name:ident, $any:literal, $pattern:expr, $what:literal, $rule:literal, $gate:expr) => {
        $(#[doc = $doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub(crate) struct $name(pub(crate) String);

        gate!(@rule $name, $pattern, $what, $rule, $gate);

        impl Read for $name {
            fn read(node: &Node, at: &Trail<'_>, to: &mut Reader) -> Option<Self> {
                let text = scalar(node, at, to, $any)?;
                if Self::good(text) {
                    return Some(Self(text.to_owned()));
                }
                refuse::<Self>(text, node.place, at, to);
                None
            }
        }

        impl schemars::JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                let kind = if $any { serde_json::json!(["string", "number", "boolean"]) } else { "string".into() };
                let mut schema = schemars::json_schema!({ "type": kind });
                if let Some(pattern) = Self::PATTERN {
                    schema.insert("pattern".to_owned(), pattern.into());
                }
                schema
            }
        }
    };
}

text!(
    /// A line of text: a name for people, a path, a header.
    Line, false, Some("^[^\\u0000-\\u001f\\u007f]+$"), "one line of text",
    "it must not be empty, hold control characters or line breaks, or be longer than 4096 bytes",
    |text| !text.is_empty() && text.len() <= 4096 && no_control(text)
);
text!(
    /// One word of a command, or the value of an environment variable.
    Word, true, None, "a word that can be passed on",
    "it must not hold control characters except tab and newline, or noncharacters of Unicode, or be longer than 131071 bytes",
    word
);
text!(
    /// The text of a file.
    Prose, false, None, "a text that a file can hold",
    "it must not hold NUL, or be larger than 1 MiB; send larger files with `copy`",
    |text| !text.contains('\0') && text.len() <= 1 << 20
);
text!(
    /// The value of a label.
    Label, true, None, "the value of a label",
    "it must not be empty, hold control characters, or be longer than 255 bytes",
    |text| !text.is_empty() && text.len() <= 255 && no_control(text)
);
text!(
    /// The reference of an image.
    ImageName, false, Some("^([A-Za-z0-9.-]+(:[0-9]+)?/)?[a-z0-9]+([._-]+[a-z0-9]+)*(/[a-z0-9]+([._-]+[a-z0-9]+)*)*(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(@sha256:[0-9a-f]{64})?$"), "the reference of an image",
    "write NAME, NAME:TAG or NAME@sha256:DIGEST, with a registry before it where needed; names are lower-case",
    super::docker::is_image
);
gate!(
    /// The name of an image registry.
    ServerName, Some("^([A-Za-z0-9-]+([.][A-Za-z0-9-]+)+(:[0-9]+)?|[A-Za-z0-9-]+:[0-9]+|localhost)$"), "the name of an image registry",
    "write it as it stands before the first `/` of a reference, such as ghcr.io or registry.example.net:5000; that of Docker Hub is docker.io",
    |text| super::docker::is_image(&format!("{text}/x")) && super::login::server_of(&format!("{text}/x")) == text
);
text!(
    /// The name of a variable of the environment, as a value.
    VariableName, false, Some("^[A-Za-z_][A-Za-z0-9_]{0,254}$"), "the name of an environment variable",
    "use letters, digits and `_`, start with a letter or `_`, at most 255 characters",
    Variable::good
);
text!(
    /// A mount of a container.
    MountText, false, Some("^[^:\\u0000-\\u001f\\u007f]+:/[^:\\u0000-\\u001f\\u007f]+(:(ro|rw))?$"), "a mount",
    "write SOURCE:/PATH or SOURCE:/PATH:ro; SOURCE is the name of a volume, an absolute path of the host, `${SHARED_DIR}` or a path below it, or `./` and a path in the release",
    |text| super::docker::Mount::parse(text).is_some()
);
text!(
    /// The name of a network of the host.
    NetworkName, false, Some("^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$"), "the name of a network",
    "use letters, digits and `_`, `.`, `-`, start with a letter or digit, at most 64 characters; not one of Docker's own: `bridge`, \
     `host`, `none`, `default`",
    super::docker::is_network
);
text!(
    /// A part of a compose project.
    PartName, false, Some("^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$"), "the name of a part of a compose project",
    "it is a key of `services` in the compose file: letters, digits and `_`, `.`, `-`",
    super::docker::is_volume
);
text!(
    /// The name of a compose project.
    ProjectName, false, Some("^[a-z0-9][a-z0-9_-]{0,62}$"), "the name of a compose project",
    "use a-z, 0-9 and `_`, `-`, start with a letter or digit, at most 63 characters",
    |text| head_tail(text, 63, |b| b.is_ascii_lowercase() || b.is_ascii_digit(),
        |b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-'))
);
gate!(
    /// The key of a label.
    LabelKey, Some("^[A-Za-z0-9][A-Za-z0-9._/-]{0,62}$"), "the key of a label",
    "use letters, digits and `.`, `_`, `-`, `/`, start with a letter or digit, at most 63 characters",
    |text| head_tail(text, 63, |b| b.is_ascii_alphanumeric(),
        |b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'/'))
);
gate!(
    /// The name of an environment variable.
    Variable, Some("^[A-Za-z_][A-Za-z0-9_]{0,254}$"), "the name of an environment variable",
    "use letters, digits and `_`, start with a letter or `_`, at most 255 characters",
    |text| head_tail(text, 255, |b| b.is_ascii_alphabetic() || b == b'_', |b| b.is_ascii_alphanumeric() || b == b'_')
);
text!(
    /// A user of a host.
    User, false, Some("^[A-Za-z_][A-Za-z0-9_.@+-]{0,63}$"), "a user name",
    "use letters, digits and `_`, `.`, `@`, `+`, `-`, start with a letter or `_`, at most 64 characters",
    |text| head_tail(text, 64, |b| b.is_ascii_alphabetic() || b == b'_',
        |b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'@' | b'+' | b'-'))
);
gate!(
    /// Whom a service runs as.
    RunsAs, Some("^([A-Za-z_][A-Za-z0-9_.@+-]{0,63}|0|[1-9][0-9]{0,9})(:([A-Za-z_][A-Za-z0-9_.@+-]{0,63}|0|[1-9][0-9]{0,9}))?$"), "a user",
    "write a name: letters, digits and `_`, `.`, `@`, `+`, `-`, a letter or `_` first, at most 64 characters; for a container also a number up to 2147483647, and a group behind `:`",
    super::docker::is_user
);
text!(
    /// A host name, an IP address, or an alias of the SSH configuration.
    Address, false, Some("^[A-Za-z0-9_:][A-Za-z0-9._:%-]{0,252}$"), "an address",
    "use a host name, an IP address without brackets, or an alias of the SSH configuration; the port has its own key `port`",
    |text| head_tail(text, 253, |b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b':'),
        |b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b':' | b'%' | b'-'))
        && text.matches(':').count() != 1
);
text!(
    /// A folder on a host.
    HostFolder, false, Some("^(/[A-Za-z0-9._@+-]+)+$"), "a folder on a host",
    "use an absolute path of letters, digits and `.`, `_`, `-`, `@`, `+`, without `.`, `..` or a slash at the end",
    |text| text.len() <= 1024 && text.strip_prefix('/').is_some_and(|rest| rest.split('/').all(|part| {
        !matches!(part, "" | "." | "..")
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'@' | b'+'))
    }))
);
gate!(
    /// A path inside of a release.
    ReleasePath, Some("^(?!/)(?!(.*/)?\\.{0,2}(/|$))[^\\u0000-\\u001f\\u007f]+$"), "a path inside of the release",
    "use a relative path without `.`, `..`, empty parts or control characters, at most 1024 bytes, and not below `.portoser`, which is ours",
    |text| text.len() <= 1024 && no_control(text) && text.split('/').next() != Some(".portoser")
        && text.split('/').all(|part| !matches!(part, "" | "." | "..") && part.len() <= 255)
);
text!(
    /// The name of a unit of the host's init system.
    UnitName, false, Some("^[A-Za-z0-9_:][A-Za-z0-9:_.@\\\\-]{0,254}$"), "the name of a unit",
    "use letters, digits and `:`, `_`, `.`, `@`, `-`, `\\`, at most 255 characters, such as nginx.service",
    |text| head_tail(text, 255, |b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b':'),
        |b| b.is_ascii_alphanumeric() || matches!(b, b':' | b'_' | b'.' | b'@' | b'-' | b'\\'))
);
text!(
    /// Path and query of a URL.
    UrlPath, false, Some("^/[!-~]*$"), "the path of a URL",
    "begin it with `/`, and write what is not printable ASCII, and spaces, as `%` and two hexadecimal digits",
    |text| text.starts_with('/') && text.len() <= 4096 && text.bytes().all(|b| b.is_ascii_graphic())
);
gate!(
    /// The name of an HTTP header (RFC 9110, 5.6.2).
    HeaderName, Some("^[A-Za-z0-9!#$%&'*+.^_`|~-]+$"), "the name of an HTTP header",
    "use letters, digits and the characters !#$%&'*+-.^_`|~",
    |text| !text.is_empty() && text.len() <= 255
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
);
text!(
    /// A regular expression.
    Pattern, false, None, "a regular expression that can be used",
    "it must be in the syntax of the Rust crate regex, and compile to at most 1 MiB",
    |text| regex::RegexBuilder::new(text).size_limit(1 << 20).build().is_ok()
);
text!(
    /// A pointer into a JSON document (RFC 6901).
    Pointer, false, Some("^(/.*)?$"), "a JSON pointer",
    "begin it with `/`, such as /status or /checks/0/state",
    |text| (text.is_empty() || text.starts_with('/')) && text.len() <= 4096 && no_control(text)
);
text!(
    /// Names of hosts, services and environments.
    Name, false, Some("^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$"), "a name",
    "use a-z, 0-9 and `-`, start with a letter, end with a letter or digit, at most 63 characters",
    crate::model::ServiceName::fits
);
text!(
    /// Times of a week.
    Week, false, Some("^((mon|tue|wed|thu|fri|sat|sun)([,-](mon|tue|wed|thu|fri|sat|sun))* )?[0-2][0-9]:[0-5][0-9]-[0-2][0-9]:[0-5][0-9]$"),
    "a window of the week",
    "write days and times of 24 hours in UTC, such as `sat 22:00-04:00`, `mon-fri 01:00-05:00`, or `01:00-05:00` for every day",
    |text| super::window::Window::parse(text).is_some()
);
gate!(
    /// The first word of a command.
    Program, None, "a program",
    "the first word of a command must not be empty, begin with `-`, or hold control characters",
    |text| !text.is_empty() && !text.starts_with('-') && no_control(text) && text.len() <= 4096
);
text!(
    /// A version of Python, without its patch.
    PythonVersion, true, Some("^3\\.([89]|[1-9][0-9])$"), "a version of Python",
    "write major and minor version in quotes, such as \"3.12\", at least 3.8; a host has its own patch version",
    |text| text.strip_prefix("3.").is_some_and(|minor| {
        minor.len() <= 2 && !minor.starts_with('0') && minor.parse().is_ok_and(|minor: u8| minor >= 8)
    })
);
text!(
    /// The name of an extra or a dependency group (PEP 508, PEP 735).
    PackageName, false, Some("^[A-Za-z0-9]([A-Za-z0-9._-]{0,126}[A-Za-z0-9])?$"), "the name of an extra or group",
    "use letters, digits and `.`, `_`, `-`, start and end with a letter or digit, at most 128 characters",
    |text| head_tail(text, 128, |b| b.is_ascii_alphanumeric(),
        |b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
        && text.ends_with(|c: char| c.is_ascii_alphanumeric())
);
text!(
    /// A git repository.
    Repository, false, None, "a git repository",
    "write a URL of https, http, ssh, git or file, HOST:PATH, or a path; nothing that begins with `-`, and no user or \
     password in a URL of http: git's own credential helper has them",
    super::source::is_repository
);
text!(
    /// A branch, a tag or a commit.
    Reference, true, None, "the name of a branch, a tag or a commit",
    "it must be a name that git allows (git-check-ref-format), such as main, v1.2, or the whole id of a commit",
    super::source::is_reference
);
text!(
    /// A folder in a repository.
    InnerPath, false, Some("^(?!/)(?!(.*/)?\\.{0,2}(/|$))[^\\u0000-\\u001f\\u007f]+$"), "a folder inside of the repository",
    "use a relative path without `.`, `..`, empty parts or control characters, at most 1024 bytes",
    super::source::is_inside
);
text!(
    /// The address of a mailbox.
    MailAddress, false, Some("^[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@[A-Za-z0-9.-]+$"), "a mail address",
    "write NAME@DOMAIN in ASCII, without quotes, spaces or a name for people, at most 254 characters",
    super::notify::is_mail_address
);
text!(
    /// The address of a package index.
    IndexUrl, false, Some("^https?://[!-~]+$"), "the address of a package index",
    "begin it with https:// or http://, and write what is not printable ASCII as `%` and two hexadecimal digits",
    |text| text.len() <= 4096 && text.bytes().all(|b| b.is_ascii_graphic())
        && ["https://", "http://"].iter().any(|begin| text.strip_prefix(begin).is_some_and(|rest| !rest.is_empty()))
);
