//! Docker services: always a compose project on the host. What an image needs is rendered to one; the user's own compose file is
//! used unchanged, with a small override of ours. Images are pinned by tags of ours, so that the way back needs no network.

mod caller;
mod data;
mod own;
mod parts;
mod render;
mod sent;
mod settings;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::engine::release;
use crate::host::run::TreeEntry;
use crate::host::{Layout, Record, Seen, SeenService, SeenUnit};
use crate::model::{Probe, ProjectChange, Pull, ReleaseId, Scope, ServiceName, Step, UnitChange, hex, sha256};
use crate::plan::{self, Engine, Refused, Subject, Wanted};
use crate::registry::{Kind, Service};
use parts::Parts;

/// How long a project may take until all of it runs; a service that needs longer to be healthy says so in its checks.
const START: Duration = Duration::from_secs(60);

/// What to do where docker or its compose is not there.
const PREPARE: &str = "`portoser host prepare` brings docker and compose, or install them there";

/// The engine.
pub(super) struct Docker;

/// A project as it is rendered: what lies in `.portoser` of its release, and what it consists of.
struct Rendered {
    /// The project's name.
    name: String,
    /// The compose files, relative to the release: the user's first.
    files: Vec<String>,
    /// Files of ours beside those of every release.
    ours: Vec<TreeEntry>,
    /// Links into the shared folder, where a compose file keeps data beside itself.
    links: Vec<TreeEntry>,
    /// The names of its parts.
    parts: Vec<String>,
    /// The tags of ours, and the image that each pins; `part NAME` where only compose knows it, or builds it.
    images: BTreeMap<String, String>,
    networks: Vec<String>,
    /// The part that `exec` is for.
    main: Option<String>,
    /// The folder in which the relative paths of the files begin, where it is not the release.
    folder: Option<String>,
    /// Whether its containers can run beside those of another release.
    beside: bool,
    /// Where the containers of an image have mounts: what it keeps elsewhere would be lost with the name of a part.
    mounted: Option<Vec<String>>,
    /// How long the user's own file lets a part take to stop.
    grace: Option<Duration>,
}

