//! `portoser demo`: the main job from end to end, on a host that is an SSH server inside this process. Every verb in it is run as
//! it is printed, through the same road as on any host.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::cli::render::duration;
use crate::cli::{Exit, Face, Failure, Stop, block_on, safe};
use crate::demo::registry::{Ports, registry};
use crate::demo::service::get;
use crate::demo::{DemoError, Sandbox, Server};
use crate::model::{FailureKind, quote};

/// Show the main job on a host inside this process: no machine, no Docker, no root and no network is needed
#[derive(Debug, clap::Args)]
pub(super) struct Demo {
    /// The folder to make everything in; new or empty [default: a new one where temporary files are]
    #[arg(long = "in", value_name = "DIR")]
    folder: Option<PathBuf>,
    /// Remove the folder at the end
    #[arg(long)]
    remove: bool,
    /// Serve the host of an earlier demo from its folder until Ctrl-C, and do nothing else
    #[arg(long, value_name = "DIR", conflicts_with_all = ["folder", "remove"])]
    serve: Option<PathBuf>,
}

impl Demo {
    pub(super) fn run(self, face: &Face) -> Result<Exit, Failure> {
        if face.flags.json || face.flags.events {
            return Err(Failure::say(FailureKind::Usage, "the demo is for people: it has no --json and no --events"));
        }
        if let Some(folder) = &self.serve {
            let sandbox = Sandbox::open(folder).map_err(failed)?;
            block_on(async |stop| on_stage(face, sandbox, stop, Stage::serve).await)??;
            return Ok(Exit::DONE);
        }
        let folder = new_folder(self.folder)?;
        let program = std::env::current_exe().map_err(DemoError::Program).map_err(failed)?;
        let sandbox = Sandbox::make(&folder, &program).map_err(failed)?;
        let ended = block_on(async |stop| on_stage(face, sandbox.clone(), stop, Stage::play).await)?;
        if self.remove {
            let removing = || format!("removing {}", folder.display());
            std::fs::remove_dir_all(&folder)
                .map_err(|error| Failure::new(FailureKind::Internal, &error).doing(removing()))?;
            ended?;
        } else {
            let kept = quote(&folder.display().to_string()).into_owned();
            ended.map_err(|failure| failure.hint(format!("what the demo made is in {kept}")))?;
        }
        farewell(face, &sandbox, self.remove);
        Ok(Exit::DONE)
    }
}

fn failed(error: DemoError) -> Failure {
    Failure::new(FailureKind::Internal, &error).doing("setting up the demo")
}

/// The folder for everything, as its real path: it goes into the registry.
fn new_folder(wished: Option<PathBuf>) -> Result<PathBuf, Failure> {
    let make = || match &wished {
        None => Ok(tempfile::Builder::new().prefix("portoser-demo-").tempdir()?.keep()),
        Some(folder) => {
            std::fs::create_dir_all(folder)?;
            if std::fs::read_dir(folder)?.next().is_some() {
                return Err(std::io::Error::from(std::io::ErrorKind::DirectoryNotEmpty));
            }
            Ok(folder.clone())
        }
    };
    let folder = make()
        .and_then(std::fs::canonicalize)
        .map_err(|error| Failure::new(FailureKind::Internal, &error).doing("making the demo's folder"))?;
    // The host's base folder lies in it, and a registry takes no other path for one.
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-@+".contains(c);
    if folder.to_str().is_some_and(|path| path.chars().all(plain)) {
        return Ok(folder);
    }
    let text = format!("the demo cannot be in {}", quote(&folder.display().to_string()));
    Err(Failure::say(FailureKind::Usage, text)
        .hint("give --in DIR a path of letters, digits and `.`, `_`, `-`, `@`, `+`"))
}

/// The demo under way: its host is up.
struct Stage<'a> {
    face: &'a Face,
    sandbox: Sandbox,
    stop: Stop,
    begun: Instant,
}

