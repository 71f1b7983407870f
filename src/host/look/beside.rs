//! A look that asks for more than the usual in the same exec: what the look sees, who listens, and the further answers by key.

use std::collections::BTreeMap;

use crate::host::Seen;
use crate::host::look::discover::{Listener, read_listeners};
use crate::host::look::read::{LookError, framed, seen};

/// What such a look found.
#[derive(Clone, Debug, Default)]
pub struct Beside {
    pub seen: Seen,
    /// Who listens on TCP ports; none where the host does not tell.
    pub listeners: Option<BTreeMap<u16, Listener>>,
    /// The answers to what was asked besides, by their keys.
    pub parts: BTreeMap<String, String>,
}

/// Reads the answer to `script_beside`.
///
/// # Errors
/// When the answer is not ours, or is cut: the host was then not seen.
pub fn read_beside(answer: &[u8]) -> Result<Beside, LookError> {
    let parts = framed(answer)?;
    let get = |key: &str| parts.iter().find(|part| part.0 == key).map(|part| part.1.as_str());
    Ok(Beside {
        seen: seen(&parts)?,
        listeners: read_listeners(get),
        parts: parts.into_iter().filter(|(key, _)| key.contains('/')).collect(),
    })
}
