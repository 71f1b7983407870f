//! The demo's host is an SSH server like any other to the transport; and the demo leaves nothing behind.

use std::path::Path;
use std::process::{Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use libtest_mimic::{Failed, Trial};
use portoser::demo::{Sandbox, Server};
use portoser::model::Cmd;
use portoser::transport::{End, Lost, Options, Pool, Reply, Said, Transport};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket};

use crate::fixture::sshd;

type Outcome = Result<(), Failed>;

fn trial<F>(name: &str, body: fn() -> F) -> Trial
where
    F: Future<Output = Outcome> + Send + 'static,
{
    let run = move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        runtime.block_on(async { tokio::time::timeout(Duration::from_secs(120), body()).await })?
    };
    Trial::test(format!("demo::{name}"), run)
}

pub fn trials() -> Vec<Trial> {
    vec![
        trial("host_runs_commands", runs_commands),
        trial("host_runs_many_at_once", runs_many_at_once),
        trial("host_takes_a_large_input", takes_a_large_input),
        trial("host_sends_a_large_output", sends_a_large_output),
        trial("host_ends_by_a_signal", ends_by_a_signal),
        trial("host_connects_to_ports", connects_to_ports),
        trial("host_lets_in_one_key", lets_in_one_key),
        trial("host_has_no_init_system", has_no_init_system),
        trial("host_leaves_nothing_running", leaves_nothing_running),
        trial("plays_to_its_end_and_can_be_gone_on_with", plays),
        trial("stops_when_it_is_told_to", stops),
    ]
}

/// A running host, and the folder that is removed with it.
struct DemoHost {
    server: Server,
    sandbox: Sandbox,
    _folder: tempfile::TempDir,
}

async fn host() -> Result<DemoHost, Failed> {
    let folder = tempfile::tempdir()?;
    let sandbox = Sandbox::make(folder.path(), Path::new("/bin/true"))?;
    let server = Server::start(sandbox.clone(), 0).await?;
    Ok(DemoHost { server, sandbox, _folder: folder })
}

async fn connect(host: &DemoHost) -> Result<Arc<dyn Transport>, Lost> {
    let options = Options {
        home: host.sandbox.root().into(),
        local_user: "demo".into(),
        config: Some(host.sandbox.ssh_config()),
        ..Options::default()
    };
    let mut entry = sshd::host("box", host.server.port(), Path::new("/nowhere"));
    entry.identity.clear();
    Pool::new(options).connect(&entry, &sshd::registry(&[&entry])).await
}

fn sh(script: &str) -> Cmd {
    Cmd::new("/bin/sh").arg("-c").arg(script)
}

async fn run(way: &Arc<dyn Transport>, cmd: Cmd, input: &[u8]) -> Result<Reply, Failed> {
    Ok(way.start(&cmd, false).await?.finish(input.to_vec()).await?)
}

/// Stops the host; nothing may be left.
async fn stop(host: DemoHost) -> Outcome {
    let left = host.server.stop().await;
    if left.is_empty() { Ok(()) } else { Err(format!("still running: {left:?}").into()) }
}

async fn runs_commands() -> Outcome {
    let host = host().await?;
    let way = connect(&host).await?;
    let reply = run(&way, sh("cat; echo error >&2; exit 3"), b"hello\n").await?;
    assert_eq!(reply, Reply { end: End::Code(3), out: b"hello\n".to_vec(), err: b"error\n".to_vec() });
    let reply = run(&way, sh("echo \"$HOME\"; pwd; env | grep -c SSH_AUTH_SOCK"), b"").await?;
    let home = host.sandbox.root().join("host/home").display().to_string();
    assert_eq!(String::from_utf8_lossy(&reply.out), format!("{home}\n{home}\n0\n"));
    way.close().await;
    stop(host).await
}

async fn runs_many_at_once() -> Outcome {
    let host = host().await?;
    let way = connect(&host).await?;
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..40 {
        let way = way.clone();
        tasks.spawn(async move { run(&way, sh(&format!("echo {number}; exit {number}")), b"").await });
    }
    let mut ended = Vec::new();
    while let Some(reply) = tasks.join_next().await {
        let reply = reply?.map_err(|error| Failed::from(format!("{error:?}")))?;
        let End::Code(code) = reply.end else { return Err(format!("{reply:?}").into()) };
        assert_eq!(reply.out, format!("{code}\n").into_bytes());
        ended.push(code);
    }
    ended.sort_unstable();
    assert_eq!(ended, (0..40).collect::<Vec<u32>>());
    way.close().await;
    stop(host).await
}

