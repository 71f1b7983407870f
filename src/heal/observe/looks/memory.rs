//! memory: what the host could still give to programs, and whether there is swap left when that is little.

use crate::heal::Observation;
use crate::heal::observe::scene::{About, Heard, Look, Scene, once};

pub(super) const LOOK: Look = Look { name: "memory", about: About::Host, shell: SHELL, calls: once, judge };

const SHELL: &str = r#"
look_memory() {
  if [ -r /proc/meminfo ]; then
    while read -r key value rest; do
      case $key in MemTotal:|MemFree:|MemAvailable:|SwapTotal:|SwapFree:) printf '%s %s\n' "$key" "$value" ;; esac
    done </proc/meminfo
  elif command -v memory_pressure >/dev/null; then # macOS
    bounded memory_pressure -Q
  else lacks /proc/meminfo; fi
}
"#;

fn judge(scene: &Scene<'_>, heard: &Heard) -> Vec<Observation> {
    let text = match heard.answer(&LOOK, "") {
        Ok(text) => text,
        Err(why) => return vec![scene.of_host(&LOOK).unseen(why)],
    };
    let get = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)?.trim().parse::<u64>().ok());
    let mac =
        text.lines().find_map(|line| line.split_once("free percentage:")?.1.trim().trim_end_matches('%').parse().ok());
    let known = match (get("MemTotal:"), get("MemAvailable:").or(get("MemFree:")), mac) {
        (Some(all), Some(free), _) if all > 0 => Some(free.saturating_mul(100) / all),
        (_, _, share) => share,
    };
    let Some(share) = known else {
        return vec![scene.of_host(&LOOK).unseen("what the host says of its memory cannot be read")];
    };
    let swap = get("SwapTotal:").unwrap_or_default();
    let left = get("SwapFree:").unwrap_or_default().saturating_mul(100).checked_div(swap).unwrap_or_default();
    let little = share < 3 || (share < 10 && swap > 0 && left < 5);
    let mut says = format!("{share}% of the memory is available");
    if swap > 0 {
        says.push_str(&format!(", {left}% of the swap is free"));
    }
    vec![scene.of_host(&LOOK).with("available_percent", share).judged(!little, says)]
}

#[cfg(test)]
mod tests {
    use super::super::tests::{host_look, says};
    use super::LOOK;

    #[test]
    fn little_memory_is_bad_and_little_swap_alone_is_not() {
        let found = |text: &str| says(&host_look(&LOOK, &[("heal/memory ", text)]));
        assert_eq!(
            found("MemTotal: 1000\nMemAvailable: 500\nSwapTotal: 100\nSwapFree: 0"),
            ["good 50% of the memory is available, 0% of the swap is free"]
        );
        assert_eq!(found("MemTotal: 1000\nMemFree: 20"), ["bad 2% of the memory is available"]);
        assert_eq!(found("System-wide memory free percentage: 61%"), ["good 61% of the memory is available"]);
        assert_eq!(found("MemTotal: x"), ["unseen what the host says of its memory cannot be read"]);
    }
}
