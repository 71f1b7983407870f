//! The verbs about the registry, as a user calls them: what they print, what they write, and what they refuse.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

use libtest_mimic::{Failed, Trial};
use portoser::registry;
use serde_json::Value;

use crate::cases;

pub fn trials() -> Vec<Trial> {
    let trial = |name: &str, body: fn() -> Result<(), Failed>| Trial::test(format!("registry::verbs::{name}"), body);
    vec![
        trial("init_asks_nothing_without_a_terminal", init_asks_nothing_without_a_terminal),
        trial("a_registry_grows_from_the_command_line", a_registry_grows_from_the_command_line),
        trial("a_refused_edit_leaves_every_byte", a_refused_edit_leaves_every_byte),
        trial("json_and_toml_are_read_and_not_written", json_and_toml_are_read_and_not_written),
        trial("an_edit_keeps_link_and_permissions", an_edit_keeps_link_and_permissions),
        trial("twenty_edits_at_once_all_arrive", twenty_edits_at_once_all_arrive),
        trial("the_registry_is_found", the_registry_is_found),
        trial("faults_are_data_too", faults_are_data_too),
        trial("questions_are_answered_as_data", questions_are_answered_as_data),
    ]
}

struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

/// The program in a folder, with no terminal and an environment of its own.
fn command(folder: &Path, words: &[&str]) -> Command {
    #[expect(clippy::disallowed_methods, reason = "the real program is what is tried")]
    let mut command = Command::new(env!("CARGO_BIN_EXE_portoser"));
    command.args(words).current_dir(folder).env_clear().env("HOME", folder).stdin(Stdio::null());
    command
}

