//! `portoser resume`: goes on with a run that stopped, failed or lost its controller.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use crate::app::{App, digest};
use crate::cli::deploy::Manner;
use crate::cli::said::Said;
use crate::cli::turn::{Resumed, Ways};
use crate::cli::{Exit, Face, Failure, Flags, attach, deploy, prompt, safe, said, session, turn};
use crate::deploy::{Remembered, Request, Want};
use crate::journal::{HistoryEntry, Journal, Run};
use crate::model::{FailureKind, HostName, Outcome, ServiceName};
use crate::plan::Target;
use crate::registry::parse_duration;

/// Go on with a run that stopped, failed, or lost its controller
///
/// What was asked then is asked again, of the same registry and environment: what is in place is proven and left alone, what
/// the old run left open is settled first, and the rest is done. The flags of the old run hold, but not its approvals. Of a run that
/// another machine began, its hosts tell what was asked, and you say yes to it (an --overwrite is not taken from their word).
#[derive(Debug, clap::Args)]
pub(super) struct Resume {
    /// The run, or the first letters of its id [default: the newest one without an end, of this machine or else on the hosts]
    #[arg(value_name = "RUN")]
    run: Option<String>,
    /// Show what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// How long to wait for a host that another run has locked
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = parse_duration)]
    wait_lock: Duration,
    /// Approve a change to what the registry protects, by its name
    #[arg(long, value_name = "NAME")]
    approve: Vec<String>,
}

impl Resume {
    pub(super) fn run(self, face: &Face) -> Result<Exit, Failure> {
        let Meant { run, told } = meant(face, self.run.as_deref())?;
        if run.end.is_some_and(|end| end.code == 0) {
            face.talk(format!("{} came to a good end; nothing of it remains to be done", run.id));
            return Ok(Exit::DONE);
        }
        let mut asked = said::read(&run.request).map_err(|field| {
            Failure::say(FailureKind::Internal, format!("what was asked of {} cannot be read: its `{field}`", run.id))
                .hint("ask for it in full, such as `portoser deploy SERVICE`; what is in place is left alone")
        })?;
        if let Some(told) = &told {
            believe(face, told, &run, &mut asked, self.dry_run)?;
        }
        // The registry of the run, unless one is named; the user may stand in another folder now.
        let face = Face::new(flags(&face.flags, &run)?);
        let app = session::open(&face)?;
        changed(&face, &app, &run);
        let heard = over(&face, &app, &run, told)?;
        if asked.back == Some(Target::Before) {
            return Err(one_too_far(&app.journal, &heard, &run)?);
        }
        let ended = match turn::named(&run.verb) {
            Some(named) if !self.dry_run => {
                let ways = Ways { wait_lock: self.wait_lock, approve: self.approve, skip_unseen: asked.skip_unseen };
                let done = done(&app, &heard, &run)?;
                turn::carry(&face, asked.selection, ways, named, Some(Resumed { run: run.id, done }))
            }
            Some(_) => Err(Failure::say(FailureKind::Usage, format!("`{}` has no --dry-run", run.verb))),
            None if matches!(run.verb.as_str(), "deploy" | "rollback") => {
                let manner = Manner {
                    dry_run: self.dry_run,
                    wait_lock: self.wait_lock,
                    batch: asked.pace.batch,
                    max_fail: asked.pace.max_fail,
                    keep: asked.pace.keep,
                    overwrite: asked.overwrite,
                    approve: self.approve,
                    no_auto_heal: asked.no_auto_heal,
                };
                let request = Request {
                    selection: asked.selection,
                    overwrite: asked.overwrite,
                    only_look: self.dry_run,
                    renew: false,
                };
                let verb = if asked.back.is_some() { "rollback" } else { "deploy" };
                deploy::go(&face, verb, &request, asked.back.as_ref(), &manner, Some(run.id))
            }
            None => Err(Failure::say(FailureKind::Usage, format!("a run of `{}` cannot be resumed", run.verb))),
        };
        face.flush();
        ended
    }
}

/// A rollback that named no release cannot be asked again: where it is done already, the release before the one that is there
/// would be one too far.
fn one_too_far(journal: &Journal, heard: &Remembered, run: &Run) -> Result<Failure, Failure> {
    let text = format!("{} named no release, and would go one too far back where it is done already", run.id);
    let line = |entry: HistoryEntry| {
        let to = entry.after.filter(|after| entry.before.as_ref() != Some(after))?;
        Some(format!("`portoser rollback {} --to {to}` is what it did on {}", entry.service, entry.host))
    };
    let mut known = journal.entries(&run.id)?;
    if known.is_empty() {
        known = heard.history().into_iter().filter(|entry| entry.run == run.id).collect();
    }
    Ok(Failure::say(FailureKind::Usage, text)
        .hint("`portoser rollback SERVICE --to ID` names the release; `portoser status` shows what is where")
        .hints(known.into_iter().filter_map(line)))
}

/// A run that is gone on with.
struct Meant {
    run: Run,
    /// What all hosts told, the request among it; none where this machine began the run.
    told: Option<Remembered>,
}

/// The run that is meant: one that this machine began, or else one that hosts know.
fn meant(face: &Face, prefix: Option<&str>) -> Result<Meant, Failure> {
    let journal = face.journal()?;
    let prefix = prefix.filter(|prefix| !prefix.is_empty());
    let mut found = match prefix {
        Some(prefix) => journal.runs_like(prefix)?,
        None => journal.unfinished()?.into_iter().take(1).collect(),
    };
    match (found.pop(), found.is_empty()) {
        (Some(run), true) => Ok(Meant { run, told: None }),
        (None, _) => foreign(face, prefix),
        (Some(last), false) => {
            let names = found.iter().chain([&last]).map(|run| run.id.to_string());
            Err(Failure::say(FailureKind::Usage, format!("several runs begin with `{}`", prefix.unwrap_or_default()))
                .lines(names.collect())
                .hint("give more of its letters"))
        }
    }
}

