//! Docker services: one image, or a compose file of the user's. What has no effect beside it is refused.

use std::time::Duration;

use super::variables::Known;
use super::{Site, files};
use crate::registry::checked::Kind;
use crate::registry::docker::{Adopted, Docker, Healthcheck, Image, Mount, Project, Publish, Pull, Push};
use crate::registry::draft::{self, PortText, PushText};
use crate::registry::fault::Place;
use crate::registry::read::Reader;
use crate::registry::tree::Trail;

pub(super) fn kind(
    site: &Site<'_>,
    service: &draft::Service,
    place: Place,
    known: &Known<'_>,
    at: &Trail<'_>,
    to: &mut Reader,
) -> Option<Kind> {
    refuse_native(service, at, to);
    let project = match (service.image.given(), service.compose.given()) {
        (Some(image), None) => {
            refuse(service.compose_service.written(), "compose_service", "is for `compose`", (place, at), to);
            refuse(service.project.written(), "project", "is for `compose`", (place, at), to);
            Project::Image(Box::new(self::image(service, image.value.0.clone(), known, at, to)))
        }
        (None, Some(compose)) => {
            refuse_beside_compose(service, compose.place, at, to);
            let path = files::on_disk(site, compose, files::Want::FileOrFolder, &at.key("compose"), to);
            let part = service.compose_service.value().map(|part| part.0.clone());
            Project::Compose { path, part, adopted: service.project.value().and_then(|project| adopted(project)) }
        }
        (Some(_), Some(compose)) => {
            to.fault(compose.place, at, "only one of image and compose can be given");
            return None;
        }
        // What is written and bad is told already.
        (None, None) if service.image.written() || service.compose.written() => return None,
        (None, None) => {
            to.fault(place, at, "it has nothing to run")
                .hint("give it `image` (a reference) or `compose` (a compose file, or its folder)");
            return None;
        }
    };
    let pull = service.pull.value().map_or(Pull::Missing, |choice| choice.0);
    let push = push(site, service, at, to);
    Some(Kind::Docker(Box::new(Docker { project, pull, push })))
}

fn push(site: &Site<'_>, service: &draft::Service, at: &Trail<'_>, to: &mut Reader) -> Option<Push> {
    let written = service.push.given()?;
    // Of a compose file the other parts may be fetched.
    if !(service.compose.written() && service.compose_service.written()) {
        refuse(service.pull.written(), "pull", "is for images that the host fetches itself", (written.place, at), to);
    }
    match &written.value {
        PushText::Direct => Some(Push::Engine),
        PushText::From(from) => {
            let at = at.key("push");
            if service.compose.written() && !service.compose_service.written() {
                let fault =
                    to.fault(written.place, &at, "nothing says which part of the compose file this image is for");
                fault.hint("give `compose_service`, or write `push: direct`, which sends the images of all parts");
            }
            match (from.from.given(), from.build.given()) {
                (Some(line), None) => {
                    let path = files::on_disk(site, line, files::Want::FileOrFolder, &at.key("from"), to);
                    Some(Push::From(path))
                }
                (None, Some(line)) => {
                    Some(Push::Build(files::on_disk(site, line, files::Want::Folder, &at.key("build"), to)))
                }
                // What is written and bad is told already.
                (None, None) if from.from.written() || from.build.written() => None,
                _ => {
                    to.fault(written.place, &at, "one of from and build is needed");
                    None
                }
            }
        }
    }
}

fn adopted(written: &draft::Adopted) -> Option<Adopted> {
    let (name, folder) = (written.name.value()?.0.clone(), written.folder.value()?.0.clone());
    Some(Adopted { name, folder })
}

fn image(service: &draft::Service, reference: String, known: &Known<'_>, at: &Trail<'_>, to: &mut Reader) -> Image {
    let command = service.command.value().map(|words| known.texts(words, &at.key("command"), to));
    let mut volumes: Vec<Mount> = Vec::new();
    let place = at.key("volumes");
    for (index, text) in service.volumes.value().into_iter().flat_map(|list| list.iter()) {
        known.text(&text.value.0, text.place, &place.index(index), to);
        let Some(mount) = Mount::parse(&text.value.0) else { continue };
        if volumes.iter().any(|other| other.target == mount.target) {
            to.fault(text.place, &place.index(index), format!("something else is mounted at `{}`", mount.target));
        }
        volumes.push(mount);
    }
    Image {
        reference,
        command,
        volumes,
        networks: service
            .networks
            .value()
            .into_iter()
            .flat_map(|list| list.values().map(|name| name.0.clone()))
            .collect(),
        publish: publish(service),
        healthcheck: service.healthcheck.value().map(|written| healthcheck(written, known, at, to)),
    }
}

