//! Text from outside on its way to a terminal.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, Write};

/// Makes text from outside harmless for a terminal and keeps it on one line: control characters (and with them escape
/// sequences and line breaks) and characters that turn the direction of writing are shown as `\n`, `\x1b`, `\u{202e}`.
/// A tab becomes two spaces.
#[must_use]
pub fn safe(text: &str) -> Cow<'_, str> {
    if !text.chars().any(harmful) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '\t' => shown.push_str("  "),
            '\n' => shown.push_str("\\n"),
            '\r' => shown.push_str("\\r"),
            // Writing to a String does not fail.
            c if harmful(c) && c.is_ascii() => _ = write!(shown, "\\x{:02x}", u32::from(c)),
            c if harmful(c) => _ = write!(shown, "\\u{{{:x}}}", u32::from(c)),
            c => shown.push(c),
        }
    }
    Cow::Owned(shown)
}

/// JSON that is harmless for a terminal: what JSON itself leaves as it is (DEL, C1 and the like) is escaped too. Only
/// strings can hold such characters, so the meaning stays the same.
///
/// # Errors
/// When the value cannot be JSON.
pub fn safe_json(value: &impl serde::Serialize, pretty: bool) -> serde_json::Result<String> {
    let mut text = Vec::new();
    write_json(&mut text, value, pretty)?;
    String::from_utf8(text).map_err(|error| serde_json::Error::io(io::Error::other(error)))
}

/// Writes the same as it comes, so that a large document is never whole in memory.
///
/// # Errors
/// When the value cannot be JSON, or cannot be written.
pub fn write_json(to: impl Write, value: &impl serde::Serialize, pretty: bool) -> serde_json::Result<()> {
    if pretty { serde_json::to_writer_pretty(Safe(to), value) } else { serde_json::to_writer(Safe(to), value) }
}

/// Escapes in JSON what a terminal would obey. `serde_json` writes whole characters.
struct Safe<W>(W);

impl<W: Write> Write for Safe<W> {
    fn write(&mut self, part: &[u8]) -> io::Result<usize> {
        let text = str::from_utf8(part).map_err(io::Error::other)?;
        let mut rest = text;
        while let Some((at, c)) = rest.char_indices().find(|(_, c)| harmful(*c) && *c != '\n') {
            // All of them are in the Basic Multilingual Plane, so four digits do (RFC 8259, 7).
            write!(self.0, "{}\\u{:04x}", &rest[..at], u32::from(c))?;
            rest = &rest[at + c.len_utf8()..];
        }
        self.0.write_all(rest.as_bytes())?;
        Ok(part.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// The control characters (C0, DEL, C1), the separators of lines and paragraphs, and Unicode's bidirectional formatting
/// characters (UAX 9, 2.1-2.6).
fn harmful(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{61c}')
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_a_terminal_would_obey_is_shown() {
        assert_eq!(safe("plain `text` ✓ ü"), "plain `text` ✓ ü");
        assert_eq!(safe("a\x1b[2Jb\r\nc\td"), "a\\x1b[2Jb\\r\\nc  d");
        assert_eq!(safe("\u{9b}31m\u{202e}x\u{7f}"), "\\u{9b}31m\\u{202e}x\\x7f");
    }

    proptest! {
        #[test]
        fn nothing_harmful_is_left(text in any::<String>()) {
            let shown = safe(&text).into_owned();
            prop_assert!(!shown.chars().any(harmful));
        }
    }
}
