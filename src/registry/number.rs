//! Numbers, times, sizes, modes and choices as they are written: typed and in range once they are read.

use std::borrow::Cow;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::checked::{Batch, STOP_MOST};
use super::fault::{nearest, shown};
use super::read::{Read, Reader};
use super::tree::{Node, Scalar, Trail, Value};
use super::units::{SIZE, TIME, parse_duration, parse_size};

/// A whole number from `MIN` to `MAX`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Whole<const MIN: i64, const MAX: i64>(pub(crate) i64);

/// The version of the registry's format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Version;

impl Read for Version {
    fn read(node: &Node, at: &Trail<'_>, to: &mut Reader) -> Option<Self> {
        match node.value {
            Value::Scalar(Scalar::Int(1), _) => return Some(Self),
            Value::Scalar(Scalar::Int(number), _) => {
                let fault = to.fault(node.place, at, format!("version {number} of the registry's format is not known"));
                fault.why("this portoser reads version 1");
            }
            _ => {
                to.wrong(node, at, "the number 1");
            }
        }
        None
    }
}

impl JsonSchema for Version {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Version".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "const": 1 })
    }
}

/// A TCP port.
pub(crate) type Port = Whole<1, 65_535>;
/// How many hosts may be worked on at once.
pub(crate) type Seats = Whole<1, 10_000>;
/// A number of things, at least one.
pub(crate) type Count = Whole<1, 1_000_000_000>;
/// A number of things, or none.
pub(crate) type CountOrNone = Whole<0, 1_000_000_000>;

impl<const MIN: i64, const MAX: i64> Whole<MIN, MAX> {
    /// As a number of the type that is wanted; the range holds it.
    pub(crate) fn get<T: TryFrom<i64> + Default>(self) -> T {
        T::try_from(self.0).unwrap_or_default()
    }
}

impl<const MIN: i64, const MAX: i64> Read for Whole<MIN, MAX> {
    fn read(node: &Node, at: &Trail<'_>, to: &mut Reader) -> Option<Self> {
        let Value::Scalar(Scalar::Int(number), _) = node.value else {
            let fault = to.wrong(node, at, &format!("a whole number from {MIN} to {MAX}"));
            if matches!(&node.value, Value::Scalar(Scalar::Text, text) if text.parse::<i64>().is_ok()) {
                fault.hint("take the quotes away");
            }
            return None;
        };
        if (MIN..=MAX).contains(&number) {
            return Some(Self(number));
        }
        to.fault(node.place, at, format!("{number} is out of range")).why(format!("it must be from {MIN} to {MAX}"));
        None
    }
}

impl<const MIN: i64, const MAX: i64> JsonSchema for Whole<MIN, MAX> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        format!("Whole{MIN}To{MAX}").into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "minimum": MIN, "maximum": MAX })
    }
}

