//! `portoser fix`: a person's words against what is wrong; what helped is learned.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::cli::diagnose::place;
use crate::cli::heal::{RiskWord, failed as healing_failed};
use crate::cli::playbook::library;
use crate::cli::registry::{service, unknown};
use crate::cli::{Exit, Face, Failure, Flags, block_on, safe, session};
use crate::deploy::Ground;
use crate::heal::playbook::{Deed, Risk};
use crate::heal::{FixFault, Fixed, fix, notify};
use crate::journal::Verdict;
use crate::model::{FailureKind, HostName, ServiceName};
use crate::registry::{Registry, parse_duration};

/// Try words against what is wrong with a service, and learn them when they help
///
/// Looks at the service; runs the words on its host, as root where the registry says so, as a transaction under the host's lock;
/// and looks again. When the problem is gone, the words are written to `playbooks/learned/` beside the registry as a draft, with
/// `{service}`, `{port}`, `{shared}` and the like in the place of what differs, so that the same failure is healed by them elsewhere.
/// Words that did not help are not kept. There is no shell between: give `sh -c '...'` where one is wanted.
#[derive(Debug, clap::Args)]
pub(super) struct Fix {
    /// The service
    service: ServiceName,
    /// The host, where the service is on several
    #[arg(long, value_name = "HOST")]
    host: Option<HostName>,
    /// Restart the service after the words, or start it when it does not run
    #[arg(long)]
    restart: bool,
    /// Words that take it back when it did not help, quoted as for a shell
    #[arg(long, value_name = "WORDS", value_parser = split)]
    undo: Option<Words>,
    /// What it risks when it is done again elsewhere
    #[arg(long, value_name = "RISK", default_value = "disruptive")]
    risk: RiskWord,
    /// How long the words may run
    #[arg(long, value_name = "TIME", default_value = "1m", value_parser = parse_duration)]
    timeout: Duration,
    /// Approve a change to what the registry protects, by its name
    #[arg(long, value_name = "NAME")]
    approve: Vec<String>,
    /// The words, after `--`
    #[arg(last = true, required = true, value_name = "WORDS")]
    words: Vec<String>,
}

#[derive(Clone, Debug)]
struct Words(Vec<String>);

fn split(text: &str) -> Result<Words, String> {
    shlex::split(text).filter(|words| !words.is_empty()).map(Words).ok_or_else(|| "a quote is not closed".to_owned())
}

impl Fix {
    pub(super) fn run(self, face: &Face) -> Result<Exit, Failure> {
        let app = session::open(face)?;
        let host = host(&app.registry, &self.service, self.host)?;
        block_on(async |_| session::approve(face, &app, [&self.service], &self.approve).await)??;
        let library = Arc::new(library(face, &app.registry.file)?);
        let wish = crate::heal::Fix {
            service: self.service,
            host,
            words: self.words,
            undo: self.undo.map(|words| words.0).unwrap_or_default(),
            restart: self.restart,
            risk: self.risk.into(),
            within: self.timeout,
        };
        // Before the run begins: its request is written down with the words in it.
        wish.is_open(&app.registry).map_err(failed)?;
        let run = app.run_id();
        let request = json!({ "services": [&wish.service], "hosts": [&wish.host], "words": wish.words });
        let mut fixed = None;
        let job = async |ground: Arc<Ground>| {
            let done = fix(&ground, &library, &app.journal, &wish).await.map_err(failed)?;
            let told = notify(&ground.registry, &app.journal, (&done.healing, None), app.clock.now()).await;
            let (_, complaints) = told.map_err(healing_failed)?;
            complaints.iter().for_each(|complaint| face.warn(safe(complaint)));
            let ended = judge(&done, !wish.undo.is_empty(), wish.restart);
            fixed = Some(done);
            ended.map(|()| Vec::new())
        };
        let (json, events) = (face.flags.json, face.flags.events);
        let told = Face::new(Flags { json: false, quiet: face.flags.quiet || json, ..face.flags.clone() });
        let ended = block_on(async |stop| session::carry(&told, &app, (&run, "fix"), request, stop, job).await)?;
        if let Some(fixed) = &fixed {
            match (events, json) {
                (true, _) => face.json_line(&json!({ "event": "fixed", "fixed": document(fixed) })),
                (_, true) => face.document(&document(fixed)),
                _ => show(face, fixed),
            }
            // The document says it all; a second one about the failure would not be JSON.
            if json && let Err(failure) = &ended {
                return Ok(Exit(failure.kind().code()));
            }
        }
        ended
    }
}

