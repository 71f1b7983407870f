//! What hosts lack of what their services need, asked of all of them side by side. Changes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::task::JoinSet;

use crate::deploy::ground::Ground;
use crate::host::prepare::{Thing, lacking, look};
use crate::model::HostName;
use crate::registry::{Kind, Lock, Registry};
use crate::transport::Lost;

/// What the services that the registry puts on a host need there.
#[must_use]
pub fn needed(registry: &Registry, host: &HostName) -> BTreeSet<Thing> {
    let base = registry.hosts.get(host).and_then(|host| host.base.clone());
    let mut things = BTreeSet::from([Thing::Base(base)]);
    for service in registry.services.values().filter(|service| service.hosts.contains(host)) {
        match &service.kind {
            Kind::Native(_) => {}
            Kind::Python(python) => {
                things.insert(Thing::Python(python.version.clone()));
                things.extend((python.lock == Some(Lock::Uv)).then_some(Thing::Uv));
            }
            Kind::Docker(_) => things.extend([Thing::Docker, Thing::Compose]),
        }
        things.extend(service.account().map(|name| Thing::User(name.to_owned())));
    }
    things
}

/// What each of these hosts lacks of what it is asked for; or why it could not be asked.
pub async fn lacks(
    ground: &Arc<Ground>,
    asked: BTreeMap<HostName, BTreeSet<Thing>>,
) -> BTreeMap<HostName, Result<BTreeSet<Thing>, Lost>> {
    let mut tasks = JoinSet::new();
    for (host, things) in asked {
        let ground = ground.clone();
        tasks.spawn(async move {
            let said = match ground.visit(&host).await {
                Ok((far, visit)) => visit.work(far.said(&look(&things))).await,
                Err(lost) => Err(lost),
            };
            (host, said.map(|said| lacking(&things, &String::from_utf8_lossy(&said))))
        });
    }
    tasks.join_all().await.into_iter().collect()
}
