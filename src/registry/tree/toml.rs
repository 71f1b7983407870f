//! TOML to the tree. All syntax faults of a text are told at once, which TOML's parser can.

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::{Entry, Node, Scalar, Value};
use crate::registry::fault::{Fault, Place};

pub(crate) fn parse(text: &str, faults: &mut Vec<Fault>) -> Option<Node> {
    let lines = Lines::new(text);
    let (table, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        for error in errors {
            let place = error.span().map(|span| lines.place(span.start));
            faults.push(Fault::new(place, "", format!("not TOML: {}", error.message().trim_end())));
        }
        return None;
    }
    let place = lines.place(table.span().start);
    Some(Node { place, value: map(table.get_ref(), &lines) })
}

fn map(table: &DeTable<'_>, lines: &Lines<'_>) -> Value {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    let entry = |(key, value): (&Spanned<DeString<'_>>, &Spanned<DeValue<'_>>)| Entry {
        key: key.get_ref().to_string(),
        place: lines.place(key.span().start),
        node: node(value, lines),
    };
    Value::Map(entries.into_iter().map(entry).collect())
}

fn node(value: &Spanned<DeValue<'_>>, lines: &Lines<'_>) -> Node {
    let written = || lines.text.get(value.span()).unwrap_or_default().to_owned();
    let value_ = match value.get_ref() {
        DeValue::String(text) => Value::Scalar(Scalar::Text, text.clone().into_owned()),
        DeValue::Integer(number) => {
            let read = i64::from_str_radix(number.as_str(), number.radix());
            Value::Scalar(read.map_or(Scalar::Float(f64::INFINITY), Scalar::Int), written())
        }
        DeValue::Float(number) => Value::Scalar(number.as_str().parse().map_or(Scalar::Text, Scalar::Float), written()),
        DeValue::Boolean(yes) => Value::Scalar(Scalar::Bool(*yes), written()),
        DeValue::Datetime(time) => Value::Scalar(Scalar::Text, time.to_string()),
        DeValue::Array(items) => Value::List(items.iter().map(|item| node(item, lines)).collect()),
        DeValue::Table(table) => map(table, lines),
    };
    Node { place: lines.place(value.span().start), value: value_ }
}

/// Where each line begins, to turn offsets into places.
struct Lines<'a> {
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    fn new(text: &'a str) -> Self {
        let starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { text, starts }
    }

    fn place(&self, offset: usize) -> Place {
        let line = self.starts.partition_point(|start| *start <= offset).max(1);
        let before = self.text.get(self.starts[line - 1]..offset).unwrap_or_default();
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        Place { line: number(line), column: number(before.chars().count() + 1) }
    }
}
