//! oom: whether the kernel killed something in the last hour because the host as a whole ran out of memory.

use crate::heal::Observation;
use crate::heal::observe::scene::{About, Heard, Look, Scene, once};

pub(super) const LOOK: Look = Look { name: "oom", about: About::Host, shell: SHELL, calls: once, judge };

/// Where the kernel counts no kill since its start, there is nothing to read. Its log may be closed to the login user: then it says
/// nothing at all, and the count is all that is known.
const SHELL: &str = r#"
look_oom() {
  kills=$(grep '^oom_kill ' /proc/vmstat) kills=${kills#* }
  [ "$kills" != 0 ] || return 0
  if [ "$init" = systemd ] && command -v journalctl >/dev/null; then
    log=$(bounded journalctl -k -q --no-pager -o cat --since=-1h -n 2000)
    if [ -n "$log" ]; then
      printf '%s\n' "$log" | grep -E 'oom-kill:|Out of memory:'
      return 0
    fi
    [ -z "$(bounded journalctl -k -q --no-pager -o cat -n 1)" ] || return 0
  fi
  # Without a journal the kernel only counts time, and from its start.
  log=$(bounded dmesg)
  if [ -n "$log" ] && read -r up rest </proc/uptime; then
    printf '%s\n' "$log" | while IFS='] ' read -r stamp rest; do
      stamp=${stamp#[} stamp=${stamp##* } stamp=${stamp%%.*}
      case $stamp in ''|*[!0-9]*) continue ;; esac
      [ "$stamp" -gt "$((${up%%.*} - 3600))" ] || continue
      case $rest in *oom-kill:*|*'Out of memory:'*) printf '%s\n' "$rest" ;; esac
    done
  elif [ -n "$kills" ]; then printf 'killed %s\n' "$kills"
  else lacks 'kernel log that this user may read'; fi
  :
}
"#;

fn judge(scene: &Scene<'_>, heard: &Heard) -> Vec<Observation> {
    let text = match heard.answer(&LOOK, "") {
        Ok(text) => text,
        Err(why) => return vec![scene.of_host(&LOOK).unseen(why)],
    };
    if let Some(count) = text.strip_prefix("killed ") {
        let says = format!(
            "the kernel killed {count} processes for want of memory since it started; when and which is in its log, which this user \
             may not read"
        );
        return vec![scene.of_host(&LOOK).unseen(says)];
    }
    // A control group that reached its own limit is the matter of that group.
    let global = |line: &&str| line.contains("constraint=CONSTRAINT_NONE") || line.contains("Out of memory:");
    let lines: Vec<String> = text.lines().filter(global).map(str::to_owned).collect();
    let says = if lines.is_empty() {
        "the kernel killed nothing for want of memory"
    } else {
        "the kernel killed processes, as memory ran out"
    };
    // Each is told twice, mostly: with its control group, and with its name.
    let names: Vec<&str> =
        lines.iter().filter_map(|line| line.split_once("Out of memory: ")?.1.split(['(', ')']).nth(1)).collect();
    let tasks = || lines.iter().filter_map(|line| line.split_once(",task=")?.1.split(',').next()).collect();
    let names: Vec<&str> = if names.is_empty() { tasks() } else { names };
    let (kills, killed) = (if names.is_empty() { lines.len() } else { names.len() }, names.join(", "));
    let killed = if killed.is_empty() { "its log names none".to_owned() } else { killed };
    let one = scene.of_host(&LOOK).with("kills", kills).with("killed", killed);
    vec![one.judged(lines.is_empty(), says).saying(lines)]
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

    /// The shell text itself, on a host whose kernel log is closed.
    #[test]
    #[expect(clippy::disallowed_methods, reason = "the look is tried with tools of its own")]
    fn a_closed_log_is_not_a_good_one() {
        let place = tempfile::tempdir().expect("a folder");
        let tool = |name: &str, text: &str| {
            let file = place.path().join(name);
            std::fs::write(&file, format!("#!/bin/sh\n{text}\n")).expect("written");
            std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("a mode");
        };
        let path = format!("{}:{}", place.path().display(), std::env::var("PATH").unwrap_or_default());
        let look = || {
            let script = format!(
                "lacks() {{ echo \"!lacks $1\"; }}; bounded() {{ \"$@\"; }}; init=systemd\n{}\nlook_oom",
                super::SHELL
            );
            let out = std::process::Command::new("/bin/sh").args(["-c", &script]).env("PATH", &path).output();
            says(&host_look(&LOOK, &[("heal/oom ", &String::from_utf8_lossy(&out.expect("ran").stdout))])).remove(0)
        };
        tool("grep", "case $* in *vmstat) echo 'oom_kill 3' ;; *) exec /bin/grep \"$@\" ;; esac");
        for closed in ["journalctl", "dmesg"] {
            tool(closed, "exit 1");
        }
        assert!(look().starts_with("unseen the kernel killed 3 processes"), "{}", look());
        tool("journalctl", "case $* in *since*) ;; *) echo 'usb 1-1: new device' ;; esac");
        assert_eq!(look(), "good the kernel killed nothing for want of memory", "it is open, and said nothing lately");
        tool("journalctl", "echo 'Out of memory: Killed process 812 (x)'");
        assert_eq!(look(), "bad the kernel killed processes, as memory ran out");
        tool("journalctl", "exit 1");
        tool("grep", "case $* in *vmstat) echo 'oom_kill 0' ;; *) exec /bin/grep \"$@\" ;; esac");
        assert_eq!(look(), "good the kernel killed nothing for want of memory", "the kernel counts none");
    }
}
