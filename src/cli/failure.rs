//! How a verb ends, and how a failure reads: what was being done, the chain of causes, the next move.

use serde_json::{Value, json};

use crate::cli::face::{Face, say};
use crate::cli::safe;
use crate::model::FailureKind;
use crate::registry::Mask;

/// The exit code of a verb that said all there is to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exit(pub u8);

impl Exit {
    /// Done, or nothing to do.
    pub const DONE: Self = Self(0);
}

/// Why a verb ended without doing its work.
#[derive(Debug)]
pub struct Failure(Box<Parts>);

#[derive(Debug)]
struct Parts {
    kind: FailureKind,
    /// What was being done, then why it failed, outermost first; never empty.
    chain: Vec<String>,
    hints: Vec<String>,
    /// Lines that stand before the error, such as the faults of a registry.
    lines: Vec<String>,
    details: Option<Value>,
    /// What the run came to that it ended, for `--json`.
    run: Option<Value>,
}

impl Failure {
    fn of(kind: FailureKind, chain: Vec<String>) -> Self {
        Self(Box::new(Parts { kind, chain, hints: Vec::new(), lines: Vec::new(), details: None, run: None }))
    }

    /// What kind of failure it is; gives the exit code.
    #[must_use]
    pub fn kind(&self) -> FailureKind {
        self.0.kind
    }

    /// A failure that is an error with its sources.
    #[must_use]
    pub fn new(kind: FailureKind, error: &dyn std::error::Error) -> Self {
        let mut chain = vec![error.to_string()];
        let mut source = error.source();
        while let Some(error) = source {
            chain.push(error.to_string());
            source = error.source();
        }
        Self::of(kind, chain)
    }

    /// The same without what must not be shown.
    #[must_use]
    pub fn masked(mut self, mask: &Mask) -> Self {
        let Parts { chain, hints, lines, details, .. } = &mut *self.0;
        chain.iter_mut().chain(hints).chain(lines).for_each(|text| *text = mask.text(text));
        details.iter_mut().for_each(|details| mask.json(details));
        self
    }

    /// A failure in words: lower case, what was being done.
    #[must_use]
    pub fn say(kind: FailureKind, text: impl Into<String>) -> Self {
        Self::of(kind, vec![text.into()])
    }

    /// Puts what was being done before the rest.
    #[must_use]
    pub fn doing(mut self, text: impl Into<String>) -> Self {
        self.0.chain.insert(0, text.into());
        self
    }

    /// Adds a next move.
    #[must_use]
    pub fn hint(mut self, text: impl Into<String>) -> Self {
        self.0.hints.push(text.into());
        self
    }

    /// Adds next moves.
    #[must_use]
    pub fn hints(mut self, texts: impl IntoIterator<Item = String>) -> Self {
        self.0.hints.extend(texts);
        self
    }

    /// Sets the lines that stand before the error. They may hold line breaks.
    #[must_use]
    pub fn lines(mut self, lines: Vec<String>) -> Self {
        self.0.lines = lines;
        self
    }

    /// Sets what a program wants to know beyond the words, for `--json`.
    #[must_use]
    pub fn details(mut self, details: Value) -> Self {
        self.0.details = Some(details);
        self
    }

    /// Makes it a part of the document of the run that it ended: a verb prints one document.
    #[must_use]
    pub fn of_run(mut self, document: Option<Value>) -> Self {
        self.0.run = document;
        self
    }

    /// The words of the error: `what was being done: cause: cause`.
    #[must_use]
    pub fn text(&self) -> String {
        self.0.chain.join(": ")
    }

    /// The next moves.
    #[must_use]
    pub fn next_moves(&self) -> &[String] {
        &self.0.hints
    }

    /// The document that `--json` prints.
    #[must_use]
    pub fn document(&self) -> Value {
        let mut error = json!({
            "kind": self.0.kind,
            "code": self.0.kind.code(),
            "message": self.0.chain.first(),
            "causes": self.0.chain.get(1..),
            "hints": self.0.hints,
        });
        if let Some(details) = &self.0.details {
            error["details"] = details.clone();
        }
        let mut document = self.0.run.clone().unwrap_or_else(|| json!({}));
        document["error"] = error;
        document
    }

    /// Prints it: words on standard error, and with `--json` or `--events` the document on standard output.
    pub(super) fn print(&self, face: &Face) {
        for text in &self.0.lines {
            for line in text.split('\n') {
                say(&safe(line));
            }
        }
        let (on, off) = if face.color() { ("\x1b[1;31m", "\x1b[0m") } else { ("", "") };
        say(&format!("{on}error{off}: {}", safe(&self.text())));
        let (on, off) = if face.color() { ("\x1b[1;36m", "\x1b[0m") } else { ("", "") };
        for hint in &self.0.hints {
            say(&format!("{on}hint{off}: {}", safe(hint)));
        }
        if face.flags.json || face.flags.events {
            face.document(&self.document());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("reading `x`")]
    struct Outer(#[source] std::io::Error);

    #[test]
    fn the_chain_is_told_once() {
        let error = Outer(std::io::Error::other("no such thing"));
        let failure = Failure::new(FailureKind::Invalid, &error).doing("loading the registry");
        assert_eq!(failure.text(), "loading the registry: reading `x`: no such thing");
        let document = failure.hint("try again").document();
        assert_eq!(
            document.to_string(),
            r#"{"error":{"kind":"invalid","code":3,"message":"loading the registry","causes":["reading `x`","no such thing"],"hints":["try again"]}}"#
        );
    }
}
