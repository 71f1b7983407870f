//! YAML events to the tree: one document, unique keys, aliases and merge keys followed within a budget.
//! The events come from `saphyr-parser`, which is tested against the YAML test suite.

use std::collections::{HashMap, HashSet};

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Span, Tag};

use super::{Entry, Node, Scalar, Value, parts, resolve};
use crate::registry::fault::{Fault, Place, shown};
use crate::registry::tree::Trail;

/// How many nodes aliases may add before the text counts as one that expands without bound.
const MOST_COPIES: usize = 1_000_000;
/// How deep a registry nests at most.
const MOST_DEPTH: usize = 64;

pub(crate) fn parse(text: &str, faults: &mut Vec<Fault>) -> Option<Node> {
    parts::parse(text).or_else(|| whole(text, faults))
}

/// Reads a text from its beginning to its end.
pub(crate) fn whole(text: &str, faults: &mut Vec<Fault>) -> Option<Node> {
    let mut builder = Builder::default();
    let read = builder.read(text);
    faults.append(&mut builder.faults);
    read.unwrap_or_else(|fault| {
        faults.push(fault);
        None
    })
}

/// A list or map that is not yet complete.
enum Open {
    List(Vec<Node>),
    Map { entries: Vec<Entry>, merges: Vec<Node>, key: Option<Key> },
}

struct Key {
    text: String,
    place: Place,
    /// Whether it is an unquoted `<<`.
    merge: bool,
}

struct Frame {
    place: Place,
    anchor: usize,
    open: Open,
}

/// Makes the tree.
#[derive(Default)]
pub(crate) struct Builder {
    /// How many lines of the file stand before the text.
    lines_before: usize,
    /// Whether something depends on what stands elsewhere: an anchor, an alias, a merge key.
    tied: bool,
    root: Option<Node>,
    documents: usize,
    stack: Vec<Frame>,
    anchors: HashMap<usize, (Node, usize)>,
    copies: usize,
    faults: Vec<Fault>,
}

impl Builder {
    /// For a text that stands behind so many lines of the file.
    pub(crate) fn after(lines_before: usize) -> Self {
        Self { lines_before, ..Self::default() }
    }

    /// Reads the text.
    pub(crate) fn read(&mut self, text: &str) -> Result<Option<Node>, Fault> {
        for event in Parser::new_from_str(text) {
            match event {
                Ok((event, span)) => self.take(event, span)?,
                Err(error) => {
                    let at = self.place(error.marker());
                    return Err(Fault::new(Some(at), "", format!("not YAML: {}", error.info())));
                }
            }
        }
        Ok(self.root.take())
    }

    /// Whether what was read has no fault, and depends on nothing that stands elsewhere.
    pub(crate) fn stands_alone(&self) -> bool {
        self.faults.is_empty() && !self.tied
    }

