//! log: the last lines of a service that is not well. Lines alone are neither good nor bad; playbooks read them.

use crate::heal::Observation;
use crate::heal::observe::scene::{About, Heard, Look, Placed, Scene};
use crate::model::Scope;

pub(super) const LOOK: Look = Look { name: "log", about: About::Service, shell: SHELL, calls, judge };

/// The lines of the unit's last life, systemd's words about it included; where it lived more than once lately, those of the
/// last two minutes, as the newest life may have said nothing yet.
const SHELL: &str = r#"
look_log() { # SERVICE SCOPE UNIT...
  name=$1 scope=$2; shift 2
  if [ "$scope" = compose ]; then
    command -v docker >/dev/null || { lacks docker; return; }
    # Docker was asked of its containers before, and each question costs its time.
    [ -n "$lived" ] || { echo '!failed docker: it did not tell of its containers'; return; }
    most=8 record=
    IFS= read -r record <"$base/services/$name/current/.portoser/release.json"
    own=${record#*'{"name":"'}
    while read -r one from project; do
      [ "$project" = "\"${own%%/*}\"" ] && [ "$most" -gt 0 ] || continue
      most=$((most - 1))
      bounded docker logs --since "$from" "$one" 2>&1 | tail -n 40 | cut -c 1-500
    done <<END
$lives
END
    return
  fi
  if [ "$init" = systemd ]; then
    command -v journalctl >/dev/null || { lacks journalctl; return; }
    for unit; do
      id= again=0 state=
      while IFS='=' read -r key value; do
        case $key in InvocationID) id=$value ;; NRestarts) again=$value ;; esac
      done <<END
$(bounded systemctl --"$scope" show -p InvocationID,NRestarts -- "$unit")
END
      by=_SYSTEMD_INVOCATION_ID of=INVOCATION_ID from=
      if [ "$scope" = user ]; then of=USER_INVOCATION_ID from=--user; fi
      if [ "$again" -gt 0 ]; then
        if [ "$scope" = user ]; then set -- --user-unit="$unit"; else set -- --unit="$unit"; fi
        set -- "$@" --since=-2min
      elif [ -n "$id" ]; then set -- "$by=$id" + "$of=$id"
      else continue; fi
      # With a time, older journalctl takes `-n` for the first lines.
      bounded journalctl $from -q --no-pager -o cat "$@" | tail -n 80 | cut -c 1-500
    done
  else
    for one in "$base/services/$name"/process/*/log; do
      [ ! -r "$one" ] || tail -n 40 "$one" | cut -c 1-500
    done
  fi
}
"#;

fn calls(scene: &Scene<'_>) -> Vec<Vec<String>> {
    let call = |placed: &Placed<'_>| {
        let name = placed.service.name.to_string();
        let scope = placed.units.first().map_or(Scope::System, |unit| unit.0);
        let scope = if scope == Scope::User { "user" } else { "system" };
        let scope = if placed.service.kind.is_docker() { "compose" } else { scope };
        let mut words = vec![name.clone(), name, scope.to_owned()];
        words.extend(placed.units.iter().map(|unit| unit.1.clone()));
        words
    };
    scene.services.iter().map(call).collect()
}

fn judge(scene: &Scene<'_>, heard: &Heard) -> Vec<Observation> {
    let there = |placed: &&Placed<'_>| heard.service(placed).is_some_and(|there| there.readable().is_some());
    let one = |placed: &Placed<'_>| {
        let one = scene.of(&LOOK, placed);
        match heard.answer(&LOOK, placed.service.name.as_str()) {
            Ok(text) => {
                let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
                let lines: Vec<String> = series(&lines).iter().map(|line| (*line).to_owned()).collect();
                let says = format!("{} lines of its last life", lines.len());
                one.saying(lines).good(says)
            }
            Err(why) => one.unseen(why),
        }
    };
    scene.services.iter().filter(there).map(one).collect()
}

/// The lines from where the present series of restarts began. What was said before somebody last started the unit is another
/// story, and may be mended.
fn series<'a>(lines: &'a [&'a str]) -> &'a [&'a str] {
    let first = lines.iter().rposition(|line| line.ends_with("Scheduled restart job, restart counter is at 1."));
    let begins = |line: &&str| line.starts_with("Starting ") || line.starts_with("Started ");
    let start = first.and_then(|first| {
        let started = lines[..first].iter().rposition(begins)?;
        // A unit of some types says both that it is starting and that it started, with lines of its own between.
        let mut from = started;
        while from > 0 && lines[started].starts_with("Started ") && !lines[from].starts_with("Starting ") {
            from -= 1;
        }
        Some(if lines[from].starts_with("Starting ") { from } else { started })
    });
    &lines[start.unwrap_or_default()..]
}

#[cfg(test)]
mod tests {
    use super::series;

    #[test]
    fn what_was_said_before_the_last_start_is_left_out() {
        let lines = [
            "Starting a.service...",
            "old trouble",
            "a.service: Scheduled restart job, restart counter is at 1.",
            "Stopped a.service.",
            "Starting a.service...",
            "Started a.service.",
            "new trouble",
            "a.service: Main process exited",
            "a.service: Scheduled restart job, restart counter is at 1.",
            "Starting a.service...",
            "new trouble",
            "a.service: Scheduled restart job, restart counter is at 2.",
        ];
        assert_eq!(series(&lines)[..3], ["Starting a.service...", "Started a.service.", "new trouble"]);
        assert_eq!(series(&lines[..2]), &lines[..2]);
        assert_eq!(series(&[]), &[] as &[&str]);
    }
}
