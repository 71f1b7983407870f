//! `portoser adopt`: takes over what runs on a host already.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::cli::{Exit, Face, Failure, deploy, discover, prompt, safe};
use crate::deploy::{Request, Selection};
use crate::model::{FailureKind, HostName, ServiceName};
use crate::plan::Offered;
use crate::registry::parse_duration;

/// Take over what runs on a host already, without restarting it
///
/// What `portoser discover` offers and runs is added to the registry, with its compose file beside it, and deployed: a unit
/// keeps its process, and a compose project its containers, if they are what its file says. What cannot be proven is not taken
/// over; its entry stays, to be mended and deployed.
#[derive(Debug, clap::Args)]
pub(super) struct Adopt {
    /// The host
    #[arg(value_name = "HOST")]
    host: HostName,
    /// The entries, by the names that `portoser discover` gives them
    #[arg(value_name = "SERVICE", required_unless_present = "all")]
    services: Vec<ServiceName>,
    /// All that is offered and runs
    #[arg(long, conflicts_with = "services")]
    all: bool,
    /// How long to wait for a host that another run has locked
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = parse_duration)]
    wait_lock: Duration,
    /// Approve a change to what the registry protects, by its name
    #[arg(long, value_name = "NAME")]
    approve: Vec<String>,
}

impl Adopt {
    pub(super) fn run(self, face: &Face) -> Result<Exit, Failure> {
        if let Some(env) = &face.flags.environment {
            let text = format!("the registry itself is changed, and not the overlay of `{env}`");
            return Err(Failure::say(FailureKind::Usage, text).hint("take `--env` away"));
        }
        let offer = discover::ask(face, &self.host)?;
        let entries = self.chosen(&offer.entries)?;
        if entries.is_empty() {
            face.talk(format!("{}: nothing to take over", self.host));
            return Ok(Exit::DONE);
        }
        confirm(face, &self.host, &entries)?;
        let (Some(path), entries) = discover::add(face, &self.host, entries)? else {
            return Err(Failure::say(FailureKind::Refused, "nothing was taken over"));
        };
        for one in &entries {
            face.talk(safe(&format!("{}: added `{}`: {}", path.display(), one.name, one.seen)));
        }
        let services = entries.into_iter().map(|one| one.name).collect();
        let selection = Selection { services, hosts: vec![self.host.clone()], ..Selection::default() };
        let request = Request { selection, ..Request::default() };
        // What heals may restart, and move files; taking over does neither.
        let no_auto_heal = true;
        let Self { wait_lock, approve, .. } = self;
        let manner = deploy::Manner { wait_lock, approve, no_auto_heal, ..deploy::Manner::default() };
        deploy::go(face, "deploy", &request, None, &manner, None)
    }

    /// The entries that are meant. What does not run would be started, which is a deploy and no taking over.
    fn chosen(&self, offered: &[Offered]) -> Result<Vec<Offered>, Failure> {
        let usage = |text: String, hint: &str| Err(Failure::say(FailureKind::Usage, text).hint(hint));
        for name in self.services.iter().collect::<BTreeSet<_>>() {
            match offered.iter().find(|one| one.name == *name) {
                None => {
                    let hint = "`portoser discover` shows what is offered, and why something is not";
                    return usage(format!("`{name}` is not offered by `{}`", self.host), hint);
                }
                Some(one) if !one.runs => {
                    let hint = "start it there, or add it with `portoser discover --add` and deploy it";
                    return usage(format!("`{name}` does not run, so it cannot be taken over"), hint);
                }
                Some(_) => {}
            }
        }
        let meant = |one: &&Offered| one.runs && (self.all || self.services.contains(&one.name));
        Ok(offered.iter().filter(meant).cloned().collect())
    }
}

fn confirm(face: &Face, host: &HostName, entries: &[Offered]) -> Result<(), Failure> {
    if face.flags.yes {
        return Ok(());
    }
    let all: Vec<String> = entries.iter().map(|one| format!("{} ({})", one.name, one.seen)).collect();
    let refused = || Failure::say(FailureKind::Refused, "nothing was taken over").hint("give --yes to take it over");
    if !face.can_ask() {
        return Err(refused());
    }
    let question = format!("take over from {host}: {}?", all.join(", "));
    if prompt::agrees(&question) { Ok(()) } else { Err(refused()) }
}
