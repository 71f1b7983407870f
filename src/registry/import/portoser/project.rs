//! The compose projects of the shell tool, which run on their hosts with their data: they are taken over as they are.

use std::path::Path;

use serde_json::json;

use super::Machine;
use super::unit::Refused;
use crate::registry::compose::compose_files;
use crate::registry::fault::Faults;
use crate::registry::import::Around;
use crate::registry::import::compose::{ADOPT, alone, named, stands_for};
use crate::registry::import::entry::Entry;
use crate::registry::import::item::Item;
use crate::registry::import::notes::Notes;
use crate::registry::text::{Gate, HostFolder, ProjectName};
use crate::registry::tree::{Format, parse};

/// Sets the compose file that lies here and there, and the project that it is on its host.
pub(super) fn composed(
    given: &Item<'_>,
    (here, there): (&Path, &str),
    machine: &Machine,
    around: &Around<'_>,
    entry: &mut Entry,
    notes: &mut Notes,
) -> Result<(), Refused> {
    let text = std::fs::read_to_string(here).map_err(|error| Refused {
        why: format!("`{}` cannot be read: {error}", around.named(here)),
        hint: "mend it, and import again".to_owned(),
    })?;
    // Its tags are compose's own matter.
    let mut faults = Vec::new();
    let Some(node) = parse(&text, Format::Yaml, &mut faults) else {
        let faults = Faults::new(around.named(here).into(), faults);
        return Err(Refused { why: faults.to_string(), hint: "mend it, and import again".to_owned() });
    };
    let top = Item::top(&node);
    let folder = there.rsplit_once('/').map_or("", |(folder, _)| folder);
    let beside = Around { folder: None, there: Some(folder), ..around.clone() };
    let name = named(&top, &beside).filter(|name| ProjectName::good(name));
    if let Some(name) = name.filter(|_| machine.path.is_some() && HostFolder::good(folder)) {
        // What lies beside the file is on the host, and stays there; but compose itself laid an override over it.
        let several = stands_for(here, around).filter(|folder| compose_files(folder).len() > 1);
        entry.put(given, "compose", around.named(several.as_deref().unwrap_or(here)), notes);
        entry.put(given, "project", json!({ "name": name, "folder": folder }), notes);
        return Ok(());
    }
    let sent = stands_for(here, around);
    entry.put(given, "compose", around.named(sent.as_deref().unwrap_or(here)), notes);
    let mut others = Notes::within(around.named(here).as_ref(), &given.path);
    if sent.is_none() {
        alone(&top, &mut others);
    }
    notes.take(others.told());
    notes.lost(given, "what its volumes hold stays in the project that runs, and is not taken along", ADOPT);
    Ok(())
}
