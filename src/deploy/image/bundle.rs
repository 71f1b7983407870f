//! The pieces of one image. Each is a part of the archive that the host's engine is to load, packed by itself, and is packed once,
//! however many hosts get it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom, Write as _};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use tar::{EntryType, Header};
use tempfile::TempDir;

use super::archive::{Blob, Found};
use crate::host::push::{PIECE, file};
use crate::host::run::Compression;
use crate::model::{Hash, hex};

/// An archive's unit: headers are as long, and files are filled up to it.
const BLOCK: u64 = 512;

/// An image that can be sent.
pub(in crate::deploy) struct Bundle {
    found: Found,
    /// Holds what is made here: pieces, and layers that had to be unpacked.
    folder: TempDir,
    /// As long as it is locked, nobody takes the folder for left behind.
    _hold: File,
    unpacked: Mutex<BTreeMap<usize, Blob>>,
    packing: Mutex<()>,
}

/// A member of the archive: its name and its bytes.
enum Member {
    Made(Vec<u8>),
    Lies(Blob),
}

impl Member {
    fn len(&self) -> u64 {
        match self {
            Self::Made(bytes) => bytes.len() as u64,
            Self::Lies(blob) => blob.len,
        }
    }

    /// With its header, and filled up.
    fn whole(&self) -> u64 {
        BLOCK + self.len().div_ceil(BLOCK) * BLOCK
    }
}

impl Bundle {
    pub(super) fn new(found: Found, (folder, hold): (TempDir, File)) -> Self {
        Self { found, folder, _hold: hold, unpacked: Mutex::default(), packing: Mutex::default() }
    }

    /// The members of the archive from this layer on, counted from 1, in the order in which they are loaded: the configuration,
    /// and the layers. With the number of pieces of each.
    pub(in crate::deploy) fn members(&self, from: usize) -> io::Result<Vec<(usize, u64)>> {
        let all = [0].into_iter().chain(from..=self.found.layers.len());
        all.map(|number| Ok((number, self.member(number)?.whole().div_ceil(PIECE)))).collect()
    }

    /// How many bytes the layers from this one on have.
    pub(in crate::deploy) fn bytes(&self, from: usize) -> io::Result<u64> {
        (from..=self.found.layers.len()).map(|number| Ok(self.member(number)?.len())).sum()
    }

    /// A packed piece of a member. The configuration is member 0.
    pub(in crate::deploy) fn piece(&self, member: usize, number: u64, pack: Compression) -> io::Result<Vec<u8>> {
        let _alone = self.packing.lock().unwrap_or_else(PoisonError::into_inner);
        let path = self.folder.path().join(file(&name(member, number), pack));
        if let Ok(bytes) = std::fs::read(&path) {
            return Ok(bytes);
        }
        let packed = packed(&self.plain(member, number * PIECE)?, pack)?;
        let mut made = tempfile::NamedTempFile::new_in(self.folder.path())?;
        made.write_all(&packed)?;
        made.persist(&path)?;
        Ok(packed)
    }

    fn member(&self, number: usize) -> io::Result<Member> {
        match number {
            0 => Ok(Member::Made(self.found.config.clone())),
            _ => Ok(Member::Lies(self.layer(number - 1)?)),
        }
    }

    /// A layer as it is unpacked. One that lies there packed is unpacked once, and held against its digest.
    fn layer(&self, index: usize) -> io::Result<Blob> {
        let blob = &self.found.layers[index];
        let (mut head, mut file) = ([0; 4], open(blob)?);
        let read = file.read(&mut head)?;
        let mut unpacker: Box<dyn Read> = match &head[..read] {
            [0x1f, 0x8b, ..] => Box::new(flate2::read::MultiGzDecoder::new(open(blob)?)),
            [0x28, 0xb5, 0x2f, 0xfd] => Box::new(zstd::Decoder::new(open(blob)?)?),
            _ => return Ok(blob.clone()),
        };
        let mut unpacked = self.unpacked.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = unpacked.get(&index) {
            return Ok(known.clone());
        }
        let path = self.folder.path().join(format!("layer-{index}"));
        let (mut to, mut hash, mut len, mut piece) = (File::create(&path)?, Hash::default(), 0, vec![0; 256 << 10]);
        loop {
            let read = unpacker.read(&mut piece)?;
            if read == 0 {
                break;
            }
            hash.update(&piece[..read]);
            to.write_all(&piece[..read])?;
            len += read as u64;
        }
        if format!("sha256:{}", hex(&hash.finish())) != self.found.image.layers[index] {
            return Err(io::Error::other(format!("layer {} is not the one that the configuration names", index + 1)));
        }
        let blob = Blob { file: path, offset: 0, len };
        unpacked.insert(index, blob.clone());
        Ok(blob)
    }

    /// The bytes of the archive from this one of a member on, a piece of them at most.
    fn plain(&self, number: usize, start: u64) -> io::Result<Vec<u8>> {
        let member = self.member(number)?;
        let end = member.whole().min(start + PIECE);
        let mut bytes = Vec::with_capacity(usize::try_from(end.saturating_sub(start)).unwrap_or_default());
        if start == 0 {
            bytes.extend(header(&title(number), member.len()).as_bytes());
        }
        let from = start.max(BLOCK) - BLOCK;
        let left = (end - BLOCK).min(member.len()).saturating_sub(from);
        match &member {
            Member::Made(made) => bytes.extend(made.iter().skip(from as usize).take(left as usize)),
            Member::Lies(blob) => {
                let mut file = open(&Blob { offset: blob.offset + from, len: left, ..blob.clone() })?;
                if file.read_to_end(&mut bytes)? as u64 != left {
                    return Err(io::Error::other(format!("{} was changed meanwhile", blob.file.display())));
                }
            }
        }
        bytes.resize((end - start) as usize, 0);
        Ok(bytes)
    }
}

/// The name of a piece.
pub(in crate::deploy) fn name(member: usize, number: u64) -> String {
    format!("{member}.{number:05}")
}

/// What a member is called in the archive.
pub(in crate::deploy) fn title(member: usize) -> String {
    if member == 0 { "config".to_owned() } else { member.to_string() }
}

fn open(blob: &Blob) -> io::Result<io::Take<File>> {
    let mut file = File::open(&blob.file)?;
    file.seek(SeekFrom::Start(blob.offset))?;
    Ok(file.take(blob.len))
}

fn header(name: &str, len: u64) -> Header {
    let mut header = Header::new_gnu();
    // Names of ours are short.
    let _ = header.set_path(PathBuf::from(name));
    header.set_entry_type(EntryType::Regular);
    header.set_mode(0o600);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(len);
    header.set_cksum();
    header
}

fn packed(bytes: &[u8], pack: Compression) -> io::Result<Vec<u8>> {
    match pack {
        Compression::None => Ok(bytes.to_vec()),
        Compression::Gzip => {
            let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
            packer.write_all(bytes)?;
            packer.finish()
        }
        Compression::Zstd => zstd::encode_all(bytes, 3),
    }
}
