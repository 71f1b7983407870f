//! container: why a container could not be started, and whether its image is still on the host.

use crate::heal::Observation;
use crate::heal::observe::scene::{About, Heard, Look, Scene};
use crate::host::SeenContainer;

pub(super) const LOOK: Look = Look { name: "container", about: About::Service, shell: SHELL, calls, judge };

const SHELL: &str = r#"
look_container() { asked docker images --quiet --no-trunc --all; }
"#;

fn calls(scene: &Scene<'_>) -> Vec<Vec<String>> {
    let any = scene.services.iter().any(|placed| placed.service.kind.is_docker());
    if any { vec![vec![String::new()]] } else { Vec::new() }
}

fn judge(scene: &Scene<'_>, heard: &Heard) -> Vec<Observation> {
    let mut found = Vec::new();
    for placed in scene.services.iter().filter(|placed| placed.service.kind.is_docker()) {
        if heard.service(placed).is_none_or(|there| there.readable().is_none()) {
            continue;
        }
        if let Some(why) = &heard.seen().blind {
            found.push(scene.of(&LOOK, placed).unseen(why.clone()));
            continue;
        }
        for container in heard.containers(placed) {
            let one = scene.of(&LOOK, placed).of(&container.name).with("container", &container.name);
            found.push(one_container(one.with("image", &container.image), container, heard.answer(&LOOK, "")));
        }
    }
    found
}

fn one_container(one: Observation, container: &SeenContainer, images: Result<&str, String>) -> Observation {
    let name = &container.name;
    if !container.error.is_empty() && container.state != "running" {
        return one
            .with("state", "refused")
            .with("error", &container.error)
            .bad(format!("docker could not start {name}: {}", container.error));
    }
    // Even what may talk to nobody is joined to the network `none`.
    if container.networks == Some(0) && container.state == "running" {
        let one = one.with("state", "network-gone");
        return one.bad(format!("{name} is joined to no network any more"));
    }
    match images {
        Err(why) => one.unseen(why),
        Ok(ids) if ids.lines().any(|id| id.trim() == container.image_id) => {
            one.good(format!("the image of {name} is there"))
        }
        Ok(_) => one
            .with("state", "image-gone")
            .bad(format!("the image of {name}, {}, is not on the host any more", container.image)),
    }
}
