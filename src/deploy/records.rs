//! What hosts remember of their runs, asked side by side.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::task::JoinSet;

use crate::deploy::far::{Far, Unseen};
use crate::deploy::ground::Ground;
use crate::host::look::{RecordState, Records};
use crate::host::run::{Entry, Happened};
use crate::model::{HostName, RunId, ServiceName};

/// What was heard from hosts.
#[derive(Default)]
pub struct Remembered {
    pub(super) far: BTreeMap<HostName, Far>,
    pub records: BTreeMap<HostName, Records>,
    /// The hosts that could not be asked.
    pub unseen: BTreeMap<HostName, Unseen>,
}

/// How much is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// What happened.
    Runs,
    /// What the releases that lie there are, too.
    Releases,
}

/// Asks these hosts for their records, with one command on each.
pub async fn records(ground: &Arc<Ground>, hosts: impl IntoIterator<Item = HostName>, want: Want) -> Remembered {
    let mut tasks = JoinSet::new();
    for host in hosts {
        let ground = ground.clone();
        tasks.spawn(async move {
            let base = ground.registry.hosts.get(&host).and_then(|host| host.base.clone());
            let answer = async {
                let (far, visit) = ground.visit(&host).await?;
                let records = visit.work(far.records(base.as_deref(), want == Want::Releases)).await?;
                Ok::<_, Unseen>((far, records))
            };
            let answer = answer.await;
            (host, answer)
        });
    }
    let mut heard = Remembered::default();
    for (host, answer) in tasks.join_all().await {
        match answer {
            Ok((far, records)) => {
                heard.far.insert(host.clone(), far);
                heard.records.insert(host, records);
            }
            Err(why) => _ = heard.unseen.insert(host, why),
        }
    }
    heard
}

impl Remembered {
    /// The runs whose id begins so, each once, oldest first.
    #[must_use]
    pub fn runs_like(&self, prefix: &str) -> BTreeSet<RunId> {
        let runs = self.records.values().flat_map(|records| &records.runs);
        runs.map(|run| &run.id).filter(|id| id.as_str().starts_with(prefix)).cloned().collect()
    }

    /// The runs that live on a host, or stopped there in the middle.
    #[must_use]
    pub fn open(&self) -> BTreeSet<RunId> {
        let runs = self.records.values().flat_map(|records| &records.runs);
        let open = runs.filter(|run| !run.replaced && !matches!(run.state, RecordState::Ended(_)));
        open.map(|run| run.id.clone()).collect()
    }

    /// Whether the run lives on a host.
    #[must_use]
    pub fn lives(&self, run: &RunId) -> bool {
        let mut found = self.records.values().filter_map(|records| records.run(run));
        found.any(|run| run.state == RecordState::Lives)
    }

    /// The hosts that know this run.
    #[must_use]
    pub fn hosts_of(&self, run: &RunId) -> BTreeSet<HostName> {
        let known = self.records.iter().filter(|(_, records)| records.run(run).is_some());
        known.map(|(host, _)| host.clone()).collect()
    }

    /// What was asked of the run's controller, as each host has it that knows it.
    #[must_use]
    pub fn asked_of(&self, run: &RunId) -> BTreeSet<&str> {
        self.records.values().filter_map(|records| records.run(run)?.asked.as_deref()).collect()
    }

    /// The services that the run has begun so far.
    #[must_use]
    pub fn services_of(&self, run: &RunId) -> BTreeSet<ServiceName> {
        let known = self.records.values().filter_map(|records| records.run(run));
        let about = |entry: &Entry| match &entry.event {
            Happened::Stage { about, .. } => about.as_ref().map(|about| about.service.clone()),
            _ => None,
        };
        known.flat_map(|run| &run.entries).filter_map(about).collect()
    }

    /// The run in one line, for a person who must choose.
    #[must_use]
    pub fn line(&self, run: &RunId) -> String {
        let hosts: Vec<String> = self.hosts_of(run).iter().map(ToString::to_string).collect();
        let services: Vec<String> = self.services_of(run).iter().map(ToString::to_string).collect();
        let state = if self.lives(run) {
            "is under way"
        } else if self.open().contains(run) {
            "stopped"
        } else {
            "ended"
        };
        format!("{run} {state} on {}: {}", hosts.join(", "), services.join(", "))
    }

    /// Ends the connections in good order.
    pub async fn part(&self, ground: &Ground) {
        ground.part(&self.far).await;
    }
}
