//! Streams of bytes from hosts on their way to this machine's terminal or pipe, and its input on the way to a host.

use std::io::{IsTerminal, Write as _};

use tokio::io::AsyncReadExt as _;
use tokio::sync::mpsc::Sender;

use crate::cli::{Exit, Face, Failure, Stop, safe};
use crate::deploy::{Cut, Ground, Heard, Words, pass, start, unless_stopped};
use crate::model::FailureKind;
use crate::transport::{End, Running};

/// How much input is sent at once.
const PIECE: usize = 64 << 10;

/// Cuts bytes into lines.
#[derive(Debug, Default)]
pub(super) struct Lines(Vec<u8>);

impl Lines {
    /// The lines that are whole now.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Vec<String> {
        // What came before has no end of a line: to look through it again with each piece would take a long line's square.
        let Some(end) = bytes.iter().rposition(|&byte| byte == b'\n') else {
            self.0.extend_from_slice(bytes);
            return Vec::new();
        };
        self.0.extend_from_slice(&bytes[..=end]);
        let whole = std::mem::replace(&mut self.0, bytes[end + 1..].to_vec());
        String::from_utf8_lossy(&whole).lines().map(str::to_owned).collect()
    }

    /// The line that was not ended.
    pub(super) fn rest(&mut self) -> Option<String> {
        let rest = std::mem::take(&mut self.0);
        (!rest.is_empty()).then(|| String::from_utf8_lossy(&rest).into_owned())
    }
}

/// One line of a source on standard output: harmless on a terminal, as it is in a pipe.
pub(super) fn print(face: &Face, prefix: &str, line: &str) {
    let line = if std::io::stdout().is_terminal() { safe(line) } else { line.into() };
    face.raw(format!("{prefix}{line}\n").as_bytes());
}

/// The exit code of a command, as a shell gives it: 128 and the signal's number for one that a signal ended.
pub(super) fn code(end: &End) -> u8 {
    match end {
        End::Code(code) => u8::try_from(*code).unwrap_or(255),
        End::Signal(name) => match name.as_str() {
            "SIGHUP" | "HUP" => 129,
            "SIGINT" | "INT" => 130,
            "SIGQUIT" | "QUIT" => 131,
            "SIGABRT" | "ABRT" => 134,
            "SIGKILL" | "KILL" => 137,
            "SIGSEGV" | "SEGV" => 139,
            "SIGPIPE" | "PIPE" => 141,
            "SIGTERM" | "TERM" => 143,
            _ => 128,
        },
    }
}

/// Runs words on one host as if they ran here: input, output and exit code pass through.
pub(super) async fn through(
    face: &Face,
    ground: &std::sync::Arc<Ground>,
    words: &Words,
    stop: &Stop,
) -> Result<Exit, Failure> {
    let lost = |cut: Cut| Failure::say(cut.kind(), cut.why).hint(cut.hint);
    let (far, Running { input, output }) = unless_stopped(&stop.soon, start(ground, words))
        .await
        .ok_or_else(crate::cli::session::stopped)?
        .map_err(lost)?;
    let feed = async {
        if !std::io::stdin().is_terminal() {
            forward(input).await;
        }
        std::future::pending::<()>().await;
    };
    let mut ended = None;
    let hear = pass(output, |heard| match heard {
        Heard::Out(bytes) => face.raw(&bytes),
        Heard::Err(bytes) => drop(std::io::stderr().lock().write_all(&bytes)),
        Heard::End(end) => ended = Some(Ok(Exit(code(&end)))),
        Heard::Lost(cut) => ended = Some(Err(lost(cut))),
    });
    let interrupted = tokio::select! {
        () = hear => false,
        () = feed => false,
        () = stop.soon.cancelled() => true,
    };
    far.link.close().await;
    match ended {
        Some(ended) => ended,
        None if interrupted => Ok(Exit(FailureKind::Interrupted.code())),
        None => Err(Failure::say(FailureKind::Unreachable, "the command ended without a word")),
    }
}

/// Sends standard input to its end.
async fn forward(input: Sender<Vec<u8>>) {
    let mut from = tokio::io::stdin();
    let mut bytes = vec![0; PIECE];
    while let Ok(length @ 1..) = from.read(&mut bytes).await {
        if input.send(bytes[..length].to_vec()).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_cut_where_they_end_however_they_come() {
        let mut lines = Lines::default();
        assert_eq!(lines.push(b"a\nb\r\nc"), ["a", "b"]);
        assert_eq!(lines.push(b""), Vec::<String>::new());
        assert_eq!(lines.push(b"d\n"), ["cd"]);
        assert_eq!(lines.rest(), None);
        assert!(lines.push(b"e\xff").is_empty());
        assert_eq!(lines.rest().as_deref(), Some("e\u{fffd}"));
    }

    #[test]
    fn a_long_line_takes_as_long_as_it_is_long() {
        let began = std::time::Instant::now();
        let (mut lines, piece) = (Lines::default(), [b'x'; 1 << 10]);
        // Looked through from the beginning with each piece, this is 128 GiB.
        for _ in 0..16 << 10 {
            assert!(lines.push(&piece).is_empty());
        }
        assert_eq!(lines.rest().map(|line| line.len()), Some(16 << 20));
        assert!(began.elapsed().as_secs() < 20, "it took {:?}", began.elapsed());
    }
}
