//! Checks against real servers on loopback: what they say of good answers, of hostile ones, and of silence.

mod answers;
mod tls;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use libtest_mimic::{Failed, Trial};
use portoser::check::{GRACE, Got, Miss, Need, Ran, Subject, Verdict, ask, gate};
use portoser::host::Supervisor;
use portoser::model::{Ask, Body, Check, Cmd, From, Http, Scope, Tls};
use tokio::net::TcpStream;

/// The timeout of a check that is to be answered at once. A loaded machine gets time.
const ENOUGH: Duration = Duration::from_secs(5);
/// The timeout of a check that is to run into it.
const SHORT: Duration = Duration::from_millis(400);

pub fn trials() -> Vec<Trial> {
    let trial = |name: &str, body: fn() -> Result<(), Failed>| Trial::test(format!("checks::{name}"), body);
    let mut all = vec![
        trial("tcp_connects_or_is_refused", tcp_connects_or_is_refused),
        trial("a_command_runs_in_the_release", a_command_runs_in_the_release),
        trial("a_fetcher_that_hangs_is_unseen", a_fetcher_that_hangs_is_unseen),
        trial("a_gate_turns_green_and_red", a_gate_turns_green_and_red),
    ];
    all.extend(answers::trials());
    all.extend(tls::trials());
    all
}

fn check(ask: Ask, from: From, timeout: Duration) -> Check {
    let (start_period, interval) = (Duration::ZERO, Duration::from_millis(100));
    Check { ask, from, start_period, interval, timeout, retries: 2 }
}

fn http(port: u16) -> Http {
    Http {
        port,
        path: "/health?deep=1".into(),
        host: None,
        status: vec![200],
        send: BTreeMap::new(),
        header: BTreeMap::new(),
        body: None,
        tls: None,
    }
}

fn subject(tools: &[&str]) -> Subject {
    Subject {
        supervisor: Supervisor::Process,
        scope: Scope::System,
        units: Vec::new(),
        folder: None,
        uid: 0,
        tools: tools.iter().map(|&tool| tool.to_owned()).collect::<BTreeSet<_>>(),
    }
}

/// Fetches from this machine, as a transport would from a host.
async fn fetch(need: Need) -> Result<Got<TcpStream>, Miss> {
    match need {
        Need::Connect { address, port } => match TcpStream::connect((address.as_str(), port)).await {
            Ok(stream) => Ok(Got::Stream(stream)),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => Err(Miss::Refused),
            Err(error) => Err(Miss::Unseen(error.to_string())),
        },
        Need::Run(cmd) | Need::State(cmd) => run(&cmd, &[]).await.map(Got::Ran),
        Need::Told(cmd, input) => run(&cmd, input.reveal_for_sending()).await.map(Got::Ran),
    }
}

#[expect(clippy::disallowed_methods, reason = "the test is its own transport")]
async fn run(cmd: &Cmd, input: &[u8]) -> Result<Ran, Miss> {
    let mut child = tokio::process::Command::new("sh");
    // Through a shell, as on a host: the words must survive it.
    child.args(["-c", &cmd.line()]).stdin(Stdio::piped()).kill_on_drop(true);
    child.stdout(Stdio::piped()).stderr(Stdio::piped());
    let ran = async {
        let mut child = child.spawn()?;
        // Who does not read it has ended already, or will.
        let _ = tokio::io::AsyncWriteExt::write_all(&mut child.stdin.take().expect("a pipe"), input).await;
        child.wait_with_output().await
    };
    match tokio::time::timeout(cmd.within, ran).await {
        Err(_) => Err(Miss::Overdue),
        Ok(Err(error)) => Err(Miss::Unseen(error.to_string())),
        Ok(Ok(output)) => {
            let code = output.status.code().and_then(|code| u32::try_from(code).ok());
            Ok(Ran { code, out: output.stdout, err: output.stderr })
        }
    }
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(work)
}

/// Asks once; the verdict must come in the time that is promised.
fn verdict(check: &Check, subject: &Subject) -> Verdict {
    let begun = Instant::now();
    let verdict = block_on(ask(check, subject, fetch));
    // What the machine's scheduler adds is not the check's.
    let most = check.timeout + GRACE + Duration::from_secs(2);
    assert!(begun.elapsed() < most, "{:?} passed before {verdict:?}", begun.elapsed());
    harmless(&verdict);
    verdict
}

