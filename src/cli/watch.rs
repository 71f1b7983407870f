//! `portoser watch`: healing, again and again, until it is stopped.

mod install;
mod live;
mod narrow;

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::app::digest;
use crate::cli::bundle::leave;
use crate::cli::diagnose::{place, selection};
use crate::cli::heal::{document, failed};
use crate::cli::playbook::whole;
use crate::cli::sweep::lease;
use crate::cli::watch::live::Board;
use crate::cli::{Exit, Face, Failure, Flags, Stop, block_on, safe, session};
use crate::deploy::{Ground, unless_stopped};
use crate::heal::playbook::Library;
use crate::heal::{Cure, Healing, News, heal, news_word, notify};
use crate::model::FailureKind;
use crate::registry::parse_duration;

/// Heal everything again and again, until Ctrl-C
///
/// As `sweep` every so often, with one line for all that is new: what went bad, what was healed, what was given up, and what was learned.
/// On a terminal the last line tells how it stands and what is done just now. Changes of the registry and of playbooks are taken up with the next pass; a
/// registry that is not valid then is told, and the last good one goes on. `notify` in the registry says who else is told. Ends with 130
/// on Ctrl-C, and with 0 when who supervises it ends it.
#[derive(Debug, clap::Args)]
pub(super) struct Watch {
    /// Services or hosts; everything, if none is named
    #[arg(value_name = "SERVICE|HOST")]
    names: Vec<String>,
    /// How often to look; a pass that takes longer is followed by the next one at once
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = interval)]
    interval: Duration,
    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,
    /// Write the unit or the property list that lets this machine's init system run it with all that is given here, and say how to
    /// start it
    #[arg(long)]
    install: bool,
}

fn interval(text: &str) -> Result<Duration, String> {
    let time = parse_duration(text).map_err(|error| error.to_string())?;
    if time < Duration::from_secs(1) { Err("at least 1s".to_owned()) } else { Ok(time) }
}

/// Why a run of passes ended.
enum Over {
    /// The user stopped it.
    Stopped,
    /// The registry is another one now.
    Changed,
}

impl Watch {
    pub(super) fn run(self, face: &Face) -> Result<Exit, Failure> {
        if self.install {
            return install::install(face, &self);
        }
        let _lease = lease(face)?;
        block_on(async |stop| {
            let mut books = Arc::new(whole(&face.registry()?.file)?);
            loop {
                if matches!(self.passes(face, &stop, &mut books).await?, Over::Stopped) {
                    // Who supervises it hears of no failure; a person sees that it did not end by itself.
                    let typed = stop.typed.is_cancelled();
                    return Ok(if typed { Exit(FailureKind::Interrupted.code()) } else { Exit::DONE });
                }
                face.talk("the registry was changed; going on with the new one");
            }
        })?
    }

    /// Passes over one registry, as one run of the journal.
    async fn passes(&self, face: &Face, stop: &Stop, books: &mut Arc<Library>) -> Result<Over, Failure> {
        let app = session::open(face)?;
        let selection = selection(&app.registry, &self.names)?;
        let (run, file) = (app.run_id(), app.registry.file.clone());
        let request = json!({ "services": selection.services, "hosts": selection.hosts, "all": selection.all, "interval": self.interval.as_secs() });
        let mut before = digest(&file);
        let (mut over, mut complained) = (Over::Stopped, None);
        let mut cure = Cure { only_look: self.dry_run, ..Cure::default() };
        let board = Board::new(face);
        let mut turns = async |ground: Arc<Ground>| {
            loop {
                let began = Instant::now();
                board.looks();
                // A file that is being written may not be valid yet: what was good last goes on.
                match whole(&file) {
                    Ok(now) => (*books, complained) = (Arc::new(now), None),
                    Err(failure) if complained.as_ref() == Some(&failure.text()) => {}
                    Err(failure) => {
                        board.aside(|| still_good(face, "playbooks", &failure));
                        complained = Some(failure.text());
                    }
                }
                let (heard, events) = ground.overheard();
                let work = heal(&heard, &selection, books, &app.journal, cure);
                cure.again = true;
                let Some(healing) = board.follow(&ground, events, work).await else { return Ok(Vec::new()) };
                let healing = healing.map_err(failed)?;
                let left = if self.dry_run { None } else { leave(face, &app, &run, &healing).map_err(failed)? };
                let told = notify(&ground.registry, &app.journal, (&healing, left.as_deref()), app.clock.now())
                    .await
                    .map_err(failed)?;
                tell(face, &board, &healing, &told);
                board.stands(&healing, self.interval);
                let next = tokio::time::sleep_until((began + self.interval).into());
                if unless_stopped(&stop.soon, next).await.is_none() {
                    return Ok(Vec::new());
                }
                let now = digest(&file);
                if now != before {
                    before = now;
                    match face.registry() {
                        Ok(_) => {
                            over = Over::Changed;
                            return Ok(Vec::new());
                        }
                        Err(failure) => board.aside(|| still_good(face, "registry", &failure)),
                    }
                }
            }
        };
        let job = async |ground: Arc<Ground>| {
            let ended = turns(ground).await;
            board.clear();
            ended
        };
        // What is new is told by the loop itself; of a remedy's steps only who asks for details hears.
        let quiet = face.flags.verbose == 0 && !face.flags.events;
        let told = Face::new(Flags { json: false, quiet: quiet || face.flags.quiet, ..face.flags.clone() });
        session::carry(&told, &app, (&run, "watch"), request, stop.clone(), job).await?;
        Ok(over)
    }
}

/// Says what is wrong with a file that was changed, and that nothing ends by it.
fn still_good(face: &Face, what: &str, failure: &Failure) {
    failure.print(face);
    face.warn(format!("the {what} of before is used until this is mended"));
}

/// Says what is new, and who could not be told.
fn tell(face: &Face, board: &Board, healing: &Healing, (news, complaints): &(Vec<News>, Vec<String>)) {
    for complaint in complaints {
        board.aside(|| face.warn(safe(complaint)));
    }
    if face.flags.json || face.flags.events {
        if !news.is_empty() {
            face.json_line(&json!({ "event": "healing", "news": news, "healing": document(healing) }));
        }
        return;
    }
    board.above(face, &lines(news));
}

/// News as lines for a person.
pub(super) fn lines(news: &[News]) -> Vec<String> {
    let mut all = Vec::new();
    for one in news {
        let word = news_word(one.kind).to_uppercase().replace('-', " ");
        all.push(format!("{word:<8} {}: {}", place(&one.host, one.service.as_ref()), one.because));
        all.extend(one.says.iter().map(|says| format!("         {says}")));
    }
    all
}
