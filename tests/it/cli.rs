//! The real binary: what it prints where, and how it exits.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use jiff::Timestamp;
use libtest_mimic::{Failed, Trial};
use portoser::journal::{Journal, StartOfRun};
use portoser::model::{Event, HostName, Outcome, ReleaseId, RunId, ServiceName};
use serde_json::{Value, json};

pub fn trials() -> Vec<Trial> {
    let trial = |name: &str, body: fn() -> Result<(), Failed>| Trial::test(format!("cli::{name}"), body);
    vec![
        trial("help_and_version_are_data", help_and_version_are_data),
        trial("version_needs_next_to_nothing", version_needs_next_to_nothing),
        trial("wrong_words_exit_with_2", wrong_words_exit_with_2),
        trial("an_error_is_a_document_under_json", an_error_is_a_document_under_json),
        trial("colour_is_obeyed", colour_is_obeyed),
        trial("a_closed_standard_output_ends_quietly", a_closed_standard_output_ends_quietly),
        trial("a_full_disk_behind_standard_output_is_an_error", a_full_disk_behind_standard_output_is_an_error),
        trial("completions_are_for_every_shell", completions_are_for_every_shell),
        trial("an_empty_state_folder_has_no_history", an_empty_state_folder_has_no_history),
        trial("history_is_told", history_is_told),
        trial("a_run_is_shown_by_the_first_letters_of_its_id", a_run_is_shown_by_the_first_letters_of_its_id),
        trial("a_damaged_journal_says_what_to_do", a_damaged_journal_says_what_to_do),
    ]
}

/// The binary with these words, in an environment of its own and a state folder.
pub fn portoser(state: &Path, words: &[&str]) -> Command {
    #[expect(clippy::disallowed_methods, reason = "the real program is what is tried")]
    let mut command = Command::new(env!("CARGO_BIN_EXE_portoser"));
    command.args(words).env_clear().env("PORTOSER_STATE", state).env("HOME", state).stdin(Stdio::null());
    command
}

struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

