//! Not a target: a fault that must be found. It hides behind a line of a run's journal that the library can read, so that a
//! fuzzer that is not led by what runs in the library does not come to it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portoser::host::run::{Happened, entry};

fuzz_target!(|text: &str| {
    let stale = entry(text).is_some_and(|entry| matches!(entry.event, Happened::Stale { .. }));
    assert!(!stale, "the known fault");
});
