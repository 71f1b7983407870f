//! This machine as a host: the same contract as over SSH, through processes.

use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::task::TaskTracker;

use crate::model::{Cmd, HostName};
use crate::registry::{Become, Host};

use super::shell::{self, Ear, Order, Rights};
use super::{End, Lost, Options, Reply, Running, Said, Stream, Transport};

const INPUT_PIECES: usize = 16;

/// After the exit the output may still be in the pipe; a process left behind may hold it open for ever.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// How long the end of a cancelled command may take.
pub(super) const CANCEL: Duration = Duration::from_secs(10);

/// This machine.
pub struct Local {
    name: HostName,
    user: String,
    root: Rights,
    tasks: Arc<TaskTracker>,
}

impl Local {
    /// This machine under the name of `host`; `tasks` keeps what listens to its commands. Where it says `become: sudo` and we are root already, sudo is left out.
    pub(super) async fn new(host: &Host, options: &Options, tasks: Arc<TaskTracker>) -> Self {
        let root = match host.r#become {
            Become::Sudo if !is_root().await => Rights::Sudo(options.become_password.clone()),
            Become::Sudo | Become::None => Rights::Plain,
        };
        Self { name: host.name.clone(), user: options.local_user.clone(), root, tasks }
    }
}

async fn is_root() -> bool {
    let id = command("id").arg("-u").stdin(Stdio::null()).output();
    matches!(timeout(CANCEL, id).await, Ok(Ok(output)) if output.stdout == b"0\n")
}

fn command(program: &str) -> Command {
    #[expect(clippy::disallowed_methods, reason = "this room starts processes")]
    Command::new(program)
}

#[async_trait]
impl Transport for Local {
    fn host(&self) -> &HostName {
        &self.name
    }

    async fn start(&self, cmd: &Cmd, root: bool) -> Result<Running, Lost> {
        let rights = if root { self.root.clone() } else { Rights::Plain };
        let order = Order::new(cmd.words(), &rights, &self.user)?;
        let mut shell = command("/bin/sh");
        shell.arg("-c").arg(&order.line).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        #[cfg(unix)]
        shell.process_group(0);
        let child = shell.spawn().map_err(|error| Lost::Local(format!("cannot start /bin/sh: {error}")))?;
        let (input, pieces) = mpsc::channel(INPUT_PIECES);
        let (said, output) = mpsc::unbounded_channel();
        let task = Task { said, ear: order.ear, rights, late: shell::late(cmd), until: Instant::now() + cmd.within };
        self.tasks.spawn(task.run(child, order.ahead, pieces));
        Ok(Running { input, output })
    }

    async fn dial(&self, address: &str, port: u16, within: Duration) -> Result<Box<dyn Stream>, Lost> {
        let to = format!("{address}:{port}");
        match timeout(within, tokio::net::TcpStream::connect((address, port))).await {
            Ok(Ok(stream)) => Ok(Box::new(stream)),
            Ok(Err(error)) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
                Err(Lost::Refused { address: to })
            }
            Ok(Err(error)) => Err(Lost::Unreachable { address: to, says: error.to_string() }),
            Err(_) => Err(Lost::TimedOut { what: format!("connecting to {to}"), after: within }),
        }
    }

    async fn close(&self) {
        self.tasks.close();
        let _ = timeout(CANCEL, self.tasks.wait()).await;
    }
}

/// Runs words on this machine, as whoever runs portoser.
pub async fn here(cmd: &Cmd) -> Result<Reply, Lost> {
    let name = HostName::try_from("localhost").map_err(|error| Lost::Local(error.to_string()))?;
    let local = Local { name, user: String::new(), root: Rights::Plain, tasks: Arc::default() };
    local.start(cmd, false).await?.finish(Vec::new()).await
}

struct Task {
    said: mpsc::UnboundedSender<Said>,
    ear: Ear,
    rights: Rights,
    late: Lost,
    until: Instant,
}

enum Stop {
    Ended(End),
    Late,
    Dropped,
}

