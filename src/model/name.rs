//! Names, each a type with one gate. A name that exists is safe in a path, a unit name and a log line.

use std::fmt;

/// Why a text is not a name. The message states the whole rule, so that one look is enough to mend it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a {kind}: {rule}")]
pub struct BadName {
    kind: &'static str,
    rule: &'static str,
    text: String,
}

/// The longest text that an error repeats; a hostile name of 64 KiB does not fill the screen.
const SHOWN: usize = 80;

fn shown(text: &str) -> String {
    if text.chars().count() <= SHOWN {
        return text.to_owned();
    }
    let head: String = text.chars().take(SHOWN).collect();
    format!("{head}…")
}

const NAME_RULE: &str = "use a-z, 0-9 and `-`, start with a letter, end with a letter or digit, at most 63 characters";

fn is_name(text: &str) -> bool {
    let bytes = text.as_bytes();
    matches!(bytes.first(), Some(b'a'..=b'z'))
        && matches!(bytes.last(), Some(b'a'..=b'z' | b'0'..=b'9'))
        && bytes.len() <= 63
        && bytes.iter().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'))
}

const RUN_RULE: &str = "a run is written as 20260131-235959-0123abcd";

fn is_run(text: &str) -> bool {
    let shape = "dddddddd-dddddd-xxxxxxxx";
    text.len() == shape.len()
        && text.bytes().zip(shape.bytes()).all(|(b, s)| match s {
            b'd' => b.is_ascii_digit(),
            b'x' => matches!(b, b'0'..=b'9' | b'a'..=b'f'),
            _ => b == s,
        })
}

const RELEASE_RULE: &str = "a release is 16 hexadecimal digits";

fn is_release(text: &str) -> bool {
    text.len() == 16 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $kind:literal, $rule:expr, $gate:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $type(String);

        impl $type {
            /// Whether a text satisfies the rule of the type.
            #[must_use]
            pub fn fits(text: &str) -> bool {
                $gate(text)
            }

            /// The text, which satisfies the rule of the type.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $type {
            type Error = BadName;
            fn try_from(text: String) -> Result<Self, BadName> {
                if $gate(&text) {
                    Ok(Self(text))
                } else {
                    Err(BadName { kind: $kind, rule: $rule, text: shown(&text) })
                }
            }
        }

        impl TryFrom<&str> for $type {
            type Error = BadName;
            fn try_from(text: &str) -> Result<Self, BadName> {
                Self::try_from(text.to_owned())
            }
        }

        impl std::str::FromStr for $type {
            type Err = BadName;
            fn from_str(text: &str) -> Result<Self, BadName> {
                Self::try_from(text)
            }
        }

        impl From<$type> for String {
            fn from(name: $type) -> String {
                name.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

name!(
    /// A service of the registry.
    ServiceName, "service name", NAME_RULE, is_name
);
name!(
    /// A host of the registry. This is our name for it, not its address.
    HostName, "host name", NAME_RULE, is_name
);
name!(
    /// One run of portoser over all its hosts: UTC date, time, and eight random hexadecimal digits. Sorts by time.
    RunId, "run", RUN_RULE, is_run
);
name!(
    /// A release: the first 16 hexadecimal digits of the SHA-256 of the desired state, so that "same" is decidable.
    ReleaseId, "release", RELEASE_RULE, is_release
);

impl RunId {
    /// The id of a run that begins at `now`, told apart from others of that second by `random`.
    #[must_use]
    pub fn new(now: jiff::Timestamp, random: u32) -> Self {
        Self(format!("{}-{random:08x}", now.strftime("%Y%m%d-%H%M%S")))
    }

    /// The id of a run that begins at `now`, by random bits of its own.
    #[must_use]
    pub fn fresh(now: jiff::Timestamp) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "32 random bits are wanted")]
        let random = random() as u32;
        Self::new(now, random)
    }
}

/// 64 random bits, to tell things apart; no secret may rest on them.
pub(crate) fn random() -> u64 {
    use std::hash::{BuildHasher as _, Hasher as _, RandomState};
    // The keys of a `RandomState` are random; the hash of nothing under them is too.
    RandomState::new().build_hasher().finish()
}

impl RunId {
    /// When it began, to the second, by the clock of its controller.
    #[must_use]
    pub fn began(&self) -> Option<jiff::Timestamp> {
        let head = self.0.get(..15)?;
        let time = jiff::civil::DateTime::strptime("%Y%m%d-%H%M%S", head).ok()?;
        Some(time.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp())
    }
}

impl ReleaseId {
    /// The id of the desired state whose SHA-256 is `digest`.
    #[must_use]
    pub fn from_digest(digest: &[u8; 32]) -> Self {
        let head = digest.first_chunk::<8>().map_or(0, |head| u64::from_be_bytes(*head));
        Self(format!("{head:016x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_rule() {
        for good in ["a", "web1", "my-api", &"a".repeat(63)] {
            assert!(ServiceName::try_from(good).is_ok(), "{good}");
        }
        for bad in ["", "1a", "-a", "a-", "A", "a_b", "a.b", "a b", "a\n", "é", "a/../b", &"a".repeat(64)] {
            assert!(ServiceName::try_from(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_run_id_has_the_shape_it_is_checked_for() {
        let run = RunId::new(jiff::Timestamp::from_second(1_800_000_000).expect("in range"), 7);
        assert_eq!(run.as_str(), "20270115-080000-00000007");
        assert_eq!(run.began().map(jiff::Timestamp::as_second), Some(1_800_000_000));
        assert!(RunId::try_from(run.as_str()).is_ok());
        assert!(RunId::try_from("20270115-080000-0000000G").is_err());
    }

    #[test]
    fn an_error_does_not_repeat_a_long_text() {
        let error = ServiceName::try_from("x".repeat(65_536)).expect_err("too long");
        assert!(error.to_string().len() < 300);
    }
}
