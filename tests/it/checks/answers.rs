//! The table of answers to an http check. Each is served by hand, byte for byte.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::Duration;

use super::{Ask, Body, ENOUGH, Failed, From, Http, SHORT, Trial, Verdict, check, http, subject, verdict, with_tool};

/// What the verdict must be: good, or bad or unseen with these words in it.
#[derive(Clone, Copy)]
enum Must {
    Good,
    Bad(&'static str),
    Unseen(&'static str),
}

/// One line of the table.
struct Case {
    name: &'static str,
    serve: fn(&mut TcpStream) -> std::io::Result<()>,
    ask: fn(&mut Http),
    must: Must,
}

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const JSON: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 32\r\n\r\n{\"status\":\"up\",\"db\":{\"lag\":[3]}}";

fn says(bytes: &'static [u8]) -> impl Fn(&mut TcpStream) -> std::io::Result<()> {
    move |stream| stream.write_all(bytes)
}

fn case(name: &'static str, serve: fn(&mut TcpStream) -> std::io::Result<()>, must: Must) -> Case {
    Case { name, serve, ask: |_| {}, must }
}

fn asked(case: Case, ask: fn(&mut Http)) -> Case {
    Case { ask, ..case }
}

fn contains(text: &str) -> Option<Body> {
    Some(Body::Contains(text.into()))
}

fn json(pointer: &str, equals: serde_json::Value) -> Option<Body> {
    Some(Body::Json { pointer: pointer.into(), equals })
}

/// Answers that have a whole head; a tool on the host must lead to the same verdicts.
fn whole() -> Vec<Case> {
    use Must::{Bad, Good, Unseen};
    vec![
        case("ok", |s| says(OK)(s), Good),
        case("old_http", |s| says(b"HTTP/1.0 200 OK\r\n\r\nok")(s), Good),
        case("status", |s| says(b"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nwhy?")(s), Bad("status 503, not 200")),
        asked(case("other_status", |s| says(b"HTTP/1.1 204 None\r\n\r\n")(s), Good), |http| {
            http.status = vec![200, 204]
        }),
        case(
            "redirect",
            |s| says(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n")(s),
            Bad("302"),
        ),
        asked(case("header", |s| says(b"HTTP/1.1 200 OK\r\nX-Build: v12-ab\r\n\r\n")(s), Good), |http| {
            http.header.insert("x-build".into(), "v12".into());
        }),
        asked(
            case(
                "wrong_header",
                |s| says(b"HTTP/1.1 200 OK\r\nX-Build: v11\r\n\r\n")(s),
                Bad("does not contain `v12`"),
            ),
            |http| {
                http.header.insert("X-Build".into(), "v12".into());
            },
        ),
        asked(case("no_header", |s| says(OK)(s), Bad("no header `x-build`")), |http| {
            http.header.insert("x-build".into(), String::new());
        }),
        asked(case("text", |s| says(OK)(s), Good), |http| http.body = contains("ok")),
        asked(case("no_text", |s| says(OK)(s), Bad("does not contain `up`")), |http| http.body = contains("up")),
        asked(case("pattern", |s| says(OK)(s), Good), |http| http.body = Some(Body::Matches("^o[kK]$".into()))),
        asked(case("bad_pattern", |s| says(OK)(s), Unseen("pattern")), |http| {
            http.body = Some(Body::Matches("(".into()))
        }),
        asked(case("json", |s| says(JSON)(s), Good), |http| http.body = json("/status", "up".into())),
        asked(case("json_deep", |s| says(JSON)(s), Good), |http| http.body = json("/db/lag/0", 3.into())),
        asked(case("json_other", |s| says(JSON)(s), Bad("/status is \"up\", not \"down\"")), |http| {
            http.body = json("/status", "down".into());
        }),
        asked(case("json_missing", |s| says(JSON)(s), Bad("there is no /nope")), |http| {
            http.body = json("/nope", 1.into())
        }),
        asked(case("not_json", |s| says(OK)(s), Bad("not JSON")), |http| http.body = json("/status", "up".into())),
        asked(
            case(
                "chunked",
                |s| says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n")(s),
                Good,
            ),
            |http| {
                http.body = contains("ok");
            },
        ),
        asked(case("what_is_sent", echo, Good), |http| {
            http.host = Some("api.example".into());
            http.send.insert("X-Token".into(), "a'b\"c".into());
            http.body =
                Some(Body::Matches("(?is)GET /health\\?deep=1 HTTP.*host: api.example.*x-token: a'b\"c".into()));
        }),
        asked(case("what_is_sent_to_everybody", echo, Good), |http| {
            http.send.insert("Accept".into(), "a'b\"c".into());
            http.body = Some(Body::Matches("(?is)GET /health.*accept: a'b\"c".into()));
        }),
        case(
            "escapes_in_the_body",
            |s| says(b"HTTP/1.1 500 X\r\nContent-Length: 8\r\n\r\n\x1b[2J\x07\x00\xff\n")(s),
            Bad("500"),
        ),
    ]
}

/// Answers that are not answers.
fn hostile() -> Vec<Case> {
    use Must::{Bad, Good};
    vec![
        case("nothing", |_| Ok(()), Bad("without a whole answer")),
        case("half_a_head", |s| says(b"HTTP/1.1 200 OK\r\nConte")(s), Bad("without a whole answer")),
        case("garbage", |s| says(b"SSH-2.0-OpenSSH_9.2\r\n")(s), Bad("does not speak HTTP")),
        case("binary", |s| says(&[0x16, 0x03, 0x01, 0x00, 0xff, 0x1b, 0x5b, 0x41])(s), Bad("")),
        case("silence", silence, Bad("did not answer within 0.4 s")),
        case("a_drip_of_headers", drip, Bad("did not answer within 0.4 s")),
        case("huge_headers", huge_headers, Bad("too large")),
        case("many_headers", many_headers, Bad("too large")),
        // The head decides where nothing is asked of the body.
        case("an_endless_body_is_not_read", endless, Good),
        asked(case("an_endless_body", endless, Bad("does not contain `never`")), |http| http.body = contains("never")),
        asked(case("a_body_that_hangs", hang, Bad("does not contain `more`")), |http| http.body = contains("more")),
        asked(case("a_text_before_the_hang", hang, Good), |http| http.body = contains("some")),
        asked(
            case("half_a_body", |s| says(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{\"a\":1")(s), Bad("not JSON")),
            |http| {
                http.body = json("/a", 1.into());
            },
        ),
        asked(case("deep_json", deep_json, Bad("not JSON")), |http| http.body = json("/a", 1.into())),
        asked(
            case(
                "a_length_that_lies",
                |s| says(b"HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551615\r\n\r\nok")(s),
                Bad(""),
            ),
            |http| {
                http.body = contains("never");
            },
        ),
        asked(
            case(
                "a_chunk_that_lies",
                |s| says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\nok")(s),
                Bad(""),
            ),
            |http| {
                http.body = contains("never");
            },
        ),
    ]
}

pub(super) fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for case in whole() {
        let name = format!("checks::http::{}", case.name);
        trials.push(Trial::test(name, move || play(&case, From::Controller, "")));
    }
    for case in hostile() {
        let name = format!("checks::http::{}", case.name);
        trials.push(Trial::test(name, move || play(&case, From::Controller, "")));
    }
    for tool in ["curl", "python3", "wget"] {
        for mut case in whole() {
            // It takes headers as words only, which everybody on the host can read.
            if tool == "wget" && case.name == "what_is_sent" {
                case.must = Must::Unseen("curl or python3");
            }
            let name = format!("checks::http::from_host::{tool}::{}", case.name);
            trials.push(with_tool(tool, name, move || play(&case, From::Host, tool)));
        }
    }
    trials
}

/// Serves the case once, asks, and compares.
fn play(case: &Case, from: From, tool: &str) -> Result<(), Failed> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let mut http = http(listener.local_addr()?.port());
    (case.ask)(&mut http);
    let waits = matches!(case.name, "silence" | "a_drip_of_headers" | "a_body_that_hangs");
    let timeout = if waits { SHORT } else { ENOUGH };
    let check = check(Ask::Http(Box::new(http)), from, timeout);
    let found = std::thread::scope(|scope| {
        scope.spawn(|| {
            let Ok((mut stream, _)) = listener.accept() else { return };
            // Every server ends by itself, even if the check never goes away.
            let _ = stream.set_read_timeout(Some(Duration::from_secs(10)));
            let _ = stream.set_write_timeout(Some(Duration::from_secs(10)));
            // The check may leave in the middle; that is its right.
            if case.name.starts_with("what_is_sent") || read_head(&mut stream).is_ok() {
                let _ = (case.serve)(&mut stream);
            }
            let _ = stream.shutdown(std::net::Shutdown::Write);
            let _ = stream.read(&mut [0]);
        });
        let found = verdict(&check, &subject(&[tool]));
        // A check that never asked leaves the server waiting.
        drop(listener.local_addr().and_then(TcpStream::connect));
        found
    });
    let (fits, words) = match (case.must, &found) {
        (Must::Good, found) => (found.is_good(), ""),
        (Must::Bad(words), found) => (matches!(found, Verdict::Bad(_)), words),
        (Must::Unseen(words), found) => (matches!(found, Verdict::Unseen(_)), words),
    };
    if fits && found.says().contains(words) { Ok(()) } else { Err(format!("{found:?}").into()) }
}

fn read_head(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte)? == 1 {
        head.push(byte[0]);
    }
    Ok(head)
}

fn echo(stream: &mut TcpStream) -> std::io::Result<()> {
    let head = read_head(stream)?;
    write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", head.len())?;
    stream.write_all(&head)
}

/// Waits until the other side goes away.
fn silence(stream: &mut TcpStream) -> std::io::Result<()> {
    stream.read(&mut [0]).map(|_| ())
}

fn drip(stream: &mut TcpStream) -> std::io::Result<()> {
    stream.write_all(b"HTTP/1.1 200 OK\r\n")?;
    stream.set_read_timeout(Some(Duration::from_millis(20)))?;
    for _ in 0..500 {
        stream.write_all(b"X: y\r\n")?;
        match stream.read(&mut [0]) {
            Ok(_) => break,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn huge_headers(stream: &mut TcpStream) -> std::io::Result<()> {
    stream.write_all(b"HTTP/1.1 200 OK\r\nX: ")?;
    for _ in 0..64 {
        stream.write_all(&[b'x'; 64 << 10])?;
    }
    stream.write_all(b"\r\n\r\n")
}

fn many_headers(stream: &mut TcpStream) -> std::io::Result<()> {
    stream.write_all(b"HTTP/1.1 200 OK\r\n")?;
    stream.write_all("A: b\r\n".repeat(2000).as_bytes())?;
    stream.write_all(b"\r\n")
}

fn endless(stream: &mut TcpStream) -> std::io::Result<()> {
    stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
    loop {
        stream.write_all(b"4\r\nspam\r\n".repeat(512).as_slice())?;
    }
}

fn hang(stream: &mut TcpStream) -> std::io::Result<()> {
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome")?;
    silence(stream)
}

fn deep_json(stream: &mut TcpStream) -> std::io::Result<()> {
    write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")?;
    stream.write_all(&[b'['; 100_000])
}
