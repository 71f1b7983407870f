//! An image that is sent to a host: what it is, what the host's engine lacks of it, and the scripts that ask and receive.
//! Layers travel in pieces of one size, each packed by itself; after a cut the next attempt goes on where the host's bytes end.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::host::run::Compression;
use crate::model::Cmd;

/// How many bytes of a layer are one piece.
pub const PIECE: u64 = 4 << 20;

/// How long the host's engine may take to tell what it has.
const ASK: Duration = Duration::from_secs(300);

/// An image that is sent, as its configuration tells of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Image {
    /// `sha256:` and 64 digits: what the engines call it.
    pub id: String,
    /// The name that the registry gives it.
    pub reference: String,
    /// `linux`, `windows`.
    pub os: String,
    /// `amd64`, `arm64`, ...
    pub architecture: String,
    /// The digests of its layers when they are unpacked, the lowest first.
    pub layers: Vec<String>,
}

impl Image {
    /// The hexadecimal digits of its id.
    #[must_use]
    pub fn hex(&self) -> &str {
        self.id.strip_prefix("sha256:").unwrap_or(&self.id)
    }

    /// What it is made for, as `linux/amd64`.
    #[must_use]
    pub fn platform(&self) -> String {
        format!("{}/{}", self.os, self.architecture)
    }
}

/// Whether a text is `sha256:` and 64 digits.
#[must_use]
pub fn is_digest(text: &str) -> bool {
    let hex = |b: u8| b.is_ascii_digit() || matches!(b, b'a'..=b'f');
    text.strip_prefix("sha256:").is_some_and(|rest| rest.len() == 64 && rest.bytes().all(hex))
}

/// Where on a host an image is sent to, and what the engine is to call it.
#[derive(Clone, Debug)]
pub struct Place<'a> {
    /// The base folder.
    pub base: &'a str,
    /// The folder for this image, below it.
    pub folder: &'a str,
    pub tag: &'a str,
}

/// Asks the host's engine what it has of an image.
#[must_use]
pub fn ask(place: &Place<'_>, image: &Image) -> Cmd {
    let words = ["ask", place.base, place.folder, place.tag, image.id.as_str()];
    Cmd::new("/bin/sh")
        .args(["-c", concat!(include_str!("store.sh"), include_str!("push/arrived.sh"), include_str!("push/ask.sh"))])
        .args(words)
        .within(ASK)
}

/// Receives an archive of what the host lacks. `attempt` is a name that no other attempt has.
#[must_use]
pub fn receive(place: &Place<'_>, attempt: &str, within: Duration) -> Cmd {
    let words = ["receive", place.base, place.folder, attempt];
    Cmd::new("/bin/sh")
        .args(["-c", concat!(include_str!("push/arrived.sh"), include_str!("push/receive.sh"))])
        .args(words)
        .within(within)
}

/// Free space somewhere on the host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Room {
    pub bytes: u64,
    /// Where the file system is mounted.
    pub mount: String,
}

/// What a host has of an image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Had {
    /// Nothing is lacking.
    pub whole: bool,
    /// Why the engine could not be asked.
    pub blind: Option<String>,
    /// What the engine runs, as `linux/amd64`.
    pub platform: Option<String>,
    /// How pieces can be packed.
    pub pack: Compression,
    /// Whether the engine takes an archive that lacks layers which it has.
    pub partial: bool,
    /// The layers of each image that the engine has, the lowest first; none where its store takes only whole archives.
    pub images: Vec<Vec<String>>,
    /// The files of the image that arrived whole.
    pub pieces: BTreeSet<String>,
    /// Of the files that were cut off, how many bytes are there.
    pub parts: BTreeMap<String, u64>,
    /// The first layer of an archive that arrived whole, counted from 1.
    pub from: Option<usize>,
    /// In the base folder, and where the engine keeps images.
    pub room: (Option<Room>, Option<Room>),
}

