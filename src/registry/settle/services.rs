//! Services: where each runs, what it is, and all that it did not say filled in.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::hosts::{env, labels};
use super::variables::Known;
use super::{Site, checks, cross, docker, files, policy, python, source};
use crate::model::{HostName, Scope, ServiceName};
use crate::registry::checked::{Hook, Hooks, Kind, Native, Service};
use crate::registry::draft::{self, PortText, ServiceType};
use crate::registry::fault::{Place, nearest, shown};
use crate::registry::harden::Hardening;
use crate::registry::read::{At, Field, List, Map, Reader};
use crate::registry::text::{Gate as _, User};
use crate::registry::tree::Trail;

pub(super) fn make(
    site: &Site<'_>,
    name: &ServiceName,
    written: &At<Box<draft::Service>>,
    to: &mut Reader,
) -> Option<Service> {
    let services = Trail::TOP.key("services");
    let at = services.key(name.as_str());
    let service = &written.value;
    let hosts = place(site, service, written.place, &at, to);
    let known = known(site, service, &hosts);
    known.env(&service.env, &at, to);
    let kind = kind(site, service, written.place, &known, &at, to);
    let source = service.source.given().and_then(|source| source::make(site, source, &at.key("source"), to));
    let files = files::make(site, service, &known, &at, to);
    let checks = checks::make(site, service, &known, &at, to);
    let hooks = hooks(service, &known, &at, to);
    let user = user(service, &at, to);
    let defaults = site.defaults;
    // Of a unit or a compose file that is the user's own: what is said of all units is not said of it.
    let none = draft::Defaults::default();
    let unit = if service.unit.written() || service.compose.written() { &none } else { defaults };
    let (no_scope, docker) = (draft::Service::default(), matches!(kind, Some(Kind::Docker(_))));
    let scope = if docker { policy::scope(&no_scope, &none) } else { policy::scope(service, defaults) };
    let harden = harden(service, if docker { &none } else { unit }, (scope, written.place), &at, to);
    let kind = kind?;
    Some(Service {
        name: name.clone(),
        kind,
        hosts: hosts.iter().filter_map(|name| HostName::try_from(*name).ok()).collect(),
        instances: service.instances.value().map_or(1, |count| count.get()),
        needs: names(&service.needs),
        source,
        env: env(&service.env),
        files,
        port: service.port.value().map(|port| port.get()),
        ports: ports(service),
        checks,
        deploy: policy::deploy(&service.deploy, &defaults.deploy),
        restart: policy::restart(&service.restart, &unit.restart),
        limits: policy::limits(&service.limits, &unit.limits),
        user,
        scope,
        log: policy::log(&service.log, &unit.log),
        stop: policy::stop(&service.stop, &unit.stop),
        reload: service.reload.value().map(|choice| choice.0.0.to_owned()),
        hooks,
        harden,
        labels: labels(&service.labels),
        protected: service.protected.value().is_some_and(|yes| yes.0),
        heal: policy::heal(&service.heal, &defaults.heal),
    })
}

/// What its units are cut off from; a fault for what no user's own manager can take away.
fn harden(
    service: &draft::Service,
    unit: &draft::Defaults,
    (scope, place): (Scope, Place),
    at: &Trail<'_>,
    to: &mut Reader,
) -> BTreeSet<Hardening> {
    let all = service.harden.value().or(unit.harden.value()).map(|text| text.0.clone()).unwrap_or_default();
    if scope == Scope::User && all.contains(&Hardening::NoCapabilities) {
        let place = service.harden.given().map_or(place, |own| own.place);
        let name = Hardening::NoCapabilities.name();
        to.fault(place, &at.key("harden"), format!("`{name}` cannot be had in `scope: user`"))
            .why("a user's own systemd may not take capabilities away: the unit ends with 218/CAPABILITIES")
            .hint(format!("leave `{name}` out, as `no-new-privileges` keeps a plain user from all of them; or take `scope: system`"));
    }
    all
}

