//! One file per kind of health check. A check says what it needs from the world and judges the answer; it reaches nothing
//! itself. `ask` joins the two with a fetcher that the caller gives; `gate` asks until a service is proven or is not.

mod certificate;
mod command;
mod far;
pub mod gate;
mod http;
mod log;
mod shown;
mod tcp;
mod tls;
mod unit;
mod verdict;

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, timeout_at};

use crate::host::{Seen, Supervisor};
use crate::model::{Ask, Check, Cmd, From, Scope, Secret};

pub use certificate::Term;
pub use tls::over_tls;
pub use verdict::{Bad, Good, Verdict};

/// The address at which a check asks, as seen from the host.
pub const ADDRESS: &str = "127.0.0.1";

/// What the checks of one service on one host must know of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    pub supervisor: Supervisor,
    pub scope: Scope,
    /// One for each instance: the unit's name, the job's label, or the folder of the supervised process.
    pub units: Vec<String>,
    /// The folder that commands run in, absolute: the release.
    pub folder: Option<String>,
    /// The login user's number, which names its launchd domain.
    pub uid: u32,
    /// The tools that the host has, of `host::TOOLS`.
    pub tools: BTreeSet<String>,
}

impl Subject {
    /// For checks that go through a connection and need to know nothing of the service.
    #[must_use]
    pub fn nobody() -> Self {
        Self {
            supervisor: Supervisor::Process,
            scope: Scope::System,
            units: Vec::new(),
            folder: None,
            uid: 0,
            tools: BTreeSet::new(),
        }
    }
}

/// What a check needs in order to judge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Need {
    /// A connection from the host to this address and port.
    Connect { address: String, port: u16 },
    /// What these words say on the host, as root where the host's `become` says so.
    Run(Cmd),
    /// The same of words that read this on their standard input, where nobody else on the host can see it.
    Told(Cmd, Secret),
    /// The same of words that a supervisor answers at once, and that are asked again and again.
    State(Cmd),
}

/// What a fetcher brings.
pub enum Got<S> {
    /// The connection.
    Stream(S),
    /// The end of the words.
    Ran(Ran),
}

/// How words ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ran {
    /// The exit code; none when a signal ended it.
    pub code: Option<u32>,
    pub out: Vec<u8>,
    pub err: Vec<u8>,
}

/// Why a fetcher brings nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Miss {
    /// The host answered: nothing accepts connections there.
    Refused,
    /// The words ran, and ran for longer than they may.
    Overdue,
    /// The host could not be asked, and why.
    Unseen(String),
}

/// How long beyond its own timeout a question may take: the way to the host and back.
pub const GRACE: Duration = Duration::from_secs(3);

/// What the check needs; the verdict itself where it can not be asked at all.
fn need(check: &Check, subject: &Subject) -> Result<Need, Verdict> {
    match (&check.ask, check.from) {
        (Ask::Http(http), From::Controller) => Ok(connect(http.port)),
        (Ask::Tcp { port } | Ask::Tls { port, .. }, From::Controller) => Ok(connect(*port)),
        (Ask::Http(http), From::Host) => far::http(http, check.timeout, &subject.tools),
        (Ask::Tcp { port }, From::Host) => far::tcp(*port, check.timeout, &subject.tools),
        (Ask::Tls { .. }, From::Host) => Err(Verdict::Unseen("a certificate is proven by the controller only".into())),
        (Ask::Command { words }, _) => command::words(words, subject.folder.as_deref()),
        (Ask::Unit, _) => unit::words(subject),
        (Ask::Log { .. }, _) => log::words(subject),
    }
    .map(|need| match need {
        Need::Run(cmd) => Need::Run(cmd.within(check.timeout)),
        Need::Told(cmd, input) => Need::Told(cmd.within(check.timeout), input),
        Need::State(cmd) => Need::State(cmd.within(check.timeout)),
        connect @ Need::Connect { .. } => connect,
    })
}

fn connect(port: u16) -> Need {
    Need::Connect { address: ADDRESS.into(), port }
}

