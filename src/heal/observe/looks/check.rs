//! check: what the service's own checks say.

use crate::check::{Verdict, title};
use crate::heal::Observation;
use crate::heal::observe::scene::{About, Heard, Look, Scene, none};
use crate::heal::sight::STARTING;
use crate::model::Ask;

pub(super) const LOOK: Look = Look { name: "check", about: About::Service, shell: "", calls: none, judge };

fn judge(scene: &Scene<'_>, heard: &Heard) -> Vec<Observation> {
    let mut found = Vec::new();
    for placed in &scene.services {
        let starting = heard.starting(placed);
        for (_, check, verdict) in heard.verdicts.iter().filter(|(name, ..)| *name == placed.service.name) {
            let kind = match &check.ask {
                Ask::Http(_) => "http",
                Ask::Tcp { .. } => "tcp",
                Ask::Tls { .. } => "tls",
                Ask::Command { .. } => "command",
                Ask::Unit => "unit",
                Ask::Log { .. } => "log",
            };
            let title = title(check);
            let says = format!("{title}: {}", verdict.says());
            let one = scene.of(&LOOK, placed).of(title).with("kind", kind).saying(verdict.evidence().to_vec());
            found.push(match verdict {
                Verdict::Good(_) => one.good(says),
                Verdict::Bad(_) if is_closed(heard, &check.ask) && starting.is_some() => {
                    let why = starting.as_deref().unwrap_or_default();
                    one.with("state", STARTING).unseen(format!("{says}; {why}"))
                }
                Verdict::Bad(_) => one.bad(says),
                Verdict::Unseen(_) => one.unseen(says),
            });
        }
    }
    found
}

/// Whether a check asks a port on which nobody listens.
fn is_closed(heard: &Heard, ask: &Ask) -> bool {
    let Some(port) = ask.port() else { return false };
    heard.found.listeners.as_ref().is_some_and(|all| !all.contains_key(&port))
}
