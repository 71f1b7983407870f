//! Reads what a release is made of from this machine's disk: source trees with their hashes, templates, files to copy.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read as _;
use std::path::{Component, Path, PathBuf};

use ignore::{Walk, WalkBuilder};

use crate::deploy::git::Checkout;
use crate::deploy::survey::Survey;
use crate::host::run::{TreeEntry, TreeKind};
use crate::model::{Hash, ServiceName};
use crate::plan::{self, SourceTree, Sources};
use crate::registry::{FileSource, Kind, Project, Registry, Service, Source, compose_files, sent_of};

/// The largest template or copied file that is held in memory; larger ones belong into a source.
const TEXT_LIMIT: u64 = 16 << 20;

/// Why a source cannot be sent.
#[derive(Debug, thiserror::Error)]
pub enum SourceFault {
    #[error("cannot read `{path}`")]
    Read {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("cannot walk `{path}`")]
    Walk {
        path: PathBuf,
        #[source]
        source: ignore::Error,
    },
    #[error("the file name {name} cannot be carried to a host: {why}")]
    Name { name: String, why: &'static str },
    #[error("the link `{path}` points to `{target}`, outside of the source")]
    Escape { path: String, target: String },
    #[error("`{path}` is neither a file, a folder nor a link")]
    Kind { path: String },
    #[error("`{path}` is larger than {limit} bytes")]
    Large { path: PathBuf, limit: u64 },
}

/// Reads all that these services need.
pub(super) fn read<'a>(
    registry: &Registry,
    services: impl IntoIterator<Item = &'a Service>,
    fetched: &BTreeMap<ServiceName, Checkout>,
) -> Result<Sources, SourceFault> {
    let mut sources = Sources::default();
    for service in services {
        let checkout = fetched.get(&service.name);
        let files = match (&service.source, checkout) {
            (Some(Source::Here(source)), _) if matches!(service.kind, Kind::Python(_)) => Some(project(source)?),
            (Some(Source::Here(source)), _) => Some(tree(source)?),
            (_, Some(checkout)) => Some(committed(&checkout.folder, matches!(service.kind, Kind::Python(_)))?),
            _ => None,
        };
        sources.commits.extend(checkout.map(|checkout| (service.name.clone(), checkout.commit.clone())));
        if let Some(files) = files {
            if let Kind::Python(python) = &service.kind {
                if let Some(wheels) = &python.wheels {
                    sources.wheels.insert(service.name.clone(), opened(tree(wheels)?));
                }
                for entry in files.iter().filter(|entry| names_packages(&entry.path)) {
                    if let TreeKind::File { from, .. } = &entry.kind {
                        sources.texts.insert(from.clone(), text(from)?);
                    }
                }
            }
            sources.trees.insert(service.name.clone(), files);
        }
        if let Kind::Docker(docker) = &service.kind
            && let Project::Compose { path, .. } = &docker.project
        {
            let files = tree(path)?;
            // What lies beside it says things to compose, too.
            let settings = files.iter().filter(|entry| entry.path == ".env").filter_map(|entry| match &entry.kind {
                TreeKind::File { from, .. } => Some(from.clone()),
                _ => None,
            });
            let settings: Vec<_> = settings.collect();
            sources.trees.insert(service.name.clone(), files);
            for file in compose_files(path).into_iter().chain(settings) {
                let read = text(&file)?;
                sources.texts.insert(file, read);
            }
        }
        for file in service.files.values() {
            if let FileSource::Template(path) | FileSource::Copy(path) = &file.source
                && !sources.texts.contains_key(path)
            {
                sources.texts.insert(path.clone(), text(path)?);
            }
        }
    }
    // A unit template beside the registry replaces portoser's own.
    for name in ["systemd.service", "launchd.plist"] {
        let own = registry.file.with_file_name("templates").join(format!("{name}.j2"));
        if own.is_file() {
            sources.templates.insert(name.to_owned(), String::from_utf8_lossy(&text(&own)?).into_owned());
        }
    }
    Ok(sources)
}

