//! What the verbs that talk to hosts share: the registry, the journal, the way to hosts, and the questions that only a person
//! at a terminal can answer.

use std::mem::ManuallyDrop;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::mpsc::unbounded_channel;

use crate::app::{App, record};
use crate::cli::{Exit, Face, Failure, Stop, block_on, prompt, render, safe};
use crate::deploy::{Ended, Fault, Ground, Selection, idle, unless_stopped, verdict};
use crate::journal::Journal;
use crate::model::{Event, FailureKind, RunId, Secret, ServiceName, SystemClock};
use crate::registry::Registry;
use crate::transport::Options;
use crate::transport::ssh::{HostKeys, Question, ShownKey};

/// What the first Ctrl-C is answered with.
const STOPPING: &str = "stopping: the step in hand is finished or undone on every host; Ctrl-C once more leaves";

/// Puts the app together from the global flags, for a verb that changes something: what it does must be written down.
pub(super) fn open(face: &Face) -> Result<App, Failure> {
    let registry = face.registry()?;
    let journal = face.journal()?;
    assemble(face, ManuallyDrop::into_inner(registry), journal)
}

/// As `open`, for a verb that only looks: it goes on without a journal that cannot be used, and says so.
pub(super) fn look(face: &Face) -> Result<App, Failure> {
    let registry = face.registry()?;
    let journal = match face.journal() {
        Ok(journal) => journal,
        Err(failure) => {
            without_journal(face, &failure);
            Journal::in_memory()?
        }
    };
    assemble(face, ManuallyDrop::into_inner(registry), journal)
}

/// Warns that what this machine remembers is left out.
pub(super) fn without_journal(face: &Face, failure: &Failure) {
    face.warn(safe(&format!("what this machine remembers is left out: {}", failure.text())));
    failure.next_moves().iter().for_each(|hint| face.talk(safe(&format!("hint: {hint}"))));
}

fn assemble(face: &Face, registry: Registry, journal: Journal) -> Result<App, Failure> {
    let mut options = Options { config: face.flags.ssh_config.clone(), ..Options::from_environment() };
    if face.can_ask() {
        options.host_keys = HostKeys::Ask(Arc::new(ask_about_key));
        options.prompter = Some(Arc::new(ask));
    }
    if face.flags.ask_become_pass {
        options.become_password = Some(become_password(face)?);
    }
    Ok(App::new(registry, journal, Arc::new(SystemClock), options))
}

/// Asks for the password of sudo. It is kept in memory for this run, and travels on standard inputs only.
fn become_password(face: &Face) -> Result<Secret, Failure> {
    let refuse = |why: &str| Failure::say(FailureKind::Secret, why).doing("asking for the password of sudo");
    if !face.can_ask() {
        return Err(refuse("there is no terminal to ask on").hint("allow the user sudo without a password (NOPASSWD)"));
    }
    // Within a runtime, Ctrl-C is heard, and leaves the terminal as it was. A thread of its own has one in any case.
    let asking = || {
        block_on(async |stop| {
            let asked = tokio::task::spawn_blocking(|| prompt::secret("password for sudo", false));
            match asked.await {
                Ok(Ok(typed)) => Ok(typed),
                _ if stop.soon.is_cancelled() => Err(stopped()),
                _ => Err(refuse("nothing was typed")),
            }
        })
    };
    match std::thread::scope(|scope| scope.spawn(asking).join()) {
        Ok(asked) => asked?,
        Err(panicked) => std::panic::resume_unwind(panicked),
    }
}

/// Whether this word is typed. Silence is no.
///
/// # Errors
/// When who is asked wants to stop.
pub(super) async fn typed(question: String, word: &str) -> Result<bool, Failure> {
    match prompt::awaited(question).await {
        Err(_) if prompt::is_given_up() => Err(stopped()),
        answer => Ok(answer.is_ok_and(|typed| typed == word)),
    }
}

/// Asks whether an unknown key is the right one. The fingerprint is shown by the question itself.
fn ask_about_key(key: &ShownKey) -> bool {
    prompt::agrees(&format!("{key}\nis this the right fingerprint, and shall the key be pinned?"))
}

/// Asks for a passphrase or a password, without showing it.
fn ask(question: &Question) -> Option<Secret> {
    let not = |again: &bool| if *again { "that did not fit; " } else { "" };
    let words = match question {
        Question::Passphrase { file, again } => format!("{}passphrase of {}", not(again), file.display()),
        Question::Password { user, host, again } => format!("{}password of {user} on {host}", not(again)),
        Question::Server { host, prompt, .. } => format!("{host} asks: {}", safe(prompt)),
    };
    prompt::secret(&words, true).ok()
}

/// Warns of what a request names and is left out of it, for a verb that only looks.
pub(super) fn tell_idle(face: &Face, registry: &Registry, selection: &Selection) {
    idle(registry, selection).iter().for_each(|idle| face.warn(idle.to_string()));
}

