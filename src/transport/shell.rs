//! From words to the one line that any login shell hands to /bin/sh unharmed, with or without sudo; and back: what the
//! host says before the command itself begins is told apart from what the command says.

use std::hash::{BuildHasher, RandomState};

use crate::model::{Cmd, Secret};

use super::{End, Lost, Said};

/// Linux takes at most 128 KiB in one word of an argument vector (MAX_ARG_STRLEN), and sshd hands the whole line to the
/// login shell as one.
const LINE_LIMIT: usize = (128 << 10) - 64;

/// How much of what precedes the command is kept to be shown when the command never begins.
const NOISE_KEPT: usize = 4 << 10;

/// How a command gains rights.
#[derive(Clone, Debug)]
pub(super) enum Rights {
    /// As the login user.
    Plain,
    /// Through sudo, with the password that sudo may ask for.
    Sudo(Option<Secret>),
}

/// A command on its way to a host: the line for the login shell, what goes ahead of its input, and the ear for its words.
pub(super) struct Order {
    pub(super) line: String,
    /// Goes into the standard input before everything else.
    pub(super) ahead: Vec<u8>,
    pub(super) ear: Ear,
}

impl Order {
    /// Makes the order. `user` is only named in errors.
    pub(super) fn new(words: &[String], rights: &Rights, user: &str) -> Result<Self, Lost> {
        let random = RandomState::new().hash_one(words);
        let (head, tail) = (format!("p{:08x}", random >> 32), format!("{:08x}", random & 0xffff_ffff));
        let (line, ahead) = match rights {
            Rights::Plain => (line(words, &plain(&head, &tail), ""), Vec::new()),
            Rights::Sudo(None) => (line(words, &sudo(&head, &tail, ""), &as_root(&head, &tail)), Vec::new()),
            Rights::Sudo(Some(password)) => {
                let password = password.reveal_for_sending();
                if password.iter().any(|byte| matches!(byte, b'\n' | 0)) {
                    return Err(Lost::SudoRefused {
                        user: user.into(),
                        says: "a password cannot hold a line break".into(),
                    });
                }
                let ahead = [password, b"\n"].concat();
                (line(words, &sudo(&head, &tail, WITH_PASSWORD), &as_root(&head, &tail)), ahead)
            }
        };
        if line.len() > LINE_LIMIT {
            return Err(Lost::TooLong { length: line.len(), limit: LINE_LIMIT });
        }
        let root = matches!(rights, Rights::Sudo(_));
        let ear = Ear {
            user: user.to_owned(),
            root,
            asked: !ahead.is_empty(),
            begin: [Marker::new(&head, &tail), Marker::new(&format!("{head}r"), &tail)],
            out: Side::default(),
            err: Side::default(),
            group: None,
        };
        Ok(Self { line, ahead, ear })
    }
}

/// How our own line ends where there is no sudo; sudo itself never ends so.
const NO_SUDO: u32 = 78;

