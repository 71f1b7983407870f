//! What the services of a compose project share: its name, its network, and its volumes, whose data stays where it is.

use std::collections::BTreeMap;
use std::io::Read as _;

use super::KEEP;
use crate::model::within;
use crate::registry::import::Around;
use crate::registry::import::item::Item;
use crate::registry::import::notes::Notes;
use crate::registry::import::words;
use crate::registry::text::{Gate, NetworkName};

/// What keeps the data of a project.
pub(in crate::registry::import) const ADOPT: &str =
    "`portoser adopt HOST` takes over a project that runs, with its data";

/// More than this is not a file of settings.
const MOST_BYTES: u64 = 1 << 20;

/// What is shared.
pub(super) struct Project {
    /// What compose calls it; none where that is not known.
    name: Option<String>,
    /// What the networks of the file are called on the host, which other projects share.
    networks: BTreeMap<String, String>,
    /// Whether somebody else is on the network of those that name none.
    together: bool,
    /// The folder of the file on the hosts of its services; or why it is not there.
    folder: Result<String, (&'static str, &'static str)>,
}

impl Project {
    pub(super) fn new(top: &Item<'_>, around: &Around<'_>, notes: &mut Notes) -> Self {
        let name = named(top, around);
        let all = top.get("networks").map(|all| all.entries()).unwrap_or_default();
        let real = |(key, item): &(&str, Item<'_>)| Some(((*key).to_owned(), item.get("name")?.text()?.to_owned()));
        let mut networks: BTreeMap<String, String> = all.iter().filter_map(real).collect();
        // Two files may have a network of one key, and mean two.
        for (key, item) in all.iter().filter(|(key, _)| *key != "default") {
            let there = item.get("external").is_some_and(|item| item.flag() != Some(false));
            let own = name.as_ref().map(|name| format!("{name}-{key}")).filter(|own| NetworkName::good(own) && !there);
            let own = own.filter(|own| !all.iter().any(|(other, _)| other == own));
            if let Some(own) = own {
                networks.entry((*key).to_owned()).or_insert(own);
            }
        }
        let services = top.get("services").map(|all| all.entries()).unwrap_or_default();
        let members = services.iter().filter(|(_, item)| item.get("image").is_some() && takes_part(item)).count();
        let together = members > 1 || networks.contains_key("default");
        if let Some(name) = name.as_ref().filter(|_| !networks.contains_key("default")) {
            let taken = all.iter().any(|(key, _)| key == name) || networks.values().any(|real| real == name);
            let real = if NetworkName::good(name) && !taken { name.clone() } else { format!("{name}-default") };
            networks.insert("default".into(), real);
        } else if name.is_none() && together {
            notes.lost_beside(
                top,
                "its services find each other by the project's network, and the project has no name",
                "give it a `name:` there",
            );
        }
        Self { name, networks, together, folder: folder(around) }
    }

    /// A path beside the file as one of the hosts; or why there is none, and what to do.
    pub(super) fn beside(&self, path: &str) -> Result<String, (&'static str, &'static str)> {
        let folder = self.folder.as_ref().map_err(|why| *why)?;
        if path.starts_with('~') {
            return Err(("whose home folder it means is not known", "write the whole path there"));
        }
        Ok(format!("/{}", within(folder, path)))
    }

    /// The network on which those are that name none; none where nobody else is on it.
    pub(super) fn default(&self, item: &Item<'_>) -> Option<&str> {
        let named = item.get("networks").is_some() || item.get("network_mode").is_some();
        self.networks.get("default").filter(|_| self.together && !named).map(String::as_str)
    }

    /// What a network of the file is called on the host.
    pub(super) fn network<'a>(&'a self, key: &'a str) -> &'a str {
        self.networks.get(key).map_or(key, String::as_str)
    }

    /// Named volumes are made when they are needed, and begin empty; how they are made is only for the file itself to say.
    pub(super) fn volumes(&self, top: &Item<'_>, volumes: &Item<'_>, notes: &mut Notes) {
        for (name, volume) in volumes.entries() {
            let users = users(top, name);
            let (why, hint) = match users.as_slice() {
                [] => (String::new(), ADOPT.to_owned()),
                [user] => {
                    (String::new(), format!("{ADOPT}; or copy it to `portoser-{user}_{name}` before the first deploy"))
                }
                _ => (
                    format!("; `{}` share it, and here each has one of its own", users.join("`, `")),
                    format!("{ADOPT}; or keep it in a folder of the host, which several can mount"),
                ),
            };
            let stays = stays(self.name.as_deref(), name, &volume);
            notes.lost(&volume, format!("{stays}{why}"), hint);
            for (_, item) in volume.entries() {
                notes.lost(&item, "how a volume is made cannot be said for services of an image", KEEP);
            }
        }
    }
}

/// Where the data of a volume stays.
pub(super) fn stays(project: Option<&str>, name: &str, volume: &Item<'_>) -> String {
    let own = volume.get("name").and_then(|item| item.text().map(str::to_owned));
    let external = volume.get("external").is_some_and(|item| item.flag() != Some(false)).then(|| name.to_owned());
    let real = own.or(external).unwrap_or_else(|| format!("{}_{name}", project.unwrap_or("PROJECT")));
    format!("its data stays in the volume `{real}` of the host, and is not taken along")
}

/// Where the file is on the hosts of its services; or why it is not there, and what to do.
fn folder(around: &Around<'_>) -> Result<String, (&'static str, &'static str)> {
    match (around.from, around.there) {
        (None, _) => Err(("a folder beside the compose file is not there on the host", KEEP)),
        (Some(host), _) if around.hosts.iter().any(|one| one != host) => Err((
            "it lies beside the compose file, and the service runs on another host",
            "bring it there, and name its whole path",
        )),
        (_, None) => Err((
            "in which folder of the host the file lies is not known",
            "name the file by its whole path: `HOST:/PATH`",
        )),
        (_, Some(folder)) => Ok(folder.to_owned()),
    }
}

/// What the `.env` beside a file calls its project, which goes before what the file says. Nothing else of it is read.
pub(super) fn named_beside(around: &Around<'_>) -> Option<String> {
    let mut text = Vec::new();
    match around.settings {
        Some(lines) => text.extend(lines.bytes()),
        None => {
            let file = std::fs::File::open(around.folder.as_ref()?.join(".env")).ok()?;
            file.take(MOST_BYTES).read_to_end(&mut text).ok()?;
        }
    }
    let text = String::from_utf8_lossy(&text);
    let value = |line: &str| {
        let line = line.trim_start();
        let rest = line.strip_prefix("export ").unwrap_or(line).trim_start().strip_prefix("COMPOSE_PROJECT_NAME")?;
        let value = rest.trim_start().strip_prefix('=')?;
        let value = value.split(" #").next().unwrap_or_default().trim();
        let plain = ['"', '\''].iter().find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote));
        Some(plain.unwrap_or(value).to_owned())
    };
    text.lines().filter_map(value).next_back().filter(|name| !name.contains('$')).and_then(|name| plain(&name))
}

