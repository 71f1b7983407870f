//! What was fetched of one repository: its objects in a bare repository, and the folders that were asked for. Any number of
//! portosers use it at once, and one that is killed leaves nothing in the way: what counts is only which objects are there.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::model::{Cmd, hex, sha256};
use crate::transport::{self, End};

use super::GitFault;
use super::kept::{FOLDERS, MAKING, REPOSITORIES, hold, private, sweep, sync, unpack};

/// How long a repository may take to tell its names.
const ASK: Duration = Duration::from_secs(60);

/// How long fetching and writing may take.
const FETCH: Duration = Duration::from_secs(900);

/// Variables that would lead git to another repository, as in a hook that calls portoser.
const FOREIGN: [&str; 8] = [
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_QUARANTINE_PATH",
    "GIT_NAMESPACE",
    "GIT_COMMON_DIR",
];

/// What git is told besides: it asks nobody, speaks no protocol that runs a program, and its words are in English.
const SILENT: [&str; 6] = [
    "GIT_TERMINAL_PROMPT=0",
    "GIT_ASKPASS=false",
    "SSH_ASKPASS=false",
    "SSH_ASKPASS_REQUIRE=force",
    "GIT_ALLOW_PROTOCOL=file:git:http:https:ssh",
    "LC_ALL=C",
];

/// Settings of the calls that need the cache. What is fetched comes as one pack, which is there whole or not at all; single objects
/// of one that was killed would look like a commit. Nothing is tidied up behind our back.
const SETTINGS: [&str; 10] = [
    "-c",
    "fetch.unpackLimit=1",
    "-c",
    "gc.auto=0",
    "-c",
    "maintenance.auto=false",
    "-c",
    "http.lowSpeedLimit=100",
    "-c",
    "http.lowSpeedTime=60",
];

/// Without the user's settings a commit's files are the same everywhere, and no filter of theirs is run.
const PLAIN: [&str; 7] = [
    "GIT_CONFIG_NOSYSTEM=1",
    "GIT_CONFIG_GLOBAL=/dev/null",
    "GIT_CONFIG_COUNT=0",
    "GIT_CONFIG_PARAMETERS=",
    "GIT_ATTR_NOSYSTEM=1",
    "HOME=/nonexistent",
    "XDG_CONFIG_HOME=/nonexistent",
];

pub(super) struct Cache {
    url: String,
    /// The same, as it may be shown.
    shown: String,
    folder: PathBuf,
    now: SystemTime,
    /// Keeps the whole from being tidied away.
    _hold: fs::File,
}

