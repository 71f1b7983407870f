//! modes: whether the files and folders of the release, and its units, have the modes that they were deployed with; and whether
//! everybody may write to the folders that they lie in. What was changed or is gone is told by the look `drift`.

use std::collections::{BTreeMap, BTreeSet};

use crate::heal::Observation;
use crate::heal::observe::scene::{About, Heard, Look, Placed, Scene, each};
use crate::host::{Layout, OURS, Record};

pub(super) const LOOK: Look = Look { name: "modes", about: About::Service, shell: SHELL, calls: each, judge };

/// All that the manifest names, with the folders around it; what is as most of it is meant to be is not told.
const SHELL: &str = r#"
look_modes() { # SERVICE
  cd -P "$base/services/$1/current" || return
  [ -e .portoser/manifest ] || return
  [ -r .portoser/manifest ] || { echo '?closed'; return; }
  for one in awk xargs; do command -v "$one" >/dev/null || { lacks "$one"; return; }; done
  tick
  { printf '%s\n' . .. ../.. ../../.. ../../../.. .portoser/manifest
    awk '{ sub(/^[0-9a-f]*  /, ""); print; if ($0 !~ /^\//) while (sub(/\/[^\/]*$/, "")) if (!met[$0]++) print }' .portoser/manifest
  } | tr '\n' '\000' | xargs -0 ls -ldn -- 2>&1 |
    grep -vE "^(-rw-r--r--|drwxr-xr-x)[.+@]? +[0-9]+ +$uid " | head -n 3000
}
"#;

/// So many lines are told at most.
const MOST: usize = 3000;

/// So many are mended at once. Of more, none is: the rest would be as it was, so that all would be undone.
const MENDED: usize = 300;

/// What is said where nothing is amiss in what was told, and that is not all.
pub(super) const IN_PART: &str = "not all of its files and folders were told";

/// One file or folder of ours.
pub(super) struct Entry {
    /// Where it lies on the host.
    pub(super) path: String,
    /// Whether it is of the release itself, and not a folder in which releases lie.
    pub(super) own: bool,
    /// The number of its owner, where that is not who looks.
    pub(super) owner: Option<u32>,
    /// The mode that it has, and the one that it should have, where these differ.
    mode: Option<(u32, u32)>,
}

/// What is to be told of a release, and of what lies around it.
pub(super) struct Found {
    pub(super) all: Vec<Entry>,
    /// Whether everything was told: the answer was not cut, and each of its lines could be read.
    pub(super) whole: bool,
    /// Whether the answer was cut.
    cut: bool,
    /// The one mode of all files and folders; no release is deployed so.
    alike: Option<u32>,
}

impl Found {
    /// What the remedy is given: all of it, or nothing where it could not mend all of it.
    pub(super) fn to_mend(&self, lines: Vec<String>) -> Vec<String> {
        if self.cut || lines.len() > MENDED { Vec::new() } else { lines }
    }

    /// How many there are besides the first, and whether they are too many to be mended.
    pub(super) fn more(&self, count: usize) -> String {
        let least = if self.cut { "at least " } else { "" };
        match count {
            _ if self.cut || count > MENDED => {
                format!(
                    ", and {least}{} more are not as they should be, which are too many to be mended at once",
                    count - 1
                )
            }
            0 | 1 => String::new(),
            _ => format!(", and {} more are not as they should be", count - 1),
        }
    }
}

/// What something is meant to be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    File(u32),
    Folder,
    /// A folder in which releases lie: its mode is the user's, as long as not everybody may write there.
    Above,
}

impl Wanted {
    /// The mode that it has, and the one that it should have, where these differ.
    fn differs(self, shown: &str) -> Option<(u32, u32)> {
        const SET_GROUP: u32 = 0o2000;
        const STICKY: u32 = 0o1000;
        const EVERYBODY: u32 = 0o002;
        let has = bits(shown)?;
        let should = match self {
            Self::File(mode) => mode,
            // It may have that bit from the folder above.
            Self::Folder => 0o755 | has & SET_GROUP,
            Self::Above if has & STICKY == 0 => has & !EVERYBODY,
            Self::Above => has,
        };
        (has != should).then_some((has, should))
    }
}

/// What of a release, and around it, is to be told of.
///
/// # Errors
/// Why that was not seen.
pub(super) fn entries(heard: &Heard, placed: &Placed<'_>, record: &Record) -> Result<Found, String> {
    let text = match heard.answer(&LOOK, placed.service.name.as_str())? {
        "?closed" => return Err("the manifest of its release cannot be read as this user".into()),
        // The record has a mode that is told always.
        "" => return Err("the manifest of its release was not seen".into()),
        text => text,
    };
    let (facts, mut wanted) = (&heard.seen().facts, wanted(record));
    let layout = Layout::new(&facts.base);
    // What was changed or is gone is written anew as a whole.
    let drift = heard.service(placed).into_iter().flat_map(|there| &there.drift);
    for (path, _) in drift.filter_map(|line| line.rsplit_once(": ")) {
        wanted.remove(path);
    }
    let mut found = Found { all: Vec::new(), whole: true, cut: text.lines().count() >= MOST, alike: None };
    let mut modes = BTreeSet::new();
    let mut entry = |path: &str, kind: Wanted, owner: Option<u32>, shown: &str| {
        if !path.starts_with('/') {
            modes.insert(bits(shown));
        }
        let mode = kind.differs(shown).filter(|mode| facts.uid == 0 || !is_closer(*mode));
        Entry { path: place(&layout, record, path), own: kind != Wanted::Above, owner, mode }
    };
    for line in text.lines() {
        let Some((shown, owner, path)) = row(line) else {
            found.whole = false;
            continue;
        };
        // A link shows nothing of its own.
        if let Some(kind) = wanted.remove(path).filter(|_| !shown.starts_with('l')) {
            found.all.push(entry(path, kind, Some(owner).filter(|owner| *owner != facts.uid), shown));
        }
    }
    found.whole &= !found.cut;
    // What is not told is as most of it; but a name that `ls` may write in another way says nothing by not being there.
    let plain = |path: &str| path.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    let rest = wanted.iter().filter(|(path, _)| found.whole && plain(path));
    let rest = rest.map(|(path, kind)| {
        let shown = if matches!(kind, Wanted::File(_)) { "-rw-r--r--" } else { "drwxr-xr-x" };
        entry(path, *kind, None, shown)
    });
    found.all.extend(rest.collect::<Vec<_>>());
    found.alike = modes.pop_first().flatten().filter(|_| modes.is_empty() && found.whole);
    Ok(found)
}

