//! The answer judged: status, then headers, then the body.

use std::time::Duration;

use http_body_util::BodyExt;
use hyper::Response;
use hyper::body::Incoming;
use tokio::time::{Instant, timeout_at};

use super::{BODY, status_of};
use crate::check::Verdict;
use crate::check::shown::{expression, shown};
use crate::model::{Body, Http};

/// How long a body may take that is read for evidence alone.
const EVIDENCE: Duration = Duration::from_millis(300);
/// How much of it is read, in bytes.
const EVIDENCE_BYTES: usize = 1024;

pub(super) async fn judge(http: &Http, mut response: Response<Incoming>, until: Instant, secs: f64) -> Verdict {
    let status = status_of(&response);
    if let Some(fault) = head(http, &response) {
        let soon = until.min(Instant::now() + EVIDENCE);
        let read = read(response.body_mut(), EVIDENCE_BYTES, soon, None).await;
        return Verdict::bad_with(fault, vec![format!("status {status}"), beginning(&read.bytes)]);
    }
    let Some(wanted) = &http.body else {
        return Verdict::good(status);
    };
    // A text that is there is there, however the body goes on.
    let enough = if let Body::Contains(text) = wanted { Some(text.as_bytes()) } else { None };
    let read = read(response.body_mut(), BODY, until, enough).await;
    let fault = match body(wanted, &read) {
        Ok(None) => return Verdict::good(status),
        Ok(Some(fault)) => fault,
        Err(why) => return Verdict::Unseen(why),
    };
    let stopped = match &read.end {
        End::Whole | End::Enough => String::new(),
        End::Full => format!("only the first {BODY} bytes of the body were read"),
        End::Late => format!("the body did not end within {secs} s"),
        End::Broken(why) => format!("the body broke off: {why}"),
    };
    Verdict::bad_with(fault, vec![format!("status {status}"), stopped, beginning(&read.bytes)])
}

/// What is wrong with the head, if anything.
fn head(http: &Http, response: &Response<Incoming>) -> Option<String> {
    if !http.status.contains(&response.status().as_u16()) {
        let wanted: Vec<_> = http.status.iter().map(u16::to_string).collect();
        return Some(format!("status {}, not {}", response.status().as_u16(), wanted.join(" or ")));
    }
    for (name, wanted) in &http.header {
        let mut values = response.headers().get_all(name).iter().peekable();
        if values.peek().is_none() {
            return Some(format!("there is no header `{name}`"));
        }
        if !values.any(|value| String::from_utf8_lossy(value.as_bytes()).contains(wanted.as_str())) {
            return Some(format!("the header `{name}` does not contain `{}`", shown(wanted.as_bytes())));
        }
    }
    None
}

/// What was read of a body.
struct Read {
    bytes: Vec<u8>,
    end: End,
}

/// Why reading stopped.
enum End {
    Whole,
    Enough,
    Full,
    Late,
    Broken(String),
}

/// Reads at most `limit` bytes, until `until` at the latest, or until the bytes that are `enough` are there.
async fn read(body: &mut Incoming, limit: usize, until: Instant, enough: Option<&[u8]>) -> Read {
    let mut bytes = Vec::new();
    let end = loop {
        let frame = match timeout_at(until, body.frame()).await {
            Err(_) => break End::Late,
            Ok(None) => break End::Whole,
            Ok(Some(Err(error))) => break End::Broken(shown(error.to_string().as_bytes())),
            Ok(Some(Ok(frame))) => frame,
        };
        let Ok(data) = frame.into_data() else { continue };
        let before = bytes.len();
        bytes.extend_from_slice(&data[..data.len().min(limit - before)]);
        if enough.is_some_and(|text| holds(&bytes[before.saturating_sub(text.len())..], text)) {
            break End::Enough;
        }
        if bytes.len() == limit {
            break End::Full;
        }
    };
    Read { bytes, end }
}

fn holds(bytes: &[u8], text: &[u8]) -> bool {
    text.is_empty() || bytes.windows(text.len()).any(|window| window == text)
}

/// What is wrong with the body, if anything; an error when the check itself cannot be understood.
fn body(wanted: &Body, read: &Read) -> Result<Option<String>, String> {
    let text = String::from_utf8_lossy(&read.bytes);
    match wanted {
        Body::Contains(part) if part.is_empty() || matches!(read.end, End::Enough) => Ok(None),
        Body::Contains(part) => Ok(Some(format!("the body does not contain `{}`", shown(part.as_bytes())))),
        Body::Matches(pattern) => {
            let regex = expression(pattern)?;
            Ok((!regex.is_match(&text)).then(|| format!("the body does not match /{}/", shown(pattern.as_bytes()))))
        }
        Body::Json { pointer, equals } => Ok(json(pointer, equals, &read.bytes)),
    }
}

fn json(pointer: &str, wanted: &serde_json::Value, bytes: &[u8]) -> Option<String> {
    let document: serde_json::Value = match serde_json::from_slice(bytes) {
        Ok(document) => document,
        Err(error) => return Some(format!("the body is not JSON: {error}")),
    };
    let place = if pointer.is_empty() { "the document" } else { pointer };
    match document.pointer(pointer) {
        Some(found) if found == wanted => None,
        Some(found) => Some(format!(
            "{place} is {}, not {}",
            shown(found.to_string().as_bytes()),
            shown(wanted.to_string().as_bytes())
        )),
        None => Some(format!("there is no {place} in the body")),
    }
}

fn beginning(bytes: &[u8]) -> String {
    if bytes.is_empty() { String::new() } else { format!("body: {}", shown(bytes)) }
}