/// The further ports of the host that it binds.
fn ports(service: &draft::Service) -> Vec<u16> {
    let all = service.ports.value().into_iter().flat_map(|list| list.values());
    let main = service.port.value().map(|port| port.get());
    // The mapping of the main port is no further one.
    let other = |port: &&PortText| matches!(port, PortText::Number(_)) || Some(port.host()) != main;
    all.filter(other).map(PortText::host).collect()
}

fn names(list: &Field<List<crate::registry::text::Name>>) -> Vec<ServiceName> {
    let written = list.value().map(|list| list.values()).into_iter().flatten();
    written.filter_map(|name| ServiceName::try_from(name.0.as_str()).ok()).collect()
}

/// The hosts that a service runs on, in the registry's order.
fn place<'a>(
    site: &'a Site<'_>,
    service: &'a draft::Service,
    place: Place,
    at: &Trail<'_>,
    to: &mut Reader,
) -> Vec<&'a str> {
    let given = [service.host.written(), service.hosts.written(), service.on.written()];
    match given.iter().filter(|written| **written).count() {
        0 => {
            to.fault(place, at, "it runs on no host").hint("give it one of host, hosts and on");
        }
        1 => {}
        _ => {
            to.fault(place, at, "only one of host, hosts and on can be given");
        }
    }
    if let Some(host) = service.host.given() {
        let found = site.host(host, &at.key("host"), to);
        return found.map(|named| named.name.as_str()).into_iter().collect();
    }
    if service.on.written() {
        return cross::selected(site, service, at, to);
    }
    let mut chosen = BTreeSet::new();
    let at = at.key("hosts");
    for (index, host) in service.hosts.value().into_iter().flat_map(|list| list.iter()) {
        let Some(named) = site.host(host, &at.index(index), to) else { continue };
        if !chosen.insert(named.name.as_str()) {
            to.fault(host.place, &at.index(index), format!("`{}` is named twice", shown(&host.value.0)));
        }
    }
    site.hosts.iter().map(|named| named.name.as_str()).filter(|name| chosen.contains(name)).collect()
}

/// What is defined for the service: what it says itself, and what every one of its hosts says.
fn known<'a>(site: &'a Site<'_>, service: &'a draft::Service, hosts: &[&str]) -> Known<'a> {
    fn keys<K, T>(map: &Field<Map<K, T>>) -> impl Iterator<Item = &str> {
        map.value().map(|map| map.0.iter()).into_iter().flatten().map(|named| named.name.as_str())
    }
    let mut env: BTreeSet<&str> = keys(&service.env).chain(keys(&site.defaults.env)).collect();
    let drafts = hosts.iter().filter_map(|name| site.hosts[*site.host_index.get(name)?].field.value());
    let everywhere = drafts.map(|host| keys(&host.env).collect::<BTreeSet<&str>>()).reduce(|a, b| &a & &b);
    env.extend(everywhere.unwrap_or_default());
    Known { port: service.port.written(), env, labels: keys(&service.labels).collect() }
}

fn kind(
    site: &Site<'_>,
    service: &draft::Service,
    place: Place,
    known: &Known<'_>,
    at: &Trail<'_>,
    to: &mut Reader,
) -> Option<Kind> {
    match service.kind.value()?.0 {
        ServiceType::Native => native(service, place, known, at, to),
        ServiceType::Docker => {
            python::refuse_in_others(service, at, to);
            docker::kind(site, service, place, known, at, to)
        }
        ServiceType::Python => python::kind(site, service, place, known, at, to).map(Kind::Python),
    }
}

fn native(service: &draft::Service, place: Place, known: &Known<'_>, at: &Trail<'_>, to: &mut Reader) -> Option<Kind> {
    docker::refuse_in_others(service, at, to);
    python::refuse_in_others(service, at, to);
    match (service.run.written(), service.unit.written()) {
        (true, true) => {
            to.fault(place, at, "only one of run and unit can be given");
        }
        (false, false) => {
            to.fault(place, at, "it has nothing to run")
                .hint("give it `run` (a command) or `unit` (a unit of the host)");
        }
        _ => {}
    }
    if let Some(unit) = service.unit.given() {
        refuse_beside_unit(service, unit.place, at, to);
        return Some(Kind::Native(Native::Unit { name: unit.value.0.clone() }));
    }
    let words = service.run.given()?;
    Some(Kind::Native(Native::Run { words: known.words(&words.value, &at.key("run"), to) }))
}

