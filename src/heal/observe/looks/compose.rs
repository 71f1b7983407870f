//! compose: whether the host has a compose that starts, where services of the registry are projects of it. What runs needs none;
//! whatever changes it does.

use crate::heal::Observation;
use crate::heal::observe::scene::{About, Heard, Look, Scene};

pub(super) const LOOK: Look = Look { name: "compose", about: About::Host, shell: SHELL, calls, judge };

/// The one that would be used is asked. The first version is a program of Python, which may lack what it needs though its interpreter is
/// there; where it takes too long to start, nothing is known.
const SHELL: &str = r##"
look_compose() {
  plugin=
  for folder in "$HOME/.docker" /usr/local/lib/docker /usr/local/libexec/docker /usr/lib/docker /usr/libexec/docker; do
    [ ! -x "$folder/cli-plugins/docker-compose" ] || plugin=yes
  done
  if [ -z "$plugin" ] && command -v docker-compose >/dev/null; then
    set -- docker-compose
  else
    set -- docker compose
  fi
  if told=$(bounded "$@" version 2>&1); then
    printf 'ok %s\n' "$told" | head -n 1
  else
    printf 'bad %s\n' "$(printf '%s' "$told" | tr '\n' ' ' | tail -c 200)"
  fi
}
"##;

fn is_needed(scene: &Scene<'_>) -> bool {
    scene.services.iter().any(|placed| placed.service.kind.is_docker())
}

fn calls(scene: &Scene<'_>) -> Vec<Vec<String>> {
    if is_needed(scene) { vec![vec![String::new()]] } else { Vec::new() }
}

fn judge(scene: &Scene<'_>, heard: &Heard) -> Vec<Observation> {
    let tools = &heard.seen().facts.tools;
    // That there is no docker is told by the look `docker`.
    if !is_needed(scene) || !tools.contains("docker") {
        return Vec::new();
    }
    let one = scene.of_host(&LOOK);
    if !tools.contains("compose") {
        return vec![one.with("state", "absent").bad("neither `docker compose` nor `docker-compose` is on the host")];
    }
    vec![match heard.answer(&LOOK, "").map(|text| text.split_once(' ').unwrap_or((text, ""))) {
        Err(why) => one.unseen(why),
        Ok(("ok", version)) => one.good(format!("it has {version}")),
        Ok(("bad", why)) => one.with("state", "broken").with("why", why).bad(format!("compose does not start: {why}")),
        Ok(_) => one.unseen("it is not known whether compose starts"),
    }]
}

#[cfg(test)]
mod tests {
    use super::super::tests::{says, service_of};
    use super::{LOOK, SHELL};

    fn found(text: &str) -> String {
        let docker = "type: docker, image: a, ";
        says(&service_of(docker, &LOOK, "", &[("heal/compose ", text)])).concat()
    }

    #[test]
    fn a_compose_that_does_not_start_is_told() {
        assert_eq!(found("ok Docker Compose version v2.26.1"), "good it has Docker Compose version v2.26.1");
        assert_eq!(found("bad Segmentation fault"), "bad compose does not start: Segmentation fault");
        assert!(found("").starts_with("unseen "));
        assert!(found("ok\n!late 5 docker").starts_with("unseen `docker` did not answer"));
        assert!(says(&service_of("type: native, run: [a], ", &LOOK, "", &[])).is_empty(), "nobody needs it");
    }

    /// The shell text itself, with tools of its own.
    #[test]
    #[expect(clippy::disallowed_methods, reason = "the look is tried with tools of its own")]
    fn the_one_that_would_be_used_is_asked() {
        let place = tempfile::tempdir().expect("a folder");
        let tool = |name: &str, text: &str| {
            let file = place.path().join(name);
            std::fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
            std::fs::write(&file, text).expect("written");
            std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("a mode");
        };
        let look = |more: &str| {
            let home = place.path().display();
            // What this machine has is not asked.
            let shell = SHELL.replace(" /usr", &format!(" {home}/usr"));
            let script = format!(
                "bounded() {{ \"$@\" </dev/null; }}; HOME='{home}' PATH='{home}/bin':/usr/bin:/bin\n{more}\n{shell}\nlook_compose"
            );
            let out = std::process::Command::new("/bin/sh").args(["-c", &script]).output().expect("ran").stdout;
            String::from_utf8_lossy(&out).trim().to_owned()
        };
        tool("bin/docker", "#!/bin/sh\n[ \"$1\" = compose ] && echo broken pipe >&2 && exit 1\n");
        tool("bin/docker-compose", "#!/no/python3 -s\n");
        assert!(look("").starts_with("bad ") && look("").contains("not found"), "{}", look(""));
        // Its interpreter is there, and a module of its is not.
        tool(
            "bin/docker-compose",
            "#!/usr/bin/env sh\necho \"ModuleNotFoundError: No module named 'six'\" >&2; exit 1\n",
        );
        assert_eq!(look(""), "bad ModuleNotFoundError: No module named 'six'");
        tool("bin/docker-compose", "#!/bin/sh\necho docker-compose version 1.29.2, build unknown\n");
        assert_eq!(look(""), "ok docker-compose version 1.29.2, build unknown");
        tool(".docker/cli-plugins/docker-compose", "");
        assert_eq!(look(""), "bad broken pipe");
        tool("bin/docker", "#!/bin/sh\necho Docker Compose version v2.26.1\n");
        assert_eq!(look(""), "ok Docker Compose version v2.26.1");
    }
}
