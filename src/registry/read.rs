//! From the tree to the registry as written. One declaration (`draft!`) of a mapping gives its struct, its reader and its
//! JSON Schema, so that the three cannot differ. A value that cannot be read is a fault, and the rest is read on.

use std::borrow::Cow;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::fault::{Fault, Place};
use super::shares::in_shares;
use super::text::{Gate, refuse};
use super::tree::{Entry, Node, Scalar, Trail, Value};

/// What is being read, and the faults so far.
#[derive(Default)]
pub(crate) struct Reader {
    pub(crate) faults: Vec<Fault>,
    /// In an overlay a key may be without a value, which takes the key away, and required keys may be missing.
    pub(crate) overlay: bool,
}

impl Reader {
    /// Tells a fault; the caller may add why and a hint.
    pub(crate) fn fault(&mut self, place: Place, at: &Trail<'_>, what: impl Into<String>) -> &mut Fault {
        let last = self.faults.len();
        self.faults.push(Fault::new(Some(place), at.to_string(), what));
        &mut self.faults[last]
    }

    /// Reads the entries of a list, of a long one side by side; faults come in the order of the list.
    pub(crate) fn each<T: Sync, R: Send>(
        &mut self,
        all: &[T],
        read: impl Fn(&T, &mut Self) -> Option<R> + Sync,
    ) -> Vec<R> {
        let overlay = self.overlay;
        let some = |share: &[T]| {
            let mut to = Self { overlay, ..Self::default() };
            let read: Vec<R> = share.iter().filter_map(|one| read(one, &mut to)).collect();
            (read, to.faults)
        };
        let mut answers = Vec::with_capacity(all.len());
        for (read, faults) in in_shares(all, some) {
            answers.extend(read);
            self.faults.extend(faults);
        }
        answers
    }

    /// Tells that a value is of the wrong kind.
    pub(crate) fn wrong(&mut self, node: &Node, at: &Trail<'_>, expected: &str) -> &mut Fault {
        self.fault(node.place, at, format!("expected {expected}, found {}", node.kind()))
    }
}

/// What can be read from a node.
pub(crate) trait Read: Sized {
    /// Reads the node. Nothing comes back only after a fault was told.
    fn read(node: &Node, at: &Trail<'_>, to: &mut Reader) -> Option<Self>;
}

/// What is large and seldom written stands apart: a thousand services are moved several times while they are read.
impl<T: Read> Read for Box<T> {
    fn read(node: &Node, at: &Trail<'_>, to: &mut Reader) -> Option<Self> {
        T::read(node, at, to).map(Self::new)
    }
}

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct At<T> {
    pub(crate) value: T,
    pub(crate) place: Place,
}

/// What a key of a mapping holds.
#[derive(Clone, Debug, Default)]
pub(crate) enum Field<T> {
    /// The key is not there.
    #[default]
    Absent,
    /// The value could not be read; the fault is already told.
    Bad,
    Given(At<T>),
}

impl<T> Field<T> {
    /// The value with its place, if it is there and good.
    pub(crate) fn given(&self) -> Option<&At<T>> {
        match self {
            Self::Given(at) => Some(at),
            _ => None,
        }
    }

    /// The value, if it is there and good.
    pub(crate) fn value(&self) -> Option<&T> {
        self.given().map(|at| &at.value)
    }

    /// Whether the key is not there at all.
    pub(crate) fn absent(&self) -> bool {
        matches!(self, Self::Absent)
    }

