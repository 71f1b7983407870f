//! `portoser attach`: watches a run from wherever one is.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use crate::app::App;
use crate::cli::{Exit, Face, Failure, block_on, render, safe, session};
use crate::deploy::{Ground, Remembered, Unseen, Want, attach, records, unless_stopped};
use crate::model::{Event, FailureKind, HostName, RunId, ServiceName};

/// Watch a run to its end, from this machine or another one
///
/// The hosts tell what happens, from the beginning; nothing need be known here. Watching changes nothing: Ctrl-C leaves the
/// run as it is. Ends with the exit code of the run, as far as the hosts know it: 0 proven, 5 back on the old version and
/// that is proven, 6 not proven back, 4 a host could not be followed.
#[derive(Debug, clap::Args)]
pub(super) struct Attach {
    /// The run, or the first letters of its id [default: the one that is under way]
    #[arg(value_name = "RUN")]
    run: Option<String>,
    /// Ask only this host; may be given several times [default: the hosts of the run, or all of the registry]
    #[arg(long, value_name = "HOST")]
    host: Vec<HostName>,
}

impl Attach {
    pub(super) fn run(self, face: &Face) -> Result<Exit, Failure> {
        let app = session::look(face)?;
        let hosts = hosts(face, &app, self.run.as_deref(), &self.host)?;
        let own = app.run_id();
        block_on(async |stop| {
            let (ground, events) = app.ground(&own, "attach", stop.soon.clone());
            let heard = unless_stopped(&stop.soon, records(&ground, hosts, Want::Runs)).await.ok_or_else(left)?;
            unseen(face, &heard);
            let Some(run) = chosen(&heard, self.run.as_deref())? else {
                face.talk("no run is under way");
                return Ok(Exit::DONE);
            };
            let work = async {
                let code = watch(&ground, &run, &heard).await;
                drop(ground);
                code
            };
            let (code, document) = tokio::join!(work, render(face, events));
            let left = code == FailureKind::Interrupted.code();
            session::print(face, document, if left { Err(self::left()) } else { Ok(Exit(code)) })
        })?
    }
}

fn left() -> Failure {
    Failure::say(FailureKind::Interrupted, "left; the run goes on as it would have")
}

/// Tells the run as a verb of its own, and gives its exit code.
async fn watch(ground: &Arc<Ground>, run: &RunId, heard: &Remembered) -> u8 {
    let began = Instant::now();
    let hosts: Vec<HostName> = heard.hosts_of(run).into_iter().collect();
    ground.tell(Event::Started {
        run: run.clone(),
        verb: "attach".into(),
        services: heard.services_of(run).into_iter().collect::<Vec<ServiceName>>(),
        hosts,
    });
    let watched = attach(ground, run, heard).await;
    let code = watched.verdict().map_or(0, FailureKind::code);
    if code != FailureKind::Interrupted.code() {
        ground.tell(Event::Finished { run: run.clone(), code, took: began.elapsed() });
    }
    heard.part(ground).await;
    code
}

/// The hosts to ask: those that were named, those that this machine remembers of the run, or all.
fn hosts(face: &Face, app: &App, run: Option<&str>, named: &[HostName]) -> Result<BTreeSet<HostName>, Failure> {
    for name in named {
        if !app.registry.hosts.contains_key(name) {
            let known = app.registry.hosts.keys().map(|name| name.as_str());
            return Err(crate::cli::registry::unknown("host", name.as_str(), known));
        }
    }
    if !named.is_empty() {
        return Ok(named.iter().cloned().collect());
    }
    let known = match run {
        Some(prefix) if !prefix.is_empty() => known(app, prefix),
        _ => Ok(BTreeSet::new()),
    };
    match known {
        Ok(hosts) if !hosts.is_empty() => return Ok(hosts),
        Ok(_) => {}
        Err(failure) => session::without_journal(face, &failure),
    }
    face.detail("this machine's journal does not say on which hosts it is; all hosts are asked");
    Ok(app.registry.hosts.keys().cloned().collect())
}

/// The hosts of the one run that begins so, as far as this machine remembers it.
fn known(app: &App, prefix: &str) -> Result<BTreeSet<HostName>, Failure> {
    match app.journal.runs_like(prefix)?.as_slice() {
        [run] => remembered(app, &run.id),
        _ => Ok(BTreeSet::new()),
    }
}

/// The hosts of a run that this machine remembers, those of them that the registry still has.
pub(super) fn remembered(app: &App, run: &RunId) -> Result<BTreeSet<HostName>, Failure> {
    let events = app.journal.events(run)?;
    let hosts = |(_, event): &(_, serde_json::Value)| match serde_json::from_value(event.clone()) {
        Ok(Event::Started { hosts, .. }) => Some(hosts),
        _ => None,
    };
    let hosts = events.iter().find_map(hosts).unwrap_or_default();
    Ok(hosts.into_iter().filter(|host| app.registry.hosts.contains_key(host)).collect())
}

/// Asks these hosts what they remember, for a verb that is no run of its own.
pub(super) fn ask(
    face: &Face,
    app: &App,
    verb: &str,
    hosts: BTreeSet<HostName>,
    want: Want,
) -> Result<Remembered, Failure> {
    let own = app.run_id();
    let heard = session::looking(app, async |stop| {
        let (ground, mut events) = app.ground(&own, verb, stop.soon.clone());
        events.close();
        let heard = records(&ground, hosts, want).await;
        heard.part(&ground).await;
        Ok(heard)
    })?;
    unseen(face, &heard);
    Ok(heard)
}

/// Names the hosts that could not be asked: what they know is missing from what is shown.
pub(super) fn unseen(face: &Face, heard: &Remembered) {
    for (host, why) in &heard.unseen {
        face.warn(safe(&format!("`{host}` could not be asked: {why}")));
    }
}

/// The run that is meant; none when none was named and none is under way.
pub(super) fn chosen(heard: &Remembered, prefix: Option<&str>) -> Result<Option<RunId>, Failure> {
    let found = match prefix {
        Some(prefix) => heard.runs_like(prefix),
        None => heard.open(),
    };
    let mut found: Vec<RunId> = found.into_iter().collect();
    match (found.len(), prefix) {
        (1, _) => Ok(found.pop()),
        // What could not be asked may know it.
        (0, _) if !heard.unseen.is_empty() => {
            let of = prefix.map_or_else(|| "a run that is under way".to_owned(), |prefix| format!("a run `{prefix}`"));
            let says = format!("no host that could be asked knows {of}, and {} could not", heard.unseen.len());
            Err(Failure::say(FailureKind::Unreachable, says)
                .hints(heard.unseen.values().map(Unseen::hint).collect::<BTreeSet<_>>()))
        }
        (0, None) => Ok(None),
        (0, Some(prefix)) => {
            let failure = Failure::say(FailureKind::Usage, format!("no host that was asked knows a run `{prefix}`"));
            Err(failure.hint("hosts keep their last twenty runs; `portoser history --from-hosts` lists them"))
        }
        _ => {
            let lines = found.iter().map(|run| heard.line(run)).collect();
            Err(Failure::say(FailureKind::Usage, "several runs could be meant").lines(lines).hint("name one of them"))
        }
    }
}
