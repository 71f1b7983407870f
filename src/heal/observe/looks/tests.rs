//! What the tests of the looks share: a host that said something, and the judgement of one look about it.

use std::collections::BTreeMap;

use super::{ALL, REACH, table};
use crate::heal::observe::scene::{Heard, Look, Scene};
use crate::heal::{Observation, Sight};
use crate::host::look::Beside;
use crate::host::{Facts, Init, Seen};
use crate::registry::{Format, Registry, load_text};

fn registry() -> Registry {
    let text = "version: 1\nhosts:\n  one: { address: 192.0.2.1 }\n";
    load_text(text, Format::Yaml, std::path::Path::new("/registry.yml"), None).expect("a registry")
}

/// What a look about the host finds in what was said.
pub(super) fn host_look(look: &Look, parts: &[(&str, &str)]) -> Vec<Observation> {
    let registry = registry();
    let host = registry.hosts.values().next().expect("a host");
    let parts: BTreeMap<String, String> = parts.iter().map(|(key, text)| ((*key).into(), (*text).into())).collect();
    let facts = Facts {
        base: "/opt/portoser".into(),
        init: Init::Systemd,
        tools: ["docker".to_owned()].into(),
        ..Facts::default()
    };
    let seen = Seen { facts, ..Seen::default() };
    let found = Beside { seen, listeners: None, parts };
    let heard = Heard { found, verdicts: Vec::new(), ways: Vec::new(), now: 0 };
    (look.judge)(&Scene { registry: &registry, host, services: Vec::new() }, &heard)
}

/// Each observation as `SIGHT WORDS`.
pub(super) fn says(found: &[Observation]) -> Vec<String> {
    let word = |sight| match sight {
        Sight::Good => "good",
        Sight::Bad => "bad",
        Sight::Unseen => "unseen",
    };
    found.iter().map(|one| format!("{} {}", word(one.sight), one.says)).collect()
}

#[test]
fn every_look_has_a_name_of_its_own() {
    let mut names: Vec<&str> = ALL.iter().map(|look| look.name).chain([REACH]).collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
    assert!(count >= 30, "{count}");
    for look in ALL.iter().filter(|look| !look.shell.is_empty()) {
        assert!(look.shell.contains(&format!("look_{}()", look.name)), "{}", look.name);
    }
}

#[test]
fn a_host_that_says_nothing_is_not_called_bad() {
    for look in ALL.iter().filter(|look| !look.shell.is_empty()) {
        let bad = host_look(look, &[]).into_iter().find(|one| one.sight == Sight::Bad);
        assert!(bad.is_none(), "{bad:?}");
    }
}

#[test]
fn a_table_of_df_is_read() {
    let text = "Filesystem 1024-blocks Used Available Capacity Mounted on\n/dev/a b 100 40 60 40% /opt x\nnone 0 0 0 - /proc\n";
    assert_eq!(table(text), [("/opt x", [100, 40, 60]), ("/proc", [0, 0, 0])]);
}
