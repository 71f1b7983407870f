//! What image registries say of images before anything is fetched, as `docker manifest inspect` shows it
//! (docs.docker.com/reference/cli/docker/manifest/inspect), and what of them the engine has.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::host::push::{Room, is_digest};

/// What a host may fetch, and where it would lie.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fetches {
    /// By reference; or why the registry could not be asked. What needed no asking is left out.
    pub images: BTreeMap<String, Result<Fetch, String>>,
    /// Where the engine keeps images.
    pub room: Option<Room>,
}

/// An image as its registry offers it to this host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fetch {
    /// Of the manifest for the host's platform.
    pub digest: String,
    /// The digests of its packed layers and how many bytes each has, the lowest first.
    pub layers: Vec<(String, u64)>,
    /// How many of the lowest the engine has; none where that could not be seen.
    pub held: Option<usize>,
}

impl Fetch {
    /// What is fetched, by its digest, where it was asked for by this name.
    #[must_use]
    pub fn pinned(&self, reference: &str) -> String {
        let name = reference.split('@').next().unwrap_or_default();
        let tag = name.rfind(':').filter(|at| !name[*at..].contains('/')).unwrap_or(name.len());
        format!("{}@{}", &name[..tag], self.digest)
    }

    /// The layers that are fetched; all, as far as is known.
    fn lacking(&self) -> &[(String, u64)] {
        self.layers.get(self.held.unwrap_or_default()..).unwrap_or_default()
    }

    /// How many bytes are fetched: at most, where it could not be seen what the engine has.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.lacking().iter().fold(0, |sum, (_, bytes)| sum.saturating_add(*bytes))
    }
}

/// The least room that all of these take: what is fetched lies there until it is unpacked, and is no smaller then. What several of
/// them are made of is fetched once.
#[must_use]
pub fn room_for<'a>(all: impl IntoIterator<Item = &'a Fetch>) -> u64 {
    let layers: BTreeMap<&str, u64> =
        all.into_iter().flat_map(Fetch::lacking).map(|(digest, bytes)| (digest.as_str(), *bytes)).collect();
    let largest = layers.values().max().copied().unwrap_or_default();
    layers.values().fold(largest, |sum, bytes| sum.saturating_add(*bytes))
}

/// Reads the parts of a look's answer that tell of images.
pub(super) fn fetches(parts: &[(String, String)]) -> Fetches {
    let (mut fetches, mut digests, mut manifests) = (Fetches::default(), BTreeMap::new(), Vec::new());
    let (mut known, mut engine) = (BTreeMap::new(), None::<Vec<Vec<String>>>);
    for (key, value) in parts {
        let Some(key) = key.strip_prefix("images/") else { continue };
        let (what, reference) = key.split_once(' ').unwrap_or((key, ""));
        match what {
            "unknown" => _ = fetches.images.insert(reference.to_owned(), Err(last(value))),
            "digest" => _ = digests.insert(reference, value.trim()),
            "manifest" => manifests.push((reference, value)),
            "layers" => engine = Some(value.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()),
            "known" => known.extend(value.lines().filter_map(|line| line.split_once(' '))),
            "room" => {
                let room = value.split_once(' ').and_then(|(bytes, mount)| Some((bytes.parse().ok()?, mount)));
                fetches.room = room.map(|(bytes, mount)| Room { bytes, mount: mount.to_owned() });
            }
            _ => {}
        }
    }
    for (reference, text) in manifests {
        let read = offer(text, digests.get(reference).copied());
        let read = read.map(|fetch| Fetch { held: engine.as_ref().map(|all| held(&fetch, all, &known)), ..fetch });
        fetches.images.insert(reference.to_owned(), read.ok_or_else(|| "its manifest is of an unknown kind".into()));
    }
    fetches
}

/// What a command said last, in one line.
fn last(text: &str) -> String {
    text.trim().lines().last().unwrap_or("it says nothing").chars().take(300).collect()
}

