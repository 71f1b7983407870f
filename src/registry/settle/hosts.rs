//! Hosts: the defaults filled in, the way to each known hop by hop.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::{Site, policy};
use crate::model::HostName;
use crate::registry::checked::{Become, Connection, Host, Platform};
use crate::registry::draft;
use crate::registry::read::{Field, Many, Map};
use crate::registry::text::{Label, LabelKey, Line, Name, Variable, Word};

pub(super) fn make(site: &Site<'_>, name: HostName, host: &draft::Host) -> Host {
    let defaults = site.defaults;
    let connection = host.connection.value().map_or(Connection::Ssh, |choice| choice.0);
    let platform = host.platform.value().map(|platform| Platform {
        os: platform.os.value().map(|choice| choice.0),
        init: platform.init.value().map(|choice| choice.0),
    });
    let gain = host.gain.value().or(defaults.gain.value());
    let mut env = env(&defaults.env);
    env.extend(self::env(&host.env));
    Host {
        address: host.address.value().map_or_else(|| name.to_string(), |address| address.0.clone()),
        user: host.user.value().or(defaults.user.value()).map(|user| user.0.clone()),
        port: host.port.value().or(defaults.port.value()).map(|port| port.get()),
        identity: identity(site, if host.identity.absent() { &defaults.identity } else { &host.identity }),
        labels: labels(&host.labels),
        base: host.base.value().or(defaults.base.value()).map(|base| base.0.clone()),
        jump: way(site, name.as_str(), host),
        connection,
        r#become: gain.map_or(Become::None, |choice| choice.0),
        platform: platform.unwrap_or_default(),
        env,
        heal: policy::heal(&host.heal, &defaults.heal),
        heal_most: host.heal.value().and_then(|heal| heal.policy.value()).map(|choice| choice.0),
        name,
    }
}

/// The jump hosts that are written for a host, or by the defaults; the defaults do not send a jump host through itself.
pub(super) fn jump<'a>(site: &Site<'a>, name: &str, host: &'a draft::Host) -> Option<&'a Many<Name>> {
    if host.jump.written() {
        return host.jump.value();
    }
    if host.connection.value().is_some_and(|choice| choice.0 == Connection::Local) {
        return None;
    }
    let default = site.defaults.jump.value()?;
    (!default.0.values().any(|hop| hop.0 == name)).then_some(default)
}

/// The hops to a host: the way to the first one, then those that are written.
fn way(site: &Site<'_>, name: &str, host: &draft::Host) -> Vec<HostName> {
    let mut hops: Vec<String> = Vec::new();
    let (mut name, mut host) = (name.to_owned(), host);
    // A jump cycle is a fault that is told elsewhere; here it must only end.
    for _ in 0..=site.hosts.len() {
        let Some(written) = jump(site, &name, host) else { break };
        let names: Vec<String> = written.0.values().map(|hop| hop.0.clone()).collect();
        let Some(first) = names.first().cloned() else { break };
        hops.splice(0..0, names);
        let Some(next) = site.host_index.get(first.as_str()).and_then(|index| site.hosts[*index].field.value()) else {
            break;
        };
        (name, host) = (first, next);
    }
    hops.into_iter().filter_map(|hop| HostName::try_from(hop).ok()).collect()
}

fn identity(site: &Site<'_>, files: &Field<Many<Line>>) -> Vec<PathBuf> {
    files.value().map(|many| many.0.values().map(|line| site.path(&line.0)).collect()).unwrap_or_default()
}

/// Labels as plain data.
pub(super) fn labels(map: &Field<Map<LabelKey, Label>>) -> BTreeMap<String, String> {
    let entries = map.value().map(|map| map.0.iter()).into_iter().flatten();
    entries.filter_map(|named| Some((named.name.clone(), named.field.value()?.0.clone()))).collect()
}

/// Environment variables as plain data.
pub(super) fn env(map: &Field<Map<Variable, Word>>) -> BTreeMap<String, String> {
    let entries = map.value().map(|map| map.0.iter()).into_iter().flatten();
    entries.filter_map(|named| Some((named.name.clone(), named.field.value()?.0.clone()))).collect()
}