macro_rules! written {
    ($(#[doc = $doc:literal])* $name:ident($inner:ty), $schema:tt, |$node:ident, $at:ident, $to:ident| $read:expr) => {
        $(#[doc = $doc])*
        #[derive(Clone, Copy, Debug, PartialEq)]
        pub(crate) struct $name(pub(crate) $inner);

        impl Read for $name {
            fn read($node: &Node, $at: &Trail<'_>, $to: &mut Reader) -> Option<Self> {
                $read.map(Self)
            }
        }

        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    };
}

written!(
    /// True or false.
    Bool(bool), { "type": "boolean" },
    |node, at, to| match node.value {
        Value::Scalar(Scalar::Bool(yes), _) => Some(yes),
        _ => {
            to.wrong(node, at, "true or false");
            None
        }
    }
);
written!(
    /// A length of time.
    Time(Duration), { "type": "string", "pattern": "^([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?$", "minLength": 2 },
    |node, at, to| unit(node, at, to, "a time", TIME, "s", |text| parse_duration(text).ok())
);
written!(
    /// How long a service has to stop: at most `STOP_MOST`, as a host's lock is held meanwhile.
    StopTime(Duration), { "type": "string", "pattern": "^([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?$", "minLength": 2 },
    |node, at, to| {
        let time = unit(node, at, to, "a time", TIME, "s", |text| parse_duration(text).ok());
        if time.is_some_and(|time| time > STOP_MOST) {
            to.fault(node.place, at, "it is too long").why("a service may take an hour to stop at most");
        }
        time
    }
);
written!(
    /// A number of bytes.
    Size(u64), { "type": "string", "pattern": "^[0-9]+(\\.[0-9]{1,9})?(B|kB|MB|GB|TB|KiB|MiB|GiB|TiB)$" },
    |node, at, to| unit(node, at, to, "a size", SIZE, "MiB", |text| parse_size(text).ok())
);
written!(
    /// Permission bits.
    Mode(u32), { "type": "string", "pattern": "^0?[0-7]{3}$" },
    |node, at, to| mode(node, at, to)
);
written!(
    /// Processors, in thousandths.
    Cpu(u32), { "type": "number", "exclusiveMinimum": 0, "maximum": 4096 },
    |node, at, to| cpu(node, at, to)
);
written!(
    /// A number of hosts, or a share of them.
    Share(Batch), { "anyOf": [{ "type": "integer", "minimum": 1 }, { "type": "string", "pattern": "^([1-9][0-9]?|100)%$" }] },
    |node, at, to| share(node, at, to)
);

/// Reads a text with a unit; a bare number gets a hint.
fn unit<T>(
    node: &Node,
    at: &Trail<'_>,
    to: &mut Reader,
    what: &str,
    rule: &str,
    usual: &str,
    parse: impl Fn(&str) -> Option<T>,
) -> Option<T> {
    match &node.value {
        Value::Scalar(Scalar::Text, text) => {
            let read = parse(text);
            if read.is_none() {
                to.fault(node.place, at, format!("`{}` is not {what}", shown(text))).why(rule);
            }
            read
        }
        Value::Scalar(Scalar::Int(number), _) => {
            to.fault(node.place, at, format!("{number} has no unit"))
                .why(rule)
                .hint(format!("did you mean `{number}{usual}`?"));
            None
        }
        _ => {
            to.wrong(node, at, what).why(rule);
            None
        }
    }
}

fn mode(node: &Node, at: &Trail<'_>, to: &mut Reader) -> Option<u32> {
    const RULE: &str = "write three octal digits in quotes, with or without a 0 before them, such as \"0640\"";
    let octal = |text: &str| {
        let digits = text.strip_prefix('0').filter(|rest| rest.len() == 3).unwrap_or(text);
        let good = digits.len() == 3 && digits.bytes().all(|b| matches!(b, b'0'..=b'7'));
        good.then(|| u32::from_str_radix(digits, 8).ok()).flatten()
    };
    match &node.value {
        Value::Scalar(Scalar::Text, text) => {
            let bits = octal(text);
            if bits.is_none() {
                to.fault(node.place, at, format!("`{}` is not a mode", shown(text))).why(RULE);
            }
            bits
        }
        Value::Scalar(_, text) if octal(text).is_some() => {
            let fault = to.fault(node.place, at, format!("`{text}` is a decimal number without quotes"));
            fault.why(RULE).hint(format!("write \"{text}\""));
            None
        }
        _ => {
            to.wrong(node, at, "a mode").why(RULE);
            None
        }
    }
}

fn cpu(node: &Node, at: &Trail<'_>, to: &mut Reader) -> Option<u32> {
    const RULE: &str = "write a number of processors with at most three decimals, from 0.001 to 4096, such as 1.5";
    let millis = match node.value {
        Value::Scalar(Scalar::Int(number), _) => Some(number.saturating_mul(1000)),
        Value::Scalar(Scalar::Float(number), _) => Some(number * 1000.0)
            .filter(|millis| millis.is_finite() && millis.abs() < 1e9 && (millis - millis.round()).abs() < 1e-6)
            .and_then(|millis| format!("{}", millis.round()).parse().ok()),
        _ => {
            to.wrong(node, at, "a number of processors").why(RULE);
            return None;
        }
    };
    let millis = millis.filter(|millis| (1..=4_096_000).contains(millis)).and_then(|millis| u32::try_from(millis).ok());
    if millis.is_none() {
        to.fault(node.place, at, "this number of processors is out of range").why(RULE);
    }
    millis
}

fn share(node: &Node, at: &Trail<'_>, to: &mut Reader) -> Option<Batch> {
    const RULE: &str = "write a number of hosts, or a share from 1% to 100%";
    let read = match &node.value {
        Value::Scalar(Scalar::Int(number), _) => usize::try_from(*number).ok().filter(|n| *n > 0).map(Batch::Count),
        Value::Scalar(Scalar::Text, text) => parse_batch(text),
        _ => None,
    };
    if read.is_none() {
        match &node.value {
            Value::Scalar(_, text) => to.fault(node.place, at, format!("`{}` is not a batch", shown(text))).why(RULE),
            _ => to.wrong(node, at, "a batch").why(RULE),
        };
    }
    read
}

/// Reads a share such as `25%`.
fn parse_batch(text: &str) -> Option<Batch> {
    let digits = text.strip_suffix('%')?;
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0');
    let percent = digits.parse::<u8>().ok().filter(|percent| plain && (1..=100).contains(percent))?;
    Some(Batch::Percent(percent))
}

/// A type whose values have names.
pub(crate) trait Named: Copy + 'static {
    /// What it is called in a message.
    const WHAT: &'static str;
    const NAMES: &'static [(&'static str, Self)];
}

/// One of several names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Choice<T>(pub(crate) T);

impl<T: Named> Read for Choice<T> {
    fn read(node: &Node, at: &Trail<'_>, to: &mut Reader) -> Option<Self> {
        let names = || T::NAMES.iter().map(|(name, _)| *name);
        let all = || format!("it must be one of {}", names().collect::<Vec<_>>().join(", "));
        let Value::Scalar(_, text) = &node.value else {
            to.wrong(node, at, T::WHAT).why(all());
            return None;
        };
        let found = T::NAMES.iter().find(|(name, _)| name == text);
        if found.is_none() {
            let near = nearest(text, names());
            let fault = to.fault(node.place, at, format!("`{}` is not {}", shown(text), T::WHAT)).why(all());
            fault.hint = near.map(|near| format!("did you mean `{near}`?"));
        }
        found.map(|(_, value)| Self(*value))
    }
}

impl<T: Named> JsonSchema for Choice<T> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        T::WHAT.into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "enum": T::NAMES.iter().map(|(name, _)| *name).collect::<Vec<_>>() })
    }
}
