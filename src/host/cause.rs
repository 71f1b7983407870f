//! Why a step failed on a host, in words of ours: what init systems, shells and programs say is known here, and nowhere else.
//! Pure. It names a cause only when the evidence names it; what it does not know stays as the host said it.

mod docker;

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::{Captures, Regex};

use docker::DOCKER;

/// A cause that is known, and the next move. Both may hold text of the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    pub says: String,
    pub hint: String,
}

/// How much is told of what a program said last.
const WORDS: usize = 160;

/// What the evidence holds (lines are parted by newlines), what it means, and the next move; `$1` is what was captured. The
/// first that matches speaks: what is nearer to the root of a failure stands above what follows from it. The exit statuses
/// from 200 on are systemd's own (systemd.exec(5), "Process Exit Codes").
const RULES: &[(&str, &str, &str)] = &[
    (
        r"(?i)(?:/var/lib/(?:docker|containerd)/|failed to (?:register|extract) layer)[^\n]*: no space left on device|KiB are free in \S+, where the engine makes",
        "the file system is full on which the engine keeps images and containers",
        "see `df -h` and `docker system df` on the host; `docker image prune` there takes away what has no name and no container",
    ),
    (
        r#"invalid symlink "[^"\n]*/build/([^"\n]+)""#,
        "Podman builds nothing where a link leads out of the folder, as `$1` does",
        "name it in `.dockerignore`: a folder of data is no part of an image",
    ),
    (
        // GNU tar's words for a file of which only the beginning was written.
        r"(?i)no space left on device|: Wrote only \d+ of \d+ bytes",
        "the file system is full, of bytes or of inodes",
        "see `df -h` and `df -i` on the host; free some space, or set a `base` elsewhere",
    ),
    (
        r"DO NOT MATCH THE HASHES[^\n]*\n\s*(\S+)|Hash mismatch for `([^`\n]+)`",
        "what was fetched for `$1$2` has not the hash that the lock says",
        "lock anew if the package was replaced on purpose; otherwise do not trust where it comes from",
    ),
    (
        r"CERTIFICATE_VERIFY_FAILED|invalid peer certificate",
        "the host does not trust the certificate of the package index",
        "name the authorities in `build_env`: PIP_CERT for pip and SSL_CERT_FILE for uv, with a file of the host",
    ),
    (
        r"Failed to download `https://[^`\n]*/cpython-(\d+\.\d+)",
        "Python $1 is not on the host, and uv cannot fetch it",
        "install that version on the host, give `python` another one, or let the host reach github.com",
    ),
    (
        r"Failed to (?:fetch|download):? `?(https?://[^/`\s]+)|connection broken by '(\w+)",
        "the package index cannot be reached from the host ($1$2)",
        "give the host a way out (HTTPS_PROXY in `build_env`), name another `index`, or send `wheels` along",
    ),
    (
        r"No matching distribution found for ([^\n]+)|there is no version of (\S+) and you require|Because (\S+) was not found in the p",
        "there is no version of `$1$2$3` for this interpreter and platform",
        "correct the lock; with `wheels`, put the wheel into that folder: `pip download` fetches it",
    ),
    (
        r"ensurepip is not\s+available|No module named (?:venv|ensurepip)",
        "the host's Python cannot make virtual environments",
        "install its `venv` on the host (Debian: python3-venv), or uv, which `portoser host prepare` brings",
    ),
    (
        r"there is no program `([^`\n]+)` in the virtual environment",
        "no package that is installed brings the program `$1`",
        "add the package to the lock, or correct the first word of `run`; the project's own programs are run as [python, -m, ...]",
    ),
    (
        r"(?m)^([^\n:]+): FAILED(?: open or read)?$",
        "the release on the host is not what was deployed: `$1` was changed there",
        "deploy from the registry, which writes it anew, or name another release with `rollback --to`",
    ),
    (
        r"Read-only file system",
        "a file system is read-only",
        "mount it writable, or write elsewhere (`base`, the shared folder); `dmesg` on the host says whether a disk failed",
    ),
    (
        r"(?m)ExecMainStatus=217$|status=217/USER|^(?:id|su|setpriv|chown): .*(?:unknown user|invalid user|no such user|does not exist)",
        "the user that it runs as is not known on the host",
        "create the user there, or change `user` in the registry",
    ),
    (
        r"(?m)ExecMainStatus=216$|status=216/GROUP",
        "the group that it runs as is not known on the host",
        "create the group there, or change the unit's template",
    ),
    (
        r"(?m)ExecMainStatus=218$|status=218/CAPABILITIES",
        "it was to be cut off from what its manager may not take away",
        "in `scope: user` leave `protect-kernel`, which `true` holds, and `private-devices` out of `harden`, or take `scope: system`",
    ),
    (
        r"(?m)ExecMainStatus=200$|status=200/CHDIR|: can't cd to /",
        "the folder that it runs in is missing, or closed to its user",
        "every folder on the way to the release must be open to `user`; see `namei -l` of the `base` on the host",
    ),
    (
        r"Failed to load environment files",
        "its environment file cannot be read",
        "deploy it again, which writes the file anew",
    ),
    (
        r"(?:execute|spawning) (\S+): Exec format error|(?m)^(\S+): (?:line )?\d+: \W?ELF",
        "`$1$2` is built for another kind of machine, or is a script that does not begin with `#!`",
        "build it for the host's processor, which `portoser host check` shows",
    ),
    (
        r"Failed to execute (\S+): No such file or directory",
        "`$1` is there, but the interpreter that its first line names is not on the host",
        "install the interpreter, or correct the line that begins with `#!`",
    ),
    (
        r"(?m)^Failed to (?:re)?start (\S+): Unit \S+ not found\.|^Unit (\S+) could not be found\.",
        "the host has no unit `$1$2`",
        "see that the name is right (`systemctl list-unit-files` on the host), and that its package is installed there",
    ),
    (
        r"(?m)^Failed to (?:re)?start (\S+): Unit \S+ is masked\.",
        "the unit `$1` is masked, so that nobody starts it",
        "`systemctl unmask` on the host lets it start again, if that is not so on purpose",
    ),
    (
        r"(?:executable|spawning|env:|exec:(?: line \d+:)?) ['‘]?([^\s'’:]+)['’]?: (?:No such file or directory|not found)",
        "`$1` is not on the host, or the interpreter that it names is not",
        "correct the first word of `run`, send the program along with `source`, or install it on the host",
    ),
    (
        r"(?:executable|execute|spawning|env:|exec:(?: line \d+:)?) ['‘]?([^\s'’:]+)['’]?: Permission denied",
        "`$1` may not be executed",
        "make it executable (`chmod +x`) in the source; or its file system is mounted `noexec`, which `findmnt -T` shows",
    ),
    (
        r"(?m)ExecMainStatus=203$|status=203/EXEC",
        "its program cannot be started: it is missing, not executable, or its interpreter is missing",
        "correct the first word of `run`, and see that the file is executable on the host",
    ),
    (
        r"(?i)(?:bind|listen)[^\n]*(?:permission denied|EACCES)|(?:permission denied|EACCES)[^\n]*(?:bind|listen)|socket\.bind\([^\n]*\n(?:[ ~^]+\n)?PermissionError",
        "it may not listen on its port",
        "ports below 1024 are for root: choose a higher one, or give the unit CAP_NET_BIND_SERVICE in its template",
    ),
    (
        r"Result=oom-kill|killed by the OOM killer",
        "the kernel killed it, as memory ran out",
        "raise `limits.memory`, let it use less, or give the host more memory",
    ),
    (
        r"(?ms)Result=signal.*ExecMainStatus=9$|^Killed$",
        "it was killed (SIGKILL), as the kernel does when memory runs out",
        "see `dmesg` on the host; raise `limits.memory`, or let it use less",
    ),
    (
        r"(?s)Result=(?:signal|core-dump).*status=\d+/([A-Z]+)",
        "it crashed (SIG$1)",
        "its last lines are shown; mend what they tell of, and deploy again",
    ),
    (
        r"start operation timed out|Result=timeout",
        "it did not say in time that it is ready",
        "a unit of `Type=notify` must tell systemd that it is ready; its last lines may say what it waits for",
    ),
];