/// The ports that are published: the main one first, on the same port of the container where no mapping says otherwise.
fn publish(service: &draft::Service) -> Vec<Publish> {
    let mut all: Vec<Publish> = Vec::new();
    for port in service.ports.value().into_iter().flat_map(|list| list.values()) {
        all.push(match port {
            PortText::Number(port) => Publish::same(*port),
            PortText::Mapping(publish) => publish.clone(),
        });
    }
    if let Some(port) = service.port.value().map(|port| port.get()) {
        match all.iter().position(|publish| publish.host == port && !publish.udp) {
            Some(index) => all.swap(0, index),
            None => all.insert(0, Publish::same(port)),
        }
    }
    all
}

fn healthcheck(written: &draft::Healthcheck, known: &Known<'_>, at: &Trail<'_>, to: &mut Reader) -> Healthcheck {
    let seconds = Duration::from_secs;
    let at = at.key("healthcheck");
    Healthcheck {
        words: written.test.value().map(|words| known.words(words, &at.key("test"), to)).unwrap_or_default(),
        interval: written.interval.value().map_or(seconds(5), |time| time.0),
        timeout: written.timeout.value().map_or(seconds(5), |time| time.0),
        retries: written.retries.value().map_or(3, |count| count.get()),
        start_period: written.start_period.value().map_or(seconds(20), |time| time.0),
    }
}

fn refuse(written: bool, key: &str, why: &str, (place, at): (Place, &Trail<'_>), to: &mut Reader) {
    if written {
        to.fault(place, &at.key(key), format!("`{key}` has no effect here")).why(format!("it {why}"));
    }
}

/// What only native services have.
fn refuse_native(service: &draft::Service, at: &Trail<'_>, to: &mut Reader) {
    let places = [
        ("run", service.run.given().map(|at| at.place), "give the container's words as `command`"),
        ("unit", service.unit.given().map(|at| at.place), "take it away; containers are no units"),
        (
            "source",
            service.source.given().map(|at| at.place),
            "send single files with `files`, or a folder with `compose`",
        ),
        ("scope", service.scope.given().map(|at| at.place), "take it away"),
        ("harden", service.harden.given().map(|at| at.place), "take it away"),
    ];
    for (key, place, hint) in places {
        if let Some(place) = place {
            to.fault(place, &at.key(key), format!("`{key}` is for native services, and this is a docker one"))
                .hint(hint);
        }
    }
}

/// What the compose file itself must say.
fn refuse_beside_compose(service: &draft::Service, place: Place, at: &Trail<'_>, to: &mut Reader) {
    let written = [
        ("command", service.command.written()),
        ("volumes", service.volumes.written()),
        ("networks", service.networks.written()),
        ("healthcheck", service.healthcheck.written()),
        ("instances", service.instances.written()),
        ("restart", service.restart.written()),
        ("limits", service.limits.written()),
        ("user", service.user.written()),
        ("log", service.log.written()),
        ("stop", service.stop.written()),
    ];
    for (key, _) in written.iter().filter(|(_, written)| *written) {
        let fault = to.fault(place, &at.key(key), format!("`{key}` has no effect beside `compose`"));
        fault.why("the compose file is used as it is").hint("say it in the compose file");
    }
    for (index, port) in service.ports.value().into_iter().flat_map(|list| list.iter()) {
        if let PortText::Mapping(_) = port.value {
            let fault = to.fault(port.place, &at.key("ports").index(index), "the compose file maps its ports itself");
            fault.hint("name the port of the host alone");
        }
    }
}

/// Keys that only services of one type have, given to another one: what the type is called, and how it is written.
pub(super) fn refuse_keys_of(
    called: &str,
    written: &str,
    places: &[(&str, Option<Place>)],
    at: &Trail<'_>,
    to: &mut Reader,
) {
    for (key, place) in places {
        if let Some(place) = place {
            let fault = to.fault(*place, &at.key(key), format!("`{key}` is for {called} services, and this is none"));
            fault.hint(format!("write `type: {written}`, or take the key away"));
        }
    }
}

/// What only docker services have, given to another one.
pub(super) fn refuse_in_others(service: &draft::Service, at: &Trail<'_>, to: &mut Reader) {
    let places = [
        ("image", service.image.given().map(|at| at.place)),
        ("compose", service.compose.given().map(|at| at.place)),
        ("compose_service", service.compose_service.given().map(|at| at.place)),
        ("project", service.project.given().map(|at| at.place)),
        ("command", service.command.given().map(|at| at.place)),
        ("volumes", service.volumes.given().map(|at| at.place)),
        ("networks", service.networks.given().map(|at| at.place)),
        ("healthcheck", service.healthcheck.given().map(|at| at.place)),
        ("pull", service.pull.given().map(|at| at.place)),
        ("push", service.push.given().map(|at| at.place)),
    ];
    refuse_keys_of("docker", "docker", &places, at, to);
    for (index, port) in service.ports.value().into_iter().flat_map(|list| list.iter()) {
        if let PortText::Mapping(_) = port.value {
            let fault =
                to.fault(port.place, &at.key("ports").index(index), "only containers have ports that are mapped");
            fault.hint("give the number of the port alone");
        }
    }
}
