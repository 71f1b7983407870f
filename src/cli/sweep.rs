//! `portoser sweep`: one pass over everything, for cron.

use std::time::{Duration, Instant};

use crate::cli::deploy::label;
use crate::cli::diagnose::selection;
use crate::cli::heal::go;
use crate::cli::{Exit, Face, Failure, session};
use crate::deploy::Selection;
use crate::heal::Cure;
use crate::journal::Lease;
use crate::model::FailureKind;
use crate::registry::{HealPolicy, Registry, parse_duration};

/// Heal everything once, and say nothing when all is well; for cron
///
/// As `heal`, with what the registry allows and nothing more. Prints nothing when nothing is wrong and all was seen, and nothing
/// that it printed the last time, unless a day has passed or `-v` asks for it: cron mails only news. One sweep of a registry at a
/// time: a second one ends at once with 7. Ends with 8 when something is still wrong, and else with 4 when something could not be
/// seen; what is LATENT, hosts that are cordoned and services that were stopped on purpose do not count.
#[derive(Debug, clap::Args)]
pub(super) struct Sweep {
    /// Services or hosts; everything, if none is named
    #[arg(value_name = "SERVICE|HOST")]
    names: Vec<String>,
    /// Every service and every host, as when none is named
    #[arg(long, conflicts_with = "names")]
    all: bool,
    /// Services that carry this label; may be given several times
    #[arg(long, value_name = "KEY=VALUE", value_parser = label, conflicts_with = "all")]
    label: Vec<(String, String)>,
    /// Do no more than this, whatever the registry allows
    #[arg(long, value_name = "POLICY")]
    heal: Option<PolicyWord>,
    /// How long the pass may take: a host that was not looked at by then is unseen, and no remedy begins any more; one that is under
    /// way is finished or undone
    #[arg(long, value_name = "TIME", default_value = "15m", value_parser = parse_duration)]
    deadline: Duration,
    /// Only say what would be done; it is always said
    #[arg(long)]
    dry_run: bool,
}

impl Sweep {
    pub(super) fn run(self, face: &Face) -> Result<Exit, Failure> {
        // Who only looks is in nobody's way.
        let _lease = if self.dry_run { None } else { Some(lease(face)?) };
        let until = Instant::now().checked_add(self.deadline);
        let cure = Cure {
            risk: None,
            at_most: self.heal.map(HealPolicy::from),
            only_look: self.dry_run,
            until,
            ..Cure::default()
        };
        let select = |registry: &Registry| {
            let mut selection = selection(registry, &self.names)?;
            selection.all &= self.label.is_empty();
            Ok(Selection { labels: self.label.clone(), ..selection })
        };
        go(face, "sweep", select, cure, true)
    }
}

/// A policy as it is typed.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum PolicyWord {
    /// Problems are told
    Observe,
    /// Problems are told, with what would be done
    Suggest,
    /// Remedies without risk are applied
    Safe,
    /// Remedies that interrupt a service are applied, too
    Full,
}

impl From<PolicyWord> for HealPolicy {
    fn from(word: PolicyWord) -> Self {
        match word {
            PolicyWord::Observe => Self::Observe,
            PolicyWord::Suggest => Self::Suggest,
            PolicyWord::Safe => Self::Safe,
            PolicyWord::Full => Self::Full,
        }
    }
}

/// The right to sweep a registry, whatever links lead to its file. One is enough, as each looks at everything.
pub(super) fn lease(face: &Face) -> Result<Lease, Failure> {
    let app = session::open(face)?;
    let file = &app.registry.file;
    let file = file.canonicalize().unwrap_or_else(|_| file.clone());
    app.journal.lease("sweep", &file.to_string_lossy())?.ok_or_else(|| {
        Failure::say(FailureKind::Locked, "another sweep or watch of this registry is under way")
            .hint("let it end, or run sweeps less often")
    })
}
