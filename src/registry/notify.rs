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