/// Whom it runs as. Only an image has numbers and groups of its own: what the init system runs is an account's.
fn user(service: &draft::Service, at: &Trail<'_>, to: &mut Reader) -> Option<String> {
    let written = service.user.given()?;
    let (text, kind) = (&written.value.0, service.kind.value());
    if kind.is_some_and(|kind| kind.0 != ServiceType::Docker) && !User::good(text) {
        let fault = to.fault(written.place, &at.key("user"), format!("`{}` is not {}", shown(text), User::WHAT));
        fault.why(User::RULE).hint("numbers and groups are for containers; name an account of the host");
    }
    Some(text.clone())
}

/// With `unit` only the state is managed; what would need a unit of ours has no effect, and is refused.
fn refuse_beside_unit(service: &draft::Service, place: Place, at: &Trail<'_>, to: &mut Reader) {
    let written = [
        ("source", service.source.written()),
        ("env", service.env.written()),
        ("files", service.files.written()),
        ("instances", service.instances.written()),
        ("user", service.user.written()),
        ("restart", service.restart.written()),
        ("limits", service.limits.written()),
        ("log", service.log.written()),
        ("stop", service.stop.written()),
        ("reload", service.reload.written()),
        ("hooks", service.hooks.written()),
        ("harden", service.harden.written()),
    ];
    for (key, _) in written.iter().filter(|(_, written)| *written) {
        let fault = to.fault(place, &at.key(key), format!("`{key}` has no effect beside `unit`"));
        fault.why("of an existing unit only the state is managed");
    }
}

fn hooks(service: &draft::Service, known: &Known<'_>, at: &Trail<'_>, to: &mut Reader) -> Hooks {
    let Some(written) = service.hooks.value() else { return Hooks::default() };
    let at = at.key("hooks");
    let mut list = |key: &str, hooks: &Field<List<draft::Hook>>| {
        let at = at.key(key);
        let hooks = hooks.value().into_iter().flat_map(|list| list.iter());
        hooks.filter_map(|(index, written)| hook(&written.value, known, &at.index(index), to)).collect()
    };
    let (before, after) = (list("before", &written.before), list("after", &written.after));
    let mut named = BTreeMap::new();
    for one in written.named.value().into_iter().flat_map(|map| map.0.iter()) {
        let hook = one.field.value().and_then(|written| hook(written, known, &at.key("named").key(&one.name), to));
        named.extend(hook.map(|hook| (one.name.clone(), hook)));
    }
    Hooks { before, after, named }
}

/// One command at a fixed point of a deploy.
pub(super) fn hook(written: &draft::Hook, known: &Known<'_>, at: &Trail<'_>, to: &mut Reader) -> Option<Hook> {
    let words = written.run.value()?;
    let timeout = written.timeout.value().map_or(Duration::from_secs(60), |time| time.0);
    Some(Hook { words: known.words(words, &at.key("run"), to), timeout })
}

/// The needs of a service that are services; a fault for each that is none.
pub(super) fn check_needs(site: &Site<'_>, service: &draft::Service, at: &Trail<'_>, to: &mut Reader) {
    let at = at.key("needs");
    let mut seen = BTreeSet::new();
    for (index, need) in service.needs.value().into_iter().flat_map(|list| list.iter()) {
        let name = need.value.0.as_str();
        if !site.service_index.contains_key(name) {
            let near = nearest(name, site.services.iter().map(|named| named.name.as_str()));
            super::dangling("service", name, need.place, near, &at.index(index), to);
        } else if !seen.insert(name) {
            to.fault(need.place, &at.index(index), format!("`{name}` is named twice"));
        }
    }
}
