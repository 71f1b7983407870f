//! `portoser start`, `stop`, `restart`, `reload` and `remove`: what is asked of services that are on their hosts already.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::cli::deploy::Which;
use crate::cli::{Exit, Face, Failure, block_on, session};
use crate::deploy::{
    Fault, Ground, Pace, Prepared, SelectFault, Selection, Terms, TurnRequest, deploy, prepare_turn, select, verdict,
};
use crate::model::{FailureKind, HostName, RunId, ServiceName, UnitChange};
use crate::plan::Turn;
use crate::registry::{Batch, parse_duration};

/// What the five verbs take.
#[derive(Debug, clap::Args)]
struct Common {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    ways: Ways,
}

/// How a turn is carried out.
#[derive(Debug, clap::Args)]
pub(super) struct Ways {
    /// How long to wait for a host that another run has locked
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = parse_duration)]
    pub(super) wait_lock: Duration,
    /// Approve a change to what the registry protects, by its name
    #[arg(long, value_name = "NAME")]
    pub(super) approve: Vec<String>,
    /// Go on with the hosts that can be seen, and end with 4; without it, one unseen host keeps all others as they are
    #[arg(long)]
    pub(super) skip_unseen: bool,
}

macro_rules! turns {
    ($($(#[$doc:meta])+ $verb:ident, $name:literal, $turn:expr;)*) => {
        const TURNS: &[(&str, Turn)] = &[$(($name, $turn)),*];
        $(
            $(#[$doc])+
            #[derive(Debug, clap::Args)]
            pub(super) struct $verb {
                #[command(flatten)]
                common: Common,
            }

            impl $verb {
                pub(super) fn run(self, face: &Face) -> Result<Exit, Failure> {
                    let Common { which, ways } = self.common;
                    carry(face, which.selection(), ways, ($name, $turn), None)
                }
            }
        )*
    };
}

turns! {
    /// Start services that are on their hosts, what they need first, and ask their checks
    Start, "start", Turn::Change(UnitChange::Start);
    /// Stop services, those that need others first
    ///
    /// With --host, also services which the registry does not put there, or not any more.
    Stop, "stop", Turn::Change(UnitChange::Stop);
    /// Restart services that are on their hosts, and ask their checks
    Restart, "restart", Turn::Change(UnitChange::Restart);
    /// Let services read their configuration again, and ask their checks
    Reload, "reload", Turn::Change(UnitChange::Reload);
    /// Take services from their hosts; what they keep in their shared folder stays
    ///
    /// With --host, also services which the registry does not put there, or not any more.
    Remove, "remove", Turn::Remove;
}

/// A run that is gone on with, and where it was at its end already.
pub(super) struct Resumed {
    pub(super) run: RunId,
    pub(super) done: BTreeSet<(ServiceName, HostName)>,
}

/// The turn of a verb.
pub(super) fn named(verb: &str) -> Option<(&'static str, Turn)> {
    TURNS.iter().find(|(name, _)| *name == verb).copied()
}

/// Plans a turn and carries it out. It may go on with a run that came to no end.
pub(super) fn carry(
    face: &Face,
    selection: Selection,
    ways: Ways,
    (verb, turn): (&'static str, Turn),
    resumes: Option<Resumed>,
) -> Result<Exit, Failure> {
    let Ways { wait_lock, approve, skip_unseen } = ways;
    let said = serde_json::json!({
        "services": selection.services, "all": selection.all, "labels": selection.labels,
        "hosts": selection.hosts, "with_needs": selection.with_needs,
        "skip_unseen": skip_unseen,
    });
    let mut app = session::open(face)?;
    app.wait_lock = wait_lock;
    let (resumes, done) = resumes.map(|Resumed { run, done }| (run, done)).unzip();
    app.resumes = resumes;
    let wanted = TurnRequest { turn, skip_unseen, done: done.unwrap_or_default(), mends: BTreeMap::new() };
    let run = app.run_id();
    // A restart goes over the hosts as a deploy does; the others need no such care.
    let batch = (turn != Turn::Change(UnitChange::Restart)).then_some(Batch::Percent(100));
    let terms = Terms {
        run: run.clone(),
        pace: Pace { batch, max_fail: None, keep: true },
        second_look: None,
        treatment: None,
        rescue: None,
    };
    let job = async |ground: Arc<Ground>| {
        let fault = |fault: Fault| {
            // What is ended is looked for on each host that is named.
            let named = if turn.ends() { selection.hosts.len() } else { 0 };
            let all = select(&ground.registry, &selection).map_or(0, |(_, hosts)| hosts.len()).max(named);
            let stray = turn.ends() && selection.hosts.is_empty();
            let stray = stray && matches!(&fault, Fault::Select(SelectFault::Service(..)));
            let stray = stray.then(|| "give --host for a service that only its host knows".to_owned());
            let some = matches!(&fault, Fault::Unseen(hosts) if !skip_unseen && hosts.len() < all);
            let skip = some.then(|| "nothing was touched; --skip-unseen goes on with the other hosts".to_owned());
            session::failed(verb, &fault).hints(stray).hints(skip)
        };
        let prepared = prepare_turn(&ground, &selection, wanted).await.map_err(fault)?;
        let skipped = prepared.skipped.clone();
        if turn == Turn::Remove {
            confirm(face, &prepared).await?;
        }
        session::approve(face, &app, prepared.plan.moving().map(|change| &change.service), &approve).await?;
        let (ended, _) = deploy(&ground, prepared, &terms).await.map_err(fault)?;
        if skipped.is_empty() || verdict(&ended, ground.stop.is_cancelled()).is_some() {
            return Ok(ended);
        }
        let names: Vec<String> = skipped.iter().map(|host| format!("`{host}`")).collect();
        let says = format!("{verb} was not done on {}, which cannot be seen", names.join(", "));
        Err(Failure::say(FailureKind::Unreachable, says).hint("run it again when they can be reached"))
    };
    block_on(async |stop| session::carry(face, &app, (&run, verb), said, stop, job).await)?
}

/// A removal is confirmed by typing the service's name (or how many places it is taken from), or with `--yes`.
async fn confirm(face: &Face, prepared: &Prepared) -> Result<(), Failure> {
    let changes = &prepared.plan.changes;
    if face.flags.yes || changes.is_empty() {
        return Ok(());
    }
    let places: Vec<String> = changes.iter().map(|change| format!("{} on {}", change.service, change.host)).collect();
    let refuse = || {
        Failure::say(FailureKind::Refused, format!("not removed: {}", places.join(", "))).hint("give --yes to remove")
    };
    if !face.can_ask() {
        return Err(refuse());
    }
    let one = changes.iter().all(|change| change.service == changes[0].service);
    let (what, word) =
        if one { ("its name", changes[0].service.to_string()) } else { ("their number", places.len().to_string()) };
    let question = format!("remove {}? type {what} (`{word}`) to go on", places.join(", "));
    if session::typed(question, &word).await? { Ok(()) } else { Err(refuse()) }
}
