//! Sources in git, with the real git: from a folder, a URL and over SSH; branches that move, repositories that are gone, and
//! what a hostile one would have run. The host is the demo's.

use std::path::{Path, PathBuf};

use libtest_mimic::{Failed, Trial};

use crate::fixture::sshd::{Sshd, command, missing};
use crate::verbs::{Place, trial};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("git::a_commit_is_deployed_told_and_kept", a_commit_is_deployed_told_and_kept),
        trial("git::what_is_not_there_or_not_fetched_is_said", what_is_not_there_or_not_fetched_is_said),
        trial("git::nothing_that_a_repository_brings_is_run", nothing_that_a_repository_brings_is_run),
        trial("git::many_at_once_and_one_that_is_killed", many_at_once_and_one_that_is_killed),
        trial("git::over_ssh_by_the_users_own_ssh", over_ssh_by_the_users_own_ssh),
    ]
}

/// A repository with commits of ours.
struct Repository(PathBuf);

impl Repository {
    fn new(place: &Place, name: &str) -> Self {
        let repository = Self(place.folder.join(name));
        std::fs::create_dir_all(&repository.0).expect("a folder");
        repository.git(&["init", "--quiet", "--initial-branch=main"]);
        repository
    }

    /// Runs git there, and gives what it prints.
    fn git(&self, words: &[&str]) -> String {
        let mut git = command("git");
        git.current_dir(&self.0).env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").env("HOME", &self.0);
        for who in ["AUTHOR", "COMMITTER"] {
            git.env(format!("GIT_{who}_NAME"), "trial").env(format!("GIT_{who}_EMAIL"), "trial@example.net");
        }
        let output = git.args(["-c", "protocol.file.allow=always"]).args(words).output().expect("git starts");
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Commits these files, and gives the commit.
    fn commit(&self, files: &[(&str, &str)]) -> String {
        for (path, text) in files {
            let file = self.0.join(path);
            std::fs::create_dir_all(file.parent().expect("a parent")).expect("a folder");
            std::fs::write(file, text).expect("written");
        }
        self.git(&["add", "--all", "--force"]);
        self.git(&["commit", "--quiet", "--allow-empty", "--message", "a thought"]);
        self.git(&["rev-parse", "HEAD"])
    }

    fn url(&self) -> String {
        format!("file://{}", self.0.display())
    }
}

/// Writes a registry with one service whose source is this.
fn registry(place: &Place, source: &str) {
    let text = std::fs::read_to_string(place.folder.join("registry.yml")).expect("a registry");
    let hosts = text.split_once("services:\n").expect("hosts").0;
    let service = format!(
        "services:\n  api:\n    type: native\n    host: box\n    source: {source}\n    run: [/bin/sh, ./run.sh]\n    \
         checks: [{{ command: [test, -e, run.sh], interval: 100ms }}]\n    deploy: {{ soak: 100ms }}\n"
    );
    std::fs::write(place.folder.join("registry.yml"), format!("{hosts}{service}")).expect("written");
}

const RUN: &str = "echo up\nexec sleep 600\n";

fn deployed(place: &Place, file: &str) -> String {
    std::fs::read_to_string(place.folder.join("base/services/api/current").join(file)).unwrap_or_default()
}

/// Whatever tells that the service was not restarted.
fn started(place: &Place) -> String {
    let status = place.want(0, &["status", "--json"]).expect("it runs").out;
    let status: serde_json::Value = serde_json::from_str(&status).expect("JSON");
    status["services"][0]["units"][0]["pid"].to_string()
}

fn a_commit_is_deployed_told_and_kept(place: &Place) -> Result<(), Failed> {
    let repository = Repository::new(place, "repo");
    let one =
        repository.commit(&[("app/run.sh", RUN), ("app/.gitignore", "*.bin\n"), ("app/a.bin", "one"), ("other", "1")]);
    repository.git(&["tag", "--annotate", "v1", "--message", "the first"]);
    registry(place, "{ git: ./repo, ref: main, path: app }");
    place.want(0, &["deploy", "--all"])?;
    assert_eq!(deployed(place, "a.bin"), "one", "what was committed is there, be it ignored or not");
    assert!(!place.folder.join("base/services/api/current/.git").exists());
    assert!(place.want(0, &["plan", "--all"])?.out.contains("nothing to do"));
    let shown = place.want(0, &["history", "show", &release(place)])?.out;
    assert!(shown.contains(&one) && shown.contains("(main)"), "{shown}");

    // A commit that changes nothing below the folder is written down, and nothing is restarted.
    let before = started(place);
    let two = repository.commit(&[("other", "2")]);
    let plan = place.want(0, &["plan", "--all"])?.out;
    assert!(plan.contains(&format!("commit: {one} (main) -> {two} (main)")), "{plan}");
    place.want(0, &["deploy", "--all"])?;
    assert_eq!(started(place), before);
    let three = repository.commit(&[("app/a.bin", "three")]);
    let plan = place.want(0, &["plan", "--all"])?.out;
    assert!(plan.contains(&format!("-> {three} (main)")) && plan.contains("~ a.bin"), "{plan}");
    place.want(0, &["deploy", "--all"])?;
    assert_eq!(deployed(place, "a.bin"), "three");
    registry(place, &format!("{{ git: '{}', ref: v1, path: app }}", repository.url()));
    place.want(0, &["deploy", "--all"])?;
    assert_eq!(deployed(place, "a.bin"), "one");

    // When it is gone, what was fetched is still deployed by its id, and a name is not.
    registry(place, "{ git: repo, ref: main, path: app }");
    std::fs::rename(&repository.0, place.folder.join("gone"))?;
    std::fs::create_dir(&repository.0)?;
    let failed = place.want(4, &["deploy", "--all"])?;
    assert!(failed.err.contains(&format!("`ref: {three}`, fetched before")), "{}", failed.err);
    assert_eq!(deployed(place, "a.bin"), "one");
    registry(place, &format!("{{ git: repo, ref: {three}, path: app }}"));
    place.want(0, &["deploy", "--all"])?;
    assert_eq!(deployed(place, "a.bin"), "three");
    place.want(0, &["rollback", "--all"])?;
    assert_eq!(deployed(place, "a.bin"), "one");
    place.want(0, &["remove", "--all", "--yes"])?;
    Ok(())
}

fn release(place: &Place) -> String {
    let link = std::fs::read_link(place.folder.join("base/services/api/current")).expect("a release");
    link.file_name().expect("its id").to_string_lossy().into_owned()
}

fn what_is_not_there_or_not_fetched_is_said(place: &Place) -> Result<(), Failed> {
    let repository = Repository::new(place, "repo");
    repository.commit(&[("run.sh", RUN), ("deep/er/run.sh", RUN), ("file", "x")]);
    repository.git(&["branch", "both"]);
    let other = Repository::new(place, "other");
    let inner = other.commit(&[("run.sh", RUN)]);
    let two = repository
        .commit(&[("large/model.bin", "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n")]);
    repository.git(&["tag", "both"]);
    repository.git(&["submodule", "--quiet", "add", &other.url(), "lib/sub"]);
    repository.commit(&[]);
    registry(place, "{ git: 'https://user:not-for-eyes@example.net/a' }");
    let refused = place.want(3, &["plan", "--all"])?;
    assert!(
        refused.err.contains("https://[masked]@example.net/a") && !refused.err.contains("not-for-eyes"),
        "{}",
        refused.err
    );
    let says = |code: i32, source: &str, words: &[&str]| -> Result<(), Failed> {
        registry(place, source);
        let said = place.want(code, &["plan", "--all"])?;
        for word in words {
            assert!(said.err.contains(word), "{source}: no `{word}` in: {}", said.err);
        }
        Ok(())
    };
    says(3, "{ git: repo, ref: nobody }", &["no branch and no tag `nobody`", "git ls-remote"])?;
    says(3, &format!("{{ git: repo, ref: {} }}", &two[..8]), &["whole id"])?;
    says(3, "{ git: repo, ref: both }", &["a branch and a tag", "refs/tags/both"])?;
    says(0, "{ git: repo, ref: refs/heads/both }", &[])?;
    says(3, "{ git: repo, path: no/where }", &["has no folder `no/where`"])?;
    says(3, "{ git: repo, path: file }", &["has no folder `file`"])?;
    says(0, "{ git: repo, path: deep/er }", &[])?;
    says(3, "{ git: repo }", &["submodules", "lib/sub"])?;
    says(3, "{ git: repo, path: large }", &["Git LFS", "model.bin"])?;
    says(4, &format!("{{ git: repo, ref: {inner} }}"), &["does not give the commit"])?;
    says(4, "{ git: 'http://127.0.0.1:1/a.git' }", &["cannot ask the git repository", "ls-remote"])?;
    // A commit that no branch and no tag leads to is there as long as the repository has it.
    repository.git(&["reset", "--quiet", "--hard", &two]);
    let lost = repository.commit(&[("lost/run.sh", RUN)]);
    repository.git(&["reset", "--quiet", "--hard", &two]);
    says(0, &format!("{{ git: repo, ref: {lost}, path: lost }}"), &[])?;
    for hostile in [
        "{ git: repo, ref: '--upload-pack=touch canary' }",
        "{ git: '--upload-pack=touch canary' }",
        "{ git: 'ext::sh -c touch% canary' }",
        "{ git: 'https://user:word@example.net/a' }",
        "{ git: 'ssh://-oProxyCommand=touch%20canary/a' }",
        "{ git: repo, path: ../up }",
        "{ git: repo, path: /etc }",
        "{ ref: main }",
        "[repo]",
    ] {
        says(3, hostile, &[])?;
    }
    assert!(!place.folder.join("canary").exists());
    Ok(())
}

fn nothing_that_a_repository_brings_is_run(place: &Place) -> Result<(), Failed> {
    let repository = Repository::new(place, "repo");
    let canary = place.folder.join("canary");
    let evil = format!("#!/bin/sh\ntouch {}\ncat\n", canary.display());
    let attributes = "* filter=evil diff=evil merge=evil ident\n*.txt text eol=crlf\nhidden export-ignore\n";
    repository.commit(&[
        ("run.sh", RUN),
        ("hidden", "x"),
        ("a.txt", "1\n"),
        (".gitattributes", attributes),
        ("evil", &evil),
        ("-o", "x"),
        ("a b'c\"$(d)", "y"),
    ]);
    for hook in ["post-checkout", "reference-transaction", "post-upload-pack", "pre-receive"] {
        let file = repository.0.join(".git/hooks").join(hook);
        std::fs::create_dir_all(file.parent().expect("a folder"))?;
        std::fs::write(&file, &evil)?;
        std::os::unix::fs::PermissionsExt::set_mode(&mut std::fs::metadata(&file)?.permissions(), 0o755);
    }
    // The user's own settings have a filter of that name.
    let home = place.folder.join("home-of-user");
    std::fs::create_dir(&home)?;
    let filter = format!(
        "[filter \"evil\"]\n\tsmudge = touch {0}; cat\n\tclean = touch {0}; cat\n\trequired = true\n[core]\n\tautocrlf = true\n",
        canary.display()
    );
    std::fs::write(home.join(".gitconfig"), filter)?;
    registry(place, "{ git: repo }");
    // As in a hook of git that calls portoser.
    let mut deploy = place.command(&["deploy", "--all"]);
    deploy.env("HOME", &home).env("GIT_DIR", "/nonexistent").env("GIT_INDEX_FILE", "/nonexistent");
    let output = deploy.output()?;
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(!canary.exists(), "something was run");
    assert_eq!(deployed(place, "-o") + &deployed(place, "a b'c\"$(d)"), "xy");
    assert_eq!(deployed(place, "hidden"), "", "what is not for export is not there");
    assert_eq!(deployed(place, "a.txt"), "1\r\n", "as the repository itself says of its lines");
    place.want(0, &["remove", "--all", "--yes"])?;
    // A link that leads out is no file of the repository.
    std::os::unix::fs::symlink("/etc/passwd", repository.0.join("out"))?;
    repository.commit(&[]);
    let refused = place.want(3, &["plan", "--all"])?;
    assert!(refused.err.contains("outside of the source"), "{}", refused.err);
    Ok(())
}

fn many_at_once_and_one_that_is_killed(place: &Place) -> Result<(), Failed> {
    let repository = Repository::new(place, "repo");
    let noise: String =
        (0..60_000_u64).map(|number| format!("{:x}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect();
    let (mut killed, mut last) = (0, String::new());
    for round in 0..3 {
        last = repository.commit(&[
            ("run.sh", RUN),
            ("noise", &format!("{round}{noise}")),
            ("version", &round.to_string()),
        ]);
        registry(place, "{ git: repo, ref: main }");
        let mut victim = place
            .command(&["plan", "--all"])
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()?;
        // Somewhere between its first step and its last; where, is told by what is in the cache.
        let cache = place.folder.join("state/git");
        let until = std::time::Instant::now() + std::time::Duration::from_secs(20);
        let fetching = |at: &Path| {
            walk(at).iter().any(|file| file.contains("tmp_") || file.contains(".making-") || file.ends_with(".lock"))
        };
        while !fetching(&cache) && victim.try_wait()?.is_none() && std::time::Instant::now() < until {
            std::thread::yield_now();
        }
        killed += usize::from(victim.try_wait()?.is_none());
        victim.kill()?;
        victim.wait()?;
        let others: Vec<_> = (0..4)
            .map(|_| {
                place
                    .command(&["plan", "--all"])
                    .stdout(std::process::Stdio::piped())
                    .stderr(std::process::Stdio::piped())
                    .spawn()
            })
            .collect::<Result<_, _>>()?;
        for other in others {
            let output = other.wait_with_output()?;
            let err = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(0), "round {round}: {err}");
        }
    }
    assert!(killed >= 1, "only {killed} were killed while they fetched");
    place.want(0, &["deploy", "--all"])?;
    assert_eq!(deployed(place, "version"), "2");
    let shown = place.want(0, &["history", "show", &release(place)])?.out;
    assert!(shown.contains(&last), "{shown}");
    place.want(0, &["remove", "--all", "--yes"])?;
    eprintln!("git: {killed} killed while they fetched, 12 at once in groups of 4: all found the commit");
    Ok(())
}

/// All files below a folder, by their paths.
fn walk(folder: &Path) -> Vec<String> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        all.push(path.display().to_string());
        // Objects and files are many, and tell nothing.
        let dull = all.last().is_some_and(|path| path.contains("/trees/") && !path.contains(".making-"));
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) && !dull {
            all.extend(walk(&path));
        }
    }
    all
}

