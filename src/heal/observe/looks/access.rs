//! access: whether a service's user can come to its release, and owns what it writes to.

use crate::heal::Observation;
use crate::heal::observe::scene::{About, Heard, Look, Placed, Scene};

pub(super) const LOOK: Look = Look { name: "access", about: About::Service, shell: SHELL, calls, judge };

const SHELL: &str = r#"
look_access() { # SERVICE USER
  user=$(id -u -- "$2") || return
  printf 'user %s\n' "$user"
  printf 'groups %s\n' "$(id -G -- "$2")"
  [ "$user" != 0 ] || return
  # The release by its own name: a remedy goes through no link.
  own=$(cd -P -- "$base/services/$1/current" && printf %s "${PWD##*/}")
  ls -ldn / "$base" "$base/services" "$base/services/$1" "$base/services/$1/releases" "$base/services/$1/releases/$own" "$base/services/$1/shared"
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
        let closed = closed(text);
        let foreign: Vec<String> =
            text.lines().filter_map(|line| line.strip_prefix("foreign ")).map(str::to_owned).collect();
        let first = foreign.first().and_then(|line| line.split_once(' ')).map(|(_, path)| path.to_owned());
        found.push(match (closed, first) {
            (Some((path, mode)), _) if mode.ends_with('+') => {
                one.unseen(format!("whether {path} is open to {user} is ruled by its access list"))
            }
            (Some((path, mode)), _) => {
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

/// The folder on the way that the user may not enter, and its mode. The kernel asks for one kind of rights only: the owner's of the
/// owner, the group's of who is in it, else the others'.
fn closed(text: &str) -> Option<(&str, &str)> {
    let told = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default();
    let (number, groups) = (told("user "), told("groups "));
    let enters = |mode: &str, at: usize| matches!(mode.get(at..=at), Some("x" | "s" | "t"));
    let closed = |[path, mode, owner, group]: &[&str; 4]| {
        let own = *owner == number;
        let at = if own {
            3
        } else if groups.split(' ').any(|one| one == *group) {
            6
        } else {
            9
        };
        // Which groups it has may be unknown.
        let open = enters(mode, at) || (groups.is_empty() && !own && enters(mode, 6));
        !path.ends_with("/shared") && !open
    };
    let ways: Vec<_> = text.lines().filter_map(listed).filter(closed).collect();
    // An access list may open it, but not to the owner.
    let doubt = |[_, mode, owner, _]: &&[&str; 4]| mode.ends_with('+') && *owner != number;
    let [path, mode, ..] = ways.iter().find(|way| !doubt(way)).or(ways.first())?;
    Some((path, if ways.iter().all(|way| doubt(&way)) { mode } else { mode.trim_end_matches('+') }))
}

/// Path, mode, and the numbers of owner and group of a line of `ls -ldn`.
fn listed(line: &str) -> Option<[&str; 4]> {
    let mut words = line.split_whitespace();
    let mode = words.next().filter(|mode| mode.starts_with('d'))?;
    let (owner, group) = (words.nth(1)?, words.next()?);
    let (_, path) = line.split_once(" /")?;
    let start = line.len() - path.len() - 1;
    Some([line[start..].trim_end_matches('/'), mode.trim_end_matches(['.', '@']), owner, group])
}

#[cfg(test)]
mod tests {
    use super::{LOOK, closed, listed};
    use crate::heal::observe::looks::tests::{says, service_told};

    #[test]
    fn a_line_of_ls_is_read() {
        let line = "drwxr-x--- 3 1001 1001 4096 Nov 21 12:00 /opt/a b/services/";
        assert_eq!(listed(line), Some(["/opt/a b/services", "drwxr-x---", "1001", "1001"]));
        assert_eq!(listed("user 12"), None);
    }

    #[test]
    fn who_is_in_the_group_of_a_folder_may_enter_it() {
        let way = |mode: &str, owner: u32, group: u32| {
            let text = format!("user 12\ngroups 12 27\n{mode} 3 {owner} {group} 4096 Nov 21 12:00 /opt/a/\n");
            closed(&text).map(|(_, mode)| mode.to_owned())
        };
        for open in ["drwxr-x---", "drwxr-s---", "drwx--x---+", "drwxrwxrwt", "drwxrws---."] {
            assert_eq!(way(open, 0, 27), None, "{open}");
        }
        for mode in ["drwx------", "drwxr-S---", "drwxrwxrwT"] {
            assert_eq!(way(mode, 0, 99).as_deref(), Some(mode));
        }
        assert_eq!(way("drwxr-xr-x", 0, 99), None);
        assert_eq!(way("drwx---r-x", 0, 27).as_deref(), Some("drwx---r-x"), "the others' rights are not the group's");
        assert_eq!(way("drwx------", 12, 99), None);
        assert_eq!(way("drw-rwxrwx+", 12, 27).as_deref(), Some("drw-rwxrwx"), "no list opens it to its owner");
        assert_eq!(way("drwx------+", 0, 99).as_deref(), Some("drwx------+"));
    }

    #[test]
    fn what_an_access_list_rules_is_unseen() {
        let told = |mode: &str| {
            let text = format!("user 12\ngroups 12\n{mode} 3 0 0 4096 Nov 21 12:00 /opt/a\n");
            says(&service_told(&LOOK, "user: web", 0, &[], &[("heal/access api", &text)])).concat()
        };
        assert_eq!(told("drwx--x---+"), "unseen whether /opt/a is open to web is ruled by its access list");
        assert_eq!(told("drwx--x---"), "bad /opt/a is closed to web: its mode is drwx--x---");
        assert_eq!(told("drwx--x--x"), "good web can come to the release, and owns the shared folder");
    }
}