async fn takes_a_large_input() -> Outcome {
    let host = host().await?;
    let way = connect(&host).await?;
    let bytes = vec![b'x'; 24 << 20];
    let reply = run(&way, sh("wc -c"), &bytes).await?;
    assert_eq!(String::from_utf8_lossy(&reply.out).trim(), bytes.len().to_string());
    // A command that does not read its input holds up neither its own end nor the others.
    let reply = run(&way, sh("exit 4"), &bytes).await?;
    assert_eq!(reply.end, End::Code(4));
    way.close().await;
    stop(host).await
}

async fn sends_a_large_output() -> Outcome {
    let host = host().await?;
    let way = connect(&host).await?;
    let reply = run(&way, sh("head -c 9000000 /dev/zero; head -c 3000000 /dev/zero >&2"), b"").await?;
    assert_eq!((reply.end, reply.out.len(), reply.err.len()), (End::Code(0), 9_000_000, 3_000_000));
    way.close().await;
    stop(host).await
}

async fn ends_by_a_signal() -> Outcome {
    let host = host().await?;
    let way = connect(&host).await?;
    let cmd = sh("sleep 300").within(Duration::from_millis(300));
    let begun = Instant::now();
    let lost = way.start(&cmd, false).await?.finish(Vec::new()).await;
    assert!(matches!(lost, Err(Lost::Overdue { .. })), "{lost:?}");
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    way.close().await;
    stop(host).await
}

async fn connects_to_ports() -> Outcome {
    let host = host().await?;
    let way = connect(&host).await?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    let within = Duration::from_secs(5);
    let (accepted, dialled) = tokio::join!(listener.accept(), way.dial("127.0.0.1", port, within));
    let (mut near, mut far) = (accepted?.0, dialled?);
    far.write_all(b"ping").await?;
    far.shutdown().await?;
    let mut heard = Vec::new();
    near.read_to_end(&mut heard).await?;
    near.write_all(b"pong").await?;
    drop(near);
    let mut answer = Vec::new();
    far.read_to_end(&mut answer).await?;
    assert_eq!((heard.as_slice(), answer.as_slice()), (b"ping".as_slice(), b"pong".as_slice()));
    // Held, so that nobody else listens there, and not listened at.
    let held = TcpSocket::new_v4()?;
    held.bind("127.0.0.1:0".parse()?)?;
    let refused = way.dial("127.0.0.1", held.local_addr()?.port(), within).await.map(|_| ());
    assert!(matches!(refused, Err(Lost::Refused { .. } | Lost::Channel { .. })), "{refused:?}");
    let outside = way.dial("192.0.2.1", 80, within).await.map(|_| ());
    assert!(outside.is_err(), "the host of the demo reached out");
    way.close().await;
    stop(host).await
}

async fn lets_in_one_key() -> Outcome {
    let host = host().await?;
    let other = tempfile::tempdir()?;
    let stranger = Sandbox::make(other.path(), Path::new("/bin/true"))?;
    std::fs::copy(stranger.root().join("operator/id"), host.sandbox.root().join("operator/id"))?;
    let refused = connect(&host).await.map(|_| ());
    assert!(matches!(refused, Err(Lost::Authentication { .. })), "{refused:?}");
    stop(host).await
}

async fn has_no_init_system() -> Outcome {
    let host = host().await?;
    let way = connect(&host).await?;
    let question = portoser::host::look::Question::default();
    let script = portoser::host::look::script(&question);
    let reply = run(&way, Cmd::new("/bin/sh").arg("-s"), script.as_bytes()).await?;
    let seen = portoser::host::look::read(&reply.out)?;
    assert_eq!(seen.facts.init, portoser::host::Init::None);
    assert!(seen.facts.tools.contains("tar"), "{:?}", seen.facts.tools);
    way.close().await;
    stop(host).await
}

