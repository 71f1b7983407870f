//! Questions to a person at the terminal: one at a time, and none without end. Who does not answer has not agreed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use dialoguer::{Confirm, Error, Input, Password};

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

/// How the question that is open is given up.
static OPEN: Mutex<Option<Box<dyn Fn() + Send>>> = Mutex::new(None);

/// Gives up the question that is open, if there is one, as who is asked wants to stop. A question that hides what is typed would
/// not hear of it.
pub(super) fn give_up() {
    if let Some(give_up) = OPEN.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
        give_up();
    }
}

/// Asks, when no other question is open, and waits so long. A thread that still waits for the keyboard cannot be ended; so
/// after one question without an answer nothing is asked any more.
fn within<T: Send + 'static>(
    patience: Duration,
    question: &str,
    ask: impl FnOnce(String) -> Result<T, Error> + Send + 'static,
) -> Result<T, Failure> {
    static TURN: Mutex<()> = Mutex::new(());
    static ALONE: AtomicBool = AtomicBool::new(false);
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let asked = question.lines().last().unwrap_or_default();
    let nobody = || {
        let text = format!("nobody answered `{}` within {}", safe(asked), duration(patience));
        Failure::say(FailureKind::Interrupted, text)
    };
    if ALONE.load(Ordering::SeqCst) {
        return Err(nobody());
    }
    // A question hides what is typed; who waits no longer gives the terminal back as it was.
    let before = rustix::termios::tcgetattr(rustix::stdio::stdin());
    let (answer, answered) = channel();
    let none = answer.clone();
    let given_up = move || drop(none.send(None));
    let words = shown(question);
    // Of a question with several lines the last one is asked: the others would be printed once more with the answer.
    let (lead, words) = words.rsplit_once('\n').map_or((None, &*words), |(lead, last)| (Some(lead), last));
    let words = words.to_owned();
    let answered = aside(|| {
        lead.iter().for_each(|lead| say(lead));
        *OPEN.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(given_up));
        std::thread::spawn(move || answer.send(Some(ask(words))));
        let answered = answered.recv_timeout(patience);
        *OPEN.lock().unwrap_or_else(PoisonError::into_inner) = None;
        answered
    });
    match answered {
        Ok(Some(typed)) => typed.map_err(|error| Failure::new(FailureKind::Interrupted, &error).doing("asking")),
        unanswered => {
            ALONE.store(true, Ordering::SeqCst);
            if let Ok(before) = before {
                let _ =
                    rustix::termios::tcsetattr(rustix::stdio::stdin(), rustix::termios::OptionalActions::Now, &before);
            }
            if unanswered.is_ok() {
                say("");
                return Err(Failure::say(FailureKind::Interrupted, "stopped while it was asked").doing("asking"));
            }
            let failure = nobody();
            say(&format!("\n{}", failure.text()));
            Err(failure)
        }
    }
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
    }
}
