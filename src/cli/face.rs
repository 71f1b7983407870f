//! The two ways out of the program: data to standard output, talk to standard error. Nothing else prints.
//! A reader who closes standard output has seen enough: the rest is dropped, and the verb goes on to its end.

use std::io::{self, IsTerminal, Write};
use std::sync::Mutex;

use serde::Serialize;

use crate::cli::flags::Color;
use crate::cli::{Exit, Failure, Flags, write_json};
use crate::model::FailureKind;

/// How what happens is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Live lines on standard error.
    Terminal,
    /// Plain lines on standard error.
    Plain,
    /// One document on standard output at the end.
    Json,
    /// JSON lines on standard output.
    Events,
}

/// What a verb is given: the global flags, and the ways out.
#[derive(Debug)]
pub struct Face {
    /// The global flags.
    pub flags: Flags,
    data: Mutex<Data>,
}

/// Standard output. After an error nothing more is written to it.
#[derive(Debug)]
struct Data {
    to: io::BufWriter<io::Stdout>,
    error: Option<io::Error>,
}

impl Data {
    fn write(&mut self, write: impl FnOnce(&mut io::BufWriter<io::Stdout>) -> io::Result<()>) {
        if self.error.is_none() {
            self.error = write(&mut self.to).err();
        }
    }
}

impl Face {
    /// A face for these flags.
    #[must_use]
    pub fn new(flags: Flags) -> Self {
        Self { flags, data: Mutex::new(Data { to: io::BufWriter::new(io::stdout()), error: None }) }
    }

    /// A face without any flag.
    pub(super) fn plain() -> Self {
        Self::new(Flags::default())
    }

    /// How what happens is shown.
    #[must_use]
    pub fn format(&self) -> Format {
        if self.flags.json {
            Format::Json
        } else if self.flags.events {
            Format::Events
        } else if io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb") {
            Format::Terminal
        } else {
            Format::Plain
        }
    }

    /// Whether a person can be asked.
    #[must_use]
    pub fn can_ask(&self) -> bool {
        io::stdin().is_terminal() && io::stderr().is_terminal()
    }

    /// Whether standard error is coloured.
    #[must_use]
    pub fn color(&self) -> bool {
        colored(self.flags.color, io::stderr().is_terminal())
    }

    /// Whether standard output is coloured.
    #[must_use]
    pub fn color_data(&self) -> bool {
        colored(self.flags.color, io::stdout().is_terminal())
    }

    /// Writes one line of data, or several, to standard output.
    pub fn data(&self, line: impl AsRef<str>) {
        self.with_data(|to| writeln!(to, "{}", line.as_ref()));
    }

    /// Writes a JSON document to standard output: indented for a terminal, one line otherwise.
    pub fn document(&self, document: &impl Serialize) {
        let pretty = io::stdout().is_terminal();
        self.with_data(|to| {
            write_json(&mut *to, document, pretty)?;
            writeln!(to)
        });
    }

    /// Writes one JSON line to standard output and sends it off at once.
    pub fn json_line(&self, line: &impl Serialize) {
        self.with_data(|to| {
            write_json(&mut *to, line, false)?;
            writeln!(to)?;
            to.flush()
        });
    }

    /// Writes bytes to standard output as they are, and sends them off at once.
    pub fn raw(&self, bytes: &[u8]) {
        self.with_data(|to| to.write_all(bytes).and_then(|()| to.flush()));
    }

    /// Sends off what was written to standard output.
    pub fn flush(&self) {
        self.with_data(Write::flush);
    }

    /// Whether the reader of standard output is gone, so that a verb which only prints may stop.
    #[must_use]
    pub fn data_closed(&self) -> bool {
        self.data.lock().map_or(true, |data| data.error.is_some())
    }

    /// Says something on standard error, unless `--quiet`.
    pub fn talk(&self, line: impl AsRef<str>) {
        if !self.flags.quiet {
            say(line.as_ref());
        }
    }

    /// Says a detail on standard error, when `-v` was given.
    pub fn detail(&self, line: impl AsRef<str>) {
        if self.flags.verbose > 0 {
            say(line.as_ref());
        }
    }

    /// Says a warning on standard error, even with `--quiet`.
    pub fn warn(&self, line: impl AsRef<str>) {
        say(&format!("warning: {}", line.as_ref()));
    }

    /// Prints the failure, if it is one, and gives the exit code.
    pub(super) fn close(self, ended: Result<Exit, Failure>) -> u8 {
        let code = match ended {
            Ok(Exit(code)) => code,
            Err(failure) => {
                failure.print(&self);
                failure.kind().code()
            }
        };
        self.flush();
        let error = self.data.into_inner().ok().and_then(|data| data.error);
        match error {
            Some(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                say(&format!("error: writing to standard output: {error}"));
                if code == 0 { FailureKind::Internal.code() } else { code }
            }
            _ => code,
        }
    }

    fn with_data(&self, write: impl FnOnce(&mut io::BufWriter<io::Stdout>) -> io::Result<()>) {
        if let Ok(mut data) = self.data.lock() {
            data.write(write);
        }
    }
}

/// Writes a line to standard error. When nobody listens there, nothing is left to be done about it.
pub(super) fn say(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

fn colored(color: Color, terminal: bool) -> bool {
    match color {
        Color::Always => true,
        Color::Never => false,
        // https://no-color.org: set and not empty, whatever the value.
        Color::Auto => terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
    }
}