    fn place(&self, marker: &Marker) -> Place {
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        Place { line: number(marker.line().max(1) + self.lines_before), column: number(marker.col() + 1) }
    }

    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Fault> {
        let at = self.place(&span.start);
        match event {
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    return Err(Fault::new(Some(at), "", "a second document begins here; a registry is one document"));
                }
            }
            Event::Scalar(text, style, anchor, tag) => {
                let plain = style == ScalarStyle::Plain;
                let scalar = if plain && !self.is_text(tag.as_deref(), at) { resolve(&text) } else { Scalar::Text };
                let merge = plain && text == "<<";
                let node = Node { place: at, value: Value::Scalar(scalar, text.into_owned()) };
                self.complete(node, anchor, merge)?;
            }
            Event::SequenceStart(anchor, tag) => {
                self.is_text(tag.as_deref(), at);
                self.open(at, anchor, Open::List(Vec::new()))?;
            }
            Event::MappingStart(anchor, tag) => {
                self.is_text(tag.as_deref(), at);
                self.open(at, anchor, Open::Map { entries: Vec::new(), merges: Vec::new(), key: None })?;
            }
            Event::SequenceEnd | Event::MappingEnd => self.close()?,
            Event::Alias(anchor) => self.follow(anchor, at)?,
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
        }
        Ok(())
    }

    /// Whether a tag says that a plain scalar is a text. Tags beyond the core schema's are faults.
    fn is_text(&mut self, tag: Option<&Tag>, at: Place) -> bool {
        let Some(tag) = tag else { return false };
        let known = ["str", "int", "float", "bool", "null", "map", "seq"];
        if tag.is_yaml_core_schema() && known.contains(&tag.suffix.as_str()) {
            return tag.suffix == "str";
        }
        let tag = if tag.is_yaml_core_schema() { format!("!!{}", tag.suffix) } else { tag.to_string() };
        let what = format!("the tag `{}` has no meaning here", shown(&tag));
        let mut fault = Fault::new(Some(at), self.path(), what);
        fault.hint("write the value without a tag");
        self.faults.push(fault);
        false
    }

    fn open(&mut self, place: Place, anchor: usize, open: Open) -> Result<(), Fault> {
        if self.stack.len() == MOST_DEPTH {
            return Err(Fault::new(Some(place), "", format!("more than {MOST_DEPTH} levels deep")));
        }
        self.stack.push(Frame { place, anchor, open });
        Ok(())
    }

    fn close(&mut self) -> Result<(), Fault> {
        let Some(frame) = self.stack.pop() else { return Ok(()) };
        let value = match frame.open {
            // Nothing more comes in; what was set aside for it would be half of the tree.
            Open::List(mut items) => {
                items.shrink_to_fit();
                Value::List(items)
            }
            Open::Map { mut entries, merges, .. } => {
                self.refuse_twins(&mut entries);
                self.merge(&mut entries, merges);
                entries.shrink_to_fit();
                Value::Map(entries)
            }
        };
        self.complete(Node { place: frame.place, value }, frame.anchor, false)
    }

    /// Gives a complete node to whom it belongs.
    fn complete(&mut self, node: Node, anchor: usize, merge: bool) -> Result<(), Fault> {
        if anchor != 0 {
            self.tied = true;
            let weight = weight(&node);
            self.charge(weight, node.place)?;
            self.anchors.insert(anchor, (node.clone(), weight));
        }
        match self.stack.last_mut().map(|frame| &mut frame.open) {
            None => self.root = Some(node),
            Some(Open::List(items)) => items.push(node),
            Some(Open::Map { entries, merges, key }) => match key.take() {
                Some(key) if key.merge => merges.push(node),
                Some(Key { text, place, .. }) => entries.push(Entry { key: text, place, node }),
                None => {
                    let place = node.place;
                    match node.value {
                        Value::Scalar(_, text) => *key = Some(Key { text, place, merge }),
                        _ => return Err(Fault::new(Some(place), self.path(), "a key must be a text")),
                    }
                }
            },
        }
        Ok(())
    }

    fn follow(&mut self, anchor: usize, at: Place) -> Result<(), Fault> {
        let Some((node, weight)) = self.anchors.get(&anchor) else {
            return Err(Fault::new(Some(at), self.path(), "this alias stands inside of what it names"));
        };
        let (node, weight) = (node.clone(), *weight);
        self.charge(weight, at)?;
        self.complete(node, 0, false)
    }

    fn charge(&mut self, weight: usize, at: Place) -> Result<(), Fault> {
        self.copies += weight;
        if self.copies > MOST_COPIES {
            let mut fault = Fault::new(Some(at), self.path(), "the aliases of this file expand without bound");
            fault.why(format!("they add more than {MOST_COPIES} values"));
            return Err(fault);
        }
        Ok(())
    }

    /// Keeps the first of several equal keys, and names both places.
    fn refuse_twins(&mut self, entries: &mut Vec<Entry>) {
        // Nearly all mappings are small, and then looking is cheaper than a table.
        let twin = |(index, entry): (usize, &Entry)| entries[..index].iter().any(|other| other.key == entry.key);
        if entries.len() <= 16 && !entries.iter().enumerate().any(twin) {
            return;
        }
        let mut first: HashMap<&str, Place> = HashMap::with_capacity(entries.len());
        let mut twins = HashSet::new();
        for (index, entry) in entries.iter().enumerate() {
            if let Some(place) = first.get(entry.key.as_str()) {
                twins.insert(index);
                let what = format!("the key `{}` is given twice", shown(&entry.key));
                let mut fault = Fault::new(Some(entry.place), self.path(), what);
                fault.why(format!("it is already given at {place}"));
                self.faults.push(fault);
            } else {
                first.insert(&entry.key, entry.place);
            }
        }
        if !twins.is_empty() {
            let mut index = 0;
            entries.retain(|_| {
                index += 1;
                !twins.contains(&(index - 1))
            });
        }
    }

    /// Merge keys: what is given here goes before what is merged, and earlier merges before later ones.
    fn merge(&mut self, entries: &mut Vec<Entry>, merges: Vec<Node>) {
        if merges.is_empty() {
            return;
        }
        self.tied = true;
        let mut have: HashSet<String> = entries.iter().map(|entry| entry.key.clone()).collect();
        let flat = merges.into_iter().flat_map(|node| match node.value {
            Value::List(items) => items,
            _ => vec![node],
        });
        for node in flat {
            let Value::Map(merged) = node.value else {
                let fault = Fault::new(Some(node.place), self.path(), "`<<` merges mappings, and this is none");
                self.faults.push(fault);
                continue;
            };
            entries.extend(merged.into_iter().filter(|entry| have.insert(entry.key.clone())));
        }
    }

    /// The way to what is being read.
    fn path(&self) -> String {
        fn down(frames: &[Frame], trail: &Trail<'_>) -> String {
            let Some((frame, rest)) = frames.split_first() else { return trail.to_string() };
            match &frame.open {
                Open::List(items) => down(rest, &trail.index(items.len())),
                Open::Map { key: Some(key), .. } => down(rest, &trail.key(&key.text)),
                Open::Map { key: None, .. } => trail.to_string(),
            }
        }
        down(&self.stack, &Trail::TOP)
    }
}

fn weight(node: &Node) -> usize {
    match &node.value {
        Value::Scalar(..) => 1,
        Value::List(items) => 1 + items.iter().map(weight).sum::<usize>(),
        Value::Map(entries) => 1 + entries.iter().map(|entry| weight(&entry.node)).sum::<usize>(),
    }
}