fn run(folder: &Path, words: &[&str]) -> Said {
    let output = command(folder, words).output().expect("it starts");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    Said { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

fn must(folder: &Path, words: &[&str]) -> Result<Said, Failed> {
    let said = run(folder, words);
    if said.code == Some(0) { Ok(said) } else { Err(format!("{words:?}: {:?}\n{}", said.code, said.err).into()) }
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

fn init_asks_nothing_without_a_terminal() -> Result<(), Failed> {
    let folder = folder();
    let said = must(folder.path(), &["init"])?;
    assert!(said.err.contains("wrote registry.yml with one host, `here`"), "{}", said.err);
    let written = fs::read_to_string(folder.path().join("registry.yml"))?;
    assert!(written.contains("connection: local"), "{written}");
    must(folder.path(), &["validate"])?;
    let empty = run(folder.path(), &["status"]);
    assert_eq!(empty.code, Some(2), "{}", empty.err);
    assert!(
        empty.err.contains("there is no service in the registry") && empty.err.contains("service add"),
        "{}",
        empty.err
    );
    let again = run(folder.path(), &["init"]);
    assert_eq!(again.code, Some(9), "{}", again.err);
    assert_eq!(fs::read_to_string(folder.path().join("registry.yml"))?, written);
    Ok(())
}

fn a_registry_grows_from_the_command_line() -> Result<(), Failed> {
    let folder = folder();
    let at = folder.path();
    must(at, &["init"])?;
    must(at, &["host", "add", "web1", "--address", "192.0.2.1", "--label", "tier=web", "--sudo", "--port", "2222"])?;
    must(at, &["host", "add", "web2", "--jump", "web1", "--user", "deploy"])?;
    must(at, &["service", "add", "db", "--host", "here", "--unit", "postgresql.service", "--port", "5432"])?;
    must(
        at,
        &[
            "service",
            "add",
            "api",
            "--on",
            "tier=web",
            "--needs",
            "db",
            "--port",
            "80",
            "--http",
            "/health",
            "--",
            "/bin/api",
            "-v",
            "a 'b' $(c)",
        ],
    )?;
    must(at, &["service", "move", "api", "web1", "web2"])?;
    let registry = registry::load(&at.join("registry.yml"), None).map_err(|faults| faults.to_string())?;
    let api = registry.services.values().next().expect("the api");
    assert_eq!(format!("{:?}", api.hosts), "[web1, web2]");
    let registry::Kind::Native(registry::Native::Run { words }) = &api.kind else { return Err("no words".into()) };
    assert_eq!(words, &["/bin/api", "-v", "a 'b' $(c)"]);
    assert_eq!(run(at, &["service", "remove", "db"]).code, Some(3));
    must(at, &["service", "remove", "api"])?;
    must(at, &["service", "remove", "db"])?;
    must(at, &["validate"])?;
    Ok(())
}

fn a_refused_edit_leaves_every_byte() -> Result<(), Failed> {
    let folder = folder();
    let file = folder.path().join("registry.yml");
    fs::write(&file, "# mine\nversion: 1\nhosts: { a: {} }  \n\n\n")?;
    let before = fs::read(&file)?;
    for (words, code) in [
        (&["host", "add", "a"][..], 9),
        (&["host", "add", "b", "--address", "x:22"], 3),
        (&["host", "add", "b", "--jump", "c"], 3),
        (&["host", "add", "B"], 2),
        (&["service", "add", "x", "--host", "c", "--", "x"], 3),
        (&["service", "add", "x", "--host", "a"], 2),
        (&["service", "remove", "x"], 2),
        (&["service", "move", "x", "a"], 2),
        (&["--env", "prod", "host", "add", "b"], 2),
    ] {
        let said = run(folder.path(), words);
        assert_eq!(said.code, Some(code), "{words:?}: {}", said.err);
        assert_eq!(fs::read(&file)?, before, "{words:?}");
    }
    assert_eq!(fs::read_dir(folder.path())?.count(), 1, "something was left behind");
    Ok(())
}

fn json_and_toml_are_read_and_not_written() -> Result<(), Failed> {
    let folder = folder();
    let texts = [
        (
            "registry.json",
            "is JSON",
            r#"{"version":1,"hosts":{"a":{"address":"192.0.2.1"},"b":{"address":"192.0.2.2"}},
                "services":{"api":{"type":"native","host":"a","run":["/bin/api"]}}}"#,
        ),
        (
            "registry.toml",
            "is TOML",
            "version = 1\n[hosts]\na.address = \"192.0.2.1\" # the first\nb.address = \"192.0.2.2\"\n\
             [services.api]\ntype = \"native\"\nhost = \"a\"\nrun = [\"/bin/api\"]\n",
        ),
    ];
    for (name, kind, text) in texts {
        let file = folder.path().join(name);
        let words = |words: &[&str]| run(folder.path(), &[&["--registry", name], words].concat());
        let edits: &[&[&str]] = &[
            &["init"],
            &["host", "add", "c", "--address", "192.0.2.3"],
            &["service", "add", "db", "--host", "a", "--", "/bin/db"],
            &["service", "move", "api", "b"],
            &["service", "remove", "api"],
        ];
        for (number, edit) in edits.iter().enumerate() {
            let said = words(edit);
            assert_eq!(said.code, Some(9), "{edit:?}: {}", said.err);
            assert!(said.err.contains(kind) && said.err.contains("can be kept in YAML alone"), "{}", said.err);
            assert!(said.err.contains("hint: write it by hand; `portoser validate` checks it"), "{}", said.err);
            assert_eq!(fs::read_to_string(&file).ok(), (number > 0).then(|| text.to_owned()), "{edit:?}");
            fs::write(&file, text)?;
        }
        assert_eq!(words(&["validate"]).code, Some(0));
        assert!(words(&["list"]).out.contains("api"));
    }
    Ok(())
}

fn an_edit_keeps_link_and_permissions() -> Result<(), Failed> {
    let folder = folder();
    let (file, link) = (folder.path().join("real.yml"), folder.path().join("registry.yml"));
    fs::write(&file, "version: 1 # one\n")?;
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640))?;
    symlink("real.yml", &link)?;
    must(folder.path(), &["host", "add", "a"])?;
    assert!(link.symlink_metadata()?.is_symlink());
    assert_eq!(file.metadata()?.permissions().mode() & 0o777, 0o640);
    assert_eq!(fs::read_to_string(&file)?, "version: 1 # one\nhosts:\n  a:\n    address: a\n");
    Ok(())
}

fn twenty_edits_at_once_all_arrive() -> Result<(), Failed> {
    let folder = folder();
    must(folder.path(), &["init"])?;
    let start = |number: usize| {
        let name = format!("host-{number}");
        command(folder.path(), &["host", "add", &name]).stderr(Stdio::null()).spawn().expect("it starts")
    };
    let all: Vec<_> = (0..20).map(start).collect();
    for mut one in all {
        assert!(one.wait()?.success());
    }
    let registry = registry::load(&folder.path().join("registry.yml"), None).map_err(|faults| faults.to_string())?;
    assert_eq!(registry.hosts.len(), 21);
    Ok(())
}