impl Task {
    async fn run(mut self, mut child: Child, ahead: Vec<u8>, pieces: mpsc::Receiver<Vec<u8>>) {
        let group = child.id();
        let stop = {
            let feed = feed(child.stdin.take(), ahead, pieces);
            tokio::pin!(feed);
            let mut fed = false;
            let listen = self.listen(&mut child);
            tokio::pin!(listen);
            loop {
                tokio::select! {
                    stop = &mut listen => break stop,
                    () = &mut feed, if !fed => fed = true,
                }
            }
        };
        match stop {
            Stop::Ended(end) => {
                let _ = self.said.send(self.ear.end(end));
                return;
            }
            Stop::Late => drop(self.said.send(Said::Lost(self.late))),
            Stop::Dropped => {}
        }
        if let Some(group) = group {
            let _ = timeout(CANCEL, cancel(group, &self.rights, &mut child)).await;
        }
    }

    async fn listen(&mut self, child: &mut Child) -> Stop {
        let (mut out, mut err) = (child.stdout.take(), child.stderr.take());
        let (mut out_bytes, mut err_bytes) = (vec![0; 64 << 10], vec![0; 64 << 10]);
        let mut end = None;
        let mut until = self.until;
        loop {
            if let (Some(end), None, None) = (&end, &out, &err) {
                return Stop::Ended(End::clone(end));
            }
            let heard = tokio::select! {
                length = read(&mut out, &mut out_bytes) => {
                    if length == 0 { out = None; None } else { self.ear.out(out_bytes[..length].to_vec()) }
                }
                length = read(&mut err, &mut err_bytes) => {
                    if length == 0 { err = None; None } else { self.ear.err(err_bytes[..length].to_vec()) }
                }
                status = child.wait(), if end.is_none() => {
                    end = Some(end_of(status));
                    None
                }
                () = self.said.closed() => return Stop::Dropped,
                () = sleep_until(until) => return end.map_or(Stop::Late, Stop::Ended),
            };
            if end.is_some() {
                until = self.until.min(Instant::now() + LAST_WORDS);
            }
            if let Some(heard) = heard {
                let _ = self.said.send(heard);
            }
        }
    }
}

/// Reads a piece; an ended stream is asked no more.
async fn read<R: AsyncRead + Unpin>(stream: &mut Option<R>, bytes: &mut [u8]) -> usize {
    match stream {
        Some(stream) => stream.read(bytes).await.unwrap_or(0),
        None => std::future::pending().await,
    }
}

async fn feed(stdin: Option<ChildStdin>, ahead: Vec<u8>, mut pieces: mpsc::Receiver<Vec<u8>>) {
    let Some(mut stdin) = stdin else { return };
    let mut piece = ahead;
    loop {
        if stdin.write_all(&piece).await.is_err() {
            return;
        }
        match pieces.recv().await {
            Some(next) => piece = next,
            None => return,
        }
    }
}

async fn cancel(group: u32, rights: &Rights, child: &mut Child) {
    let words = shell::kill(group);
    let Ok(order) = Order::new(&words, rights, "") else { return };
    let mut shell = command("/bin/sh");
    shell.arg("-c").arg(&order.line).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    if let Ok(mut killer) = shell.spawn() {
        if let Some(mut stdin) = killer.stdin.take() {
            let _ = stdin.write_all(&order.ahead).await;
        }
        let _ = killer.wait().await;
    }
    let _ = child.wait().await;
}

fn end_of(status: std::io::Result<ExitStatus>) -> End {
    let Ok(status) = status else { return End::Signal("SIGKILL".into()) };
    if let Some(code) = status.code() {
        return End::Code(code.cast_unsigned());
    }
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        return End::Signal(signal_name(signal));
    }
    End::Signal("an unknown signal".into())
}

/// The names of the signals that end commands; the numbers are the same on Linux, macOS and the BSDs.
fn signal_name(number: i32) -> String {
    match number {
        1 => "SIGHUP".into(),
        2 => "SIGINT".into(),
        3 => "SIGQUIT".into(),
        6 => "SIGABRT".into(),
        8 => "SIGFPE".into(),
        9 => "SIGKILL".into(),
        11 => "SIGSEGV".into(),
        13 => "SIGPIPE".into(),
        14 => "SIGALRM".into(),
        15 => "SIGTERM".into(),
        other => format!("signal {other}"),
    }
}
