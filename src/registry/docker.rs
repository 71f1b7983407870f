//! The short texts of Docker services: images, mounts, published ports. Each has one rule and one reader.

use std::path::PathBuf;
use std::time::Duration;

use super::text::{Gate as _, User};

pub use crate::model::Pull;

/// The names under which compose looks for its file, in its order.
pub const COMPOSE_FILES: [&str; 4] = ["compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"];

/// Those of the file that it lays over that one, where it finds one beside it.
pub const COMPOSE_OVERRIDES: [&str; 4] =
    ["compose.override.yml", "compose.override.yaml", "docker-compose.override.yml", "docker-compose.override.yaml"];

/// A Docker service: always a compose project on the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Docker {
    pub project: Project,
    pub pull: Pull,
    /// Where the image is sent from, in place of pulling it.
    pub push: Option<Push>,
}

/// Where on this machine an image lies that is sent to hosts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Push {
    /// In this machine's engine.
    Engine,
    /// In an archive of `docker save`, or an OCI layout (a folder, or an archive of one): absolute.
    From(PathBuf),
    /// It is built by this machine's engine from this folder, absolute, which holds a `Dockerfile`.
    Build(PathBuf),
}

/// Where the project comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Project {
    /// One image, from which we render a project.
    Image(Box<Image>),
    /// The user's own compose file, or the folder that holds it: absolute on this machine.
    Compose {
        path: PathBuf,
        /// The part of it that `env` and `exec` are for.
        part: Option<String>,
        /// Where it was on the host before.
        adopted: Option<Adopted>,
    },
}

/// A compose project that was on a host before it was portoser's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adopted {
    /// The project's name.
    pub name: String,
    /// The folder of the host, absolute, in which the relative paths of its file begin.
    pub folder: String,
}

/// A service of one image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Image {
    /// The image's reference, as `docker pull` takes it.
    pub reference: String,
    /// In place of the image's own command; may hold variables.
    pub command: Option<Vec<String>>,
    pub volumes: Vec<Mount>,
    /// Networks of the host, shared with other services; made where they are missing.
    pub networks: Vec<String>,
    /// Ports of the container that the host listens on for it.
    pub publish: Vec<Publish>,
    pub healthcheck: Option<Healthcheck>,
}

impl Image {
    /// Why an old and a new container of it cannot run at once, where they cannot.
    #[must_use]
    pub fn exclusive(&self) -> Option<String> {
        if let Some(publish) = self.publish.first() {
            return Some(format!("both would hold port {} of the host", publish.host));
        }
        self.volumes.iter().find(|mount| !mount.read_only).map(|mount| match &mount.source {
            MountSource::Volume(source) | MountSource::Host(source) => format!("both would write to `{source}`"),
            // What is not sent is a folder that all releases share.
            MountSource::Release(source) => format!("both would write to `./{source}`"),
        })
    }
}

/// What asks a container for its health, within it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Healthcheck {
    pub words: Vec<String>,
    pub interval: Duration,
    pub timeout: Duration,
    pub retries: u32,
    pub start_period: Duration,
}

/// A volume or folder within a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    pub source: MountSource,
    /// Absolute, in the container.
    pub target: String,
    pub read_only: bool,
}

/// What is mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MountSource {
    /// A named volume, which outlives the service.
    Volume(String),
    /// A path of the host, absolute; may begin with a variable.
    Host(String),
    /// A path in the release.
    Release(String),
}

impl Mount {
    /// Reads `SOURCE:/PATH[:ro]`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > 4096 || text.chars().any(char::is_control) {
            return None;
        }
        let mut parts = text.split(':');
        let (source, target, mode) = (parts.next()?, parts.next()?, parts.next());
        let read_only = match mode {
            None | Some("rw") => false,
            Some("ro") => true,
            Some(_) => return None,
        };
        let climbs = |path: &str| path.split('/').any(|part| part == "..");
        let plain = |path: &str| path.split('/').all(|part| !matches!(part, "" | "." | ".."));
        if parts.next().is_some() || !target.strip_prefix('/').is_some_and(plain) || climbs(source) {
            return None;
        }
        let source = if let Some(path) = source.strip_prefix("./").filter(|path| !path.is_empty()) {
            MountSource::Release(Some(path).filter(|path| plain(path))?.to_owned())
        } else if source.starts_with('/') || source.starts_with("${") {
            MountSource::Host(source.to_owned())
        } else if is_volume(source) {
            MountSource::Volume(source.to_owned())
        } else {
            return None;
        };
        Some(Self { source, target: target.to_owned(), read_only })
    }

    /// As `parse` reads it.
    #[must_use]
    pub fn write(&self) -> String {
        let mode = if self.read_only { ":ro" } else { "" };
        match &self.source {
            MountSource::Volume(source) | MountSource::Host(source) => format!("{source}:{}{mode}", self.target),
            MountSource::Release(path) => format!("./{path}:{}{mode}", self.target),
        }
    }
}

