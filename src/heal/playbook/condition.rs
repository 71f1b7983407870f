//! One condition of a playbook against one observation.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::Regex;

use crate::heal::{Observation, Sight};

/// A request, as logs of access tell it.
static REQUEST: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let verb = "(?:GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS|TRACE)";
    Regex::new(&format!(r#"\b{verb}["']?,? +["']?/|(?i:\bmethod)["']?\s*[:=]\s*["']?{verb}\b"#)).ok()
});

/// Whether a line tells what a client asked for, a check of ours among them: that is the client's word, and not the service's.
pub(in crate::heal) fn is_request(line: &str) -> bool {
    REQUEST.as_ref().is_some_and(|request| request.is_match(line))
        || line.contains(concat!("portoser/", env!("CARGO_PKG_VERSION")))
}

/// What must have been observed.
#[derive(Clone, Debug)]
pub(super) struct Condition {
    /// The looks of which one will do.
    pub(super) looks: Vec<String>,
    /// How it must stand; any but unseen when not given.
    pub(super) is: Option<Sight>,
    /// For each value the tests of which one must hold.
    pub(super) values: Vec<(String, Vec<Test>)>,
    pub(super) says: Option<Regex>,
    pub(super) lines: Option<Regex>,
}

/// One test of a value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Test {
    Is(String),
    IsNot(String),
    /// A number, compared as the operator says.
    Compare(&'static str, f64),
}

/// What was captured and measured, by name.
pub(super) type Captured = BTreeMap<String, String>;

impl Test {
    /// Reads a test: `< 3`, `!= text`, or the text itself. The error says what is wrong.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if let Some(rest) = text.strip_prefix("!=") {
            return Ok(Self::IsNot(rest.trim().to_owned()));
        }
        for operator in ["<=", ">=", "<", ">"] {
            if let Some(rest) = text.strip_prefix(operator) {
                let number =
                    rest.trim().parse().map_err(|_| format!("`{}` is not a number to compare with", rest.trim()))?;
                return Ok(Self::Compare(operator, number));
            }
        }
        Ok(Self::Is(text.to_owned()))
    }

    fn holds(&self, value: &str) -> bool {
        match self {
            Self::Is(text) => value == text,
            Self::IsNot(text) => value != text,
            Self::Compare(operator, number) => value.parse::<f64>().is_ok_and(|value| match *operator {
                "<=" => value <= *number,
                ">=" => value >= *number,
                "<" => value < *number,
                _ => value > *number,
            }),
        }
    }
}

impl Condition {
    /// What the observation gives to the sentence, if it is as the condition wants it.
    pub(super) fn meets(&self, seen: &Observation) -> Option<Captured> {
        let stands = self.is.map_or(seen.sight != Sight::Unseen, |is| seen.sight == is);
        if !self.looks.contains(&seen.look) || !stands {
            return None;
        }
        for (name, tests) in &self.values {
            let value = seen.values.get(name)?;
            if !tests.iter().any(|test| test.holds(value)) {
                return None;
            }
        }
        let mut captured: Captured = seen.values.clone();
        if let Some(pattern) = &self.says {
            capture(pattern, &seen.says, &mut captured)?;
        }
        if let Some(pattern) = &self.lines {
            let lines: Vec<&str> = seen.lines.iter().filter(|line| !is_request(line)).map(String::as_str).collect();
            // The newest line that fits tells how it is now.
            match lines.iter().rev().find(|line| pattern.is_match(line)) {
                Some(line) => capture(pattern, line, &mut captured)?,
                None => capture(pattern, &lines.join("\n"), &mut captured)?,
            }
        }
        Some(captured)
    }
}

fn capture(pattern: &Regex, text: &str, into: &mut Captured) -> Option<()> {
    let found = pattern.captures(text)?;
    for name in pattern.capture_names().flatten() {
        if let Some(value) = found.name(name) {
            // Groups of alternatives are called `path`, `path_2`, ...: each is the path.
            let plain = name.rsplit_once('_').filter(|(_, number)| number.bytes().all(|b| b.is_ascii_digit()));
            into.insert(plain.map_or(name, |(plain, _)| plain).to_owned(), value.as_str().chars().take(200).collect());
        }
    }
    Some(())
}