/// Starts the host, plays, and stops the host with all that runs on it, however the play ended.
async fn on_stage<'a>(
    face: &'a Face,
    sandbox: Sandbox,
    stop: Stop,
    play: impl AsyncFnOnce(Stage<'a>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let begun = Instant::now();
    let server = Server::start(sandbox.clone(), 0).await.map_err(failed)?;
    let played = play(Stage { face, sandbox, stop, begun }).await;
    let left = server.stop().await;
    if !left.is_empty() {
        let numbers: Vec<_> = left.iter().map(u32::to_string).collect();
        face.warn(format!("these processes of the demo would not end: {}", numbers.join(" ")));
    }
    played
}

impl Stage<'_> {
    /// The whole play.
    async fn play(self) -> Result<(), Failure> {
        let ports = Ports::free()
            .map_err(|error| Failure::new(FailureKind::Internal, &error).doing("looking for free ports"))?;
        self.say("a host: an SSH server in this process, its disk a folder, its shell a real sh");
        self.face.talk(format!("  {}", self.sandbox.root().display()));
        self.write(ports, ("1", true))?;
        self.say("a registry of three services, db <- api <- web, each proven before the next is touched");
        self.verb(&["graph"], 0).await?;
        self.say("what a deploy would do");
        self.verb(&["plan", "--all"], 0).await?;
        self.say("the deploy: one connection, one look, one run on the host, each service proven by its own checks");
        self.verb(&["deploy", "--all"], 0).await?;
        self.say("the same again: nothing to do, one look");
        self.verb(&["deploy", "--all"], 0).await?;
        self.write(ports, ("2", false))?;
        self.say("web is changed to release 2, which will fail its health check; the deploy must bring release 1 back");
        self.verb(&["deploy", "web"], FailureKind::RolledBack.code()).await?;
        let answer = self.web(ports).await?;
        self.say("exit code 5: it failed, and the old version is back and proven");
        self.face.talk(format!("  web answers: {}", safe(answer.trim())));
        if !answer.contains(r#""version":"1""#) {
            return Err(Failure::say(FailureKind::Internal, "web does not answer as release 1 after it came back"));
        }
        self.write(ports, ("1", true))?;
        self.heal().await?;
        self.say("what this machine remembers");
        self.verb(&["history"], 0).await
    }

    /// What a playbook knows is mended; what none knows is mended by a person once, and then by itself.
    async fn heal(&self) -> Result<(), Failure> {
        let service = |name: &str| self.sandbox.base().join("services").join(name);
        let failed = |doing: &str, error: std::io::Error| Failure::new(FailureKind::Internal, &error).doing(doing);
        self.say("a file of api is removed; portoser knows that fault, and the file comes back");
        std::fs::remove_file(service("api").join("current/etc/motd"))
            .map_err(|error| failed("removing a file", error))?;
        self.verb(&["heal", "api"], 0).await?;
        let jam = |name: &str| {
            let file = service(name).join("shared/jam");
            std::fs::write(&file, "")
                .map(|()| file.display().to_string())
                .map_err(|error| failed("making a fault", error))
        };
        self.say("api jams: nobody knows that fault, so a person tries words, and as they help they are learned");
        let file = jam("api")?;
        self.verb(&["fix", "api", "--", "rm", "-f", &file], 0).await?;
        self.say("web jams, too: now it is known");
        jam("web")?;
        self.verb(&["heal", "web"], 0).await?;
        self.verb(&["lessons"], 0).await
    }

    fn write(&self, ports: Ports, web: (&str, bool)) -> Result<(), Failure> {
        let text = registry(&self.sandbox.program(), &self.sandbox.base(), ports, web);
        std::fs::write(self.sandbox.registry(), text)
            .map_err(|error| Failure::new(FailureKind::Internal, &error).doing("writing the demo's registry"))
    }

    fn say(&self, text: &str) {
        let took = duration(self.begun.elapsed());
        self.face.talk(format!("\n# {text}  [{took}]"));
    }

    /// Runs a verb as it is printed; it must end with this exit code.
    async fn verb(&self, words: &[&str], expected: u8) -> Result<(), Failure> {
        if self.stop.soon.is_cancelled() {
            return Err(interrupted());
        }
        self.face.talk(format!("$ portoser {}", words.join(" ")));
        self.face.flush();
        let mut all: Vec<OsString> = vec!["portoser".into()];
        for (flag, path) in places(&self.sandbox) {
            all.extend([flag.into(), path.into_os_string()]);
        }
        if self.face.flags.quiet {
            all.push("--quiet".into());
        }
        all.extend((0..self.face.flags.verbose).map(|_| OsString::from("--verbose")));
        all.extend(words.iter().map(OsString::from));
        // A verb has a runtime of its own. The host lives on the other threads of this one.
        let code = tokio::task::block_in_place(|| crate::cli::run(&all));
        // Lets a Ctrl-C be heard that came in the meantime.
        tokio::task::yield_now().await;
        if self.stop.soon.is_cancelled() {
            return Err(interrupted());
        }
        if code == expected {
            return Ok(());
        }
        let text = format!("`portoser {}` ended with {code} where the demo expects {expected}", words.join(" "));
        Err(Failure::say(FailureKind::Internal, text))
    }

    /// What web answers now.
    async fn web(&self, ports: Ports) -> Result<String, Failure> {
        let failed = |error: &dyn std::error::Error| {
            Failure::new(FailureKind::Internal, error).doing("asking web for its version")
        };
        let asked = tokio::time::timeout(Duration::from_secs(5), get(ports.web, "/version")).await;
        asked.map_err(|error| failed(&error))?.map_err(|error| failed(&error))
    }

    /// Serves until Ctrl-C.
    async fn serve(self) -> Result<(), Failure> {
        self.face.talk("the demo's host is up until Ctrl-C; in another terminal:");
        commands(self.face, &self.sandbox, &["plan --all", "deploy --all", "history"]);
        self.stop.soon.cancelled().await;
        Ok(())
    }
}