impl Engine for Docker {
    fn name(&self) -> &'static str {
        "docker"
    }

    fn serves(&self, kind: &Kind) -> bool {
        matches!(kind, Kind::Docker(_))
    }

    fn units(&self, _: &Service) -> Vec<(Scope, String)> {
        Vec::new()
    }

    fn wanted(&self, subject: &Subject<'_>) -> Result<Wanted, Refused> {
        if !subject.facts.tools.contains("docker") {
            return Err(Refused::new("docker is not on the host", PREPARE));
        }
        if !subject.facts.tools.contains("compose") {
            return Err(Refused::new("neither `docker compose` nor `docker-compose` is on the host", PREPARE));
        }
        // The id is the digest of the release as it would be with an id of zeros: its files name the id.
        let id = ReleaseId::from_digest(&Parts::new(subject, &ReleaseId::from_digest(&[0; 32]))?.digest(subject));
        Ok(Parts::new(subject, &id)?.finish(subject, id))
    }

    fn activate(&self, record: &Record, layout: &Layout, seen: &SeenService) -> Vec<Step> {
        let folder = layout.release(&record.service, &record.release);
        let shared = layout.shared(&record.service);
        let mut steps = vec![
            Step::Folder { path: layout.releases(&record.service), mode: 0o755, owner: None },
            Step::Folder { path: shared.clone(), mode: 0o755, owner: None },
        ];
        let links = record.files.values().filter_map(|mark| mark.strip_prefix("-> ../")?.rsplit_once("../shared/"));
        for (_, data) in links {
            steps.push(Step::Folder { path: format!("{shared}/{data}"), mode: 0o755, owner: None });
        }
        steps.push(Step::Unpack { release: record.release.clone(), into: folder.clone(), owner: None, from: None });
        steps.push(Step::Run { cmd: release::verify(&folder), undo: None });
        // All that can fail without harm comes before anything is stopped.
        steps.push(Step::CheckProject { folder: folder.clone() });
        // What ran before the first release is taken over as it runs; an image that is sent is another one.
        let adopt =
            seen.current.is_none() && record.summary.contains_key("project") && sent::ids(record).next().is_none();
        if adopt {
            steps.push(Step::TakeImages { project: project(record), pins: pins(record) });
        }
        for (key, value) in &record.summary {
            if let Some(tag) = key.strip_prefix("pin ") {
                let (pull, image) = value.split_once(' ').unwrap_or_default();
                steps.push(have(record, layout, tag, (pull, image)));
            } else if let Some(name) = key.strip_prefix("network ") {
                steps.push(Step::Network { name: name.to_owned() });
            }
        }
        steps.extend(check_volumes(record).filter(|_| renamed(record, seen)));
        steps.extend(record.hooks.before.iter().map(|hook| plan::hook_step(&folder, hook)));
        steps.push(hold(record, layout, adopt));
        steps.push(Step::Link {
            path: layout.current(&record.service),
            target: ["releases/", record.release.as_str()].concat(),
        });
        let again = seen.current.as_ref() == Some(&record.release);
        let change = match again {
            _ if adopt => ProjectChange::Take,
            // Compose knows nothing of what `docker update` did.
            _ if !seen.altered.is_empty() && (again || !runs_beside(record)) => ProjectChange::Recreate,
            true => ProjectChange::Renew,
            false if runs_beside(record) && seen.current.is_some() => ProjectChange::Beside,
            false => ProjectChange::Up,
        };
        steps.push(Step::Project { project: project(record), folder: folder.clone(), change });
        steps.push(runs(record));
        steps.extend(record.hooks.after.iter().map(|hook| plan::hook_step(&folder, hook)));
        steps
    }

    fn change(&self, record: &Record, layout: &Layout, change: UnitChange) -> Vec<Step> {
        let folder = layout.release(&record.service, &record.release);
        let doing = match change {
            UnitChange::Start => ProjectChange::Start,
            UnitChange::Stop => ProjectChange::Stop,
            UnitChange::Restart => ProjectChange::Restart,
            UnitChange::Reload => {
                ProjectChange::Signal(record.summary.get("reload").cloned().unwrap_or_else(|| "SIGHUP".into()))
            }
        };
        let mut steps =
            vec![hold(record, layout, false), Step::Project { project: project(record), folder, change: doing }];
        if change != UnitChange::Stop {
            steps.push(runs(record));
        }
        steps
    }

    fn reloads(&self, record: &Record) -> bool {
        record.summary.contains_key("reload")
    }

    fn remove(&self, record: &Record, layout: &Layout) -> Vec<Step> {
        let folder = layout.release(&record.service, &record.release);
        vec![
            hold(record, layout, false),
            Step::Project { project: project(record), folder, change: ProjectChange::Down },
            Step::Remove { path: layout.current(&record.service) },
            Step::Remove { path: layout.releases(&record.service) },
            Step::Remove { path: layout.proven(&record.service) },
        ]
    }

    fn names(&self, record: &Record) -> Vec<String> {
        record.units.iter().map(|unit| unit.name.clone()).collect()
    }

    fn runs(&self, record: &Record, seen: &Seen) -> bool {
        let prefix = project(record) + "/";
        let ours = |name: &str| record.units.iter().any(|unit| unit.name == name);
        // What another release left there is to go.
        let stray = |(name, found): (&String, &SeenUnit)| name.starts_with(&prefix) && !ours(name) && !found.rests();
        let left = runs_beside(record) && seen.units.iter().any(stray);
        !left && record.units.iter().all(|unit| seen.units.get(&unit.name).is_some_and(SeenUnit::runs))
    }

    fn alone(&self, record: &Record, layout: &Layout) -> Vec<Step> {
        if !runs_beside(record) {
            return Vec::new();
        }
        let folder = layout.release(&record.service, &record.release);
        vec![Step::Project { project: project(record), folder, change: ProjectChange::Alone }]
    }

    fn after(&self, record: &Record, layout: &Layout) -> Vec<Step> {
        let repository = format!("portoser/{}", record.service);
        let pushed = sent::ids(record).map(|id| layout.pushed(id)).collect();
        vec![Step::PruneImages { repository, folder: layout.releases(&record.service), pushed }]
    }

    fn blind(&self, seen: &Seen) -> Option<Refused> {
        let why = seen.blind.as_deref()?;
        let hint = if why.contains("permission denied") {
            "let the login user use docker (group `docker`), or set `become: sudo`"
        } else if why.contains("not on the host") {
            PREPARE
        } else if why.contains("is Podman's") {
            "put Docker's own command in its place (`docker-cli`), and let it talk to Podman: see docs/docker.md"
        } else {
            "see `systemctl status docker` on the host"
        };
        let what = format!("docker does not answer on the host: {}", why.replace('\n', " "));
        Some(Refused::new(what, hint).of_host())
    }
}

