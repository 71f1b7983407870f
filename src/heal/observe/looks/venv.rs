//! venv: whether the interpreter of a service's virtual environment is there and starts, and whether its packages are there.

use crate::heal::Observation;
use crate::heal::observe::scene::{About, Heard, Look, Placed, Scene};
use crate::host::SeenService;
use crate::registry::Kind;

pub(super) const LOOK: Look = Look { name: "venv", about: About::Service, shell: SHELL, calls, judge };

const SHELL: &str = r#"
look_venv() { # SERVICE
  for one in "$base/services/$1/venvs"/*/; do
    one=${one%/} state=ok
    if [ ! -x "$one/bin/python" ]; then state=gone
    elif ! bounded "$one/bin/python" -I -c pass; then state=broken
    elif lacks_of "$one"; then state="lacking $gone"; fi
    printf '%s %s\n' "${one##*/}" "$state"
  done
}
"#;

fn is_python(placed: &&Placed<'_>) -> bool {
    matches!(placed.service.kind, Kind::Python(_))
}

fn calls(scene: &Scene<'_>) -> Vec<Vec<String>> {
    let name = |placed: &Placed<'_>| placed.service.name.to_string();
    scene.services.iter().filter(is_python).map(|placed| vec![name(placed), name(placed)]).collect()
}

fn judge(scene: &Scene<'_>, heard: &Heard) -> Vec<Observation> {
    let mut found = Vec::new();
    for placed in scene.services.iter().filter(is_python) {
        let record = heard.service(placed).and_then(SeenService::readable);
        let Some(venv) = record.and_then(|record| record.venv.as_ref()) else { continue };
        let one = scene.of(&LOOK, placed);
        let answer = heard.answer(&LOOK, placed.service.name.as_str());
        let state =
            answer.map(|text| text.lines().find_map(|line| line.strip_prefix(venv.id.as_str())?.strip_prefix(' ')));
        found.push(match state {
            Err(why) => one.unseen(why),
            Ok(Some("ok")) => one.good("the interpreter of its virtual environment starts"),
            Ok(Some("broken")) => {
                one.with("state", "broken").bad("the interpreter of its virtual environment does not start")
            }
            Ok(Some(state)) if let Some(gone) = state.strip_prefix("lacking ") => {
                let module = gone.rsplit('/').next().unwrap_or_default();
                one.with("state", "lacking")
                    .with("module", module)
                    .bad(format!("its virtual environment lacks {module}"))
            }
            Ok(Some(_)) => one.with("state", "gone").bad("the interpreter of its virtual environment is gone"),
            Ok(None) => one.with("state", "absent").bad("its virtual environment is gone"),
        });
    }
    found
}
