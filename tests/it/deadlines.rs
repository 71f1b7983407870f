//! Every verb that reaches a host, against hosts that say nothing: each ends within its deadline, with its exit code, and names what
//! it waited for and for how long. The verbs are those of the command line itself, so that a new one is in a table here or fails.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use libtest_mimic::{Failed, Trial};
use russh::server::Config;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;

use Case::{Stopped, Waits};

use crate::cli::portoser;
use crate::fixture::silent::Silence::{self, Frozen, Mute, Unheard};
use crate::fixture::silent::Silent;
use crate::fixture::sshd::{self, command, keygen};

pub fn trials() -> Vec<Trial> {
    let missing = sshd::missing();
    let told = |name: &str, body: fn() -> Result<(), Failed>| Trial::test(format!("deadlines::{name}"), body);
    vec![
        told("every_verb_is_known_to_reach_hosts_or_not", every_verb),
        told("every_verb_ends_where_hosts_say_nothing", || all(&[Waits(Unheard), Waits(Frozen), Waits(Mute)]))
            .with_ignored_flag(missing.is_some()),
        told("every_verb_ends_soon_after_ctrl_c", || all(&[Stopped])).with_ignored_flag(missing.is_some()),
    ]
}

/// What reaches hosts, and the words that make it do so; `box` is the host, and `web` its service.
const REACH: &[(&str, &[&str])] = &[
    ("adopt", &["box", "--all"]),
    ("attach", &["20260131-235959-0123abcd"]),
    ("deploy", &["--all"]),
    ("deploy", &["--all", "--dry-run"]),
    ("diagnose", &[]),
    ("discover", &["box"]),
    ("exec", &["web", "--", "true"]),
    ("fix", &["web", "--", "true"]),
    ("heal", &[]),
    ("history", &["--from-hosts"]),
    ("history compare", &["0123", "4567", "--from-hosts"]),
    ("history show", &["0123", "--from-hosts"]),
    ("host check", &[]),
    ("host cordon", &["box"]),
    ("host drain", &["box"]),
    ("host prepare", &["--yes"]),
    ("host trust", &["box"]),
    ("host uncordon", &["box"]),
    ("import compose", &["box:/compose.yml"]),
    ("import ecosystem", &["box:/ecosystem.json"]),
    ("logs", &["web"]),
    ("logs", &["web", "--follow"]),
    ("plan", &[]),
    ("reload", &["--all"]),
    ("remove", &["--all", "--yes"]),
    ("restart", &["--all"]),
    ("resume", &["20260131-235959-0123abcd", "--yes"]),
    ("rollback", &["--all"]),
    ("rollback", &["--all", "--dry-run"]),
    ("run", &["--all", "--timeout", "20s", "--", "true"]),
    ("runs", &["--from-hosts"]),
    ("ssh", &["box", "--", "true"]),
    ("start", &["--all"]),
    ("start", &["--all", "--skip-unseen"]),
    ("status", &[]),
    ("stop", &["--all"]),
    ("sweep", &[]),
    ("watch", &["--interval", "1h"]),
];

/// What reaches no host of a registry; the host of the demo is the program itself.
const REACH_NOT: &[&str] = &[
    "completions",
    "demo",
    "demo-service",
    "graph",
    "host add",
    "impact",
    "import portoser",
    "init",
    "lessons",
    "list",
    "order",
    "playbook demote",
    "playbook edit",
    "playbook list",
    "playbook promote",
    "playbook rm",
    "playbook show",
    "playbook test",
    "schema",
    "service add",
    "service move",
    "service remove",
    "show",
    "validate",
];

/// The verbs, and those under them, by all their names.
fn verbs(command: &clap::Command, before: &str) -> Vec<String> {
    let mut all = Vec::new();
    for verb in command.get_subcommands() {
        let name = format!("{before}{}", verb.get_name());
        all.extend(verbs(verb, &format!("{name} ")));
        if !verb.is_subcommand_required_set() {
            all.push(name);
        }
    }
    all
}

