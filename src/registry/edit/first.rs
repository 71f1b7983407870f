//! The first registry of a user: small, valid, with comments that say how to go on.

use std::path::Path;

use serde_json::{Map, Value};

use super::{Edit, EditError, check_text, edited, io, is_yaml, snippet, write};
use crate::model::HostName;

/// The host of a first registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FirstHost {
    pub name: HostName,
    /// Where it is; this very machine when nothing is given.
    pub address: Option<String>,
    pub user: Option<String>,
    pub sudo: bool,
}

impl FirstHost {
    /// This very machine.
    #[must_use]
    pub fn here(name: HostName) -> Self {
        Self { name, address: None, user: None, sudo: false }
    }
}

/// A registry with nothing in it.
pub const FIRST: &str = "\
# Hosts, and the services that portoser runs on them.
# `portoser schema` describes every key; `portoser validate` checks this file.
version: 1
";

/// Writes a first registry with what a change adds.
///
/// # Errors
/// When the file is there already, cannot be written, or what is added is not valid.
pub fn begin(file: &Path, edit: &Edit) -> Result<(), EditError> {
    is_yaml(file)?;
    let text = edited(FIRST, file, edit)?;
    write::create(file, text.as_bytes()).map_err(io("writing", file))
}

/// Writes a first registry with one host.
///
/// # Errors
/// When the file is there already, cannot be written, or the host's values are not valid.
pub fn create(file: &Path, host: &FirstHost) -> Result<(), EditError> {
    is_yaml(file)?;
    let mut keys = Map::new();
    match &host.address {
        Some(address) => keys.insert("address".to_owned(), address.clone().into()),
        None => keys.insert("connection".to_owned(), "local".into()),
    };
    keys.extend(host.user.clone().map(|user| ("user".to_owned(), user.into())));
    keys.extend(host.sudo.then(|| ("become".to_owned(), "sudo".into())));
    let text = format!("{FIRST}\nhosts:\n  {}: {}\n", host.name, snippet::flow(&Value::Object(keys)));
    check_text(&text, file).map_err(EditError::After)?;
    write::create(file, text.as_bytes()).map_err(io("writing", file))
}
