//! access: whether a service's user can come to its release, and owns what it writes to.

use crate::heal::Observation;
use crate::heal::observe::scene::{About, Heard, Look, Placed, Scene};

pub(super) const LOOK: Look = Look { name: "access", about: About::Service, shell: SHELL, calls, judge };

const SHELL: &str = r#"
look_access() { # SERVICE USER
  user=$(id -u -- "$2") || return
  printf 'user %s\n' "$user"
  [ "$user" != 0 ] || return
  ls -ldn / "$base" "$base/services" "$base/services/$1" "$base/services/$1/releases" "$base/services/$1/current/" "$base/services/$1/shared"
  [ ! -d "$base/services/$1/shared" ] ||
    bounded find "$base/services/$1/shared" -maxdepth 3 ! -user "$user" ! -type l -exec ls -dln {} + |
      head -n 100 | while read -r mode links owner group rest; do
        [ -z "$mode" ] || printf 'foreign %s:%s /%s\n' "$owner" "$group" "${rest#* /}"
      done
}
"#;

fn calls(scene: &Scene<'_>) -> Vec<Vec<String>> {
    let call = |placed: &Placed<'_>| {
        let name = placed.service.name.to_string();
        Some(vec![name.clone(), name, placed.service.account()?.to_owned()])
    };
    scene.services.iter().filter_map(call).collect()
}

fn judge(scene: &Scene<'_>, heard: &Heard) -> Vec<Observation> {
    let mut found = Vec::new();
    for placed in &scene.services {
        let Some(user) = placed.service.account() else { continue };
        if heard.service(placed).is_none_or(|there| there.readable().is_none()) {
            continue;
        }
        let one = scene.of(&LOOK, placed).with("user", user);
        let text = match heard.answer(&LOOK, placed.service.name.as_str()) {
            // Without such a user there is nothing to ask about; the look `user` tells it.
            Ok("") => continue,
            Ok(text) => text,
            Err(why) => {
                found.push(one.unseen(why));
                continue;
            }
        };
        let number = text.lines().find_map(|line| line.strip_prefix("user ")).unwrap_or("0");
        let closed = text.lines().filter_map(listed).find(|(path, mode, owner)| {
            !path.ends_with("/shared")
                && !mode.ends_with(['x', 't'])
                && (*owner != number || mode.get(3..4) != Some("x"))
        });
        let foreign: Vec<String> =
            text.lines().filter_map(|line| line.strip_prefix("foreign ")).map(str::to_owned).collect();
        let first = foreign.first().and_then(|line| line.split_once(' ')).map(|(_, path)| path.to_owned());
        found.push(match (closed, first) {
            (Some((path, mode, _)), _) => {
                let one = one.with("state", "closed").with("path", path).with("mode", mode);
                one.bad(format!("{path} is closed to {user}: its mode is {mode}"))
            }
            (None, Some(path)) => {
                let one = one.with("state", "foreign").with("path", &path).saying(foreign);
                one.bad(format!("{path} does not belong to {user}"))
            }
            (None, None) => one.good(format!("{user} can come to the release, and owns the shared folder")),
        });
    }
    found
}

/// Path, mode and owner's number of a line of `ls -ldn`.
fn listed(line: &str) -> Option<(&str, &str, &str)> {
    let mode = line.split_whitespace().next().filter(|mode| mode.starts_with('d'))?;
    let (_, path) = line.split_once(" /")?;
    let start = line.len() - path.len() - 1;
    Some((line[start..].trim_end_matches('/'), mode.trim_end_matches(['+', '.', '@']), line.split_whitespace().nth(2)?))
}

#[cfg(test)]
mod tests {
    use super::listed;

    #[test]
    fn a_line_of_ls_is_read() {
        let line = "drwxr-x--- 3 1001 1001 4096 Nov 21 12:00 /opt/a b/services/";
        assert_eq!(listed(line), Some(("/opt/a b/services", "drwxr-x---", "1001")));
        assert_eq!(listed("user 12"), None);
    }
}
