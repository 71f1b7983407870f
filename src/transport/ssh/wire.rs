//! The TCP stream under a connection: quick to acknowledge, quick to give up, and killable from outside.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, Sleep, sleep, timeout};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use crate::transport::Lost;

/// How long the names of a host may take to resolve.
const RESOLVE: Duration = Duration::from_secs(5);

/// How long one address is tried alone before the next one is tried beside it (RFC 8305, section 5).
const NEXT_ADDRESS: Duration = Duration::from_millis(250);

/// How long the other side may take no byte before the link counts as dead. The keepalives cannot tell: they wait behind
/// the bytes.
pub(super) const STALLED: Duration = Duration::from_secs(14);

/// What is said then.
const STALLS: &str = "the server takes nothing that is sent";

/// Whether the other side took nothing for too long. The system has an error of this kind, too, after a time of its own.
pub(super) fn is_stalled(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::TimedOut && error.raw_os_error().is_none()
}

/// Connects to the first address of `name` that answers.
pub(super) async fn connect(name: &str, port: u16, within: Duration) -> Result<TcpStream, Lost> {
    let resolved = timeout(RESOLVE, tokio::net::lookup_host((name, port))).await;
    let addresses: Vec<SocketAddr> = match resolved {
        Ok(Ok(addresses)) => addresses.collect(),
        Ok(Err(_)) => return Err(Lost::Resolve { name: name.into() }),
        Err(_) => return Err(Lost::TimedOut { what: format!("resolving `{name}`"), after: RESOLVE }),
    };
    if addresses.is_empty() {
        return Err(Lost::Resolve { name: name.into() });
    }
    match timeout(within, race(addresses)).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => Err(failed(name, port, &error)),
        Err(_) => Err(Lost::TimedOut { what: format!("connecting to {name}:{port}"), after: within }),
    }
}

fn failed(name: &str, port: u16, error: &io::Error) -> Lost {
    let address = format!("{name}:{port}");
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Lost::Refused { address },
        io::ErrorKind::ConnectionReset => Lost::Busy { address, says: error.to_string() },
        _ => Lost::Unreachable { address, says: error.to_string() },
    }
}

async fn race(addresses: Vec<SocketAddr>) -> io::Result<TcpStream> {
    let mut tries = JoinSet::new();
    let mut waiting = addresses.into_iter();
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    let mut more = true;
    loop {
        if more {
            match waiting.next() {
                Some(address) => drop(tries.spawn(TcpStream::connect(address))),
                None => more = false,
            }
        }
        tokio::select! {
            ended = tries.join_next() => match ended {
                Some(Ok(Ok(stream))) => return Ok(stream),
                Some(Ok(Err(error))) => last = error,
                Some(Err(error)) => last = io::Error::other(error),
                None => return Err(last),
            },
            () = sleep(NEXT_ADDRESS), if more => {}
        }
    }
}

/// A TCP stream that acknowledges at once. sshd switches Nagle off only when a session starts, so without this the first
/// exec waits 40 ms for our delayed acknowledgement.
pub(super) struct Quick(TcpStream);

impl Quick {
    pub(super) fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        let quick = Self(stream);
        quick.acknowledge();
        Ok(quick)
    }

    /// Linux falls back to delayed acknowledgements by itself, so this is said again after each read.
    fn acknowledge(&self) {
        #[cfg(target_os = "linux")]
        let _ = self.0.set_quickack(true);
    }
}

impl AsyncRead for Quick {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.0).poll_read(cx, buf);
        if matches!(polled, Poll::Ready(Ok(()))) {
            self.acknowledge();
        }
        polled
    }
}

impl AsyncWrite for Quick {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// A stream that ends when the token is cancelled, and fails when the other side takes nothing for too long. russh keeps
/// its task for a handshake that nobody waits for any more, and waits without end for a write.
pub(super) struct Guarded<S> {
    inner: S,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
    stalled: Option<Pin<Box<Sleep>>>,
}

impl<S> Guarded<S> {
    pub(super) fn new(inner: S, cut: CancellationToken) -> Self {
        Self { inner, cut: Box::pin(cut.cancelled_owned()), stalled: None }
    }

    fn is_cut(&mut self, cx: &mut Context<'_>) -> bool {
        self.cut.as_mut().poll(cx).is_ready()
    }

    /// Passes `polled` on, unless it has been pending for too long.
    fn watch<T>(&mut self, cx: &mut Context<'_>, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.stalled = None;
            return polled;
        }
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(Instant::now() + STALLED)));
        match stalled.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, STALLS))),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guarded<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.is_cut(cx) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Guarded<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write(cx, buf);
        self.watch(cx, polled)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.inner).poll_flush(cx);
        self.watch(cx, polled)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.inner).poll_shutdown(cx);
        self.watch(cx, polled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The time that was waited is told only where it was ours.
    #[tokio::test]
    async fn who_takes_nothing_is_known_from_other_ends() {
        use tokio::io::AsyncWriteExt as _;
        let (near, _far) = tokio::io::duplex(1);
        let mut guarded = Guarded::new(near, CancellationToken::new());
        guarded.write_all(b"1").await.expect("there is room");
        guarded.stalled = Some(Box::pin(sleep(Duration::ZERO)));
        let stalls = guarded.write_all(b"2").await.expect_err("nobody reads");
        assert!(is_stalled(&stalls), "{stalls}");
        assert!(!is_stalled(&io::Error::from_raw_os_error(110)), "the system's own");
        assert!(!is_stalled(&io::ErrorKind::ConnectionAborted.into()));
    }

    /// Without it the first exec waits 40 ms for an acknowledgement: a trap that no trial without a clock can see.
    #[tokio::test]
    async fn nothing_that_is_sent_waits_for_more() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let stream = TcpStream::connect(listener.local_addr().expect("an address")).await.expect("connected");
        assert!(!stream.nodelay().expect("an option"), "the system's own default");
        let quick = Quick::new(stream).expect("set");
        assert!(quick.0.nodelay().expect("an option"));
    }
}
