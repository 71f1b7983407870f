//! The SSH transport against real servers, each configured to provoke one trap.

mod lab;
mod local;
mod login;
mod reach;
mod shells;
mod sudo;
mod traps;
mod trust;

use std::sync::Arc;
use std::time::{Duration, Instant};

use libtest_mimic::{Failed, Trial};
use portoser::model::Cmd;
use portoser::transport::{Lost, Options, Pool, Reply, Running, Said, Transport};

use crate::fixture::sshd::{self, Sshd};

pub fn trials() -> Vec<Trial> {
    [
        reach::trials(),
        traps::trials(),
        login::trials(),
        trust::trials(),
        sudo::trials(),
        local::trials(),
        shells::trials(),
        lab::trials(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

type Outcome = Result<(), Failed>;

/// A trial that needs an sshd; it may take a minute.
fn trial<F>(name: &str, body: fn() -> F) -> Trial
where
    F: Future<Output = Outcome> + Send + 'static,
{
    let missing = sshd::missing();
    if let Some(reason) = &missing {
        eprintln!("skipped: ssh::{name}: {reason}");
    }
    Trial::test(format!("ssh::{name}"), move || block_on(async move { body().await }))
        .with_ignored_flag(missing.is_some())
}

/// Runs a trial's body, for a minute at most.
fn block_on(body: impl Future<Output = Outcome>) -> Outcome {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async { tokio::time::timeout(Duration::from_secs(60), body).await })?
}

fn sh(script: &str) -> Cmd {
    Cmd::new("/bin/sh").arg("-c").arg(script)
}

async fn connect(sshd: &Sshd) -> Result<Arc<dyn Transport>, Failed> {
    let host = sshd.host("web", sshd.port());
    Ok(Pool::new(sshd.options("")).connect(&host, &sshd::registry(&[&host])).await?)
}

async fn run(way: &Arc<dyn Transport>, cmd: Cmd, input: &[u8]) -> Result<Reply, Failed> {
    Ok(way.start(&cmd, false).await?.finish(input.to_vec()).await?)
}

/// Makes the server's key known at a proxy's port too.
fn known_at(sshd: &Sshd, port: u16) {
    let line = sshd.known_line("host.pub", &format!("[127.0.0.1]:{port}"));
    let both = line + &sshd.known_line("host.pub", &format!("[127.0.0.1]:{}", sshd.port()));
    std::fs::write(sshd.known_hosts(), both).expect("known_hosts");
}

/// Connects with these options, once, and runs `true`.
async fn log_in(sshd: &Sshd, options: Options) -> Result<(), Lost> {
    let host = sshd.host("web", sshd.port());
    let way = Pool::new(options).connect(&host, &sshd::registry(&[&host])).await?;
    way.start(&sh("true"), false).await?.finish(Vec::new()).await.map(drop)
}

/// Waits until `pid` is gone.
async fn gone(pid: &str) -> Outcome {
    let until = Instant::now() + Duration::from_secs(10);
    while std::path::Path::new("/proc").join(pid).exists() {
        if Instant::now() > until {
            return Err(format!("process {pid} still runs").into());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

/// A command that tells its process id and goes on for ever, in a child that ignores the end of its input.
const FOR_EVER: &str = "echo $$; sleep 1000 & wait; sleep 1000";

async fn first_line(running: &mut Running) -> Result<String, Failed> {
    match running.output.recv().await {
        Some(Said::Out(bytes)) => Ok(String::from_utf8(bytes)?.trim().to_owned()),
        other => Err(format!("{other:?}").into()),
    }
}
