//! When a certificate begins and ends to be good, from its DER text (RFC 5280, 4.1). What cannot be read says nothing.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// The time in which a certificate is good, in seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Term {
    pub from: i64,
    pub to: i64,
}

const INTEGER: u8 = 0x02;
const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// The term of a certificate.
pub(super) fn term(der: &[u8]) -> Option<Term> {
    let (certificate, _) = value(der, SEQUENCE)?;
    let (mut rest, _) = value(certificate, SEQUENCE)?;
    if rest.first() == Some(&VERSION) {
        rest = value(rest, VERSION)?.1;
    }
    // Its number, how it is signed, and by whom.
    for tag in [INTEGER, SEQUENCE, SEQUENCE] {
        rest = value(rest, tag)?.1;
    }
    let (validity, _) = value(rest, SEQUENCE)?;
    let (from, rest) = moment(validity)?;
    Some(Term { from, to: moment(rest)?.0 })
}

/// The content of the first value, which has this tag, and what stands behind it.
fn value(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (head, rest) = bytes.split_first()?;
    let (first, mut rest) = rest.split_first()?;
    let mut length = usize::from(*first);
    if *first & 0x80 != 0 {
        let (digits, behind) = rest.split_at_checked(usize::from(*first & 0x7f))?;
        if digits.is_empty() || digits.len() > 4 {
            return None;
        }
        length = digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit));
        rest = behind;
    }
    if *head == tag { rest.split_at_checked(length) } else { None }
}

/// The moment that stands first, and what stands behind it.
fn moment(bytes: &[u8]) -> Option<(i64, &[u8])> {
    let tag = *bytes.first()?;
    let (text, rest) = value(bytes, tag)?;
    let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    let text = match tag {
        // Years of two digits are those from 1950 on.
        UTC_TIME if text.get(..2)? < "50" => format!("20{text}"),
        UTC_TIME => format!("19{text}"),
        GENERALIZED_TIME => text.to_owned(),
        _ => return None,
    };
    let time = DateTime::strptime("%Y%m%d%H%M%S", text).ok()?;
    Some((time.to_zoned(TimeZone::UTC).ok()?.timestamp().as_second(), rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    fn made(from: i32, to: i32) -> Vec<u8> {
        let mut params = CertificateParams::new(vec!["api.example".to_owned()]).expect("a name");
        (params.not_before, params.not_after) = (date_time_ymd(from, 1, 2), date_time_ymd(to, 1, 2));
        let certificate = params.self_signed(&KeyPair::generate().expect("a key")).expect("signs");
        certificate.der().to_vec()
    }

    #[test]
    fn a_term_is_read_of_either_century_and_form() {
        let second = |year: i32| {
            let time: jiff::Timestamp = format!("{year}-01-02T00:00:00Z").parse().expect("a time");
            time.as_second()
        };
        for (from, to) in [(1975, 2026), (2020, 2049), (2020, 2050), (2049, 2090)] {
            assert_eq!(term(&made(from, to)), Some(Term { from: second(from), to: second(to) }), "{from} {to}");
        }
    }

    #[test]
    fn what_is_cut_has_no_term() {
        let whole = made(2020, 2030);
        (0..whole.len()).for_each(|end| assert_eq!(term(&whole[..end]), None, "cut at {end}"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = term(&bytes);
        }
    }
}