fn the_registry_is_found() -> Result<(), Failed> {
    let folder = folder();
    let deep = folder.path().join("a/b");
    fs::create_dir_all(&deep)?;
    let said = run(&deep, &["list"]);
    assert_eq!(said.code, Some(3));
    assert!(said.err.contains("portoser init"), "{}", said.err);
    let hosts =
        |said: &Said| said.out.lines().filter_map(|line| line.split(' ').next().map(str::to_owned)).collect::<Vec<_>>();
    let write = |path: &Path, host: &str| {
        fs::create_dir_all(path.parent().expect("a folder"))?;
        fs::write(path, format!("version: 1\nhosts: {{ {host}: {{}} }}\n"))
    };
    write(&deep.join(".config/portoser/registry.yml"), "of-the-user")?;
    assert_eq!(hosts(&must(&deep, &["list", "--hosts"])?), ["HOST", "of-the-user"]);
    write(&folder.path().join("registry.yml"), "of-the-repository")?;
    fs::create_dir(folder.path().join(".git"))?;
    assert_eq!(hosts(&must(&deep, &["list", "--hosts"])?), ["HOST", "of-the-repository"]);
    write(&folder.path().join("other.yml"), "of-the-environment")?;
    let mut told = command(&deep, &["list", "--hosts"]);
    let told = told.env("PORTOSER_REGISTRY", "../../other.yml").output()?;
    assert!(String::from_utf8_lossy(&told.stdout).contains("of-the-environment"));
    Ok(())
}

fn faults_are_data_too() -> Result<(), Failed> {
    let file = cases::root().join("tests/cases/registry/many-faults-at-once.yml");
    let folder = folder();
    let said = run(folder.path(), &["validate", "--json", "--registry", &file.display().to_string()]);
    assert_eq!(said.code, Some(3));
    let told: Value = serde_json::from_str(&said.out)?;
    let faults = told["error"]["details"]["faults"].as_array().ok_or("no faults")?;
    assert_eq!(faults.len(), 12);
    assert_eq!(faults[0]["line"], 3);
    assert_eq!(faults[0]["path"], "hosts.web1.prot");
    assert_eq!(faults[0]["hint"], "did you mean `port`?");
    Ok(())
}

fn questions_are_answered_as_data() -> Result<(), Failed> {
    let file = cases::root().join("registry.example.yml").display().to_string();
    let folder = folder();
    let ask = |words: &[&str]| -> Result<Value, Failed> {
        let words: Vec<&str> = words.iter().copied().chain(["--json", "--registry", &file]).collect();
        Ok(serde_json::from_str(&must(folder.path(), &words)?.out)?)
    };
    assert_eq!(ask(&["order"])?["waves"][0][0], "db");
    assert_eq!(ask(&["graph"])?["needs"][0]["to"], "db");
    // Every service once, and an edge for every need: as the JSON has them.
    let graph = ask(&["graph"])?;
    let name = |name: &Value| format!("\"{}\"", name.as_str().unwrap_or_default());
    let services = graph["services"].as_array().into_iter().flatten().map(|service| format!("{};", name(service)));
    let edge = |edge: &Value| format!("{} -> {};", name(&edge["from"]), name(&edge["to"]));
    let mut expected: Vec<String> = services.chain(graph["needs"].as_array().into_iter().flatten().map(edge)).collect();
    let dot = must(folder.path(), &["graph", "--dot", "--registry", &file])?.out;
    let body = dot.strip_prefix("digraph needs {\n").and_then(|dot| dot.strip_suffix("}\n")).ok_or("no digraph")?;
    let is_drawn = |line: &&str| line.starts_with('"');
    let mut drawn: Vec<String> = body.lines().map(str::trim).filter(is_drawn).map(str::to_owned).collect();
    expected.sort();
    drawn.sort();
    assert_eq!(drawn, expected);
    assert!(drawn.len() > 3, "{dot}");
    assert_eq!(ask(&["impact", "web1"])?["hosts"][1], "web2");
    assert_eq!(ask(&["list"])?["services"][0]["name"], "api");
    assert_eq!(ask(&["list", "--hosts", "--label", "rack=r2"])?["hosts"][0]["name"], "web2");
    assert_eq!(ask(&["show", "api", "--env", "staging"])?["services"]["api"]["hosts"][0], "web1");
    assert_eq!(ask(&["validate"])?["valid"], true);
    assert_eq!(ask(&["schema"])?["title"], "portoser registry");
    assert_eq!(run(folder.path(), &["order", "apj", "--registry", &file]).code, Some(2));
    Ok(())
}
