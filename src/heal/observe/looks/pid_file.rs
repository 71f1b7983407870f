//! pid_file: whether a pid file in a service's shared folder names a process that is gone, or one that is not the service's. Some
//! programs do not start then, as they believe that they run already. Containers have numbers of their own.

use crate::heal::Observation;
use crate::heal::observe::scene::{About, Heard, Look, Placed, Scene};

pub(super) const LOOK: Look = Look { name: "pid_file", about: About::Service, shell: SHELL, calls, judge };

const SHELL: &str = r#"
look_pid_file() { # SERVICE UNIT...
  [ -d /proc/self ] || { lacks /proc; return; }
  [ -d "$base/services/$1/shared" ] || return
  folder=$base/services/$1/shared
  shift
  bounded find "$folder" -maxdepth 2 -type f -name '*.pid' -size -2 | head -n 20 | while IFS= read -r file; do
    pid=
    read -r pid rest <"$file"
    case $pid in '' | *[!0-9]*) continue ;; esac
    state=unknown
    if [ ! -d "/proc/$pid" ]; then state=gone
    else
      while IFS= read -r group; do
        for unit; do
          case $group in *"/$unit" | *"/$unit/"*) state=own ;; esac
        done
        case $group in
          *.service | *.service/* | *.scope | *.scope/*) [ "$state" = own ] || state=others ;;
        esac
      done <"/proc/$pid/cgroup"
    fi
    printf '%s %s %s\n' "$state" "$pid" "$file"
  done
}
"#;

fn calls(scene: &Scene<'_>) -> Vec<Vec<String>> {
    let call = |placed: &Placed<'_>| {
        let name = placed.service.name.to_string();
        [name.clone(), name].into_iter().chain(placed.units.iter().map(|(_, unit)| unit.clone())).collect()
    };
    scene.services.iter().filter(|placed| !placed.service.kind.is_docker()).map(call).collect()
}

fn judge(scene: &Scene<'_>, heard: &Heard) -> Vec<Observation> {
    let mut found = Vec::new();
    for placed in scene.services.iter().filter(|placed| !placed.service.kind.is_docker()) {
        if heard.service(placed).is_none_or(|there| there.readable().is_none()) {
            continue;
        }
        let one = scene.of(&LOOK, placed);
        let text = match heard.answer(&LOOK, placed.service.name.as_str()) {
            Ok(text) => text,
            Err(why) => {
                found.push(one.unseen(why));
                continue;
            }
        };
        let stale = text.lines().filter_map(|line| {
            let (state, (pid, path)) =
                line.split_once(' ').and_then(|(state, rest)| Some((state, rest.split_once(' ')?)))?;
            matches!(state, "gone" | "others").then_some((state, pid, path))
        });
        // One whose process is gone can be moved aside.
        found.push(match stale.max_by_key(|(state, ..)| *state == "gone") {
            None => one.good("no pid file of it names a process that is not its own"),
            Some((state, pid, path)) => {
                let one = one.with("state", state).with("file_pid", pid).with("path", path);
                let whose = if state == "gone" { "is gone" } else { "is not the service's" };
                one.bad(format!("{path} names process {pid}, which {whose}"))
            }
        });
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::tests::{says, service_told};
    use super::{LOOK, SHELL};
    use crate::host::look::SHELLS;

    #[test]
    fn a_pid_file_that_was_left_is_told() {
        let found = |text: &str| says(&service_told(&LOOK, "", 0, &[], &[("heal/pid_file api", text)])).concat();
        let good = "good no pid file of it names a process that is not its own";
        assert_eq!(found(""), good);
        assert_eq!(found("own 7 /s/a.pid\nunknown 8 /s/b.pid"), good);
        assert_eq!(found("others 1 /s/a b.pid"), "bad /s/a b.pid names process 1, which is not the service's");
        assert_eq!(found("gone 9 /s/a.pid\nothers 1 /s/b.pid"), "bad /s/a.pid names process 9, which is gone");
        assert_eq!(found("!lacks /proc"), "unseen the host has no /proc");
    }

    /// The shell text itself.
    #[test]
    #[expect(clippy::disallowed_methods, reason = "real shells look")]
    fn pid_files_are_found() {
        let place = tempfile::tempdir().expect("a folder");
        let shared = place.path().join("services/api/shared");
        std::fs::create_dir_all(shared.join("run/deep")).expect("a folder");
        let file = |name: &str, text: &str| std::fs::write(shared.join(name), text).expect("a file");
        file("gone.pid", "4194399\n");
        file("words.pid", "$(reboot)\n");
        file("none.pid", "");
        file("large.pid", &"1\n".repeat(2000));
        file("run/deep/far.pid", "4194399\n");
        let base = place.path().display();
        for shell in SHELLS {
            file("run/me.pid", &format!("{}\n", std::process::id()));
            let script = format!(
                "bounded() {{ \"$@\" </dev/null; }}\nbase='{base}'\n{SHELL}\nlook_pid_file api portoser-api.service | sort"
            );
            let told =
                std::process::Command::new(shell[0]).args(&shell[1..]).args(["-c", &script]).output().expect("a look");
            let text = String::from_utf8_lossy(&told.stdout).into_owned();
            let lines: Vec<&str> = text.lines().collect();
            assert_eq!(lines.len(), 2, "{shell:?}: {text}");
            assert_eq!(lines[0], format!("gone 4194399 {}", shared.join("gone.pid").display()), "{shell:?}");
            let me = format!("{} {}", std::process::id(), shared.join("run/me.pid").display());
            assert!(lines[1].ends_with(&me) && !lines[1].starts_with("gone"), "{shell:?}: {text}");
        }
    }
}
