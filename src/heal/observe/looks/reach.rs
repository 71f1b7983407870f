//! reach: whether the host can be reached, logged in to, and looked at as the registry wants.

use std::time::Duration;

use crate::deploy::Unseen;
use crate::heal::observe::scene::Scene;
use crate::heal::{Observation, Sight};
use crate::transport::Lost;

/// The name of the look; it is the only one that is taken without an exec.
pub(in crate::heal::observe) const NAME: &str = "reach";

/// What the attempt to look at the host says of the way to it.
pub(in crate::heal::observe) fn reach(scene: &Scene<'_>, lost: Option<&Unseen>) -> Observation {
    let one = Observation::host(NAME, &scene.host.name);
    let Some(lost) = lost else { return one.good("it can be reached and looked at") };
    let kind = match lost {
        Unseen::Lost(lost) => kind(lost),
        Unseen::Answer(_) | Unseen::Script { .. } => "answer",
    };
    let one = match lost {
        Unseen::Lost(lost) => waited(lost).map_or(one.clone(), |time| one.with(WAITED, time.as_secs_f64())),
        Unseen::Answer(_) | Unseen::Script { .. } => one,
    };
    one.with("kind", kind).bad(lost.to_string())
}

/// For how many seconds the host was given the chance to answer, and said nothing.
const WAITED: &str = "waited";

fn waited(lost: &Lost) -> Option<Duration> {
    match lost {
        Lost::TimedOut { after, .. } | Lost::Overdue { after, .. } | Lost::Silent { after } => Some(*after),
        Lost::Jump { why, .. } => waited(why),
        _ => None,
    }
}

/// For how long a host said nothing, if that is what is wrong with it.
pub(in crate::heal) fn silence(one: &Observation) -> Option<Duration> {
    let waited = one.values.get(WAITED).filter(|_| one.look == NAME && one.sight == Sight::Bad)?;
    Duration::try_from_secs_f64(waited.parse().ok()?).ok()
}

/// The kinds of ways to lose a host, for playbooks.
fn kind(lost: &Lost) -> &'static str {
    match lost {
        Lost::Resolve { .. } => "resolve",
        Lost::Refused { .. } => "refused",
        Lost::Unreachable { .. } => "unreachable",
        Lost::TimedOut { .. } | Lost::Overdue { .. } | Lost::Silent { .. } => "silent",
        Lost::HostKey(_) => "key",
        Lost::Authentication { .. } => "login",
        Lost::NoShell { .. } => "shell",
        Lost::SudoMissing { .. } | Lost::SudoPassword { .. } | Lost::SudoRefused { .. } => "sudo",
        Lost::Link { .. } | Lost::Busy { .. } | Lost::Channel { .. } => "link",
        Lost::Jump { .. } => "jump",
        Lost::Config(..) | Lost::Local(_) | Lost::TooLong { .. } | Lost::TooMuch { .. } => "ours",
    }
}
