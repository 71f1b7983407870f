//! Lines: a text made fit for one, and the bytes of a host cut into them.

use crate::host::run::Report;

/// Makes a text fit for one line: control characters and `%` become `%XX`.
pub(super) fn encode(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        if c == '%' || c.is_ascii_control() {
            line.push_str(&format!("%{:02X}", c as u32));
        } else {
            line.push(c);
        }
    }
    line
}

/// The text of an encoded line. A `%` that was not made by `encode` stays as it is.
pub(crate) fn decode(line: &str) -> String {
    let mut text = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((before, after)) = rest.split_once('%') {
        text.push_str(before);
        let code = after.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok()).filter(u8::is_ascii);
        match code {
            Some(code) => {
                text.push(char::from(code));
                rest = &after[2..];
            }
            None => {
                text.push('%');
                rest = after;
            }
        }
    }
    text + rest
}

/// The digits of a ticket, which hold its place in the queue; nothing else of it is used.
pub(super) fn ticket_key(ticket: &str) -> Option<String> {
    let digits = ticket.trim_start_matches('0');
    let fits = (1..=14).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    fits.then(|| digits.to_owned())
}

/// Cuts what a host prints into lines and reads them.
#[derive(Debug, Default)]
pub struct Reader {
    part: Vec<u8>,
}

/// The longest line that is kept; the runner's own are far shorter.
const LONGEST: usize = 64 << 10;

impl Reader {
    /// Takes more bytes, and gives the reports whose lines are complete.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<Report> {
        let mut reports = Vec::new();
        for piece in bytes.split_inclusive(|&b| b == b'\n') {
            let room = LONGEST.saturating_sub(self.part.len());
            self.part.extend(&piece[..piece.len().min(room)]);
            if piece.ends_with(b"\n") {
                let line = String::from_utf8_lossy(&self.part);
                reports.push(Report::parse(line.trim_end_matches(['\n', '\r'])));
                self.part.clear();
            }
        }
        reports
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::run::{Entry, Happened, Order};
    use proptest::prelude::*;

    #[test]
    fn lines_are_read_and_noise_is_noise() {
        assert_eq!(Report::parse("@run - received"), Report::Received);
        assert_eq!(Report::parse("@run - refused no room"), Report::Refused("no room".into()));
        assert_eq!(Report::parse("Welcome to web1"), Report::Noise("Welcome to web1".into()));
        for noise in [
            "@run ",
            "@run - end",
            "@run 1 2.00 end",
            "@run 1 2.00 end well",
            "@run 1 2 end committed",
            "@run x 2.00 stage 1",
        ] {
            assert_eq!(Report::parse(noise), Report::Noise(noise.into()));
        }
        let Report::Told(Entry { line, event, .. }) = Report::parse("@run 7 1800000000.25 failed 2 11 127") else {
            panic!("not read")
        };
        assert_eq!((line, event), (7, Happened::Failed { stage: 2, step: 11, code: 127 }));
        assert_eq!(Order::Keep(2).line(), "keep 2\n");
    }

    proptest! {
        #[test]
        fn an_encoded_text_is_one_line_and_comes_back(text in any::<String>()) {
            let line = encode(&text);
            prop_assert!(!line.contains(|c: char| c.is_ascii_control()));
            prop_assert_eq!(decode(&line), text);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), words in "@run [-0-9]{1,3} ?[0-9.]{0,6} ?[a-z-]{0,11}[ 0-9%a-z]{0,20}\n") {
            let mut reader = Reader::default();
            reader.push(&bytes);
            reader.push(words.as_bytes());
            decode(&String::from_utf8_lossy(&bytes));
        }

        #[test]
        fn it_does_not_matter_where_the_bytes_are_cut(lines in proptest::collection::vec("(@run 1 2.00 )?[ -~]{0,20}", 0..6), cut in 0usize..120) {
            let bytes: Vec<u8> = lines.iter().flat_map(|line| format!("{line}\n").into_bytes()).collect();
            let whole = Reader::default().push(&bytes);
            let cut = cut.min(bytes.len());
            let mut reader = Reader::default();
            let mut parts = reader.push(&bytes[..cut]);
            parts.extend(reader.push(&bytes[cut..]));
            prop_assert_eq!(whole, parts);
        }
    }
}
