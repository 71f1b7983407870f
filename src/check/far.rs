//! `from: host`: http and tcp asked on the host itself by a tool that it has. What the tool hears is judged as if it
//! had come over a connection of ours. A host without a fitting tool leaves the check unseen, and the tool is named.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

use super::http::{BODY, request_text, talk};
use super::shown::last_line;
use super::{ADDRESS, Need, Ran, Verdict};
use crate::model::{Cmd, Http, Secret, Tls};
use crate::registry::is_private_header;

/// Sends the request that it reads on its standard input, and prints what comes back.
const PYTHON_HTTP: &str = "\
import socket,ssl,sys
a,p,t,n,ca,most=sys.argv[1:7]
try:
 s=socket.create_connection((a,int(p)),float(t))
 if n: s=ssl.create_default_context(cadata=ca or None).wrap_socket(s,server_hostname=n)
 s.sendall(sys.stdin.buffer.read())
 k=int(most)
 while k>0:
  b=s.recv(65536)
  if not b: break
  sys.stdout.buffer.write(b); sys.stdout.buffer.flush(); k-=len(b)
except Exception as e: sys.exit('%s: %s'%(type(e).__name__,e))";

const PYTHON_TCP: &str = "\
import socket,sys
try: socket.create_connection((sys.argv[1],int(sys.argv[2])),float(sys.argv[3])).close()
except Exception as e: sys.exit('%s: %s'%(type(e).__name__,e))";

/// Runs the rest of its words and keeps only the beginning of what they print.
const CUT: &str = r#"most=$1; shift; "$@" | head -c "$most""#;

/// What a tool may bring back at most: a body, its head, and the framing between.
const MOST: usize = BODY + (256 << 10);

/// Words that ask by HTTP on the host.
pub(super) fn http(http: &Http, within: Duration, tools: &BTreeSet<String>) -> Result<Need, Verdict> {
    let has = |tool: &str| tools.contains(tool);
    let pinned = http.tls.as_ref().and_then(|tls| tls.ca.as_deref());
    if has("curl") && pinned.is_none() {
        return Ok(Need::Told(cut(curl(http, within)), curl_headers(http)));
    }
    if has("python3") {
        let ca = match pinned {
            Some(file) => std::fs::read_to_string(file)
                .map_err(|e| Verdict::Unseen(format!("cannot read the authorities in {}: {e}", file.display())))?,
            None => String::new(),
        };
        return Ok(Need::Told(python(http, within, ca), Secret::new(request_text(http)?.into_bytes())));
    }
    // It takes headers as words only, which everybody on the host can read.
    let private = http.send.keys().any(|name| is_private_header(name));
    if has("wget") && http.tls.is_none() && !private {
        return Ok(Need::Run(cut(wget(http, within))));
    }
    let wants = match &http.tls {
        Some(Tls { ca: Some(_), .. }) => "python3",
        Some(Tls { ca: None, .. }) => "curl or python3",
        None if !private => "curl, python3 or wget",
        None => "curl or python3, which alone keep a header that is a secret from the list of processes,",
    };
    Err(Verdict::Unseen(format!("the host has no {wants} to ask with")))
}

fn cut(cmd: Cmd) -> Cmd {
    Cmd::new("sh").args(["-c", CUT, "sh", &MOST.to_string()]).args(cmd.words().iter().cloned())
}

/// curl prints the answer as it came (`--raw -i`), and obeys no configuration, proxy or redirect of the host's.
fn curl(http: &Http, within: Duration) -> Cmd {
    let port = http.port;
    let mut cmd = Cmd::new("curl").args(["-q", "-sS", "-i", "--raw", "--http1.1", "--noproxy", "*", "--globoff"]);
    cmd = cmd.arg("--max-time").arg(within.as_secs_f64().to_string());
    let (scheme, authority) = match &http.tls {
        Some(tls) => ("https", tls.name.as_str()),
        None => ("http", ADDRESS),
    };
    if http.tls.is_some() {
        cmd = cmd.arg("--resolve").arg(format!("{authority}:{port}:{ADDRESS}"));
    }
    let host = http.host.as_deref().unwrap_or(authority);
    cmd = cmd.arg("-H").arg(format!("Host: {host}"));
    cmd = cmd.args(["--config", "-"]);
    cmd.arg("--path-as-is").arg(format!("{scheme}://{authority}:{port}{}", http.path))
}

/// The headers as lines of curl's configuration, where `\\` and `"` are escaped within quotes (curl(1), --config). A line break
/// cannot be in a header; the registry refuses it.
fn curl_headers(http: &Http) -> Secret {
    let line = |(name, value): (&String, &String)| {
        let header = format!("{name}: {value}").replace('\\', "\\\\").replace('"', "\\\"");
        format!("header = \"{header}\"\n")
    };
    Secret::new(http.send.iter().map(line).collect::<String>().into_bytes())
}

fn python(http: &Http, within: Duration, ca: String) -> Cmd {
    let name = http.tls.as_ref().map(|tls| tls.name.clone()).unwrap_or_default();
    let seconds = within.as_secs_f64().to_string();
    let words = [ADDRESS.into(), http.port.to_string(), seconds, name, ca, MOST.to_string()];
    Cmd::new("python3").args(["-c", PYTHON_HTTP]).args(words)
}

