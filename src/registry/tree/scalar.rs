//! What an unquoted scalar means by the core schema of YAML 1.2.2 (section 10.3.2), and nothing beyond it: `yes`, `no`,
//! `on`, `1_000`, `0755` in the sense of YAML 1.1 and dates are texts or decimal numbers.

/// What a scalar means. Its text is kept beside it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Scalar {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text,
}

/// Resolves an unquoted scalar.
pub(crate) fn resolve(text: &str) -> Scalar {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Scalar::Null,
        "true" | "True" | "TRUE" => return Scalar::Bool(true),
        "false" | "False" | "FALSE" => return Scalar::Bool(false),
        ".nan" | ".NaN" | ".NAN" => return Scalar::Float(f64::NAN),
        _ => {}
    }
    if !text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.')) {
        return Scalar::Text;
    }
    integer(text).or_else(|| float(text)).unwrap_or(Scalar::Text)
}

fn integer(text: &str) -> Option<Scalar> {
    let based = |digits: &str, base: u32| {
        let valid = !digits.is_empty() && digits.chars().all(|c| c.is_digit(base));
        valid.then(|| i64::from_str_radix(digits, base).map_or(Scalar::Float(f64::INFINITY), Scalar::Int))
    };
    if let Some(digits) = text.strip_prefix("0o") {
        return based(digits, 8);
    }
    if let Some(digits) = text.strip_prefix("0x") {
        return based(digits, 16);
    }
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    text.parse().map(Scalar::Int).ok()
}

fn float(text: &str) -> Option<Scalar> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") {
        let infinity = if text.starts_with('-') { f64::NEG_INFINITY } else { f64::INFINITY };
        return Some(Scalar::Float(infinity));
    }
    let shape = unsigned.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-'));
    if !shape || unsigned.starts_with(['e', 'E', '+', '-']) {
        return None;
    }
    text.parse().map(Scalar::Float).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_core_schema_is_known() {
        for text in
            ["yes", "no", "on", "y", "n", "1_000", "2026-01-01", "0b1", "12:30", "-", "+", ".", "e3", "1e", "--1"]
        {
            assert_eq!(resolve(text), Scalar::Text, "{text}");
        }
        assert_eq!(resolve("0755"), Scalar::Int(755));
        assert_eq!(resolve("0o755"), Scalar::Int(0o755));
        assert_eq!(resolve("0xff"), Scalar::Int(255));
        assert_eq!(resolve("-12"), Scalar::Int(-12));
        assert_eq!(resolve("1.5"), Scalar::Float(1.5));
        assert_eq!(resolve("1e3"), Scalar::Float(1000.0));
        assert_eq!(resolve("~"), Scalar::Null);
        assert!(matches!(resolve("99999999999999999999"), Scalar::Float(_)));
    }
}
