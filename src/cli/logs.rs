//! `portoser logs`: what services say, from all their hosts.

use std::time::Duration;

use serde_json::json;

use crate::cli::deploy::Which;
use crate::cli::stream::{Lines, code, print};
use crate::cli::{Exit, Face, Failure, render, session};
use crate::deploy::{Heard, LogTerms, Turns, logs, side_by_side, unless_stopped};
use crate::model::FailureKind;
use crate::registry::parse_duration;

/// Show what services say, from all their hosts
#[derive(Debug, clap::Args)]
pub(super) struct Logs {
    #[command(flatten)]
    which: Which,
    /// Go on showing what is said, until Ctrl-C
    #[arg(long, short)]
    follow: bool,
    /// Only what was said in this time; supervised processes keep no times, so it does not apply to them
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    since: Option<Duration>,
    /// How many of the last lines are shown, of each service on each host
    #[arg(long, short = 'n', value_name = "N", default_value_t = 100)]
    lines: u32,
}

impl Logs {
    pub(super) fn run(self, face: &Face) -> Result<Exit, Failure> {
        let terms = LogTerms { lines: self.lines, since: self.since, follow: self.follow };
        let selection = self.which.selection();
        let app = session::look(face)?;
        let run = app.run_id();
        session::passing(&app, async |stop| {
            let (ground, mut events) = app.ground(&run, "logs", stop.soon.clone());
            events.close();
            let all =
                unless_stopped(&stop.soon, logs(&ground, &selection, terms)).await.ok_or_else(session::stopped)?;
            let all = all.map_err(|fault| session::failed("looking for logs", &fault))?;
            session::tell_idle(face, &app.registry, &selection);
            if all.is_empty() {
                return Err(Failure::say(FailureKind::Usage, "none of these services is on its hosts")
                    .hint("see `portoser status`"));
            }
            let labels: Vec<String> = all.iter().map(|words| words.label.clone()).collect();
            let width = labels.iter().map(String::len).max().unwrap_or_default();
            let mut lines: Vec<(Lines, Lines)> = labels.iter().map(|_| Default::default()).collect();
            let mut worst = 0;
            let say = |number: usize, line: &str| {
                let label: &str = &labels[number];
                if face.flags.json || face.flags.events {
                    face.json_line(&json!({ "from": label, "line": line }));
                } else {
                    let prefix = if labels.len() > 1 { format!("{label:<width$} | ") } else { String::new() };
                    print(face, &prefix, line);
                }
            };
            let (_tasks, mut heard) = side_by_side(&ground, all, Turns::ToTheStart);
            loop {
                let Some(piece) = unless_stopped(&stop.soon, heard.recv()).await else {
                    return Ok(Exit(FailureKind::Interrupted.code()));
                };
                let Some((number, piece)) = piece else { break };
                let Some(_screen) = unless_stopped(&stop.soon, render::screen()).await else {
                    return Ok(Exit(FailureKind::Interrupted.code()));
                };
                if face.data_closed() {
                    return Ok(Exit::DONE);
                }
                let (out, err) = &mut lines[number];
                match piece {
                    Heard::Out(bytes) => out.push(&bytes).iter().for_each(|line| say(number, line)),
                    Heard::Err(bytes) => err.push(&bytes).iter().for_each(|line| warn(face, &labels[number], line)),
                    Heard::End(end) => {
                        out.rest().iter().for_each(|line| say(number, line));
                        err.rest().iter().for_each(|line| warn(face, &labels[number], line));
                        worst = worst.max(if code(&end) == 0 { 0 } else { FailureKind::Internal.code() });
                    }
                    Heard::Lost(cut) => {
                        warn(face, &labels[number], &format!("{} (hint: {})", cut.why, cut.hint));
                        worst = worst.max(cut.kind().code());
                    }
                }
            }
            Ok(Exit(worst))
        })
    }
}

fn warn(face: &Face, label: &str, line: &str) {
    face.warn(crate::cli::safe(&format!("{label}: {line}")));
}
