//! Which image registries must know a host that fetches images, and the passwords that let it in.

use std::collections::{BTreeMap, BTreeSet};

use crate::deploy::fault::Fault;
use crate::deploy::fetched::fetched;
use crate::deploy::prepare::Prepared;
use crate::model::{HostName, Login, Step};
use crate::registry::{Docker, Kind, Project, Pull, Registry, Service, compose_files, server_of};
use crate::secrets::{self, SecretFault};

/// The logins that the images of these services may need, as far as their passwords are here.
pub(super) fn at_hand<'a>(registry: &Registry, services: impl IntoIterator<Item = &'a Service>) -> Vec<Login> {
    let all = wanted(registry, services);
    all.into_values().filter_map(|login| login.ok()).collect()
}

/// Refuses services whose newest image only a registry knows that wants a password which is not here.
pub(super) fn demand<'a>(registry: &Registry, services: impl IntoIterator<Item = &'a Service>) -> Result<(), Fault> {
    for service in services {
        let Kind::Docker(docker) = &service.kind else { continue };
        let newest = if docker.pull == Pull::Always { fetched(docker) } else { BTreeSet::new() };
        let asked: BTreeSet<&str> = newest.iter().map(|reference| server_of(reference)).collect();
        for (server, login) in wanted(registry, [service]) {
            if let Err(why) = login
                && asked.contains(server.as_str())
            {
                return Err(Fault::Secret { server, why });
            }
        }
    }
    Ok(())
}

/// The logins that each host needs for this plan. One whose password is not here is a fault where a new release may fetch from
/// there; what lies on a host already needs no registry.
pub(super) fn of_plan(registry: &Registry, prepared: &Prepared) -> Result<BTreeMap<HostName, Vec<Login>>, Fault> {
    let mut hosts: BTreeMap<HostName, BTreeMap<String, Login>> = BTreeMap::new();
    for change in &prepared.plan.changes {
        let fetches = |step: &Step| matches!(step, Step::Image { .. } | Step::Part { .. });
        let Some(service) = registry.services.get(&change.service).filter(|_| change.steps.iter().any(fetches)) else {
            continue;
        };
        for (server, login) in wanted(registry, [service]) {
            match login {
                Ok(login) => _ = hosts.entry(change.host.clone()).or_default().insert(server, login),
                Err(why) if change.files.is_some() => return Err(Fault::Secret { server, why }),
                Err(_) => {}
            }
        }
    }
    Ok(hosts.into_iter().map(|(host, all)| (host, all.into_values().collect())).collect())
}

fn wanted<'a>(
    registry: &Registry,
    services: impl IntoIterator<Item = &'a Service>,
) -> BTreeMap<String, Result<Login, SecretFault>> {
    let mut all = BTreeMap::new();
    for service in services {
        let Kind::Docker(docker) = &service.kind else { continue };
        for (server, known) in registry.registries.iter().filter(|(server, _)| asks(docker, server)) {
            all.entry(server.clone()).or_insert_with(|| {
                let password = secrets::line(&known.password)?;
                Ok(Login { server: server.clone(), user: known.user.clone(), password })
            });
        }
    }
    all
}

/// Whether images of this service may come from there. What a build begins from is not known here.
fn asks(docker: &Docker, server: &str) -> bool {
    match &docker.project {
        Project::Image(image) => docker.push.is_none() && server_of(&image.reference) == server,
        Project::Compose { path, .. } => {
            let texts: Option<Vec<String>> =
                compose_files(path).into_iter().map(|file| std::fs::read_to_string(file).ok()).collect();
            // A reference that names no registry is of Docker Hub, and a variable may name any.
            texts.filter(|texts| !texts.is_empty()).is_none_or(|texts| {
                let text = texts.concat();
                server == "docker.io" || text.contains(server) || text.contains("build") || text.contains('$')
            })
        }
    }
}
