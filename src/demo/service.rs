//! The tiny HTTP program that the demo and the tests deploy: `/health`, `/version` and `/`.

use std::convert::Infallible;
use std::fs::OpenOptions;
use std::io::Write;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::CONTENT_TYPE;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

/// How the program behaves.
#[derive(Clone, Debug)]
pub struct Program {
    /// The name it answers with.
    pub name: String,
    /// The version it answers with.
    pub version: String,
    /// The port on 127.0.0.1.
    pub port: u16,
    /// Whether `/health` may be good at all.
    pub healthy: bool,
    /// `/health` is bad from this time on.
    pub fail_after: Option<Duration>,
    /// The port is opened after this time.
    pub slow_start: Duration,
    /// Ports on 127.0.0.1 that must accept connections for `/health` to be good.
    pub needs: Vec<u16>,
    /// A file that gets a line at every start.
    pub write: Option<PathBuf>,
    /// `/health` is bad while there is this file.
    pub jam: Option<PathBuf>,
    /// Where it says what is wrong.
    pub say: fn(&str),
}

/// How long a client may take to say what it wants.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long answers in hand get when the program is told to stop.
const FAREWELL: Duration = Duration::from_millis(500);
/// How long a needed port may take to accept.
const NEEDED: Duration = Duration::from_millis(500);

/// Serves until `stop`.
///
/// # Errors
/// When the port cannot be opened or the file cannot be written.
pub async fn serve(program: Program, stop: CancellationToken) -> std::io::Result<()> {
    if let Some(file) = &program.write {
        let line = format!("{} {} {}\n", std::process::id(), program.name, program.version);
        OpenOptions::new().create(true).append(true).open(file)?.write_all(line.as_bytes())?;
    }
    tokio::select! {
        () = stop.cancelled() => return Ok(()),
        () = sleep(program.slow_start) => {}
    }
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, program.port)).await?;
    let program = Arc::new(program);
    let begun = Instant::now();
    let mut answers = JoinSet::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            Some(_) = answers.join_next() => {}
            Ok((stream, _)) = listener.accept() => {
                answers.spawn(answer(program.clone(), begun, stream));
            }
        }
    }
    drop(listener);
    // What is not answered by then is cut off when the set is dropped.
    let _ = timeout(FAREWELL, async { while answers.join_next().await.is_some() {} }).await;
    Ok(())
}

async fn answer(program: Arc<Program>, begun: Instant, stream: TcpStream) {
    let service = service_fn(|request: Request<Incoming>| {
        let program = program.clone();
        async move { Ok::<_, Infallible>(respond(&program, begun, request.uri().path()).await) }
    });
    let mut server = http1::Builder::new();
    server.keep_alive(false).timer(TokioTimer::new()).header_read_timeout(PATIENCE);
    // A client that breaks off has nobody to tell.
    let _ = server.serve_connection(TokioIo::new(stream), service).await;
}

async fn respond(program: &Program, begun: Instant, path: &str) -> Response<Full<Bytes>> {
    match path {
        "/" => reply(StatusCode::OK, &json!({ "hello": program.name, "version": program.version })),
        "/version" => reply(StatusCode::OK, &json!({ "name": program.name, "version": program.version })),
        "/health" => match fault(program, begun).await {
            None => reply(StatusCode::OK, &json!({ "status": "up", "version": program.version })),
            Some(why) => reply(StatusCode::SERVICE_UNAVAILABLE, &json!({ "status": "down", "why": why })),
        },
        _ => reply(StatusCode::NOT_FOUND, &json!({ "error": "not found" })),
    }
}

/// Why it is not healthy, if it is not.
async fn fault(program: &Program, begun: Instant) -> Option<String> {
    if !program.healthy {
        return Some("told to be unhealthy".into());
    }
    if program.fail_after.is_some_and(|time| begun.elapsed() >= time) {
        return Some("told to fail after a while".into());
    }
    if program.jam.as_ref().is_some_and(|file| file.exists()) {
        (program.say)("paper is jammed in tray 2");
        return Some("jammed".into());
    }
    for &port in &program.needs {
        if !matches!(timeout(NEEDED, TcpStream::connect((Ipv4Addr::LOCALHOST, port))).await, Ok(Ok(_))) {
            return Some(format!("nothing accepts connections on port {port}"));
        }
    }
    None
}

/// Asks such a program on this machine, and gives the body of its answer.
///
/// # Errors
/// When it does not answer, or not by HTTP.
pub async fn get(port: u16, path: &str) -> std::io::Result<String> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(std::io::Error::other)?;
    let ask = async {
        let request = Request::get(path).body(Full::<Bytes>::default()).map_err(std::io::Error::other)?;
        let answer = sender.send_request(request).await.map_err(std::io::Error::other)?;
        let body = Limited::new(answer.into_body(), 1 << 16).collect().await.map_err(std::io::Error::other)?;
        Ok(String::from_utf8_lossy(&body.to_bytes()).into_owned())
    };
    let moving = async {
        // Its error reaches the asker through the answer.
        let _ = connection.await;
        std::future::pending().await
    };
    tokio::select! {
        biased;
        answer = ask => answer,
        never = moving => never,
    }
}

fn reply(status: StatusCode, body: &Value) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(format!("{body}\n"))));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static("application/json"));
    response
}
