//! What differs between the release on a host and the one that it goes back to: both lie there, and the host tells their texts. It is for
//! people to read; no plan depends on it.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::task::JoinSet;

use crate::deploy::ground::Ground;
use crate::deploy::source;
use crate::host::Seen;
use crate::host::look::{Compared, Question};
use crate::model::{HostName, ReleaseId, ServiceName};
use crate::plan::{Action, Change, Plan, changed_back, compared_back, without_its_name};

/// Adds the differences of texts to a plan of the way back. Which release a host goes back to follows from what all of them have said,
/// so that one look cannot ask for both: it is one more question through the same connection. What cannot be had is left out.
pub(super) async fn compare(ground: &Arc<Ground>, plan: &mut Plan, seen: &BTreeMap<HostName, Seen>) {
    let mut looks = JoinSet::new();
    for (host, texts) in wanted(ground, plan) {
        let (ground, base) = (ground.clone(), seen.get(&host).map(|seen| seen.facts.base.clone()));
        looks.spawn(async move {
            let now = texts.iter().map(|(service, (_, paths))| (service.clone(), paths.clone())).collect();
            let question = Question { base, texts: now, past_texts: texts, ..Question::default() };
            let found = match ground.visit(&host).await {
                Ok((far, visit)) => visit.work(far.look(&question)).await.ok(),
                Err(_) => None,
            };
            (host, found.unwrap_or_default())
        });
    }
    let found: BTreeMap<HostName, Seen> = looks.join_all().await.into_iter().collect();
    for change in &mut plan.changes {
        if let Some(before) = change.before_record.as_ref().filter(|_| change.action == Action::Deploy) {
            let texts = found.get(&change.host).and_then(|seen| seen.services.get(&change.service));
            let texts = texts.cloned().unwrap_or_default();
            change.texts = changed_back(before, &change.record, &texts);
            // Without any difference it may be that not all was brought.
            if !change.texts.is_empty() {
                without_its_name(&mut change.reasons, &change.texts, Some(before), &texts.texts);
            }
        }
    }
}

type Wanted = BTreeMap<ServiceName, (ReleaseId, Vec<Compared>)>;

/// What each host is asked for: the files in which its releases differ, by their records.
fn wanted(ground: &Ground, plan: &Plan) -> BTreeMap<HostName, Wanted> {
    let mut all: BTreeMap<HostName, Wanted> = BTreeMap::new();
    let moving = |change: &&Change| change.action == Action::Deploy;
    for change in plan.changes.iter().filter(moving) {
        let Some(before) = &change.before_record else { continue };
        let service = ground.registry.services.get(&change.service);
        let paths = compared_back((before, &change.record), service, source::is_open);
        if !paths.is_empty() {
            let texts = (change.record.release.clone(), paths);
            all.entry(change.host.clone()).or_default().insert(change.service.clone(), texts);
        }
    }
    all
}