/// The files of the sources that others on this machine may read: they and all folders that lead to them from the source's own.
pub(super) fn open(sources: &Sources) -> BTreeSet<PathBuf> {
    let files = sources.trees.values().flatten().filter_map(|entry| match &entry.kind {
        TreeKind::File { from, .. } => Some((from, Path::new(&entry.path).components().count())),
        _ => None,
    });
    files.filter(|(from, depth)| is_reached(from, *depth)).map(|(from, _)| from.clone()).collect()
}

/// Whether others may read a file, and pass through the folders that lead to it from the root so many names above.
fn is_reached(file: &Path, depth: usize) -> bool {
    let mut folders = file.ancestors().skip(1).take(depth.saturating_sub(1));
    lets(file, 0o004) && folders.all(|folder| lets(folder, 0o001))
}

/// Whether others on this machine may read this file of a service's source: it and all folders that lead to it from the source's own.
/// What is not here is closed.
pub(super) fn is_open(service: &Service, path: &str) -> bool {
    let root = match (&service.source, &service.kind) {
        (Some(Source::Here(root)), _) => root,
        (None, Kind::Docker(docker)) => match &docker.project {
            Project::Compose { path, .. } => path,
            _ => return false,
        },
        _ => return false,
    };
    if root.is_file() {
        return root.file_name().is_some_and(|name| name == path) && lets(root, 0o004);
    }
    let file = root.join(path);
    // The path comes from a host: it may be empty.
    file.is_file() && is_reached(&file, Path::new(path).components().count())
}

/// Reads of the open files what the look brought another text of, for the differences of a plan. What cannot be read any more
/// is found when it is sent.
pub(super) fn read_compared(survey: &Survey, sources: &mut Sources) {
    let Sources { trees, texts, open, .. } = sources;
    for (name, found) in survey.seen.values().flat_map(|seen| &seen.services) {
        for entry in trees.get(name).into_iter().flatten().filter(|entry| found.texts.contains_key(&entry.path)) {
            let TreeKind::File { from, .. } = &entry.kind else { continue };
            if open.contains(from) && !texts.contains_key(from) {
                texts.extend(text(from).ok().map(|text| (from.clone(), text)));
            }
        }
    }
}

/// Whether everybody has these permissions.
#[cfg(unix)]
fn lets(path: &Path, permissions: u32) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & permissions == permissions)
}

#[cfg(not(unix))]
fn lets(_: &Path, _: u32) -> bool {
    true
}

/// Whether a file of a Python project may say which packages it needs.
fn names_packages(path: &str) -> bool {
    matches!(path, "uv.lock" | "pyproject.toml") || path.ends_with(".txt")
}

fn text(path: &Path) -> Result<Vec<u8>, SourceFault> {
    let read = |source| SourceFault::Read { path: path.to_owned(), source };
    if fs::metadata(path).map_err(read)?.len() > TEXT_LIMIT {
        return Err(SourceFault::Large { path: path.to_owned(), limit: TEXT_LIMIT });
    }
    fs::read(path).map_err(read)
}

/// The tree of a source: a folder as `.gitignore` and `.ignore` leave it, without `.git`; or a single file under its own name.
pub fn tree(source: &Path) -> Result<SourceTree, SourceFault> {
    let metadata =
        fs::metadata(source).map_err(|error| SourceFault::Read { path: source.to_owned(), source: error })?;
    if metadata.is_file() {
        let name = name(Path::new(source.file_name().unwrap_or_default()))?;
        return Ok(vec![TreeEntry { path: name, kind: file(source)? }]);
    }
    entries(source, sent_of(source).build())
}

/// The tree of a Python project.
fn project(source: &Path) -> Result<SourceTree, SourceFault> {
    if source.is_file() { tree(source) } else { entries(source, without_made(sent_of(source))) }
}

/// Without virtual environments, which are made on the host and lead out of the folder here, and without what an interpreter keeps of
/// its sources.
fn without_made(mut walk: WalkBuilder) -> Walk {
    walk.filter_entry(|entry| {
        let is_environment = entry.depth() > 0 && entry.path().join("pyvenv.cfg").is_file();
        let is_made = entry.file_name() == ".git" || entry.file_name() == "__pycache__";
        !(is_environment || is_made)
    });
    walk.build()
}