/// The project that a record is about.
fn project(record: &Record) -> String {
    record.project().unwrap_or_default().to_owned()
}

fn hold(record: &Record, layout: &Layout, adopt: bool) -> Step {
    Step::HoldProject {
        adopt,
        project: project(record),
        current: layout.current(&record.service),
        folder: layout.release(&record.service, &record.release),
    }
}

/// Whether a container has no successor of its name. What it has in a volume without a name goes to that one, and to no other.
fn renamed(record: &Record, seen: &SeenService) -> bool {
    let names = |record: &Record| record.units.iter().map(|unit| unit.name.clone()).collect::<BTreeSet<_>>();
    let new = names(record);
    match seen.readable().map(names) {
        Some(old) => runs_beside(record) || !old.is_subset(&new),
        None => runs_beside(record) || seen.current.is_some(),
    }
}

/// Refuses an image whose data would stay behind with a container. A place of a container has no `:` in it.
fn check_volumes(record: &Record) -> Option<Step> {
    let mounted = record.summary.get("mounts")?.split(':').filter(|place| !place.is_empty()).map(str::to_owned);
    let image = record.summary.keys().find_map(|key| key.strip_prefix("pin "))?.to_owned();
    Some(Step::CheckVolumes { image, mounted: mounted.collect() })
}

fn runs(record: &Record) -> Step {
    let release = runs_beside(record).then(|| record.release.clone());
    Step::Wait { probe: Probe::ProjectRuns { project: project(record), release }, within: START }
}

/// Whether its containers can run beside those of another release.
fn runs_beside(record: &Record) -> bool {
    record.summary.contains_key("beside")
}

/// The step that gives an image our tag, however it comes to the host.
fn have(record: &Record, layout: &Layout, tag: &str, (pull, image): (&str, &str)) -> Step {
    let tag = tag.to_owned();
    if pull == sent::PUSH {
        let named = record.summary.get(&format!("image {tag}")).or_else(|| record.summary.get("image"));
        let reference = named.map_or(image, String::as_str).to_owned();
        return Step::Load { tag, image: image.to_owned(), reference, folder: layout.pushed(image) };
    }
    let pull = policy(pull);
    match image.strip_prefix("part ") {
        Some(part) => {
            let folder = layout.release(&record.service, &record.release);
            Step::Part { tag, folder, part: part.to_owned(), pull }
        }
        None => Step::Image { tag, reference: image.to_owned(), pull },
    }
}

fn policy(word: &str) -> Pull {
    match word {
        "always" => Pull::Always,
        "never" => Pull::Never,
        _ => Pull::Missing,
    }
}

fn word(pull: Pull) -> &'static str {
    match pull {
        Pull::Always => "always",
        Pull::Never => "never",
        Pull::Missing => "missing",
    }
}

/// The parts of a project, each with the tag that pins its image.
fn pins(record: &Record) -> Vec<(String, String)> {
    let tags: Vec<&str> = record.summary.keys().filter_map(|key| key.strip_prefix("pin ")).collect();
    let parts = record.units.iter().filter_map(|unit| Some(unit.name.split_once('/')?.1));
    let pin = |part: &str| {
        let begin = tag(&record.service, part, "");
        tags.iter().find(|tag| tag.starts_with(&begin)).map(|tag| (part.to_owned(), (*tag).to_owned()))
    };
    parts.filter_map(pin).collect()
}

/// The name of our project for a service.
fn project_name(service: &Service) -> String {
    format!("portoser-{}", service.name)
}

/// A tag of ours.
fn tag(service: &ServiceName, part: &str, version: &str) -> String {
    // A part may have a name that no repository can have.
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let fits = part.starts_with(plain) && part.ends_with(plain) && part.chars().all(|c| plain(c) || c == '-');
    let part = if fits { part.to_owned() } else { hex(&sha256(part.as_bytes())[..8]) };
    format!("portoser/{service}/{part}:{version}")
}
