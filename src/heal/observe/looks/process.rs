//! process: how the main processes of services are: whether they are stopped by a signal, or dead and not yet buried.

use crate::heal::Observation;
use crate::heal::observe::scene::{About, Heard, Look, Scene, once};

pub(super) const LOOK: Look = Look { name: "process", about: About::Service, shell: SHELL, calls: once, judge };

const SHELL: &str = r#"
look_process() {
  if [ ! -d /proc/self ] && [ "$init" = launchd ]; then
    bounded ps -A -o pid= -o state= -o rss= | while read -r pid state rss; do
      printf '%s state=%s rss=%s threads= files=? most=?\n' "$pid" "${state%"${state#?}"}" "$rss"
    done
    return
  fi
  [ -d /proc/self ] || { lacks /proc; return; }
  for one in $pids; do
    case $one in [0-9]*=*) pid=${one%%=*} name=${one#*=} ;; *) name="$name $one"; continue ;; esac
    [ "$pid" != 0 ] || continue
    state= rss= threads= most= open=?
    while read -r key value rest; do
      case $key in State:) state=$value ;; VmRSS:) rss=$value ;; Threads:) threads=$value ;; esac
    done <"/proc/$pid/status"
    [ -n "$state" ] || continue
    while read -r a b c d rest; do
      case "$a $b $c" in 'Max open files') most=$d ;; esac
    done <"/proc/$pid/limits"
    if [ -r "/proc/$pid/fd" ]; then set -- "/proc/$pid/fd/"*; open=$#; fi
    printf '%s state=%s rss=%s threads=%s files=%s most=%s\n' "$pid" "$state" "$rss" "$threads" "$open" "$most"
  done
}
"#;

/// What the kernel says of a main process; none where it was not seen.
pub(super) fn facts<'h>(heard: &'h Heard, pid: u32) -> Option<impl Fn(&str) -> Option<&'h str>> {
    let text = heard.answer(&LOOK, "").ok()?;
    let line = text.lines().find(|line| line.split(' ').next() == Some(pid.to_string().as_str()))?;
    Some(move |key: &str| {
        let value = line.split(' ').find_map(|word| word.strip_prefix(key)?.strip_prefix('='))?;
        (!matches!(value, "" | "?")).then_some(value)
    })
}

fn judge(scene: &Scene<'_>, heard: &Heard) -> Vec<Observation> {
    let mut found = Vec::new();
    // Docker tells of the processes of containers.
    for placed in scene.services.iter().filter(|placed| !placed.service.kind.is_docker()) {
        for instance in heard.instances(placed) {
            let Some(unit) = instance.unit.filter(|unit| unit.runs() && unit.pid > 0) else { continue };
            let one = scene.of(&LOOK, placed).of(&instance.name).with("pid", unit.pid).with("unit", &instance.name);
            let state = facts(heard, unit.pid).and_then(|get| get("state"));
            found.push(match state {
                // It is held and let go again by whoever looks into it.
                Some("t") => one.with("state", "traced").unseen(format!("a debugger holds process {}", unit.pid)),
                Some("T") => one.with("state", "stopped").bad(format!("process {} is stopped by a signal", unit.pid)),
                Some("Z" | "X") => {
                    one.with("state", "dead").bad(format!("process {} is dead, and nobody buried it", unit.pid))
                }
                Some(_) => one.good(format!("process {} lives", unit.pid)),
                None => match heard.answer(&LOOK, "") {
                    Err(why) => one.unseen(why),
                    Ok(_) => one.unseen(format!("process {} was not seen", unit.pid)),
                },
            });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::LOOK;
    use crate::heal::observe::looks::tests::{says, service_told};

    #[test]
    fn what_a_debugger_holds_is_not_stopped() {
        let told = |state: &str| {
            let text = format!("7 state={state} rss=1 threads=1 files=1 most=2");
            says(&service_told(&LOOK, "", 0, &[], &[("heal/process ", &text)])).concat()
        };
        assert_eq!(told("S"), "good process 7 lives");
        assert_eq!(told("T"), "bad process 7 is stopped by a signal");
        assert_eq!(told("t"), "unseen a debugger holds process 7");
    }
}
