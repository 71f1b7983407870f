//! A fault: where it is, what is wrong, why, and what to do next. Faults are gathered and told all at once.

use std::fmt;
use std::path::PathBuf;

/// A place in a text. Lines and columns count from 1; columns are characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    pub line: u32,
    pub column: u32,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// One thing that is wrong with a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where it is; nothing when the file as a whole is meant.
    pub place: Option<Place>,
    /// The way to it from the top, such as `services.web.port`; empty for the file as a whole.
    pub path: String,
    /// What is wrong.
    pub what: String,
    /// The rule or the other place that makes it wrong.
    pub why: Option<String>,
    /// The next move.
    pub hint: Option<String>,
}

impl Fault {
    pub(crate) fn new(place: Option<Place>, path: impl Into<String>, what: impl Into<String>) -> Self {
        Self { place, path: path.into(), what: what.into(), why: None, hint: None }
    }

    pub(crate) fn why(&mut self, why: impl Into<String>) -> &mut Self {
        self.why = Some(why.into());
        self
    }

    pub(crate) fn hint(&mut self, hint: impl Into<String>) -> &mut Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds a hint if one of `valid` is close enough to `text` to be what was meant.
    pub(crate) fn nearest<'a>(&mut self, text: &str, valid: impl IntoIterator<Item = &'a str>) -> &mut Self {
        if let Some(near) = nearest(text, valid) {
            self.hint = Some(format!("did you mean `{near}`?"));
        }
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.what)?;
        if let Some(why) = &self.why {
            write!(f, ": {why}")?;
        }
        if let Some(hint) = &self.hint {
            write!(f, " (hint: {hint})")?;
        }
        Ok(())
    }
}

/// All that is wrong with a registry, in the order of the file; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faults {
    /// The file, as the caller named it.
    pub file: PathBuf,
    pub list: Vec<Fault>,
}

impl Faults {
    /// Sorts by place and tells each fault once.
    pub(crate) fn new(file: PathBuf, mut list: Vec<Fault>) -> Self {
        list.sort_by(|a, b| (a.place, &a.path, &a.what).cmp(&(b.place, &b.path, &b.what)));
        list.dedup_by(|a, b| a.place == b.place && a.what == b.what);
        Self { file, list }
    }

    /// The faults as data: a list of objects with `file`, `line`, `column`, `path`, `what`, `why` and `hint`.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        let one = |fault: &Fault| {
            serde_json::json!({
                "file": self.file.display().to_string(),
                "line": fault.place.map(|place| place.line),
                "column": fault.place.map(|place| place.column),
                "path": fault.path,
                "what": fault.what,
                "why": fault.why,
                "hint": fault.hint,
            })
        };
        self.list.iter().map(one).collect()
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, fault) in self.list.iter().enumerate() {
            if number > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{}:", self.file.display())?;
            if let Some(place) = fault.place {
                write!(f, "{place}:")?;
            }
            write!(f, " {fault}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}

/// The valid word that is nearest to `text`: at most a third of its letters differ.
#[must_use]
pub fn nearest<'a>(text: &str, valid: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if text.len() > 100 {
        return None;
    }
    let far = (text.chars().count() / 3).max(1);
    valid
        .into_iter()
        .map(|word| (strsim::damerau_levenshtein(text, word), word))
        .filter(|(distance, word)| *distance <= far && *distance < word.chars().count())
        .min()
        .map(|(_, word)| word)
}

/// A text from outside as it may stand in a message: one line, no control characters, not too long.
pub(crate) fn shown(text: &str) -> String {
    const MOST: usize = 80;
    let mut head = String::new();
    for (number, c) in text.chars().enumerate() {
        if number == MOST {
            head.push('…');
            break;
        }
        if c.is_control() { head.extend(c.escape_default()) } else { head.push(c) }
    }
    head
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_near() {
        assert_eq!(nearest("prot", ["port", "ports", "run"]), Some("port"));
        assert_eq!(nearest("web3", ["web1", "web2", "db"]), Some("web1"));
        assert_eq!(nearest("xyz", ["port", "run"]), None);
        assert_eq!(nearest("x", ["y"]), None);
    }

    #[test]
    fn what_is_shown_has_no_control_characters() {
        assert_eq!(shown("a\u{1b}[31m\n"), "a\\u{1b}[31m\\n");
        assert_eq!(shown(&"x".repeat(65_536)).chars().count(), 81);
    }
}
