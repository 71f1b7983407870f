//! Checks as written: one key says what is asked, the others how.

use crate::registry::checked::From;
use crate::registry::number::{Bool, Choice, CountOrNone, Named, Port, Time, Whole};
use crate::registry::read::{List, Many, Map, Read, Reader, draft};
use crate::registry::text::{Address, HeaderName, Line, Pattern, Pointer, UrlPath, Word};
use crate::registry::tree::{Node, Trail};

draft! {
    /// The timing of checks.
    struct Timing {
        /// Who asks: controller or host.
        from: Choice<From>,
        /// How long after the start a failure is not yet counted.
        start_period: Time,
        /// Between two questions.
        interval: Time,
        /// For one question.
        timeout: Time,
        /// How many failures in a row make it bad.
        retries: CountOrNone,
    }
}

draft! {
    /// A health check: one of http, tcp, command, unit and log.
    struct Check {
        /// A path that is asked over HTTP.
        http: UrlPath,
        /// A TCP port that must accept connections.
        tcp: Port,
        /// Words that must exit with 0 on the host.
        command: List<Word>,
        /// The service's unit is active and not restarting.
        unit: Bool,
        /// A regular expression that must be found in the log since the start.
        log: Pattern,
        /// For http: the port, if it is not the service's.
        port: Port,
        /// For http: the status, or statuses, that are good.
        status: Many<Whole<100, 599>>,
        /// For http: the `Host` header.
        host: Address,
        /// For http: headers to send.
        send: Map<HeaderName, Line>,
        /// For http: headers of the answer, and the text that their value must contain.
        header: Map<HeaderName, Line>,
        /// For http: what the body must say.
        body: Body,
        /// For http: ask over TLS. For tcp: the port speaks TLS from its first byte, and its certificate must be good.
        tls: Tls,
        /// Who asks: controller or host.
        from: Choice<From>,
        /// How long after the start a failure is not yet counted.
        start_period: Time,
        /// Between two questions.
        interval: Time,
        /// For one question.
        timeout: Time,
        /// How many failures in a row make it bad.
        retries: CountOrNone,
    }
}

draft! {
    /// What an HTTP body must say: one of contains, matches and json.
    struct Body {
        /// A text that must be in it.
        contains: Word,
        /// A regular expression that must be found in it.
        matches: Pattern,
        /// A value that must be in it, as JSON.
        json: Json,
    }
}

draft! {
    /// A value in a JSON document.
    struct Json requires ["pointer", "equals"] {
        /// Where it is (RFC 6901), such as /status.
        pointer: Pointer,
        /// What it must be.
        equals: Any,
    }
}

draft! {
    /// HTTPS.
    struct Tls {
        /// The name that the certificate must carry; the `Host` header of an http check if not given.
        name: Address,
        /// A PEM file of authorities, relative to this file; this machine's if not given.
        ca: Line,
    }
}

/// Any value.
#[derive(Clone, Debug)]
pub(in crate::registry) struct Any(pub(in crate::registry) serde_json::Value);

impl Read for Any {
    fn read(node: &Node, _: &Trail<'_>, _: &mut Reader) -> Option<Self> {
        Some(Self(node.plain()))
    }
}

impl schemars::JsonSchema for Any {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Any".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "not": { "type": "null" } })
    }
}

impl Named for From {
    const WHAT: &'static str = "who asks";
    const NAMES: &'static [(&'static str, Self)] = &[("controller", Self::Controller), ("host", Self::Host)];
}
