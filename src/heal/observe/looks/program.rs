//! program: whether what a unit starts is there, may be executed, and has its interpreter.

use crate::heal::Observation;
use crate::heal::observe::scene::{About, Heard, Look, Placed, Scene};
use crate::registry::{Kind, Native};

pub(super) const LOOK: Look = Look { name: "program", about: About::Service, shell: SHELL, calls, judge };

const SHELL: &str = r##"
look_program() { # SERVICE PROGRAM
  cd "$base/services/$1/current" || return
  case $2 in
    */*) program=$2 ;;
    *) program=$(command -v "$2") || { printf 'missing %s\n' "$2"; return; } ;;
  esac
  if [ ! -e "$program" ]; then printf 'missing %s\n' "$program"; return; fi
  if [ -d "$program" ]; then printf 'folder %s\n' "$program"; return; fi
  if [ ! -x "$program" ]; then
    mode=$(ls -ld -- "$program")
    printf 'not-executable %s %s\n' "${mode%% *}" "$program"
    return
  fi
  read -r first rest <"$program"
  case $first in
    '#!') first=$rest ;;
    '#!'*) first=${first#??} ;;
    *) first= ;;
  esac
  first=${first%% *}
  if [ -n "$first" ] && [ ! -x "$first" ]; then printf 'interpreter %s\n' "$first"; return; fi
  printf 'ok %s\n' "$program"
}
"##;

fn calls(scene: &Scene<'_>) -> Vec<Vec<String>> {
    scene.services.iter().filter_map(|placed| Some(vec![name(placed), name(placed), program(placed)?])).collect()
}

fn name(placed: &Placed<'_>) -> String {
    placed.service.name.to_string()
}

/// The program that the registry names, where it is known before the release is.
fn program(placed: &Placed<'_>) -> Option<String> {
    let Kind::Native(Native::Run { words }) = &placed.service.kind else { return None };
    words.first().filter(|word| !word.contains('$')).cloned()
}

fn judge(scene: &Scene<'_>, heard: &Heard) -> Vec<Observation> {
    let mut found = Vec::new();
    for placed in scene.services.iter().filter(|placed| program(placed).is_some()) {
        if heard.service(placed).is_none_or(|there| there.readable().is_none()) {
            continue;
        }
        let one = scene.of(&LOOK, placed);
        let answer = heard.answer(&LOOK, placed.service.name.as_str());
        found.push(match answer.map(|text| text.split_once(' ').unwrap_or((text, ""))) {
            Err(why) => one.unseen(why),
            Ok(("ok", path)) => one.with("path", path).good(format!("{path} can be executed")),
            Ok((state, path)) => {
                let (mode, path) = path.split_once(' ').filter(|_| state == "not-executable").unwrap_or(("", path));
                let one = one.with("state", state).with("path", path).with("mode", mode);
                match state {
                    "missing" => one.bad(format!("{path} is missing")),
                    "folder" => one.bad(format!("{path} is a folder")),
                    "not-executable" => one.bad(format!("{path} may not be executed")),
                    "interpreter" => one.bad(format!("the interpreter {path} is missing")),
                    _ => one.unseen("the release's folder cannot be entered"),
                }
            }
        });
    }
    found
}
