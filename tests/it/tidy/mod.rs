//! The house checks itself: what a reviewer would have to remember is a trial here. Each violation is one clear line.

mod code;
mod docs;
mod floors;
mod locks;

use std::path::PathBuf;

use libtest_mimic::{Failed, Trial};

use crate::cases::root;

pub fn trials() -> Vec<Trial> {
    let trial = |name: &str, rule: fn(&[Text]) -> Vec<String>| {
        Trial::test(format!("tidy::{name}"), move || {
            let found = rule(&texts()?);
            if found.is_empty() { Ok(()) } else { Err(Failed::from(format!("\n{}", found.join("\n")))) }
        })
    };
    vec![
        trial("rooms_import_lower_floors_only", floors::lower_only),
        trial("every_room_stands_on_a_floor", floors::every_room),
        trial("files_are_short", code::short_files),
        trial("functions_fit_a_screen", code::short_functions),
        trial("every_module_says_what_it_is_for", code::module_docs),
        trial("every_file_is_a_module", code::every_file_is_a_module),
        trial("no_forbidden_words", code::forbidden_words),
        trial("names_are_nouns_of_the_trade", code::names),
        trial("no_lint_is_silenced_without_a_reason", code::lints),
        trial("every_case_is_used", code::cases),
        trial("the_fuzz_targets_are_locked_as_the_program", locks::fuzz),
        trial("links_of_the_docs_lead_somewhere", docs::links),
        trial("the_tests_that_hold_the_invariants_exist", docs::invariants),
        trial("every_playbook_is_the_root_in_a_fault", docs::faults),
        Trial::test("tidy::docs_know_every_verb_and_exit_code", docs::commands),
    ]
}

/// A text file of the repository.
pub struct Text {
    /// Relative to the root, with `/`.
    pub path: String,
    pub text: String,
}

impl Text {
    pub fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// The lines with their numbers.
    pub fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(index, line)| (index + 1, line))
    }

    /// The lines with their numbers, comments left out.
    pub fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        self.lines().filter(|(_, line)| !line.trim_start().starts_with("//"))
    }
}

/// Every text file that git would track.
pub fn texts() -> Result<Vec<Text>, Failed> {
    let ours = |entry: &ignore::DirEntry| entry.file_name() != ".git";
    let walk = ignore::WalkBuilder::new(root()).hidden(false).require_git(false).filter_entry(ours).build();
    let mut texts = Vec::new();
    for entry in walk {
        let path: PathBuf = entry?.into_path();
        if !path.is_file() {
            continue;
        }
        if let Ok(text) = String::from_utf8(std::fs::read(&path)?) {
            let path = path.strip_prefix(root())?.to_string_lossy().into_owned();
            texts.push(Text { path, text });
        }
    }
    texts.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(texts)
}