fn harmless(verdict: &Verdict) {
    for line in std::iter::once(verdict.says()).chain(verdict.evidence().iter().map(String::as_str)) {
        assert!(!line.chars().any(char::is_control), "a control character in {line:?}");
        assert!(line.len() < 1000, "a verdict of {} bytes", line.len());
    }
}

/// A port on which nothing listens.
fn closed_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    listener.local_addr().expect("bound").port()
}

/// Whether this machine has the tool.
fn has(tool: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder: PathBuf| folder.join(tool).is_file())
}

/// A trial that needs a tool; without it the trial is ignored, and says so.
fn with_tool(tool: &str, name: String, body: impl FnOnce() -> Result<(), Failed> + Send + 'static) -> Trial {
    let there = has(tool);
    if !there {
        eprintln!("skipped: {name}: this machine has no {tool}");
    }
    Trial::test(name, body).with_ignored_flag(!there)
}

fn tcp_connects_or_is_refused() -> Result<(), Failed> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let open = listener.local_addr()?.port();
    let closed = closed_port();
    let mut ways = vec![(From::Controller, "")];
    ways.extend(["python3", "curl"].into_iter().filter(|tool| has(tool)).map(|tool| (From::Host, tool)));
    for (from, tool) in ways {
        let host = subject(&[tool]);
        let good = verdict(&check(Ask::Tcp { port: open }, from, ENOUGH), &host);
        assert!(good.is_good(), "{tool}: {good:?}");
        let bad = verdict(&check(Ask::Tcp { port: closed }, from, ENOUGH), &host);
        assert!(matches!(bad, Verdict::Bad(_)), "{tool}: {bad:?}");
        assert!(format!("{bad:?}").contains("efused") || format!("{bad:?}").contains("connect"), "{tool}: {bad:?}");
    }
    let unseen = verdict(&check(Ask::Tcp { port: open }, From::Host, ENOUGH), &subject(&[]));
    assert!(matches!(unseen, Verdict::Unseen(_)), "{unseen:?}");
    Ok(())
}

fn a_command_runs_in_the_release() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let release = folder.path().join("it's a $(release)");
    std::fs::create_dir(&release)?;
    std::fs::write(release.join("ready"), "")?;
    let host = Subject { folder: Some(release.display().to_string()), ..subject(&[]) };
    let command = |words: &[&str], timeout| {
        check(Ask::Command { words: words.iter().map(|&word| word.to_owned()).collect() }, From::Host, timeout)
    };
    assert!(verdict(&command(&["test", "-f", "ready"], ENOUGH), &host).is_good());
    let bad = verdict(&command(&["sh", "-c", "echo why >&2; exit 3"], ENOUGH), &host);
    assert_eq!((bad.says(), bad.evidence()), ("exits with 3", ["why".to_owned()].as_slice()));
    let missing = verdict(&command(&["./no-such-program"], ENOUGH), &host);
    assert_eq!(missing.says(), "the command is not found");
    let late = verdict(&command(&["sleep", "60"], SHORT), &host);
    assert!(matches!(&late, Verdict::Bad(bad) if bad.says.contains("did not end")), "{late:?}");
    Ok(())
}

fn a_fetcher_that_hangs_is_unseen() -> Result<(), Failed> {
    let check = check(Ask::Tcp { port: 80 }, From::Controller, SHORT);
    let verdict = block_on(ask(&check, &subject(&[]), |_| std::future::pending::<Result<Got<TcpStream>, Miss>>()));
    assert!(matches!(verdict, Verdict::Unseen(_)), "{verdict:?}");
    Ok(())
}

fn a_gate_turns_green_and_red() -> Result<(), Failed> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let open = [check(Ask::Tcp { port: listener.local_addr()?.port() }, From::Controller, ENOUGH)];
    let host = subject(&[]);
    let soak = Duration::from_millis(250);
    let begun = Instant::now();
    let mut told = Vec::new();
    block_on(gate::watch(&open, soak, |check| ask(check, &host, fetch), |what| told.push(format!("{what:?}"))))?;
    assert!(begun.elapsed() >= soak, "the soak lasted {:?}", begun.elapsed());
    assert_eq!(told.len(), 2, "one verdict and one soak: {told:?}");

    let shut = [open[0].clone(), check(Ask::Tcp { port: closed_port() }, From::Controller, ENOUGH)];
    let red = block_on(gate::watch(&shut, soak, |check| ask(check, &host, fetch), |_| {}));
    let red = red.expect_err("one port is closed");
    assert!(!red.unseen && red.says.contains("refused"), "{red:?}");
    Ok(())
}
