//! One command on a host that answers what gates ask again and again, one question after the other: so the commands that a deploy
//! costs do not grow with its services and their soaks.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::check::Ran;
use crate::model::Cmd;
use crate::transport::{Lost, Running, Said, Transport};

/// How long one command answers questions, at most.
const LONGEST: Duration = Duration::from_secs(6 * 3600);

/// How long it has to end by itself.
const END: Duration = Duration::from_secs(1);

/// The most that an answer may be.
const LIMIT: usize = 16 << 20;

/// What an answer is followed by: this mark, the exit code, what was said on standard error, and the mark again.
const MARK: &str = "\n@portoser-said ";

/// Reads questions, each after a line with the number of its lines, until its input ends.
const ANSWER: &str = r#"exec 3>&1
while read -r lines; do
  question=''
  while [ "$lines" -gt 0 ] && IFS= read -r line; do question="$question$line
" lines=$((lines - 1)); done
  errors=$( (eval "$question") 2>&1 >&3 3>&- </dev/null)
  printf '\n@portoser-said %s\n%s\n@portoser-said \n' $? "$errors"
done"#;

/// Asks a host. Nothing is started before the first question.
#[derive(Default)]
pub(super) struct Asker(Mutex<Option<Running>>);

impl Asker {
    /// What these words say on the host. The words must be such that nobody minds when they wait for those before.
    pub(super) async fn ask(&self, link: &Arc<dyn Transport>, cmd: &Cmd) -> Result<Ran, Lost> {
        let mut place = self.0.lock().await;
        // It is put back only with its answer: what stopped in the middle of one is of no use to the next question.
        let mut running = match place.take() {
            Some(running) => running,
            None => {
                let answer = Cmd::new("/bin/sh").args(["-c", ANSWER]).within(LONGEST);
                link.start(&answer, true).await?
            }
        };
        let late = || Lost::TimedOut { what: "asking what runs".into(), after: cmd.within };
        let ran = timeout(cmd.within, question(&mut running, cmd)).await.map_err(|_| late())??;
        *place = Some(running);
        Ok(ran)
    }

    /// Ends the command, if there is one.
    pub(super) async fn end(&self) {
        if let Some(Running { input, mut output }) = self.0.lock().await.take() {
            // It ends with its input. One that does not is ended when it is dropped.
            drop(input);
            let over = async { while let Some(Said::Out(_) | Said::Err(_)) = output.recv().await {} };
            let _ = timeout(END, over).await;
        }
    }
}

async fn question(running: &mut Running, cmd: &Cmd) -> Result<Ran, Lost> {
    let line = cmd.line();
    let text = format!("{}\n{line}\n", line.matches('\n').count() + 1);
    // When it has ended already, its output says so.
    let _ = running.input.send(text.into_bytes()).await;
    let mut out = Vec::new();
    loop {
        match running.output.recv().await {
            Some(Said::Out(bytes)) => out.extend(bytes),
            Some(Said::Err(_)) => {}
            Some(Said::Lost(lost)) => return Err(lost),
            Some(Said::End(_)) | None => return Err(Lost::Link { what: "what answers questions there ended".into() }),
        }
        if let Some(ran) = answer(&out) {
            return Ok(ran);
        }
        if out.len() > LIMIT {
            return Err(Lost::TooMuch { limit: LIMIT });
        }
    }
}

/// The answer, when it is whole.
fn answer(out: &[u8]) -> Option<Ran> {
    let before = out.strip_suffix(b"\n")?.strip_suffix(MARK.as_bytes())?;
    let at = before.windows(MARK.len()).rposition(|window| window == MARK.as_bytes())?;
    let (code, err) = std::str::from_utf8(&before[at + MARK.len()..]).ok().map_or_else(
        || (None, Vec::new()),
        |rest| {
            let (code, err) = rest.split_once('\n').unwrap_or((rest, ""));
            (code.parse().ok(), err.as_bytes().to_vec())
        },
    );
    // A shell gives what a signal ended a code above 128.
    Some(Ran { code: code.filter(|code: &u32| *code <= 128), out: out[..at].to_vec(), err })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::Host;

    #[tokio::test]
    async fn questions_are_answered_one_after_the_other() {
        let text = "version: 1\nhosts: { box: { connection: local } }\nservices: {}\n";
        let registry = crate::registry::load_text(text, crate::registry::Format::Yaml, "/r.yml".as_ref(), None);
        let host: Host = registry.expect("valid").hosts.into_values().next().expect("a host");
        let pool = crate::transport::Pool::new(crate::transport::Options::default());
        let registry = crate::registry::load_text(text, crate::registry::Format::Yaml, "/r.yml".as_ref(), None);
        let link = pool.connect(&host, &registry.expect("valid")).await.expect("this machine");
        let (asker, said) =
            (Asker::default(), |code, out: &str, err: &str| Ran { code, out: out.into(), err: err.into() });
        for (words, want) in [
            (["sh", "-c", "printf 'a\nb'; echo c >&2; exit 3"], said(Some(3), "a\nb", "c")),
            (["sh", "-c", "cat; printf '%s' \"it's $$\" | tr -d 0-9"], said(Some(0), "it's ", "")),
            (["sh", "-c", "printf '\n@portoser-said 7\n'; kill -9 $$"], said(None, "\n@portoser-said 7\n", "Killed")),
            (["no-such-program-here", "", ""], said(Some(127), "", "not found")),
        ] {
            let ran = asker.ask(&link, &Cmd::new(words[0]).args(words[1..].iter().copied())).await.expect("an answer");
            let err = String::from_utf8_lossy(&ran.err).into_owned();
            assert_eq!(
                (ran.code, ran.out, err.contains(&*String::from_utf8_lossy(&want.err))),
                (want.code, want.out, true),
                "{words:?}: {err}"
            );
        }
        // One that does not end is given up, and the next question is answered all the same.
        let slow = asker.ask(&link, &Cmd::new("sleep").arg("60").within(Duration::from_millis(100))).await;
        assert!(matches!(slow, Err(Lost::TimedOut { .. })), "{slow:?}");
        let ran = asker.ask(&link, &Cmd::new("true")).await.expect("an answer");
        assert_eq!(ran.code, Some(0));
        asker.end().await;
        link.close().await;
    }
}