fn interrupted() -> Failure {
    Failure::say(FailureKind::Interrupted, "the demo was stopped")
}

/// The flags that lead a verb to the demo's things.
fn places(sandbox: &Sandbox) -> [(&'static str, PathBuf); 3] {
    [("--registry", sandbox.registry()), ("--state", sandbox.state()), ("--ssh-config", sandbox.ssh_config())]
}

/// Prints commands that work on the demo's things.
fn commands(face: &Face, sandbox: &Sandbox, verbs: &[&str]) {
    let line = |path: &Path| quote(&path.display().to_string()).into_owned();
    face.talk(format!("  export PORTOSER_REGISTRY={}", line(&sandbox.registry())));
    face.talk(format!("  export PORTOSER_STATE={}", line(&sandbox.state())));
    face.talk(format!("  export PORTOSER_SSH_CONFIG={}", line(&sandbox.ssh_config())));
    for verb in verbs {
        face.talk(format!("  portoser {verb}"));
    }
}

fn farewell(face: &Face, sandbox: &Sandbox, removed: bool) {
    face.talk(
        "\n# that was it: deployed and proven; nothing to do; failed, and came back by itself; broken, healed, and learned. Nothing runs any more",
    );
    if removed {
        face.talk("without --remove, the demo leaves its folder, and says how to go on with it");
        return;
    }
    let folder = sandbox.root().display().to_string();
    let folder = quote(&folder);
    face.talk("to go on:");
    commands(face, sandbox, &["history", "runs", "show web"]);
    face.talk("with the host up again, in another terminal:");
    face.talk(format!("  portoser demo --serve {folder}"));
    face.talk("then here:\n  portoser plan --all\n  portoser deploy --all");
    face.talk(format!("to remove it all:\n  rm -r {folder}"));
}
