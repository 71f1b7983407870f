//! A host in a temporary folder, and the session with a run on it.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use libtest_mimic::{Failed, Trial};
use portoser::host::run::{self, Compression, End, Happened, HostRun, Opening, Order, Reader, Report, Stage, Tree};
use portoser::host::run::{TreeEntry, TreeKind};
use portoser::model::{Content, OnLostContact, ReleaseId, RunId, ServiceName, Step, sha256};

/// Every wait of these trials ends by then.
pub const DEADLINE: Duration = Duration::from_secs(40);

/// The shells that play /bin/sh; `busybox` brings all its applets along.
pub const SHELLS: [&str; 3] = ["dash", "bash", "busybox"];

pub fn trial(shell: &'static str, name: &str, test: impl Fn(&Desk) -> Result<(), String> + Send + 'static) -> Trial {
    let missing = !Path::new("/usr/bin").join(shell).exists();
    if missing {
        eprintln!("skipped: runner::{shell}::{name}: {shell} is not installed");
    }
    let run = move || {
        let desk = Desk::new(shell);
        test(&desk).map_err(Failed::from)
    };
    Trial::test(format!("runner::{shell}::{name}"), run).with_ignored_flag(missing)
}

/// A host: a base folder, a folder for the rest of the world, and a shell.
pub struct Desk {
    dir: tempfile::TempDir,
    path: String,
}

impl Desk {
    pub fn new(shell: &str) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let bin = dir.path().join("bin");
        fs::create_dir(&bin).expect("bin");
        if shell == "busybox" {
            let busybox = Path::new("/usr/bin/busybox");
            let list = command(busybox).arg("--list").output().expect("busybox").stdout;
            for applet in String::from_utf8_lossy(&list).lines() {
                symlink(busybox, bin.join(applet)).expect("applet");
            }
        } else {
            symlink(Path::new("/usr/bin").join(shell), bin.join("sh")).expect("sh");
        }
        fs::create_dir(dir.path().join("world")).expect("world");
        let path = format!("{}:/usr/bin:/bin", bin.display());
        Self { dir, path }
    }

    pub fn base(&self) -> String {
        self.at("base")
    }

    /// A path of the host's.
    pub fn at(&self, path: &str) -> String {
        self.dir.path().join(path).display().to_string()
    }

    pub fn service(&self) -> String {
        self.at("base/services/api")
    }

    pub fn run(&self, number: u32, stages: Vec<Stage>) -> HostRun {
        HostRun {
            id: run_id(number),
            base: self.base(),
            who: "me@desk".into(),
            wait_lock: Duration::from_secs(30),
            ticket: None,
            within: None,
            contact: None,
            logins: Vec::new(),
            asked: None,
            treatment: None,
            stages,
        }
    }

    pub fn open(&self, run: &HostRun, trees: &[Tree]) -> Session {
        let opening = run::open(run, trees, Compression::Gzip).expect("a payload");
        self.start(opening)
    }

    /// Starts the command and sends the payload.
    pub fn start(&self, mut opening: Opening) -> Session {
        let mut bytes = Vec::new();
        opening.payload.read_to_end(&mut bytes).expect("bytes");
        self.start_with(&opening, &bytes)
    }

    pub fn start_with(&self, opening: &Opening, bytes: &[u8]) -> Session {
        let mut shell = command(Path::new(&self.at("bin/sh")));
        shell.args(&opening.cmd.words()[1..]).env("PATH", &self.path);
        Session::begin(&mut shell, bytes)
    }

    /// Sends the payload by a link that is lost before the host can say a word.
    pub fn unheard(&self, mut opening: Opening) {
        let mut bytes = Vec::new();
        opening.payload.read_to_end(&mut bytes).expect("bytes");
        let mut shell = command(Path::new(&self.at("bin/sh")));
        shell.args(&opening.cmd.words()[1..]).env("PATH", &self.path);
        let mut child = shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("sh");
        drop(child.stdout.take());
        child.stdin.take().expect("a pipe").write_all(&bytes).expect("written");
        child.wait().expect("an end");
    }

    /// Runs it to its end, giving each stage its `go` and its `keep`.
    pub fn commit(&self, run: &HostRun, trees: &[Tree]) -> Result<Session, String> {
        let mut session = self.open(run, trees);
        for stage in 1..=run.stages.len() {
            if stage > 1 {
                session.send(Order::Go(stage));
            }
            session.until(&format!("switched {stage}"), |event| *event == Happened::Switched { stage })?;
            session.send(Order::Keep(stage));
            session.until("kept", |event| *event == Happened::Kept { stage, proven: true })?;
        }
        session.send(Order::Finish);
        session.ends(End::Committed)?;
        Ok(session)
    }

    /// The run that settles.
    pub fn settler(&self) -> RunId {
        RunId::new(jiff::Timestamp::from_second(1_900_000_000).expect("in range"), 99)
    }

    /// Settles what stopped in the middle.
    pub fn settle(&self) -> Result<(), String> {
        let opening =
            run::settle(&self.base(), &self.settler(), "me@desk", Duration::from_secs(30)).expect("a payload");
        let mut session = self.start(opening);
        session.ends(End::Nothing)
    }

    /// Every path of the services and of the world, with what it is: mode and hash, or target.
    pub fn picture(&self) -> BTreeMap<String, String> {
        let mut picture = BTreeMap::new();
        for top in ["base/services", "world"] {
            draw(&self.dir.path().join(top), &mut picture);
        }
        picture.retain(|path, _| !path.ends_with("/proven"));
        picture
    }

    /// The process of the run's runner, as it noted itself.
    pub fn runner(&self, run: &HostRun) -> Option<i32> {
        let text = fs::read_to_string(self.at(&format!("base/runs/{}/runner", run.id))).ok()?;
        if text.contains("starting") { None } else { text.split(' ').next()?.parse().ok() }
    }

    pub fn kill(&self, run: &HostRun) {
        if let Some(pid) = self.runner(run) {
            let _ = command(Path::new("/bin/kill")).args(["-9", &pid.to_string()]).status();
        }
    }
}