/// The options that GNU's and busybox's wget share; the head of the answer comes on standard error.
fn wget(http: &Http, within: Duration) -> Cmd {
    let seconds = within.as_secs().max(1).to_string();
    let mut cmd = Cmd::new("wget").args(["-S", "-O", "-", "-Y", "off", "-T", &seconds]);
    cmd = cmd.arg("--header").arg(format!("Host: {}", http.host.as_deref().unwrap_or(ADDRESS)));
    for (name, value) in &http.send {
        cmd = cmd.arg("--header").arg(format!("{name}: {value}"));
    }
    cmd.arg(format!("http://{ADDRESS}:{}{}", http.port, http.path))
}

/// Judges what the tool heard.
pub(super) async fn http_heard(http: &Http, ran: &Ran, within: Duration) -> Verdict {
    let head = wget_head(&ran.err);
    let bytes = match &head {
        Some(head) => [head.as_bytes(), &ran.out].concat(),
        None => ran.out.clone(),
    };
    if bytes.is_empty() {
        return missed(ran);
    }
    // The tool has done the TLS part.
    let plain = Http { tls: None, ..http.clone() };
    let until = Instant::now() + within;
    let (near, mut far) = tokio::io::duplex(64 << 10);
    let replay = async {
        let mut request = [0; 4096];
        // The answer must not be there before the question; what fails here is seen by the other side.
        let _ = far.read(&mut request).await;
        let _ = far.write_all(&bytes).await;
        let _ = far.shutdown().await;
        std::future::pending::<Verdict>().await
    };
    tokio::select! {
        biased;
        verdict = talk(&plain, near, until, within) => verdict,
        verdict = replay => verdict,
    }
}

/// The first head that wget told, without the headers that speak of a framing that is gone.
fn wget_head(err: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(err);
    let mut lines = text.lines().skip_while(|line| !line.starts_with("  HTTP/"));
    let mut head = format!("{}\r\n", lines.next()?.trim());
    for line in lines.take_while(|line| line.starts_with("  ") && line.contains(':')) {
        let name = line.trim().split(':').next().unwrap_or_default().to_ascii_lowercase();
        if !matches!(name.as_str(), "transfer-encoding" | "content-length" | "connection") {
            head.push_str(&format!("{}\r\n", line.trim()));
        }
    }
    head.push_str("\r\n");
    Some(head)
}

/// Words that ask by TCP on the host.
pub(super) fn tcp(port: u16, within: Duration, tools: &BTreeSet<String>) -> Result<Need, Verdict> {
    let port = port.to_string();
    let seconds = within.as_secs_f64().to_string();
    if tools.contains("python3") {
        return Ok(Need::Run(Cmd::new("python3").args(["-c", PYTHON_TCP, ADDRESS, &port, &seconds])));
    }
    if tools.contains("curl") {
        // curl holds such a connection until the time is over, so it gets little; it tells of the connect by itself.
        let little = within.min(Duration::from_millis(500)).as_secs_f64().to_string();
        let url = format!("telnet://{ADDRESS}:{port}");
        let words =
            ["-q", "-sS", "--noproxy", "*", "--max-time", &little, "-o", "/dev/null", "-w", "%{time_connect}", &url];
        return Ok(Need::Run(Cmd::new("curl").args(words)));
    }
    Err(Verdict::Unseen("the host has no python3 or curl to ask with".into()))
}

pub(super) fn tcp_heard(ran: &Ran) -> Verdict {
    let connected = std::str::from_utf8(&ran.out).ok().and_then(|out| out.trim().replace(',', ".").parse::<f64>().ok());
    // python3 says nothing and exits with 0; curl says how long the connect took, 0 if it never stood.
    if ran.code == Some(0) || connected.is_some_and(|seconds| seconds > 0.0) {
        return super::tcp::connected();
    }
    missed(ran)
}

/// Nothing was heard: the tool says why.
fn missed(ran: &Ran) -> Verdict {
    match ran.code {
        Some(126 | 127) => Verdict::Unseen(format!("the tool cannot be run: {}", last_line(&ran.err))),
        None => Verdict::Unseen("the tool was ended by a signal".into()),
        Some(_) => Verdict::bad_with("the host itself hears no answer", vec![last_line(&ran.err)]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_head_of_wget_is_rebuilt_without_its_framing() {
        let err = b"--2026--  http://127.0.0.1:80/\nConnecting... connected.\nHTTP request sent, awaiting response... \n  \
            HTTP/1.1 302 Found\n  Location: /x\n  Transfer-Encoding: chunked\nLocation: /x [following]\n  HTTP/1.1 200 OK\n";
        assert_eq!(wget_head(err).as_deref(), Some("HTTP/1.1 302 Found\r\nLocation: /x\r\n\r\n"));
        assert_eq!(wget_head(b"wget: can't connect to remote host (127.0.0.1): Connection refused\n"), None);
    }

    #[test]
    fn a_host_without_a_tool_is_unseen_and_the_tool_is_named() {
        let none = BTreeSet::new();
        let Err(Verdict::Unseen(why)) = tcp(80, Duration::from_secs(1), &none) else { panic!("unseen") };
        assert!(why.contains("python3"), "{why}");
    }
}