fn said(output: Output) -> Said {
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    Said { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

fn run(state: &Path, words: &[&str]) -> Said {
    said(portoser(state, words).output().expect("it starts"))
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

fn help_and_version_are_data() -> Result<(), Failed> {
    let state = folder();
    for words in [&["--help"][..], &["-h"], &["history", "--help"], &["history", "show", "-h"]] {
        let said = run(state.path(), words);
        assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{words:?}");
        assert!(said.out.contains("Usage: portoser"), "{words:?}: {}", said.out);
    }
    for words in [&["--version"][..], &["-V"]] {
        let said = run(state.path(), words);
        let version = concat!("portoser ", env!("CARGO_PKG_VERSION"), "\n");
        assert_eq!((said.code, said.out.as_str(), said.err.as_str()), (Some(0), version, ""));
    }
    assert_eq!(std::fs::read_dir(state.path())?.count(), 0, "help and version leave nothing behind");
    Ok(())
}

/// Not a benchmark: it notices when the version begins to wait for a runtime or a disk.
fn version_needs_next_to_nothing() -> Result<(), Failed> {
    let state = folder();
    let quickest = (0..20).map(|_| {
        let began = std::time::Instant::now();
        run(state.path(), &["--version"]);
        began.elapsed()
    });
    let quickest = quickest.min().ok_or("twenty rounds")?;
    eprintln!("cli::version_needs_next_to_nothing: {quickest:?}, with the start of the process");
    assert!(quickest.as_millis() < 15, "{quickest:?}");
    Ok(())
}

fn wrong_words_exit_with_2() -> Result<(), Failed> {
    let state = folder();
    let cases: [(&[&str], &str); 8] = [
        (&["histroy"], "error: unrecognized subcommand `histroy`\nhint: "),
        (&["help", "host", "add"], "error: there is no verb `help`\nhint: see `portoser host add --help`"),
        (&["runs", "-n", "0"], "error: invalid value `0` for `--limit <NUMBER>`"),
        (&["history", "-n", "0"], "error: invalid value `0` for `--limit <NUMBER>`"),
        (&["runs", "--limti", "3"], "error: unexpected argument `--limti` found\nhint: "),
        (&["runs", "--limit", "many"], "error: invalid value `many` for `--limit <NUMBER>`: "),
        (&["history", "No Such"], "error: invalid value `No Such` for `[SERVICE]`: \"No Such\" is not a service name"),
        (&["runs", "--json", "--events"], "error: the argument `--json` cannot be used with `--events`"),
    ];
    for (words, begins) in cases {
        let said = run(state.path(), words);
        assert_eq!(said.code, Some(2), "{words:?}: {}", said.err);
        assert!(said.err.starts_with(begins), "{words:?}: {}", said.err);
        assert!(said.err.contains("\nhint: see `portoser"), "{words:?}: {}", said.err);
    }
    let said = run(state.path(), &[]);
    assert_eq!(said.code, Some(2));
    assert!(said.err.ends_with("error: a command is missing\nhint: see `portoser --help`\n"), "{}", said.err);
    assert_eq!(said.out, "");
    Ok(())
}

fn an_error_is_a_document_under_json() -> Result<(), Failed> {
    let state = folder();
    let said = run(state.path(), &["histroy", "--json"]);
    let document: Value = serde_json::from_str(&said.out)?;
    assert_eq!(document["error"]["code"], 2);
    assert_eq!(document["error"]["kind"], "usage");
    assert_eq!(document["error"]["message"], "unrecognized subcommand `histroy`");
    assert!(said.err.starts_with("error: "), "people read it too: {}", said.err);

    let said = run(state.path(), &["history", "show", "2026", "--json"]);
    let document: Value = serde_json::from_str(&said.out)?;
    assert_eq!((said.code, &document["error"]["code"]), (Some(2), &json!(2)));
    Ok(())
}

fn colour_is_obeyed() -> Result<(), Failed> {
    let state = folder();
    let colored = |words: &[&str], no_color: &str| {
        let output = portoser(state.path(), words).env("NO_COLOR", no_color).output().expect("it starts");
        said(output).err.contains('\x1b')
    };
    assert!(!colored(&["histroy"], ""), "a pipe gets no colour");
    assert!(colored(&["histroy", "--color", "always"], ""));
    assert!(colored(&["--color=always", "histroy"], "1"), "the flag is nearer than the variable");
    assert!(!colored(&["histroy", "--color", "never"], ""));
    assert!(!colored(&["history", "show", "0"], "1"));
    assert!(colored(&["history", "show", "0", "--color", "always"], ""));
    Ok(())
}

fn a_closed_standard_output_ends_quietly() -> Result<(), Failed> {
    let state = folder();
    fill(state.path(), 1)?;
    for words in [&["completions", "bash"][..], &["--help"], &["--version"], &["runs"], &["history", "--json"]] {
        let (reader, writer) = std::io::pipe()?;
        drop(reader);
        let said = said(portoser(state.path(), words).stdout(writer).output()?);
        assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{words:?}");
    }
    Ok(())
}

fn a_full_disk_behind_standard_output_is_an_error() -> Result<(), Failed> {
    let state = folder();
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full")?;
    let said = said(portoser(state.path(), &["completions", "bash"]).stdout(full).output()?);
    assert_eq!(said.code, Some(1));
    assert!(said.err.starts_with("error: writing to standard output: "), "{}", said.err);
    Ok(())
}

fn completions_are_for_every_shell() -> Result<(), Failed> {
    let state = folder();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let said = run(state.path(), &["completions", shell]);
        assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{shell}");
        assert!(said.out.contains("completions"), "{shell}");
    }
    Ok(())
}

fn an_empty_state_folder_has_no_history() -> Result<(), Failed> {
    let state = folder();
    let said = run(state.path(), &["history"]);
    assert_eq!((said.code, said.out.as_str(), said.err.as_str()), (Some(0), "", "nothing is remembered\n"));
    let said = run(state.path(), &["history", "--json"]);
    assert_eq!((said.out.as_str(), said.err.as_str()), ("{\"history\":[]}\n", ""));
    let said = run(state.path(), &["runs", "-q"]);
    assert_eq!((said.code, said.out.as_str(), said.err.as_str()), (Some(0), "", ""));
    let said = run(state.path(), &["runs", "--json"]);
    assert_eq!(said.out, "{\"runs\":[]}\n");
    Ok(())
}

/// Writes a run of `api` on `web1`, as a deploy that was committed.
fn fill(state: &Path, number: u32) -> Result<RunId, Failed> {
    let journal = Journal::open(state)?;
    let id = RunId::new(Timestamp::UNIX_EPOCH, number);
    let (host, service) = (HostName::try_from("web1")?, ServiceName::try_from("api")?);
    let [old, new] = [1, 2].map(|digit| Some(ReleaseId::from_digest(&[digit; 32])));
    let run = journal.begin_run(&StartOfRun {
        id: id.clone(),
        verb: "deploy".into(),
        who: "ann\x1b[2J@desk".into(),
        registry: Some("registry.yml".into()),
        environment: Some("prod".into()),
        request: json!({ "services": ["api"] }),
        digest: None,
        resumes: None,
    })?;
    let (services, hosts) = (vec![service.clone()], vec![host.clone()]);
    for event in [
        Event::Started { run: id.clone(), verb: "deploy".into(), services, hosts },
        Event::Found { host: host.clone(), service: service.clone(), release: old },
        Event::Switched { host: host.clone(), service: service.clone(), release: new.clone() },
        Event::Ended { host, service, outcome: Outcome::Committed, release: new },
    ] {
        run.tell(&event)?;
    }
    run.end(0)?;
    Ok(id)
}

fn history_is_told() -> Result<(), Failed> {
    let state = folder();
    for number in 1..=3 {
        fill(state.path(), number)?;
    }
    let said = run(state.path(), &["history"]);
    assert_eq!((said.code, said.err.as_str(), said.out.lines().count()), (Some(0), "", 4));
    let heading = said.out.lines().next().unwrap_or_default();
    assert!(heading.starts_with("STARTED (UTC)"), "{heading}");
    assert!(said.out.contains("01010101 -> 02020202"), "{}", said.out);
    assert!(!said.out.contains('\x1b'), "text from outside is made harmless");
    assert_eq!(run(state.path(), &["history", "api", "-n", "2"]).out.lines().count(), 3);
    assert_eq!(run(state.path(), &["history", "web", "--changes"]).out, "");

    let document: Value = serde_json::from_str(&run(state.path(), &["history", "--json"]).out)?;
    assert_eq!(document["history"].as_array().map(Vec::len), Some(3));
    assert_eq!(document["history"][0]["outcome"], "committed");
    let document: Value = serde_json::from_str(&run(state.path(), &["runs", "--json"]).out)?;
    assert_eq!(document["runs"][0]["end"]["code"], 0);
    assert_eq!(document["runs"][0]["outcomes"], json!([["committed", 1]]));
    Ok(())
}

fn a_run_is_shown_by_the_first_letters_of_its_id() -> Result<(), Failed> {
    let state = folder();
    let first = fill(state.path(), 0x1000_0000)?;
    fill(state.path(), 0x2000_0000)?;
    let said = run(state.path(), &["history", "show", "19700101-000000-1"]);
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""));
    assert!(said.out.starts_with(&format!("run          {first}\n")), "{}", said.out);
    assert!(said.out.contains("done  api  web1  01010101 -> 02020202\n"), "{}", said.out);

    let said = run(state.path(), &["history", "show", "1970"]);
    assert_eq!(said.code, Some(2));
    assert!(said.err.contains("more than one run or release begins with `1970`"), "{}", said.err);
    let said = run(state.path(), &["history", "--json", "show", first.as_str()]);
    let document: Value = serde_json::from_str(&said.out)?;
    assert_eq!(document["events"].as_array().map(Vec::len), Some(4));
    let said = run(state.path(), &["history", "compare", first.as_str(), "0"]);
    assert_eq!(said.code, Some(2));
    assert!(said.err.contains("is a run, not a release"), "{}", said.err);
    Ok(())
}

fn a_damaged_journal_says_what_to_do() -> Result<(), Failed> {
    let state = folder();
    std::fs::write(state.path().join("file"), "")?;
    let said = run(state.path(), &["runs", "--state", &state.path().join("file/state").to_string_lossy()]);
    assert_eq!(said.code, Some(1));
    assert!(said.err.starts_with("error: cannot make the state folder `"), "{}", said.err);
    assert!(said.err.contains("\nhint: name a folder that you can write with `--state DIR`"), "{}", said.err);

    std::fs::write(state.path().join("journal.db"), "no database at all".repeat(100))?;
    let said = run(state.path(), &["runs"]);
    assert_eq!(said.code, Some(1));
    assert!(said.err.starts_with("error: the journal `"), "{}", said.err);
    assert!(said.err.contains("\nhint: move it away with its `-wal` and `-shm` files (`mv "), "{}", said.err);
    Ok(())
}
