//! load: whether far more wants to run than the processors can, for minutes.

use crate::heal::Observation;
use crate::heal::observe::scene::{About, Heard, Look, Scene, once};

pub(super) const LOOK: Look = Look { name: "load", about: About::Host, shell: SHELL, calls: once, judge };

const SHELL: &str = r#"
look_load() {
  cpus=$(getconf _NPROCESSORS_ONLN || grep -c ^processor /proc/cpuinfo || sysctl -n hw.ncpu)
  if [ -r /proc/loadavg ]; then read -r one five fifteen rest </proc/loadavg
  else
    five=$(bounded uptime) five=${five##*averages: } five=${five#* } five=${five%% *}
  fi
  printf '%s %s\n' "$five" "$cpus"
}
"#;

/// So many times its processors a host may be asked for; services suffer, and still answer.
const MOST: f64 = 16.0;

fn judge(scene: &Scene<'_>, heard: &Heard) -> Vec<Observation> {
    let text = match heard.answer(&LOOK, "") {
        Ok(text) => text,
        Err(why) => return vec![scene.of_host(&LOOK).unseen(why)],
    };
    let numbers =
        text.split_once(' ').and_then(|(load, cpus)| Some((load.parse::<f64>().ok()?, cpus.parse::<f64>().ok()?)));
    let Some((load, cpus)) = numbers.filter(|(_, cpus)| *cpus >= 1.0) else {
        return vec![scene.of_host(&LOOK).unseen("the load or the number of processors cannot be read")];
    };
    let says = format!("a load of {load} in five minutes, on {cpus} processors");
    vec![scene.of_host(&LOOK).with("load", load).with("processors", cpus).judged(load < MOST * cpus, says)]
}

#[cfg(test)]
mod tests {
    use super::super::tests::{host_look, says};
    use super::LOOK;

    #[test]
    fn load_is_judged_by_the_processors() {
        let found = |text: &str| says(&host_look(&LOOK, &[("heal/load ", text)]));
        assert_eq!(found("40.00 4"), ["good a load of 40 in five minutes, on 4 processors"]);
        assert_eq!(found("40.00 2"), ["bad a load of 40 in five minutes, on 2 processors"]);
        assert_eq!(found(" 2"), ["unseen the load or the number of processors cannot be read"]);
    }
}
