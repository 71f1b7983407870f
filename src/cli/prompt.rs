//! Questions to a person at the terminal: one at a time, and none without end. Who does not answer has not agreed.

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dialoguer::{Confirm, Error, Input, Password};
use tokio_util::sync::CancellationToken;

use crate::cli::face::say;
use crate::cli::render::{aside, duration};
use crate::cli::{Failure, safe};
use crate::model::{FailureKind, Secret};

/// How long a person has for an answer: enough to look a fingerprint up, and too short for a run to be forgotten.
const PATIENCE: Duration = Duration::from_secs(300);

/// Whether the person agrees. Silence is no.
pub(super) fn agrees(question: &str) -> bool {
    is_so(question, false).unwrap_or(false)
}

/// Yes or no; `usual` is what an empty line means.
///
/// # Errors
/// When nothing is answered.
pub(super) fn is_so(question: &str, usual: bool) -> Result<bool, Failure> {
    within(PATIENCE, question, move |words| Confirm::new().with_prompt(words).default(usual).interact())
}

/// What the person types.
///
/// # Errors
/// When nothing is answered.
pub(super) fn line(question: &str) -> Result<String, Failure> {
    within(PATIENCE, question, |words| Input::new().with_prompt(words).allow_empty(true).interact_text())
}

/// As `line`, for a task that has others to carry: they go on, and Ctrl-C is heard.
///
/// # Errors
/// When nothing is answered.
pub(super) async fn awaited(question: String) -> Result<String, Failure> {
    match tokio::task::spawn_blocking(move || line(&question)).await {
        Ok(typed) => typed,
        Err(ended) => Err(Failure::new(FailureKind::Interrupted, &ended).doing("asking")),
    }
}

/// What the person types until it is good; an empty line is `usual`, if there is one.
///
/// # Errors
/// When nothing is answered.
pub(super) fn good_line(
    question: &str,
    usual: Option<&str>,
    good: impl Fn(&str) -> Result<(), String> + Send + 'static,
) -> Result<String, Failure> {
    let usual = usual.map(str::to_owned);
    within(PATIENCE, question, move |words| {
        let input = Input::new().with_prompt(words).allow_empty(usual.is_none());
        let input = input.validate_with(move |text: &String| good(text));
        usual.into_iter().fold(input, Input::default).interact_text()
    })
}

/// What the person types without seeing it.
///
/// # Errors
/// When nothing is answered.
pub(super) fn secret(question: &str, may_be_empty: bool) -> Result<Secret, Failure> {
    let ask = move |words| Password::new().with_prompt(words).allow_empty_password(may_be_empty).interact();
    within(PATIENCE, question, ask).map(|typed| Secret::new(typed.into_bytes()))
}

/// A question as it is shown: what others sent in it moves no cursor.
fn shown(question: &str) -> String {
    question.lines().map(safe).collect::<Vec<_>>().join("\n")
}

/// Why nothing is asked any more.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Gone {
    /// One question had no answer. The thread that waits for the keyboard cannot be ended, and would take the next answer.
    Silent,
    /// Who is asked wants to stop.
    Stopped,
}

/// The question that stands on the terminal, and whether another one may follow.
struct Asked {
    open: Option<Open>,
    gone: Option<Gone>,
}

/// A question that somebody waits for.
struct Open {
    /// The terminal as it was before.
    before: Option<rustix::termios::Termios>,
    /// Tells who waits that no answer comes.
    none: Box<dyn Fn() + Send>,
}

static ASKED: Mutex<Asked> = Mutex::new(Asked { open: None, gone: None });

fn asked() -> MutexGuard<'static, Asked> {
    ASKED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Gives up the question that is open, if there is one, and those that would follow, as who is asked wants to stop, and makes the
/// wish known. A question that hides what is typed would not hear of it.
pub(super) fn give_up(wish: &CancellationToken) {
    let mut asked = asked();
    asked.gone = Some(Gone::Stopped);
    // The program may end as soon as the wish is known. And who asked must find it: to them, a host without an answer is a host
    // that cannot be seen.
    asked.open.iter().for_each(|open| restore(open.before.as_ref()));
    wish.cancel();
    asked.open.iter().for_each(|open| (open.none)());
}

/// Whether who is asked wants to stop.
pub(super) fn is_given_up() -> bool {
    asked().gone == Some(Gone::Stopped)
}

