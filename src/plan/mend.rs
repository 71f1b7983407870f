//! What remedies are made of, as steps on the host.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::host::run::within;
use crate::host::{Layout, Record, Seen, SeenService};
use crate::model::{Cmd, Content, ProjectChange, Scope, ServiceName, Step, UnitChange};
use crate::plan::back::proven_before;
use crate::plan::engine::{Engine, Refused};
use crate::plan::make::altered;

/// A part of a remedy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mend {
    /// What runs is changed, in its engine's way.
    Change(UnitChange),
    /// Steps of the host's, whatever the engine.
    Steps(Vec<Step>),
    /// The release in force is brought into force again, from what lies on the host; its containers are made anew.
    Again,
    /// The hook of this name, as it was deployed.
    Hook(String),
    /// What it runs from is fetched again; nothing is restarted.
    Images,
    /// Its units may be started again: what masked them goes, and their files are as they were.
    Unmask,
    /// The host goes out of service: it keeps the word that this step writes. To drain it, the services that lie there are stopped
    /// behind that, those that need others first.
    Aside { word: Step, drain: bool },
    /// Old releases of the services that were looked at go, if they lie on this mount: all but the one in force and the one to go
    /// back to.
    PruneReleases { mount: String },
}

/// Why a service that has no signal for it is not told to read its settings again.
pub(super) fn reloads_not(service: &ServiceName) -> Refused {
    let hint = format!("give it `reload: SIGHUP` and deploy, or run `portoser restart {service}`");
    Refused::new("nothing says how it reloads", hint)
}

/// The steps of a change of what runs. To start what others made of something else would make it anew, and is refused.
pub(super) fn changed(
    engine: &dyn Engine,
    (record, layout): (&Record, &Layout),
    found: Option<&SeenService>,
    change: UnitChange,
) -> Result<Vec<Step>, Refused> {
    loses(&record.service, found.filter(|found| change == UnitChange::Start && found.is_remade()))?;
    Ok(engine.change(record, layout, change))
}

/// Refuses to make containers anew that others made or changed: that is for a person to say.
fn loses(service: &ServiceName, found: Option<&SeenService>) -> Result<(), Refused> {
    let hint = format!(
        "bring the change into the source and deploy, or run `portoser deploy {service} --overwrite` to lose it"
    );
    found.map_or(Ok(()), |found| altered(found, false).map_err(|why| Refused::new(why.what, hint)))
}

/// The steps of a part of a remedy.
pub(super) fn mended(
    mend: &Mend,
    engine: &dyn Engine,
    (record, layout): (&Record, &Layout),
    (seen, found): (&Seen, Option<&SeenService>),
) -> Result<Vec<Step>, Refused> {
    let again = || engine.activate(record, layout, found.unwrap_or(&SeenService::default()));
    Ok(match mend {
        Mend::Hook(name) => {
            let hook = record.hooks.named.get(name).ok_or_else(|| {
                Refused::new(format!("it was deployed without a hook `{name}`"), "give it `hooks.named`, and deploy")
            })?;
            vec![hook_step(&layout.release(&record.service, &record.release), hook)]
        }
        Mend::Change(UnitChange::Reload) if !engine.reloads(record) => return Err(reloads_not(&record.service)),
        Mend::Change(change) => changed(engine, (record, layout), found, *change)?,
        Mend::Steps(steps) => steps.clone(),
        Mend::Again => {
            loses(&record.service, found)?;
            again().into_iter().map(anew).collect()
        }
        Mend::Images => images(&record.service, again())?,
        Mend::Unmask => unmask(record),
        Mend::Aside { word, .. } => vec![word.clone()],
        Mend::PruneReleases { mount } if seen.facts.mount.as_ref() == Some(mount) => prune(seen, layout),
        Mend::PruneReleases { .. } => Vec::new(),
    })
}

/// A hook runs in the release's folder with the service's environment, as who deploys there.
#[must_use]
pub fn hook_step(folder: &str, (words, seconds): &(Vec<String>, u64)) -> Step {
    let cmd = within("hook", folder, None, words).within(Duration::from_secs(*seconds));
    Step::Run { cmd, undo: None }
}

/// The steps that fetch images.
fn images(service: &ServiceName, mut steps: Vec<Step>) -> Result<Vec<Step>, Refused> {
    if steps.iter().any(|step| matches!(step, Step::Load { .. })) {
        return Err(Refused::new(
            "its image is sent from the operator's machine, which only a deploy does",
            format!("run `portoser deploy {service}`"),
        ));
    }
    steps.retain(|step| matches!(step, Step::Image { .. } | Step::Part { .. }));
    Ok(steps)
}

/// A step that brings a project up makes it anew.
#[must_use]
pub fn anew(step: Step) -> Step {
    match step {
        Step::Project { project, folder, change: ProjectChange::Up | ProjectChange::Beside | ProjectChange::Renew } => {
            Step::Project { project, folder, change: ProjectChange::Recreate }
        }
        step => step,
    }
}

/// A unit of ours lies where systemd looks first, so that what masked it took its place.
fn unmask(record: &Record) -> Vec<Step> {
    let scope = if record.scope == Scope::User { "--user" } else { "--system" };
    let mut steps = Vec::new();
    for unit in &record.units {
        let systemctl = |verb: &str| Cmd::new("systemctl").args([scope, verb, "--", unit.name.as_str()]);
        steps.push(match &unit.path {
            Some(path) => {
                let content = Content::open(unit.text.clone());
                Step::Put { path: path.clone(), content, mode: 0o644, owner: None }
            }
            None => Step::Run { cmd: systemctl("unmask"), undo: Some(systemctl("mask")) },
        });
    }
    steps.push(Step::ReloadUnits { scope: record.scope });
    steps
}

/// Removes what no rollback needs. What is not proven to be old stays.
fn prune(seen: &Seen, layout: &Layout) -> Vec<Step> {
    let old = |(name, found): (&ServiceName, &SeenService)| {
        let current = found.current.clone()?;
        // Without a release to go back to it is not known what is old.
        let before = proven_before(found)?.clone();
        let newest = found.proven.last().cloned();
        let keep: BTreeSet<_> = [current, before].into_iter().chain(newest).collect();
        (!found.releases.is_subset(&keep)).then(|| Step::Prune {
            folder: layout.releases(name),
            keep: keep.into_iter().collect(),
            older_than: Duration::ZERO,
        })
    };
    seen.services.iter().filter_map(old).collect()
}
