//! Changes to the registry's file. Comments, order and formatting stay. A change is written only when the new text means
//! exactly what was asked for and is valid in every environment, and it is written whole or not at all.

mod append;
mod apply;
mod first;
mod lock;
mod snippet;
mod write;

pub use first::{FIRST, FirstHost, begin, create};
pub(crate) use snippet::flow;

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use super::fault::Faults;
use super::load::{check_text, format};
use super::tree::{Format, parse};
use crate::model::{HostName, ServiceName};

/// One change.
#[derive(Clone, Debug, PartialEq)]
pub enum Edit {
    /// Adds a host, given in the registry's keys.
    AddHost { name: HostName, host: Value },
    /// Adds a service, given in the registry's keys.
    AddService { name: ServiceName, service: Value },
    /// Adds hosts and services, given in the registry's keys; all of them or none.
    Add { hosts: Vec<(HostName, Value)>, services: Vec<(ServiceName, Value)> },
    /// Lets a service run on these hosts instead; there is at least one.
    MoveService { name: ServiceName, hosts: Vec<HostName> },
    /// Takes a service out. Hosts are not touched.
    RemoveService { name: ServiceName },
}

/// Why a change was not made; the file is as it was.
#[derive(Debug, thiserror::Error)]
pub enum EditError {
    #[error("{path} is {kind}, and is only read: comments, order and formatting can be kept in YAML alone", path = file.display())]
    NotYaml { file: PathBuf, kind: &'static str },
    #[error("{what} `{name}` is there already")]
    There { what: &'static str, name: String },
    #[error("no {what} named `{name}`")]
    NotThere { what: &'static str, name: String, near: Option<String> },
    #[error("the registry is not valid as it is")]
    Before(#[source] Faults),
    #[error("the registry would not be valid")]
    After(#[source] Faults),
    /// The new text does not mean what was asked for; it uses aliases, for example, where the change would have to be made.
    #[error("the change cannot be made without touching other parts of {path}", path = file.display())]
    Tangled { file: PathBuf },
    #[error("another portoser has been changing {path} for {seconds} s", path = file.display(), seconds = waited.as_secs())]
    Locked { file: PathBuf, waited: Duration },
    #[error("{doing} {path}", path = file.display())]
    Io {
        doing: &'static str,
        file: PathBuf,
        #[source]
        source: std::io::Error,
    },
}

/// How long a change waits for another portoser's.
const WAIT: Duration = Duration::from_secs(30);

/// Makes a change to the registry in a file.
///
/// # Errors
/// When the change cannot be made, or would leave a registry that is not valid. The file is as it was then.
pub fn edit(path: &Path, edit: &Edit) -> Result<(), EditError> {
    is_yaml(path)?;
    // The file itself is replaced, not a link to it.
    let file = path.canonicalize().map_err(io("reading", path))?;
    let _lock = lock::lock(&file, WAIT)?;
    let text = std::fs::read_to_string(&file).map_err(io("reading", path))?;
    let new = edited(&text, path, edit)?;
    write::replace(&file, new.as_bytes()).map_err(io("writing", path))
}

/// Refuses what portoser reads and does not write.
fn is_yaml(path: &Path) -> Result<(), EditError> {
    let kind = match format(path) {
        Format::Toml => "TOML",
        _ if path.extension().is_some_and(|kind| kind == "json") => "JSON",
        _ => return Ok(()),
    };
    Err(EditError::NotYaml { file: path.to_owned(), kind })
}

/// Changes a file that is none of a registry, one portoser at a time; whoever reads it sees the old text or the new one. Nothing
/// is written when the change gives nothing back. Whether it was written comes back.
///
/// # Errors
/// When the file cannot be read, locked or written.
pub fn rewrite(file: &Path, change: impl FnOnce(&str) -> Option<String>) -> Result<bool, EditError> {
    let _lock = lock::lock(file, WAIT)?;
    let text = std::fs::read_to_string(file).map_err(io("reading", file))?;
    let Some(new) = change(&text).filter(|new| *new != text) else { return Ok(false) };
    write::replace(file, new.as_bytes()).map_err(io("writing", file))?;
    Ok(true)
}

/// Removes such a file. Who waits to change it finds it gone.
///
/// # Errors
/// When it cannot be locked or removed.
pub fn remove(file: &Path) -> Result<(), EditError> {
    let _lock = lock::lock(file, WAIT)?;
    std::fs::remove_file(file).map_err(io("removing", file))
}

/// Writes a new file, whole or not at all, and makes its folder; false when there is one already.
///
/// # Errors
/// When it cannot be written.
pub fn write_new(file: &Path, text: &str) -> Result<bool, EditError> {
    let folder = file.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).map_err(io("making", folder))?;
    match write::create(file, text.as_bytes()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(io("writing", file)(error)),
    }
}

/// The new text, which means what was asked for and is valid.
pub(super) fn edited(text: &str, path: &Path, edit: &Edit) -> Result<String, EditError> {
    check_text(text, path).map_err(EditError::Before)?;
    let tangled = || EditError::Tangled { file: path.to_owned() };
    let plain = |text: &str| parse(text, Format::Yaml, &mut Vec::new()).map(|node| node.plain());
    let mut wanted = plain(text).ok_or_else(tangled)?;
    apply::to_value(&mut wanted, edit)?;
    let means = |new: &String| plain(new).as_ref() == Some(&wanted);
    let new = at_the_end(text, edit).filter(means).or_else(|| apply::to_text(text, edit).filter(means));
    let new = new.ok_or_else(tangled)?;
    check_text(&new, path).map_err(EditError::After)?;
    Ok(new)
}

/// The new text when entries are added at the ends; nothing when it is written in a way that does not allow it.
fn at_the_end(text: &str, edit: &Edit) -> Option<String> {
    let Edit::Add { hosts, services } = edit else { return None };
    let hosts: Vec<_> = hosts.iter().map(|(name, host)| (name.as_str(), snippet::mapping(host))).collect();
    let services: Vec<_> = services.iter().map(|(name, value)| (name.as_str(), snippet::mapping(value))).collect();
    append::append(&append::append(text, "hosts", &hosts)?, "services", &services)
}

/// The hosts and services that a change adds, as they will stand in the file.
#[must_use]
pub fn entries(edit: &Edit) -> String {
    let (hosts, services) = match edit {
        Edit::Add { hosts, services } => (
            hosts.iter().map(|(name, host)| (name.as_str(), host)).collect(),
            services.iter().map(|(name, service)| (name.as_str(), service)).collect(),
        ),
        Edit::AddHost { name, host } => (vec![(name.as_str(), host)], Vec::new()),
        Edit::AddService { name, service } => (Vec::new(), vec![(name.as_str(), service)]),
        Edit::MoveService { .. } | Edit::RemoveService { .. } => (Vec::new(), Vec::new()),
    };
    let mut text = String::new();
    for (key, entries) in [("hosts", hosts), ("services", services)] {
        if !entries.is_empty() {
            text.push_str(&format!("{key}:\n"));
        }
        for (name, value) in entries {
            let keys = snippet::mapping(value);
            let keys: String = keys.lines().map(|line| format!("    {line}\n")).collect();
            text.push_str(&format!("  {}:\n{keys}", snippet::word(name)));
        }
    }
    text
}

fn io<'a>(doing: &'static str, file: &'a Path) -> impl FnOnce(std::io::Error) -> EditError + 'a {
    move |source| EditError::Io { doing, file: file.to_owned(), source }
}

#[cfg(test)]
mod tests;
