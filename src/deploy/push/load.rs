//! The archive of one attempt: what the host lacks of an image, as it goes over the link.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tar::{Builder, EntryType, Header};
use tokio::sync::mpsc::Sender;
use tokio::task::JoinSet;

use crate::deploy::image::{self, Bundle};
use crate::deploy::push::PushFault;
use crate::host::push::{Had, file};
use crate::transport::{End, Lost, Running, Said};

/// How much is handed over at once.
const PIECE: usize = 256 << 10;

/// Sends an archive, and waits until the host has it.
pub(super) async fn send(running: Running, load: Load, sent: Arc<AtomicU64>) -> Result<(), PushFault> {
    let Running { input, mut output } = running;
    let mut writing = JoinSet::new();
    let (mut out, mut end, mut ready) = (Vec::new(), None, Some((input, load)));
    while let Some(said) = output.recv().await {
        match said {
            // The first word says that it listens.
            Said::Out(bytes) => match ready.take() {
                Some((to, load)) => {
                    let sent = sent.clone();
                    writing.spawn_blocking(move || load.write(Pipe { to, sent, held: Vec::new() }));
                }
                None => out.extend(bytes.into_iter().take(4096)),
            },
            Said::Err(bytes) => out.extend(bytes.into_iter().take(4096)),
            Said::End(code) => end = Some(Ok(code)),
            Said::Lost(lost) => end = Some(Err(lost)),
        }
    }
    // Nobody reads any more, so the writer ends, too.
    drop(output);
    let written = match writing.join_next().await {
        Some(Err(panicked)) => std::panic::resume_unwind(panicked.into_panic()),
        Some(Ok(written)) => written,
        None => Ok(()),
    };
    match (end, written) {
        (Some(Ok(End::Code(0))), Ok(())) => Ok(()),
        (_, Err(error)) if error.kind() != io::ErrorKind::BrokenPipe => Err(PushFault::Read(error)),
        (Some(Ok(_)), _) => Err(PushFault::Host(String::from_utf8_lossy(&out).trim().replace('\n', "; "))),
        (Some(Err(lost)), _) => Err(PushFault::Lost(lost)),
        (None, _) => Err(PushFault::Lost(Lost::Link { what: "the command ended without a word".into() })),
    }
}

/// What is sent in one attempt.
pub(super) struct Load {
    pub(super) bundle: Arc<Bundle>,
    /// The first layer that the engine lacks, counted from 1.
    pub(super) from: usize,
    pub(super) digests: Vec<String>,
    pub(super) had: Had,
}

impl Load {
    /// Writes what the host lacks: the pieces, in the order in which they are loaded; then the list of them, and what the engine
    /// must know of the whole.
    fn write(self, pipe: Pipe) -> io::Result<()> {
        let mut archive = Builder::new(pipe);
        let mut parts = String::new();
        for (member, pieces) in self.bundle.members(self.from)? {
            for number in 0..pieces {
                let name = image::name(member, number);
                let pack = match self.had.piece(&name) {
                    Some(pack) => pack,
                    None => {
                        let pack = self.had.pack;
                        let bytes = self.bundle.piece(member, number, pack)?;
                        let (name, rest) = self.rest(file(&name, pack), &bytes);
                        put(&mut archive, &name, rest)?;
                        put(&mut archive, &format!("{name}.ok"), &[])?;
                        pack
                    }
                };
                let _ = writeln!(parts, "{} {}", pack.word(), file(&name, pack));
            }
        }
        let titles: Vec<String> =
            (1..=self.digests.len()).map(|layer| format!("\"{}\"", image::title(layer))).collect();
        put(&mut archive, "layers", titles.join(",").as_bytes())?;
        put(&mut archive, "digests", serde_json::to_string(&self.digests)?.as_bytes())?;
        put(&mut archive, "parts", parts.as_bytes())?;
        put(&mut archive, "whole", format!("{}\n", self.from).as_bytes())?;
        archive.into_inner()?.flush()
    }

    /// What the host lacks of a file, under the name that says behind which byte it goes on.
    fn rest<'a>(&self, name: String, bytes: &'a [u8]) -> (String, &'a [u8]) {
        let at = self.had.parts.get(&name).and_then(|at| usize::try_from(*at).ok()).unwrap_or_default();
        match bytes.get(at..).filter(|_| at > 0) {
            Some(rest) => (format!("{name}.@{at}"), rest),
            None => (name, bytes),
        }
    }
}

fn put(archive: &mut Builder<Pipe>, name: &str, bytes: &[u8]) -> io::Result<()> {
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Regular);
    header.set_mode(0o600);
    header.set_size(bytes.len() as u64);
    archive.append_data(&mut header, name, bytes)
}

/// The standard input of the command on the host. Small writes are gathered: each that is handed over costs a message.
struct Pipe {
    to: Sender<Vec<u8>>,
    sent: Arc<AtomicU64>,
    held: Vec<u8>,
}

impl io::Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.held.extend(bytes);
        if self.held.len() >= PIECE {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let held = std::mem::take(&mut self.held);
        let len = held.len() as u64;
        if len > 0 {
            self.to.blocking_send(held).map_err(|_| io::ErrorKind::BrokenPipe)?;
            self.sent.fetch_add(len, Ordering::Relaxed);
        }
        Ok(())
    }
}
