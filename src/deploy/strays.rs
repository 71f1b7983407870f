//! What lies on hosts where the registry does not put it, or not any more. A deploy tells of it and leaves it alone: that the
//! registry does not name it can be a slip, or it belongs to another registry.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use crate::deploy::ground::Ground;
use crate::deploy::select::{Selection, is_placed};
use crate::host::look::{Others, Question};
use crate::journal::JournalError;
use crate::model::{Event, HostName, ServiceName};
use crate::plan::Strays;

/// How long a host on which nothing is to be done is waited for.
const WITHIN: Duration = Duration::from_secs(3);

/// The services of a request that this machine brought to hosts where the registry does not put them any more. Only hosts that no
/// other look sees are asked, as those others tell themselves. Where the request names hosts, it means those alone.
pub(super) async fn elsewhere(
    ground: &Arc<Ground>,
    selection: &Selection,
    services: &BTreeSet<ServiceName>,
    hosts: &BTreeSet<HostName>,
) -> Vec<Strays> {
    if !selection.hosts.is_empty() {
        return Vec::new();
    }
    let places = remembered(ground, |service, host| {
        !hosts.contains(host) && ground.registry.hosts.contains_key(host) && means(selection, services, service)
    });
    let places = places.unwrap_or_else(|error| {
        let text = format!("this machine does not tell where services were before: {error}");
        ground.tell(Event::Note { host: None, text });
        BTreeMap::new()
    });
    let mut looks = JoinSet::new();
    for (host, services) in places {
        let ground = ground.clone();
        looks.spawn(async move {
            match tokio::time::timeout(WITHIN, lying(&ground, &host)).await {
                Ok(Some(lying)) => {
                    Strays { services: services.intersection(&lying).cloned().collect(), host, seen: true }
                }
                _ => Strays { services, host, seen: false },
            }
        });
    }
    let mut all = looks.join_all().await;
    all.retain(|strays| !strays.services.is_empty());
    all
}

/// The names of all services that lie on a host; none when it cannot be seen.
async fn lying(ground: &Ground, host: &HostName) -> Option<BTreeSet<ServiceName>> {
    let (far, visit) = ground.visit(host).await.ok()?;
    let base = ground.registry.hosts.get(host).and_then(|host| host.base.clone());
    let question = Question { base, others: Others::Names, ..Question::default() };
    let seen = visit.work(far.look(&question)).await;
    far.part().await;
    Some(seen.ok()?.lying)
}

/// Those that were seen by the look of a plan, of which this is the request.
pub(super) fn seen_by<'a>(
    ground: &Ground,
    selection: &Selection,
    services: &BTreeSet<ServiceName>,
    lying: impl IntoIterator<Item = (&'a HostName, &'a BTreeSet<ServiceName>)>,
) -> Vec<Strays> {
    let strays = |(host, lying): (&HostName, &BTreeSet<ServiceName>)| {
        let here = BTreeSet::from([host.clone()]);
        let stray = |name: &&ServiceName| means(selection, services, name) && !is_placed(&ground.registry, name, &here);
        Strays { host: host.clone(), services: lying.iter().filter(stray).cloned().collect(), seen: true }
    };
    lying.into_iter().map(strays).filter(|strays| !strays.services.is_empty()).collect()
}

/// Whether a request is for this service. One that names none is for whatever there is.
fn means(selection: &Selection, services: &BTreeSet<ServiceName>, name: &ServiceName) -> bool {
    services.contains(name) || (selection.services.is_empty() && selection.labels.is_empty())
}

/// The places of this kind where this machine left services that the registry does not put there any more.
fn remembered(
    ground: &Ground,
    wanted: impl Fn(&ServiceName, &HostName) -> bool,
) -> Result<BTreeMap<HostName, BTreeSet<ServiceName>>, JournalError> {
    let registry = ground.registry.file.display().to_string();
    let about = (registry.as_str(), ground.registry.environment.as_deref());
    let mut places: BTreeMap<HostName, BTreeSet<ServiceName>> = BTreeMap::new();
    for (service, host) in ground.journal.places()? {
        let placed = is_placed(&ground.registry, &service, &BTreeSet::from([host.clone()]));
        if !placed && wanted(&service, &host) && ground.journal.left_there(about, &service, &host)? {
            places.entry(host).or_default().insert(service);
        }
    }
    Ok(places)
}
