//! init: whether systemd answers, and which units of the host failed.

use crate::heal::Observation;
use crate::heal::observe::scene::{About, Heard, Look, Scene, once};
use crate::host::Init;

pub(super) const LOOK: Look = Look { name: "init", about: About::Host, shell: SHELL, calls: once, judge };

const SHELL: &str = r#"
look_init() {
  [ "$init" = systemd ] || return
  bounded systemctl is-system-running
  bounded systemctl list-units --state=failed --no-legend --plain
  :
}
"#;

fn judge(scene: &Scene<'_>, heard: &Heard) -> Vec<Observation> {
    if heard.seen().facts.init != Init::Systemd {
        return Vec::new();
    }
    let text = match heard.answer(&LOOK, "") {
        Ok(text) => text,
        Err(why) => return vec![scene.of_host(&LOOK).unseen(why)],
    };
    let (state, failed) = text.split_once('\n').unwrap_or((text, ""));
    let failed: Vec<&str> = failed.lines().filter_map(|line| line.split_whitespace().next()).collect();
    let one = scene.of_host(&LOOK).with("state", state).with("failed", failed.join(" "));
    vec![match state {
        "" => one.unseen("systemd does not say how it stands"),
        "maintenance" | "stopping" | "offline" => one.bad(format!("systemd is in the state `{state}`")),
        // What failed of the host's own units is no matter of the services, unless one of their looks says so.
        _ if failed.is_empty() => one.good(format!("systemd is {state}")),
        _ => one.good(format!("systemd is {state}; failed: {}", failed.join(", "))),
    }]
}

#[cfg(test)]
mod tests {
    use super::super::tests::{host_look, says};
    use super::LOOK;

    #[test]
    fn a_degraded_host_is_not_bad_by_itself() {
        let found = |text: &str| says(&host_look(&LOOK, &[("heal/init ", text)]));
        assert_eq!(
            found("degraded\nfoo.service loaded failed failed Foo"),
            ["good systemd is degraded; failed: foo.service"]
        );
        assert_eq!(found("maintenance"), ["bad systemd is in the state `maintenance`"]);
        assert_eq!(found("!late 5 systemctl"), ["unseen `systemctl` did not answer within 5 s"]);
    }
}