/// What compose calls a project: as the `.env` beside it or the file says, or as the folder that it lies in.
pub(in crate::registry::import) fn named(top: &Item<'_>, around: &Around<'_>) -> Option<String> {
    let own = top.get("name").and_then(|item| item.text().map(str::to_owned)).filter(|name| !name.contains('$'));
    let here = || around.folder.as_ref()?.file_name()?.to_str().map(str::to_owned);
    let there = || around.there?.rsplit('/').next().map(str::to_owned);
    named_beside(around).or_else(|| own.or_else(here).or_else(there).and_then(|name| plain(&name)))
}

/// A name as compose cleans it.
pub(in crate::registry::import) fn plain(name: &str) -> Option<String> {
    let kept = |c: &char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
    let name: String = name.to_lowercase().chars().filter(kept).collect();
    let name = name.trim_start_matches(['-', '_']);
    (!name.is_empty()).then(|| name.to_owned())
}

/// Whether a service is on the project's own network.
fn takes_part(item: &Item<'_>) -> bool {
    match item.get("networks") {
        Some(networks) => {
            networks.entries().iter().any(|(name, _)| *name == "default")
                || networks.items().iter().any(|item| item.text() == Some("default"))
        }
        None => item.get("network_mode").is_none(),
    }
}

/// The services that mount a volume.
fn users(top: &Item<'_>, name: &str) -> Vec<String> {
    let services = top.get("services").map(|all| all.entries()).unwrap_or_default();
    let mounts = |item: &Item<'_>| {
        let volumes = item.get("volumes").map(|all| all.items()).unwrap_or_default();
        volumes.iter().any(|volume| match volume.text() {
            Some(text) => text.split(':').next() == Some(name),
            None => volume.get("source").is_some_and(|source| source.text() == Some(name)),
        })
    };
    services.iter().filter(|(_, item)| mounts(item)).filter_map(|(name, _)| words::slug(name)).collect()
}

/// The networks of the file. A service goes by their names on the host.
pub(super) fn networks(networks: &Item<'_>, notes: &mut Notes) {
    for (_, network) in networks.entries() {
        if network.is_null() || network.entries().is_empty() {
            notes.needless(&network, "a network is made when a service names it");
        }
        for (key, item) in network.entries() {
            match key {
                "name" if item.text().is_some() => notes.needless(&item, "its services go by this name"),
                "external" if item.flag() == Some(true) => notes.needless(&item, "a network that is there is taken"),
                _ => notes.lost(&item, "how a network is made cannot be said for services of an image", KEEP),
            }
        }
    }
}
