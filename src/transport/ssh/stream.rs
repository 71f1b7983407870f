//! A stream from the host to one of its ports. A channel that nobody reads would freeze the whole connection, so a task of
//! its own reads it, whatever its user does.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use russh::client::Msg;
use russh::{Channel, ChannelMsg, ChannelReadHalf, ChannelWriteHalf};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

/// What may wait to be read by a slow user; beyond it the stream is ended, as memory is not.
const BACKLOG: usize = 64 << 20;

/// Our end of a stream. Dropping it closes the channel.
struct Pumped {
    pieces: mpsc::UnboundedReceiver<Vec<u8>>,
    piece: Vec<u8>,
    read: usize,
    waiting: Arc<AtomicUsize>,
    writer: Pin<Box<dyn AsyncWrite + Send>>,
    _dropped: DropGuard,
}

/// Gives the channel to a task that always reads it, and returns our end.
pub(super) fn pump(channel: Channel<Msg>, tasks: &TaskTracker) -> impl AsyncRead + AsyncWrite + Send + Unpin + 'static {
    let (reader, closer) = channel.split();
    let writer = Box::pin(closer.make_writer());
    let (sender, pieces) = mpsc::unbounded_channel();
    let waiting = Arc::new(AtomicUsize::new(0));
    let dropped = CancellationToken::new();
    tasks.spawn(drain(reader, closer, sender, waiting.clone(), dropped.clone()));
    Pumped { pieces, piece: Vec::new(), read: 0, waiting, writer, _dropped: dropped.drop_guard() }
}

async fn drain(
    mut reader: ChannelReadHalf,
    closer: ChannelWriteHalf<Msg>,
    sender: mpsc::UnboundedSender<Vec<u8>>,
    waiting: Arc<AtomicUsize>,
    dropped: CancellationToken,
) {
    // It goes away at the end of the stream, so that our user reads the end; the other direction stays open.
    let mut sender = Some(sender);
    loop {
        let message = tokio::select! {
            message = reader.wait() => message,
            () = dropped.cancelled() => break,
        };
        match message {
            Some(ChannelMsg::Data { data }) => {
                let before = waiting.fetch_add(data.len(), Ordering::Relaxed);
                if before > BACKLOG || sender.as_ref().is_none_or(|sender| sender.send(data.into()).is_err()) {
                    break;
                }
            }
            Some(ChannelMsg::Eof) => sender = None,
            Some(ChannelMsg::Close) | None => return,
            Some(_) => {}
        }
    }
    drop(sender);
    let _ = closer.close().await;
    while reader.wait().await.is_some() {}
}

impl AsyncRead for Pumped {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.read == self.piece.len() {
            match ready!(self.pieces.poll_recv(cx)) {
                Some(piece) => {
                    self.waiting.fetch_sub(piece.len(), Ordering::Relaxed);
                    (self.piece, self.read) = (piece, 0);
                }
                None => return Poll::Ready(Ok(())),
            }
        }
        let length = buf.remaining().min(self.piece.len() - self.read);
        buf.put_slice(&self.piece[self.read..self.read + length]);
        self.read += length;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Pumped {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.writer.as_mut().poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.writer.as_mut().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.writer.as_mut().poll_shutdown(cx)
    }
}
