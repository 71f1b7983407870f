//! Where the files of a service come from, as written.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::registry::read::{Read, Reader, draft};
use crate::registry::text::{InnerPath, Line, Reference, Repository};
use crate::registry::tree::{Node, Trail, Value};

draft! {
    /// A folder of a git repository, as one of its commits has it.
    struct GitSource requires ["git"] {
        /// The repository, as `git clone` takes it: a URL, HOST:PATH, or a path relative to this file.
        git: Repository,
        /// A branch, a tag, or the whole id of a commit; by default what the repository itself has checked out.
        reference as "ref": Reference,
        /// A folder in the repository; by default all of it.
        path: InnerPath,
    }
}

/// A path of this machine, or a folder of a git repository.
#[derive(Clone, Debug)]
pub(in crate::registry) enum SourceText {
    Here(Line),
    Git(Box<GitSource>),
}

impl Read for SourceText {
    fn read(node: &Node, at: &Trail<'_>, to: &mut Reader) -> Option<Self> {
        match &node.value {
            Value::Map(_) => GitSource::read(node, at, to).map(|git| Self::Git(Box::new(git))),
            Value::Scalar(..) => Line::read(node, at, to).map(Self::Here),
            Value::List(_) => {
                to.wrong(node, at, "a path, or a mapping with `git`");
                None
            }
        }
    }
}

impl JsonSchema for SourceText {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "SourceText".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let (here, git) = (generator.subschema_for::<Line>(), generator.subschema_for::<GitSource>());
        json_schema!({ "anyOf": [here, git] })
    }
}
