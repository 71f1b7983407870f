//! Hostile values: `tests/cases/hostile/values.json`. In every field of a registry and in all that a host may answer, each
//! is carried exactly or refused with a clear fault; none is run, and no terminal gets a control character of theirs.

use std::collections::BTreeSet;
use std::path::Path;

use libtest_mimic::{Failed, Trial};

use crate::cases;

mod answers;
mod carried;
mod containers;
mod fields;
mod sent;

pub fn trials() -> Vec<Trial> {
    let trial = |name: &str, body: fn() -> Result<(), Failed>| Trial::test(format!("hostile::{name}"), body);
    vec![
        trial("every_field_of_a_registry_carries_or_refuses", fields::texts),
        trial("every_key_of_a_registry_carries_or_refuses", fields::keys),
        trial("a_nul_is_refused_in_every_field", fields::nul),
        trial("64_kib_are_carried_or_refused_in_every_field", fields::long),
        trial("what_is_no_text_is_refused", fields::no_text),
        trial("no_fault_brings_a_control_character_to_the_terminal", fields::told),
        trial("what_hosts_are_sent_carries_or_refuses", carried::hosts),
        trial("what_a_compose_file_says_is_carried_or_refused", containers::files),
        trial("no_answer_to_a_look_passes_for_another", answers::looks),
        trial("no_answer_of_an_engine_passes_for_another", containers::answers),
        trial("no_line_of_a_host_passes_for_another", answers::lines),
        trial("no_history_brings_a_control_character_to_the_terminal", answers::history),
    ]
}

/// The values of the corpus; in each, `@` is now a command that leaves this file behind when anything runs it.
pub fn values(canary: &Path) -> Vec<String> {
    let file = cases::root().join("tests/cases/hostile/values.json");
    let all: Vec<String> = serde_json::from_str(&std::fs::read_to_string(file).expect("the corpus")).expect("JSON");
    let distinct: BTreeSet<&String> = all.iter().collect();
    assert!(distinct.len() == all.len() && all.len() >= 200, "{} values, {} distinct", all.len(), distinct.len());
    all.iter().map(|value| value.replace('@', &format!("touch {}", canary.display()))).collect()
}

/// The corpus, with a canary of this trial's own.
struct Cage {
    folder: tempfile::TempDir,
    values: Vec<String>,
}

impl Cage {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let values = values(&folder.path().join("canary"));
        Self { folder, values }
    }

    /// Ends the trial if anything was run.
    fn intact(&self) {
        assert!(!self.folder.path().join("canary").exists(), "a value was run");
    }
}

/// Ends the trial if a terminal would obey any of this.
#[track_caller]
pub fn harmless(text: &str) {
    let harmful = |c: char| c.is_control() && c != '\n' || ('\u{202a}'..='\u{202e}').contains(&c);
    let found = text.lines().find(|line| line.contains(harmful));
    assert!(found.is_none(), "{found:?}");
}