fn every_verb() -> Result<(), Failed> {
    let all = verbs(&portoser::cli::command(), "");
    let known = |name: &str| REACH.iter().any(|(verb, _)| *verb == name) != REACH_NOT.contains(&name);
    let lost: Vec<_> = all.iter().filter(|name| !known(name)).collect();
    assert!(lost.is_empty(), "in one of REACH and REACH_NOT of {}: {lost:?}", file!());
    let listed = REACH.iter().map(|(verb, _)| *verb).chain(REACH_NOT.iter().copied());
    let gone: Vec<_> = listed.filter(|name| !all.iter().any(|verb| verb == name)).collect();
    assert!(gone.is_empty(), "no verb any more: {gone:?}");
    Ok(())
}

/// What is tried.
#[derive(Clone, Copy, Debug)]
enum Case {
    /// Nobody interferes.
    Waits(Silence),
    /// Ctrl-C, once, while a host is asked that lives and says nothing.
    Stopped,
}

impl Case {
    fn silence(self) -> Silence {
        if let Waits(silence) = self { silence } else { Mute }
    }

    /// The exit code; none where a host that is silent so is no obstacle.
    fn code(self, verb: &str) -> Option<i32> {
        match (self, verb) {
            // A key is shown before anybody is let in.
            (Stopped | Waits(Frozen | Mute), "host trust") => None,
            (Stopped, _) => Some(130),
            // They are the user's own words, and may take as long as they want.
            (Waits(Mute), "ssh") => None,
            (Waits(Mute), "run") => Some(5),
            // A host that does not answer is a problem of its own.
            (Waits(_), "diagnose" | "heal" | "sweep") => Some(8),
            // It goes on until it is told to end.
            (Waits(_), "watch") => Some(0),
            (Waits(_), _) => Some(4),
        }
    }

    /// What is said: what was waited for, and for how long.
    fn words(self) -> &'static [&'static str] {
        match self {
            Waits(Unheard) => &["the SSH handshake with 127.0.0.1:", "took longer than 10 s"],
            Waits(Frozen) => &["the link was lost: the server has said nothing for 12 s"],
            Waits(Mute) => &["ran longer than ", " s, and was ended"],
            Stopped => &[],
        }
    }

    /// On standard error, or in the table or the finding that is asked for.
    fn has_said_so(self, place: &Path) -> bool {
        let text = said(place, "err") + &said(place, "out");
        self.words().iter().all(|words| text.contains(words))
    }

    /// The deadline as `docs/commands.md` tells it, with the time that it takes to end in good order, and some for a machine that is
    /// busy.
    fn within(self) -> Duration {
        let (deadline, end) = match self {
            Waits(Unheard) => (10, 0),
            Waits(Frozen) => (15, 5),
            Waits(Mute) => (30, 10),
            Stopped => (0, 10),
        };
        Duration::from_secs(deadline + end + 15)
    }
}

/// How soon a verb ends after Ctrl-C, as `docs/commands.md` tells it.
const SOON: Duration = Duration::from_secs(10);

/// So many begin at once: to begin is work, and a machine that is too busy for a handshake is no silent host.
const BEGIN: usize = 6;

/// All verbs side by side: once they wait, they compute next to nothing.
fn all(cases: &[Case]) -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let at = folder.path();
    let key = keygen(at, "host", &["-t", "ed25519"], "");
    keygen(at, "id", &["-t", "ed25519"], "");
    let known = at.join("known_hosts");
    std::fs::write(&known, format!("[127.0.0.1]:* {}", std::fs::read_to_string(at.join("host.pub"))?))?;
    let config = format!("UserKnownHostsFile {}\nGlobalKnownHostsFile none\n", known.display());
    std::fs::write(at.join("ssh_config"), config)?;
    let config = Arc::new(Config { keys: vec![russh::keys::load_secret_key(key, None)?], ..Config::default() });
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let wrong: Vec<String> = runtime.block_on(async {
        let (mut tasks, seats) = (JoinSet::new(), Arc::new(Semaphore::new(BEGIN)));
        for case in cases.iter().copied() {
            for (number, (verb, words)) in REACH.iter().enumerate() {
                let Some(code) = case.code(verb) else { continue };
                let host = Silent::start(case.silence(), config.clone()).await?;
                let place = at.join(format!("{case:?}-{number}"));
                let (words, seats) = (verb.split(' ').chain(words.iter().copied()).collect(), seats.clone());
                tasks.spawn(ends(case, code, host, place, words, seats));
            }
        }
        Ok::<_, Failed>(tasks.join_all().await.into_iter().flatten().collect())
    })?;
    if wrong.is_empty() { Ok(()) } else { Err(format!("{} wrong:\n{}", wrong.len(), wrong.join("\n\n")).into()) }
}