async fn leaves_nothing_running() -> Outcome {
    let host = host().await?;
    let way = connect(&host).await?;
    // Detached, in a session of its own where there is setsid, and deaf to the first request.
    let script = "s=$(command -v setsid); nohup $s sh -c 'trap \"\" TERM; while :; do sleep 0.1; done' >/dev/null 2>&1 </dev/null & echo $!";
    let reply = run(&way, sh(script), b"").await?;
    let pid = String::from_utf8_lossy(&reply.out).trim().to_owned();
    let alive = run(&way, Cmd::new("kill").args(["-0", &pid]), b"").await?;
    assert_eq!(alive.end, End::Code(0), "the detached process is there");
    // A command that still runs when the host stops.
    let mut running = way.start(&sh("echo here; sleep 300"), false).await?;
    assert!(matches!(running.output.recv().await, Some(Said::Out(_))));
    stop(host).await?;
    assert!(!Path::new("/proc").join(&pid).join("exe").exists(), "process {pid} is still there");
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "the test starts the program as a user does")]
fn portoser(words: &[&str], folder: &Path) -> tokio::process::Command {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_portoser"));
    let operator = folder.join("operator");
    command
        .args(words)
        .env("PORTOSER_REGISTRY", operator.join("registry.yml"))
        .env("PORTOSER_STATE", operator.join("state"))
        .env("PORTOSER_SSH_CONFIG", operator.join("ssh_config"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// What the program said, and that it ended with this code.
fn ended(output: &Output, code: i32) -> Result<String, Failed> {
    let said = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned()).concat();
    if output.status.code() == Some(code) {
        Ok(said)
    } else {
        Err(format!("{}, not {code}:\n{said}", output.status).into())
    }
}

async fn nothing_left(folder: &Path) -> Outcome {
    let left = Sandbox::open(folder)?.running().await;
    if left.is_empty() { Ok(()) } else { Err(format!("still running: {left:?}").into()) }
}

/// Asks a process to end, as Ctrl-C does.
async fn interrupt(child: &tokio::process::Child) -> Outcome {
    let pid = child.id().ok_or("it has ended already")?.to_string();
    let status = shell(&["kill", "-s", "INT", &pid]).status().await?;
    if status.success() { Ok(()) } else { Err("it could not be interrupted".into()) }
}

#[expect(clippy::disallowed_methods, reason = "a test may kill what it started")]
fn shell(words: &[&str]) -> tokio::process::Command {
    let mut command = tokio::process::Command::new("/bin/sh");
    command.args(["-c", "\"$@\"", "sh"]).args(words);
    command
}

/// Reads the program's standard error until a line has these words in it.
async fn heard(child: &mut tokio::process::Child, words: &str) -> Result<tokio::process::ChildStderr, Failed> {
    let mut stderr = child.stderr.take().ok_or("no standard error")?;
    let mut said = Vec::new();
    while !String::from_utf8_lossy(&said).contains(words) {
        let mut piece = [0; 1024];
        match stderr.read(&mut piece).await? {
            0 => return Err(format!("it ended before `{words}`: {}", String::from_utf8_lossy(&said)).into()),
            length => said.extend_from_slice(&piece[..length]),
        }
    }
    Ok(stderr)
}

async fn plays() -> Outcome {
    let temporary = tempfile::tempdir()?;
    let folder = temporary.path().join("demo");
    let place = folder.display().to_string();
    let begun = Instant::now();
    let output = portoser(&["demo", "--in", &place], &folder).output().await?;
    let said = ended(&output, 0)?;
    eprintln!("demo: {:.1} s", begun.elapsed().as_secs_f64());
    assert!(said.contains(r#""version":"1""#), "{said}");
    nothing_left(&folder).await?;

    assert!(["HEALED", "LEARNED", "nothing to do in "].iter().all(|part| said.contains(part)), "{said}");

    // What it says to try next works.
    let history = ended(&portoser(&["history"], &folder).output().await?, 0)?;
    assert!(history.contains("web") && history.contains("db"), "{history}");
    let mut served = portoser(&["demo", "--serve", &place], &folder).spawn()?;
    let _talk = heard(&mut served, "portoser plan").await?;
    ended(&portoser(&["plan", "--all"], &folder).output().await?, 0)?;
    interrupt(&served).await?;
    assert_eq!(served.wait().await?.code(), Some(0));
    nothing_left(&folder).await
}

async fn stops() -> Outcome {
    let temporary = tempfile::tempdir()?;
    let folder = temporary.path().join("demo");
    let mut demo = portoser(&["demo", "--in", &folder.display().to_string()], &folder).spawn()?;
    let mut stderr = heard(&mut demo, "$ portoser deploy").await?;
    interrupt(&demo).await?;
    let mut rest = String::new();
    stderr.read_to_string(&mut rest).await?;
    assert_eq!(demo.wait().await?.code(), Some(130), "{rest}");
    nothing_left(&folder).await
}
