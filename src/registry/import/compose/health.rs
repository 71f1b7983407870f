//! The health check that docker itself runs in a container.

use serde_json::json;

use super::KEEP;
use crate::registry::import::entry::Entry;
use crate::registry::import::item::Item;
use crate::registry::import::notes::Notes;
use crate::registry::import::words::{is_word, literals};
use crate::registry::{parse_duration, write_duration};

pub(super) fn check(check: &Item<'_>, entry: &mut Entry, notes: &mut Notes) {
    if let Some(off) = check.get("disable")
        && off.flag() == Some(true)
    {
        return notes.lost(check, "it switches the image's own check off", KEEP);
    }
    for (key, item) in check.entries().into_iter().filter(|(_, item)| !item.is_null()) {
        match key {
            "test" => match test(&item) {
                Some(words) => entry.put(&item, "healthcheck.test", json!(words), notes),
                None => notes.wrong(&item, "a command"),
            },
            "interval" | "timeout" | "start_period" => time(&item, &format!("healthcheck.{key}"), entry, notes),
            "retries" => match item.number(1..=1000) {
                Some(count) => entry.put(&item, "healthcheck.retries", count, notes),
                None => notes.wrong(&item, "a number of retries"),
            },
            "disable" => notes.needless(&item, "it is the default"),
            _ => notes.lost(&item, "a check has no such key", KEEP),
        }
    }
}

/// `CMD`, then words; `CMD-SHELL`, or a text alone, for a shell.
fn test(item: &Item<'_>) -> Option<Vec<String>> {
    let texts = item.texts()?;
    let words = match (item.is_list(), texts.split_first()?) {
        (true, (&"CMD", [_, ..])) | (true, (&"CMD-SHELL", [_])) => texts,
        (false, (text, [])) => vec!["CMD-SHELL", text],
        _ => return None,
    };
    words.iter().all(|word| is_word(word)).then(|| literals(words))
}

/// A time as compose writes it, such as `1m30s`.
pub(super) fn time(item: &Item<'_>, key: &str, entry: &mut Entry, notes: &mut Notes) {
    match item.text().and_then(|text| parse_duration(text).ok()) {
        Some(time) => entry.put(item, key, write_duration(time), notes),
        None => notes.wrong(item, "a time such as 1m30s"),
    }
}