/// A run that another machine began, as its hosts tell it.
fn foreign(face: &Face, prefix: Option<&str>) -> Result<Meant, Failure> {
    let app = session::look(face)?;
    face.talk(match prefix {
        Some(prefix) => format!("this machine's journal knows no run `{prefix}`; the hosts are asked"),
        None => "every run that this machine remembers has an end; the hosts are asked".into(),
    });
    let heard = attach::ask(face, &app, "resume", app.registry.hosts.keys().cloned().collect(), Want::Runs)?;
    let Some(id) = attach::chosen(&heard, prefix)? else {
        return Err(Failure::say(FailureKind::Usage, "every run that is known here, and to the hosts, has an end")
            .hint("name one that failed: `portoser runs` lists them"));
    };
    let asked = heard.asked_of(&id);
    let run = match asked.iter().map(|asked| Run::heard(&id, asked)).collect::<Option<Vec<_>>>() {
        Some(mut runs) if runs.len() == 1 => runs.swap_remove(0),
        _ => {
            let text = if asked.len() > 1 { "its hosts do not agree on" } else { "none of its hosts knows" };
            return Err(Failure::say(FailureKind::Usage, format!("{text} what was asked of {id}"))
                .hint("`portoser deploy SERVICE` does the same by name: what is in place is proven and left alone"));
        }
    };
    Ok(Meant { run, told: Some(heard) })
}

/// What hosts tell is done on all of them, so a person says yes to it. Edits on hosts are not lost on a host's word.
fn believe(face: &Face, told: &Remembered, run: &Run, asked: &mut Said, only_look: bool) -> Result<(), Failure> {
    let hosts: Vec<String> = told.hosts_of(&run.id).iter().map(ToString::to_string).collect();
    let request = Request { selection: asked.selection.clone(), overwrite: false, only_look: false, renew: false };
    let request = said::write(&request, asked.back.as_ref(), &asked.pace, asked.no_auto_heal);
    let further = run.resumes.as_ref().map(|run| format!(", going on with {run}")).unwrap_or_default();
    let text = format!("{} is of another machine; by the word of {}", run.id, hosts.join(", "));
    face.talk(safe(&format!("{text} this was asked: {} {request}{further}", run.verb)));
    if std::mem::take(&mut asked.overwrite) {
        face.warn(
            "it was asked with --overwrite, which is not taken from a host's word: what was edited there is kept",
        );
    }
    if only_look || face.flags.yes {
        return Ok(());
    }
    let refused = || Failure::say(FailureKind::Refused, "nothing was done");
    match face.can_ask() {
        true if prompt::agrees("shall it be done?") => Ok(()),
        true => Err(refused()),
        false => Err(refused().hint("give --yes to do what the hosts tell")),
    }
}

/// The flags, with the registry and the environment of the run.
fn flags(flags: &Flags, run: &Run) -> Result<Flags, Failure> {
    if let Some(environment) = &flags.environment
        && run.environment.as_ref() != Some(environment)
    {
        let was = run.environment.as_ref().map_or("no environment".into(), |was| format!("environment `{was}`"));
        return Err(Failure::say(FailureKind::Usage, format!("{} was of {was}, not of `{environment}`", run.id))
            .hint("leave `--env` away: the run's own is used"));
    }
    let registry = flags.registry.clone().or_else(|| run.registry.clone().map(PathBuf::from));
    Ok(Flags { registry, environment: run.environment.clone(), ..flags.clone() })
}

/// Says when the registry is not what it was.
fn changed(face: &Face, app: &App, run: &Run) {
    let now = digest(&app.registry.file);
    if run.digest.is_some() && run.digest != now {
        face.warn(format!(
            "the registry was changed since {} began; what it says now is done, also where the old run was at its end",
            run.id
        ));
    }
}

/// Refuses while the run is under way: two who do the same would only wait for each other.
fn over(face: &Face, app: &App, run: &Run, told: Option<Remembered>) -> Result<Remembered, Failure> {
    let heard = match told {
        Some(heard) => heard,
        None => attach::ask(face, app, "resume", attach::remembered(app, &run.id)?, Want::Runs)?,
    };
    if heard.lives(&run.id) {
        return Err(Failure::say(FailureKind::Locked, heard.line(&run.id)).doing("going on with a run").hint(format!(
            "`portoser attach {}` watches it to its end; without a controller it ends by itself",
            run.id
        )));
    }
    Ok(heard)
}

/// Where the run, or one that it went on with itself, was at its end, as the hosts tell.
fn done(app: &App, heard: &Remembered, run: &Run) -> Result<BTreeSet<(ServiceName, HostName)>, Failure> {
    let (mut runs, mut earlier) = (BTreeSet::from([run.id.clone()]), run.resumes.clone());
    while let Some(id) = earlier.filter(|id| !runs.contains(id)) {
        let told = || heard.asked_of(&id).into_iter().find_map(|asked| Run::heard(&id, asked));
        earlier = app.journal.run(&id)?.or_else(told).and_then(|run| run.resumes);
        runs.insert(id);
    }
    let done = |entry: &HistoryEntry| runs.contains(&entry.run) && entry.outcome == Some(Outcome::Committed);
    Ok(heard.history().into_iter().filter(done).map(|entry| (entry.service, entry.host)).collect())
}
