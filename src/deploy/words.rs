//! Words that a person wants run on hosts, and logs that a person wants to read: streamed, never kept.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::{self, UnboundedReceiver};
use tokio::task::JoinSet;

use crate::deploy::far::{Far, Unseen};
use crate::deploy::fault::Fault;
use crate::deploy::ground::Ground;
use crate::deploy::select::{Selection, select};
use crate::deploy::survey::{Depth, survey};
use crate::host::run::within;
use crate::host::{Layout, Record, Seen, Supervisor};
use crate::model::{Cmd, FailureKind, HostName, Scope};
use crate::transport::{End, Lost, Running, Said};

/// A piece of what a source says.
#[derive(Debug)]
pub enum Heard {
    Out(Vec<u8>),
    Err(Vec<u8>),
    End(End),
    /// It came to no end of its own.
    Lost(Cut),
}

/// Why words came to no end of their own.
#[derive(Clone, Debug)]
pub struct Cut {
    pub why: String,
    /// The next move.
    pub hint: String,
    /// Their time was over, and they were ended on the host; otherwise the host was lost, or never reached.
    pub overdue: bool,
}

impl Cut {
    fn of(lost: &Lost) -> Self {
        Self { why: lost.to_string(), hint: lost.hint(), overdue: matches!(lost, Lost::Overdue { .. }) }
    }

    /// The kind, which gives the exit code.
    #[must_use]
    pub fn kind(&self) -> FailureKind {
        if self.overdue { FailureKind::RolledBack } else { FailureKind::Unreachable }
    }
}

/// Words on one host, with the label of what they say.
#[derive(Clone, Debug)]
pub struct Words {
    /// `service host` or `host`.
    pub label: String,
    pub host: HostName,
    pub cmd: Cmd,
    /// Whether they run as root where the registry says so.
    pub root: bool,
}

/// How logs are read.
#[derive(Clone, Copy, Debug)]
pub struct LogTerms {
    pub lines: u32,
    pub since: Option<Duration>,
    pub follow: bool,
}

/// When the next host's turn comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turns {
    /// When the words are at their end.
    ToTheEnd,
    /// When the host is reached; the words may run for ever.
    ToTheStart,
}

/// How long a log is followed.
const FOLLOW: Duration = Duration::from_secs(24 * 3600);

/// Runs the words side by side; what they say comes with their number, each number's last piece is an end or a loss. Hosts take
/// turns until the words are at their end, or only until they are reached.
pub fn side_by_side(
    ground: &Arc<Ground>,
    all: Vec<Words>,
    turns: Turns,
) -> (JoinSet<()>, UnboundedReceiver<(usize, Heard)>) {
    let (tell, heard) = mpsc::unbounded_channel();
    let mut tasks = JoinSet::new();
    for (number, words) in all.into_iter().enumerate() {
        let (ground, tell) = (ground.clone(), tell.clone());
        tasks.spawn(async move {
            let lost = |lost: Lost| drop(tell.send((number, Heard::Lost(Cut::of(&lost)))));
            let (far, visit) = match ground.visit(&words.host).await {
                Ok(reached) => reached,
                Err(why) => return lost(why),
            };
            // The far end is kept as long as the words run. They may have to wait for a session of their own there.
            let run = async {
                match far.link.start(&words.cmd, words.root).await {
                    Ok(Running { input, output }) => {
                        drop(input);
                        pass(output, |heard| drop(tell.send((number, heard)))).await;
                    }
                    Err(why) => lost(why),
                }
            };
            match turns {
                Turns::ToTheEnd => visit.work(run).await,
                Turns::ToTheStart => {
                    drop(visit);
                    run.await;
                }
            }
        });
    }
    (tasks, heard)
}

/// Hands on what is said, up to the end.
pub async fn pass(mut output: UnboundedReceiver<Said>, mut tell: impl FnMut(Heard)) {
    while let Some(said) = output.recv().await {
        match said {
            Said::Out(bytes) => tell(Heard::Out(bytes)),
            Said::Err(bytes) => tell(Heard::Err(bytes)),
            Said::End(end) => return tell(Heard::End(end)),
            Said::Lost(lost) => return tell(Heard::Lost(Cut::of(&lost))),
        }
    }
    tell(Heard::Lost(Cut::of(&Lost::Link { what: "the command ended without a word".into() })));
}

/// The words that read the logs of what is selected. Hosts that cannot be seen are a fault.
pub async fn logs(ground: &Arc<Ground>, selection: &Selection, terms: LogTerms) -> Result<Vec<Words>, Fault> {
    let mut all = Vec::new();
    for (host, seen, record) in records(ground, selection).await? {
        let label = format!("{} {host}", record.service);
        match record.supervisor {
            Supervisor::Systemd => {
                let cmd = journal(&record, terms);
                all.push(Words { label, host, cmd, root: record.scope == Scope::System });
            }
            Supervisor::Compose => {
                let project = record.units.first().and_then(|unit| unit.name.split('/').next()).unwrap_or_default();
                all.push(Words { label, host, cmd: container_logs(project, terms), root: true });
            }
            Supervisor::Launchd | Supervisor::Process => {
                let several = record.units.len() > 1;
                for (number, unit) in (1..).zip(&record.units) {
                    let label =
                        if several { format!("{}@{} {host}", record.service, unit.name) } else { label.clone() };
                    let layout = Layout::new(&seen.facts.base);
                    let file = match record.supervisor {
                        // As its property list has it.
                        Supervisor::Launchd => format!("{}/log.{number}", layout.service(&record.service)),
                        _ => format!("{}/log", layout.process(&record.service, number)),
                    };
                    all.push(Words { label, host: host.clone(), cmd: tail(&file, terms), root: true });
                }
            }
        }
    }
    Ok(all)
}

