//! Where the files of a service come from: this machine's disk, or a git repository. What git would take for an option, run a
//! program for, or carry a password in, is no repository here.

use std::path::PathBuf;

/// Where the files of a service come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A folder or file of this machine, absolute.
    Here(PathBuf),
    /// A commit of a git repository.
    Git(Git),
}

/// A folder of a git repository, as one of its commits has it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Git {
    /// What `git fetch` is given: a URL, `HOST:PATH`, or an absolute path of this machine.
    pub url: String,
    /// A branch, a tag, a full name (`refs/...`) or the whole id of a commit; when none is given, the repository's own `HEAD`.
    pub reference: Option<String>,
    /// The folder in it; all of it when none is given.
    pub path: Option<String>,
}

impl Git {
    /// The repository as it may be shown: a query of a URL may hold what lets one in.
    #[must_use]
    pub fn shown(&self) -> String {
        masked(&self.url)
    }
}

/// What may be shown of a repository as it was written, be it one or not: neither the user's part of a URL with a password in it, nor
/// a query.
pub(super) fn masked(text: &str) -> String {
    let Written::Url { scheme, authority, path } = written(text) else { return text.to_owned() };
    let rest = format!("{authority}{path}");
    // A password may hold what ends the place; then the number of a port is none.
    let port = |text: &str| text.ends_with(']') || text.bytes().all(|b| b.is_ascii_digit());
    let lets_in = match authority.split_once('@') {
        Some((user, _)) => scheme != "ssh" || user.contains(':'),
        None => authority.rsplit_once(':').is_some_and(|(_, text)| !port(text)),
    };
    let rest = match rest.rfind('@').filter(|_| lets_in) {
        Some(at) => format!("[masked]{}", &rest[at..]),
        None => rest,
    };
    let rest = rest.find(['?', '#']).map_or_else(|| rest.clone(), |at| format!("{}[masked]", &rest[..=at]));
    format!("{scheme}://{rest}")
}

/// How a repository is written.
enum Written<'a> {
    Url {
        scheme: &'a str,
        authority: &'a str,
        path: &'a str,
    },
    /// `[USER@]HOST:PATH`, over SSH.
    Short {
        host: &'a str,
        path: &'a str,
    },
    Path,
}

fn written(text: &str) -> Written<'_> {
    if let Some((scheme, rest)) = text.split_once("://") {
        let (authority, path) = rest.find('/').map_or((rest, ""), |slash| rest.split_at(slash));
        return Written::Url { scheme, authority, path };
    }
    match text.split_once(':') {
        Some((host, path)) if !host.contains('/') => Written::Short { host, path },
        _ => Written::Path,
    }
}

/// Whether a repository is a path of this machine, and no address.
pub(super) fn is_path(repository: &str) -> bool {
    matches!(written(repository), Written::Path)
}

/// Whether git can be given this as a repository: it goes there by a way of its own, without a helper, and no password is in it.
pub(super) fn is_repository(text: &str) -> bool {
    let host = |text: &str| {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b':' | b'[' | b']');
        !text.is_empty() && !text.starts_with('-') && text.bytes().all(allowed)
    };
    let place = |text: &str| {
        let (user, place) = text.split_once('@').unwrap_or(("git", text));
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'+');
        !user.is_empty() && !user.starts_with('-') && user.bytes().all(allowed) && host(place)
    };
    let plain = text.len() <= 4096 && !text.starts_with('-') && !text.is_empty() && !text.chars().any(char::is_control);
    plain
        && match written(text) {
            Written::Url { scheme: "file", authority: "", path } => path.len() > 1,
            Written::Url { scheme: "https" | "http" | "git", authority, path } => host(authority) && path.len() > 1,
            Written::Url { scheme: "ssh", authority, path } => place(authority) && path.len() > 1,
            Written::Url { .. } => false,
            // Two colons name a program that git runs: `ext::sh -c ...`.
            Written::Short { host, path } => {
                !host.contains(':') && place(host) && !path.is_empty() && !path.starts_with([':', '-'])
            }
            Written::Path => true,
        }
}