/// The tree of a folder that git wrote: all that was committed, be it ignored or not.
fn committed(source: &Path, python: bool) -> Result<SourceTree, SourceFault> {
    let mut walk = WalkBuilder::new(source);
    walk.standard_filters(false).follow_links(false);
    entries(source, if python { without_made(walk) } else { walk.build() }).map(opened)
}

/// Files that are for everybody, whatever modes they happen to have here: git knows no others, and neither do packages.
fn opened(mut entries: SourceTree) -> SourceTree {
    for entry in &mut entries {
        if let TreeKind::File { mode, .. } = &mut entry.kind {
            *mode = plan::for_all(*mode);
        }
    }
    entries
}

fn entries(source: &Path, walk: Walk) -> Result<SourceTree, SourceFault> {
    let (mut entries, mut closed) = (Vec::new(), BTreeSet::new());
    for entry in walk {
        let entry = entry.map_err(|error| SourceFault::Walk { path: source.to_owned(), source: error })?;
        let Ok(relative) = entry.path().strip_prefix(source) else { continue };
        if relative.as_os_str().is_empty() {
            continue;
        }
        let path = name(relative)?;
        let beneath = relative.parent().is_some_and(|folder| closed.contains(folder));
        let kind = match entry.file_type() {
            Some(kind) if kind.is_dir() => {
                if beneath || !lets(entry.path(), 0o001) {
                    closed.insert(relative.to_owned());
                }
                TreeKind::Folder
            }
            Some(kind) if kind.is_file() => match file(entry.path())? {
                TreeKind::File { from, mode, size, sha256 } if beneath => {
                    TreeKind::File { from, mode: mode & 0o700, size, sha256 }
                }
                kind => kind,
            },
            Some(kind) if kind.is_symlink() => link(entry.path(), &path)?,
            _ => return Err(SourceFault::Kind { path }),
        };
        entries.push(TreeEntry { path, kind });
    }
    entries.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(entries)
}

/// A path inside a tree as text. What a manifest's lines or a shell on the host could not carry exactly is refused.
fn name(path: &Path) -> Result<String, SourceFault> {
    let shown = || path.to_string_lossy().escape_debug().to_string();
    let refuse = |why| Err(SourceFault::Name { name: shown(), why });
    match path.to_str() {
        None => refuse("it is not UTF-8"),
        Some(text) if text.chars().any(char::is_control) => refuse("it holds a control character"),
        Some(text) => Ok(text.to_owned()),
    }
}

fn file(path: &Path) -> Result<TreeKind, SourceFault> {
    let fault = |source| SourceFault::Read { path: path.to_owned(), source };
    let mut open = fs::File::open(path).map_err(fault)?;
    let mode = mode(&open.metadata().map_err(fault)?);
    let (mut hash, mut size, mut piece) = (Hash::default(), 0, vec![0; 256 << 10]);
    loop {
        let read = open.read(&mut piece).map_err(fault)?;
        if read == 0 {
            break;
        }
        hash.update(&piece[..read]);
        size += read as u64;
    }
    Ok(TreeKind::File { from: path.to_owned(), mode, size, sha256: hash.finish() })
}

/// The permission bits that matter: whether it can be executed, and who may read it. Who may write it here is not carried to the host.
#[cfg(unix)]
fn mode(metadata: &fs::Metadata) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    let bits = metadata.permissions().mode();
    let read = match bits & 0o044 {
        0 => 0o400,
        0o040 => 0o440,
        _ => 0o444,
    };
    0o200 | read | if bits & 0o111 == 0 { 0 } else { read >> 2 }
}

#[cfg(not(unix))]
fn mode(_: &fs::Metadata) -> u32 {
    0o755
}

