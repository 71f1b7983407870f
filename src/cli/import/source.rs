//! The file that is imported: from this machine, from a host, or from standard input.

use std::io::Read;
use std::path::{Path, PathBuf};

use crate::cli::{Face, Failure, block_on, session};
use crate::deploy::{Heard, Turns, Words, side_by_side};
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
    let remote = name.split_once(':').filter(|_| !Path::new(name).exists());
    match remote.and_then(|(host, path)| Some((HostName::try_from(host).ok()?, path))) {
        Some((host, path)) => {
            let text = fetch(face, &host, path)?;
            let there = path.rsplit_once('/').filter(|_| path.starts_with('/')).map(|(folder, _)| folder.to_owned());
            let (folder, from) = (None, Some(host));
            Ok(Given {
                file: name.into(),
                text,
                folder,
                there,
                settings: None,
                from,
                hosts: Vec::new(),
                variables: None,
                whole: false,
            })
        }
        None => read_here(name),
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
    printed(face, host, Cmd::new("cat").arg("--").arg(path), path)
}

/// What names the project of a compose file on a host in the `.env` beside it. The rest stays there, as it may hold secrets.
pub(super) fn settings(face: &Face, given: &Given) -> Result<Option<String>, Failure> {
    const LINES: &str = r#"[ ! -e "$1/.env" ] || sed -n '/COMPOSE_PROJECT_NAME/p' "$1/.env""#;
    let path = given.file.to_str().and_then(|name| Some(name.split_once(':')?.1));
    let Some((host, path)) = given.from.as_ref().zip(path) else { return Ok(None) };
    let folder = match path.rsplit_once('/') {
        Some(("", _)) => "/",
        Some((folder, _)) => folder,
        None => ".",
    };
    let lines = Cmd::new("sh").arg("-c").arg(LINES).arg("sh").arg(folder);
    printed(face, host, lines, &format!("{folder}/.env")).map(Some)
}

/// What a command on a host prints, which reads this.
fn printed(face: &Face, host: &HostName, cmd: Cmd, path: &str) -> Result<String, Failure> {
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
            match stop.unless_stopped(heard.recv()).await.flatten() {
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
        Some(Ok(End::Code(0))) => utf8(out, path),
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
