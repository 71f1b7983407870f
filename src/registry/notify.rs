//! Who is told of news, as checked.

use std::time::Duration;

use super::login::SecretRef;

/// What can be new.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum NewsKind {
    /// Something is wrong that was not before.
    WentBad,
    /// It was wrong, and is well again.
    Healed,
    /// Nothing helped, or nothing may be done.
    GaveUp,
    /// Something was learned.
    Learned,
}

/// Where news go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotifyTo {
    /// To a program of this machine, on its standard input.
    Command(Vec<String>),
    /// To a URL, signed with this key, where there is one.
    Webhook { url: Url, key: Option<SecretRef> },
    /// To people, by a mail server.
    Mail(Mail),
}

/// A mail server, and whom it brings letters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    pub server: String,
    pub port: u16,
    pub security: MailSecurity,
    pub from: String,
    /// Never empty.
    pub to: Vec<String>,
    /// The name by which the server knows us, and its password.
    pub login: Option<(String, SecretRef)>,
}

/// How the way to a mail server is closed to others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailSecurity {
    /// TLS begins where the server is asked for it, before anything else is said (RFC 3207).
    StartTls,
    /// TLS from the first byte (RFC 8314).
    Tls,
    /// Not at all.
    Open,
}

/// Whether this is a plain mail address: what a header and a command can hold as it is (RFC 5321, without quotes and comments).
pub(super) fn is_mail_address(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else { return false };
    let atom = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&b);
    let dotted =
        |text: &str, good: &dyn Fn(u8) -> bool| text.split('.').all(|part| !part.is_empty() && part.bytes().all(good));
    local.len() <= 64
        && text.len() <= 254
        && dotted(local, &atom)
        && dotted(domain, &|b| b.is_ascii_alphanumeric() || b == b'-')
        && !domain.split('.').any(|part| part.starts_with('-') || part.ends_with('-'))
}

/// One who is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notify {
    pub to: NotifyTo,
    /// What is told; never empty.
    pub news: Vec<NewsKind>,
    /// The same is not told again within this time.
    pub cooldown: Duration,
    /// How long the one who is told may take.
    pub timeout: Duration,
}

/// Where a text is posted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    pub tls: bool,
    pub host: String,
    pub port: u16,
    /// From the first `/`, with the query.
    pub path: String,
}

impl Url {
    /// Reads `http://` or `https://`, a host, perhaps a port and a path. Nothing else: no user, no fragment.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (tls, rest) = match text.strip_prefix("https://") {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix("http://")?),
        };
        let at = rest.find(['/', '?']).unwrap_or(rest.len());
        let (place, path) = rest.split_at(at);
        let (host, port) = match place.rsplit_once(':').filter(|(_, port)| !port.ends_with(']')) {
            Some((host, port)) => (host, port.parse().ok()?),
            None => (place, if tls { 443 } else { 80 }),
        };
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let plain = |c: char| c.is_ascii_alphanumeric() || ".-_".contains(c) || bare.is_some() && c == ':';
        let host = bare.unwrap_or(host);
        let visible = path.chars().all(|c| c.is_ascii_graphic() && c != '#');
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        (!host.is_empty() && host.chars().all(plain) && visible).then(|| Self {
            tls,
            host: host.to_owned(),
            port,
            path,
        })
    }

    /// The host and its port.
    #[must_use]
    pub fn place(&self) -> String {
        let Self { host, port, .. } = self;
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mail_address_holds_nothing_that_a_header_would_read() {
        for good in ["ops@example.net", "first.last+tag@mail.example.net", "root@localhost"] {
            assert!(is_mail_address(good), "{good}");
        }
        for bad in [
            "",
            "ops",
            "@a",
            "a@",
            "a b@c",
            "a@b c",
            "<a@b>",
            "a@b\r\nBcc: c@d",
            "a@b,c@d",
            "\"a b\"@c",
            "a@-b",
            "a..b@c",
            "a@b.",
            "ä@b",
            "a@ä",
            "a@b>",
        ] {
            assert!(!is_mail_address(bad), "{bad}");
        }
    }

    #[test]
    fn a_url_is_read() {
        let read = |text: &str| Url::parse(text).map(|url| (url.tls, url.place(), url.path));
        let url = |tls, place: &str, path: &str| Some((tls, place.to_owned(), path.to_owned()));
        assert_eq!(read("https://a.example/x?y=1"), url(true, "a.example:443", "/x?y=1"));
        assert_eq!(read("http://127.0.0.1:8080"), url(false, "127.0.0.1:8080", "/"));
        assert_eq!(read("http://a?b"), url(false, "a:80", "/?b"));
        assert_eq!(read("http://[::1]:81/"), url(false, "[::1]:81", "/"));
        for text in [
            "",
            "a",
            "ftp://a",
            "http://",
            "http://a:b/",
            "http://u:p@a/",
            "http://a b/",
            "http://a/#x",
            "http://a/\r\nx",
        ] {
            assert_eq!(Url::parse(text), None, "{text}");
        }
    }
}
