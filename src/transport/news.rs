//! What is told to the world outside: a text to a program of this machine, or to a URL. Each has its deadline.

use std::process::Stdio;
use std::time::Duration;

use http_body_util::Full;
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, CONTENT_TYPE, HOST, USER_AGENT};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::check::over_tls;
use crate::registry::Url;

const AGENT: &str = concat!("portoser/", env!("CARGO_PKG_VERSION"));

/// Gives a text to a program on its standard input; it must exit with 0 in time.
///
/// # Errors
/// Why it did not, in one line.
pub async fn hand(words: &[String], text: &str, within: Duration) -> Result<(), String> {
    let (program, rest) = words.split_first().ok_or("there is no first word")?;
    #[expect(clippy::disallowed_methods, reason = "this room starts processes")]
    let mut command = tokio::process::Command::new(program);
    command.args(rest).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    let mut child = command.spawn().map_err(|error| format!("cannot start `{program}`: {error}"))?;
    let talk = async {
        if let Some(mut input) = child.stdin.take() {
            // A program that does not read its input says by its exit code whether it is content.
            let _ = input.write_all(text.as_bytes()).await;
        }
        child.wait().await
    };
    match timeout(within, talk).await {
        Ok(Ok(status)) if status.success() => Ok(()),
        Ok(Ok(status)) => Err(format!("`{program}` ended with {status}")),
        Ok(Err(error)) => Err(format!("`{program}`: {error}")),
        Err(_) => Err(format!("`{program}` did not end within {} s", within.as_secs())),
    }
}

/// Posts a JSON text with these headers; the answer must be 2xx and come in time. Redirects are answers, not directions.
///
/// # Errors
/// Why it did not, in one line.
pub async fn post(url: &Url, headers: &[(&str, String)], text: String, within: Duration) -> Result<(), String> {
    let late = || format!("{} did not answer within {} s", url.host, within.as_secs());
    timeout(within, send(url, headers, text)).await.map_err(|_| late())?
}

async fn send(url: &Url, headers: &[(&str, String)], text: String) -> Result<(), String> {
    let place = url.place();
    let stream = TcpStream::connect((url.host.as_str(), url.port)).await;
    let stream = stream.map_err(|error| format!("connecting to {place}: {error}"))?;
    let mut request = Request::post(&url.path)
        .header(HOST, &place)
        .header(USER_AGENT, AGENT)
        .header(CONTENT_TYPE, "application/json")
        .header(CONNECTION, "close");
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    let request = request.body(Full::new(Bytes::from(text))).map_err(|error| format!("the request: {error}"))?;
    if url.tls {
        exchange(over_tls(&url.host, stream).await?, request, &place).await
    } else {
        exchange(stream, request, &place).await
    }
}

async fn exchange<S>(stream: S, request: Request<Full<Bytes>>, place: &str) -> Result<(), String>
where
    S: AsyncRead + AsyncWrite + Send + Unpin,
{
    let told = |error: hyper::Error| format!("{place}: {error}");
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(told)?;
    let moving = async {
        // Its error reaches the asker through the answer.
        let _ = connection.await;
        std::future::pending().await
    };
    let answer = tokio::select! {
        biased;
        answer = sender.send_request(request) => answer.map_err(told)?,
        never = moving => never,
    };
    if answer.status().is_success() { Ok(()) } else { Err(format!("{place} answers {}", answer.status())) }
}
