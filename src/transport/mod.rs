//! The only room that touches a host: ssh, this machine, and a scripted host for tests.
//! It carries words and bytes, and knows nothing of services.

use std::time::Duration;

use async_trait::async_trait;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;

use crate::model::{Cmd, HostName};

mod editor;
mod local;
mod lost;
mod mail;
mod news;
mod pool;
mod seats;
mod shell;
pub mod ssh;

pub use editor::edit_file;
pub use local::{Local, here};
pub use lost::Lost;
pub use mail::{Letter, mail};
pub use news::{hand, post};
pub use pool::{Options, Pool};
pub use seats::{Patience, Seat, Seats};

/// A byte stream to a port that the host can reach.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A way to one host. One connection, however many commands and streams.
#[async_trait]
pub trait Transport: Send + Sync {
    /// The host's name in the registry.
    fn host(&self) -> &HostName;

    /// What the host took as a proof of who we are: a key's name, `password`, ...; none where it asks for none.
    fn proof(&self) -> Option<&str> {
        None
    }

    /// Starts a command on the host. The far side is a POSIX shell, whatever the user's login shell is. With `root`, the
    /// command runs as root where the registry says `become: sudo`; without, as the login user.
    /// The `Running` ends by itself `cmd.within` after the start.
    async fn start(&self, cmd: &Cmd, root: bool) -> Result<Running, Lost>;

    /// Opens a connection from the host to `address:port`.
    async fn dial(&self, address: &str, port: u16, within: Duration) -> Result<Box<dyn Stream>, Lost>;

    /// Ends the connection in good order; idempotent.
    async fn close(&self);
}

/// A command that runs on a host. Dropping it ends the command on the host too, as far as the host can be told.
pub struct Running {
    /// The command's standard input; dropping the sender closes it. Bytes sent after the end are dropped silently: the
    /// end itself is told by `output`.
    pub input: mpsc::Sender<Vec<u8>>,
    /// What it prints, in order, then exactly one `End` or `Lost`.
    pub output: mpsc::UnboundedReceiver<Said>,
}

/// What comes back from a running command.
#[derive(Debug)]
pub enum Said {
    /// Bytes of its standard output.
    Out(Vec<u8>),
    /// Bytes of its standard error.
    Err(Vec<u8>),
    /// It ended.
    End(End),
    /// The connection was lost, or the deadline passed, before it ended.
    Lost(Lost),
}

/// How a command ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// With this exit code.
    Code(u32),
    /// By this signal.
    Signal(String),
}

/// All that a finished command said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    pub end: End,
    pub out: Vec<u8>,
    pub err: Vec<u8>,
}

/// The most that `finish` keeps of each stream; what is beyond is dropped and `finish` says so with an error.
pub const REPLY_LIMIT: usize = 64 << 20;

impl Running {
    /// Closes the input after `input` was sent and waits for the end.
    pub async fn finish(self, input: Vec<u8>) -> Result<Reply, Lost> {
        let Self { input: sender, mut output } = self;
        let feed = async move {
            for piece in input.chunks(256 << 10) {
                if sender.send(piece.to_vec()).await.is_err() {
                    return;
                }
            }
        };
        let read = async move {
            let (mut out, mut err) = (Vec::new(), Vec::new());
            while let Some(said) = output.recv().await {
                match said {
                    Said::Out(bytes) if out.len() + bytes.len() <= REPLY_LIMIT => out.extend(bytes),
                    Said::Err(bytes) if err.len() + bytes.len() <= REPLY_LIMIT => err.extend(bytes),
                    Said::Out(_) | Said::Err(_) => return Err(Lost::TooMuch { limit: REPLY_LIMIT }),
                    Said::End(end) => return Ok(Reply { end, out, err }),
                    Said::Lost(lost) => return Err(lost),
                }
            }
            Err(Lost::Link { what: "the command ended without a word".into() })
        };
        let (_, reply) = tokio::join!(feed, read);
        reply
    }
}
