//! tasks: how many more processes and threads the kernel will start.

use crate::heal::Observation;
use crate::heal::observe::scene::{About, Heard, Look, Scene, once};

pub(super) const LOOK: Look = Look { name: "tasks", about: About::Host, shell: SHELL, calls: once, judge };

const SHELL: &str = r#"
look_tasks() {
  [ -r /proc/sys/kernel/pid_max ] || { lacks /proc/sys/kernel/pid_max; return; }
  read -r one five fifteen count rest </proc/loadavg
  # These files end after the first read, and dash reads a byte at a time.
  printf '%s ' "${count#*/}" $(cat /proc/sys/kernel/pid_max /proc/sys/kernel/threads-max)
}
"#;

fn judge(scene: &Scene<'_>, heard: &Heard) -> Vec<Observation> {
    let text = match heard.answer(&LOOK, "") {
        Ok(text) => text,
        Err(why) => return vec![scene.of_host(&LOOK).unseen(why)],
    };
    let numbers: Vec<u64> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let [count, pids, threads] = numbers[..] else {
        return vec![scene.of_host(&LOOK).unseen("the number of processes cannot be read")];
    };
    let most = pids.min(threads);
    let says = format!("{count} of at most {most} processes and threads");
    vec![scene.of_host(&LOOK).with("count", count).judged(count.saturating_mul(100) < most.saturating_mul(95), says)]
}

#[cfg(test)]
mod tests {
    use super::super::tests::{host_look, says};
    use super::LOOK;

    #[test]
    fn the_smaller_limit_counts() {
        let found = |text: &str| says(&host_look(&LOOK, &[("heal/tasks ", text)]));
        assert_eq!(found("120 4194304 30000"), ["good 120 of at most 30000 processes and threads"]);
        assert_eq!(found("32000 32768 120000"), ["bad 32000 of at most 32768 processes and threads"]);
        assert_eq!(found("120 4194304"), ["unseen the number of processes cannot be read"]);
    }
}
