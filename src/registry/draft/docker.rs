//! What only Docker services have, as written.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::registry::docker::{PUBLISH, Publish, Pull};
use crate::registry::fault::shown;
use crate::registry::number::{Count, Named, Port, Time};
use crate::registry::read::{List, Read, Reader, draft};
use crate::registry::text::Word;
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

impl Named for Pull {
    const WHAT: &'static str = "a way to pull images";
    const NAMES: &'static [(&'static str, Self)] =
        &[("missing", Self::Missing), ("always", Self::Always), ("never", Self::Never)];
}
