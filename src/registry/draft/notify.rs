//! Who is told of news, as written.

use crate::registry::notify::NewsKind;
use crate::registry::number::{Choice, Named, Time};
use crate::registry::read::{List, Many, draft};
use crate::registry::text::{Line, Word};

draft! {
    /// One who is told when something went bad, was healed, was given up, or was learned: a command or a webhook.
    struct Notify {
        /// A program of this machine and its words; it gets the news as JSON on its standard input.
        command: List<Word>,
        /// A URL that the news are posted to as JSON.
        webhook: Line,
        /// A file with the key by which a webhook's text is signed: `X-Portoser-Signature: sha256=` and its HMAC-SHA256.
        key_file: Line,
        /// What is told: went-bad, healed, gave-up, learned; all, if not given.
        news: Many<Choice<NewsKind>>,
        /// The same is not told again within this time; 1h, if not given.
        cooldown: Time,
        /// How long it may take; 10s, if not given.
        timeout: Time,
    }
}

impl Named for NewsKind {
    const WHAT: &'static str = "a kind of news";
    const NAMES: &'static [(&'static str, Self)] =
        &[("went-bad", Self::WentBad), ("healed", Self::Healed), ("gave-up", Self::GaveUp), ("learned", Self::Learned)];
}
