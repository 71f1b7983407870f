//! Images that services send from this machine: what they are, for the plan; and their pieces, for the hosts.

mod archive;
mod bundle;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::Mutex;

use crate::host::push::{Image, is_digest};
use crate::model::{Cmd, ServiceName};
use crate::registry::{Kind, Project, Push, Registry, compose_here, compose_parts, part_image};
use crate::transport::{self, End};

pub(super) use bundle::{Bundle, name, title};

/// How long this machine's engine may take to build or write an image.
const SAVE: Duration = Duration::from_secs(3600);

/// Why an image cannot be sent.
#[derive(Debug, thiserror::Error)]
pub enum ImageFault {
    #[error("cannot read `{}`", .path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("`{}` is no archive of an image that can be sent: {what}", .path.display())]
    Shape { path: PathBuf, what: String },
    #[error("the image `{reference}` is not in `{}`{}", .path.display(), listed(.names))]
    Absent { path: PathBuf, reference: String, names: BTreeSet<String> },
    #[error("this machine's docker has no image `{reference}` to send: {says}")]
    Engine { reference: String, says: String },
    #[error("this machine's docker cannot build `{}`: {says}", .folder.display())]
    Build { folder: PathBuf, says: String },
    #[error("this machine's docker cannot write the image `{reference}`: {says}")]
    Save { reference: String, says: String },
    #[error("cannot keep the image `{reference}` in {} while it is sent", .folder.display())]
    Keep {
        reference: String,
        folder: PathBuf,
        #[source]
        source: std::io::Error,
    },
}

fn listed(names: &BTreeSet<String>) -> String {
    let all: Vec<&str> = names.iter().map(String::as_str).collect();
    if all.is_empty() { String::new() } else { format!(", which has {}", all.join(", ")) }
}

impl ImageFault {
    fn shape(path: &Path, what: impl Into<String>) -> Self {
        Self::Shape { path: path.to_owned(), what: what.into() }
    }

    /// The next move.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Read { .. } => "see that the file is there, and may be read",
            Self::Shape { .. } => "make it anew with `docker save -o FILE IMAGE`, or give the folder of an OCI layout",
            Self::Absent { .. } => "correct `image`, or `push.from`",
            Self::Engine { .. } => "build or pull it here first; `docker images` lists what there is",
            Self::Build { .. } => "see what `docker build` says there",
            Self::Save { .. } | Self::Keep { .. } => "see that there is room for it; TMPDIR names another folder",
        }
    }
}

/// What the services of these names send, one image for each platform.
pub(super) async fn read(
    registry: &Registry,
    names: &BTreeSet<ServiceName>,
) -> Result<BTreeMap<ServiceName, Vec<Image>>, ImageFault> {
    let mut all = BTreeMap::new();
    for service in names.iter().filter_map(|name| registry.services.get(name)) {
        let Some(push) = way(&service.kind) else { continue };
        let mut found: Vec<Image> = Vec::new();
        for reference in sent(&service.kind)? {
            let mut images = match push {
                Push::Engine => vec![of_engine(&reference).await?],
                Push::Build(folder) => vec![built(folder, &reference).await?],
                Push::From(path) => archive::images(path, &reference)?.into_iter().map(|found| found.image).collect(),
            };
            images.iter_mut().for_each(|image| reference.clone_into(&mut image.reference));
            found.extend(images);
        }
        all.insert(service.name.clone(), found);
    }
    Ok(all)
}

/// Whether a service's images are sent from here.
#[must_use]
pub fn is_sent(kind: &Kind) -> bool {
    way(kind).is_some()
}

/// From where a service sends its images, if it does.
pub(super) fn way(kind: &Kind) -> Option<&Push> {
    match kind {
        Kind::Docker(docker) => docker.push.as_ref(),
        Kind::Native(_) | Kind::Python(_) => None,
    }
}

/// The names that a service's images have where they are sent from. What a compose file lacks for that is told when its release is
/// planned.
fn sent(kind: &Kind) -> Result<BTreeSet<String>, ImageFault> {
    let Kind::Docker(docker) = kind else { return Ok(BTreeSet::new()) };
    let (path, only) = match &docker.project {
        Project::Image(image) => return Ok(BTreeSet::from([image.reference.clone()])),
        Project::Compose { path, part, .. } => (path, part),
    };
    let document = compose_here(path).map_err(|(path, source)| ImageFault::Read { path, source })?;
    let parts = compose_parts(&document);
    let mut parts: Vec<_> = parts.iter().collect();
    parts.retain(|(name, _)| only.as_ref().is_none_or(|only| only == *name));
    Ok(parts.into_iter().filter_map(|(_, part)| part_image(part)).map(str::to_owned).collect())
}

/// Builds an image, under its name. What has not changed is in the engine's cache, so that it is the same image again.
async fn built(folder: &Path, reference: &str) -> Result<Image, ImageFault> {
    let words = ["image", "build", "--quiet", "--tag", reference, "--", &folder.to_string_lossy()];
    let failed = |says| ImageFault::Build { folder: folder.to_owned(), says };
    docker(&words, SAVE).await.map_err(failed)?;
    of_engine(reference).await
}

async fn of_engine(reference: &str) -> Result<Image, ImageFault> {
    let failed = |says: String| ImageFault::Engine { reference: reference.to_owned(), says };
    let out = docker(&["image", "inspect", "--", reference], Cmd::USUAL).await.map_err(failed)?;
    let read: Value = serde_json::from_slice(&out).map_err(|error| failed(error.to_string()))?;
    let text = |pointer: &str| read.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    let layers = read.pointer("/0/RootFS/Layers").and_then(Value::as_array).into_iter().flatten();
    let image = Image {
        id: text("/0/Id"),
        reference: reference.to_owned(),
        os: text("/0/Os"),
        architecture: text("/0/Architecture"),
        layers: layers.filter_map(|one| one.as_str().map(str::to_owned)).collect(),
    };
    if is_digest(&image.id) { Ok(image) } else { Err(failed("it does not tell its id".into())) }
}

