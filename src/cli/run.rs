//! `portoser run`: words on several hosts, and how they ended.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::cli::list::label;
use crate::cli::render::duration;
use crate::cli::stream::{Lines, code, print};
use crate::cli::table::table;
use crate::cli::{Exit, Face, Failure, Stop, render, safe, session};
use crate::deploy::{Cut, Ground, Heard, Turns, Words, side_by_side, unless_stopped};
use crate::model::{Cmd, FailureKind, HostName};
use crate::registry::{Registry, parse_duration};
use crate::transport::End;

/// Run words on hosts, side by side, and show how they ended
///
/// They run as root where the registry says `become: sudo`. Ends with 0 when they ended so on every host, with 4 when a host
/// could not be reached, and else with the highest exit code; words that ran longer than `--timeout` are ended on the host, and count
/// as 5.
#[derive(Debug, clap::Args)]
pub(super) struct Run {
    /// On this host; may be given several times
    #[arg(long, value_name = "HOST")]
    host: Vec<HostName>,
    /// On hosts that carry this label, of those that `--host` names; may be given several times
    #[arg(long, value_name = "KEY=VALUE", value_parser = label)]
    label: Vec<(String, String)>,
    /// On every host of the registry
    #[arg(long, conflicts_with_all = ["host", "label"])]
    all: bool,
    /// As the login user, whatever the registry says
    #[arg(long)]
    plain: bool,
    /// How long the words may run
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = parse_duration)]
    timeout: Duration,
    /// The words, after `--`
    #[arg(last = true, required = true, value_name = "WORDS")]
    words: Vec<String>,
}

/// What came of it on one host.
#[derive(Debug, Default)]
pub(super) struct Ran {
    ended: Option<Result<End, Cut>>,
    took: Duration,
    out: Vec<String>,
    err: Vec<String>,
    open: (Lines, Lines),
}

impl Run {
    pub(super) fn run(self, face: &Face) -> Result<Exit, Failure> {
        let app = session::look(face)?;
        let hosts = self.hosts(&app.registry)?;
        let Some(cmd) = Cmd::from_words(self.words) else {
            return Err(Failure::say(FailureKind::Usage, "the first word is empty"));
        };
        let cmd = cmd.within(self.timeout);
        let words = hosts.iter().map(|host| Words {
            label: host.to_string(),
            host: host.clone(),
            cmd: cmd.clone(),
            root: !self.plain,
        });
        let words: Vec<Words> = words.collect();
        let run = app.run_id();
        let results = session::passing(&app, async |stop| {
            let (ground, mut events) = app.ground(&run, "run", stop.soon.clone());
            events.close();
            Ok(gather(face, &ground, words, stop).await)
        })?;
        show(face, &hosts, &results);
        Ok(exit(&results))
    }

    fn hosts(&self, registry: &Registry) -> Result<Vec<HostName>, Failure> {
        for name in &self.host {
            if !registry.hosts.contains_key(name) {
                let known = registry.hosts.keys().map(|name| name.as_str());
                return Err(crate::cli::registry::unknown("host", name.as_str(), known));
            }
        }
        if registry.hosts.is_empty() || !(self.all || !self.host.is_empty() || !self.label.is_empty()) {
            return Err(Failure::say(FailureKind::Usage, "no host is meant")
                .hint("give --host, --label or --all; `portoser list --hosts` shows the hosts"));
        }
        // As for `deploy`, each flag leaves out more.
        let meant = |host: &&crate::registry::Host| {
            let carries = self.label.iter().all(|(key, value)| host.labels.get(key) == Some(value));
            carries && (self.host.is_empty() || self.host.contains(&host.name))
        };
        let hosts: Vec<_> = registry.hosts.values().filter(meant).map(|host| host.name.clone()).collect();
        if hosts.is_empty() {
            let all: Vec<String> = self.label.iter().map(|(key, value)| format!("{key}={value}")).collect();
            let which = if self.host.is_empty() { "no host carries" } else { "none of these hosts carries" };
            let says = format!("{which} the labels {}", all.join(", "));
            return Err(Failure::say(FailureKind::Usage, says).hint("see `portoser list --hosts`"));
        }
        Ok(hosts)
    }
}