/// The name of a volume, as the engine takes it.
pub(super) fn is_volume(name: &str) -> bool {
    let mut bytes = name.bytes();
    name.len() <= 64
        && bytes.next().is_some_and(|b| b.is_ascii_alphanumeric())
        && bytes.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
}

/// The name of a network that the engine lets anybody make: not one of its own.
pub(super) fn is_network(name: &str) -> bool {
    is_volume(name) && !matches!(name, "bridge" | "host" | "none" | "default")
}

/// Whom a container runs as, as the engine takes it: a user, and perhaps a group, each by its name or its number.
pub(super) fn is_user(text: &str) -> bool {
    let number = |text: &str| {
        let plain = text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
        plain && text.parse::<u32>().is_ok_and(|number| number <= MOST_USERS)
    };
    let one = |text: &str| User::good(text) || number(text);
    match text.split_once(':') {
        Some((user, group)) => one(user) && one(group),
        None => one(text),
    }
}

/// The highest number of a user or group that engines take.
pub(super) const MOST_USERS: u32 = 0x7fff_ffff;

/// A port of the container that the host listens on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publish {
    /// The address of the host; all of them, if none is given.
    pub address: Option<std::net::IpAddr>,
    pub host: u16,
    pub container: u16,
    pub udp: bool,
}

/// The rule of published ports.
pub(super) const PUBLISH: &str = "write PORT, or \"HOST:CONTAINER\" in quotes, with an address before it (\"127.0.0.1:8080:80\") or `/udp` behind it where needed";

impl Publish {
    /// The same port on both sides.
    #[must_use]
    pub fn same(port: u16) -> Self {
        Self { address: None, host: port, container: port, udp: false }
    }

    /// Reads `[ADDRESS:]HOST:CONTAINER[/udp]`; an IPv6 address stands in brackets.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (rest, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
        let udp = match protocol {
            "tcp" => false,
            "udp" => true,
            _ => return None,
        };
        let (rest, container) = rest.rsplit_once(':')?;
        let (address, host) = match rest.rsplit_once(':') {
            Some((address, host)) => {
                let address = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(address);
                (Some(address.parse().ok()?), host)
            }
            None => (None, rest),
        };
        let port = |text: &str| -> Option<u16> {
            let plain = text.bytes().all(|b| b.is_ascii_digit()) && !text.starts_with('0');
            text.parse().ok().filter(|_| plain)
        };
        Some(Self { address, host: port(host)?, container: port(container)?, udp })
    }

    /// As `parse` reads it.
    #[must_use]
    pub fn write(&self) -> String {
        let address = match self.address {
            None => String::new(),
            Some(std::net::IpAddr::V4(address)) => format!("{address}:"),
            Some(std::net::IpAddr::V6(address)) => format!("[{address}]:"),
        };
        format!("{address}{}:{}{}", self.host, self.container, if self.udp { "/udp" } else { "" })
    }
}

/// Whether a text is the reference of an image: the grammar of github.com/distribution/reference.
pub(super) fn is_image(text: &str) -> bool {
    let (rest, digest) = text.split_once('@').map_or((text, None), |(rest, digest)| (rest, Some(digest)));
    let hex = |b: u8| b.is_ascii_digit() || matches!(b, b'a'..=b'f');
    let is_digest =
        |digest: &str| digest.strip_prefix("sha256:").is_some_and(|rest| rest.len() == 64 && rest.bytes().all(hex));
    let (name, tag) = match rest.rsplit_once(':').filter(|(_, tag)| !tag.contains('/')) {
        Some((name, tag)) => (name, Some(tag)),
        None => (rest, None),
    };
    let is_tag = |tag: &str| {
        let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        tag.len() <= 128
            && tag.bytes().next().is_some_and(word)
            && tag.bytes().all(|b| word(b) || matches!(b, b'.' | b'-'))
    };
    let (domain, path) = match name.split_once('/') {
        Some((first, path)) if first.contains(['.', ':']) || first == "localhost" => (Some(first), path),
        _ => (None, name),
    };
    let is_domain = |domain: &str| {
        let (host, port) = domain.split_once(':').map_or((domain, "1"), |(host, port)| (host, port));
        !port.is_empty()
            && port.bytes().all(|b| b.is_ascii_digit())
            && host.split('.').all(|label| {
                !label.is_empty()
                    && !label.starts_with('-')
                    && !label.ends_with('-')
                    && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            })
    };
    name.len() <= 255
        && digest.is_none_or(is_digest)
        && tag.is_none_or(is_tag)
        && domain.is_none_or(is_domain)
        && path.split('/').all(is_component)
}

