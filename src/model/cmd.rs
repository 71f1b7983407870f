//! A command is words until the last moment. `quote` is the only way from a text to shell text in this code base.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

/// Quotes one word for a POSIX shell: inside single quotes nothing has a meaning, and a single quote itself is
/// written as `'\''` (POSIX.1-2024, Shell Command Language 2.2.2). NUL cannot be in a word; it is refused at the door
/// (`Cmd::new`, the registry) and dropped here, as no argument vector could carry it.
#[must_use]
pub fn quote(word: &str) -> Cow<'_, str> {
    let plain = |b: u8| {
        b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'/' | b':' | b'=' | b'@' | b'%' | b'+' | b',')
    };
    if !word.is_empty() && word.bytes().all(plain) {
        return Cow::Borrowed(word);
    }
    let mut quoted = String::with_capacity(word.len() + 2);
    quoted.push('\'');
    for c in word.chars() {
        match c {
            '\'' => quoted.push_str("'\\''"),
            '\0' => {}
            c => quoted.push(c),
        }
    }
    quoted.push('\'');
    Cow::Owned(quoted)
}

/// The words of one command, and how long it may take. It is shown exactly as it is run.
#[derive(Clone, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Cmd {
    words: Vec<String>,
    /// How long it may run before it is ended.
    pub within: Duration,
}

impl Cmd {
    /// The time that a command gets when nobody says otherwise.
    pub const USUAL: Duration = Duration::from_secs(60);

    /// A command of one word.
    #[must_use]
    pub fn new(program: impl Into<String>) -> Self {
        Self { words: vec![program.into()], within: Self::USUAL }
    }

    /// A command of these words; none if there is no first word.
    #[must_use]
    pub fn from_words(words: Vec<String>) -> Option<Self> {
        if words.first().is_none_or(String::is_empty) {
            return None;
        }
        Some(Self { words, within: Self::USUAL })
    }

    /// Adds one word.
    #[must_use]
    pub fn arg(mut self, word: impl Into<String>) -> Self {
        self.words.push(word.into());
        self
    }

    /// Adds several words.
    #[must_use]
    pub fn args<W: Into<String>>(mut self, words: impl IntoIterator<Item = W>) -> Self {
        self.words.extend(words.into_iter().map(Into::into));
        self
    }

    /// Sets the time it may take.
    #[must_use]
    pub fn within(mut self, time: Duration) -> Self {
        self.within = time;
        self
    }

    /// The words.
    #[must_use]
    pub fn words(&self) -> &[String] {
        &self.words
    }

    /// The line for a POSIX shell: safe to run, safe to show.
    #[must_use]
    pub fn line(&self) -> String {
        let words: Vec<_> = self.words.iter().map(|word| quote(word)).collect();
        words.join(" ")
    }
}

impl fmt::Debug for Cmd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.line())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn plain_words_stay_as_they_are() {
        assert_eq!(Cmd::new("systemctl").arg("restart").arg("a.service").line(), "systemctl restart a.service");
        assert_eq!(quote(""), "''");
        assert_eq!(quote("it's"), "'it'\\''s'");
        assert_eq!(quote("~"), "'~'");
    }

    proptest! {
        #[test]
        fn a_shell_reads_back_the_very_word(word in "[^\0]{0,40}") {
            let line = quote(&word).into_owned();
            prop_assert_eq!(shlex::split(&line).map(|words| words.join("|")), Some(word));
        }
    }
}
