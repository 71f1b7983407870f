//! Images in a file or folder of this machine: what `docker save` writes (of every age), and OCI layouts
//! (github.com/opencontainers/image-spec/blob/main/image-layout.md). Layers stay where they are; here they are only found.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use super::ImageFault;
use crate::host::push::{Image, is_digest};
use crate::model::{hex, sha256, within};

/// The longest text in an archive that is read: a manifest or a configuration.
const TEXT: u64 = 16 << 20;

/// Some bytes of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Blob {
    pub(super) file: PathBuf,
    pub(super) offset: u64,
    pub(super) len: u64,
}

/// An image that was found.
#[derive(Clone, Debug)]
pub(super) struct Found {
    names: Vec<String>,
    pub(super) image: Image,
    /// Its configuration, whose digest is its id.
    pub(super) config: Vec<u8>,
    /// Its layers, as they lie there; packed or not.
    pub(super) layers: Vec<Blob>,
}

/// The images in this file or folder that the reference means: one for each platform.
pub(super) fn images(path: &Path, reference: &str) -> Result<Vec<Found>, ImageFault> {
    let all = Store::open(path)?.images()?;
    let wanted = plain(reference);
    let named: Vec<Found> = all.iter().filter(|one| one.names.iter().any(|name| is(name, &wanted))).cloned().collect();
    if !named.is_empty() {
        return Ok(named);
    }
    let names: BTreeSet<String> = all.iter().flat_map(|one| one.names.iter().cloned()).collect();
    if all.is_empty() || names.len() > 1 {
        return Err(ImageFault::Absent { path: path.to_owned(), reference: reference.to_owned(), names });
    }
    Ok(all)
}

/// A reference without what everybody adds in mind.
fn plain(reference: &str) -> String {
    let short = ["docker.io/library/", "docker.io/", "library/"].iter().find_map(|head| reference.strip_prefix(head));
    let short = short.unwrap_or(reference);
    let tagged = short.contains('@') || short.rsplit_once(':').is_some_and(|(_, tag)| !tag.contains('/'));
    if tagged { short.to_owned() } else { format!("{short}:latest") }
}

/// Whether an image of this name is meant. An OCI layout may name the tag alone.
fn is(name: &str, wanted: &str) -> bool {
    plain(name) == wanted || wanted.rsplit_once(':').is_some_and(|(_, tag)| name == tag)
}

