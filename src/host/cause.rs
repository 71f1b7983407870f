//! Why a step failed on a host, in words of ours: what init systems, shells and programs say is known here, and nowhere else.
//! Pure. It names a cause only when the evidence names it; what it does not know stays as the host said it.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::{Captures, Regex};

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

/// The same for what docker and compose say, which is nearer to the root than what the program in the container says.
const DOCKER: &[(&str, &str, &str)] = &[
    (
        r"(?i)permission denied while trying to connect to the docker (?:daemon|api)|error while fetching server API version[^\n]*permission denied",
        "the login user may not use docker",
        "add the user to the group `docker` there, or set `become: sudo`",
    ),
    (
        r"Cannot connect to the Docker daemon|Error while fetching server API version|Couldn't connect to Docker daemon|error during connect",
        "the docker daemon does not answer",
        "see `systemctl status docker` on the host",
    ),
    (
        r"neither docker compose nor docker-compose is on the host",
        "compose is not on the host",
        "install the package `docker-compose-plugin` (or `docker-compose`) there",
    ),
    (
        r"the image (\S+) is not on the host, and may not be pulled",
        "the image `$1` is not on the host, and `pull: never` forbids to fetch it",
        "load it there (`docker load`), or take `pull: never` away",
    ),
    (
        r"the image of this release is gone from the host, and no registry has it: (\S+) was (\S+)",
        "the image of this release is gone from the host, and nothing says that `$1` still means it",
        "load that image there again; or give what its name means now a tag of its own, and deploy that",
    ),
    (
        r"the image (\S+) is made for (\S+), and the engine of the host is (\S+)",
        "the image `$1` is made for $2, and the host is $3",
        "give an image that is made for the host's platform, or for several",
    ),
    (
        r"(?s)no matching manifest for ([^\s:]+).*the image (\S+) was not fetched",
        "the image `$2` is not made for $1, which the host is",
        "give an image that is made for the host's platform, or for several: `docker buildx build --platform ...`",
    ),
    (
        r"the image registry (\S+) does not let (\S+) in: (?:[^\n]*\n)*?[^\n]*(?i:unauthorized|denied|incorrect)",
        "the image registry `$1` does not take the password of $2",
        "see `registries` of the registry: the user, and what the variable or the file of its password holds",
    ),
    (
        r"(?i)pull access denied for ([^\s,]+)|manifest for (\S+) not found|(?:manifest unknown|repository does not exist|requested access to the resource is denied)",
        "the registry does not have the image $1$2, or wants a login for it",
        "see that name and tag are right; for a private registry give `registries`, with the user and where the password is",
    ),
    (
        r"(?i)dial tcp: lookup (\S+)|(?:Get|Head) .?https?://([^/\s]+)/v2/[^\n]*(?:timeout|refused|no route|unreachable|reset)",
        "the registry `$1$2` cannot be reached from the host",
        "see the host's network and proxy settings of docker; an image that is there needs no registry (`pull: never`)",
    ),
    (
        r#"(?i)container name "/?([^"\s]+)" is already in use by container "?([0-9a-f]{12})"#,
        "another container on the host is called `$1` (id $2), and was not made for this service",
        "see it with `docker inspect` on the host; rename it (`docker rename`) or take it away, and deploy again",
    ),
    (
        r"(?i)bind source path does not exist: (\S+)",
        "`$1` is to be mounted, and is not on the host",
        "make it there, send it with `files`, or mount a named volume",
    ),
    (
        r"(?m)^(\S+) mounts (.+) writable, which goes with its release$",
        "`$1` would write to `$2`, which lies in its release: the next release would begin without what is written there",
        "name the folder in the compose file as `./NAME`, without a variable, and it is kept in the shared folder; or mount an \
         absolute path, or a named volume",
    ),
    (
        r"(?m)^the image keeps data in (.+), and nothing is mounted there$",
        "the image keeps data in `$1`, and the service mounts nothing there: it would be left behind with a container that goes",
        "give it a named volume (`volumes: [\"data:/PATH\"]`); or leave its `instances` as they are, and to go back nevertheless deploy \
         the older version with as many; what a container of it holds now is in a volume without a name, which `docker inspect` on the \
         host shows",
    ),
    (
        r"the project (\S+) is there already, and was not brought up by portoser",
        "a compose project `$1` runs there already, and portoser did not bring it up",
        "stop it with its own files (`docker compose down` keeps volumes), and deploy again",
    ),
    (
        r"the project (\S+) does not run as its compose file says: ([^\n]+)",
        "what runs of the compose project `$1` is not what its compose file says: $2",
        "bring it up there with its own file first, or put the file beside the registry right; nothing was touched",
    ),
    (
        r"the project (\S+) does not run, so it cannot be taken over",
        "nothing of the compose project `$1` runs, so there is nothing to take over",
        "start it there with its own file (`docker compose start`), and deploy again",
    ),
    (
        r#"(?i)exec:? "?([^":\s]+)"?: (?:executable file not found in|stat [^:\n]*: no such file)"#,
        "`$1` is not in the image",
        "correct the first word of `command`, or of the health check's `test`",
    ),
    (
        r"exec \S+: exec format error",
        "the image is built for another kind of machine",
        "build it for the host's processor",
    ),
    (
        r"(?i)unable to find user (\S+):",
        "the image has no user `$1`",
        "give a `user` that the image has in its /etc/passwd",
    ),
    (
        r"(?i)The Compose file .* is invalid|validating [^:\n]+: |additional propert\w+ .* not allowed|yaml: |contains an invalid type",
        "compose does not accept the compose file",
        "see `docker compose config` on it; the older docker-compose on a host knows fewer keys",
    ),
    (
        r"(?m)^container (\S+) is running, .* health unhealthy$",
        "the health check of the container `$1` fails",
        "what it said last is shown; mend the service, or its `healthcheck`",
    ),
    (
        r"it was killed by the OOM killer",
        "the kernel killed it, as memory ran out",
        "raise `limits.memory`, let it use less, or give the host more memory",
    ),
    (
        r"(?m)^container (\S+) is (?:exited|restarting|dead), exit code 137, ",
        "the container `$1` was killed (SIGKILL), as the kernel does when memory runs out",
        "see `dmesg` on the host; raise `limits.memory`, or let it use less",
    ),
    (
        r"(?m)^container (\S+) is running, exit code 0, started again [1-9]\d* times",
        "the container `$1` ended each time it was started",
        "its last lines are shown; mend what they tell of, and deploy again",
    ),
    (
        r"(?m)^container (\S+) is (?:exited|restarting|dead), exit code ([1-9]\d*), ",
        "the container `$1` ended with exit code $2",
        "its last lines are shown; mend what they tell of, and deploy again",
    ),
    (
        r"(?m)^container (\S+) is (?:exited|restarting), exit code 0, ",
        "the container `$1` ended by itself without a fault, and a service has to stay",
        "let it stay in the foreground; for what runs once, set `restart: { policy: never }`",
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