/// What is wrong with how a verb ended, if anything is.
async fn ends(
    case: Case,
    code: i32,
    host: Silent,
    place: PathBuf,
    words: Vec<&'static str>,
    seats: Arc<Semaphore>,
) -> Option<String> {
    let seat = seats.acquire_owned().await.ok();
    let began = Instant::now();
    let ended = tokio::time::timeout(case.within(), run(case, host, &place, &words, seat)).await;
    let took = began.elapsed().as_secs_f64();
    let why = match ended {
        Ok(Ok(Some(ended))) if ended == code && case.has_said_so(&place) => return None,
        Ok(Ok(ended)) => format!("exit {ended:?}, and not {code} with {:?}", case.words()),
        Ok(Err(failed)) => format!("{failed:?}"),
        Err(_) => "it did not end".to_owned(),
    };
    let line = format!("{case:?}: portoser {}: after {took:.1} s: {why}", words.join(" "));
    Some(format!("{line}\n--- out\n{}--- err\n{}", said(&place, "out"), said(&place, "err")))
}

fn said(place: &Path, stream: &str) -> String {
    std::fs::read_to_string(place.join(stream)).unwrap_or_default()
}

/// Runs a verb to its end, with a registry and a state of its own; its exit code.
async fn run(
    case: Case,
    mut host: Silent,
    place: &Path,
    words: &[&str],
    seat: Option<OwnedSemaphorePermit>,
) -> Result<Option<i32>, Failed> {
    std::fs::create_dir(place)?;
    let folder = place.parent().ok_or("no folder")?;
    let key = folder.join("id").display().to_string();
    let text = REGISTRY.replace("PORT", &host.port.to_string()).replace("KEY", &key);
    std::fs::write(place.join("registry.yml"), text)?;
    let mut verb = portoser(&place.join("state"), words);
    verb.env("PORTOSER_REGISTRY", place.join("registry.yml")).env("PORTOSER_SSH_CONFIG", folder.join("ssh_config"));
    verb.env("PATH", "/usr/bin:/bin");
    verb.stdout(std::fs::File::create(place.join("out"))?).stderr(std::fs::File::create(place.join("err"))?);
    let mut child = tokio::process::Command::from(verb).kill_on_drop(true).spawn()?;
    let pid = child.id().unwrap_or_default().to_string();
    let due = async {
        drop(host.asked.wait_for(|asked| *asked).await);
        drop(seat);
        match case {
            Stopped => {}
            // It is told to end when it has said what it waited for.
            Waits(_) if words[0] == "watch" => {
                while !case.has_said_so(place) {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
            Waits(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        ended = child.wait() => return Ok(ended?.code()),
        () = due => {}
    }
    let signal = if matches!(case, Stopped) { "-INT" } else { "-TERM" };
    command("kill").args([signal, &pid]).status()?;
    let within = if matches!(case, Stopped) { SOON } else { case.within() };
    let ended = tokio::time::timeout(within, child.wait()).await;
    Ok(ended.map_err(|_| format!("{within:?} after {signal} it had not ended"))??.code())
}

/// The host, and what is on it.
const REGISTRY: &str = r#"version: 1
hosts:
  box: { address: 127.0.0.1, port: PORT, user: root, identity: KEY }
services:
  web:
    type: native
    host: box
    run: [/bin/sleep, "1000"]
    port: 9
    checks: [{ tcp: 9 }]
"#;