/// A fault of a run as the failure of a verb.
pub(super) fn failed(doing: &str, fault: &Fault) -> Failure {
    Failure::new(fault.kind(), fault).doing(doing).lines(fault.lines()).hints(fault.hints())
}

/// Runs a verb that only looks: the first Ctrl-C ends it, and what it asks hosts ends there, too.
pub(super) fn looking<T>(app: &App, work: impl AsyncFnOnce(&Stop) -> Result<T, Failure>) -> Result<T, Failure> {
    block_on(async |stop| {
        let ended = unless_stopped(&stop.soon, work(&stop)).await.unwrap_or_else(|| Err(stopped()));
        if stop.soon.is_cancelled() {
            leave(app, &stop).await;
        }
        ended
    })?
}

/// Runs a verb that passes words on to hosts, and ends by itself soon after the first Ctrl-C: the words end on the hosts, too.
pub(super) fn passing<T>(app: &App, work: impl AsyncFnOnce(&Stop) -> Result<T, Failure>) -> Result<T, Failure> {
    block_on(async |stop| {
        let ended = work(&stop).await;
        leave(app, &stop).await;
        ended
    })?
}

/// What a verb that was stopped says when it has changed nothing.
pub(super) fn stopped() -> Failure {
    Failure::say(FailureKind::Interrupted, "stopped; nothing was changed")
}

/// To end a command on a host takes a moment, which a second Ctrl-C cuts short.
async fn leave(app: &App, stop: &Stop) {
    tokio::select! {
        () = app.close() => {}
        () = stop.now.cancelled() => {}
    }
}

/// Carries a run from its beginning in the journal to its exit code: what `job` does is told, shown and written down.
pub(super) async fn carry(
    face: &Face,
    app: &App,
    (run, verb): (&RunId, &str),
    request: serde_json::Value,
    stop: Stop,
    job: impl AsyncFnOnce(Arc<Ground>) -> Result<Vec<Ended>, Failure>,
) -> Result<Exit, Failure> {
    let journal = |error: &crate::journal::JournalError| {
        Failure::new(FailureKind::Internal, error).doing("writing the journal").hint(error.hint())
    };
    let open = app.begin(run, verb, request).map_err(|error| journal(&error))?;
    let (ground, events) = app.ground(run, verb, stop.soon.clone());
    let (onward, shown) = unbounded_channel();
    let began = Instant::now();
    let say_so = async {
        stop.soon.cancelled().await;
        ground.tell(Event::Note { host: None, text: STOPPING.into() });
        std::future::pending().await
    };
    let work = async {
        let ended = tokio::select! {
            biased;
            () = stop.now.cancelled() => Err(Failure::say(FailureKind::Interrupted, "left; the hosts settle by themselves")),
            never = say_so => never,
            ended = job(ground.clone()) => ended.map_err(|failure| failure.masked(&app.mask)),
        };
        let kind = match &ended {
            Ok(ended) => verdict(ended, stop.soon.is_cancelled()),
            Err(failure) => Some(failure.kind()),
        };
        let code = kind.map_or(0, FailureKind::code);
        ground.tell(Event::Finished { run: run.clone(), code, took: began.elapsed() });
        ended.map(|_| code)
    };
    let (ended, (), document) = tokio::join!(work, record(&open, events, onward), render(face, shown));
    let code = match &ended {
        Ok(code) => *code,
        Err(failure) => failure.kind().code(),
    };
    let ended = open.end(code).map_err(|error| journal(&error)).and(ended);
    if stop.soon.is_cancelled() {
        leave(app, &stop).await;
    }
    print(face, document, ended.map(Exit))
}

/// Prints the document of a run that came to an end. A failure takes it along, so that one document says both.
pub(super) fn print(
    face: &Face,
    document: Option<serde_json::Value>,
    ended: Result<Exit, Failure>,
) -> Result<Exit, Failure> {
    match (ended, document) {
        (Ok(exit), Some(document)) => {
            face.document(&document);
            Ok(exit)
        }
        (ended, document) => ended.map_err(|failure| failure.of_run(document)),
    }
}

/// What the registry protects needs its typed name, or `--approve NAME`. `names` are the services that will change; where none
/// does, nothing is asked.
pub(super) async fn approve<'a>(
    face: &Face,
    app: &App,
    names: impl IntoIterator<Item = &'a ServiceName>,
    approved: &[String],
) -> Result<(), Failure> {
    for name in app.registry.guarded(names).into_iter().filter(|name| !approved.contains(name)) {
        let refuse = || {
            Failure::say(FailureKind::Refused, format!("`{name}` is protected")).hint(format!("give --approve {name}"))
        };
        if !face.can_ask() {
            return Err(refuse());
        }
        if !typed(format!("`{name}` is protected; type its name to go on"), &name).await? {
            return Err(refuse());
        }
    }
    Ok(())
}
