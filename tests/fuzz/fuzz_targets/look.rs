//! Any answer to a look is read, or the host counts as not seen; an answer that is cut is never read. What a login shell
//! prints before it changes nothing. An input is an answer whose parts, `@KEY` and lines, are measured here.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portoser::host::look::{self, LookError};

/// Every answer begins so; without it a fuzzer would seldom come further.
const MARK: &[u8] = b"\n@portoser-look 1\n\n";

/// The parts, each with its length, as a host frames them: the lengths of an input would seldom be right.
fn framed(text: &str) -> Vec<u8> {
    let mut answer = MARK.to_vec();
    let parts = text.strip_prefix('@').unwrap_or(text).split("\n@").filter_map(|part| part.split_once('\n'));
    for (key, value) in parts.filter(|(key, _)| *key != "end") {
        answer.extend(format!("@{key} {}\n{value}\n", value.len()).into_bytes());
    }
    answer.extend(b"@end 0\n\n");
    answer
}

fn read(answer: &[u8]) {
    let (seen, records) = (look::read(answer), look::read_records(answer));
    let greeted = [b"Welcome to web1\n".as_slice(), answer].concat();
    assert_eq!(format!("{seen:?}"), format!("{:?}", look::read(&greeted)));
    assert_eq!(records, look::read_records(&greeted));
    if let Ok(seen) = seen {
        assert!(seen.facts.base.is_empty() || seen.facts.base.starts_with('/'), "{:?}", seen.facts.base);
        assert!(records.is_ok_and(|records| records.base == seen.facts.base));
    }
}

fuzz_target!(|bytes: &[u8]| {
    read(&[MARK, bytes].concat());
    if !bytes.windows(MARK.len()).any(|window| window == MARK) {
        assert!(matches!(look::read(bytes), Err(LookError::NotOurs(_))));
    }
    let text = String::from_utf8_lossy(bytes);
    let _ = (look::units(&text), look::process(&text), look::job(&text));
    let whole = framed(&text);
    read(&whole);
    // Anywhere: it depends on the input, so that all places come in turn.
    let cut = bytes.iter().map(|&byte| usize::from(byte)).sum::<usize>() % (whole.len() - 1);
    assert!(look::read(&whole[..cut]).is_err() && look::read_records(&whole[..cut]).is_err(), "read, cut at {cut}");
});
