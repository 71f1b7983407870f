//! What only Docker services have, as written.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::registry::docker::{MOST_USERS, PUBLISH, Publish, Pull};
use crate::registry::fault::shown;
use crate::registry::number::{Count, Named, Port, Time};
use crate::registry::read::{List, Read, Reader, draft};
use crate::registry::text::{Gate as _, HostFolder, Line, ProjectName, RunsAs, Word, refuse};
use crate::registry::tree::{Node, Scalar, Trail, Value};

draft! {
    /// What asks a container for its health, within it.
    struct Healthcheck requires ["test"] {
        /// Words that must exit with 0.
        test: List<Word>,
        /// Between two questions.
        interval: Time,
        /// For one question.
        timeout: Time,
        /// How many failures in a row make it unhealthy.
        retries: Count,
        /// How long after the start a failure is not yet counted.
        start_period: Time,
    }
}

draft! {
    /// A compose project that was on the host before; what `portoser adopt` writes.
    struct Adopted requires ["name", "folder"] {
        /// Its name there.
        name: ProjectName,
        /// The folder of the host in which the relative paths of its file begin, `.env` included.
        folder: HostFolder,
    }
}

/// A port as a number, or as a mapping for containers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::registry) enum PortText {
    Number(u16),
    Mapping(Publish),
}

impl PortText {
    /// The port of the host.
    pub(in crate::registry) fn host(&self) -> u16 {
        match self {
            Self::Number(port) => *port,
            Self::Mapping(publish) => publish.host,
        }
    }
}

impl Read for PortText {
    fn read(node: &Node, at: &Trail<'_>, to: &mut Reader) -> Option<Self> {
        match &node.value {
            Value::Scalar(Scalar::Text, text) if text.contains(':') => {
                let read = Publish::parse(text);
                if read.is_none() {
                    to.fault(node.place, at, format!("`{}` is not a port", shown(text))).why(PUBLISH);
                }
                read.map(Self::Mapping)
            }
            _ => Port::read(node, at, to).map(|port| Self::Number(port.get())),
        }
    }
}

impl JsonSchema for PortText {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "PortText".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [
            { "type": "integer", "minimum": 1, "maximum": 65535 },
            { "type": "string", "pattern": "^(([0-9.]+|\\[[0-9a-fA-F:.]+\\]):)?[1-9][0-9]{0,4}:[1-9][0-9]{0,4}(/(tcp|udp))?$" },
        ] })
    }
}

/// Whom a service runs as; a number needs no quotes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::registry) struct RunsAsText(pub(in crate::registry) String);

impl Read for RunsAsText {
    fn read(node: &Node, at: &Trail<'_>, to: &mut Reader) -> Option<Self> {
        match &node.value {
            Value::Scalar(Scalar::Text | Scalar::Int(_), text) if RunsAs::good(text) => Some(Self(text.clone())),
            Value::Scalar(Scalar::Text | Scalar::Int(_), text) => {
                refuse::<RunsAs>(text, node.place, at, to);
                None
            }
            _ => {
                to.wrong(node, at, "a user");
                None
            }
        }
    }
}

impl JsonSchema for RunsAsText {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "RunsAsText".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [
            { "type": "integer", "minimum": 0, "maximum": MOST_USERS },
            { "type": "string", "pattern": RunsAs::PATTERN },
        ] })
    }
}

draft! {
    /// Where the image that is sent comes from: one of from and build.
    struct PushFrom {
        /// An archive of `docker save`, or an OCI layout, relative to this file.
        from: Line,
        /// A folder with a `Dockerfile`, relative to this file; this machine's engine builds it.
        build: Line,
    }
}

/// How an image is sent to a host.
#[derive(Clone, Debug)]
pub(in crate::registry) enum PushText {
    Direct,
    From(Box<PushFrom>),
}

impl Read for PushText {
    fn read(node: &Node, at: &Trail<'_>, to: &mut Reader) -> Option<Self> {
        match &node.value {
            Value::Scalar(Scalar::Text, text) if text == "direct" => Some(Self::Direct),
            Value::Map(_) => PushFrom::read(node, at, to).map(|from| Self::From(Box::new(from))),
            Value::Scalar(_, text) => {
                let fault = to.fault(node.place, at, format!("`{}` is no way to send an image", shown(text)));
                fault.hint(
                    "write `direct`, for the image of this machine's engine, { from: FILE } or { build: FOLDER }",
                );
                None
            }
            Value::List(_) => {
                to.wrong(node, at, "`direct` or a mapping");
                None
            }
        }
    }
}

impl JsonSchema for PushText {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "PushText".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let from = generator.subschema_for::<PushFrom>();
        json_schema!({ "anyOf": [{ "const": "direct" }, from] })
    }
}

impl Named for Pull {
    const WHAT: &'static str = "a way to pull images";
    const NAMES: &'static [(&'static str, Self)] =
        &[("missing", Self::Missing), ("always", Self::Always), ("never", Self::Never)];
}
