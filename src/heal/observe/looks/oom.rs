//! oom: whether the kernel killed something in the last hour because the host as a whole ran out of memory.

use crate::heal::Observation;
use crate::heal::observe::scene::{About, Heard, Look, Scene, once};

pub(super) const LOOK: Look = Look { name: "oom", about: About::Host, shell: SHELL, calls: once, judge };

const SHELL: &str = r#"
look_oom() {
  if [ "$init" = systemd ] && command -v journalctl >/dev/null; then
    bounded 5 journalctl -k -q --no-pager -o cat --since=-1h -n 2000 | grep -E 'oom-kill:|Out of memory:|!late'
  else
    # Without a journal the kernel only counts, and from its start.
    read -r up rest </proc/uptime || { lacks 'journal or /proc/uptime'; return; }
    dmesg | while IFS='] ' read -r stamp rest; do
      stamp=${stamp#[} stamp=${stamp##* } stamp=${stamp%%.*}
      case $stamp in ''|*[!0-9]*) continue ;; esac
      [ "$stamp" -gt "$((${up%%.*} - 3600))" ] || continue
      case $rest in *oom-kill:*|*'Out of memory:'*) printf '%s\n' "$rest" ;; esac
    done
  fi
  :
}
"#;

fn judge(scene: &Scene<'_>, heard: &Heard) -> Vec<Observation> {
    let text = match heard.answer(&LOOK, "") {
        Ok(text) => text,
        Err(why) => return vec![scene.of_host(&LOOK).unseen(why)],
    };
    // A control group that reached its own limit is the matter of that group.
    let global = |line: &&str| line.contains("constraint=CONSTRAINT_NONE") || line.contains("Out of memory:");
    let lines: Vec<String> = text.lines().filter(global).map(str::to_owned).collect();
    let says = if lines.is_empty() {
        "the kernel killed nothing for want of memory"
    } else {
        "the kernel killed processes, as memory ran out"
    };
    let good = lines.is_empty();
    vec![scene.of_host(&LOOK).with("kills", lines.len()).saying(lines).judged(good, says)]
}

#[cfg(test)]
mod tests {
    use super::super::tests::{host_look, says};
    use super::LOOK;

    #[test]
    fn a_group_that_reached_its_limit_is_not_the_hosts_matter() {
        let group = "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),task=x";
        assert_eq!(
            says(&host_look(&LOOK, &[("heal/oom ", group)])),
            ["good the kernel killed nothing for want of memory"]
        );
        let host = "oom-kill:constraint=CONSTRAINT_NONE,task=x\nOut of memory: Killed process 812 (x)";
        assert_eq!(
            says(&host_look(&LOOK, &[("heal/oom ", host)])),
            ["bad the kernel killed processes, as memory ran out"]
        );
    }
}
