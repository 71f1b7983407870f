//! docker: whether the daemon answers, on a host that starts it or has services in containers.

use crate::heal::Observation;
use crate::heal::observe::scene::{About, Heard, Look, Scene, once};

pub(super) const LOOK: Look = Look { name: "docker", about: About::Host, shell: SHELL, calls: once, judge };

const SHELL: &str = r#"
look_docker() {
  command -v docker >/dev/null || return
  wanted=unknown
  if [ "$init" = systemd ]; then wanted=$(bounded systemctl is-enabled docker.service); fi
  printf '%s\n' "$wanted"
  # Who told of its containers answers.
  if [ -n "$answers" ]; then echo answers; else bounded docker version --format '{{.Server.Version}}' 2>&1; fi
  :
}
"#;

fn judge(scene: &Scene<'_>, heard: &Heard) -> Vec<Observation> {
    let needed = scene.services.iter().any(|placed| placed.service.kind.is_docker());
    if !heard.seen().facts.tools.contains("docker") {
        let one = scene.of_host(&LOOK).with("enabled", "absent");
        return if needed { vec![one.bad("docker is not on the host")] } else { Vec::new() };
    }
    let text = match heard.answer(&LOOK, "") {
        Ok(text) => text,
        Err(why) => return vec![scene.of_host(&LOOK).unseen(why)],
    };
    let (wanted, says) = text.split_once('\n').unwrap_or((text, ""));
    let last = says.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default().trim();
    let one = scene.of_host(&LOOK).with("enabled", wanted);
    if last == "answers" {
        return vec![one.good("the docker daemon answers")];
    }
    if last.starts_with(|c: char| c.is_ascii_digit()) {
        return vec![one.good(format!("the docker daemon {last} answers"))];
    }
    // A client without a daemon that anybody starts is no fault of the host.
    if wanted != "enabled" && !needed {
        return Vec::new();
    }
    let denied = last.contains("permission denied");
    vec![if denied {
        one.unseen("the login user may not ask the docker daemon")
    } else {
        one.bad(format!("the docker daemon does not answer: {last}"))
    }]
}

#[cfg(test)]
mod tests {
    use super::super::tests::{host_look, says};
    use super::LOOK;

    #[test]
    fn a_daemon_that_nobody_starts_is_not_missed() {
        let found = |text: &str| says(&host_look(&LOOK, &[("heal/docker ", text)]));
        assert_eq!(found("enabled\n26.1.5"), ["good the docker daemon 26.1.5 answers"]);
        let dead = "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?";
        assert_eq!(found(&format!("enabled\n{dead}")), [format!("bad the docker daemon does not answer: {dead}")]);
        assert!(found(&format!("masked\n{dead}")).is_empty());
    }
}