/// A link is carried as a link, if it stays inside the tree.
fn link(path: &Path, inside: &str) -> Result<TreeKind, SourceFault> {
    let target = fs::read_link(path).map_err(|source| SourceFault::Read { path: path.to_owned(), source })?;
    let text = name(&target)?;
    let mut depth = Path::new(inside).components().count() - 1;
    for part in target.components() {
        match part {
            Component::Normal(_) => depth += 1,
            Component::CurDir => {}
            Component::ParentDir if depth > 0 => depth -= 1,
            _ => return Err(SourceFault::Escape { path: inside.to_owned(), target: text }),
        }
    }
    Ok(TreeKind::Link { target: text })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn what_is_open_here_is_told_of_any_path() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at("app/inner")).expect("made");
        for file in ["app/compose.yml", "app/inner/data"] {
            fs::write(at(file), "services: { web: { image: x } }\n").expect("written");
            fs::set_permissions(at(file), fs::Permissions::from_mode(0o644)).expect("set");
        }
        let text =
            "version: 1\nhosts: { h: { address: h } }\nservices: { web: { type: docker, host: h, compose: ./app } }\n";
        let file = at("registry.yml");
        let registry = crate::registry::load_text(text, crate::registry::Format::Yaml, &file, None).expect("valid");
        let open = |path: &str| is_open(registry.services.values().next().expect("a service"), path);
        assert!(open("compose.yml") && open("inner/data"));
        // The path comes from a host, which may say anything.
        assert!(!open("") && !open("/") && !open("other"));
        fs::set_permissions(at("app/compose.yml"), fs::Permissions::from_mode(0o600)).expect("set");
        fs::set_permissions(at("app/inner"), fs::Permissions::from_mode(0o700)).expect("set");
        assert!(!open("compose.yml") && !open("inner/data"));
    }

    #[test]
    fn a_virtual_environment_of_this_machine_is_not_sent() {
        let folder = tempfile::tempdir().expect("a folder");
        for path in ["app.py", "in/b.py", "in/__pycache__/b.pyc", "in/.venv/pyvenv.cfg", "in/.venv/bin/python"] {
            fs::create_dir_all(folder.path().join(path).parent().expect("a folder")).expect("made");
            fs::write(folder.path().join(path), "x").expect("written");
        }
        let sent: Vec<_> = project(folder.path()).expect("a tree").into_iter().map(|entry| entry.path).collect();
        assert_eq!(sent, ["app.py", "in", "in/b.py"]);
    }

    #[cfg(unix)]
    #[test]
    fn what_is_closed_here_stays_so() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at("in/deep")).expect("made");
        let files =
            [("a", 0o600), ("b", 0o640), ("c", 0o664), ("d", 0o700), ("e", 0o750), ("f", 0o775), ("in/deep/g", 0o644)];
        for (name, mode) in files {
            fs::write(at(name), "x").expect("written");
            fs::set_permissions(at(name), fs::Permissions::from_mode(mode)).expect("set");
        }
        fs::set_permissions(at("in"), fs::Permissions::from_mode(0o750)).expect("set");
        let modes = |tree: SourceTree| -> Vec<u32> {
            let mode = |entry: TreeEntry| match entry.kind {
                TreeKind::File { mode, .. } => Some(mode),
                _ => None,
            };
            tree.into_iter().filter_map(mode).collect()
        };
        let read = modes(tree(folder.path()).expect("read"));
        assert_eq!(read, [0o600, 0o640, 0o644, 0o700, 0o750, 0o755, 0o600]);
        let git = modes(committed(folder.path(), false).expect("read"));
        assert_eq!(git, [0o644, 0o644, 0o644, 0o755, 0o755, 0o755, 0o644]);
    }

    #[cfg(unix)]
    #[test]
    fn ignored_files_stay_and_links_may_not_leave() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at("bin")).expect("made");
        fs::write(at("bin/run"), "x").expect("written");
        fs::write(at(".gitignore"), "*.log\n").expect("written");
        fs::write(at("a.log"), "x").expect("written");
        std::os::unix::fs::symlink("bin/run", at("run")).expect("linked");
        let paths: Vec<_> = tree(folder.path()).expect("read").into_iter().map(|entry| entry.path).collect();
        assert_eq!(paths, [".gitignore", "bin", "bin/run", "run"]);
        std::os::unix::fs::symlink("../../etc/passwd", at("bin/out")).expect("linked");
        assert!(matches!(tree(folder.path()), Err(SourceFault::Escape { .. })));
    }
}