/// Asks, when no other question is open, and waits so long.
fn within<T: Send + 'static>(
    patience: Duration,
    question: &str,
    ask: impl FnOnce(String) -> Result<T, Error> + Send + 'static,
) -> Result<T, Failure> {
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    // A question hides the cursor or what is typed; who waits no longer gives the terminal back as it was.
    let before = rustix::termios::tcgetattr(rustix::stdio::stdin()).ok();
    let (answer, answered) = channel();
    // Held by the thread that asks: should it end without an answer, nobody waits for one.
    let answer = Arc::new(answer);
    let none = Arc::downgrade(&answer);
    let none = Box::new(move || none.upgrade().into_iter().for_each(|none| drop(none.send(None))));
    let open = Open { before: before.clone(), none };
    let words = shown(question);
    // Of a question with several lines the last one is asked: the others would be printed once more with the answer.
    let (lead, words) = words.rsplit_once('\n').map_or((None, &*words), |(lead, last)| (Some(lead), last));
    let words = words.to_owned();
    let answered = aside(|| {
        {
            // Whoever gives up before this is seen here, and after it finds the question.
            let mut asked = asked();
            if let Some(gone) = asked.gone {
                return Err(gone);
            }
            asked.open = Some(open);
        }
        lead.iter().for_each(|lead| say(lead));
        std::thread::spawn(move || answer.send(Some(ask(words))));
        let answered = answered.recv_timeout(patience);
        asked().open = None;
        Ok(answered)
    });
    match answered {
        Ok(Ok(Some(Ok(typed)))) => return Ok(typed),
        Err(gone) => return Err(unanswered(question, patience, gone)),
        Ok(_) => {}
    }
    restore(before.as_ref());
    let gone = match answered {
        Ok(Ok(Some(Err(error)))) if !is_stop(&error) => {
            return Err(Failure::new(FailureKind::Interrupted, &error).doing("asking"));
        }
        Ok(Err(RecvTimeoutError::Timeout)) => Gone::Silent,
        _ => Gone::Stopped,
    };
    let failure = unanswered(question, patience, gone);
    asked().gone.get_or_insert(gone);
    if gone == Gone::Silent {
        say(&failure.text());
    }
    Err(failure)
}

/// The terminal as it was before a question.
fn restore(before: Option<&rustix::termios::Termios>) {
    if let Some(before) = before {
        let _ = rustix::termios::tcsetattr(rustix::stdio::stdin(), rustix::termios::OptionalActions::Now, before);
    }
    say(SHOW_CURSOR);
}

/// Ctrl-C at a question that reads single keys.
fn is_stop(Error::IO(error): &Error) -> bool {
    error.kind() == std::io::ErrorKind::Interrupted
}

/// DECTCEM, which every terminal knows that hides its cursor; with it, a new line.
const SHOW_CURSOR: &str = "\x1b[?25h";

fn unanswered(question: &str, patience: Duration, gone: Gone) -> Failure {
    let asked = safe(question.lines().last().unwrap_or_default());
    let text = match gone {
        Gone::Silent => format!("nobody answered `{asked}` within {}", duration(patience)),
        Gone::Stopped => "stopped while it was asked".to_owned(),
    };
    let failure = Failure::say(FailureKind::Interrupted, text);
    if gone == Gone::Stopped { failure.doing("asking") } else { failure }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_does_not_answer_is_not_waited_for() {
        let soon = Duration::from_millis(20);
        assert!(within(soon, "first?", |_| Ok(true)).is_ok_and(|yes| yes));
        let (hold, held) = channel::<()>();
        let silent = within(soon, "a\nsecond?", move |_| Ok(held.recv().is_ok()));
        assert!(silent.is_err_and(|failure| failure.text().contains("`second?` within 0.0 s")));
        assert!(within(soon, "third?", |_| Ok(true)).is_err());
        drop(hold);
        // Who was about to ask when everything is given up does not ask, either.
        asked().gone = None;
        give_up(&CancellationToken::new());
        let late = within(soon, "fourth?", |_| Ok(true));
        assert!(late.is_err_and(|failure| failure.text().contains("stopped")) && is_given_up());
        // A question that breaks is not waited for.
        asked().gone = None;
        let began = std::time::Instant::now();
        assert!(within(PATIENCE, "fifth?", |_| -> Result<(), Error> { panic!("on purpose") }).is_err());
        assert!(began.elapsed() < PATIENCE / 2);
    }
}
