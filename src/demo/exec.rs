//! One command on the demo's host: its three streams, signals, and how it ended; as sshd does it without a terminal.

use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;

use russh::server::{Handle, Msg};
use russh::{Channel, ChannelId, ChannelMsg, ChannelReadHalf, ChannelWriteHalf, Sig};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::process::{Child, ChildStdin};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{Sandbox, processes};

/// The number of the extended data that is standard error (RFC 4254, 5.2).
const STDERR: u32 = 1;

/// Serves a session channel: waits for its command, runs it, and tells the end.
pub(super) async fn serve(channel: Channel<Msg>, handle: Handle, sandbox: Arc<Sandbox>, stop: CancellationToken) {
    let (mut from, to) = channel.split();
    let id = to.id();
    let command = loop {
        match from.wait().await {
            Some(ChannelMsg::Exec { command, .. }) => break command,
            // What else may be asked before is answered by the handler.
            Some(_) => {}
            None => return,
        }
    };
    let Ok(child) = spawn(&sandbox, &command) else {
        let _ = handle.channel_failure(id).await;
        let _ = handle.close(id).await;
        return;
    };
    // A client that is gone needs no answer; each of these fails only then.
    let _ = handle.channel_success(id).await;
    tokio::select! {
        () = stop.cancelled() => {}
        () = run(child, from, to, &handle, id) => {}
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the far end of a transport, not a way around it")]
fn spawn(sandbox: &Sandbox, command: &[u8]) -> std::io::Result<Child> {
    use std::os::unix::ffi::OsStrExt;
    tokio::process::Command::new("/bin/sh")
        .arg("-c")
        .arg(std::ffi::OsStr::from_bytes(command))
        .env_clear()
        .envs(sandbox.environment())
        .current_dir(sandbox.home())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
}

/// Runs to the end: the end of the process and of its output, as sshd waits for both.
async fn run(mut child: Child, from: ChannelReadHalf, to: ChannelWriteHalf<Msg>, handle: &Handle, id: ChannelId) {
    let group = child.id();
    let input = child.stdin.take();
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let work = async {
        let (ended, (), ()) =
            tokio::join!(child.wait(), pump(out, to.make_writer()), pump(err, to.make_writer_ext(Some(STDERR))),);
        let _ = to.eof().await;
        if let Ok(status) = ended {
            tell(handle, id, status).await;
        }
        let _ = to.close().await;
    };
    tokio::select! {
        () = work => {}
        // The client closed the channel. The command is not ended by that; it sees its streams close.
        () = listen(from, input, group) => {}
    }
}

/// Hears the client: bytes for standard input, its end, signals. Never waits for the command, as a channel that is not
/// drained holds up the whole connection.
async fn listen(mut from: ChannelReadHalf, input: Option<ChildStdin>, group: Option<u32>) {
    let (feed, fed) = mpsc::unbounded_channel();
    let mut feed = Some(feed);
    let hear = async {
        while let Some(message) = from.wait().await {
            match message {
                ChannelMsg::Data { data } => {
                    // What comes after the command closed its input is dropped.
                    feed.as_ref().map(|feed| feed.send(data));
                }
                ChannelMsg::Eof => feed = None,
                ChannelMsg::Close => break,
                ChannelMsg::Signal { signal } => processes::signal(group, name(&signal)).await,
                _ => {}
            }
        }
    };
    let write = async {
        write_all(input, fed).await;
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = hear => {}
        () = write => {}
    }
}

async fn write_all<B: AsRef<[u8]>>(input: Option<ChildStdin>, mut fed: mpsc::UnboundedReceiver<B>) {
    let Some(mut input) = input else { return };
    while let Some(bytes) = fed.recv().await {
        if input.write_all(bytes.as_ref()).await.is_err() {
            return;
        }
    }
}

/// Moves bytes until either side ends.
async fn pump(from: Option<impl AsyncRead + Unpin>, mut to: impl AsyncWrite + Unpin) {
    let Some(mut from) = from else { return };
    let mut buffer = vec![0; 32 << 10];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        if to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}

async fn tell(handle: &Handle, id: ChannelId, status: ExitStatus) {
    let told = match (status.code(), status.signal()) {
        (Some(code), _) => handle.exit_status_request(id, u32::from(code.to_le_bytes()[0])).await,
        (None, Some(signal)) => {
            handle.exit_signal_request(id, by_number(signal), status.core_dumped(), String::new(), String::new()).await
        }
        (None, None) => Ok(()),
    };
    // It fails only when the client is gone.
    let _ = told;
}

fn name(signal: &Sig) -> &str {
    match signal {
        Sig::ABRT => "ABRT",
        Sig::ALRM => "ALRM",
        Sig::FPE => "FPE",
        Sig::HUP => "HUP",
        Sig::ILL => "ILL",
        Sig::INT => "INT",
        Sig::KILL => "KILL",
        Sig::PIPE => "PIPE",
        Sig::QUIT => "QUIT",
        Sig::SEGV => "SEGV",
        Sig::TERM => "TERM",
        Sig::USR1 => "USR1",
        Sig::Custom(name) => name,
    }
}

/// The numbers that Linux, the BSDs and macOS share; others are told by number.
fn by_number(signal: i32) -> Sig {
    match signal {
        1 => Sig::HUP,
        2 => Sig::INT,
        3 => Sig::QUIT,
        4 => Sig::ILL,
        6 => Sig::ABRT,
        8 => Sig::FPE,
        9 => Sig::KILL,
        11 => Sig::SEGV,
        13 => Sig::PIPE,
        14 => Sig::ALRM,
        15 => Sig::TERM,
        other => Sig::Custom(other.to_string()),
    }
}