    /// Whether the key is there, be its value good or bad.
    pub(crate) fn written(&self) -> bool {
        !self.absent()
    }
}

impl<T: Read> Field<T> {
    /// Reads the value of a key. A key without a value is a fault, except in an overlay.
    pub(crate) fn of(entry: &Entry, at: &Trail<'_>, to: &mut Reader) -> Self {
        if let Value::Scalar(Scalar::Null, _) = entry.node.value {
            if to.overlay {
                return Self::Absent;
            }
            to.fault(entry.place, at, "has no value").hint("give it one, or take the key away");
            return Self::Bad;
        }
        match T::read(&entry.node, at, to) {
            Some(value) => Self::Given(At { value, place: entry.node.place }),
            None => Self::Bad,
        }
    }
}

/// One named entry of a `Map`.
#[derive(Clone, Debug)]
pub(crate) struct Named<T> {
    pub(crate) name: String,
    pub(crate) place: Place,
    pub(crate) field: Field<T>,
}

/// A mapping whose keys are the user's own, held to the rule `K`, in the order of the file.
#[derive(Clone, Debug)]
pub(crate) struct Map<K, T>(pub(crate) Vec<Named<T>>, PhantomData<K>);

impl<K, T> Default for Map<K, T> {
    fn default() -> Self {
        Self(Vec::new(), PhantomData)
    }
}

impl<K: Gate, T: Read + Send> Read for Map<K, T> {
    fn read(node: &Node, at: &Trail<'_>, to: &mut Reader) -> Option<Self> {
        let Value::Map(entries) = &node.value else {
            to.wrong(node, at, "a mapping");
            return None;
        };
        let named = to.each(entries, |entry, to| {
            let at = at.key(&entry.key);
            if !K::good(&entry.key) {
                refuse::<K>(&entry.key, entry.place, &at, to);
            }
            Some(Named { name: entry.key.clone(), place: entry.place, field: Field::of(entry, &at, to) })
        });
        Some(Self(named, PhantomData))
    }
}

impl<K: Gate, T: JsonSchema> JsonSchema for Map<K, T> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        format!("MapOf{}", T::schema_name()).into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = json_schema!({ "type": "object", "additionalProperties": generator.subschema_for::<T>() });
        if let Some(pattern) = K::PATTERN {
            schema.insert("propertyNames".to_owned(), serde_json::json!({ "pattern": pattern }));
        }
        schema
    }
}

/// A list. An item that cannot be read stays as a hole, so that the numbers of the others are right.
#[derive(Clone, Debug)]
pub(crate) struct List<T>(Vec<Field<T>>);

impl<T> List<T> {
    /// The good items with their index.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (usize, &At<T>)> {
        self.0.iter().enumerate().filter_map(|(index, field)| Some((index, field.given()?)))
    }

    /// The good items.
    pub(crate) fn values(&self) -> impl Iterator<Item = &T> {
        self.0.iter().filter_map(Field::value)
    }
}

impl<T: Read> Read for List<T> {
    fn read(node: &Node, at: &Trail<'_>, to: &mut Reader) -> Option<Self> {
        let Value::List(items) = &node.value else {
            let fault = to.wrong(node, at, "a list");
            if let Value::Scalar(_, text) = &node.value {
                fault.hint = in_brackets(text);
            }
            return None;
        };
        if items.is_empty() {
            to.fault(node.place, at, "the list is empty").hint("take the key away, or give it an item");
        }
        let item = |(index, item): (usize, &Node)| match T::read(item, &at.index(index), to) {
            Some(value) => Field::Given(At { value, place: item.place }),
            None => Field::Bad,
        };
        Some(Self(items.iter().enumerate().map(item).collect()))
    }
}

/// A text as the list of its words, for a hint.
fn in_brackets(text: &str) -> Option<String> {
    let words = shlex::split(text).filter(|words| !words.is_empty() && text.len() <= 80)?;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | '=' | '+');
    let quote = |word: String| if word.chars().all(plain) { word } else { format!("{word:?}") };
    Some(format!("write [{}]", words.into_iter().map(quote).collect::<Vec<_>>().join(", ")))
}

impl<T: JsonSchema> JsonSchema for List<T> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        format!("ListOf{}", T::schema_name()).into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "array", "minItems": 1, "items": generator.subschema_for::<T>() })
    }
}

/// One value, or a list of them.
#[derive(Clone, Debug)]
pub(crate) struct Many<T>(pub(crate) List<T>);

impl<T: Read> Read for Many<T> {
    fn read(node: &Node, at: &Trail<'_>, to: &mut Reader) -> Option<Self> {
        if let Value::List(_) = node.value {
            return List::read(node, at, to).map(Self);
        }
        let value = T::read(node, at, to)?;
        Some(Self(List(vec![Field::Given(At { value, place: node.place })])))
    }
}

