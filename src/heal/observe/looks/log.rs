//! log: the last lines of a service, and apart from them the last words of what ended. Lines alone are neither good nor bad;
//! playbooks read them. Clients have a hand in what a service says while it serves; what it says as it ends is its own.

use crate::heal::Observation;
use crate::heal::observe::looks::restarts::loops;
use crate::heal::observe::scene::{About, Heard, Instance, Look, Placed, Scene};
use crate::host::SeenUnit;
use crate::model::Scope;

pub(super) const LOOK: Look = Look { name: "log", about: About::Service, shell: SHELL, calls, judge };

/// Before the lines of each unit stands a line of its own: what nobody prints, and its name (of a container, since when it runs).
const HEAD: char = '\u{1e}';

/// So many lines before its end are the last words of what ended; those of a stack, which are indented, and systemd's do not count.
const LAST: usize = 12;

/// The lines of the unit's last life, systemd's words about it included; where it lived more than once lately, those of the
/// last two minutes, as the newest life may have said nothing yet.
const SHELL: &str = r#"
own_lines() { cut -c 1-500 | tr -d '\036'; } # what stands before the lines of a unit is never a service's own word
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
      printf '\036%s\n' "$from"
      bounded docker logs --since "$from" "$one" 2>&1 | tail -n 40 | own_lines
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
      printf '\036%s\n' "$unit"
      # With a time, older journalctl takes `-n` for the first lines.
      bounded journalctl $from -q --no-pager -o cat "$@" | tail -n 80 | own_lines
    done
  else
    for one in "$base/services/$name"/process/*/log; do
      [ -r "$one" ] || continue
      own=${one%/log}
      printf '\036%s\n' "${own##*/}"
      tail -n 40 "$one" | own_lines
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
    let told = |placed: &Placed<'_>| match heard.answer(&LOOK, placed.service.name.as_str()) {
        Ok(text) => told(scene, heard, placed, text),
        Err(why) => vec![scene.of(&LOOK, placed).unseen(why)],
    };
    scene.services.iter().filter(there).flat_map(told).collect()
}

/// All lines, and the last words of each unit that ended.
fn told(scene: &Scene<'_>, heard: &Heard, placed: &Placed<'_>, text: &str) -> Vec<Observation> {
    let owned = |lines: &[&str]| -> Vec<String> { lines.iter().map(|line| (*line).to_owned()).collect() };
    let (mut all, mut ends) = (Vec::new(), Vec::new());
    for part in text.split(HEAD).filter(|part| !part.is_empty()) {
        let (name, rest) = part.split_once('\n').unwrap_or((part, ""));
        let lines: Vec<&str> = rest.lines().filter(|line| !line.trim().is_empty()).collect();
        let lines = series(&lines);
        all.extend(owned(lines));
        if let Some(unit) = ended(heard, placed, name) {
            let one = scene.of(&LOOK, placed).of(&unit).with("part", "end").saying(owned(ending(lines)));
            ends.push(one.good(format!("the last words of {unit}")));
        }
    }
    let says = format!("{} lines of its last life", all.len());
    let part = if ends.is_empty() { "live" } else { "past" };
    let whole = scene.of(&LOOK, placed).with("part", part).saying(all).good(says);
    std::iter::once(whole).chain(ends).collect()
}

/// The name of the unit whose lines these are, if it does not run, or ends again and again.
fn ended(heard: &Heard, placed: &Placed<'_>, name: &str) -> Option<String> {
    let uptime = heard.seen().facts.uptime;
    let of = |one: &Instance<'_>| {
        let container = heard.seen().containers.get(&one.name).into_iter().flatten().find(|own| own.started_at == name);
        // A process without an init system has the service's name before its own.
        let named = one.name.rsplit(' ').next() == Some(name);
        let down = |unit: &SeenUnit| !unit.runs() && container.is_none_or(|own| own.state != "running");
        (named || container.is_some()) && one.unit.is_some_and(|unit| down(unit) || loops(unit, uptime))
    };
    heard.instances(placed).into_iter().find(of).map(|one| one.name)
}

/// The last words before the end; where systemd says that it ended, also what came late.
fn ending<'a>(lines: &'a [&'a str]) -> &'a [&'a str] {
    let begins = |line: &&str| line.starts_with("Starting ") || line.starts_with("Started ");
    let ends = |line: &&str| {
        [": Main process exited, code=", ": Control process exited, code="].iter().any(|end| line.contains(end))
    };
    let exit = lines.iter().rposition(ends);
    let next = exit.and_then(|exit| lines[exit..].iter().position(begins).map(|next| exit + next));
    let stop = next.unwrap_or(lines.len());
    let (mut from, mut left) = (stop, LAST);
    while from > 0 && left > 0 {
        let line = &lines[from - 1];
        if begins(line) || (ends(line) && exit != Some(from - 1)) {
            break;
        }
        let counts = !line.starts_with([' ', '\t']) && !line.contains(".service: ") && !line.starts_with("Stopped ");
        left -= usize::from(counts);
        from -= 1;
    }
    &lines[from..stop]
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
    use super::{ending, series};

    #[test]
    fn last_words_are_those_before_the_end() {
        let hostile = "SyntaxError: Unexpected token } in JSON at position 3";
        let served = ["served"; 12];
        let lines = [
            &["Started a.service.", hostile],
            &served[..],
            &["a.service: Main process exited, code=exited, status=1/FAILURE"],
        ];
        assert_eq!(ending(&lines.concat()).len(), 13, "what a client wrote long before is not of its end");
        let lines = [
            "Started a.service.",
            "first",
            "a.service: Main process exited, code=exited, status=1/FAILURE",
            "a.service: Scheduled restart job, restart counter is at 1.",
            "Started a.service.",
            "Traceback (most recent call last):",
            "  File \"a.py\", line 1",
            "a.service: Main process exited, code=exited, status=1/FAILURE",
            "SyntaxError: it came late",
            "Started a.service.",
            "its new life",
        ];
        assert_eq!(ending(&lines), &lines[5..9]);
        assert_eq!(ending(&lines[..2]), &lines[1..2], "nobody says that it ended");
        assert_eq!(ending(&[]), &[] as &[&str]);
    }

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
