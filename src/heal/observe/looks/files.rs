//! files: how many more files the kernel will open, for all processes together.

use crate::heal::Observation;
use crate::heal::observe::scene::{About, Heard, Look, Scene, once};

pub(super) const LOOK: Look = Look { name: "files", about: About::Host, shell: SHELL, calls: once, judge };

const SHELL: &str = r#"
look_files() {
  [ -r /proc/sys/fs/file-nr ] || { lacks /proc/sys/fs/file-nr; return; }
  # The file ends after the first read, and dash reads a byte at a time.
  set -- $(cat /proc/sys/fs/file-nr)
  printf '%s %s\n' "$1" "$3"
}
"#;

fn judge(scene: &Scene<'_>, heard: &Heard) -> Vec<Observation> {
    let text = match heard.answer(&LOOK, "") {
        Ok(text) => text,
        Err(why) => return vec![scene.of_host(&LOOK).unseen(why)],
    };
    let numbers =
        text.split_once(' ').and_then(|(open, most)| Some((open.parse::<u64>().ok()?, most.parse::<u64>().ok()?)));
    let Some((open, most)) = numbers else {
        return vec![scene.of_host(&LOOK).unseen("the number of open files cannot be read")];
    };
    let says = format!("{open} of at most {most} files are open");
    vec![scene.of_host(&LOOK).with("open", open).judged(open < most / 100 * 95, says)]
}

#[cfg(test)]
mod tests {
    use super::super::tests::{host_look, says};
    use super::LOOK;

    #[test]
    fn open_files_run_out() {
        let found = |text: &str| says(&host_look(&LOOK, &[("heal/files ", text)]));
        assert_eq!(found("1000 9223372036854775807"), ["good 1000 of at most 9223372036854775807 files are open"]);
        assert_eq!(found("990 1000"), ["bad 990 of at most 1000 files are open"]);
        assert_eq!(found(""), ["unseen the number of open files cannot be read"]);
    }
}