pub(super) async fn gather(face: &Face, ground: &std::sync::Arc<Ground>, words: Vec<Words>, stop: &Stop) -> Vec<Ran> {
    let labels: Vec<String> = words.iter().map(|words| words.label.clone()).collect();
    let width = labels.iter().map(String::len).max().unwrap_or_default();
    let mut results: Vec<Ran> = labels.iter().map(|_| Ran::default()).collect();
    let json = face.flags.json || face.flags.events;
    let began = Instant::now();
    let (_tasks, mut heard) = side_by_side(ground, words, Turns::ToTheEnd);
    loop {
        let Some(Some((number, piece))) = unless_stopped(&stop.soon, heard.recv()).await else { return results };
        // One host may be asked about while another one answers.
        let Some(_screen) = unless_stopped(&stop.soon, render::screen()).await else { return results };
        let result = &mut results[number];
        let say = |line: &str| {
            if !json {
                print(face, &format!("{:<width$} | ", labels[number]), line);
            }
        };
        let (out, err) = match piece {
            Heard::Out(bytes) => (result.open.0.push(&bytes), Vec::new()),
            Heard::Err(bytes) => (Vec::new(), result.open.1.push(&bytes)),
            Heard::End(end) => {
                result.ended = Some(Ok(end));
                (result.open.0.rest().into_iter().collect(), result.open.1.rest().into_iter().collect())
            }
            Heard::Lost(cut) => {
                result.ended = Some(Err(cut));
                (Vec::new(), Vec::new())
            }
        };
        result.took = began.elapsed();
        out.iter().for_each(|line| say(line));
        if !json {
            err.iter().for_each(|line| crate::cli::face::say(&safe(&format!("{:<width$} ! {line}", labels[number]))));
        }
        // Only the document shows them again.
        if json {
            result.out.extend(out);
            result.err.extend(err);
        }
    }
}

fn show(face: &Face, hosts: &[HostName], results: &[Ran]) {
    if face.flags.json || face.flags.events {
        let all = hosts.iter().zip(results).map(|(host, result)| {
            let (code, why) = match &result.ended {
                Some(Ok(end)) => (Some(code(end)), None),
                Some(Err(cut)) => (None, Some(cut.why.as_str())),
                None => (None, Some("stopped")),
            };
            json!({
                "host": host, "code": code, "why": why, "took": result.took.as_secs_f64(), "out": result.out,
                "err": result.err,
            })
        });
        face.document(&json!({ "hosts": all.collect::<Vec<_>>() }));
        return;
    }
    let row = |(host, result): (&HostName, &Ran)| {
        let ended = match &result.ended {
            Some(Ok(End::Code(0))) => "ok".into(),
            Some(Ok(End::Code(code))) => format!("exit {code}"),
            Some(Ok(End::Signal(signal))) => signal.clone(),
            Some(Err(cut)) => format!("failed: {}", cut.why),
            None => "stopped".into(),
        };
        [host.to_string(), duration(result.took), ended]
    };
    table(face, ["HOST", "TOOK", "RESULT"], &hosts.iter().zip(results).map(row).collect::<Vec<_>>());
    let mut hints: Vec<&str> =
        results.iter().filter_map(|result| Some(result.ended.as_ref()?.as_ref().err()?.hint.as_str())).collect();
    face.flush();
    hints.sort_unstable();
    hints.dedup();
    hints.iter().for_each(|hint| face.talk(safe(&format!("hint: {hint}"))));
}

fn exit(results: &[Ran]) -> Exit {
    if results.iter().any(|result| result.ended.is_none()) {
        return Exit(FailureKind::Interrupted.code());
    }
    if results.iter().any(|result| matches!(&result.ended, Some(Err(cut)) if !cut.overdue)) {
        return Exit(FailureKind::Unreachable.code());
    }
    let one = |ended: &Result<End, Cut>| ended.as_ref().map_or_else(|cut| cut.kind().code(), code);
    Exit(results.iter().filter_map(|result| result.ended.as_ref()).map(one).max().unwrap_or_default())
}
