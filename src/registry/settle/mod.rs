//! From the registry as written to the registry as checked: the one place where a `Registry` is made. Names resolve,
//! files are there, variables are defined, ports do not clash. A fault never hides another one.

mod checks;
mod cross;
mod docker;
mod files;
mod hosts;
mod login;
mod notify;
mod policy;
mod python;
mod services;
mod source;
mod variables;

pub(in crate::registry) use python::lock_in;
pub use variables::{BadVariable, expand};

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use super::checked::Registry;
use super::draft;
use super::fault::{Place, nearest};
use super::read::{At, Map, Named, Reader};
use super::text::Name;
use super::tree::Trail;
use crate::model::{HostName, ServiceName};

/// What the makers of hosts and services look at.
struct Site<'a> {
    defaults: &'a draft::Defaults,
    /// The folder of the registry's file; relative paths begin there.
    folder: &'a Path,
    hosts: &'a [Named<draft::Host>],
    host_index: HashMap<&'a str, usize>,
    services: &'a [Named<Box<draft::Service>>],
    service_index: HashMap<&'a str, usize>,
    templates: Mutex<HashMap<PathBuf, files::Template>>,
}

/// Makes the registry; `None` only after a fault was told.
pub(super) fn settle(root: &draft::Root, file: &Path, env: Option<&str>, to: &mut Reader) -> Option<Registry> {
    let (defaults, no_hosts, no_services) = (draft::Defaults::default(), Map::default(), Map::default());
    let hosts = &root.hosts.value().unwrap_or(&no_hosts).0;
    let services = &root.services.value().unwrap_or(&no_services).0;
    let site = Site {
        defaults: root.defaults.value().unwrap_or(&defaults),
        folder: file.parent().unwrap_or(Path::new("/")),
        hosts,
        host_index: hosts.iter().enumerate().map(|(index, named)| (named.name.as_str(), index)).collect(),
        services,
        service_index: services.iter().enumerate().map(|(index, named)| (named.name.as_str(), index)).collect(),
        templates: Mutex::default(),
    };
    cross::check(&site, to);
    let mut registry = Registry {
        file: file.to_owned(),
        environment: env.map(str::to_owned),
        protected: protected(root, env),
        hosts: BTreeMap::new(),
        services: BTreeMap::new(),
        registries: login::logins(&site, &root.registries, to),
        notify: notify::notify(&site, &root.notify, to),
        at_once: root.at_once.value().map(|count| count.get()),
    };
    // What hosts define holds for every service on them, be there a port or not.
    let known = variables::Known { port: false, env: BTreeSet::new(), labels: BTreeSet::new() };
    known.env(&site.defaults.env, &Trail::TOP.key("defaults"), to);
    for named in hosts {
        let at = Trail::TOP.key("hosts");
        if let Some(host) = named.field.value() {
            known.env(&host.env, &at.key(&named.name), to);
        }
        if let (Ok(name), Some(host)) = (HostName::try_from(named.name.as_str()), named.field.value()) {
            registry.hosts.insert(name.clone(), hosts::make(&site, name, host));
        }
    }
    let made = to.each(services, |named, to| {
        let (Ok(name), Some(service)) = (ServiceName::try_from(named.name.as_str()), named.field.given()) else {
            return None;
        };
        services::make(&site, &name, service, to)
    });
    registry.services.extend(made.into_iter().map(|service| (service.name.clone(), service)));
    Some(registry)
}

fn protected(root: &draft::Root, env: Option<&str>) -> bool {
    let environments = root.environments.value();
    let chosen = environments.and_then(|map| map.0.iter().find(|named| Some(named.name.as_str()) == env));
    chosen.and_then(|named| named.field.value()?.protected.value()).is_some_and(|yes| yes.0)
}

impl Site<'_> {
    /// The host of this name; a fault with the nearest name when there is none.
    fn host(&self, name: &At<Name>, at: &Trail<'_>, to: &mut Reader) -> Option<&Named<draft::Host>> {
        let found = self.host_index.get(name.value.0.as_str());
        if found.is_none() {
            let names = self.hosts.iter().map(|named| named.name.as_str());
            dangling("host", &name.value.0, name.place, nearest(&name.value.0, names), at, to);
        }
        found.map(|index| &self.hosts[*index])
    }

    /// A path on this machine, absolute: relative ones begin at the registry's folder, `~/` at the user's.
    fn path(&self, text: &str) -> PathBuf {
        if let Some(rest) = text.strip_prefix("~/")
            && let Ok(home) = etcetera::home_dir()
        {
            return home.join(rest);
        }
        // Collecting the components drops a `./` at the front or in the middle.
        self.folder.join(text).components().collect()
    }
}

fn dangling(kind: &str, name: &str, place: Place, near: Option<&str>, at: &Trail<'_>, to: &mut Reader) {
    let fault = to.fault(place, at, format!("no {kind} named `{name}`"));
    let none = || format!("define it under `{kind}s`, or take its name away here");
    fault.hint = Some(near.map_or_else(none, |near| format!("did you mean `{near}`?")));
}
