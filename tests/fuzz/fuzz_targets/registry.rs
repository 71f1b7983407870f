//! Any text is read as a registry or refused with at least one fault, in YAML and in TOML, with and without an environment.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use portoser::registry::{Format, load_text};

fuzz_target!(|text: &str| {
    for format in [Format::Yaml, Format::Toml] {
        for env in [None, Some("prod")] {
            if let Err(faults) = load_text(text, format, Path::new("/nowhere/registry.yml"), env) {
                assert!(!faults.list.is_empty());
                assert!(!faults.to_string().is_empty());
            }
        }
    }
});
