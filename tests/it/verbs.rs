//! The verbs about what runs, as a user calls them: on the host of the demo, which has no init system, and on the lab's.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use libtest_mimic::{Completion, Failed, Trial};
use portoser::demo::{Sandbox, Server};
use serde_json::Value;

use crate::cli::portoser;

type Outcome = Result<(), Failed>;

pub fn trials() -> Vec<Trial> {
    vec![
        trial("verbs::a_life_without_an_init_system", a_life_without_an_init_system),
        trial("verbs::an_unhealthy_restart_stays_and_says_so", an_unhealthy_restart_stays_and_says_so),
        trial("verbs::all_go_back_that_can", all_go_back_that_can),
        trial("verbs::words_pass_through", words_pass_through),
        trial("verbs::a_log_that_is_turned_over_is_followed_on", followed_on),
        trial("verbs::a_host_that_is_down_is_unseen", a_host_that_is_down_is_unseen),
        trial("verbs::the_past_is_asked_of_hosts_without_a_journal", the_past_is_asked_of_hosts_without_a_journal),
        trial("verbs::a_key_is_trusted_by_its_fingerprint_only", a_key_is_trusted_by_its_fingerprint_only),
        Trial::ignorable_test("lab::verbs_under_systemd", under_systemd),
    ]
}

pub fn trial(name: &str, body: fn(&Place) -> Outcome) -> Trial {
    Trial::test(name.to_owned(), move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let folder = tempfile::tempdir()?;
        let sandbox = Sandbox::make(folder.path(), Path::new(env!("CARGO_BIN_EXE_portoser")))?;
        let server = runtime.block_on(Server::start(sandbox.clone(), 0))?;
        let place = Place { folder: folder.path(), config: sandbox.ssh_config(), port: server.port() };
        place.write_registry(&format!("127.0.0.1, port: {}, base: {}", place.port, place.at("base")))?;
        std::fs::write(place.folder.join("good"), "")?;
        let tried = body(&place);
        let left = runtime.block_on(server.stop());
        tried?;
        if left.is_empty() { Ok(()) } else { Err(format!("still running: {left:?}").into()) }
    })
}

/// Where a trial's registry and state are.
pub struct Place<'p> {
    pub folder: &'p Path,
    config: std::path::PathBuf,
    pub port: u16,
}

pub struct Said {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Place<'_> {
    pub fn at(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    /// Two services; the one that needs the other is healthy as long as there is a file `good`.
    pub fn write_registry(&self, host: &str) -> Outcome {
        let text = format!(
            "version: 1\nhosts:\n  box: {{ address: {host}, heal: {{ unseen: [oom] }} }}\n  down: {{ address: 127.0.0.1, port: 1 }}\nservices:\n  \
             below:\n    type: native\n    host: box\n    run: [/bin/sh, -c, 'echo up; exec sleep 600']\n  \
             above:\n    type: native\n    host: box\n    needs: [below]\n    run: [/bin/sh, -c, 'echo up; exec sleep 600']\n    \
             env: {{ GREETING: \"it's $(me)\" }}\n    \
             checks: [{{ command: [test, -e, {}], interval: 200ms, retries: 2, start_period: 200ms }}]\n",
            self.at("good")
        );
        Ok(std::fs::write(self.folder.join("registry.yml"), text)?)
    }

    /// The binary with these words, at this place.
    pub fn command(&self, words: &[&str]) -> std::process::Command {
        let mut command = portoser(&self.folder.join("state"), words);
        command.env("PORTOSER_REGISTRY", self.folder.join("registry.yml")).env("PORTOSER_SSH_CONFIG", &self.config);
        command.env("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin");
        command
    }

    fn with_input(&self, words: &[&str], input: &str) -> Said {
        let mut command = self.command(words);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("it starts");
        std::io::Write::write_all(&mut child.stdin.take().expect("input"), input.as_bytes()).expect("it reads");
        let output = child.wait_with_output().expect("it ends");
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Said { code: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) }
    }

    /// Runs it and wants this exit code.
    pub fn want(&self, code: i32, words: &[&str]) -> Result<Said, Failed> {
        let said = self.with_input(words, "");
        if said.code == code {
            return Ok(said);
        }
        Err(format!("{words:?}: exit {}, not {code}\n{}\n{}", said.code, said.out, said.err).into())
    }

    pub fn document(&self, code: i32, words: &[&str]) -> Result<Value, Failed> {
        let words = [&["--json"], words].concat();
        Ok(serde_json::from_str(&self.want(code, &words)?.out)?)
    }
}

