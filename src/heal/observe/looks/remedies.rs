//! remedies: what was done on the host to heal, by whom ever, as far back as it keeps its runs. It is no fault; who heals counts it.

use crate::heal::Observation;
use crate::heal::observe::scene::{About, Heard, Look, Scene, once};

pub(super) const LOOK: Look = Look { name: "remedies", about: About::Host, shell: SHELL, calls: once, judge };

/// A line for each: the run, how it ended, and what it was a remedy for.
const SHELL: &str = r#"
look_remedies() {
  cd "$base/runs" || return
  for one in */remedy; do
    [ -r "$one" ] || continue
    at=${one%/remedy} state=stopped line=
    IFS= read -r line <"$one"
    if [ -e "$at/end" ]; then read -r state ended <"$at/end"; elif lives "$at/runner"; then state=lives; fi
    printf '%s %s %s\n' "$at" "$state" "$line"
  done
}
"#;

fn judge(scene: &Scene<'_>, heard: &Heard) -> Vec<Observation> {
    let one = scene.of_host(&LOOK);
    vec![match heard.answer(&LOOK, "") {
        Ok(text) => {
            let lines: Vec<String> = text.lines().map(str::to_owned).collect();
            let says = format!("{} remedies are remembered on the host", lines.len());
            one.saying(lines).good(says)
        }
        Err(why) => one.unseen(why),
    }]
}
