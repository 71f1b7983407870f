//! `portoser watch --install`: the unit or property list by which this machine's init system runs the watch. It writes one file,
//! starts nothing, and says how to.

use std::path::{Path, PathBuf};

use crate::cli::diagnose::selection;
use crate::cli::flags::Color;
use crate::cli::watch::Watch;
use crate::cli::{Exit, Face, Failure, Flags};
use crate::model::FailureKind;
use crate::registry::write_duration;

/// What the files are called.
const NAME: &str = "portoser-watch";

/// Writes the file. One that is there with other words is left, unless `--yes` was given.
pub(super) fn install(face: &Face, watch: &Watch) -> Result<Exit, Failure> {
    let registry = std::mem::ManuallyDrop::into_inner(face.registry()?);
    selection(&registry, &watch.names)?;
    drop(registry);
    if face.flags.ask_become_pass {
        return Err(Failure::say(
            FailureKind::Usage,
            "nobody is there to be asked for a password of sudo at each start",
        )
        .hint("let sudo on the hosts ask for none, or run the watch by hand with --ask-become-pass"));
    }
    let registry = absolute(&face.registry_path()?)?;
    let program = std::env::current_exe().map_err(|error| internal(&error, "finding this program's own file"))?;
    let words = words(&program, &registry, &face.flags, watch)?;
    let plain = |word: &String| word.chars().all(|c| c.is_ascii_alphanumeric() || "/._-@+".contains(c));
    if let Some(word) = words.iter().find(|word| !plain(word)) {
        return Err(Failure::say(FailureKind::Usage, format!("a unit cannot be made with the path or name {word:?}"))
            .hint("use paths of letters, digits and `.`, `_`, `-`, `@`, `+`"));
    }
    let home = etcetera::home_dir().map_err(|_| Failure::say(FailureKind::Internal, "this user has no home folder"))?;
    let root = is_root(&home);
    let (file, text, start) = if cfg!(target_os = "macos") {
        let folder = if root { PathBuf::from("/Library/LaunchDaemons") } else { home.join("Library/LaunchAgents") };
        let file = folder.join(format!("{NAME}.plist"));
        let start = format!("launchctl load -w {}", file.display());
        (file, plist(&words), start)
    } else if Path::new("/run/systemd/system").exists() {
        let (folder, scope) = if root {
            (PathBuf::from("/etc/systemd/system"), "")
        } else {
            (home.join(".config/systemd/user"), " --user")
        };
        let start = format!("systemctl{scope} daemon-reload && systemctl{scope} enable --now {NAME}");
        (folder.join(format!("{NAME}.service")), unit(&words, root), start)
    } else {
        return Err(Failure::say(FailureKind::Refused, "this machine has neither systemd nor launchd")
            .hint(format!("let its init system run: {}", words.join(" "))));
    };
    write(face, &file, &text)?;
    face.talk(format!("{} is written; nothing is started", file.display()));
    face.data(start);
    Ok(Exit::DONE)
}

/// The words that watch as it was asked for here. `--yes` answered the question about the file.
fn words(program: &Path, registry: &Path, flags: &Flags, watch: &Watch) -> Result<Vec<String>, Failure> {
    let mut words = vec![program.display().to_string(), "--registry".into(), registry.display().to_string()];
    for (flag, given) in [("--state", &flags.state), ("--ssh-config", &flags.ssh_config)] {
        if let Some(path) = given {
            words.extend([flag.to_owned(), absolute(path)?.display().to_string()]);
        }
    }
    if let Some(environment) = &flags.environment {
        words.extend(["--env".to_owned(), environment.clone()]);
    }
    match flags.color {
        Color::Auto => {}
        Color::Always => words.extend(["--color".to_owned(), "always".to_owned()]),
        Color::Never => words.extend(["--color".to_owned(), "never".to_owned()]),
    }
    words.extend((0..flags.verbose).map(|_| "--verbose".to_owned()));
    let switches = [("--quiet", flags.quiet), ("--json", flags.json), ("--events", flags.events)];
    words.extend(switches.into_iter().filter(|(_, given)| *given).map(|(flag, _)| flag.to_owned()));
    words.extend(["watch".to_owned(), "--interval".to_owned(), write_duration(watch.interval)]);
    words.extend(watch.dry_run.then(|| "--dry-run".to_owned()));
    words.extend(watch.names.iter().cloned());
    Ok(words)
}

