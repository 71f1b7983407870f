//! What a run looks like on the screen: each case is the events of a run, and the lines that they leave.

use std::path::Path;

use libtest_mimic::{Failed, Trial};
use portoser::model::Event;

use crate::cases;

pub fn trials() -> Vec<Trial> {
    let trial = |file: std::path::PathBuf| Trial::test(format!("render::{}", cases::name(&file)), move || case(&file));
    cases::files("render", "jsonl").into_iter().map(trial).collect()
}

fn case(file: &Path) -> Result<(), Failed> {
    let text = std::fs::read_to_string(file)?;
    let events: Result<Vec<Event>, _> = text.lines().map(serde_json::from_str).collect();
    let events = events?;
    for (event, line) in events.iter().zip(text.lines()) {
        let again: serde_json::Value = serde_json::to_value(event)?;
        assert_eq!(again, serde_json::from_str::<serde_json::Value>(line)?, "an event reads as it was written");
    }
    let lines = |verbose| portoser::cli::replay(&events, verbose).join("\n");
    let document = portoser::cli::safe_json(&portoser::cli::document(&events), true)?;
    let found = format!("{}\n\n===== -v\n{}\n\n===== --json\n{document}\n", lines(0), lines(1));
    let harmful = |c: char| c.is_control() && c != '\n';
    assert!(!found.contains(harmful), "a control character reached the screen");
    cases::expect(&file.with_extension("txt"), &found)
}