/// Lower-case letters and digits, parted by `.`, `_`, `__` or dashes.
fn is_component(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let ends = text.bytes().next().is_some_and(plain) && text.bytes().last().is_some_and(plain);
    let parted = |part: &str| matches!(part, "" | "." | "_" | "__") || part.bytes().all(|b| b == b'-');
    ends && text.split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit()).all(parted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn references_of_images() {
        let digest = "0".repeat(64);
        for good in [
            "nginx",
            "nginx:1.27",
            "library/nginx",
            "ghcr.io/a/b-c/d__e.f:v1_2-3",
            "localhost/x",
            "localhost:5000/x:y",
            &format!("nginx@sha256:{digest}"),
            &format!("registry.example.net:443/a/b:1@sha256:{digest}"),
        ] {
            assert!(is_image(good), "{good}");
        }
        for bad in [
            "",
            "Nginx",
            "nginx:",
            "nginx:-x",
            "a//b",
            "/a",
            "a/",
            "a b",
            "-a",
            "a..b",
            "a:b:c",
            "nginx@sha256:1",
            "a___b",
            "x\n",
            "$(id)",
            "--privileged",
        ] {
            assert!(!is_image(bad), "{bad}");
        }
    }

    #[test]
    fn users_of_containers() {
        for good in ["web", "0", "1000", "1000:1000", "web:1000", "1000:www-data", "a.b@c+d", "2147483647:0"] {
            assert!(is_user(good), "{good}");
        }
        let long = "a".repeat(65);
        for bad in
            ["", ":", "1000:", ":1000", "1:2:3", "-1", "+1", "007", "2147483648", "1e3", "a b", "$(id)", "a\n", &long]
        {
            assert!(!is_user(bad), "{bad}");
        }
    }

    #[test]
    fn mounts_and_ports() {
        let mount = |text: &str| Mount::parse(text).map(|mount| mount.source);
        assert_eq!(mount("data:/d"), Some(MountSource::Volume("data".into())));
        assert_eq!(mount("./etc/a:/d:ro"), Some(MountSource::Release("etc/a".into())));
        assert_eq!(mount("${SHARED_DIR}/x:/d"), Some(MountSource::Host("${SHARED_DIR}/x".into())));
        for bad in [
            "data",
            "data:d",
            "data:/",
            "../x:/d",
            "/a/../b:/d",
            "a:/b:rx",
            ":/d",
            "./:/d",
            "a:/b:ro:z",
            "a b:/d",
            "a://d",
            "./a/:/d",
        ] {
            assert_eq!(Mount::parse(bad), None, "{bad}");
        }
        assert_eq!(Publish::parse("8080:80").map(|p| (p.host, p.container, p.udp)), Some((8080, 80, false)));
        assert_eq!(Publish::parse("[::1]:53:53/udp").map(|p| p.write()).as_deref(), Some("[::1]:53:53/udp"));
        for bad in ["80", "0:80", "80:0", "80:99999", "x:80:80", "80:80/sctp", "080:80", "+80:80", "1-2:1-2", "::80:80"]
        {
            assert_eq!(Publish::parse(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_is_read_is_written_alike(text in "[a-z./${}A-Z_:0-9-]{0,24}") {
            if let Some(mount) = Mount::parse(&text) {
                prop_assert_eq!(Mount::parse(&mount.write()), Some(mount));
            }
            if let Some(publish) = Publish::parse(&text) {
                prop_assert_eq!(Publish::parse(&publish.write()), Some(publish));
            }
            let _ = is_image(&text);
        }
    }
}
