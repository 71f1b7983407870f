//! The file that is imported: from this machine, from a host, or from standard input.

use std::io::Read;
use std::path::{Path, PathBuf};

use crate::cli::{Face, Failure, block_on, session};
use crate::deploy::{Heard, Turns, Words, side_by_side, unless_stopped};
use crate::model::{Cmd, FailureKind, HostName};
use crate::transport::End;

/// A file to import.
#[derive(Debug)]
pub(super) struct Given {
    /// As the caller named it.
    pub(super) file: PathBuf,
    pub(super) text: String,
    /// The folder on this machine in which the files are that it names.
    pub(super) folder: Option<PathBuf>,
    /// The folder that it lies in there, if it is on a host.
    pub(super) there: Option<String>,
    /// The lines of the `.env` beside it there that name its project.
    pub(super) settings: Option<String>,
    /// The host that it is on.
    pub(super) from: Option<HostName>,
    /// Where its services run.
    pub(super) hosts: Vec<HostName>,
    /// Whose variables are added.
    pub(super) variables: Option<String>,
    /// Whether a compose project stays in one piece.
    pub(super) whole: bool,
}

/// More than this is not a file of services.
const MOST_BYTES: u64 = 32 << 20;
/// How long a host has to send a file.
const WITHIN: std::time::Duration = std::time::Duration::from_secs(30);

/// Reads a file of this machine, `HOST:PATH`, or `-`.
pub(super) fn read(face: &Face, name: &str) -> Result<Given, Failure> {
    match remote(name) {
        Some((host, path)) => Ok(given(name, (host.clone(), path), fetch(face, &host, path)?)),
        None => read_here(name),
    }
}

/// The host and the path there of `HOST:PATH`.
fn remote(name: &str) -> Option<(HostName, &str)> {
    let (host, path) = name.split_once(':').filter(|_| !Path::new(name).exists())?;
    Some((HostName::try_from(host).ok()?, path))
}

/// A file of a host.
fn given(name: &str, (host, path): (HostName, &str), text: String) -> Given {
    let there = path.rsplit_once('/').filter(|_| path.starts_with('/')).map(|(folder, _)| folder.to_owned());
    Given {
        file: name.into(),
        text,
        folder: None,
        there,
        settings: None,
        from: Some(host),
        hosts: Vec::new(),
        variables: None,
        whole: false,
    }
}

/// Reads a file of this machine, or `-`.
pub(super) fn read_here(name: &str) -> Result<Given, Failure> {
    let fail = |error: std::io::Error| Failure::new(FailureKind::Usage, &error).doing(format!("reading {name}"));
    let mut bytes = Vec::new();
    let file = match name {
        "-" => {
            std::io::stdin().lock().take(MOST_BYTES).read_to_end(&mut bytes).map_err(fail)?;
            "<stdin>"
        }
        name => {
            std::fs::File::open(name).and_then(|file| file.take(MOST_BYTES).read_to_end(&mut bytes)).map_err(fail)?;
            name
        }
    };
    let folder = if name == "-" { Path::new("") } else { Path::new(name).parent().unwrap_or(Path::new("")) };
    let folder = std::path::absolute(if folder.as_os_str().is_empty() { Path::new(".") } else { folder });
    let folder = folder.map_err(fail)?.components().collect();
    let text = utf8(bytes, name)?;
    Ok(Given {
        file: file.into(),
        text,
        folder: Some(folder),
        there: None,
        settings: None,
        from: None,
        hosts: Vec::new(),
        variables: None,
        whole: false,
    })
}

fn utf8(bytes: Vec<u8>, name: &str) -> Result<String, Failure> {
    String::from_utf8(bytes).map_err(|_| Failure::say(FailureKind::Invalid, format!("{name} is not UTF-8")))
}

/// The text of a file on a host.
pub(in crate::cli) fn fetch(face: &Face, host: &HostName, path: &str) -> Result<String, Failure> {
    utf8(printed(face, host, Cmd::new("cat").arg("--").arg(path), path)?, path)
}

