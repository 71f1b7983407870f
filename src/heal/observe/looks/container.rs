//! container: why a container could not be started, and whether its image is still on the host; also that of one which is gone.

use crate::heal::Observation;
use crate::heal::observe::scene::{About, Heard, Look, Scene};
use crate::host::SeenContainer;

pub(super) const LOOK: Look = Look { name: "container", about: About::Service, shell: SHELL, calls, judge };

const SHELL: &str = r#"
look_container() { # [SERVICE]: the images of the host, or those that a release of the service is made from
  if [ -n "$1" ]; then
    head -n 100 "$base/services/$1/current/.portoser/images"
  else
    asked docker images --no-trunc --all --format '{{.ID}} {{.Repository}}:{{.Tag}}'
  fi
}
"#;

fn calls(scene: &Scene<'_>) -> Vec<Vec<String>> {
    let docker = scene.services.iter().filter(|placed| placed.service.kind.is_docker());
    let mut calls: Vec<_> = docker.map(|placed| vec![placed.service.name.to_string(); 2]).collect();
    if !calls.is_empty() {
        calls.push(vec![String::new()]);
    }
    calls
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
        // Of a container that is gone the look `unit` tells; whether it can be made anew is told here.
        let made = heard.answer(&LOOK, placed.service.name.as_str());
        let (Ok(made), Ok(images)) = (made, heard.answer(&LOOK, "")) else { continue };
        for instance in heard.instances(placed).iter().filter(|instance| instance.unit.is_none()) {
            let name = &instance.name;
            let Some(image) = lost(made, name, images) else { continue };
            let one = scene.of(&LOOK, placed).of(name).with("container", name).with("image", image);
            let says = format!("the image of {name}, {image}, is not on the host any more");
            found.push(one.with("state", "image-gone").bad(says));
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
        Ok(all) if all.lines().any(|line| line.split(' ').next() == Some(&container.image_id)) => {
            one.good(format!("the image of {name} is there"))
        }
        Ok(_) => one
            .with("state", "image-gone")
            .bad(format!("the image of {name}, {}, is not on the host any more", container.image)),
    }
}

/// The image that `PROJECT/PART` is made from, where the host has it neither by the name that is ours nor by its own. `made` has
/// lines of both names; what only compose knows is not told of.
fn lost<'m>(made: &'m str, unit: &str, images: &str) -> Option<&'m str> {
    let part = unit.rsplit('/').next().unwrap_or_default();
    let of_part = |line: &&str| {
        let tag = line.split(' ').next().and_then(|tag| tag.rsplit_once(':')).map_or("", |(name, _)| name);
        made.lines().count() == 1 || tag.rsplit('/').next() == Some(part)
    };
    let (tag, image) = made.lines().find(of_part)?.split_once(' ')?;
    // Which tag a digest has is not told.
    if image.starts_with("part ") || image.contains('@') {
        return None;
    }
    let short = image.trim_start_matches("docker.io/").trim_start_matches("library/");
    let tagged = short.rsplit('/').next().is_some_and(|name| name.contains(':'));
    let short = if tagged { short.to_owned() } else { format!("{short}:latest") };
    let has = |line: &str| line.split(' ').any(|word| [tag, image, &short].contains(&word));
    (!images.is_empty() && !images.lines().any(has)).then_some(image)
}

#[cfg(test)]
mod tests {
    use super::lost;

    #[test]
    fn an_image_is_gone_when_the_host_has_it_by_no_name() {
        let made = "portoser/api:73f2bdcf1e350444 nginx\n";
        let unit = "portoser-api/api";
        assert_eq!(lost(made, unit, "sha256:1 trial/http:1"), Some("nginx"));
        assert_eq!(lost(made, unit, "sha256:1 nginx:1.27\nsha256:2 <none>:<none>"), Some("nginx"));
        for there in ["sha256:1 nginx:latest", "sha256:1 portoser/api:73f2bdcf1e350444"] {
            assert_eq!(lost(made, unit, there), None, "{there}");
        }
        assert_eq!(lost(made, unit, ""), None, "nothing was told");
        assert_eq!(lost("portoser/api:7 docker.io/library/redis:7\n", unit, "sha256:1 redis:7"), None);
        assert_eq!(lost("portoser/api:7 localhost:5000/a\n", unit, "sha256:1 localhost:5000/a:latest"), None);
        assert_eq!(
            lost("portoser/api:7 sha256:9\n", unit, "sha256:9 <none>:<none>"),
            None,
            "it was sent, and is there"
        );
        assert_eq!(lost("portoser/api:7 sha256:9\n", unit, "sha256:8 a:1"), Some("sha256:9"));
        let two = "portoser/shop/db:7 postgres:16\nportoser/shop/web:7 part web\n";
        assert_eq!(lost(two, "portoser-shop/db", "sha256:1 a:1"), Some("postgres:16"));
        for unknown in ["portoser-shop/web", "portoser-shop/other"] {
            assert_eq!(lost(two, unknown, "sha256:1 a:1"), None, "{unknown}");
        }
        assert_eq!(lost("portoser/api:7 a@sha256:9\n", unit, "sha256:8 a:1"), None);
    }
}