/// The line for a login shell of any kind. POSIX shells, csh and fish agree on what stands in single quotes as long as it
/// holds no single quote, backslash, exclamation mark or line break, so the words are sent without these: each is written
/// as a positional parameter (`$1` for a backslash), which the inner shell replaces. The parameters themselves are spelled
/// in ways that each of the shells reads as something that ends (or begins) with the character meant.
fn line(words: &[String], boot: &str, root: &str) -> String {
    let mut coded = String::with_capacity(words.iter().map(|word| word.len() + 8).sum());
    for word in words {
        coded.push_str(if coded.is_empty() { "\"" } else { " \"" });
        for c in word.chars() {
            match c {
                '\\' => coded.push_str("$1"),
                '!' => coded.push_str("$2"),
                '\'' => coded.push_str("$3"),
                '$' => coded.push_str("$4"),
                '`' => coded.push_str("$5"),
                '"' => coded.push_str("$6"),
                '\n' => coded.push_str("$7"),
                '\0' => {}
                c => coded.push(c),
            }
        }
        coded.push('"');
    }
    format!(r#"exec /bin/sh -c '{UNPACK}{boot}' '\\' '\!' "'" '$' '`' '"' '{coded}' '{root}'"#)
}

/// Sets `$n` to a line break, `$r` to the root shell's script, and the positional parameters to the words.
const UNPACK: &str = concat!(
    r#"s=$6;r=$7;n="${IFS#??}";"#,
    r#"set -- "${0%"${0#?}"}" "${1#"${1%?}"}" "$2" "$3" "$4" "$5" "$n";eval "set -- $s";"#
);

/// Tells the controller on both streams that the shell has begun, and its process id, which leads the process group.
/// The marker does not occur in the line itself, so a shell that echoes its line is not mistaken for one that began.
fn tell(head: &str, tail: &str) -> String {
    format!(r#"printf "{head}%s:{tail}:" "$$";printf "{head}%s:{tail}:" "$$" >&2;"#)
}

fn plain(head: &str, tail: &str) -> String {
    format!(r#"{}"$@""#, tell(head, tail))
}

/// The password comes as the first line of the input; `read` takes no byte more. sudo is only given it when it would ask,
/// since else the line would stay in the command's input.
const WITH_PASSWORD: &str = concat!(
    r#"IFS= read -r p;if sudo -n true 2>/dev/null;then :;else "#,
    r#"printf "%s$n" "$p" | LC_ALL=C sudo -S -p "" -v || exit 77;fi;unset p;"#
);

/// sudo's own words are read by us, so they are asked for in English; the command gets the locale back. sudo is not the last
/// word: a shell such as busybox's would become it, and a ticket without a terminal is tied to the parent process.
fn sudo(head: &str, tail: &str, password: &str) -> String {
    format!(
        r#"{}command -v sudo >/dev/null||exit {NO_SUDO};{password}LC_ALL=C sudo -H -n -- /bin/sh -c "$r" sh "${{LC_ALL-}}" "$@";exit $?"#,
        tell(head, tail)
    )
}

fn as_root(head: &str, tail: &str) -> String {
    let told = tell(&format!("{head}r"), tail);
    format!(r#"if [ -n "$1" ];then LC_ALL=$1;else unset LC_ALL;fi;shift;{told}"$@""#)
}

/// What a shell prints when it begins: `head`, its process id, `:tail:`.
#[derive(Debug)]
struct Marker {
    head: Vec<u8>,
    tail: Vec<u8>,
}

impl Marker {
    fn new(head: &str, tail: &str) -> Self {
        Self { head: head.into(), tail: format!(":{tail}:").into_bytes() }
    }

    /// Where the marker begins and ends in `bytes`, and the process id in it.
    fn find(&self, bytes: &[u8]) -> Option<(usize, usize, u32)> {
        let mut from = 0;
        while let Some(at) = position(&bytes[from..], &self.head) {
            let start = from + at;
            let digits = start + self.head.len();
            let length = bytes[digits..].iter().take_while(|byte| byte.is_ascii_digit()).count();
            let end = digits + length;
            if length > 0 && bytes[end..].starts_with(&self.tail) {
                let pid = std::str::from_utf8(&bytes[digits..end]).ok()?.parse().ok()?;
                return Some((start, end + self.tail.len(), pid));
            }
            from = digits;
        }
        None
    }
}

fn position(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part)
}

/// One of the two streams: how many markers have passed, and what is not yet decided.
#[derive(Debug, Default)]
struct Side {
    passed: usize,
    waiting: Vec<u8>,
    /// What came ahead of the last marker: rc files, banners, sudo.
    noise: Vec<u8>,
}

/// Listens to a command: drops what precedes it, passes on what it says, and judges an end that came before its beginning.
#[derive(Debug)]
pub(super) struct Ear {
    user: String,
    root: bool,
    asked: bool,
    begin: [Marker; 2],
    out: Side,
    err: Side,
    group: Option<u32>,
}

impl Ear {
    /// Takes bytes of the standard output; returns what is the command's own.
    pub(super) fn out(&mut self, bytes: Vec<u8>) -> Option<Said> {
        self.hear(bytes, false).map(Said::Out)
    }

    /// Takes bytes of the standard error; returns what is the command's own.
    pub(super) fn err(&mut self, bytes: Vec<u8>) -> Option<Said> {
        self.hear(bytes, true).map(Said::Err)
    }

    /// The process group on the host, once its shell has told.
    pub(super) fn group(&self) -> Option<u32> {
        self.group
    }

    fn hear(&mut self, bytes: Vec<u8>, is_err: bool) -> Option<Vec<u8>> {
        let needed = if self.root { 2 } else { 1 };
        let side = if is_err { &mut self.err } else { &mut self.out };
        if side.passed == needed {
            return Some(bytes).filter(|bytes| !bytes.is_empty());
        }
        side.waiting.extend(bytes);
        while side.passed < needed {
            let Some((start, end, pid)) = self.begin[side.passed].find(&side.waiting) else {
                side.keep_noise();
                return None;
            };
            side.noise.clear();
            side.noise.extend(&side.waiting[start.saturating_sub(NOISE_KEPT)..start]);
            side.waiting.drain(..end);
            side.passed += 1;
            self.group.get_or_insert(pid);
        }
        Some(std::mem::take(&mut side.waiting)).filter(|bytes| !bytes.is_empty())
    }

    /// What the end means: the command's own, or the reason why it never began.
    pub(super) fn end(&self, end: End) -> Said {
        if self.out.passed == 0 && self.err.passed == 0 {
            return Said::Lost(Lost::NoShell { user: self.user.clone(), says: self.says(&end) });
        }
        if self.root && self.out.passed < 2 && self.err.passed < 2 {
            return Said::Lost(self.sudo_failed(&end));
        }
        Said::End(end)
    }

    fn sudo_failed(&self, end: &End) -> Lost {
        let says = self.says(end);
        let user = self.user.clone();
        if *end == End::Code(NO_SUDO) {
            return Lost::SudoMissing { user };
        }
        if self.asked && *end == End::Code(77) {
            return Lost::SudoRefused { user, says: format!("the password was not accepted ({says})") };
        }
        if says.contains("password is required") || says.contains("authentication is required") {
            return Lost::SudoPassword { user };
        }
        Lost::SudoRefused { user, says }
    }

    /// The last lines that came instead of the command, or the bare end.
    fn says(&self, end: &End) -> String {
        for side in [&self.err, &self.out] {
            let text = String::from_utf8_lossy(&side.waiting);
            let mut lines: Vec<_> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
            if !lines.is_empty() {
                let last = lines.split_off(lines.len().saturating_sub(3));
                return last.join("; ").chars().filter(|c| !c.is_control()).collect();
            }
        }
        match end {
            End::Code(code) => format!("it ended with {code} and said nothing"),
            End::Signal(signal) => format!("it was ended by {signal} and said nothing"),
        }
    }
}

impl Side {
    /// A marker may be split over two reads, so the last bytes are always kept; noise without end is not.
    fn keep_noise(&mut self) {
        if self.waiting.len() > 2 * NOISE_KEPT {
            self.waiting.drain(..self.waiting.len() - NOISE_KEPT);
        }
    }
}

/// The words that end a process group: first politely, after three seconds not. No `--` before the group: dash has none.
pub(super) fn kill(group: u32) -> Vec<String> {
    let script = "kill -TERM \"-$1\" 2>/dev/null || kill -TERM \"$1\" 2>/dev/null || exit 0; n=0\n\
                  while kill -0 \"-$1\" 2>/dev/null; do [ $n -lt 3 ] || break; sleep 1; n=$((n+1)); done\n\
                  kill -KILL \"-$1\" 2>/dev/null || :";
    ["/bin/sh", "-c", script, "sh", &group.to_string()].map(str::to_owned).to_vec()
}

/// What is said when a command's time is over. The words are shown as far as they name it.
pub(super) fn late(cmd: &Cmd) -> Lost {
    const SHOWN: usize = 80;
    let line = cmd.line();
    let mut shown: String = line.chars().filter(|c| !c.is_control()).take(SHOWN).collect();
    if shown.len() < line.len() {
        shown.push('…');
    }
    Lost::Overdue { what: format!("`{shown}`"), after: cmd.within }
}

#[cfg(test)]
mod tests;