static KNOWN: LazyLock<Vec<(Option<Regex>, &str, &str)>> = LazyLock::new(|| {
    RULES
        .iter()
        .take(3)
        .chain(DOCKER)
        .chain(&RULES[3..])
        .map(|(pattern, says, hint)| (Regex::new(pattern).ok(), *says, *hint))
        .collect()
});

/// The cause that the evidence of a failed step names. `port` is the service's.
#[must_use]
pub fn cause(evidence: &[String], port: Option<u16>) -> Option<Cause> {
    let text = evidence.join("\n");
    // The more particular cause of the two, and the only one that has the host's other processes in it.
    if let Some(taken) = taken(&text, evidence, port) {
        return Some(taken);
    }
    let known = KNOWN.iter().find_map(|(pattern, says, hint)| {
        let found = pattern.as_ref()?.captures_iter(&text).last()?;
        let mut told = String::new();
        found.expand(says, &mut told);
        Some(Cause { says: told, hint: (*hint).to_owned() })
    });
    known.or_else(|| ended(&text, evidence))
}

fn captures<'a>(pattern: &str, text: &'a str) -> Option<Captures<'a>> {
    Regex::new(pattern).ok()?.captures_iter(text).last()
}

/// Another process holds the port.
fn taken(text: &str, evidence: &[String], port: Option<u16>) -> Option<Cause> {
    captures(r"(?i)address (?:is )?already in use|EADDRINUSE|port is already allocated", text)?;
    let holder = evidence.iter().find_map(|line| held(line).filter(|(number, _)| Some(*number) == port));
    let says = match (holder, port) {
        (Some((port, holder)), _) => format!("port {port} is taken by {holder}"),
        (None, Some(port)) => format!("port {port}, or another that it wants, is taken"),
        (None, None) => "a port that it wants is taken".into(),
    };
    Some(Cause { says, hint: "stop what holds the port, or change `port` in the registry".into() })
}

