//! What a run's script prints is read line by line, however the bytes are cut, and amounts to a state; a record that is
//! read is written as one that is read the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portoser::host::Record;
use portoser::host::run::{Entry, Holder, Reader, Report, RunState, entry, peeked};

fuzz_target!(|bytes: &[u8]| {
    let whole = Reader::default().push(bytes);
    let mut reader = Reader::default();
    let cut = bytes.first().map_or(0, |&first| usize::from(first).min(bytes.len()));
    let mut parts = reader.push(&bytes[..cut]);
    parts.extend(reader.push(&bytes[cut..]));
    assert_eq!(whole, parts);
    let mut told: Vec<Entry> = whole
        .into_iter()
        .filter_map(|report| match report {
            Report::Told(entry) => Some(entry),
            _ => None,
        })
        .collect();
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    told.extend(text.lines().filter_map(entry));
    let state = RunState::replay(&told);
    assert_eq!(state.line, told.iter().map(|entry| entry.line).max().unwrap_or(0));
    if let Some(holder) = Holder::parse(text) {
        assert!(!holder.to_string().is_empty());
    }
    let _ = peeked(text);
    if let Ok(record) = Record::parse(text) {
        let line = record.line();
        assert!(!line.contains('\n'));
        assert_eq!(Record::parse(&line), Ok(record));
    }
});
