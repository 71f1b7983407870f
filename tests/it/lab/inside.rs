//! A way onto a lab host past ssh, for trials that look at it or break it. `docker exec` costs more than all that most of them ask, so
//! one shell on each host answers many questions, each in a shell of its own.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::fixture::sshd::command;

/// Reads scripts, each after a line with the number of its lines and one with its mark. What is said goes by files in memory: a host may
/// have no room, and what a script leaves running must hold nothing up.
const ANSWER: &str = r#"said=/dev/shm/.trial-$$
while read -r lines mark; do
  script=''
  while [ "$lines" -gt 0 ] && IFS= read -r line; do script="$script$line
" lines=$((lines - 1)); done
  echo ready
  read -r go || break
  /bin/sh -c "$script" </dev/null >$said 2>$said-errors
  cat $said $said-errors
  printf '%s\n' "$mark"
done
rm -f $said $said-errors"#;

/// How long a shell has to be ready for a script, which it begins only when it is told to: that of a host which is paused never is.
const READY: Duration = Duration::from_secs(5);

struct Shell {
    child: Child,
    questions: ChildStdin,
    /// Lines, with their ends.
    answers: Receiver<Vec<u8>>,
}

/// The shells that nobody uses just now, by container.
static IDLE: Mutex<BTreeMap<String, Vec<Shell>>> = Mutex::new(BTreeMap::new());

fn idle() -> MutexGuard<'static, BTreeMap<String, Vec<Shell>>> {
    IDLE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a script says as root, whatever it exits with: its output, then its errors.
pub(super) fn inside(container: &str, script: &str) -> String {
    let known = idle().get_mut(container).and_then(Vec::pop);
    let mut shell = known.unwrap_or_else(|| Shell::start(container));
    match shell.ask(script) {
        Some(Answer::Whole(said)) => {
            idle().entry(container.to_owned()).or_default().push(shell);
            said
        }
        // The script ended its own host, or the shell.
        Some(Answer::Cut(said)) => said,
        None => {
            let mut docker = command("docker");
            docker.args(["exec", "--user", "0", container, "/bin/sh", "-c", script]).stdin(Stdio::null());
            let output = docker.output().expect("docker exec");
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
        }
    }
}

enum Answer {
    Whole(String),
    Cut(String),
}

impl Shell {
    fn start(container: &str) -> Self {
        let mut docker = command("docker");
        docker.args(["exec", "--interactive", "--user", "0", container, "/bin/sh", "-c", ANSWER]);
        let docker = docker.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = docker.spawn().expect("docker exec");
        let questions = child.stdin.take().expect("a pipe");
        let mut said = BufReader::new(child.stdout.take().expect("a pipe"));
        let (tell, answers) = channel();
        std::thread::spawn(move || {
            let mut line = Vec::new();
            while said.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
                if tell.send(std::mem::take(&mut line)).is_err() {
                    return;
                }
            }
        });
        Self { child, questions, answers }
    }

    /// None when the script was not begun.
    fn ask(&mut self, script: &str) -> Option<Answer> {
        let mark = format!("trial-{:016x}", std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), script));
        let lines = script.matches('\n').count() + 1;
        self.questions.write_all(format!("{lines} {mark}\n{script}\n").as_bytes()).ok()?;
        self.answers.recv_timeout(READY).ok().filter(|line| line == b"ready\n")?;
        self.questions.write_all(b"go\n").ok()?;
        let mut said = Vec::new();
        for line in &self.answers {
            said.extend(line);
            if let Some(said) = said.strip_suffix(format!("{mark}\n").as_bytes()) {
                return Some(Answer::Whole(String::from_utf8_lossy(said).into_owned()));
            }
        }
        Some(Answer::Cut(String::from_utf8_lossy(&said).into_owned()))
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        // One that hangs on a host which is paused would outlive its trial.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