/// Prints what names the project in the `.env` beside a file, an empty line, and the file. The rest of the `.env` stays there, as it may
/// hold secrets.
const COMPOSE: &str = r#"case $1 in */*) env=${1%/*}/.env ;; *) env=.env ;; esac
if [ -f "$env" ]; then
  names=$({ LC_ALL=C sed -n '/^[[:blank:]]*\(export[[:blank:]]\{1,\}\)\{0,1\}COMPOSE_PROJECT_NAME[[:blank:]]*=/{
    s//COMPOSE_PROJECT_NAME=/
    s/[[:blank:]]#.*//
    p
  }' <"$env"; } 2>/dev/null) || names='# unread'
  [ -z "$names" ] || printf '%s\n' "$names"
fi
echo
exec cat -- "$1""#;

/// A compose file, and of one on a host what names its project beside it there, in the same exec.
pub(super) fn compose(face: &Face, name: &str) -> Result<Given, Failure> {
    let Some((host, path)) = remote(name) else { return read_here(name) };
    let both = printed(face, &host, Cmd::new("sh").arg("-c").arg(COMPOSE).arg("sh").arg(path), path)?;
    let (settings, text) = parted(both);
    if settings.starts_with('#') {
        face.warn(format!("the `.env` beside {path} on `{host}` cannot be read, and may call the project otherwise"));
    }
    Ok(Given { settings: Some(settings), ..given(name, (host, path), utf8(text, path)?) })
}

/// What stands before the empty line, and what behind it.
fn parted(mut both: Vec<u8>) -> (String, Vec<u8>) {
    let end =
        if both.starts_with(b"\n") { Some(0) } else { both.windows(2).position(|two| two == b"\n\n").map(|at| at + 1) };
    let text = end.map(|end| both.split_off(end + 1)).unwrap_or_default();
    both.pop();
    (String::from_utf8_lossy(&both).into_owned(), text)
}

/// What a command on a host prints, which reads this.
fn printed(face: &Face, host: &HostName, cmd: Cmd, path: &str) -> Result<Vec<u8>, Failure> {
    let app = session::look(face)?;
    if !app.registry.hosts.contains_key(host) {
        let known = app.registry.hosts.keys().map(HostName::as_str);
        return Err(crate::cli::registry::unknown("host", host.as_str(), known));
    }
    let words = Words { label: host.to_string(), host: host.clone(), cmd: cmd.within(WITHIN), root: true };
    let run = app.run_id();
    let (out, err, end) = block_on(async |stop| {
        let (ground, mut events) = app.ground(&run, "import", stop.soon.clone());
        events.close();
        let (_tasks, mut heard) = side_by_side(&ground, vec![words], Turns::ToTheEnd);
        let (mut out, mut err, mut end) = (Vec::new(), Vec::new(), None);
        loop {
            match unless_stopped(&stop.soon, heard.recv()).await.flatten() {
                Some((_, Heard::Out(bytes))) => out.extend(bytes),
                Some((_, Heard::Err(bytes))) => err.extend(bytes),
                Some((_, Heard::End(ended))) => end = Some(Ok(ended)),
                Some((_, Heard::Lost(cut))) => end = Some(Err(cut)),
                None => return (out, err, end),
            }
        }
    })?;
    let doing = format!("reading {path} on `{host}`");
    match end {
        Some(Ok(End::Code(0))) => Ok(out),
        Some(Ok(_)) => {
            let why = String::from_utf8_lossy(&err).trim().to_owned();
            Err(Failure::say(FailureKind::Usage, why).doing(doing))
        }
        Some(Err(cut)) => Err(Failure::say(FailureKind::Unreachable, cut.why).doing(doing).hint(cut.hint)),
        None => Err(Failure::say(FailureKind::Interrupted, "stopped").doing(doing)),
    }
}

/// Where services run of a file that names no hosts.
pub(super) fn hosts(face: &Face, named: Vec<HostName>, given: &Given) -> Result<Vec<HostName>, Failure> {
    let registry = face.registry()?;
    for name in &named {
        if !registry.hosts.contains_key(name) {
            let known = registry.hosts.keys().map(HostName::as_str);
            return Err(crate::cli::registry::unknown("host", name.as_str(), known));
        }
    }
    if !named.is_empty() {
        return Ok(named);
    }
    if let Some(host) = &given.from {
        return Ok(vec![host.clone()]);
    }
    match registry.hosts.keys().collect::<Vec<_>>().as_slice() {
        [one] => Ok(vec![(*one).clone()]),
        _ => Err(Failure::say(FailureKind::Usage, "it is not known where the services run")
            .hint("name a host of the registry with `--host`; `portoser list --hosts` shows them")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a real shell reads the files")]
    fn nothing_but_the_name_of_the_project_leaves_a_host() {
        let folder = tempfile::tempdir().expect("a folder");
        let (file, env) = (folder.path().join("-f/compose.yml"), folder.path().join("-f/.env"));
        std::fs::create_dir(folder.path().join("-f")).expect("a folder");
        std::fs::write(&file, "services:\n\n  a: {}").expect("a file");
        let table: [(&[u8], &str); 6] = [
            (b"", ""),
            (b"A=secret\n# COMPOSE_PROJECT_NAME=secret\nB=secret COMPOSE_PROJECT_NAME=secret\n", ""),
            (b"COMPOSE_PROJECT_NAME=one # secret\nCOMPOSE_PROJECT_NAMES=secret\n", "COMPOSE_PROJECT_NAME=one\n"),
            (b" export\tCOMPOSE_PROJECT_NAME = 'a b'\t# secret", "COMPOSE_PROJECT_NAME= 'a b'\n"),
            (b"S=\xff\xff\nCOMPOSE_PROJECT_NAME=a\xff\r\n", "COMPOSE_PROJECT_NAME=a\u{fffd}\r\n"),
            (
                b"COMPOSE_PROJECT_NAME=a\nS=secret\nCOMPOSE_PROJECT_NAME=b\n",
                "COMPOSE_PROJECT_NAME=a\nCOMPOSE_PROJECT_NAME=b\n",
            ),
        ];
        for (lines, told) in table {
            std::fs::write(&env, lines).expect("a file");
            for (at, path) in [("/", file.to_str().expect("text")), ("", "-f/compose.yml"), ("-f", "compose.yml")] {
                let mut shell = std::process::Command::new("/bin/sh");
                let output =
                    shell.args(["-c", COMPOSE, "sh", path]).current_dir(folder.path().join(at.trim_matches('/')));
                let output = output.output().expect("a shell");
                assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
                assert_eq!(parted(output.stdout), (told.to_owned(), b"services:\n\n  a: {}".to_vec()));
            }
        }
    }
}