/// Whether this is the whole id of a commit (SHA-1 or SHA-256).
fn is_id(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

impl Cache {
    /// The cache of this repository below the state folder.
    pub(super) async fn open(keep: &Path, (url, shown): (String, String), now: SystemTime) -> Result<Self, GitFault> {
        let digest = hex(&sha256(url.as_bytes()));
        let folder = keep.join("git").join(&digest[..32]);
        let unkept = |says: &str| GitFault::Keep { url: shown.clone(), folder: folder.clone(), says: says.to_owned() };
        private(&folder).map_err(|error| unkept(&error.to_string()))?;
        let hold = hold(&folder).ok_or_else(|| unkept("another portoser is about to remove it, as it was not used"))?;
        let _ = hold.set_modified(now);
        let cache = Self { folder, url, shown, now, _hold: hold };
        cache.begin().await?;
        Ok(cache)
    }

    /// Makes the repository where there is none. It is made beside its place: one that is there is whole, and of several that
    /// are made at once the first one stays.
    async fn begin(&self) -> Result<(), GitFault> {
        let unkept = |error: std::io::Error| self.unkept(error.to_string());
        if self.is_begun() {
            return Ok(());
        }
        let trees = self.folder.join("trees");
        private(&trees).map_err(unkept)?;
        // What one that is killed leaves here is swept.
        let making = tempfile::Builder::new().prefix(MAKING).tempdir_in(&trees).map_err(unkept)?;
        let repository = making.path().join("repository.git");
        let init = git(&[]).args(["init", "--quiet", "--bare", "--template=", "--", &repository.to_string_lossy()]);
        let reply = transport::here(&init).await.map_err(|lost| self.unkept(lost.to_string()))?;
        match reply.end {
            // After a power cut it would be there, and empty.
            End::Code(0) => match sync(&repository).and_then(|()| fs::rename(&repository, self.repository())) {
                Err(error) if !self.is_begun() => Err(unkept(error)),
                _ => Ok(()),
            },
            End::Code(127) => Err(GitFault::Missing { url: self.shown.clone() }),
            _ => Err(self.unkept(says(&reply.err))),
        }
    }

    fn is_begun(&self) -> bool {
        Path::new(&self.repository()).join("HEAD").is_file()
    }

    fn repository(&self) -> String {
        self.folder.join("repository.git").to_string_lossy().into_owned()
    }

    fn unkept(&self, says: String) -> GitFault {
        GitFault::Keep { url: self.shown.clone(), folder: self.folder.clone(), says }
    }

    /// What git prints about this repository; otherwise what it says.
    async fn ask(&self, besides: &[&str], words: &[&str], within: Duration) -> Result<Vec<u8>, String> {
        let cmd = git(besides).args(SETTINGS).arg(format!("--git-dir={}", self.repository()));
        let reply =
            transport::here(&cmd.args(words.iter().copied()).within(within)).await.map_err(|lost| lost.to_string())?;
        if reply.end == End::Code(0) { Ok(reply.out) } else { Err(says(&reply.err).replace(&self.url, &self.shown)) }
    }

    /// The one line that git prints, if it has an answer.
    async fn line(&self, words: &[&str]) -> Option<String> {
        let out = self.ask(&[], words, Cmd::USUAL).await.ok()?;
        Some(String::from_utf8_lossy(&out).trim().to_owned())
    }

    /// The id of the commit that this name is now. A whole id is itself, and is not asked for.
    pub(super) async fn commit(&self, reference: Option<&str>) -> Result<String, GitFault> {
        let name = reference.unwrap_or("HEAD");
        let commit = if is_id(name) { name.to_owned() } else { self.named(name).await? };
        self.bring(&commit).await?;
        // An annotated tag, which may be given by its id too, leads to a commit.
        let whole = self.line(&["rev-parse", "--verify", "--quiet", &format!("{commit}^{{commit}}")]).await;
        let whole = whole.filter(|id| is_id(id)).ok_or_else(|| GitFault::NoCommit {
            url: self.shown.clone(),
            commit,
            says: "what it has there is no commit".into(),
        })?;
        if !is_id(name) {
            // Told when the repository cannot be asked; nothing is decided by it.
            let _ = fs::write(self.last(name), &whole);
        }
        Ok(whole)
    }

    fn last(&self, name: &str) -> PathBuf {
        self.folder.join(format!("last-{}", &hex(&sha256(name.as_bytes()))[..32]))
    }

    async fn named(&self, name: &str) -> Result<String, GitFault> {
        let words: Vec<String> = names(name).into_iter().flat_map(|name| [format!("{name}^{{}}"), name]).collect();
        let words: Vec<&str> =
            ["ls-remote", "--quiet", "--", &self.url].into_iter().chain(words.iter().map(String::as_str)).collect();
        let out = self.ask(&[], &words, ASK).await.map_err(|says| {
            let known = fs::read_to_string(self.last(name)).ok().filter(|known| is_id(known));
            GitFault::Remote { url: self.shown.clone(), says, known }
        })?;
        match chosen(&String::from_utf8_lossy(&out), name).as_slice() {
            [] => Err(GitFault::NoSuchName { url: self.shown.clone(), name: name.to_owned() }),
            [one] => Ok(one.clone()),
            _ => Err(GitFault::TwoNames { url: self.shown.clone(), name: name.to_owned() }),
        }
    }

    /// Fetches a commit with its history, if it is not there. So the next one brings only what is new.
    async fn bring(&self, id: &str) -> Result<(), GitFault> {
        let object = format!("{id}^{{tree}}");
        let there = ["cat-file", "-e", object.as_str()];
        if self.ask(&[], &there, Cmd::USUAL).await.is_ok() {
            return Ok(());
        }
        let one = format!("+{id}:refs/portoser/{id}");
        // Some servers give only what a name leads to.
        let all = ["+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"];
        let mut last = String::new();
        for wanted in [&[one.as_str()][..], &all] {
            let fetch = ["fetch", "--quiet", "--no-tags", "--no-recurse-submodules", "--", &self.url];
            let words: Vec<&str> = fetch.into_iter().chain(wanted.iter().copied()).collect();
            if let Err(says) = self.ask(&[], &words, FETCH).await {
                last = says;
            }
            // Another portoser may have fetched it at the same time, and then ours says that it failed.
            if self.ask(&[], &there, Cmd::USUAL).await.is_ok() {
                return Ok(());
            }
        }
        if last.is_empty() {
            last = "no branch and no tag leads to it".into();
        }
        Err(GitFault::NoCommit { url: self.shown.clone(), commit: id.to_owned(), says: last })
    }

    /// The files below this folder of a commit, as they were committed.
    pub(super) async fn folder(&self, commit: &str, path: Option<&str>) -> Result<(PathBuf, fs::File), GitFault> {
        let (url, id) = (self.shown.clone(), commit.to_owned());
        let spec = path.map_or_else(|| format!("{commit}^{{tree}}"), |path| format!("{commit}:{path}"));
        let tree = self.line(&["rev-parse", "--verify", "--quiet", &spec]).await.filter(|tree| is_id(tree));
        let is_tree = match &tree {
            Some(tree) => self.line(&["cat-file", "-t", tree]).await.as_deref() == Some("tree"),
            None => false,
        };
        let Some(tree) = tree.filter(|_| is_tree) else {
            return Err(GitFault::NoFolder { url, commit: id, path: path.unwrap_or(".").to_owned() });
        };
        let folder = self.folder.join("trees").join(&tree);
        if let Some(hold) = hold(&folder) {
            // Whoever tidies up sees that it is used.
            let _ = hold.set_modified(self.now);
            return Ok((folder, hold));
        }
        let listed = self.ask(&[], &["ls-tree", "-r", "-z", &tree], FETCH).await.map_err(|says| self.unkept(says))?;
        let paths = submodules(&String::from_utf8_lossy(&listed));
        if !paths.is_empty() {
            return Err(GitFault::Submodules { url, commit: id, paths });
        }
        let paths = self.write(&tree, &folder).await?;
        if !paths.is_empty() {
            return Err(GitFault::Lfs { url, commit: id, paths });
        }
        let hold = hold(&folder).ok_or_else(|| self.unkept("what was written is gone again".into()))?;
        Ok((folder, hold))
    }

    /// Writes a tree to this folder, which is there only when it is whole. Gives the files that are not there, but in LFS.
    async fn write(&self, tree: &str, folder: &Path) -> Result<Vec<String>, GitFault> {
        let trees = self.folder.join("trees");
        let unkept = |error: std::io::Error| self.unkept(error.to_string());
        private(&trees).map_err(unkept)?;
        sweep(&trees, self.now, FOLDERS);
        if let Some(all) = self.folder.parent() {
            sweep(all, self.now, REPOSITORIES);
        }
        let making = tempfile::Builder::new().prefix(MAKING).tempdir_in(&trees).map_err(unkept)?;
        let archive = making.path().join("archive.tar");
        let output = format!("--output={}", archive.display());
        let words = ["archive", "--format=tar", &output, tree];
        self.ask(&PLAIN, &words, FETCH).await.map_err(|says| self.unkept(says))?;
        let to = folder.to_owned();
        let unpacked = tokio::task::spawn_blocking(move || unpack(&archive, &making.path().join("files"), &to));
        match unpacked.await {
            Ok(unpacked) => unpacked.map_err(unkept),
            Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
        }
    }
}

/// Git with the user's own settings, that asks nobody.
fn git(besides: &[&str]) -> Cmd {
    let gone = FOREIGN.iter().flat_map(|name| ["-u", name]);
    Cmd::new("env").args(gone).args(SILENT).args(besides.iter().copied()).arg("git")
}

/// The full names that a short one may stand for.
fn names(name: &str) -> Vec<String> {
    if name == "HEAD" || name.starts_with("refs/") {
        return vec![name.to_owned()];
    }
    vec![format!("refs/heads/{name}"), format!("refs/tags/{name}")]
}

/// The different commits that a name stands for, of the lines that `git ls-remote` prints. An annotated tag stands twice:
/// as itself, and with `^{}` as what it leads to.
fn chosen(lines: &str, name: &str) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for name in names(name) {
        let find = |wanted: &str| {
            let mut lines = lines.lines().filter_map(|line| line.split_once('\t'));
            lines.find(|(id, name)| *name == wanted && is_id(id)).map(|(id, _)| id.to_owned())
        };
        if let Some(id) = find(&format!("{name}^{{}}")).or_else(|| find(&name))
            && !all.contains(&id)
        {
            all.push(id);
        }
    }
    all
}