/// Whether this process is root's: by the owner of its entry in the process table, or where there is none, by its home folder.
fn is_root(home: &Path) -> bool {
    #[cfg(unix)]
    if let Ok(own) = std::fs::metadata("/proc/self") {
        return std::os::unix::fs::MetadataExt::uid(&own) == 0;
    }
    home == Path::new("/var/root")
}

fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path).map_err(|error| internal(&error, "finding where the registry is"))
}

fn internal(error: &std::io::Error, doing: &str) -> Failure {
    Failure::new(FailureKind::Internal, error).doing(doing)
}

fn write(face: &Face, file: &Path, text: &str) -> Result<(), Failure> {
    let failed = |error: std::io::Error| internal(&error, &format!("writing {}", file.display()));
    if let Ok(old) = std::fs::read_to_string(file)
        && old != text
        && !face.flags.yes
    {
        return Err(Failure::say(FailureKind::Refused, format!("{} is there with other words", file.display()))
            .hint("give --yes to write over it"));
    }
    let folder = file.parent().unwrap_or(Path::new("/"));
    std::fs::create_dir_all(folder).map_err(failed)?;
    let mut new = tempfile::Builder::new().prefix(".portoser-").tempfile_in(folder).map_err(failed)?;
    std::io::Write::write_all(&mut new, text.as_bytes()).map_err(failed)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        new.as_file().set_permissions(std::fs::Permissions::from_mode(0o644)).map_err(failed)?;
    }
    new.persist(file).map(drop).map_err(|error| failed(error.error))
}

fn unit(words: &[String], root: bool) -> String {
    let wanted = if root { "multi-user.target" } else { "default.target" };
    format!(
        "# Written by `portoser watch --install`.\n[Unit]\nDescription=portoser heals what the registry names\n\
         Wants=network-online.target\nAfter=network-online.target\n\n[Service]\nExecStart={}\nRestart=on-failure\nRestartSec=30\n\
         # A remedy that is under way is finished or undone first.\nTimeoutStopSec=120\n\n[Install]\nWantedBy={wanted}\n",
        words.join(" ")
    )
}

fn plist(words: &[String]) -> String {
    let words: String = words.iter().map(|word| format!("    <string>{word}</string>\n")).collect();
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!-- Written by `portoser watch` with its flag for installing. -->\n\
         <!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" \"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n\
         <plist version=\"1.0\">\n<dict>\n  <key>Label</key><string>{NAME}</string>\n  <key>ProgramArguments</key>\n  <array>\n{words}  </array>\n  \
         <key>RunAtLoad</key><true/>\n  <key>KeepAlive</key><dict><key>SuccessfulExit</key><false/></dict>\n  \
         <key>ThrottleInterval</key><integer>30</integer>\n  <key>ExitTimeOut</key><integer>120</integer>\n</dict>\n</plist>\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_asked_for_is_what_is_run() {
        let watch = Watch {
            names: vec!["api".into()],
            interval: std::time::Duration::from_secs(60),
            dry_run: true,
            install: true,
        };
        let flags = Flags {
            environment: Some("live".into()),
            state: Some("/var/state".into()),
            ssh_config: Some("/etc/ssh_config".into()),
            color: Color::Never,
            verbose: 2,
            events: true,
            yes: true,
            ..Flags::default()
        };
        let said = |flags: &Flags, watch: &Watch| {
            words(Path::new("/bin/portoser"), Path::new("/r.yml"), flags, watch).map(|words| words.join(" ")).ok()
        };
        let all = "/bin/portoser --registry /r.yml --state /var/state --ssh-config /etc/ssh_config --env live --color never \
                   --verbose --verbose --events watch --interval 1m --dry-run api";
        assert_eq!(said(&flags, &watch).as_deref(), Some(all));
        let plain = Watch { names: Vec::new(), dry_run: false, ..watch };
        let few = "/bin/portoser --registry /r.yml watch --interval 1m";
        assert_eq!(said(&Flags::default(), &plain).as_deref(), Some(few));
    }

    #[test]
    fn both_kinds_run_the_same_words() {
        let words: Vec<String> = ["/usr/bin/portoser", "watch", "--interval", "30s"].map(str::to_owned).into();
        assert!(unit(&words, true).contains("\nExecStart=/usr/bin/portoser watch --interval 30s\n"));
        assert!(plist(&words).contains("<string>--interval</string>\n    <string>30s</string>\n"));
    }
}
