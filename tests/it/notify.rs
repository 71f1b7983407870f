//! Who is told of news: programs and webhooks get each once, signed; who does not listen stops nothing.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use libtest_mimic::{Failed, Trial};
use serde_json::Value;

use crate::verbs::{Place, trial};

type Outcome = Result<(), Failed>;

pub fn trials() -> Vec<Trial> {
    vec![
        trial("notify::news_are_told_once", told),
        trial("notify::watch_tells_what_is_new_and_ends_in_good_order", watched),
    ]
}

/// Adds these lines to the registry, and lets nothing be waited for.
fn registry(place: &Place<'_>, more: &str) -> Outcome {
    let file = place.folder.join("registry.yml");
    let text = std::fs::read_to_string(&file)?.replace("  down: { address: 127.0.0.1, port: 1 }\n", "");
    let defaults = "defaults: { heal: { apart: 50ms, policy: suggest } }\n";
    Ok(std::fs::write(file, format!("{text}{defaults}{more}"))?)
}

/// The kinds of news in a document, with their services.
fn kinds(document: &str) -> Vec<String> {
    let document: Value = serde_json::from_str(document).unwrap_or_else(|error| panic!("{error}: {document}"));
    let news = document["news"].as_array().cloned().unwrap_or_default();
    news.iter()
        .map(|one| format!("{} {}", one["kind"].as_str().unwrap_or("?"), one["service"].as_str().unwrap_or("-")))
        .collect()
}

/// Answers one POST; gives its head and its body.
fn post(listener: &TcpListener) -> std::io::Result<(String, String)> {
    let (stream, _) = listener.accept()?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let lower = line.to_ascii_lowercase();
        length = lower.strip_prefix("content-length:").and_then(|text| text.trim().parse().ok()).unwrap_or(length);
        if line.trim().is_empty() {
            break;
        }
        head += &line;
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    (&stream).write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")?;
    Ok((head, String::from_utf8_lossy(&body).into_owned()))
}

fn told(place: &Place<'_>) -> Outcome {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let (port, log) = (listener.local_addr()?.port(), place.at("told"));
    std::fs::write(place.folder.join("key"), "Jefe\n")?;
    registry(
        place,
        &format!(
            "notify:\n  - command: [/bin/sh, -c, 'cat >>\"$1\"; echo >>\"$1\"', tell, {log}]\n  \
             - {{ command: [/bin/false], news: healed }}\n  \
             - {{ webhook: \"http://127.0.0.1:{port}/hook?a=b\", key_file: key, news: [went-bad] }}\n"
        ),
    )?;
    place.want(0, &["deploy", "--all"])?;
    assert_eq!(place.want(0, &["sweep"])?.out, "");
    assert!(!std::path::Path::new(&log).exists(), "no news, nobody is told");
    std::fs::remove_file(place.folder.join("good"))?;
    let hook = std::thread::spawn(move || post(&listener));
    place.want(8, &["sweep"])?;
    let (head, body) = hook.join().expect("a hook")?;
    assert_eq!(kinds(&body), ["went-bad above"], "{body}");
    let head = head.to_ascii_lowercase();
    assert!(head.starts_with("post /hook?a=b http/1.1"), "{head}");
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, b"Jefe");
    let signed: String =
        aws_lc_rs::hmac::sign(&key, body.as_bytes()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(head.contains(&format!("x-portoser-signature: sha256={signed}")), "{head}");
    let all = || std::fs::read_to_string(&log).unwrap_or_default().lines().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(all().iter().map(|line| kinds(line)).collect::<Vec<_>>(), [["went-bad above", "gave-up above"]]);
    // The same is not told again, and neither is it printed, except to who asks for details.
    let again = place.want(8, &["sweep"])?;
    assert_eq!((again.out.as_str(), again.err.as_str()), ("", ""));
    assert!(place.want(8, &["sweep", "-v"])?.out.contains("LEFT"));
    assert_eq!(all().len(), 1);
    // A person's words tell of it like any remedy.
    let well = place.want(0, &["fix", "above", "--", "touch", &place.at("good")])?;
    assert!(well.err.contains("not told: `/bin/false` ended with"), "{}", well.err);
    let last = all().iter().map(|line| kinds(line)).next_back();
    assert_eq!(last, Some(vec!["healed above".to_owned(), "learned above".to_owned()]));
    // It comes back within the cool-down: it is known, and not told.
    std::fs::remove_file(place.folder.join("good"))?;
    place.want(8, &["sweep"])?;
    assert_eq!(all().len(), 2);
    Ok(())
}

fn watched(place: &Place<'_>) -> Outcome {
    registry(place, "")?;
    place.want(0, &["deploy", "--all"])?;
    let mut child = place
        .command(&["watch", "--interval", "1s"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let (said, lines) = std::sync::mpsc::channel();
    let out = child.stdout.take().expect("a pipe");
    let reader = std::thread::spawn(move || {
        BufReader::new(out).lines().map_while(Result::ok).for_each(|line| drop(said.send(line)));
    });
    let (heard, mut err) = (Arc::new(Mutex::new(String::new())), BufReader::new(child.stderr.take().expect("a pipe")));
    let hears = heard.clone();
    let listener = std::thread::spawn(move || {
        let mut line = String::new();
        while err.read_line(&mut line).is_ok_and(|length| length > 0) {
            *hears.lock().expect("the words") += &std::mem::take(&mut line);
        }
    });
    let said_to_err = || heard.lock().expect("the words").clone();
    let until = Instant::now() + Duration::from_secs(60);
    let wait = |begins: &str| loop {
        let line = lines.recv_timeout(until.saturating_duration_since(Instant::now())).map_err(|_| begins.to_owned());
        match line {
            Ok(line) if line.starts_with(begins) => return Ok(line),
            Ok(_) => {}
            Err(begins) => return Err(Failed::from(format!("no line begins with {begins}"))),
        }
    };
    std::fs::remove_file(place.folder.join("good"))?;
    assert!(wait("WENT BAD")?.contains("above on box"));
    // One is enough, whatever link leads to the registry.
    place.want(7, &["sweep"])?;
    std::os::unix::fs::symlink(place.folder.join("registry.yml"), place.folder.join("linked.yml"))?;
    place.want(7, &["--registry", &place.at("linked.yml"), "sweep"])?;
    // A file that is not valid at this moment is told, and what was good goes on.
    let (registry, book) = (place.folder.join("registry.yml"), place.folder.join("playbooks/half.yml"));
    let good = std::fs::read_to_string(&registry)?;
    std::fs::create_dir_all(place.folder.join("playbooks"))?;
    for (file, what) in [(&book, "the playbooks of before"), (&registry, "the registry of before")] {
        std::fs::write(file, "version: [")?;
        crate::lab::kit::wait(what, Duration::from_secs(20), || said_to_err().contains(what));
    }
    std::fs::remove_file(&book)?;
    std::fs::write(&registry, good)?;
    std::fs::write(place.folder.join("good"), "")?;
    assert!(wait("HEALED")?.contains("above on box"));
    crate::fixture::sshd::command("kill").args(["-TERM", &child.id().to_string()]).status()?;
    let ended = child.wait()?;
    reader.join().expect("the reader");
    listener.join().expect("the listener");
    assert_eq!(ended.code(), Some(0), "{}", said_to_err());
    assert!(place.want(0, &["runs"])?.out.contains("watch"));
    Ok(())
}