/// The one host that is meant.
fn host(registry: &Registry, name: &ServiceName, host: Option<HostName>) -> Result<HostName, Failure> {
    let hosts = &service(registry, name.as_str())?.hosts;
    match (host, hosts.as_slice()) {
        (Some(host), _) if hosts.contains(&host) => Ok(host),
        (Some(host), _) => Err(unknown(&format!("host of {name}"), host.as_str(), hosts.iter().map(HostName::as_str))),
        (None, [host]) => Ok(host.clone()),
        (None, _) => {
            let names: Vec<&str> = hosts.iter().map(HostName::as_str).collect();
            Err(Failure::say(FailureKind::Usage, format!("`{name}` is on {}", names.join(", ")))
                .hint(format!("give --host {}", names.first().copied().unwrap_or_default())))
        }
    }
}

fn failed(fault: FixFault) -> Failure {
    let says = fault.to_string();
    match fault {
        FixFault::Deploy(fault) => session::failed("fixing", &fault),
        FixFault::Journal(error) => Failure::from(error),
        FixFault::Well { .. } => Failure::say(FailureKind::Refused, format!("{says}; the words were not run"))
            .hint("`portoser exec` and `portoser run` run words where nothing is wrong"),
        FixFault::Unseen { .. } => Failure::say(FailureKind::Unreachable, says)
            .hint("what is not seen cannot be judged, and nothing is done about it"),
        FixFault::Secret => Failure::say(FailureKind::Refused, format!("{says}, and would be written down"))
            .hint("let the words read it on the host, from the release's environment or a file"),
        FixFault::Not(_) => {
            Failure::say(FailureKind::Refused, says).hint("`portoser diagnose` shows all that was seen")
        }
    }
}

/// Good when a second look says that the problem is gone.
fn judge(fixed: &Fixed, undone: bool, started: bool) -> Result<(), Failure> {
    let at = place(&fixed.problem.host, fixed.problem.service.as_ref());
    let after = "where the service has to be started after the words, give `--restart`";
    let hint = |failure: Failure, says: Option<&str>| {
        let says: Vec<&str> = says.into_iter().chain((!started).then_some(after)).collect();
        if says.is_empty() { failure } else { failure.hint(says.join("; ")) }
    };
    match fixed.verdict {
        Verdict::Helped => Ok(()),
        Verdict::NoHelp if undone => {
            let says = format!("{at}: it did not help, and was taken back");
            Err(hint(Failure::say(FailureKind::RolledBack, says), None))
        }
        Verdict::NoHelp => {
            let says = format!("{at}: it did not help, and nothing was learned");
            let still = "what the words changed is still so; `--undo` takes it back the next time";
            Err(hint(Failure::say(FailureKind::Unhealthy, says), Some(still)))
        }
        Verdict::Failed => {
            Err(Failure::say(FailureKind::RollbackFailed, format!("{at}: it could not be done to its end"))
                .hint("`portoser diagnose` shows how it is now"))
        }
    }
}

fn show(face: &Face, fixed: &Fixed) {
    let line = |text: String| face.data(safe(&text));
    let word = if fixed.verdict == Verdict::Helped { "HEALED" } else { "NO HELP" };
    let at = place(&fixed.problem.host, fixed.problem.service.as_ref());
    line(format!("{word:<8} {at}: {}", fixed.problem.because));
    if let Some(says) = &fixed.says {
        line(format!("         {says}"));
    }
    if let Some(noted) = &fixed.noted {
        let steps: Vec<String> = fixed.steps.iter().map(ToString::to_string).collect();
        line(format!("LEARNED  {}: {}, {:.1} s", noted.name, steps.join(", then "), fixed.took.as_secs_f64()));
        line(format!("         {}", noted.file.display()));
        if fixed.steps.iter().any(|step| step.risk() == Risk::Ask) {
            line("         as it may destroy data, it is only done when a person gives `--risk ask`".to_owned());
        }
    }
}

fn document(fixed: &Fixed) -> Value {
    let steps = fixed.steps.iter().map(Deed::to_string).collect::<Vec<_>>();
    json!({
        "problem": fixed.problem.name, "host": fixed.problem.host, "service": fixed.problem.service,
        "because": fixed.problem.because, "fingerprint": fixed.problem.fingerprint,
        "verdict": fixed.verdict, "seconds": fixed.took.as_secs_f64(), "says": fixed.says, "steps": steps,
        "learned": fixed.noted.as_ref().map(|noted| json!({ "name": noted.name, "file": noted.file, "new": noted.new })),
    })
}
