//! How a run is begun and followed: the command to start on the host, and what to send to it.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::host::run::payload::{self, Compression, Payload, PayloadError};
use crate::host::run::render::longest;
use crate::host::run::{HostRun, Tree};
use crate::model::{Cmd, RunId, random};

const IDENTITY: &str = include_str!("sh/identity.sh");
const FOLLOW: &str = include_str!("sh/follow.sh");
const RECEIVE: &str = include_str!("sh/receive.sh");
const PEEK: &str = include_str!("sh/peek.sh");

/// What to start on the host, and what to send to its standard input at once. Orders may follow when the host has said
/// `Report::Received`, or at once where there is no payload. May be sent once more when the link was lost before that: the host
/// takes it in once, and then follows the run.
#[derive(Clone, Debug)]
pub struct Opening {
    pub cmd: Cmd,
    pub payload: Payload,
}

/// Begins a run.
///
/// # Errors
/// When a file of a tree cannot be read or has changed, or when a text of a step cannot be carried.
pub fn open(run: &HostRun, trees: &[Tree], pack: Compression) -> Result<Opening, PayloadError> {
    if run.base.contains('\0') || run.who.contains('\0') {
        return Err(PayloadError::Nul { what: run.base.replace('\0', "\\0") });
    }
    let payload = payload::make(run, trees, pack)?;
    let (size, mark) = (payload.len().to_string(), format!("{:016x}", random()));
    let words = ["runner", run.base.as_str(), run.id.as_str(), &size, pack.word(), &mark].map(str::to_owned);
    let cmd = Cmd::new("sh").args(["-c".to_owned(), format!("{IDENTITY}{FOLLOW}{RECEIVE}")]).args(words);
    Ok(Opening { cmd: cmd.within(longest_run(run)), payload })
}

/// Follows a run that was begun before, from behind the journal's line `seen` (0: from the start). Orders are taken too.
#[must_use]
pub fn attach(base: &str, run: &RunId, seen: u64, within: Duration) -> Opening {
    let script = format!("{IDENTITY}{FOLLOW}exec 4<&0\nfollow \"$1/runs/$2\" \"$3\"\n");
    let words = ["runner", base, run.as_str(), &seen.to_string()].map(str::to_owned);
    let cmd = Cmd::new("sh").args(["-c".to_owned(), script]).args(words);
    Opening { cmd: cmd.within(within), payload: Payload::none() }
}

/// Follows a run as `attach` does, and only watches: no order is taken, nothing that the controller or the run needs is
/// touched, and the follower ends when its standard input does.
#[must_use]
pub fn watch(base: &str, run: &RunId, seen: u64, within: Duration) -> Opening {
    let script = format!("{IDENTITY}{FOLLOW}{WATCH}exec 4<&0\nfollow \"$1/runs/$2\" \"$3\"\n");
    let words = ["runner", base, run.as_str(), &seen.to_string()].map(str::to_owned);
    let cmd = Cmd::new("sh").args(["-c".to_owned(), script]).args(words);
    Opening { cmd: cmd.within(within), payload: Payload::none() }
}

/// In the place of the follower's `orders`.
const WATCH: &str = "orders() { while read -r order <&4; do :; done; rm -f \"$ear\"; kill $$; }\n";

/// Brings runs that stopped in the middle to their end, and does nothing else: a run without stages.
///
/// # Errors
/// As `open`.
pub fn settle(base: &str, id: &RunId, who: &str, wait_lock: Duration) -> Result<Opening, PayloadError> {
    let run = HostRun::stageless(id, base, who, wait_lock);
    open(&run, &[], Compression::None)
}

/// Shell text for the look: defines `peek BASE`, which tells through the look's `say` the lock's holder, the runs that live,
/// and those that stopped in the middle (`holder`, `live`, `unfinished`).
#[must_use]
pub fn peek() -> String {
    format!("{IDENTITY}{PEEK}")
}

/// The runs in an answer of `peek`, each once.
#[must_use]
pub fn peeked(value: &str) -> Vec<RunId> {
    let runs: BTreeSet<RunId> = value.split_whitespace().filter_map(super::wire::run_id).collect();
    runs.into_iter().collect()
}

/// How long a run may take when every wait of it is used up, and settling earlier ones takes its time too.
fn longest_run(run: &HostRun) -> Duration {
    let stages = run.stages.iter().map(|stage| stage.go_within + stage.verdict_within + longest(stage) * 2);
    run.wait_lock + stages.sum::<Duration>() + Duration::from_secs(1800)
}
