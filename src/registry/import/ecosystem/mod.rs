//! Process files of PM2 (PM2 5 and 6, `lib/API/schema.json`) and PMDaemon (0.1.4, `examples/ecosystem.schema.json`).

mod app;
mod command;
mod names;
mod port;

use super::Around;
use super::entry::Entry;
use super::item::Item;
use super::notes::Notes;

/// The processes of the file: below `apps`, or the file itself when it is a list of them or one of them.
pub(super) fn apps<'a>(top: &Item<'a>) -> Option<Vec<Item<'a>>> {
    let apps = match top.get("apps") {
        Some(apps) if apps.is_list() => apps.items(),
        Some(app) if app.is_map() => vec![app],
        Some(_) => return None,
        None if top.is_list() => top.items(),
        None if top.get("script").is_some() => vec![top.clone()],
        None => return None,
    };
    Some(apps)
}

pub(super) fn entries(top: &Item<'_>, around: &Around<'_>, notes: &mut Notes) -> Vec<Entry> {
    if top.get("apps").is_some() {
        for (key, item) in top.entries() {
            match key {
                "deploy" => {
                    let hint = "describe the hosts in `hosts`, and give each service its `source`";
                    notes.lost(&item, "portoser sends files itself, and does not pull them on the host", hint);
                }
                "$schema" => notes.needless(&item, "it is for editors of that file"),
                _ => {}
            }
        }
    }
    let apps = apps(top).unwrap_or_default();
    apps.iter().filter_map(|app| app::entry(app, around, notes)).collect()
}
