//! http: one HTTP/1.1 request over a connection that the caller brings. The head of the answer decides; the body is read only
//! where the check asks about it, and then at most `BODY` bytes. Redirects are answers, not directions.

mod answer;

use std::time::Duration;

use http_body_util::Empty;
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, CONNECTION, HOST, USER_AGENT};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, timeout_at};

use super::shown::shown;
use super::{ADDRESS, Verdict, tls};
use crate::model::Http;

/// The largest head of an answer that is read, in bytes.
const HEAD: usize = 64 << 10;
/// The most header lines of an answer.
const LINES: usize = 200;
/// The most of a body that is read, in bytes.
pub(super) const BODY: usize = 1 << 20;

const AGENT: &str = concat!("portoser/", env!("CARGO_PKG_VERSION"));

/// Asks over the connection and judges; all of it until `until`, which is `within` after the question began.
pub(super) async fn talk<S>(http: &Http, stream: S, until: Instant, within: Duration) -> Verdict
where
    S: AsyncRead + AsyncWrite + Send + Unpin,
{
    let secs = within.as_secs_f64();
    let Some(tls) = &http.tls else {
        return exchange(http, stream, until, secs).await;
    };
    match timeout_at(until, tls::wrap(tls, &[b"http/1.1"], stream)).await {
        Ok(Ok(stream)) => {
            let term = tls::term(&stream);
            exchange(http, stream, until, secs).await.lasting(term)
        }
        Ok(Err(verdict)) => verdict,
        Err(_) => tls::unended(secs),
    }
}

async fn exchange<S>(http: &Http, stream: S, until: Instant, secs: f64) -> Verdict
where
    S: AsyncRead + AsyncWrite + Send + Unpin,
{
    let request = match request(http) {
        Ok(request) => request,
        Err(verdict) => return verdict,
    };
    // hyper sizes its buffer by the larger of the two; a head beyond it is an error, not more memory.
    let handshake = http1::Builder::new().max_buf_size(HEAD).max_headers(LINES).handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = match handshake {
        Ok(pair) => pair,
        Err(error) => return Verdict::bad_with("does not speak HTTP", causes(&error)),
    };
    let dialogue = async {
        match timeout_at(until, sender.send_request(request)).await {
            Ok(Ok(response)) => answer::judge(http, response, until, secs).await,
            Ok(Err(error)) => Verdict::bad_with(unanswered(&error), causes(&error)),
            Err(_) => Verdict::bad(format!("connected, but did not answer within {secs} s")),
        }
    };
    // The connection moves the bytes; its end or error reaches the dialogue through the answer, so it is never the result.
    let moving = async {
        let _ = connection.await;
        std::future::pending::<Verdict>().await
    };
    tokio::select! {
        biased;
        verdict = dialogue => verdict,
        verdict = moving => verdict,
    }
}

fn request(http: &Http) -> Result<Request<Empty<Bytes>>, Verdict> {
    let host = http.host.as_deref().or(http.tls.as_ref().map(|tls| tls.name.as_str())).unwrap_or(ADDRESS);
    let mut request = Request::get(&http.path).header(HOST, host);
    for (name, value) in &http.send {
        request = request.header(name, value);
    }
    for (name, value) in [(USER_AGENT, AGENT), (ACCEPT, "*/*"), (CONNECTION, "close")] {
        if !http.send.keys().any(|sent| name.as_str().eq_ignore_ascii_case(sent)) {
            request = request.header(name, value);
        }
    }
    request.body(Empty::new()).map_err(|e| Verdict::Unseen(format!("the request cannot be written: {e}")))
}

/// The request's bytes, for a tool on the host to send.
pub(super) fn request_text(http: &Http) -> Result<String, Verdict> {
    let request = request(http)?;
    let mut text = format!("GET {} HTTP/1.1\r\n", request.uri());
    for (name, value) in request.headers() {
        let value = value.to_str().map_err(|_| Verdict::Unseen(format!("the header {name} cannot be sent")))?;
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("\r\n");
    Ok(text)
}

fn unanswered(error: &hyper::Error) -> &'static str {
    if error.is_parse_too_large() {
        "the head of its answer is too large"
    } else if error.is_parse() {
        "does not speak HTTP"
    } else if error.is_incomplete_message() {
        "closed the connection without a whole answer"
    } else {
        "the connection broke before an answer"
    }
}

/// The chain of an error, for evidence.
fn causes(error: &dyn std::error::Error) -> Vec<String> {
    let mut lines = vec![shown(error.to_string().as_bytes())];
    let mut source = error.source();
    while let Some(error) = source {
        lines.push(shown(error.to_string().as_bytes()));
        source = error.source();
    }
    lines
}

/// The status as people know it.
fn status_of(response: &Response<Incoming>) -> String {
    response.status().to_string()
}