fn outcomes(run: &Value) -> Vec<&str> {
    let all = run["services"].as_array().into_iter().flatten();
    all.filter_map(|service| service["outcome"].as_str()).collect()
}

fn a_life_without_an_init_system(place: &Place) -> Outcome {
    place.want(0, &["deploy", "--all"])?;
    let again = place.document(0, &["deploy", "--all"])?;
    assert_eq!(outcomes(&again), ["nothing-to-do"; 2]);
    let status = place.document(0, &["status"])?;
    assert!(status["services"].as_array().is_some_and(|all| all.iter().all(|one| one["healthy"] == true)), "{status}");
    // What needs others is stopped first.
    let events = place.want(0, &["stop", "--all", "--events"])?.out;
    let place_of = |name: &str| events.find(&format!(r#""event":"ended","host":"box","service":"{name}""#));
    assert!(place_of("above").is_some() && place_of("above") < place_of("below"), "{events}");
    let again = place.document(0, &["stop", "--all"])?;
    assert_eq!(outcomes(&again), ["nothing-to-do"; 2]);
    assert!(place.want(8, &["status"])?.out.contains("it does not run"));
    // A slip does nothing, also beside what is right.
    let slip = place.want(2, &["start", "above", "--label", "no=where"])?;
    assert!(slip.err.contains("no service carries the labels no=where"), "{}", slip.err);
    let slip = place.want(2, &["start", "above", "--host", "bx"])?;
    assert!(slip.err.contains("no host named `bx` in the registry\nhint: did you mean `box`?"), "{}", slip.err);
    place.want(0, &["start", "above", "--with-needs"])?;
    place.want(0, &["restart", "--all"])?;
    place.want(0, &["status"])?;
    assert_eq!(place.want(0, &["logs", "above", "--lines", "1"])?.out, "up\n");
    let refused = place.want(9, &["remove", "--all"])?;
    assert!(refused.err.contains("--yes"), "{}", refused.err);
    place.want(0, &["status"])?;
    let shared = place.folder.join("base/services/above/shared");
    std::fs::write(shared.join("mine"), "data")?;
    let removed = place.want(0, &["remove", "--all", "--yes"])?;
    assert!(removed.err.contains(&shared.display().to_string()), "{}", removed.err);
    assert_eq!(std::fs::read_to_string(shared.join("mine"))?, "data");
    let left: Vec<_> = std::fs::read_dir(place.folder.join("base/services/above"))?.flatten().collect();
    assert_eq!(left.len(), 1, "{left:?}");
    assert!(place.want(8, &["status"])?.out.contains("not there"));
    place.want(9, &["start", "above"])?;
    place.want(0, &["remove", "--all", "--yes"])?;
    Ok(())
}

fn an_unhealthy_restart_stays_and_says_so(place: &Place) -> Outcome {
    place.want(0, &["deploy", "--all", "--quiet"])?;
    std::fs::remove_file(place.folder.join("good"))?;
    let run = place.document(8, &["restart", "above"])?;
    assert_eq!(outcomes(&run), ["unhealthy"]);
    let status = place.document(8, &["status", "above"])?;
    let one = &status["services"][0];
    assert_eq!((&one["health"], &one["units"][0]["active"]), (&Value::from("bad"), &Value::from("active")), "{one}");
    // Nothing that healing could mend brings a release that never was: nobody looks for it.
    let back = place.want(9, &["rollback", "above"])?;
    assert!(back.err.contains("nothing was proven here before") && !back.err.contains("in the way:"), "{}", back.err);
    place.want(0, &["stop", "above"])?;
    place.want(0, &["remove", "--all", "--yes"])?;
    Ok(())
}

/// What has no earlier release stays as it is when nobody named it; the others go back.
fn all_go_back_that_can(place: &Place) -> Outcome {
    place.want(0, &["deploy", "--all", "--quiet"])?;
    let file = place.folder.join("registry.yml");
    std::fs::write(&file, std::fs::read_to_string(&file)?.replace("GREETING: \"it's $(me)\"", "GREETING: hello"))?;
    place.want(0, &["deploy", "--all", "--quiet"])?;
    let greets = |word: &str| {
        let said = place.want(0, &["exec", "above", "--", "sh", "-c", "echo $GREETING"])?;
        assert_eq!(said.out.trim(), word);
        Ok::<_, Failed>(())
    };
    let named = place.want(9, &["rollback", "above", "below"])?;
    assert!(named.err.contains("below on box: nothing was proven here before"), "{}", named.err);
    greets("hello")?;
    let dry = place.document(0, &["rollback", "--all", "--dry-run"])?;
    assert_eq!((&dry["left"][0]["service"], &dry["left"][1]), (&Value::from("below"), &Value::Null), "{dry}");
    let back = place.want(9, &["rollback", "--all", "--events"])?;
    assert!(
        back.err.contains("nothing was done for `below`: not every host that is meant has a way back"),
        "{}",
        back.err
    );
    let proven = |name: &str| back.out.contains(&format!(r#""event":"proven","host":"box","service":"{name}""#));
    assert!(proven("above") && !proven("below"), "{}", back.out);
    assert!(back.out.contains(r#""service":"below","outcome":"not-touched""#), "{}", back.out);
    greets("it's $(me)")?;
    // Nobody can go further back.
    let refused = place.want(9, &["rollback", "--all"])?;
    assert!(refused.err.contains("the plan is refused") && refused.err.contains("above on box"), "{}", refused.err);
    place.want(0, &["status"])?;
    place.want(0, &["remove", "--all", "--yes", "--quiet"])?;
    Ok(())
}

fn words_pass_through(place: &Place) -> Outcome {
    place.want(0, &["deploy", "--all", "--quiet"])?;
    let script = "cat; echo \"$GREETING\"; pwd; echo error >&2; exit 7";
    let said = place.with_input(&["exec", "above", "--", "sh", "-c", script], "input\n");
    assert_eq!(said.code, 7, "{}", said.err);
    assert!(said.out.starts_with("input\nit's $(me)\n"), "{}", said.out);
    assert!(said.out.contains("base/services/above/releases/"), "{}", said.out);
    assert_eq!(said.err, "error\n");
    let late = place.want(5, &["exec", "above", "--timeout", "1s", "--", "sh", "-c", "sleep 600"])?;
    assert!(late.err.starts_with("error: `sh -c 'sleep 600'` ran longer than 1"), "{}", late.err);
    let said = place.with_input(&["ssh", "box", "--", "sh", "-c", "cat; exit 3"], "a\nb");
    assert_eq!((said.code, said.out.as_str()), (3, "a\nb"));
    let all = place.document(5, &["run", "--host", "box", "--", "sh", "-c", "echo $0; exit 5", "a b"])?;
    assert_eq!((&all["hosts"][0]["code"], &all["hosts"][0]["out"][0]), (&Value::from(5), &Value::from("a b")));
    place.want(0, &["remove", "--all", "--yes", "--quiet"])?;
    Ok(())
}

/// How long what a trial waits for may take, and how many lines are to come after a log was turned over twice.
const PATIENCE: Duration = Duration::from_secs(180);
const AFTERWARDS: usize = 100;

/// A host without an init system turns a process's log over when it has grown: who follows it sees what comes after, and nothing twice.
fn followed_on(place: &Place) -> Outcome {
    // The loop looks once a minute how large the log is; here it is a moment.
    let sleep = place.folder.join("host/bin/sleep");
    std::fs::remove_file(&sleep)?;
    std::fs::write(&sleep, "#!/bin/sh\n[ \"$1\" != 60 ] || set -- 0.3\nexec /bin/sleep \"$@\"\n")?;
    std::fs::set_permissions(&sleep, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    let file = place.folder.join("registry.yml");
    let text = std::fs::read_to_string(&file)?;
    let below = "run: [/bin/sh, -c, 'echo up; exec sleep 600']\n  above";
    assert!(text.contains(below), "{text}");
    let says = "run: [/bin/sh, -c, 'n=0; while :; do n=$((n + 1)); echo line $n is long; /bin/sleep 0.02; done']\n    \
                log: { max_size: 1KiB }\n  above";
    std::fs::write(&file, text.replace(below, says))?;
    place.want(0, &["deploy", "below"])?;
    let mut follow = place.command(&["logs", "below", "--follow", "--lines", "1"]);
    let mut child = follow.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let lines = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().expect("a pipe")));
    let (heard, said) = std::sync::mpsc::channel();
    // It ends with the program that it reads from.
    std::thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| heard.send(line)));
    let old = place.folder.join("base/services/below/process/1/log.1");
    // What is kept begins with a line that was followed once the log was turned over, filled and turned over again.
    let again = |first: &[u32]| {
        let kept = std::fs::read_to_string(&old).ok();
        kept.and_then(|text| numbered(text.lines().next()?))
            .zip(first.first())
            .is_some_and(|(kept, first)| kept > *first)
    };
    let until = Instant::now() + PATIENCE;
    let (mut numbers, mut since) = (Vec::<u32>::new(), 0);
    while since < AFTERWARDS {
        let Ok(line) = said.recv_timeout(until.saturating_duration_since(Instant::now())) else { break };
        numbers.extend(numbered(&line));
        since += usize::from(since > 0 || again(&numbers));
    }
    child.kill()?;
    child.wait()?;
    assert_eq!(since, AFTERWARDS, "lines after the second turn; {} lines before it", numbers.len());
    assert!(numbers.len() > AFTERWARDS && numbers.windows(2).all(|pair| pair[0] < pair[1]), "{numbers:?}");
    let (first, last) = (numbers[0], numbers[numbers.len() - 1]);
    // What was said in the moment of the turn may be lost, as with every log that is copied and emptied.
    let lost = (last - first + 1) as usize - numbers.len();
    assert!(lost < 60, "{lost} of {} lines are missing", numbers.len());
    place.want(0, &["remove", "below", "--yes"])?;
    Ok(())
}

/// The number in a line that the service says.
fn numbered(line: &str) -> Option<u32> {
    line.strip_prefix("line ")?.strip_suffix(" is long")?.parse().ok()
}

fn a_host_that_is_down_is_unseen(place: &Place) -> Outcome {
    let all = place.document(4, &["run", "--all", "--", "true"])?;
    let codes: Vec<&Value> = all["hosts"].as_array().into_iter().flatten().map(|host| &host["code"]).collect();
    assert_eq!(codes, [&Value::from(0), &Value::Null], "{all}");
    let hosts = place.document(4, &["host", "check"])?;
    assert_eq!(
        (&hosts["hosts"][0]["login"]["works"], &hosts["hosts"][0]["facts"]["init"]),
        (&true.into(), &"none".into())
    );
    assert!(hosts["hosts"][1]["login"]["hint"].is_string(), "{hosts}");
    // The short answer fits a terminal; the whole one is for one host.
    let table = place.want(4, &["host", "check"])?;
    assert!(table.out.lines().all(|line| line.chars().count() <= 100), "{}", table.out);
    assert!(
        table.out.contains("UNREACHABLE") && table.err.contains("down: ") && table.out.lines().count() == 3,
        "{}",
        table.out
    );
    let whole = place.want(0, &["host", "check", "box"])?.out;
    assert!(["login", "python3", "docker", "base", "clock"].iter().all(|name| whole.contains(name)), "{whole}");
    assert!(place.want(4, &["host", "check", "-v"])?.out.contains("base "));
    place.write_registry("127.0.0.1, port: 1")?;
    let status = place.document(4, &["status"])?;
    assert!(status["services"].as_array().is_some_and(|all| all.iter().all(|one| one["seen"] == false)), "{status}");
    place.want(4, &["stop", "--all"])?;
    Ok(())
}

fn the_past_is_asked_of_hosts_without_a_journal(place: &Place) -> Outcome {
    place.want(0, &["deploy", "--all", "--quiet"])?;
    let run = place.document(0, &["runs"])?["runs"][0]["id"].as_str().unwrap_or_default().to_owned();
    // The host that is down has nothing to tell, and that is not nothing.
    let elsewhere = ["--state", &place.at("elsewhere"), "runs"];
    let asked = place.document(4, &elsewhere)?;
    assert_eq!((&asked["runs"][0]["id"], &asked["from_hosts"]), (&Value::from(run.as_str()), &true.into()), "{asked}");
    assert_eq!(
        (&asked["runs"][0]["history"].as_array().map(Vec::len), &asked["unseen"][0]),
        (&Some(2), &"down".into())
    );
    let listed = place.want(4, &elsewhere)?;
    assert!(
        listed.out.contains("2 done") && listed.err.contains("journal has no run yet"),
        "{}{}",
        listed.out,
        listed.err
    );
    assert!(!place.want(4, &["runs", "--from-hosts", "--unfinished"])?.out.contains(&run));
    // A journal that is damaged stops nobody who asks the hosts.
    let state = place.folder.join("damaged");
    std::fs::create_dir(&state)?;
    std::fs::write(state.join("journal.db"), "no database at all".repeat(100))?;
    let state = state.display().to_string();
    for (code, words) in [
        (4, &["runs", "--from-hosts"][..]),
        (4, &["history", "--from-hosts"]),
        (4, &["history", "show", &run, "--from-hosts"]),
        (0, &["attach", &run, "--host", "box"]),
        (0, &["attach", &run]),
        (0, &["status"]),
        (0, &["plan"]),
    ] {
        let said = place.want(code, &[&["--state", &state], words].concat())?;
        assert!(said.err.contains("warning: what this machine remembers is left out"), "{words:?}: {}", said.err);
        assert!(said.err.contains("hint: move it away"), "{words:?}: {}", said.err);
    }
    place.want(1, &["--state", &state, "runs"])?;
    place.want(0, &["remove", "--all", "--yes", "--quiet"])?;
    Ok(())
}

fn a_key_is_trusted_by_its_fingerprint_only(place: &Place) -> Outcome {
    let known = place.at("other_known_hosts");
    let config = place.at("other_config");
    std::fs::write(&config, format!("UserKnownHostsFile {known}\nGlobalKnownHostsFile none\n"))?;
    let words = ["--ssh-config", &config, "host", "trust", "box"];
    let refused = place.want(9, &[&words[..], &["--yes"]].concat())?;
    let fingerprint = refused.err.split_whitespace().find(|word| word.starts_with("SHA256:")).expect("it is shown");
    place.want(9, &[&words[..], &["--fingerprint", "SHA256:AAAA"]].concat())?;
    assert!(!Path::new(&known).exists(), "nothing is pinned yet");
    place.want(0, &[&words[..], &["--fingerprint", fingerprint]].concat())?;
    assert!(std::fs::read_to_string(&known)?.contains("ssh-ed25519"));
    place.want(0, &words)?;
    Ok(())
}

/// The same verbs where systemd supervises, on every host of the lab that has it.
fn under_systemd() -> Result<Completion, Failed> {
    let Some(file) = std::env::var_os("PORTOSER_LAB") else {
        return Ok(Completion::ignored_with("no lab: PORTOSER_LAB names no inventory"));
    };
    let lab: Value = serde_json::from_str(&std::fs::read_to_string(file)?)?;
    let hosts: Vec<&Value> =
        lab["hosts"].as_array().into_iter().flatten().filter(|host| host["init"] == "systemd").collect();
    let folder = tempfile::tempdir()?;
    let config = lab["ssh_config"].as_str().unwrap_or_default().into();
    let place = Place { folder: folder.path(), config, port: 22 };
    let name = |host: &Value| host["name"].as_str().unwrap_or_default().to_owned();
    let entry = |host: &&Value| format!("  {}: {{ user: deploy, become: sudo, base: /opt/verbs-trial }}\n", name(host));
    let entries: String = hosts.iter().map(entry).collect();
    let names: Vec<String> = hosts.iter().map(|host| name(host)).collect();
    let text = format!(
        "version: 1\nhosts:\n{entries}services:\n  verbs-trial:\n    type: native\n    hosts: [{}]\n    \
         run: [/bin/sh, -c, 'echo up; exec sleep 600']\n    checks: [{{ unit: true, interval: 1s }}]\n",
        names.join(", ")
    );
    std::fs::write(folder.path().join("registry.yml"), text)?;
    place.want(0, &["deploy", "--all"])?;
    place.want(0, &["stop", "--all"])?;
    place.want(8, &["status"])?;
    place.want(0, &["start", "--all"])?;
    place.want(0, &["restart", "--all"])?;
    place.want(0, &["status"])?;
    let logs = place.want(0, &["logs", "--all", "--since", "10m"])?.out;
    assert!(names.len() == 1 || names.iter().all(|name| logs.contains(&format!("verbs-trial {name}"))), "{logs}");
    assert!(logs.lines().filter(|line| line.ends_with(": up")).count() >= 3 * names.len(), "{logs}");
    // Nothing says how it reloads, so nothing is touched.
    place.want(9, &["reload", "--all"])?;
    place.want(0, &["status"])?;
    place.want(0, &["remove", "--all", "--yes"])?;
    let left = ["run", "--all", "--", "sh", "-c", "! systemctl cat portoser-verbs-trial.service 2>/dev/null"];
    place.want(0, &left)?;
    place.want(0, &["run", "--all", "--", "rm", "-rf", "/opt/verbs-trial"])?;
    Ok(Completion::Completed)
}
