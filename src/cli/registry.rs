//! The registry, for the verbs: where it is, what it says, and how its faults are told.

use std::mem::ManuallyDrop;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::cli::{Exit, Face, Failure};
use crate::model::{FailureKind, HostName, ServiceName};
use crate::registry::{self, Edit, EditError, Faults, Registry, Service};

impl Face {
    /// Where the registry is: `--registry`, `PORTOSER_REGISTRY`, `registry.yml` here and upward to the root of the
    /// repository, then the user's config folder.
    ///
    /// # Errors
    /// When there is none.
    pub fn registry_path(&self) -> Result<PathBuf, Failure> {
        if let Some(path) = &self.flags.registry {
            return Ok(path.clone());
        }
        let here = std::env::current_dir();
        let here =
            here.map_err(|error| Failure::new(FailureKind::Internal, &error).doing("finding the current folder"))?;
        let (found, folders) = registry::find(&here);
        let Some(found) = found else {
            let folders: Vec<_> = folders.iter().map(|folder| folder.display().to_string()).collect();
            let text = format!("there is no registry.yml in {}", folders.join(", "));
            return Err(Failure::say(FailureKind::Invalid, text)
                .hint("`portoser init` writes a first one, and `--registry FILE` names one elsewhere"));
        };
        Ok(found.strip_prefix(&here).map(Path::to_owned).unwrap_or(found))
    }

    /// The registry with the overlay of `--env`. Verbs that need it once leave it to the end of the process, which is sooner
    /// than taking a large one apart.
    ///
    /// # Errors
    /// When there is none, or with all its faults.
    pub fn registry(&self) -> Result<ManuallyDrop<Registry>, Failure> {
        let path = self.registry_path()?;
        Ok(ManuallyDrop::new(registry::load(&path, self.flags.environment.as_deref())?))
    }
}

impl Face {
    /// Makes a change to the registry's file, and says what was done.
    ///
    /// # Errors
    /// When the change cannot be made, or would leave a registry that is not valid.
    pub fn edit(&self, edit: &Edit, said: &str) -> Result<Exit, Failure> {
        if let Some(env) = &self.flags.environment {
            let text = format!("the registry itself is changed, and not the overlay of `{env}`");
            return Err(Failure::say(FailureKind::Usage, text).hint("take `--env` away, or edit the file by hand"));
        }
        let path = self.registry_path()?;
        registry::edit(&path, edit)?;
        if self.flags.json || self.flags.events {
            self.document(&json!({ "changed": path.display().to_string(), "said": said }));
        }
        self.talk(format!("{}: {said}", path.display()));
        Ok(Exit::DONE)
    }
}

impl From<EditError> for Failure {
    fn from(error: EditError) -> Self {
        let text = error.to_string();
        match error {
            EditError::Before(faults) | EditError::After(faults) => Self::from(faults).doing(text),
            EditError::There { .. } => Self::say(FailureKind::Refused, text),
            EditError::NotThere { near: Some(near), .. } => {
                Self::say(FailureKind::Usage, text).hint(format!("did you mean `{near}`?"))
            }
            EditError::NotThere { .. } => Self::say(FailureKind::Usage, text),
            EditError::NotYaml { .. } | EditError::Tangled { .. } => {
                Self::say(FailureKind::Refused, text).hint("write it by hand; `portoser validate` checks it")
            }
            EditError::Locked { .. } => Self::say(FailureKind::Locked, text),
            EditError::Io { .. } => Self::new(FailureKind::Internal, &error),
        }
    }
}

impl From<Faults> for Failure {
    fn from(faults: Faults) -> Self {
        let count = faults.list.len();
        let text = format!("{} has {count} fault{}", faults.file.display(), if count == 1 { "" } else { "s" });
        Self::say(FailureKind::Invalid, text)
            .lines(faults.to_string().lines().map(str::to_owned).collect())
            .details(json!({ "faults": faults.json() }))
    }
}

/// The service of this name.
pub(super) fn service<'a>(registry: &'a Registry, name: &str) -> Result<&'a Service, Failure> {
    let found = ServiceName::try_from(name).ok().and_then(|name| registry.services.get(&name));
    found.ok_or_else(|| unknown("service", name, registry.services.keys().map(ServiceName::as_str)))
}

/// A usage failure that names the nearest name.
pub(super) fn unknown<'a>(kind: &str, name: &str, names: impl Iterator<Item = &'a str>) -> Failure {
    let failure = Failure::say(FailureKind::Usage, format!("no {kind} named `{name}`"));
    match registry::nearest(name, names) {
        Some(near) => failure.hint(format!("did you mean `{near}`?")),
        None => failure.hint(match kind {
            "host" => "`portoser list --hosts` shows them",
            "playbook" => "`portoser playbook list` shows them",
            _ => "`portoser list` shows the services, and with --hosts the hosts",
        }),
    }
}

/// Makes sure that each of these hosts is in the registry.
pub(super) fn all_hosts(registry: &Registry, names: &[HostName]) -> Result<(), Failure> {
    match names.iter().find(|name| !registry.hosts.contains_key(*name)) {
        Some(name) => Err(unknown("host", name.as_str(), registry.hosts.keys().map(|name| name.as_str()))),
        None => Ok(()),
    }
}

/// What a name of the command line means.
pub(super) enum Thing<'a> {
    Service(&'a Service),
    Host(&'a registry::Host),
}

/// The service or the host of this name; of a service and a host with one name, the service.
pub(super) fn thing<'a>(registry: &'a Registry, name: &str) -> Result<Thing<'a>, Failure> {
    if let Some(service) = ServiceName::try_from(name).ok().and_then(|name| registry.services.get(&name)) {
        return Ok(Thing::Service(service));
    }
    if let Some(host) = HostName::try_from(name).ok().and_then(|name| registry.hosts.get(&name)) {
        return Ok(Thing::Host(host));
    }
    let services = registry.services.keys().map(ServiceName::as_str);
    Err(unknown("service or host", name, services.chain(registry.hosts.keys().map(HostName::as_str))))
}
