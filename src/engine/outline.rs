//! A template of ours that does two things with a value: asks whether it is there, and puts it in as it is. Once it is known
//! which values are there, its outline is a list of texts and values, and filling that in costs a copy. A template that does
//! more, such as a user's own, has no outline that would be true.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{Arc, LazyLock, RwLock};

use minijinja::Value;

/// The outlines of one template, by the values that are there.
pub(super) struct Outlines(LazyLock<RwLock<HashMap<u64, Option<Arc<Outline>>>>>);

enum Piece {
    Text(String),
    Value(usize),
}

type Outline = Vec<Piece>;

/// What a template may name, with `.` where a name is one of a group.
pub(super) type Settings<'a> = Vec<(&'static str, Setting<'a>)>;

/// A value as an outline needs it.
#[derive(Debug)]
pub(super) enum Setting<'a> {
    /// It is there if it is not empty.
    Text(Cow<'a, str>),
    /// It is there if it is given and not 0.
    Number(Option<u64>),
    /// The same, with tenths.
    Tenths(Option<u32>),
    /// It is not given.
    Nothing,
    /// It may be asked for; putting it in is an error.
    Undefined,
}

impl From<Setting<'_>> for Value {
    fn from(setting: Setting<'_>) -> Self {
        match setting {
            Setting::Text(text) => text.into(),
            Setting::Number(number) => number.into(),
            Setting::Tenths(number) => number.map(|number| f64::from(number) / 10.0).into(),
            Setting::Nothing => ().into(),
            Setting::Undefined => Self::UNDEFINED,
        }
    }
}

impl Setting<'_> {
    fn there(&self) -> bool {
        match self {
            Self::Text(text) => !text.is_empty(),
            Self::Number(number) => number.is_some_and(|number| number != 0),
            Self::Tenths(number) => number.is_some_and(|number| number != 0),
            Self::Nothing | Self::Undefined => false,
        }
    }

    /// As a template puts it in.
    fn put(&self, to: &mut String) {
        match self {
            Self::Text(text) => to.push_str(text),
            Self::Number(Some(number)) => to.push_str(&number.to_string()),
            Self::Tenths(Some(number)) => {
                let _ = write!(to, "{}.{}", number / 10, number % 10);
            }
            Self::Number(None) | Self::Tenths(None) | Self::Nothing | Self::Undefined => {}
        }
    }
}

impl Outlines {
    pub(super) const fn new() -> Self {
        Self(LazyLock::new(RwLock::default))
    }

    /// The text of the template for these settings, which come in the same order each time. `render` is the template itself;
    /// it is asked once for each choice of settings that are there. Nothing comes back where it puts in one that is not.
    pub(super) fn fill(
        &self,
        settings: &Settings<'_>,
        render: impl FnOnce(Settings<'_>) -> Result<String, minijinja::Error>,
    ) -> Option<String> {
        let there = settings.iter().enumerate().map(|(index, (_, one))| u64::from(one.there()) << index).sum();
        let known = self.0.read().ok()?.get(&there).cloned();
        let outline = match known {
            Some(outline) => outline,
            None => {
                let made = render(markers(settings)).ok().map(|text| Arc::new(outline(&text)));
                self.0.write().ok()?.insert(there, made.clone());
                made
            }
        }?;
        let mut text = String::with_capacity(1024);
        for piece in outline.iter() {
            match piece {
                Piece::Text(piece) => text.push_str(piece),
                Piece::Value(index) => settings.get(*index)?.1.put(&mut text),
            }
        }
        Some(text)
    }
}

/// A marker for each setting that is there.
fn markers(settings: &Settings<'_>) -> Settings<'static> {
    let marker = |index: usize| Setting::Text(format!("\u{1}{index}\u{2}").into());
    let mark = |(index, (name, one)): (usize, &(&'static str, Setting<'_>))| {
        (*name, if one.there() { marker(index) } else { Setting::Undefined })
    };
    settings.iter().enumerate().map(mark).collect()
}

/// Takes a text with markers apart. No template of ours holds the characters that a marker begins and ends with.
fn outline(text: &str) -> Outline {
    let mut pieces = Vec::new();
    for part in text.split('\u{1}') {
        let (marker, rest) = part.split_once('\u{2}').unwrap_or(("", part));
        pieces.extend(marker.parse().ok().map(Piece::Value));
        pieces.push(Piece::Text(rest.to_owned()));
    }
    pieces
}