fn over_ssh_by_the_users_own_ssh(place: &Place) -> Result<(), Failed> {
    if let Some(why) = missing() {
        eprintln!("skipped: git::over_ssh_by_the_users_own_ssh: {why}");
        return Ok(());
    }
    let (sshd, repository) = (Sshd::start(""), Repository::new(place, "repo"));
    repository.commit(&[("run.sh", RUN)]);
    registry(place, &format!("{{ git: 'ssh://127.0.0.1:{}{}', ref: main }}", sshd.port(), repository.0.display()));
    let run = |known: &str| {
        let ssh = format!(
            "ssh -F none -i {} -o UserKnownHostsFile={known} -o GlobalKnownHostsFile=none",
            sshd.key().display()
        );
        let output = place.command(&["deploy", "--all"]).env("GIT_SSH_COMMAND", ssh).output().expect("it ends");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, err) = run(&sshd.known_hosts().display().to_string());
    assert_eq!(code, Some(0), "{err}");
    assert_eq!(deployed(place, "run.sh"), RUN);
    // An unknown key is not asked about, and not taken.
    let (code, err) = run(&place.at("nobody_known"));
    assert_eq!(code, Some(4), "{err}");
    assert!(err.contains("Host key verification failed") && err.contains("fetched before"), "{err}");
    place.want(0, &["remove", "--all", "--yes"])?;
    Ok(())
}
