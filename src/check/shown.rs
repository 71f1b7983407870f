//! Text from outside, made fit for a line on a screen or in a journal: short, and without anything that a terminal obeys.

use std::fmt::Write as _;

use regex::Regex;

/// The most characters of an answer that a verdict repeats.
pub(super) const SHOWN: usize = 200;

/// The beginning of these bytes as one printable line. Control, format and invalid characters are written as escapes.
pub(super) fn shown(bytes: &[u8]) -> String {
    // A character has at most four bytes, so no more of a long answer need be decoded.
    let head = &bytes[..bytes.len().min(SHOWN * 4)];
    let text = String::from_utf8_lossy(head);
    let mut line = String::new();
    let mut taken = 0;
    for c in text.trim().chars().take(SHOWN) {
        taken += c.len_utf8();
        match c {
            '"' | '\'' | '\\' => line.push(c),
            c => {
                // Writing to a string cannot fail.
                let _ = write!(line, "{}", c.escape_debug());
            }
        }
    }
    if taken < text.trim().len() || head.len() < bytes.len() {
        line.push('…');
    }
    line
}

/// The last line that says something, as programs tell their error last.
pub(super) fn last_line(bytes: &[u8]) -> String {
    let line = bytes.rsplit(|&b| b == b'\n').find(|line| !line.trim_ascii().is_empty());
    shown(line.unwrap_or_default())
}

/// The regular expression of a check. One that cannot be read leaves the check unseen, never bad.
pub(super) fn expression(pattern: &str) -> Result<Regex, String> {
    // The error of the library is a drawing over several lines; its last one says what is wrong.
    Regex::new(pattern)
        .map_err(|e| format!("the check's pattern cannot be read: {}", last_line(e.to_string().as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_obeys_is_left() {
        assert_eq!(shown(b"\x1b[2Jgone\x07\r\n"), "\\u{1b}[2Jgone\\u{7}");
        assert_eq!(shown("a\u{202e}b".as_bytes()), "a\\u{202e}b");
        assert_eq!(shown(b"it's \"fine\""), "it's \"fine\"");
        assert_eq!(shown(b"two\nlines"), "two\\nlines");
    }

    #[test]
    fn a_long_answer_is_cut() {
        let line = shown(&vec![b'x'; 1 << 20]);
        assert_eq!(line.chars().count(), SHOWN + 1);
        assert!(line.ends_with('…'));
    }

    #[test]
    fn the_last_line_with_words_is_taken() {
        assert_eq!(last_line(b"Traceback\n  x\nrefused\n\n"), "refused");
        assert_eq!(last_line(b""), "");
    }
}
