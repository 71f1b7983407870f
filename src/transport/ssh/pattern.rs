//! The patterns of ssh_config(5): `*` and `?`, lists, and `!` for a name that must not match.

/// Whether `name` matches one pattern, without regard to ASCII case.
pub(super) fn matches(pattern: &str, name: &str) -> bool {
    matches_exactly(&pattern.to_ascii_lowercase(), &name.to_ascii_lowercase())
}

/// Whether `name` matches one pattern. Only the last star is ever tried again, so a hostile pattern costs the product of
/// the lengths at most.
pub(super) fn matches_exactly(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(&byte) if byte == b'?' || byte == name[n] => {
                p += 1;
                n += 1;
            }
            _ => match star {
                Some((at, taken)) => {
                    star = Some((at, taken + 1));
                    p = at + 1;
                    n = taken + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&byte| byte == b'*')
}

/// Whether `name` matches one of the patterns and none of the negated ones.
pub(super) fn list_matches<'a>(patterns: impl Iterator<Item = &'a str>, name: &str) -> bool {
    let mut found = false;
    for pattern in patterns {
        match pattern.strip_prefix('!') {
            Some(not) if matches(not, name) => return false,
            Some(_) => {}
            None => found |= matches(pattern, name),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_and_question_marks() {
        for (pattern, name, want) in [
            ("*", "", true),
            ("*.example.com", "a.example.com", true),
            ("*.example.com", "example.com", false),
            ("web?", "web1", true),
            ("web?", "web", false),
            ("a*b*c", "aXXbYYc", true),
            ("a*b*c", "aXXbYY", false),
            ("WEB1", "web1", true),
            ("", "", true),
            ("", "a", false),
        ] {
            assert_eq!(matches(pattern, name), want, "{pattern} {name}");
        }
    }

    #[test]
    fn a_negation_wins_wherever_it_stands() {
        assert!(!list_matches(["*", "!db*"].into_iter(), "db1"));
        assert!(!list_matches(["!db*", "*"].into_iter(), "db1"));
        assert!(list_matches(["!db*", "*"].into_iter(), "web"));
        assert!(!list_matches(["!db*"].into_iter(), "web"));
    }
}
