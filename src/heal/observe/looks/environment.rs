//! environment: whether a service is given every variable that the registry names for it. Values are never fetched.

use std::collections::BTreeSet;

use crate::heal::Observation;
use crate::heal::observe::scene::{About, Heard, Look, Scene, each};
use crate::registry::{Kind, Native};

pub(super) const LOOK: Look = Look { name: "environment", about: About::Service, shell: SHELL, calls: each, judge };

const SHELL: &str = r#"
look_environment() { # SERVICE
  for one in "$base/services/$1/current/.portoser/env."*; do
    [ -e "$one" ] || { echo '?none'; return; }
    [ -r "$one" ] || { echo '?closed'; return; }
    while IFS= read -r line; do
      case $line in [A-Za-z_]*=*) printf '%s\n' "${line%%=*}" ;; esac
    done <"$one"
  done
}
"#;

fn judge(scene: &Scene<'_>, heard: &Heard) -> Vec<Observation> {
    let mut found = Vec::new();
    for placed in &scene.services {
        let own = matches!(&placed.service.kind, Kind::Native(Native::Run { .. }) | Kind::Python(_));
        if !own || heard.service(placed).is_none_or(|there| there.readable().is_none()) {
            continue;
        }
        let one = scene.of(&LOOK, placed);
        let text = match heard.answer(&LOOK, placed.service.name.as_str()) {
            Ok("?closed") => {
                found.push(one.unseen("its environment file cannot be read as this user"));
                continue;
            }
            Ok(text) => text,
            Err(why) => {
                found.push(one.unseen(why));
                continue;
            }
        };
        let given: BTreeSet<&str> = text.lines().map(|line| line.trim_start_matches("export ")).collect();
        let wanted = placed.service.env.keys().chain(scene.host.env.keys());
        let lacking: Vec<&str> = wanted.map(String::as_str).filter(|name| !given.contains(name)).collect();
        found.push(match lacking.first() {
            None => one.good("it is given every variable of the registry"),
            Some(_) if text == "?none" => one.with("state", "gone").bad("its environment file is gone"),
            Some(first) => {
                let says = format!("it is not given {}, which the registry names", lacking.join(", "));
                one.with("state", "lacking").with("variable", first).bad(says)
            }
        });
    }
    found
}

#[cfg(test)]
mod tests {
    use super::LOOK;
    use crate::heal::observe::looks::tests::{says, service_of, service_told};

    #[test]
    fn a_variable_that_is_not_given_is_told() {
        let source = tempfile::tempdir().expect("a folder");
        std::fs::write(source.path().join("requirements.txt"), "").expect("a lock");
        let python = format!("type: python, run: [a], source: '{}', ", source.path().display());
        let found = |kind: &str, text: &str| {
            let parts = [("heal/environment api", text)];
            let more = "env: { TOKEN: a, PORT: b }";
            says(&match kind {
                "" => service_told(&LOOK, more, 0, &[], &parts),
                kind => service_of(kind, &LOOK, more, &parts),
            })
            .concat()
        };
        for kind in ["", &python] {
            assert_eq!(found(kind, "TOKEN\nPORT\nMORE"), "good it is given every variable of the registry");
            assert_eq!(found(kind, "PORT"), "bad it is not given TOKEN, which the registry names");
            assert_eq!(found(kind, "?none"), "bad its environment file is gone");
            assert_eq!(found(kind, "?closed"), "unseen its environment file cannot be read as this user");
        }
    }
}