/// Reads the answer to `ask`; none when it is not whole.
#[must_use]
pub fn read(answer: &[u8]) -> Option<Had> {
    let text = String::from_utf8_lossy(answer);
    let lines = text.strip_suffix("end\n")?;
    let (mut had, mut tools) = (Had::default(), BTreeSet::new());
    for line in lines.lines() {
        let (key, value) = line.split_once(' ').unwrap_or((line, ""));
        match key {
            "have" => had.whole = true,
            "partial" => had.partial = true,
            "part" => had
                .parts
                .extend(value.split_once(' ').and_then(|(bytes, name)| Some((name.to_owned(), bytes.parse().ok()?)))),
            "blind" => had.blind = Some(value.trim().to_owned()),
            "platform" => had.platform = Some(value.to_owned()),
            "tool" => _ = tools.insert(value.to_owned()),
            "whole" => had.from = value.trim().parse().ok(),
            "piece" => _ = had.pieces.insert(value.to_owned()),
            "layers" => had.images.extend(serde_json::from_str::<Vec<String>>(value)),
            "room" => {
                let mut parts = value.splitn(3, ' ');
                let (which, bytes, mount) = (parts.next(), parts.next().and_then(|b| b.parse().ok()), parts.next());
                let room = bytes.zip(mount).map(|(bytes, mount)| Room { bytes, mount: mount.to_owned() });
                match which {
                    Some("base") => had.room.0 = room,
                    _ => had.room.1 = room,
                }
            }
            _ => {}
        }
    }
    had.pack = Compression::best(&tools);
    Some(had)
}

impl Had {
    /// How many of the image's lowest layers the engine has. A layer counts only with all below it the same: that is how
    /// engines tell layers apart.
    #[must_use]
    pub fn layers(&self, image: &Image) -> usize {
        let same = |other: &Vec<String>| image.layers.iter().zip(other).take_while(|(a, b)| a == b).count();
        self.images.iter().map(same).max().unwrap_or_default()
    }

    /// Whether this file of the image arrived whole, packed in any way; how it is packed.
    #[must_use]
    pub fn piece(&self, name: &str) -> Option<Compression> {
        let all = [Compression::Zstd, Compression::Gzip, Compression::None];
        all.into_iter().find(|pack| self.pieces.contains(&file(name, *pack)))
    }
}

/// The name of a packed piece.
#[must_use]
pub fn file(name: &str, pack: Compression) -> String {
    format!("{name}.{}", pack.word())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn image(layers: &[&str]) -> Image {
        Image { layers: layers.iter().map(|one| (*one).to_owned()).collect(), ..Image::default() }
    }

    #[test]
    fn an_engine_has_the_layers_that_stand_on_the_same() {
        let answer =
            b"tool gzip\nplatform linux/amd64\npartial\npart 7 3.1.gzip\npart x y\npiece 3.0.gzip\npiece x\nlayers [\"a\",\"b\",\"x\"]\nlayers [\"b\"]\n\
            layers broken\nroom base 1024 /a b\nroom engine 7 /\nend\n";
        let had = read(answer).expect("an answer");
        assert_eq!(had.layers(&image(&["a", "b", "c"])), 2);
        assert_eq!(had.layers(&image(&["a"])), 1);
        assert_eq!(had.layers(&image(&["c", "b"])), 0);
        assert_eq!(had.pack, Compression::Gzip);
        assert_eq!(had.piece("3.0"), Some(Compression::Gzip));
        assert_eq!(had.piece("3.1"), None);
        assert_eq!((had.partial, had.parts), (true, BTreeMap::from([("3.1.gzip".to_owned(), 7)])));
        assert_eq!(had.room.0, Some(Room { bytes: 1024, mount: "/a b".into() }));
        assert!(read(b"have\nend\n").expect("an answer").whole);
        assert_eq!(read(b"have\n"), None, "an answer that is cut is none");
    }

    proptest! {
        #[test]
        fn any_answer_is_read(text in "(?s)((layers|room|piece|part|partial|tool|have|platform) ?.{0,20}\n){0,4}(end\n)?") {
            if let Some(had) = read(text.as_bytes()) {
                let _ = (had.layers(&image(&["a"])), had.piece("1.1"));
            }
        }
    }
}
