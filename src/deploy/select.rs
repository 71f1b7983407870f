//! Which services a request means, and on which hosts.

use std::collections::BTreeSet;

use crate::model::{Event, HostName, ServiceName};
use crate::plan::Graph;
use crate::registry::{Registry, Service, nearest};

/// What the user asked for.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Services by name.
    pub services: Vec<ServiceName>,
    /// Every service.
    pub all: bool,
    /// Services that carry all of these labels.
    pub labels: Vec<(String, String)>,
    /// Only these hosts; empty: every host of each service.
    pub hosts: Vec<HostName>,
    /// What the services need, too.
    pub with_needs: bool,
}

impl Selection {
    /// The hosts of a service that are meant.
    pub fn meant<'a>(&'a self, service: &'a Service) -> impl Iterator<Item = &'a HostName> {
        service.hosts.iter().filter(|host| self.hosts.is_empty() || self.hosts.contains(host))
    }

    /// Whether nothing at all is named.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.services.is_empty() && !self.all && self.labels.is_empty() && self.hosts.is_empty()
    }
}

/// Why a request means nothing.
#[derive(Debug, thiserror::Error)]
pub enum SelectFault {
    #[error("no service named `{0}` in the registry")]
    Service(ServiceName, Option<String>),
    #[error("no host named `{0}` in the registry")]
    Host(HostName, Option<String>),
    #[error("no service is named")]
    Nothing,
    #[error("there is no service in the registry")]
    Empty,
    #[error("no service carries the labels {0}")]
    Labels(String),
    #[error("none of the services runs on {0}")]
    Nowhere(String),
}

impl SelectFault {
    /// The next move.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Service(_, Some(near)) | Self::Host(_, Some(near)) => format!("did you mean `{near}`?"),
            Self::Service(..) | Self::Labels(_) => "see `portoser list`".into(),
            Self::Host(..) => "see `portoser list --hosts`".into(),
            Self::Nowhere(_) => "`portoser list` shows what runs where".into(),
            Self::Nothing => "name services, or give --all or --label".into(),
            Self::Empty => "`portoser service add` adds one".into(),
        }
    }
}

/// The fault of a host that nobody knows, with the nearest one that is known.
fn homeless(registry: &Registry, name: &HostName) -> SelectFault {
    let near = nearest(name.as_str(), registry.hosts.keys().map(HostName::as_str));
    SelectFault::Host(name.clone(), near.map(str::to_owned))
}

/// The fault of a name that nobody knows, with the nearest one that is known.
fn unknown(registry: &Registry, name: &ServiceName) -> SelectFault {
    let near = nearest(name.as_str(), registry.services.keys().map(ServiceName::as_str));
    SelectFault::Service(name.clone(), near.map(str::to_owned))
}

/// The names of services that the registry does not put on each of the hosts which the request names. Without hosts there are
/// none, as nobody would know where to look for them.
pub(super) fn strays(registry: &Registry, selection: &Selection) -> BTreeSet<ServiceName> {
    let stray = |name: &&ServiceName| {
        let placed = registry.services.get(*name).map(|service| service.hosts.as_slice()).unwrap_or_default();
        selection.hosts.iter().any(|host| !placed.contains(host))
    };
    selection.services.iter().filter(stray).cloned().collect()
}

/// What a request names and is left out of it all the same: hosts on which the registry puts none of the services that are meant,
/// and services that it puts on none of these hosts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Idle {
    Host(HostName),
    Service(ServiceName),
}

impl Idle {
    /// Why it is left out, without its name.
    fn why(&self) -> &'static str {
        match self {
            Self::Host(_) => "left out, as the registry puts none of these services there",
            Self::Service(_) => "left out, as the registry puts it on none of these hosts",
        }
    }

    /// As a run tells it.
    pub(super) fn note(&self) -> Event {
        match self {
            Self::Host(host) => Event::Note { host: Some(host.clone()), text: self.why().to_owned() },
            Self::Service(service) => Event::Note { host: None, text: format!("{service} is {}", self.why()) },
        }
    }
}

impl std::fmt::Display for Idle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Host(host) => write!(f, "{host} is {}", self.why()),
            Self::Service(service) => write!(f, "{service} is {}", self.why()),
        }
    }
}