/// The submodules in what `git ls-tree -r -z` prints.
fn submodules(listed: &str) -> Vec<String> {
    let of = |line: &str| line.strip_prefix("160000 ").and_then(|rest| Some(rest.split_once('\t')?.1.to_owned()));
    listed.split('\0').filter_map(of).collect()
}

/// What git says of a failure: the cause before git's own last words, where a program that it ran told one.
fn says(err: &[u8]) -> String {
    let text = String::from_utf8_lossy(err);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let Some(at) = lines.iter().position(|line| line.starts_with("fatal: ")) else {
        return (*lines.last().unwrap_or(&"it says nothing")).to_owned();
    };
    let own = |line: &&str| line.trim_start_matches("fatal: ").trim_start_matches("ERROR: ").to_owned();
    match at.checked_sub(1).filter(|_| lines[at].contains("Could not read from remote")) {
        Some(cause) => own(&lines[cause]),
        None => own(&lines[at]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_chosen_as_git_prints_them() {
        let [a, b, c] = ["a", "b", "c"].map(|digit| digit.repeat(40));
        let lines = format!(
            "{a}\tHEAD\n{a}\trefs/heads/main\n{b}\trefs/heads/x/main\n{b}\trefs/tags/v1\n{c}\trefs/tags/v1^{{}}\n\
             {a}\trefs/heads/both\n{b}\trefs/tags/both\n{a}\trefs/heads/same\n{a}\trefs/tags/same\nnonsense\n"
        );
        for (name, want) in [
            ("HEAD", vec![&a]),
            ("main", vec![&a]),
            ("v1", vec![&c]),
            ("refs/tags/v1", vec![&c]),
            ("both", vec![&a, &b]),
            ("same", vec![&a]),
            ("x", vec![]),
        ] {
            assert_eq!(chosen(&lines, name).iter().collect::<Vec<_>>(), want, "{name}");
        }
    }

    #[test]
    fn what_git_says_is_its_last_word() {
        assert_eq!(says(b"Cloning\nfatal: no\nmore\n"), "no");
        assert_eq!(says(b"ERROR: not found.\nfatal: Could not read from remote repository.\n\nPlease\n"), "not found.");
        assert_eq!(says(b" x \n\n"), "x");
        assert_eq!(says(b""), "it says nothing");
        assert_eq!(submodules("100644 blob aa\ta\x00160000 commit bb\tlib/sub\x00"), ["lib/sub"]);
    }
}