/// Whether this can name a branch, a tag or a commit (git-check-ref-format(1)).
pub(super) fn is_reference(text: &str) -> bool {
    let part = |part: &str| !part.is_empty() && !part.starts_with('.') && !part.ends_with(".lock");
    text.len() <= 255
        && !text.starts_with('-')
        && !text.ends_with('.')
        && text != "@"
        && !["..", "@{"].iter().any(|sign| text.contains(sign))
        && !text.contains(|c: char| c.is_control() || c.is_whitespace() || "~^:?*[\\".contains(c))
        && text.split('/').all(part)
}

/// Whether this is a relative path that stays where it begins.
pub(super) fn is_inside(text: &str) -> bool {
    text.len() <= 1024
        && !text.chars().any(char::is_control)
        && text.split('/').all(|part| !matches!(part, "" | "." | "..") && part.len() <= 255)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lets_one_in_is_not_shown() {
        for (text, want) in [
            ("https://git.example.net/team/api.git", "https://git.example.net/team/api.git"),
            ("https://git.example.net/a.git?key=abc#x", "https://git.example.net/a.git?[masked]"),
            ("https://user:word@example.net/a", "https://[masked]@example.net/a"),
            ("https://user:w@rd@example.net/a", "https://[masked]@example.net/a"),
            ("https://user:w/rd@example.net/a", "https://[masked]@example.net/a"),
            ("https://[::1]:80/@a", "https://[::1]:80/@a"),
            ("https://token@example.net/a", "https://[masked]@example.net/a"),
            ("ssh://git@example.net/a", "ssh://git@example.net/a"),
            ("ssh://git:word@example.net/a", "ssh://[masked]@example.net/a"),
            ("git@example.net:a?b", "git@example.net:a?b"),
            ("/srv/what?", "/srv/what?"),
        ] {
            assert_eq!(masked(text), want, "{text}");
        }
    }

    #[test]
    fn git_gets_no_option_no_helper_and_no_password() {
        for good in [
            "https://git.example.net/team/api.git",
            "http://localhost:3000/a",
            "git://example.net/a",
            "ssh://git@example.net:2222/~/api",
            "ssh://[::1]:22/srv/api.git",
            "git@example.net:team/api.git",
            "host:api",
            "file:///srv/git/api.git",
            "/srv/git/api",
            "../api",
            "~/api",
            "a b/api",
            "./ext::x",
        ] {
            assert!(is_repository(good), "{good}");
        }
        for bad in [
            "",
            "-x",
            "--upload-pack=touch /tmp/x",
            "ext::sh -c touch% /tmp/x",
            "https::x",
            "fd::17",
            "https://user:word@example.net/a",
            "https://token@example.net/a",
            "ssh://git:word@example.net/a",
            "ssh://-oProxyCommand=x/a",
            "ssh://git@-oProxyCommand=x/a",
            "-oProxyCommand=x:a",
            "git@-oProxyCommand=x:a",
            "host:-x",
            "https://example.net",
            "ftp://example.net/a",
            "rsync://example.net/a",
            "file://host/a",
            "a\nb",
            "C:",
        ] {
            assert!(!is_repository(bad), "{bad}");
        }
        assert!(is_path("../api") && is_path("./ext::x") && !is_path("host:api") && !is_path("file:///srv/a"));
    }

    #[test]
    fn references_are_names_and_nothing_else() {
        for good in ["main", "v1.2", "refs/heads/a-b", "feature/é", "HEAD", "1234567", "a@b"] {
            assert!(is_reference(good), "{good}");
        }
        for bad in [
            "",
            "-x",
            "--upload-pack=x",
            "a..b",
            "a b",
            "a^",
            "a~1",
            "a:b",
            "a?",
            "a*",
            "[a",
            "a\\b",
            "/a",
            "a/",
            "a//b",
            ".a",
            "a/.b",
            "a.lock",
            "a.lock/b",
            "a.",
            "@",
            "a@{1}",
            "a\nb",
            "+a\t",
        ] {
            assert!(!is_reference(bad), "{bad}");
        }
    }
}