/// What a look that was taken already says to a check of units; nothing to any other, and where it does not tell.
#[must_use]
pub fn seen(check: &Check, subject: &Subject, seen: &Seen) -> Option<Verdict> {
    if check.ask == Ask::Unit { unit::seen(subject, seen) } else { None }
}

/// Asks the check once. `fetch` brings what it needs. The verdict is there `check.timeout` plus `GRACE` later at the latest,
/// whatever the fetcher or the service does.
pub async fn ask<S, Fetch, Fetched>(check: &Check, subject: &Subject, fetch: Fetch) -> Verdict
where
    S: AsyncRead + AsyncWrite + Send + Unpin,
    Fetch: FnOnce(Need) -> Fetched,
    Fetched: Future<Output = Result<Got<S>, Miss>>,
{
    let need = match need(check, subject) {
        Ok(need) => need,
        Err(verdict) => return verdict,
    };
    let begun = Instant::now();
    // A connection must stand within the timeout; words end themselves, so their fetcher gets time to say so.
    let until = if matches!(need, Need::Run(_) | Need::Told(..) | Need::State(_)) {
        begun + check.timeout + GRACE
    } else {
        begun + check.timeout
    };
    let secs = check.timeout.as_secs_f64();
    match timeout_at(until, fetch(need)).await {
        Ok(Ok(Got::Stream(stream))) => met(check, stream, begun + check.timeout).await,
        Ok(Ok(Got::Ran(ran))) => heard(check, subject, &ran).await,
        Ok(Err(Miss::Refused)) => Verdict::bad("the connection is refused"),
        Ok(Err(Miss::Overdue)) => Verdict::bad(format!("it did not end within {secs} s")),
        Ok(Err(Miss::Unseen(why))) => Verdict::Unseen(shown::shown(why.as_bytes())),
        // Neither the service nor the way to it said anything; the two cannot be told apart from here.
        Err(_) => Verdict::Unseen(format!("the host did not answer within {secs} s")),
    }
}

/// Judges by a connection that stands.
async fn met<S: AsyncRead + AsyncWrite + Send + Unpin>(check: &Check, stream: S, until: Instant) -> Verdict {
    match &check.ask {
        Ask::Http(http) => http::talk(http, stream, until, check.timeout).await,
        Ask::Tcp { .. } => tcp::connected(),
        Ask::Tls { tls, .. } => tls::shaken(tls, stream, until, check.timeout).await,
        Ask::Command { .. } | Ask::Unit | Ask::Log { .. } => misfetched(),
    }
}

/// Judges by what words said.
async fn heard(check: &Check, subject: &Subject, ran: &Ran) -> Verdict {
    match &check.ask {
        Ask::Http(http) => far::http_heard(http, ran, check.timeout).await,
        Ask::Tcp { .. } => far::tcp_heard(ran),
        Ask::Command { .. } => command::judge(ran),
        Ask::Unit => unit::judge(subject, ran),
        Ask::Log { pattern } => log::judge(pattern, ran),
        Ask::Tls { .. } => Verdict::Unseen("the fetcher brought words to a check that needs a connection".into()),
    }
}

fn misfetched() -> Verdict {
    Verdict::Unseen("the fetcher brought a connection to a check that needs words".into())
}

/// The check in a few words, as plans and events show it.
#[must_use]
pub fn title(check: &Check) -> String {
    let from = if check.from == From::Host { " from the host" } else { "" };
    match &check.ask {
        Ask::Http(http) => {
            let scheme = if http.tls.is_some() { "https" } else { "http" };
            format!("{scheme} :{}{}{from}", http.port, shown::shown(http.path.as_bytes()))
        }
        Ask::Tcp { port } => format!("tcp :{port}{from}"),
        Ask::Tls { port, .. } => format!("tls :{port}"),
        Ask::Command { words } => {
            let line = Cmd::from_words(words.clone()).map(|cmd| cmd.line()).unwrap_or_default();
            format!("command {}", shown::shown(line.as_bytes()))
        }
        Ask::Unit => "unit".into(),
        Ask::Log { pattern } => format!("log /{}/", shown::shown(pattern.as_bytes())),
    }
}