/// Whether a mode keeps more from others than it should, and nothing from its owner. Where nobody is root, `tar` may keep from
/// others what the umask does, and there are no others.
fn is_closer((has, should): (u32, u32)) -> bool {
    has & !should == 0 && (has ^ should) & 0o700 == 0
}

/// What a release consists of, by the names that the look asks for.
fn wanted(record: &Record) -> BTreeMap<String, Wanted> {
    let above = ["..", "../..", "../../..", "../../../.."].map(|path| (path.to_owned(), Wanted::Above));
    let mut all = BTreeMap::from(above);
    all.insert(".".to_owned(), Wanted::Folder);
    for (path, mark) in &record.files {
        let Some(mode) = mark.split_once(' ').and_then(|(mode, _)| u32::from_str_radix(mode, 8).ok()) else { continue };
        all.extend(path.match_indices('/').map(|(slash, _)| (path[..slash].to_owned(), Wanted::Folder)));
        all.insert(path.clone(), Wanted::File(mode));
    }
    all.extend(record.units.iter().filter_map(|unit| Some((unit.path.clone()?, Wanted::File(unit.mode())))));
    all.extend(
        [("release.json", 0o600), ("manifest", 0o644)]
            .map(|(name, mode)| ([OURS, "/", name].concat(), Wanted::File(mode))),
    );
    all
}

/// Where something lies that the look asks for by this name.
fn place(layout: &Layout, record: &Record, path: &str) -> String {
    let services = || layout.service(&record.service).rsplit_once('/').map(|(at, _)| at.to_owned()).unwrap_or_default();
    match path {
        "." => layout.release(&record.service, &record.release),
        ".." => layout.releases(&record.service),
        "../.." => layout.service(&record.service),
        "../../.." => services(),
        "../../../.." => layout.base().to_owned(),
        path if path.starts_with('/') => path.to_owned(),
        path => format!("{}/{path}", layout.release(&record.service, &record.release)),
    }
}

/// Mode, owner's number and path of a line of `ls -ldn`: two of its words are those, six others stand around them.
fn row(line: &str) -> Option<(&str, u32, &str)> {
    let (mut rest, mut words) = (line, Vec::new());
    for _ in 0..8 {
        let (word, more) = rest.trim_start().split_once(' ')?;
        words.push(word);
        rest = more;
    }
    let mode = words[0].get(..10).filter(|mode| mode.starts_with(['-', 'd', 'l', 'p', 's', 'b', 'c']))?;
    Some((mode, words[2].parse().ok()?, rest))
}

/// The bits that `ls` shows as `drwxr-sr-x`.
fn bits(shown: &str) -> Option<u32> {
    let mut all = 0;
    for (at, have) in shown.bytes().skip(1).enumerate() {
        let bit = 0o400 >> at;
        let special = 0o4000 >> (at / 3);
        all |= match (have, at % 3) {
            (b'-', _) => 0,
            (b'r', 0) | (b'w', 1) | (b'x', 2) => bit,
            (b's' | b't', 2) => bit | special,
            (b'S' | b'T', 2) => special,
            _ => return None,
        };
    }
    Some(all)
}

fn judge(scene: &Scene<'_>, heard: &Heard) -> Vec<Observation> {
    let one = |placed: &Placed<'_>| {
        let record = heard.service(placed)?.readable()?;
        let one = scene.of(&LOOK, placed);
        Some(match entries(heard, placed, record) {
            Err(why) => one.unseen(why),
            Ok(found) => judged(one, &found),
        })
    };
    scene.services.iter().filter_map(one).collect()
}

fn judged(one: Observation, found: &Found) -> Observation {
    let amiss: Vec<_> = found.all.iter().filter_map(|entry| Some((entry.mode?, entry.path.as_str()))).collect();
    let Some(((has, should), path)) = amiss.first() else {
        return match found.whole {
            true => one.good("its files and folders have the modes that they were deployed with"),
            false => one.unseen(IN_PART),
        };
    };
    if let Some(mode) = found.alike {
        let why = "as on a file system that keeps no modes (vfat, CIFS)";
        return one.unseen(format!("all its files and folders have the mode {mode:04o}, {why}"));
    }
    let lines = amiss.iter().map(|((has, should), path)| format!("{has:04o} {should:04o} {path}")).collect();
    let says = format!("the mode of {path} is {has:04o}, and should be {should:04o}{}", found.more(amiss.len()));
    let (has, should) = (format!("{has:04o}"), format!("{should:04o}"));
    one.with("path", path).with("has", has).with("should", should).saying(found.to_mend(lines)).bad(says)
}

#[cfg(test)]
mod tests;
