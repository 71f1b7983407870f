//! The words of a run: a line for what happened, and the live line of what is being done. Pure.

use crate::cli::render::board::{Board, Row};
use crate::cli::render::measure::{duration, short};
use crate::cli::render::safe;
use crate::model::{Event, HostName, Outcome, RunId, ServiceName, size};

/// The first word of a line; it says what the colour says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    None,
    Same,
    Done,
    Skip,
    Wait,
    Fail,
    Back,
    Bad,
}

impl Mark {
    fn word(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Same => "same",
            Self::Done => "done",
            Self::Skip => "skip",
            Self::Wait => "wait",
            Self::Fail => "fail",
            Self::Back => "back",
            Self::Bad => "BAD",
        }
    }

    /// The colour, as the parameters of an SGR sequence (ECMA-48, 8.3.117).
    fn color(self) -> &'static str {
        match self {
            Self::None | Self::Same | Self::Skip => "2",
            Self::Done => "32",
            Self::Wait | Self::Back => "33",
            Self::Fail | Self::Bad => "1;31",
        }
    }
}

/// How the words are set.
#[derive(Clone, Copy, Debug)]
pub(super) struct Style {
    pub(super) color: bool,
    /// How often `-v` was given.
    pub(super) verbose: u8,
    /// Whether only failures are told.
    pub(super) quiet: bool,
}

impl Style {
    pub(super) fn paint(self, color: &str, text: &str) -> String {
        if self.color { format!("\x1b[{color}m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn line(
        self,
        board: &Board,
        mark: Mark,
        service: Option<&ServiceName>,
        host: Option<&HostName>,
        text: &str,
    ) -> String {
        let (services, hosts) = board.widths;
        let mark = self.paint(mark.color(), &format!("{:<4}", mark.word()));
        let service = service.map_or("", ServiceName::as_str);
        let host = host.map_or("", HostName::as_str);
        format!("{mark}  {service:<services$}  {host:<hosts$}  {}", safe(text)).trim_end().to_owned()
    }
}

/// The line that stays on the screen for this event, if it is worth one. The board knows the event already.
pub(super) fn line(event: &Event, board: &Board, style: Style) -> Option<String> {
    let (loud, mark, service, host, text) = spoken(event, board)?;
    let wanted = match loud {
        Loud::Failure => true,
        Loud::Usual => !style.quiet,
        Loud::Detail => style.verbose > 0,
        Loud::Everything => style.verbose > 1,
    };
    wanted.then(|| match event {
        Event::Started { .. } => text,
        _ => style.line(board, mark, service, host, &text),
    })
}

/// Who hears it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Loud {
    Failure,
    Usual,
    Detail,
    Everything,
}

type Spoken<'e> = (Loud, Mark, Option<&'e ServiceName>, Option<&'e HostName>, String);

fn spoken<'e>(event: &'e Event, board: &Board) -> Option<Spoken<'e>> {
    let on = |loud, mark, host: &'e HostName, text: String| Some((loud, mark, None, Some(host), text));
    let of = |loud, mark, service: &'e ServiceName, host: &'e HostName, text: String| {
        Some((loud, mark, Some(service), Some(host), text))
    };
    match event {
        Event::Started { run, verb, services, hosts } => {
            Some((Loud::Usual, Mark::None, None, None, started(run, verb, services, hosts)))
        }
        Event::Looking { .. } | Event::Found { .. } | Event::Finished { .. } => None,
        Event::Looked { host, took } => on(Loud::Detail, Mark::None, host, format!("looked at in {}", duration(*took))),
        Event::Settling { host, run } => {
            on(Loud::Usual, Mark::Wait, host, format!("run {run} left something unfinished; settling it"))
        }
        Event::Settled { host, run, outcome } => {
            on(Loud::Usual, Mark::None, host, format!("run {run} is settled: {}", settled(*outcome)))
        }
        Event::Waiting { host, holder } => {
            on(Loud::Usual, Mark::Wait, host, format!("the lock is held by {holder}; waiting in the queue"))
        }
        Event::Locked { host } => on(Loud::Everything, Mark::None, host, "the lock is ours".into()),
        Event::Sending { host, bytes: amount } => {
            let loud = if *amount >= 1 << 20 { Loud::Usual } else { Loud::Detail };
            on(loud, Mark::None, host, format!("sending {}", size(*amount)))
        }
        Event::Step { host, service, number, of: all, what } => {
            of(Loud::Detail, Mark::None, service, host, format!("{number}/{all} {what}"))
        }
        Event::Switched { host, service, release } => {
            let text = match release {
                Some(release) => format!("switched to {}, not yet proven", short(release)),
                None => "switched, not yet proven".into(),
            };
            of(Loud::Usual, Mark::None, service, host, text)
        }
        Event::Checked { host, service, check, good, says } => {
            let word = if *good { "good" } else { "not good" };
            of(Loud::Detail, Mark::None, service, host, format!("{check} is {word}: {says}"))
        }
        Event::Soaking { host, service, until } => {
            of(Loud::Detail, Mark::None, service, host, format!("healthy; must stay so for {}", duration(*until)))
        }
        Event::Proven { host, service, took } => {
            of(Loud::Detail, Mark::None, service, host, format!("proven after {}", duration(*took)))
        }
        Event::Failed { host, service, error, .. } => {
            Some((Loud::Failure, Mark::Fail, service.as_ref(), Some(host), error.clone()))
        }
        Event::Undoing { host, service, why } => {
            of(Loud::Usual, Mark::Wait, service, host, format!("going back: {why}"))
        }
        Event::Ended { host, service, outcome, .. } => {
            let (mark, loud) = mark(*outcome);
            of(loud, mark, service, host, board.at(service, host).map(|row| now(row, &board.verb)).unwrap_or_default())
        }
        Event::Note { host, text } => Some((Loud::Usual, Mark::None, None, host.as_ref(), text.clone())),
    }
}