/// What this machine's docker prints; otherwise why it failed.
async fn docker(words: &[&str], within: Duration) -> Result<Vec<u8>, String> {
    let cmd = Cmd::new("docker").args(words.iter().copied()).within(within);
    let reply = transport::here(&cmd).await.map_err(|lost| lost.to_string())?;
    if reply.end == End::Code(0) {
        return Ok(reply.out);
    }
    let says = String::from_utf8_lossy(&reply.err);
    Err(says.trim().lines().last().unwrap_or("it says nothing").to_owned())
}

/// The images of one run that are being sent, each made ready once.
#[derive(Default)]
pub(super) struct Shelf(Mutex<BTreeMap<String, Arc<Bundle>>>);

impl Shelf {
    /// The image, ready to be sent.
    pub(super) async fn bundle(&self, push: &Push, image: &Image) -> Result<Arc<Bundle>, ImageFault> {
        let mut all = self.0.lock().await;
        if let Some(bundle) = all.get(&image.id) {
            return Ok(bundle.clone());
        }
        let folder = std::env::temp_dir();
        let keep = |source| ImageFault::Keep { reference: image.reference.clone(), folder: folder.clone(), source };
        clear(&folder);
        let made = tempfile::Builder::new().prefix(OURS).tempdir().map_err(keep)?;
        let hold = File::create(made.path().join(HOLD)).map_err(keep)?;
        hold.try_lock().map_err(|error| keep(error.into()))?;
        let file = match push {
            Push::From(path) => path.clone(),
            Push::Engine | Push::Build(_) => {
                let file = made.path().join("saved.tar");
                let words = ["image", "save", "--output", &file.to_string_lossy(), "--", &image.id];
                let failed = |says| ImageFault::Save { reference: image.reference.clone(), says };
                docker(&words, SAVE).await.map_err(failed)?;
                file
            }
        };
        let name = if matches!(push, Push::From(_)) { &image.reference } else { &image.id };
        let found = archive::images(&file, name)?.into_iter().find(|found| found.image.layers == image.layers);
        let found = found.ok_or_else(|| ImageFault::shape(&file, "it was changed meanwhile"))?;
        let bundle = Arc::new(Bundle::new(found, (made, hold)));
        all.insert(image.id.clone(), bundle.clone());
        Ok(bundle)
    }
}

/// How the folders begin in which images lie while they are sent, and the file in each that is locked as long as somebody does.
const OURS: &str = "portoser-image-";
const HOLD: &str = "in-use";

/// Clears away what those left who were killed while they sent.
fn clear(folder: &Path) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if !entry.file_name().to_string_lossy().starts_with(OURS) {
            continue;
        }
        let hold = File::options().write(true).open(entry.path().join(HOLD));
        // Of another user, or just made: not ours to judge.
        if hold.is_ok_and(|hold| hold.try_lock().is_ok()) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;
    use crate::host::run::Compression;

    fn example() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/example/worker")
    }

    #[test]
    fn the_pieces_of_an_oci_layout_are_an_archive_with_what_is_lacking() {
        let found = archive::images(&example(), "example/worker:3").expect("an image").remove(0);
        assert_eq!(found.image.platform(), "linux/amd64");
        let hold = tempfile::tempfile().expect("a file");
        let bundle = Bundle::new(found, (tempfile::tempdir().expect("a folder"), hold));
        let mut bytes = Vec::new();
        for (member, pieces) in bundle.members(1).expect("members") {
            for number in 0..pieces {
                let packed = bundle.piece(member, number, Compression::Gzip).expect("a piece");
                assert_eq!(bundle.piece(member, number, Compression::Gzip).expect("the same again"), packed);
                flate2::read::GzDecoder::new(&packed[..]).read_to_end(&mut bytes).expect("it is packed");
            }
        }
        let mut archive = tar::Archive::new(&bytes[..]);
        let members = archive.entries().expect("an archive").map(|entry| {
            let mut entry = entry.expect("a member");
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).expect("its bytes");
            (entry.path().expect("a name").display().to_string(), bytes)
        });
        let members: BTreeMap<String, Vec<u8>> = members.collect();
        assert_eq!(members.keys().collect::<Vec<_>>(), ["1", "config"]);
        let mut layer = tar::Archive::new(&members["1"][..]);
        assert_eq!(layer.entries().expect("a layer").count(), 1, "the layer is unpacked");
    }

    #[test]
    fn what_the_killed_left_is_cleared_away() {
        let folder = tempfile::tempdir().expect("a folder");
        let make = |name: &str| {
            let path = folder.path().join(name);
            std::fs::create_dir(&path).expect("a folder");
            std::fs::write(path.join("saved.tar"), "bytes").expect("a file");
            (File::create(path.join(HOLD)).expect("a file"), path)
        };
        let (at_work, kept) = make("portoser-image-a");
        at_work.try_lock().expect("a lock");
        let (_, left) = make("portoser-image-b");
        let (_, other) = make("image-c");
        clear(folder.path());
        assert_eq!([kept, left, other].map(|path| path.exists()), [true, false, true]);
    }

    #[test]
    fn names_choose_among_several() {
        let told = archive::images(&example(), "another/name:1").map(|all| all.len());
        assert_eq!(told.ok(), Some(1), "the only image is the one that is meant");
        let fault = archive::images(Path::new("/dev/null"), "x").map(|all| all.len()).expect_err("nothing");
        assert!(fault.to_string().contains("neither manifest.json nor index.json"), "{fault}");
    }
}
