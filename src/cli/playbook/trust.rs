//! `portoser playbook promote`, `demote` and `rm`: a person's word on what was learned.

use crate::cli::playbook::{anywhere, learned};
use crate::cli::{Exit, Face, Failure, prompt, safe};
use crate::heal::learn::{Noted, restate};
use crate::heal::playbook::{State, word};
use crate::model::FailureKind;
use crate::registry::remove;

/// Let what was learned act wherever its risk may
#[derive(Debug, clap::Args)]
pub(super) struct Promote {
    /// Its name
    name: String,
}

/// Trust what was learned less: what is promoted becomes a draft, and a draft is not applied any more
#[derive(Debug, clap::Args)]
pub(super) struct Demote {
    /// Its name
    name: String,
}

/// Forget what was learned: its file is removed
#[derive(Debug, clap::Args)]
pub(super) struct Rm {
    /// Its name
    name: String,
}

impl Promote {
    pub(super) fn run(self, face: &Face) -> Result<Exit, Failure> {
        state(face, &self.name, |_| State::Promoted)
    }
}

impl Demote {
    pub(super) fn run(self, face: &Face) -> Result<Exit, Failure> {
        state(face, &self.name, |state| if state == State::Promoted { State::Draft } else { State::Retired })
    }
}

fn state(face: &Face, name: &str, next: impl Fn(State) -> State) -> Result<Exit, Failure> {
    let library = anywhere(face)?;
    let (learned, file) = learned(&library, name)?;
    let Noted { state, .. } = restate(file, next(learned.state))?;
    if state != next(learned.state) {
        return Err(Failure::say(FailureKind::Refused, format!("{} was left as it is", file.display()))
            .hint("set its `state` by hand, on a line of its own"));
    }
    face.talk(safe(&format!("{name}: {}", word(state))));
    Ok(Exit::DONE)
}

impl Rm {
    pub(super) fn run(self, face: &Face) -> Result<Exit, Failure> {
        let library = anywhere(face)?;
        let (_, file) = learned(&library, &self.name)?;
        if !face.flags.yes {
            let refuse = || Failure::say(FailureKind::Refused, format!("{} was not removed", file.display()));
            let question = format!("remove {}?", file.display());
            if !face.can_ask() || !prompt::agrees(&question) {
                return Err(refuse().hint("give --yes to remove it"));
            }
        }
        remove(file)?;
        face.talk(safe(&format!("removed {}", file.display())));
        Ok(Exit::DONE)
    }
}