/// A line of the run script that says who listens: `port 80 is held by pid 812 (nginx)`.
fn held(line: &str) -> Option<(u16, &str)> {
    let (port, holder) = line.strip_prefix("port ")?.split_once(" is held by ")?;
    Some((port.parse().ok()?, holder))
}

/// It ran, and ended by itself.
fn ended(text: &str, evidence: &[String]) -> Option<Cause> {
    const GIVEN_UP: &str = r"ended \d+ times within \d+ s, the last time with (\d+); given up";
    let often = captures(r"Result=start-limit-hit|Start request repeated too quickly|; given up", text).is_some();
    let code = captures(GIVEN_UP, text)
        .or_else(|| captures(r"(?s)Result=(?:exit-code|start-limit-hit).*ExecMainStatus=(\d+)", text))
        .or_else(|| captures(r"code=exited, status=(\d+)", text))
        .and_then(|found| Some(found.get(1)?.as_str().to_owned()));
    let clean = captures(r"(?s)Result=success.*ActiveState=(?:inactive|activating)", text).is_some();
    let mut says = match (code, often) {
        (Some(code), true) => format!("it ended with exit code {code} each time it was started, until it was given up"),
        (Some(code), false) if code != "0" => format!("it ended with exit code {code} soon after the start"),
        (None, true) => "it ended each time it was started, until it was given up".into(),
        _ if clean => {
            let hint = "let it stay in the foreground: take away the option that sends it to the background".to_owned();
            return Some(Cause { says: "it ended by itself without a fault, and a service has to stay".into(), hint });
        }
        _ => return None,
    };
    if let Some(words) = evidence.iter().rev().find(|line| own(line)) {
        let words: String = words.trim().chars().take(WORDS).collect();
        says.push_str(&format!("; it said: {words}"));
    }
    Some(Cause { says, hint: "its last lines are shown; mend what they tell of, and deploy again".into() })
}

/// Whether a line is the program's own, and not about it.
fn own(line: &str) -> bool {
    const ABOUT: &str = r#"^(?:\S+\.service: |Start(?:ed|ing) |Stopp(?:ed|ing) |Failed to start |Job for |See "systemctl |[A-Z]\w+=|it is |no process lives|portoser: |port \d+ is held by |\s*$)"#;
    captures(ABOUT, line).is_none()
}

/// The evidence as it is shown: each line once, a full disk once and not for every file, of the ports that are held only ours.
#[must_use]
pub fn distinct(evidence: Vec<String>, port: Option<u16>) -> Vec<String> {
    let (mut seen, mut tar) = (BTreeSet::new(), false);
    let mut shown = Vec::new();
    for line in evidence {
        let foreign = held(&line).is_some_and(|(number, _)| Some(number) != port);
        let again = tar && line.starts_with("tar: ");
        tar |= line.starts_with("tar: ")
            && ["No space left", "Wrote only", "Read-only"].iter().any(|why| line.contains(why));
        if !foreign && !again && seen.insert(line.clone()) {
            shown.push(line);
        }
    }
    shown
}
