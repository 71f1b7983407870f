//! Sources in git: which commit is meant, and its files. The user's own git fetches them, with the user's own keys and settings,
//! and asks nobody; nothing that a repository brings is run. What was fetched stays in the state folder, so that a commit that
//! is there needs no network.

mod cache;
mod kept;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use tokio::task::JoinSet;

use crate::deploy::ground::Ground;
use crate::model::{FailureKind, ServiceName};
use crate::plan::Commit;
use crate::registry::{Git, Source};

use cache::Cache;

/// Why the files of a commit cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum GitFault {
    #[error("this machine has no git, which fetches `{url}`")]
    Missing { url: String },
    #[error("cannot ask the git repository `{url}`: {says}")]
    Remote {
        url: String,
        says: String,
        /// The commit that the name was the last time.
        known: Option<String>,
    },
    #[error("the git repository `{url}` has no branch and no tag `{name}`")]
    NoSuchName { url: String, name: String },
    #[error("`{name}` is a branch and a tag of the git repository `{url}`, of different commits")]
    TwoNames { url: String, name: String },
    #[error("the git repository `{url}` does not give the commit {commit}: {says}")]
    NoCommit { url: String, commit: String, says: String },
    #[error("the commit {commit} of `{url}` has no folder `{path}`")]
    NoFolder { url: String, commit: String, path: String },
    #[error("the commit {commit} of `{url}` has submodules, which are not fetched: {}", .paths.join(", "))]
    Submodules { url: String, commit: String, paths: Vec<String> },
    #[error("the commit {commit} of `{url}` has files in Git LFS, which are not fetched: {}", .paths.join(", "))]
    Lfs { url: String, commit: String, paths: Vec<String> },
    #[error("cannot keep what is fetched from `{url}` in {}: {says}", .folder.display())]
    Keep { url: String, folder: PathBuf, says: String },
    #[error("there is no state folder in which what is fetched from `{url}` could be kept")]
    Nowhere { url: String },
}

impl GitFault {
    /// The kind, which gives the exit code.
    pub(super) fn kind(&self) -> FailureKind {
        match self {
            Self::Remote { .. } | Self::NoCommit { .. } => FailureKind::Unreachable,
            Self::Keep { .. } | Self::Nowhere { .. } | Self::Missing { .. } => FailureKind::Internal,
            _ => FailureKind::Invalid,
        }
    }

    /// The next moves.
    pub(super) fn hints(&self) -> Vec<String> {
        match self {
            Self::Missing { .. } => vec!["install git on this machine".into()],
            Self::Remote { url, known, .. } => {
                let ask = format!("see that `git ls-remote {}` works here, and asks nothing", crate::model::quote(url));
                let known = known
                    .iter()
                    .map(|commit| format!("`ref: {commit}`, fetched before, is deployed without asking it"));
                [ask].into_iter().chain(known).collect()
            }
            Self::NoSuchName { name, .. } if name.len() >= 7 && name.bytes().all(|b| b.is_ascii_hexdigit()) => {
                vec!["a commit is named by its whole id, of 40 digits".into()]
            }
            Self::NoSuchName { url, .. } => {
                vec![format!("`git ls-remote {}` lists what there is", crate::model::quote(url))]
            }
            Self::TwoNames { name, .. } => vec![format!("write `refs/heads/{name}` or `refs/tags/{name}`")],
            Self::NoCommit { .. } => {
                vec!["see that the commit was pushed, and that a branch or tag leads to it".into()]
            }
            Self::NoFolder { .. } => vec!["correct `source.path`".into()],
            Self::Submodules { .. } => {
                vec!["give a `path` that has none, or fetch them yourself and give the folder as `source`".into()]
            }
            Self::Lfs { .. } => {
                vec!["give a `path` that has none, or check it out yourself and give the folder as `source`".into()]
            }
            Self::Keep { .. } | Self::Nowhere { .. } => {
                vec!["see that there is room, and that the state folder can be written".into()]
            }
        }
    }
}

/// The files of a commit on this machine.
#[derive(Clone, Debug)]
pub(super) struct Checkout {
    pub(super) commit: Commit,
    /// Where they lie. They are as they were committed, and stay there as long as somebody holds them.
    pub(super) folder: PathBuf,
    pub(super) hold: Hold,
}

/// Keeps files of the cache from being tidied away.
pub(super) type Hold = Arc<std::fs::File>;

/// The repository that these have in common, as it may be shown.
fn shown(all: &BTreeMap<&Git, Vec<&ServiceName>>) -> String {
    all.keys().next().map_or_else(String::new, |git| git.shown())
}

/// What these services have in git, each repository asked once; different ones side by side.
pub(super) async fn fetch(
    ground: &Ground,
    services: &BTreeSet<ServiceName>,
) -> Result<BTreeMap<ServiceName, Checkout>, GitFault> {
    let mut wanted: BTreeMap<&str, BTreeMap<&Git, Vec<&ServiceName>>> = BTreeMap::new();
    for service in services.iter().filter_map(|name| ground.registry.services.get(name)) {
        if let Some(Source::Git(git)) = &service.source {
            wanted.entry(&git.url).or_default().entry(git).or_default().push(&service.name);
        }
    }
    let now = ground.clock.now().into();
    let mut tasks = JoinSet::new();
    for (url, all) in wanted {
        let shown = shown(&all);
        let keep = ground.keep.clone().ok_or_else(|| GitFault::Nowhere { url: shown.clone() })?;
        let all: Vec<(Git, Vec<ServiceName>)> =
            all.into_iter().map(|(git, names)| (git.clone(), names.into_iter().cloned().collect())).collect();
        let repository = (url.to_owned(), shown);
        tasks.spawn(async move {
            let cache = Cache::open(&keep, repository, now).await?;
            let (mut found, mut asked) = (Vec::new(), BTreeMap::new());
            for (git, names) in all {
                let commit = match asked.get(&git.reference) {
                    Some(commit) => String::clone(commit),
                    None => cache.commit(git.reference.as_deref()).await?,
                };
                let (folder, hold) = cache.folder(&commit, git.path.as_deref()).await?;
                asked.insert(git.reference.clone(), commit.clone());
                let commit = Commit { id: commit, git };
                let checkout = Checkout { commit, folder, hold: Arc::new(hold) };
                found.extend(names.into_iter().map(|name| (name, checkout.clone())));
            }
            Ok::<_, GitFault>(found)
        });
    }
    let mut all = BTreeMap::new();
    while let Some(done) = tasks.join_next().await {
        match done {
            Ok(found) => all.extend(found?),
            Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
        }
    }
    Ok(all)
}