fn journal(record: &Record, terms: LogTerms) -> Cmd {
    let mut cmd = Cmd::new("journalctl").args(["--quiet", "--no-pager", "--output=short-iso"]);
    let user = record.scope == Scope::User;
    for unit in &record.units {
        let flag = if user { "user-unit" } else { "unit" };
        cmd = cmd.arg(format!("--{flag}={}", unit.name));
    }
    if let Some(since) = terms.since {
        cmd = cmd.arg(format!("--since=-{}s", since.as_secs()));
    }
    cmd = cmd.arg(format!("--lines={}", terms.lines));
    if terms.follow { cmd.arg("--follow").within(FOLLOW) } else { cmd }
}

/// The logs of all containers of a project; where there are several, each line with the name of its container before it.
fn container_logs(project: &str, terms: LogTerms) -> Cmd {
    const LOGS: &str = r#"
project=$1; shift
all=$(docker ps -a --no-trunc --filter "label=com.docker.compose.project=$project" --format '{{.ID}} {{.Names}}') || exit
case $all in
'') echo "no container of $project is there" >&2; exit 1 ;;
*"
"*) ;;
*) exec docker logs "$@" "${all%% *}" 2>&1 ;;
esac
printf '%s\n' "$all" | { while read -r one name; do
  docker logs "$@" "$one" 2>&1 </dev/null | while IFS= read -r line; do printf '%s | %s\n' "$name" "$line"; done &
done; wait; }"#;
    let mut cmd = Cmd::new("/bin/sh").args(["-c", LOGS, "logs", project, "--timestamps", "--tail"]);
    cmd = cmd.arg(terms.lines.to_string());
    if let Some(since) = terms.since {
        cmd = cmd.args(["--since".to_owned(), format!("{}s", since.as_secs())]);
    }
    if terms.follow { cmd.arg("--follow").within(FOLLOW) } else { cmd }
}

fn tail(file: &str, terms: LogTerms) -> Cmd {
    let cmd = Cmd::new("tail").args(["-n", &terms.lines.to_string()]);
    if terms.follow { cmd.args(["-F", file]).within(FOLLOW) } else { cmd.arg(file) }
}

/// The words in the release of a service, with its environment and as its user.
pub async fn exec(ground: &Arc<Ground>, selection: &Selection, words: Vec<String>) -> Result<Vec<Words>, Fault> {
    const CONTAINER: &str =
        "[ -n \"$2\" ] || { echo 'nothing says which part is meant: give compose_service' >&2; exit 125; }
        at=$1; shift; exec sh \"$at/.portoser/compose.sh\" exec -T \"$@\"";
    let records = records(ground, selection).await?;
    Ok(records
        .into_iter()
        .map(|(host, seen, record)| {
            let folder = Layout::new(&seen.facts.base).release(&record.service, &record.release);
            if record.supervisor == Supervisor::Compose {
                let part = record.summary.get("part").cloned().unwrap_or_default();
                let cmd = Cmd::new("/bin/sh").args(["-c", CONTAINER, "exec", &folder, &part]).args(words.clone());
                return Words { label: format!("{} {host}", record.service), host, cmd, root: true };
            }
            let cmd = within("exec", &folder, record.user.as_deref(), &words);
            Words { label: format!("{} {host}", record.service), host, cmd, root: true }
        })
        .collect())
}

/// The records of what is selected, in the registry's order. What is not on its host is left out.
async fn records(ground: &Arc<Ground>, selection: &Selection) -> Result<Vec<(HostName, Seen, Record)>, Fault> {
    let (services, hosts) = select(&ground.registry, selection).map_err(Fault::Select)?;
    let mut survey = survey(ground, &services, &hosts, Depth::State).await;
    if !survey.unseen.is_empty() {
        let unseen: Vec<(HostName, Unseen)> = std::mem::take(&mut survey.unseen).into_iter().collect();
        ground.part(&survey.far).await;
        return Err(Fault::Unseen(unseen));
    }
    let mut all = Vec::new();
    for service in ground.registry.services.values().filter(|service| services.contains(&service.name)) {
        for host in service.hosts.iter().filter(|host| hosts.contains(*host)) {
            let Some(seen) = survey.seen.get(host) else { continue };
            if let Some(record) = seen.services.get(&service.name).and_then(|found| found.readable()) {
                all.push((host.clone(), seen.clone(), record.clone()));
            }
        }
    }
    Ok(all)
}

/// Starts words on one host, with their input.
pub async fn start(ground: &Arc<Ground>, words: &Words) -> Result<(Far, Running), Cut> {
    let lost = |lost: Lost| Cut::of(&lost);
    let far = ground.reach(&words.host).await.map_err(lost)?;
    let running = far.link.start(&words.cmd, words.root).await.map_err(lost)?;
    Ok((far, running))
}