/// A file or folder with images.
enum Store<'a> {
    Folder(&'a Path),
    Archive { file: &'a Path, members: BTreeMap<String, Member> },
}

enum Member {
    File { offset: u64, len: u64 },
    Link(String),
}

impl<'a> Store<'a> {
    fn open(path: &'a Path) -> Result<Self, ImageFault> {
        let failed = |source| ImageFault::Read { path: path.to_owned(), source };
        if path.is_dir() {
            return Ok(Self::Folder(path));
        }
        let mut archive = tar::Archive::new(File::open(path).map_err(failed)?);
        let mut members = BTreeMap::new();
        for entry in archive.entries_with_seek().map_err(failed)? {
            let entry = entry.map_err(|_| ImageFault::shape(path, "it is no tar archive, or it is packed"))?;
            let name = String::from_utf8_lossy(&entry.path_bytes()).trim_start_matches("./").to_owned();
            let kind = entry.header().entry_type();
            if kind.is_file() {
                members.insert(name, Member::File { offset: entry.raw_file_position(), len: entry.size() });
            } else if let Some(target) = entry.link_name_bytes().filter(|_| kind.is_symlink() || kind.is_hard_link()) {
                let target = String::from_utf8_lossy(&target).into_owned();
                // `docker save` links a layer that it wrote before: ../ID/layer.tar
                let beside = name.rsplit_once('/').map_or("", |(folder, _)| folder);
                let target = if kind.is_hard_link() { target } else { within(beside, &target) };
                members.insert(name, Member::Link(target));
            }
        }
        Ok(Self::Archive { file: path, members })
    }

    fn path(&self) -> &Path {
        match self {
            Self::Folder(path) => path,
            Self::Archive { file, .. } => file,
        }
    }

    fn shape(&self, what: impl Into<String>) -> ImageFault {
        ImageFault::shape(self.path(), what)
    }

    fn blob(&self, name: &str) -> Result<Blob, ImageFault> {
        let missing = || self.shape(format!("`{}` is not in it", name.escape_debug()));
        match self {
            // Names come out of the file itself, and must not lead out of the folder.
            Self::Folder(_) if name.split('/').any(|part| matches!(part, "" | "." | "..")) => Err(missing()),
            Self::Folder(path) => {
                let file = path.join(name);
                let len = file.metadata().ok().filter(std::fs::Metadata::is_file).ok_or_else(missing)?.len();
                Ok(Blob { file, offset: 0, len })
            }
            Self::Archive { file, members } => {
                let mut name = name;
                // A link may lead to a link, and to itself.
                for _ in 0..8 {
                    match members.get(name).ok_or_else(missing)? {
                        Member::Link(target) => name = target,
                        Member::File { offset, len } => {
                            return Ok(Blob { file: (*file).to_owned(), offset: *offset, len: *len });
                        }
                    }
                }
                Err(missing())
            }
        }
    }

    fn text(&self, name: &str) -> Result<Vec<u8>, ImageFault> {
        let blob = self.blob(name)?;
        if blob.len > TEXT {
            return Err(self.shape(format!("`{}` has {} bytes", name.escape_debug(), blob.len)));
        }
        let read = || {
            let mut file = File::open(&blob.file)?;
            file.seek(SeekFrom::Start(blob.offset))?;
            let mut text = Vec::new();
            file.take(blob.len).read_to_end(&mut text)?;
            Ok(text)
        };
        read().map_err(|source| ImageFault::Read { path: blob.file.clone(), source })
    }

    fn parsed<T: for<'de> Deserialize<'de>>(&self, name: &str) -> Result<T, ImageFault> {
        let text = self.text(name)?;
        serde_json::from_slice(&text).map_err(|error| self.shape(format!("`{}`: {error}", name.escape_debug())))
    }

    fn images(&self) -> Result<Vec<Found>, ImageFault> {
        if self.blob("manifest.json").is_ok() {
            let all: Vec<Saved> = self.parsed("manifest.json")?;
            return all
                .into_iter()
                .map(|one| self.found(one.names.unwrap_or_default(), &one.config, &one.layers, None))
                .collect();
        }
        let index: Index = self.parsed("index.json").map_err(|fault| match fault {
            ImageFault::Shape { .. } => self.shape("there is neither manifest.json nor index.json in it"),
            other => other,
        })?;
        let mut found = Vec::new();
        self.indexed(&index, &[], &mut found, 0)?;
        Ok(found)
    }

    /// The images of an OCI index, which may hold further ones.
    fn indexed(&self, index: &Index, names: &[String], to: &mut Vec<Found>, depth: u8) -> Result<(), ImageFault> {
        for one in &index.manifests {
            let note = |key: &str| one.annotations.get(key).and_then(Value::as_str).map(str::to_owned);
            // Statements of the builder about the others.
            if note("vnd.docker.reference.type").is_some() {
                continue;
            }
            let own = ["io.containerd.image.name", "org.opencontainers.image.ref.name"].map(note);
            let names: Vec<String> = names.iter().cloned().chain(own.into_iter().flatten()).collect();
            let name = self.named(&one.digest)?;
            let text = self.text(&name)?;
            self.holds(&one.digest, &text)?;
            if one.kind.contains("index") || one.kind.contains("manifest.list") {
                if depth > 2 {
                    return Err(self.shape("its indexes lie too deep"));
                }
                self.indexed(&self.parsed(&name)?, &names, to, depth + 1)?;
                continue;
            }
            let manifest: Manifest = self.parsed(&name)?;
            let layers: Result<Vec<String>, _> =
                manifest.layers.iter().map(|layer| self.named(&layer.digest)).collect();
            to.push(self.found(
                names,
                &self.named(&manifest.config.digest)?,
                &layers?,
                Some(&manifest.config.digest),
            )?);
        }
        Ok(())
    }

    /// Where a blob of an OCI layout lies.
    fn named(&self, digest: &str) -> Result<String, ImageFault> {
        match digest.split_once(':') {
            Some(("sha256", hex)) if is_digest(digest) => Ok(format!("blobs/sha256/{hex}")),
            _ => Err(self.shape(format!("`{}` is no digest that is known", digest.escape_debug()))),
        }
    }

    fn holds(&self, digest: &str, text: &[u8]) -> Result<(), ImageFault> {
        if format!("sha256:{}", hex(&sha256(text))) == digest {
            return Ok(());
        }
        Err(self.shape(format!("what lies under {digest} has another digest")))
    }

    fn found(
        &self,
        names: Vec<String>,
        config: &str,
        layers: &[String],
        digest: Option<&str>,
    ) -> Result<Found, ImageFault> {
        let text = self.text(config)?;
        if let Some(digest) = digest {
            self.holds(digest, &text)?;
        }
        let read: Config = serde_json::from_slice(&text).map_err(|error| self.shape(format!("`{config}`: {error}")))?;
        if read.rootfs.layers.len() != layers.len() {
            return Err(self.shape("its configuration and its manifest tell of different layers"));
        }
        let image = Image {
            id: format!("sha256:{}", hex(&sha256(&text))),
            reference: String::new(),
            os: read.os,
            architecture: read.architecture,
            layers: read.rootfs.layers,
        };
        let layers = layers.iter().map(|name| self.blob(name)).collect::<Result<_, _>>()?;
        Ok(Found { names, image, config: text, layers })
    }
}

/// An image in the `manifest.json` of `docker save`.
#[derive(Deserialize)]
struct Saved {
    #[serde(rename = "Config")]
    config: String,
    #[serde(rename = "RepoTags")]
    names: Option<Vec<String>>,
    #[serde(rename = "Layers")]
    layers: Vec<String>,
}

#[derive(Deserialize)]
struct Index {
    manifests: Vec<Descriptor>,
}

#[derive(Deserialize)]
struct Manifest {
    config: Descriptor,
    layers: Vec<Descriptor>,
}

#[derive(Deserialize)]
struct Descriptor {
    #[serde(rename = "mediaType", default)]
    kind: String,
    digest: String,
    #[serde(default)]
    annotations: BTreeMap<String, Value>,
}

/// What is read of an image's configuration.
#[derive(Deserialize)]
struct Config {
    os: String,
    architecture: String,
    rootfs: Layers,
}

#[derive(Deserialize)]
struct Layers {
    #[serde(rename = "diff_ids")]
    layers: Vec<String>,
}
