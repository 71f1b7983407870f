//! Drains a host: takes it out of service, makes sure that other hosts carry what it carries, and plans to stop that there. The word
//! comes first, so that of two who drain two hosts at once at most one finds the other in service.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::deploy::cordon::{Untold, Whom, cordon};
use crate::deploy::fault::Fault;
use crate::deploy::ground::{Ground, unless_stopped};
use crate::deploy::prepare::{Prepared, TurnRequest, prepare_turn};
use crate::deploy::quiet::look;
use crate::deploy::select::Selection;
use crate::deploy::survey::{Depth, Survey};
use crate::model::{Event, HostName, ServiceName, UnitChange};
use crate::plan::{Health, Turn, services_on};

/// Has the host keep this line, and plans to stop its services; nothing where it has none. What no other host carries is not
/// stopped unless it may be: then the host is in service again, as it was.
///
/// # Errors
/// When hosts cannot be seen, or a service would be carried by no host. Nothing was stopped then.
pub async fn drain(ground: &Arc<Ground>, host: &HostName, line: &str, alone: bool) -> Result<Option<Prepared>, Fault> {
    let unseen = |why| Fault::Unseen(vec![(host.clone(), why)]);
    let services = services_on(&ground.registry, host);
    let before = look(ground, &BTreeSet::new(), &BTreeSet::from([host.clone()]), Depth::State, Whom::All).await?;
    let was_out = before.seen.get(host).is_some_and(|seen| seen.cordon.is_some());
    if let Some((_, why)) = before.unseen.into_iter().next() {
        return Err(unseen(why));
    }
    if !was_out {
        match unless_stopped(&ground.stop, cordon(ground, host, Some(line))).await {
            Some(Ok(Some(_))) => {}
            Some(Ok(None)) => return Err(Fault::Wordless { host: host.clone() }),
            Some(Err(Untold { why, .. })) => return Err(unseen(why)),
            None => {
                let text = format!("it may be cordoned by now; the way back is `portoser host uncordon {host}`");
                ground.tell(Event::Note { host: Some(host.clone()), text });
                return Err(Fault::Interrupted);
            }
        }
    }
    let text =
        format!("it is cordoned; the way back is `portoser host uncordon {host}`, then `portoser start --host {host}`");
    ground.tell(Event::Note { host: Some(host.clone()), text });
    if services.is_empty() {
        return Ok(None);
    }
    if !alone {
        let lonely = lonely(ground, host, &services).await?;
        if !lonely.is_empty() {
            if !was_out && let Err(Untold { why, .. }) = cordon(ground, host, None).await {
                let text = format!("it could not be taken in again, and is cordoned: {why}");
                ground.tell(Event::Note { host: Some(host.clone()), text });
            }
            return Err(Fault::Alone { host: host.clone(), services: lonely });
        }
    }
    let selection = Selection { hosts: vec![host.clone()], ..Selection::default() };
    let turn = Turn::Change(UnitChange::Stop);
    let request = TurnRequest { turn, skip_unseen: false, done: BTreeSet::new(), mends: BTreeMap::new() };
    prepare_turn(ground, &selection, request).await.map(Some)
}

/// The services that run on the host and were not seen to be well on another one that is in service; and why each.
async fn lonely(
    ground: &Arc<Ground>,
    host: &HostName,
    services: &BTreeSet<ServiceName>,
) -> Result<Vec<(ServiceName, String)>, Fault> {
    let all = |name: &ServiceName| ground.registry.services.get(name).map(|one| one.hosts.clone()).unwrap_or_default();
    let hosts: BTreeSet<HostName> = services.iter().flat_map(all).collect();
    // What is found elsewhere is no part of what is done.
    let found = look(&ground.hushed(), services, &hosts, Depth::Health, Whom::All).await?;
    let mut lonely = Vec::new();
    for name in services.iter().filter(|name| runs(ground, &found, name, host)) {
        let others: Vec<HostName> = all(name).into_iter().filter(|other| other != host).collect();
        let why = others.iter().map(|other| Some(format!("{other}: {}", amiss(&found, name, other)?)));
        // One that carries it is enough.
        if let Some(why) = why.collect::<Option<Vec<String>>>() {
            let none = why.is_empty().then(|| "it is on no other host".to_owned());
            lonely.push((name.clone(), none.unwrap_or_else(|| why.join("; "))));
        }
    }
    Ok(lonely)
}

/// Whether it runs there, as far as can be told. What cannot be told is taken for running.
fn runs(ground: &Ground, found: &Survey, name: &ServiceName, host: &HostName) -> bool {
    let Some(seen) = found.seen.get(host) else { return true };
    let Some(there) = seen.services.get(name) else { return false };
    let Some(record) = there.readable() else { return there.current.is_some() };
    let engine = ground.engines.iter().find(|engine| engine.name() == record.engine);
    engine.is_none_or(|engine| engine.blind(seen).is_some() || engine.runs(record, seen))
}

/// Why a host does not carry a service; nothing if it does.
fn amiss(found: &Survey, name: &ServiceName, host: &HostName) -> Option<String> {
    let Some(seen) = found.seen.get(host) else { return Some("it cannot be seen".into()) };
    if seen.cordon.is_some() {
        return Some("it is cordoned, too".into());
    }
    match found.health.get(&(name.clone(), host.clone())) {
        Some(Health::Good) => None,
        Some(Health::Bad(why) | Health::Unseen(why)) => Some(why.clone()),
        None => Some("it does not run there".into()),
    }
}
