//! Healing as a part of a deploy: before it, where the first look shows that something is wrong, and while a release that is not
//! proven waits for its verdict. Rooms of two floors meet here.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use tokio::sync::Mutex;

use crate::app::App;
use crate::deploy::{Distress, Ground, Rescue, Selection, select};
use crate::heal::playbook::Library;
use crate::heal::{HealFault, Healing, Refrained, Treated, clear_way, notify};
use crate::journal::{Journal, Verdict};
use crate::model::Event;

/// Leaves a diagnosis bundle where a healing gives something up: its path, or why there is none.
pub type Leave = Arc<dyn Fn(&Healing) -> Result<Option<PathBuf>, String> + Send + Sync>;

/// What heals during the deploys of an app. The playbooks are read when they are needed.
#[derive(Clone)]
pub struct Healers {
    journal: Journal,
    leave: Leave,
    library: Arc<OnceLock<Arc<Library>>>,
}

impl App {
    /// What heals during a deploy.
    #[must_use]
    pub fn healers(&self, leave: Leave) -> Healers {
        Healers { journal: self.journal.clone(), leave, library: Arc::default() }
    }
}

impl Healers {
    /// Heals, before anything is deployed, what a deploy of the selection would stumble over; tells what it leaves.
    pub async fn clear_way(&self, ground: &Arc<Ground>, selection: &Selection) {
        self.clear((&ground.hushed(), ground), selection).await;
    }

    /// What heals while a release waits. One at a time: what helps one service may be what the next one waits for, too.
    #[must_use]
    pub fn rescue(&self, ground: &Arc<Ground>) -> Rescue {
        let (healers, told, turn) = (self.clone(), ground.clone(), Arc::new(Mutex::new(())));
        Arc::new(move |distress| {
            let (healers, told, turn) = (healers.clone(), told.clone(), turn.clone());
            Box::pin(async move {
                let _turn = turn.lock().await;
                let Distress { service, host, ground } = distress;
                let selection = Selection { services: vec![service], hosts: vec![host], ..Selection::default() };
                healers.clear((&ground, &told), &selection).await
            })
        })
    }

    /// Whether something helped.
    async fn clear(&self, (ground, told): (&Arc<Ground>, &Arc<Ground>), selection: &Selection) -> bool {
        let library = self.library(told);
        match clear_way((ground, told), selection, &library, &self.journal).await {
            Ok(healing) => {
                self.notify(told, selection, healing.clone()).await;
                tell(told, &healing)
            }
            // What cannot be healed is no reason not to go on: the deploy has the last word.
            Err(HealFault::Deploy(fault)) => note(told, format!("nothing is healed: {fault}")),
            Err(HealFault::Journal(error)) => note(told, format!("nothing is healed: {error}")),
        }
    }

    /// Tells those who are told of news. How what is being deployed stands is the deploy's own news.
    async fn notify(&self, told: &Ground, selection: &Selection, mut healing: Healing) {
        let own = select(&told.registry, selection).map(|(services, _)| services).unwrap_or_default();
        healing.refrained.retain(|one| !one.problem.service.as_ref().is_some_and(|name| own.contains(name)));
        // What is given up here is no news to who heals later, so that nobody else would leave it.
        let left = (self.leave)(&healing).unwrap_or_else(|why| {
            note(told, format!("no diagnosis bundle is left: {why}"));
            None
        });
        if let Some(file) = &left {
            note(told, format!("all that was seen: {}", file.display()));
        }
        match notify(&told.registry, &self.journal, (&healing, left.as_deref()), told.clock.now()).await {
            Ok((_, complaints)) => complaints.into_iter().for_each(|complaint| {
                note(told, complaint);
            }),
            Err(fault) => {
                note(told, format!("nobody is told: {fault}"));
            }
        }
    }

    fn library(&self, told: &Ground) -> Arc<Library> {
        let folder = told.registry.file.parent().unwrap_or(Path::new("."));
        let load = || match Library::load(folder) {
            Ok(library) => Arc::new(library),
            Err((rest, faults)) => {
                note(told, format!("{} playbooks cannot be read: `portoser playbook test` says why", faults.len()));
                Arc::new(rest)
            }
        };
        self.library.get_or_init(load).clone()
    }
}

/// Tells what came of it; whether something helped.
fn tell(told: &Ground, healing: &Healing) -> bool {
    for Treated { problem, verdict, says, .. } in &healing.treated {
        let what = match verdict {
            Verdict::Helped => "healed",
            Verdict::NoHelp => "the remedy did not help, and was taken back",
            Verdict::Failed => "the remedy could not be applied",
        };
        let says = says.as_ref().map(|says| format!(" ({says})")).unwrap_or_default();
        let text = format!("{}: {what}{says}", problem.because);
        told.tell(Event::Note { host: Some(problem.host.clone()), text });
    }
    for Refrained { problem, why } in &healing.refrained {
        let why: Vec<String> = why.iter().map(|(what, why)| format!("{what}: {why}")).collect();
        let why = if why.is_empty() { "only a person can mend it".to_owned() } else { why.join("; ") };
        let text = format!("in the way: {} (not healed: {why})", problem.because);
        told.tell(Event::Note { host: Some(problem.host.clone()), text });
    }
    healing.treated.iter().any(|one| one.verdict == Verdict::Helped)
}

fn note(told: &Ground, text: String) -> bool {
    told.tell(Event::Note { host: None, text });
    false
}