fn started(run: &RunId, verb: &str, services: &[ServiceName], hosts: &[HostName]) -> String {
    let list = |names: Vec<&str>, many: &str| match names.len() {
        0 => format!("no {many}"),
        1..=4 => names.join(", "),
        number => format!("{number} {many}"),
    };
    let services = list(services.iter().map(ServiceName::as_str).collect(), "services");
    let hosts = list(hosts.iter().map(HostName::as_str).collect(), "hosts");
    format!("run {run}: {} {services} on {hosts}", safe(verb))
}

fn mark(outcome: Outcome) -> (Mark, Loud) {
    match outcome {
        Outcome::NothingToDo => (Mark::Same, Loud::Usual),
        Outcome::Committed => (Mark::Done, Loud::Usual),
        Outcome::NotTouched => (Mark::Skip, Loud::Usual),
        Outcome::Unhealthy => (Mark::Bad, Loud::Failure),
        Outcome::RolledBack => (Mark::Back, Loud::Failure),
        Outcome::RollbackFailed => (Mark::Bad, Loud::Failure),
    }
}

fn settled(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::NothingToDo | Outcome::NotTouched => "it had changed nothing",
        Outcome::Committed | Outcome::Unhealthy => "its change is kept",
        Outcome::RolledBack => "the old state is back",
        Outcome::RollbackFailed => "the old state is not proven back",
    }
}

/// Whether the runs of a verb are remedies.
pub(in crate::cli) fn heals(verb: &str) -> bool {
    matches!(verb, "heal" | "sweep" | "watch" | "fix")
}

/// What state a service on a host is in now.
pub(super) fn now(row: &Row, verb: &str) -> String {
    let release = row.after.as_ref().map(short);
    let turned = match (verb, row.outcome) {
        ("start", Some(Outcome::NothingToDo)) => "runs already",
        ("stop" | "drain", Some(Outcome::NothingToDo)) => "does not run",
        ("start", Some(Outcome::Committed)) => "started, and healthy",
        ("restart", Some(Outcome::Committed)) => "restarted, and healthy",
        ("reload", Some(Outcome::Committed)) => "reloaded, and healthy",
        ("stop" | "drain", Some(Outcome::Committed)) => "stopped",
        ("remove", Some(Outcome::Committed)) => "removed",
        (verb, Some(Outcome::Committed)) if heals(verb) => "remedy kept: a second look says that it helped",
        (verb, Some(Outcome::RolledBack | Outcome::Unhealthy)) if heals(verb) => {
            "it did not help; what has a way back was undone"
        }
        _ => "",
    };
    if !turned.is_empty() {
        return turned.into();
    }
    let proven = row.proven.map(|took| format!(", proven in {}", duration(took))).unwrap_or_default();
    match (row.outcome, release) {
        (None, _) => "its end was not seen".into(),
        (Some(Outcome::NothingToDo), Some(release)) => format!("{release} in place and proven"),
        (Some(Outcome::NothingToDo), None) => "in place and proven".into(),
        (Some(Outcome::Unhealthy), _) => "not healthy".into(),
        (Some(Outcome::NotTouched), _) => "not touched".into(),
        (Some(Outcome::RollbackFailed), _) => "the old version is not proven back".into(),
        (Some(Outcome::RolledBack), Some(release)) => format!("{release} is back and proven"),
        (Some(Outcome::RolledBack), None) => "was not there before, and is gone again".into(),
        (Some(Outcome::Committed), after) => match (row.before.as_ref().map(short), after) {
            (Some(before), Some(after)) if before == after && row.switched => format!("{after} again{proven}"),
            (Some(before), Some(after)) if before == after => {
                format!("{after} goes on, its checks and hooks are new{proven}")
            }
            (Some(before), Some(after)) => format!("{before} -> {after}{proven}"),
            (None, Some(after)) => format!("new {after}{proven}"),
            (Some(before), None) => format!("{before} removed{proven}"),
            (None, None) => format!("done{proven}"),
        },
    }
}

/// What the live row of a service or host says about this event; empty: the row is not needed any more.
pub(super) fn doing(event: &Event) -> Option<(Option<&ServiceName>, &HostName, String)> {
    let text = |text: &str| safe(text).into_owned();
    Some(match event {
        Event::Looking { host } => (None, host, "looking".into()),
        Event::Looked { host, .. } | Event::Locked { host } | Event::Settled { host, .. } => {
            (None, host, String::new())
        }
        Event::Settling { host, run } => (None, host, format!("settling run {run}")),
        Event::Waiting { host, holder } => (None, host, text(&format!("waiting for the lock of {holder}"))),
        Event::Sending { host, bytes: amount } => (None, host, format!("sending {}", size(*amount))),
        Event::Step { host, service, number, of, what } => {
            (Some(service), host, text(&format!("{number}/{of} {what}")))
        }
        Event::Switched { host, service, .. } => (Some(service), host, "waiting for its checks".into()),
        Event::Checked { host, service, check, says, .. } => (Some(service), host, text(&format!("{check}: {says}"))),
        Event::Soaking { host, service, until } => {
            (Some(service), host, format!("healthy; must stay so for {}", duration(*until)))
        }
        Event::Undoing { host, service, why } => (Some(service), host, text(&format!("going back: {why}"))),
        Event::Ended { host, service, .. } => (Some(service), host, String::new()),
        Event::Failed { host, service: None, .. } => (None, host, String::new()),
        _ => return None,
    })
}