fn offer(text: &str, digest: Option<&str>) -> Option<Fetch> {
    // A warning may stand before it.
    let read: Value = serde_json::from_str(&text[text.find('{')?..]).ok()?;
    let manifest = ["/SchemaV2Manifest", "/OCIManifest"].iter().find_map(|at| read.pointer(at)).unwrap_or(&read);
    let digest = digest.or_else(|| read.pointer("/Descriptor/digest")?.as_str()).filter(|one| is_digest(one))?;
    let layers = manifest.get("layers")?.as_array()?;
    let layer = |one: &Value| Some((one.get("digest")?.as_str()?.to_owned(), one.get("size")?.as_u64()?));
    let layers = layers.iter().map(layer).collect::<Option<Vec<_>>>()?;
    Some(Fetch { digest: digest.to_owned(), layers, held: None })
}

/// How many of the lowest layers the engine has. A layer counts only with all below it the same.
fn held(offer: &Fetch, engine: &[Vec<String>], known: &BTreeMap<&str, &str>) -> usize {
    let unpacked = |(digest, _): &(String, u64)| known.get(digest.strip_prefix("sha256:")?).copied();
    let layers: Vec<&str> = offer.layers.iter().map_while(unpacked).collect();
    let same = |image: &Vec<String>| image.iter().zip(&layers).take_while(|(a, b)| a == *b).count();
    engine.iter().map(same).collect::<BTreeSet<_>>().last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn digest(letter: &str) -> String {
        format!("sha256:{}", letter.repeat(64))
    }

    fn read(parts: &[(&str, &str)]) -> Fetches {
        fetches(&parts.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect::<Vec<_>>())
    }

    #[test]
    fn a_manifest_tells_what_is_fetched() {
        let (a, b, c) = (digest("a"), digest("b"), digest("c"));
        let layers = format!(r#""layers": [{{"size": 10, "digest": "{a}"}}, {{"size": 7, "digest": "{b}"}}]"#);
        let one =
            format!("warning: x\n{{\"Descriptor\": {{\"digest\": \"{c}\"}}, \"SchemaV2Manifest\": {{{layers}}}}}");
        let of_list = format!("{{{layers}}}");
        let known = format!("{} sha256:1\n{} sha256:2\n", "a".repeat(64), "b".repeat(64));
        let told = read(&[
            ("images/manifest one", &one),
            ("images/digest list", &a),
            ("images/manifest list", &of_list),
            ("images/manifest bad", "{}"),
            ("images/unknown off", "warning\nno such host\n"),
            ("images/room", "1024 /var/lib"),
            ("images/layers", "[\"sha256:1\",\"sha256:9\"]\n[\"sha256:2\"]"),
            ("images/known", &known),
        ]);
        let offer = |name: &str| told.images[name].clone().expect("an offer");
        assert_eq!(
            (offer("one").digest, offer("one").held, offer("one").bytes(), room_for([&offer("one"), &offer("one")])),
            (c, Some(1), 7, 14)
        );
        assert_eq!(offer("list").digest, a);
        assert_eq!(told.images["off"], Err("no such host".into()));
        assert!(told.images["bad"].is_err());
        assert_eq!(told.room, Some(Room { bytes: 1024, mount: "/var/lib".into() }));
        let unseen = Fetch { held: None, ..offer("one") };
        assert_eq!((unseen.bytes(), room_for([&unseen])), (17, 27));
        assert_eq!(unseen.pinned("127.0.0.1:5000/a/b:1"), format!("127.0.0.1:5000/a/b@{}", unseen.digest));
        assert_eq!(unseen.pinned("b@sha256:0"), format!("b@{}", unseen.digest));
    }

    proptest! {
        #[test]
        fn any_answer_is_read(key in "images/(manifest|digest|known|layers|room|unknown)( x)?", text in "(?s).{0,80}") {
            let _ = read(&[(&key, &text), ("images/manifest x", "{\"layers\": [{\"size\": 1, \"digest\": \"a\"}]}")]);
        }
    }
}