fn draw(path: &Path, picture: &mut BTreeMap<String, String>) {
    let Ok(meta) = fs::symlink_metadata(path) else { return };
    let mode = meta.permissions().mode() & 0o7777;
    let what = if meta.is_symlink() {
        format!("-> {}", fs::read_link(path).expect("a link").display())
    } else if meta.is_dir() {
        for entry in fs::read_dir(path).expect("a folder") {
            draw(&entry.expect("an entry").path(), picture);
        }
        format!("folder {mode:o}")
    } else {
        let hash = sha256(&fs::read(path).expect("a file"));
        format!("file {mode:o} {}", hash.iter().map(|b| format!("{b:02x}")).collect::<String>())
    };
    picture.insert(path.display().to_string(), what);
}

/// What is said by a run that is followed.
pub struct Session {
    pub child: Child,
    pub input: Option<ChildStdin>,
    reports: Receiver<Report>,
    pub seen: Vec<Report>,
}

impl Session {
    /// Starts the command, and sends the bytes to it.
    pub fn begin(command: &mut Command, bytes: &[u8]) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a shell");

        let mut input = child.stdin.take().expect("stdin");
        // A host that refuses does not read on.
        let _ = input.write_all(bytes);
        let mut output = child.stdout.take().expect("stdout");
        let (tell, reports) = channel();
        std::thread::spawn(move || {
            let (mut reader, mut buffer) = (Reader::default(), vec![0; 1 << 16]);
            while let Ok(count @ 1..) = output.read(&mut buffer) {
                for report in reader.push(&buffer[..count]) {
                    if tell.send(report).is_err() {
                        return;
                    }
                }
            }
        });
        Self { child, input: Some(input), reports, seen: Vec::new() }
    }

    pub fn send(&mut self, order: Order) {
        if let Some(input) = &mut self.input {
            let _ = input.write_all(order.line().as_bytes());
        }
    }

    /// The next report; none when the follower has ended.
    pub fn next(&mut self) -> Result<Option<Report>, String> {
        match self.reports.recv_timeout(DEADLINE) {
            Ok(report) => {
                self.seen.push(report.clone());
                Ok(Some(report))
            }
            Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => Ok(None),
            Err(_) => Err(format!("nothing more was said; before: {:#?}", self.seen)),
        }
    }

    pub fn until_report(&mut self, what: &str, is: impl Fn(&Report) -> bool) -> Result<Report, String> {
        let start = Instant::now();
        while start.elapsed() < DEADLINE {
            match self.next()? {
                Some(report) if is(&report) => return Ok(report),
                Some(_) => {}
                None => break,
            }
        }
        Err(format!("never came: {what}; but: {:#?}", self.seen))
    }

    pub fn until(&mut self, what: &str, is: impl Fn(&Happened) -> bool) -> Result<(), String> {
        self.until_report(what, |report| matches!(report, Report::Told(entry) if is(&entry.event))).map(|_| ())
    }

    pub fn ends(&mut self, end: End) -> Result<(), String> {
        self.until(&format!("the end as {end:?}"), |event| *event == Happened::End(end))
    }

    pub fn events(&self) -> Vec<Happened> {
        let told = |report: &Report| if let Report::Told(entry) = report { Some(entry.event.clone()) } else { None };
        self.seen.iter().filter_map(told).collect()
    }

    /// Ends the follower as a lost link would.
    pub fn cut(mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.input = None;
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[expect(clippy::disallowed_methods, reason = "these trials play the transport")]
pub fn command(program: &Path) -> Command {
    Command::new(program)
}

pub fn run_id(number: u32) -> RunId {
    RunId::new(jiff::Timestamp::from_second(1_800_000_000 + i64::from(number)).expect("in range"), number)
}

pub fn release(letter: char) -> ReleaseId {
    ReleaseId::try_from(letter.to_string().repeat(16)).expect("an id")
}

pub fn stage(expect: Option<ReleaseId>, release: Option<ReleaseId>, steps: Vec<Step>) -> Stage {
    Stage {
        service: ServiceName::try_from("api").expect("a name"),
        expect,
        release,
        steps,
        after: Vec::new(),
        verdict_within: Duration::from_secs(30),
        soak: Duration::from_secs(2),
        word_within: Duration::from_secs(20),
        go_within: Duration::from_secs(30),
        on_lost_contact: OnLostContact::Undo,
    }
}

/// A small tree with a program, a secret and a link.
pub fn tree(letter: char) -> Tree {
    let made = |text: String, content: fn(String) -> Content, mode| TreeKind::Made { content: content(text), mode };
    let entry = |path: &str, kind| TreeEntry { path: path.into(), kind };
    let manifest: String = [".portoser/env", "bin/api"].map(|path| format!("{}  {path}\n", "0".repeat(64))).concat();
    Tree {
        release: release(letter),
        entries: vec![
            entry(".portoser/manifest", made(manifest, Content::open, 0o644)),
            entry(".portoser/env", made(format!("SECRET={letter}\n"), Content::secret, 0o600)),
            entry("bin/api", made(format!("#!/bin/sh\necho {letter}\n"), Content::open, 0o755)),
            entry("empty", TreeKind::Folder),
            entry("link", TreeKind::Link { target: "bin/api".into() }),
        ],
    }
}

/// A release's usual steps: folders, the tree, files outside, links, a removal, a command.
pub fn steps(desk: &Desk, letter: char) -> Vec<Step> {
    let service = desk.service();
    vec![
        Step::Folder { path: format!("{service}/releases"), mode: 0o755, owner: None },
        Step::Folder { path: format!("{service}/shared/deep/er"), mode: 0o700, owner: None },
        Step::Unpack {
            release: release(letter),
            into: format!("{service}/releases/{}", release(letter)),
            owner: None,
            from: None,
        },
        put(desk, "world/new.conf", &format!("new {letter}"), 0o640),
        put(desk, "world/old.conf", &format!("changed {letter}"), 0o600),
        put(desk, "world/was-link", "a file now", 0o644),
        Step::Remove { path: desk.at("world/gone.conf") },
        Step::Remove { path: desk.at("world/gone") },
        Step::Link { path: desk.at("world/wants"), target: desk.at("world/new.conf") },
        Step::Link { path: format!("{service}/current"), target: format!("releases/{}", release(letter)) },
        Step::Run {
            cmd: portoser::model::Cmd::new("touch").arg(desk.at("world/ran")),
            undo: Some(portoser::model::Cmd::new("rm").arg("-f").arg(desk.at("world/ran"))),
        },
        Step::Link { path: desk.at("world/wants"), target: desk.at("world/old.conf") },
    ]
}

pub fn put(desk: &Desk, path: &str, text: &str, mode: u32) -> Step {
    Step::Put { path: desk.at(path), content: Content::open(text), mode, owner: None }
}

/// What lies in the world before.
pub fn furnish(desk: &Desk) {
    let world = PathBuf::from(desk.at("world"));
    fs::write(world.join("old.conf"), "old").expect("a file");
    fs::set_permissions(world.join("old.conf"), fs::Permissions::from_mode(0o604)).expect("mode");
    fs::write(world.join("gone.conf"), "to be removed").expect("a file");
    fs::create_dir_all(world.join("gone/deep")).expect("a folder");
    fs::write(world.join("gone/deep/file"), "deep").expect("a file");
    symlink("old.conf", world.join("was-link")).expect("a link");
}
