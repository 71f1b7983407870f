//! The payload of a run: a tar archive with the runner, the steps, the files to write and the trees. The same run makes the same
//! bytes. It has no end marker of its own: its last member says that it is whole.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use tar::{Builder, EntryType, Header};
use tempfile::SpooledTempFile;

use crate::host::STORE;
use crate::host::run::render::{Rendered, render};
use crate::host::run::{HostRun, Tree, TreeKind, sign, within};
use crate::model::Hash;

/// Up to this size a payload stays in memory.
const IN_MEMORY: usize = 16 << 20;

const IDENTITY: &str = include_str!("sh/identity.sh");
const RUNNER: [&str; 11] = [
    include_str!("sh/files.sh"),
    include_str!("sh/units.sh"),
    include_str!("sh/sign.sh"),
    STORE,
    include_str!("sh/compose.sh"),
    include_str!("sh/mounts.sh"),
    include_str!("sh/images.sh"),
    include_str!("sh/lock.sh"),
    include_str!("sh/guest.sh"),
    include_str!("sh/walk.sh"),
    include_str!("sh/runner.sh"),
];
const SUPERVISE: &str = include_str!("sh/supervise.sh");

/// How the payload is packed; the host must have the tool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    #[default]
    None,
    Gzip,
    Zstd,
}

impl Compression {
    /// The best that a host with these tools can read.
    #[must_use]
    pub fn best(tools: &BTreeSet<String>) -> Self {
        if tools.contains("zstd") {
            Self::Zstd
        } else if tools.contains("gzip") {
            Self::Gzip
        } else {
            Self::None
        }
    }

    /// Its name in the wire format.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }
}

/// Why a payload cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum PayloadError {
    #[error("cannot read {}", .path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{} was changed while it was being sent", .path.display())]
    Changed { path: PathBuf },
    #[error("`{path}` cannot be a path in a release")]
    Path { path: String },
    #[error("a word with a NUL character cannot reach the host: {what}")]
    Nul { what: String },
    #[error("cannot write the payload")]
    Spool(#[source] io::Error),
}

/// The bytes to send after the command was started. Clones read the same bytes, each at its own place.
#[derive(Clone, Debug)]
pub struct Payload {
    spool: Arc<Mutex<SpooledTempFile>>,
    at: u64,
    len: u64,
}

impl Payload {
    /// How many bytes there are.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there are none, as when a run is only followed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(super) fn none() -> Self {
        Self::new(SpooledTempFile::new(IN_MEMORY), 0)
    }

    fn new(spool: SpooledTempFile, len: u64) -> Self {
        Self { spool: Arc::new(Mutex::new(spool)), at: 0, len }
    }
}

impl Read for Payload {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut spool = self.spool.lock().unwrap_or_else(PoisonError::into_inner);
        spool.seek(SeekFrom::Start(self.at))?;
        let read = spool.read(buffer)?;
        self.at += read as u64;
        Ok(read)
    }
}

/// Makes the payload of a run.
pub(super) fn make(run: &HostRun, trees: &[Tree], pack: Compression) -> Result<Payload, PayloadError> {
    let rendered = render(run)?;
    let spool = SpooledTempFile::new(IN_MEMORY);
    let spooled = PayloadError::Spool;
    let mut spool = match pack {
        Compression::None => write(spool, (run, &rendered), trees)?,
        Compression::Gzip => {
            let packer = flate2::write::GzEncoder::new(spool, flate2::Compression::default());
            write(packer, (run, &rendered), trees)?.finish().map_err(spooled)?
        }
        Compression::Zstd => {
            let packer = zstd::Encoder::new(spool, 3).map_err(PayloadError::Spool)?;
            write(packer, (run, &rendered), trees)?.finish().map_err(spooled)?
        }
    };
    let len = spool.stream_position().map_err(PayloadError::Spool)?;
    Ok(Payload::new(spool, len))
}

/// Lets bytes through until it is shut: the archive's end marker must not be sent, as a payload that is cut off within it would
/// be whole already, although its sender is gone.
struct Gate<W> {
    to: W,
    shut: bool,
}

impl<W: Write> Write for Gate<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.shut { Ok(bytes.len()) } else { self.to.write(bytes) }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

