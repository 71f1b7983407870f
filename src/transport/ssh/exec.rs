//! One command on one channel: a task of its own listens to it from its start to its end, and never waits for anybody.

use std::sync::Arc;
use std::time::Duration;

use russh::client::Msg;
use russh::{Channel, ChannelMsg, ChannelReadHalf, ChannelWriteHalf, Sig};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::model::Cmd;
use crate::transport::shell::{Ear, Order, Rights};
use crate::transport::{End, Lost, Running, Said, shell};

use super::connection::Connection;

/// Pieces of input that may wait for the host.
const INPUT_PIECES: usize = 16;

/// After the exit status the output may still be on its way; a process left behind may hold it open for ever.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// How long the end of a cancelled command may take, on all ways together.
const CANCEL: Duration = Duration::from_secs(10);

/// Starts `cmd`. The request and the first input go out in one flight; nothing is waited for but the channel.
pub(super) async fn start(connection: &Arc<Connection>, cmd: &Cmd, rights: Rights) -> Result<Running, Lost> {
    let user = &connection.target.user;
    let order = Order::new(cmd.words(), &rights, user)?;
    let until = Instant::now() + cmd.within;
    let full = |_| Lost::TimedOut { what: "waiting for a free session on the connection".into(), after: cmd.within };
    let (channel, seat) = timeout(cmd.within, connection.session()).await.map_err(full)??;
    let (input, pieces) = mpsc::channel(INPUT_PIECES);
    let (said, output) = mpsc::unbounded_channel();
    let lost = |error: russh::Error| connection.lost(&error.to_string());
    channel.exec(false, order.line).await.map_err(lost)?;
    let (reader, writer) = channel.split();
    let task = Task {
        connection: connection.clone(),
        reader,
        said,
        ear: order.ear,
        rights,
        late: shell::late(cmd),
        until,
        _seat: seat,
    };
    connection.commands.spawn(task.run(writer, order.ahead, pieces));
    Ok(Running { input, output })
}

struct Task {
    connection: Arc<Connection>,
    reader: ChannelReadHalf,
    said: mpsc::UnboundedSender<Said>,
    ear: Ear,
    rights: Rights,
    /// What is said when the deadline passes.
    late: Lost,
    until: Instant,
    _seat: OwnedSemaphorePermit,
}

/// Why the task stopped listening.
enum Stop {
    Ended(End),
    /// The channel ended without an end of the command.
    Gone,
    Late,
    /// Nobody wants to hear it any more.
    Dropped,
}

impl Task {
    async fn run(mut self, writer: ChannelWriteHalf<Msg>, ahead: Vec<u8>, pieces: mpsc::Receiver<Vec<u8>>) {
        let stop = {
            // The window of a command that no longer reads never opens again, so the writer is only ever raced.
            let feed = feed(&writer, ahead, pieces);
            tokio::pin!(feed);
            let mut fed = false;
            let listen = self.listen();
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
                let _ = writer.close().await;
            }
            Stop::Gone => {
                let _ = self.said.send(Said::Lost(self.connection.lost("the channel was closed")));
            }
            Stop::Late => {
                let _ = self.said.send(Said::Lost(self.late.clone()));
                self.cancel(&writer).await;
            }
            Stop::Dropped => self.cancel(&writer).await,
        }
    }

    async fn listen(&mut self) -> Stop {
        let mut end = None;
        let mut until = self.until;
        loop {
            let message = tokio::select! {
                biased;
                message = self.reader.wait() => message,
                () = self.said.closed() => return Stop::Dropped,
                () = sleep_until(until) => match end {
                    Some(end) => return Stop::Ended(end),
                    None => return Stop::Late,
                },
            };
            let heard = match message {
                Some(ChannelMsg::Data { data }) => self.ear.out(data.into()),
                Some(ChannelMsg::ExtendedData { data, .. }) => self.ear.err(data.into()),
                Some(ChannelMsg::ExitStatus { exit_status }) => {
                    end = Some(End::Code(exit_status));
                    None
                }
                Some(ChannelMsg::ExitSignal { signal_name, .. }) => {
                    end = Some(End::Signal(name_of(&signal_name)));
                    None
                }
                Some(ChannelMsg::Close) | None => return end.map_or(Stop::Gone, Stop::Ended),
                Some(ChannelMsg::Eof) => match end {
                    Some(end) => return Stop::Ended(end),
                    None => None,
                },
                Some(_) => None,
            };
            if end.is_some() {
                until = self.until.min(Instant::now() + LAST_WORDS);
            }
            if let Some(heard) = heard {
                let _ = self.said.send(heard);
            }
        }
    }

    /// Ends the command on the host. Closing the channel would leave it running, and sshd passes no signal on to root's
    /// processes, so its process group is killed by a command of its own.
    async fn cancel(mut self, writer: &ChannelWriteHalf<Msg>) {
        let told = async {
            let _ = writer.signal(Sig::TERM).await;
            if let Some(group) = self.ear.group() {
                let _ = kill(&self.connection, group, &self.rights).await;
            } else {
                sleep(LAST_WORDS).await;
                let _ = writer.signal(Sig::KILL).await;
            }
        };
        let ended = async { while !matches!(self.reader.wait().await, None | Some(ChannelMsg::Close)) {} };
        let both = async {
            tokio::select! {
                () = ended => {}
                () = told => {}
            }
        };
        let _ = timeout(CANCEL, both).await;
        let _ = writer.close().await;
    }
}

/// Kills the group on a channel of its own, past the seats: a full house must not keep a command alive.
async fn kill(connection: &Arc<Connection>, group: u32, rights: &Rights) -> Result<(), Lost> {
    let order = Order::new(&shell::kill(group), rights, &connection.target.user)?;
    let mut channel: Channel<Msg> = connection.extra_session().await?;
    let lost = |error: russh::Error| connection.lost(&error.to_string());
    channel.exec(false, order.line).await.map_err(lost)?;
    channel.data(&order.ahead[..]).await.map_err(lost)?;
    channel.eof().await.map_err(lost)?;
    while channel.wait().await.is_some() {}
    Ok(())
}

/// Sends what goes ahead, then the pieces until their sender is dropped, then the end of the input.
async fn feed(writer: &ChannelWriteHalf<Msg>, ahead: Vec<u8>, mut pieces: mpsc::Receiver<Vec<u8>>) {
    let mut piece = ahead;
    loop {
        if writer.data_bytes(piece).await.is_err() {
            return;
        }
        match pieces.recv().await {
            Some(next) => piece = next,
            None => break,
        }
    }
    let _ = writer.eof().await;
}

/// The signal's name with `SIG`, as the shell and the registry write it.
fn name_of(signal: &Sig) -> String {
    match signal {
        Sig::Custom(name) => format!("SIG{name}"),
        named => format!("SIG{named:?}"),
    }
}
