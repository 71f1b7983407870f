//! Times, sizes and the like: typed, with one clear rule each. A number without its unit is refused.

use std::time::Duration;

/// Why a text is not a time or a size. The message states the rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {kind}: {rule}")]
pub struct BadUnit {
    text: String,
    kind: &'static str,
    rule: &'static str,
}

/// The rule of times.
pub(super) const TIME: &str =
    "write whole numbers with the units d, h, m, s, ms, largest first, such as 30s, 500ms or 1h30m, at most 366d";
/// The rule of sizes.
pub(super) const SIZE: &str = "write a number and one of B, kB, MB, GB, TB (powers of 1000) or KiB, MiB, GiB, TiB (powers of 1024), such as 512MiB or 1.5GiB";

const TIMES: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];
const LONGEST: u64 = 366 * 86_400_000;

const SIZES: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1000),
    ("B", 1),
];

/// Reads a time such as `30s`, `500ms` or `1h30m`.
///
/// # Errors
/// When the text is anything else; the error states the rule.
pub fn parse_duration(text: &str) -> Result<Duration, BadUnit> {
    let bad = || BadUnit { text: super::fault::shown(text), kind: "a time", rule: TIME };
    let mut rest = text;
    let mut units = TIMES.iter();
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(bad)?;
        let (number, tail) = rest.split_at(digits);
        let letters = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(letters);
        // The iterator moves on, so a unit that is repeated or out of order is not found.
        let (_, millis) = units.find(|(name, _)| *name == unit).ok_or_else(bad)?;
        let number: u64 = number.parse().map_err(|_| bad())?;
        total = number.checked_mul(*millis).and_then(|part| total.checked_add(part)).ok_or_else(bad)?;
        rest = tail;
    }
    if text.is_empty() || total > LONGEST {
        return Err(bad());
    }
    Ok(Duration::from_millis(total))
}

/// Writes a time as `parse_duration` reads it. What is finer than a millisecond is dropped.
#[must_use]
pub fn write_duration(time: Duration) -> String {
    let mut rest = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    if rest == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    for (unit, millis) in TIMES {
        if rest >= millis {
            text.push_str(&format!("{}{unit}", rest / millis));
            rest %= millis;
        }
    }
    text
}

/// Reads a size in bytes such as `512MiB`, `10GB` or `1.5GiB`.
///
/// # Errors
/// When the text is anything else or not a whole number of bytes; the error states the rule.
pub fn parse_size(text: &str) -> Result<u64, BadUnit> {
    let bad = || BadUnit { text: super::fault::shown(text), kind: "a size", rule: SIZE };
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(bad)?;
    let (number, unit) = text.split_at(digits);
    let (_, bytes) = SIZES.iter().find(|(name, _)| *name == unit).ok_or_else(bad)?;
    let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
    if whole.is_empty() || part.is_empty() || part.len() > 9 || part.contains('.') {
        return Err(bad());
    }
    let whole: u64 = whole.parse().map_err(|_| bad())?;
    let numerator: u64 = part.parse().map_err(|_| bad())?;
    let denominator = 10_u128.pow(u32::try_from(part.len()).unwrap_or(9));
    let parts = u128::from(numerator) * u128::from(*bytes);
    if parts % denominator != 0 {
        return Err(bad());
    }
    let total = u128::from(whole) * u128::from(*bytes) + parts / denominator;
    u64::try_from(total).ok().filter(|size| *size <= 1 << 60).ok_or_else(bad)
}

/// Writes a size as `parse_size` reads it: in the largest unit that leaves a whole number.
#[must_use]
pub fn write_size(size: u64) -> String {
    let exact = SIZES.iter().filter(|(_, bytes)| size != 0 && size.is_multiple_of(*bytes));
    match exact.max_by_key(|(_, bytes)| *bytes) {
        Some((unit, bytes)) => format!("{}{unit}", size / bytes),
        None => format!("{size}B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn times_have_one_rule() {
        assert_eq!(parse_duration("1h30m"), Ok(Duration::from_secs(5400)));
        assert_eq!(parse_duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_duration("0s"), Ok(Duration::ZERO));
        for bad in
            ["", "30", "s", "1m1h", "1s1s", "1.5s", "-1s", " 1s", "1 s", "1S", "367d", "99999999999999999999s", "1µs"]
        {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn sizes_have_one_rule() {
        assert_eq!(parse_size("512MiB"), Ok(512 << 20));
        assert_eq!(parse_size("1.5GiB"), Ok(3 << 29));
        assert_eq!(parse_size("1.5kB"), Ok(1500));
        for bad in ["", "512", "512M", "512mb", "1.5B", ".5GiB", "1.GiB", "1.2.3GiB", "-1B", "9999999TiB", "1 GiB"] {
            assert!(parse_size(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn every_time_is_read_back(millis in 0..=LONGEST) {
            let time = Duration::from_millis(millis);
            prop_assert_eq!(parse_duration(&write_duration(time)), Ok(time));
        }

        #[test]
        fn every_size_is_read_back(size in 0_u64..=1 << 60) {
            prop_assert_eq!(parse_size(&write_size(size)), Ok(size));
        }

        #[test]
        fn any_text_is_read_or_refused(text in ".{0,20}") {
            let _ = (parse_duration(&text), parse_size(&text));
        }
    }
}