/// What of a request has nothing to do: whatever verb it is for tells of it, so that nobody takes it for done.
#[must_use]
pub fn idle(registry: &Registry, selection: &Selection) -> Vec<Idle> {
    // Without hosts, each service is meant wherever it is.
    let chosen = if selection.hosts.is_empty() { None } else { select(registry, selection).ok() };
    let Some((_, hosts)) = chosen else { return Vec::new() };
    let left: BTreeSet<&HostName> = selection.hosts.iter().filter(|host| !hosts.contains(*host)).collect();
    let nowhere: BTreeSet<&ServiceName> =
        selection.services.iter().filter(|name| !is_placed(registry, name, &hosts)).collect();
    left.into_iter().cloned().map(Idle::Host).chain(nowhere.into_iter().cloned().map(Idle::Service)).collect()
}

/// As `select`, with these strays on the hosts that the request names.
pub(super) fn select_with(
    strays: &BTreeSet<ServiceName>,
    registry: &Registry,
    selection: &Selection,
) -> Result<(BTreeSet<ServiceName>, BTreeSet<HostName>), SelectFault> {
    if strays.is_empty() {
        return select(registry, selection);
    }
    if let Some(host) = selection.hosts.iter().find(|host| !registry.hosts.contains_key(*host)) {
        return Err(homeless(registry, host));
    }
    let (mut services, hosts) = (strays.clone(), selection.hosts.iter().cloned().collect());
    let known: Vec<_> = selection.services.iter().filter(|name| is_placed(registry, name, &hosts)).cloned().collect();
    if !known.is_empty() || selection.all || !selection.labels.is_empty() {
        services.extend(select(registry, &Selection { services: known, ..selection.clone() })?.0);
    }
    Ok((services, hosts))
}

/// The fault of strays of which no host knows anything.
pub(super) fn nowhere(registry: &Registry, stray: &ServiceName, hosts: &BTreeSet<HostName>) -> SelectFault {
    if !registry.services.contains_key(stray) {
        return unknown(registry, stray);
    }
    let hosts: Vec<_> = hosts.iter().map(ToString::to_string).collect();
    SelectFault::Nowhere(hosts.join(", "))
}

/// Whether the registry puts a service on one of these hosts.
pub(super) fn is_placed(registry: &Registry, name: &ServiceName, hosts: &BTreeSet<HostName>) -> bool {
    registry.services.get(name).is_some_and(|service| service.hosts.iter().any(|host| hosts.contains(host)))
}

/// The services meant, and the hosts. Never empty.
pub fn select(
    registry: &Registry,
    selection: &Selection,
) -> Result<(BTreeSet<ServiceName>, BTreeSet<HostName>), SelectFault> {
    for host in &selection.hosts {
        if !registry.hosts.contains_key(host) {
            return Err(homeless(registry, host));
        }
    }
    let mut names: BTreeSet<ServiceName> = BTreeSet::new();
    for name in &selection.services {
        if !registry.services.contains_key(name) {
            return Err(unknown(registry, name));
        }
        names.insert(name.clone());
    }
    let carries =
        |service: &Service| selection.labels.iter().all(|(key, value)| service.labels.get(key) == Some(value));
    // Beside names, too, a label that nobody carries is a slip.
    if !selection.labels.is_empty() && !registry.services.is_empty() && !registry.services.values().any(carries) {
        let labels: Vec<_> = selection.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        return Err(SelectFault::Labels(labels.join(" ")));
    }
    let labelled = |service: &&Service| selection.all || (!selection.labels.is_empty() && carries(service));
    let here =
        |service: &Service| selection.hosts.is_empty() || service.hosts.iter().any(|h| selection.hosts.contains(h));
    let hosts_alone = names.is_empty() && !selection.all && selection.labels.is_empty() && !selection.hosts.is_empty();
    let more = registry.services.values().filter(|service| hosts_alone || labelled(service));
    names.extend(more.filter(|service| here(service)).map(|service| service.name.clone()));
    if names.is_empty() {
        if registry.services.is_empty() {
            return Err(SelectFault::Empty);
        }
        let hosts: Vec<_> = selection.hosts.iter().map(ToString::to_string).collect();
        return Err(if hosts.is_empty() { SelectFault::Nothing } else { SelectFault::Nowhere(hosts.join(", ")) });
    }
    if selection.with_needs {
        names = Graph::of(registry).with_needs(names);
    }
    let hosts: BTreeSet<HostName> = names
        .iter()
        .flat_map(|name| &registry.services[name].hosts)
        .filter(|host| selection.hosts.is_empty() || selection.hosts.contains(host))
        .cloned()
        .collect();
    if hosts.is_empty() {
        let hosts: Vec<_> = selection.hosts.iter().map(ToString::to_string).collect();
        return Err(SelectFault::Nowhere(hosts.join(", ")));
    }
    Ok((names, hosts))
}