fn write<W: Write>(to: W, (run, rendered): (&HostRun, &Rendered<'_>), trees: &[Tree]) -> Result<W, PayloadError> {
    let mut archive = Archive(Builder::new(Gate { to, shut: false }));
    for folder in ["ears", "orders", "stage", "undo", "payload", "trees"] {
        archive.folder(folder, 0o700)?;
    }
    let runner = format!("{IDENTITY}{}", RUNNER.concat());
    archive.file("run.sh", 0o600, runner.as_bytes())?;
    archive.file("steps", 0o600, rendered.steps.as_bytes())?;
    if let Some(asked) = &run.asked {
        archive.file("asked", 0o600, format!("{asked}\n").as_bytes())?;
    }
    if let Some(line) = &rendered.treatment {
        archive.file("remedy", 0o600, line.as_bytes())?;
    }
    if rendered.processes {
        archive.file("supervise.sh", 0o600, format!("{IDENTITY}{}{SUPERVISE}", within::SCRIPT).as_bytes())?;
    }
    for (index, (content, mode)) in rendered.files.iter().enumerate() {
        archive.file(&format!("payload/{}", index + 1), *mode, &content.bytes)?;
    }
    for tree in trees {
        archive.tree(tree)?;
    }
    if !run.logins.is_empty() {
        archive.folder("logins", 0o700)?;
    }
    for (index, login) in run.logins.iter().enumerate() {
        archive.file(&format!("logins/{}", index + 1), 0o600, &sign::file(login))?;
    }
    archive.file("whole", 0o600, b"")?;
    archive.0.get_mut().shut = true;
    Ok(archive.0.into_inner().map_err(PayloadError::Spool)?.to)
}

struct Archive<W: Write>(Builder<W>);

impl<W: Write> Archive<W> {
    fn header(kind: EntryType, mode: u32, size: u64) -> Header {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(size);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header
    }

    fn add(&mut self, mut header: Header, path: &str, data: impl Read) -> Result<(), PayloadError> {
        self.0.append_data(&mut header, path, data).map_err(PayloadError::Spool)
    }

    fn folder(&mut self, path: &str, mode: u32) -> Result<(), PayloadError> {
        self.add(Self::header(EntryType::Directory, mode, 0), &format!("{path}/"), io::empty())
    }

    fn file(&mut self, path: &str, mode: u32, bytes: &[u8]) -> Result<(), PayloadError> {
        self.add(Self::header(EntryType::Regular, mode, bytes.len() as u64), path, bytes)
    }

    fn tree(&mut self, tree: &Tree) -> Result<(), PayloadError> {
        let root = format!("trees/{}", tree.release);
        self.folder(&root, 0o755)?;
        let mut made = BTreeSet::new();
        for entry in &tree.entries {
            let path = &entry.path;
            let parts: Vec<&str> = path.split('/').collect();
            if path.contains('\0') || parts.iter().any(|part| matches!(*part, "" | "." | "..")) {
                return Err(PayloadError::Path { path: path.clone() });
            }
            let folders = if entry.kind == TreeKind::Folder { parts.len() } else { parts.len() - 1 };
            for depth in 1..=folders {
                // A folder that no entry names would get the mode of the receiver's umask.
                if made.insert(parts[..depth].join("/")) {
                    self.folder(&format!("{root}/{}", parts[..depth].join("/")), 0o755)?;
                }
            }
            self.entry(&format!("{root}/{path}"), &entry.kind)?;
        }
        Ok(())
    }

    fn entry(&mut self, path: &str, kind: &TreeKind) -> Result<(), PayloadError> {
        match kind {
            TreeKind::Folder => Ok(()),
            TreeKind::Made { content, mode } => self.file(path, *mode, &content.bytes),
            TreeKind::Link { target } => {
                let mut header = Self::header(EntryType::Symlink, 0o777, 0);
                self.0.append_link(&mut header, path, target).map_err(PayloadError::Spool)
            }
            TreeKind::File { from, mode, size, sha256 } => {
                let source = File::open(from).map_err(|source| PayloadError::Read { path: from.clone(), source })?;
                let mut checked = Checked { source, left: *size, hash: Hash::default(), failed: None };
                self.add(Self::header(EntryType::Regular, *mode, *size), path, &mut checked)?;
                if let Some(source) = checked.failed {
                    return Err(PayloadError::Read { path: from.clone(), source });
                }
                let more = checked.source.read(&mut [0]).map_or(true, |count| count > 0);
                if more || checked.left > 0 || checked.hash.finish() != *sha256 {
                    return Err(PayloadError::Changed { path: from.clone() });
                }
                Ok(())
            }
        }
    }
}

/// Gives exactly as many bytes as the archive was promised, and notes what they were.
struct Checked {
    source: File,
    left: u64,
    hash: Hash,
    failed: Option<io::Error>,
}

impl Read for Checked {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        if most == 0 {
            return Ok(0);
        }
        let count = self.source.read(&mut buffer[..most]).unwrap_or_else(|error| {
            self.failed = Some(error);
            0
        });
        self.hash.update(&buffer[..count]);
        self.left -= count as u64;
        Ok(count)
    }
}