impl<T: JsonSchema> JsonSchema for Many<T> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        format!("ManyOf{}", T::schema_name()).into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let one = generator.subschema_for::<T>();
        json_schema!({ "anyOf": [one, { "type": "array", "minItems": 1, "items": one }] })
    }
}

/// Declares a mapping with fixed keys: its struct, its reader, its schema. `as "key"` gives a key that is no Rust name;
/// `requires` lists the keys that must be there.
macro_rules! draft {
    ($(#[doc = $about:literal])* struct $name:ident $(requires [$($needed:literal),*])? {
        $( $(#[doc = $doc:literal])* $field:ident $(as $key:literal)? : $type:ty, )*
    }) => {
        $(#[doc = $about])*
        #[derive(Clone, Debug, Default)]
        pub(crate) struct $name {
            $( $(#[doc = $doc])* pub(crate) $field: $crate::registry::read::Field<$type>, )*
        }

        impl $name {
            const KEYS: &'static [&'static str] = &[$( draft!(@key $field $($key)?) ),*];
            const NEEDED: &'static [&'static str] = &[$($($needed),*)?];
        }

        impl $crate::registry::read::Read for $name {
            fn read(
                node: &$crate::registry::tree::Node,
                at: &$crate::registry::tree::Trail<'_>,
                to: &mut $crate::registry::read::Reader,
            ) -> Option<Self> {
                let mut draft = Self::default();
                for entry in $crate::registry::read::entries(node, at, to, Self::NEEDED)? {
                    let within = at.key(&entry.key);
                    match entry.key.as_str() {
                        $( draft!(@key $field $($key)?) => draft.$field = $crate::registry::read::Field::of(entry, &within, to), )*
                        _ => $crate::registry::read::unknown(entry, &within, to, Self::KEYS),
                    }
                }
                Some(draft)
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                let mut keys = serde_json::Map::new();
                $({
                    let schema = generator.subschema_for::<$type>();
                    let about = concat!($($doc),*);
                    keys.insert(draft!(@key $field $($key)?).to_owned(), $crate::registry::read::described(schema, about));
                })*
                $crate::registry::read::object(concat!($($about),*), keys, Self::NEEDED)
            }
        }
    };
    (@key $field:ident) => { stringify!($field) };
    (@key $field:ident $key:literal) => { $key };
}
pub(crate) use draft;

/// The entries of a mapping with fixed keys, after looking whether the needed ones are there.
pub(crate) fn entries<'a>(node: &'a Node, at: &Trail<'_>, to: &mut Reader, needed: &[&str]) -> Option<&'a [Entry]> {
    let Value::Map(entries) = &node.value else {
        to.wrong(node, at, "a mapping");
        return None;
    };
    for key in needed.iter().filter(|key| !to.overlay && !entries.iter().any(|entry| entry.key == **key)) {
        to.faults.push(Fault::new(Some(node.place), at.to_string(), format!("the key `{key}` is missing")));
    }
    Some(entries)
}

/// Tells that a key is not known here.
pub(crate) fn unknown(entry: &Entry, at: &Trail<'_>, to: &mut Reader, keys: &[&'static str]) {
    let fault = to.fault(entry.place, at, format!("unknown key `{}`", super::fault::shown(&entry.key)));
    fault.nearest(&entry.key, keys.iter().copied());
    if fault.hint.is_none() {
        fault.hint(format!("the keys here are {}", keys.join(", ")));
    }
}

/// The schema of a key's value with what the key is for.
pub(crate) fn described(schema: Schema, about: &str) -> serde_json::Value {
    let mut schema = schema;
    schema.insert("description".to_owned(), about.trim().into());
    schema.to_value()
}

/// The schema of a mapping with fixed keys.
pub(crate) fn object(about: &str, keys: serde_json::Map<String, serde_json::Value>, needed: &[&str]) -> Schema {
    let mut schema = json_schema!({
        "description": about.trim(),
        "type": "object",
        "properties": keys,
        "additionalProperties": false,
    });
    if !needed.is_empty() {
        schema.insert("required".to_owned(), needed.into());
    }
    schema
}
