//! How services stand on their hosts: one look at each host, and every check asked. Changes nothing.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::deploy::fault::Fault;
use crate::deploy::ground::Ground;
use crate::deploy::select::{SelectFault, Selection, select};
use crate::deploy::survey::{Depth, Survey, survey};
use crate::host::{Record, Seen, SeenContainer, SeenUnit};
use crate::model::{HostName, ReleaseId, ServiceName};
use crate::plan::Health;

/// A service on a host.
#[derive(Clone, Debug)]
pub struct Standing {
    /// None for a host that is named and has no service at all.
    pub service: Option<ServiceName>,
    pub host: HostName,
    /// Whether the registry puts it there. What it does not is only shown.
    pub registered: bool,
    /// What was found; or why the host could not be seen, and the next move.
    pub found: Result<Found, (String, String)>,
}

/// What was found of a service.
#[derive(Clone, Debug, Default)]
pub struct Found {
    pub release: Option<ReleaseId>,
    /// How long the host is up.
    pub uptime: Option<Duration>,
    /// Its units by name; none for a unit that the host says nothing of.
    pub units: Vec<(String, Option<SeenUnit>)>,
    /// Its containers, by part.
    pub containers: Vec<SeenContainer>,
    /// What its checks say. They are asked of what runs only.
    pub health: Option<Health>,
    /// Files and containers that were changed on the host.
    pub drift: Vec<String>,
    /// Why it was not seen whether files were changed.
    pub hangs: Option<String>,
}

impl Found {
    /// Whether it is there, all of it runs, and its checks are good.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        self.release.is_some() && self.health == Some(Health::Good)
    }

    /// Whether it was seen well enough to be judged.
    #[must_use]
    pub fn is_seen(&self) -> bool {
        !matches!(self.health, Some(Health::Unseen(_)))
    }
}

/// Looks at all that the selection means, and, where it names no services, at what lies on the hosts besides. A host that
/// cannot be seen is told as such and hides no other.
pub async fn status(ground: &Arc<Ground>, selection: &Selection) -> Result<Vec<Standing>, Fault> {
    let whole = selection.services.is_empty() && selection.labels.is_empty();
    let (services, mut hosts) = match select(&ground.registry, selection) {
        // What lies there is shown all the same.
        Err(SelectFault::Nowhere(_) | SelectFault::Empty) if whole && !selection.hosts.is_empty() => {
            (BTreeSet::new(), selection.hosts.iter().cloned().collect())
        }
        selected => selected.map_err(Fault::Select)?,
    };
    // What lies on one that the registry has nothing for is shown beside the others.
    hosts.extend(selection.hosts.iter().filter(|_| whole).cloned());
    let survey = survey(ground, &services, &hosts, if whole { Depth::Whole } else { Depth::Health }).await;
    let mut all = Vec::new();
    for service in ground.registry.services.values().filter(|service| services.contains(&service.name)) {
        for host in service.hosts.iter().filter(|host| hosts.contains(*host)) {
            let found = found(ground, &survey, &service.name, host);
            all.push(Standing { service: Some(service.name.clone()), host: host.clone(), registered: true, found });
        }
    }
    for (host, seen) in &survey.seen {
        let here = |name: &&ServiceName| {
            ground.registry.services.get(*name).is_some_and(|service| service.hosts.contains(host))
        };
        for service in seen.services.keys().filter(|name| !here(name)) {
            let found = found(ground, &survey, service, host);
            all.push(Standing { service: Some(service.clone()), host: host.clone(), registered: false, found });
        }
    }
    for host in hosts.iter().filter(|_| whole) {
        if !all.iter().any(|one| one.host == *host) {
            let found = seen(&survey, host).map(|_| Found::default());
            all.push(Standing { service: None, host: host.clone(), registered: false, found });
        }
    }
    ground.part(&survey.far).await;
    Ok(all)
}

/// What was seen of a host; or why nothing was, and the next move.
fn seen<'a>(survey: &'a Survey, host: &HostName) -> Result<&'a Seen, (String, String)> {
    survey.seen.get(host).ok_or_else(|| {
        let why = survey.unseen.get(host);
        why.map_or_else(Default::default, |why| (why.to_string(), why.hint()))
    })
}

fn found(ground: &Ground, survey: &Survey, service: &ServiceName, host: &HostName) -> Result<Found, (String, String)> {
    let seen = seen(survey, host)?;
    let Some(there) = seen.services.get(service) else { return Ok(Found::default()) };
    let uptime = seen.facts.uptime;
    let (release, drift, hangs) = (there.current.clone(), there.edits(), there.hangs.clone());
    if let (None, Some(why)) = (&release, &hangs) {
        return Err((why.clone(), "see on the host what hangs there".to_owned()));
    }
    let mut found = Found { uptime, release, drift, hangs, ..Found::default() };
    found.health = survey.health.get(&(service.clone(), host.clone())).cloned().map(|health| match health {
        Health::Good => Health::Good,
        Health::Bad(says) => Health::Bad(ground.mask.text(&says)),
        Health::Unseen(says) => Health::Unseen(ground.mask.text(&says)),
    });
    let engine = |record: &Record| ground.engines.iter().find(|engine| engine.name() == record.engine);
    match &there.record {
        Some(Ok(record)) => {
            let names = engine(record).map(|engine| engine.names(record)).unwrap_or_default();
            let containers = names.iter().filter_map(|name| seen.containers.get(name));
            found.containers = containers.flatten().cloned().collect();
            found.units = names.into_iter().map(|name| (name.clone(), seen.units.get(&name).cloned())).collect();
            // Its checks are those of another type, and nobody asked them.
            let wanted = ground.registry.services.get(service).map(|service| &service.kind);
            let served = engine(record).zip(wanted).is_none_or(|(engine, kind)| engine.serves(kind));
            if !served {
                found.health = Some(Health::Bad(format!("it is there as a {} service", record.engine)));
            }
        }
        Some(Err(why)) => found.health = Some(Health::Unseen(why.clone())),
        None => {}
    }
    Ok(found)
}
