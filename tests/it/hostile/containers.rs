//! Hostile values in the user's own compose file, and in what an engine tells of containers.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Stdio;

use libtest_mimic::Failed;
use portoser::host::Facts;
use portoser::host::look::{self, Question};
use portoser::model::{HostName, ServiceName};
use portoser::plan::{Change, Sources};
use portoser::registry::{Format, Kind, Project, load_text};
use serde_json::{Value, json};

use super::sent::{Sent, reader, tell};
use super::{Cage, carried};

/// The compose file with this value in one place, and the name of its part.
fn file(field: &str, value: &str) -> (Value, String) {
    let mut one = json!({ "image": "x:1" });
    let mut part = "web";
    match field {
        "part" => part = value,
        "image" => one["image"] = json!(value),
        "label" => one["labels"] = json!({ "l": value }),
        "env" => one["environment"] = json!({ "E": value }),
        _ => {}
    }
    let mut file = json!({ "services": { part: one } });
    if field == "name" {
        file["name"] = json!(value);
    }
    (file, part.to_owned())
}

/// The changes of a host with docker, by the number of their value; what is refused is not among them.
fn changes(cage: &Cage, field: &str) -> Result<BTreeMap<usize, Change>, Failed> {
    let host = HostName::try_from("h")?;
    let name = |number: usize| format!("s{number}");
    let services: BTreeMap<String, Value> = (0..cage.values.len())
        .map(|number| {
            (name(number), json!({ "type": "docker", "host": "h", "compose": format!("{number}/compose.yml") }))
        })
        .collect();
    for (number, value) in cage.values.iter().enumerate() {
        let folder = cage.folder.path().join(number.to_string());
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join("compose.yml"), file(field, value).0.to_string())?;
    }
    let text = json!({ "version": 1, "hosts": { "h": {} }, "services": services }).to_string();
    let registry = load_text(&text, Format::Yaml, &cage.folder.path().join("registry.yml"), None)?;
    let mut sources = Sources::default();
    for number in 0..cage.values.len() {
        let Kind::Docker(docker) = &registry.services[&ServiceName::try_from(name(number))?].kind else { continue };
        let Project::Compose { path, .. } = &docker.project else { continue };
        sources.texts.insert(path.clone(), std::fs::read(path)?);
    }
    let tools = BTreeSet::from(["docker".to_owned(), "compose".to_owned()]);
    let facts = Facts { base: "/opt/portoser".into(), tools, ..Facts::default() };
    let changes = carried::changes(&registry, &host, &facts, &sources, |why| {
        assert!(!why.what.contains(char::is_control) || field == "image", "{why:?}");
    });
    let number = |change: &Change| change.service.as_str()[1..].parse();
    changes.into_iter().map(|change| Ok((number(&change)?, change))).collect()
}

pub(super) fn files() -> Result<(), Failed> {
    let cage = Cage::new();
    for field in ["part", "image", "label", "env", "name"] {
        let changes = changes(&cage, field)?;
        eprintln!("hostile: compose file, {field}: {} of {} values are sent", changes.len(), cage.values.len());
        let least = if ["part", "name"].contains(&field) { 0 } else { 200 };
        assert!(changes.len() >= least, "{field}: most values can be carried");
        let all: Vec<Change> = changes.values().cloned().collect();
        let sent = Sent::of(&all, cage.folder.path())?;
        for (stage, (number, change)) in changes.iter().enumerate() {
            let value = cage.values[*number].as_str();
            let (written, part) = file(field, value);
            let said = |verb: &str| sent.stages[stage].iter().find(|words| words[0] == verb);
            // What compose would fill in counts as no name.
            let project =
                if field == "name" && !value.contains('$') { value.to_owned() } else { format!("portoser-s{number}") };
            assert_eq!(said("project").map(|words| words[1].as_str()), Some(project.as_str()), "{field} {value:?}");
            match (said("part"), said("image")) {
                (Some(words), None) => assert_eq!(words[4], part, "{field} {value:?}"),
                (None, Some(words)) => {
                    assert_eq!(Some(words[3].as_str()), written["services"][&part]["image"].as_str())
                }
                other => panic!("{field} {value:?}: {other:?}"),
            }
            let over =
                sent.files.get(&format!("trees/{}/.portoser/override.yml", change.record.release)).expect("ours");
            let over: Value = serde_yaml::from_slice(over)?;
            let parts: Vec<&String> = over["services"].as_object().into_iter().flat_map(|all| all.keys()).collect();
            assert_eq!(parts, [&part], "{field} {value:?}");
            let pin = over["services"][&part]["image"].as_str().unwrap_or_default();
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '/' | ':' | '-');
            assert!(pin.starts_with(&format!("portoser/s{number}/")) && pin.chars().all(plain), "{pin:?} {value:?}");
        }
        cage.intact();
    }
    Ok(())
}

/// Whatever the labels of somebody's containers are, what is told of the others stays what it is.
pub(super) fn answers() -> Result<(), Failed> {
    let mut cage = Cage::new();
    // Nothing stands for no label.
    cage.values.retain(|value| !value.is_empty());
    let odd = ["a\tb\tc", "x\n--help ours", "x\nff \"\" \"ours\"", "ours x", "ours\" \"", "\"ours"];
    cage.values.extend(odd.map(str::to_owned));
    let folder = cage.folder.path();
    let docker = "#!/bin/sh\ncd \"${0%/*}\" || exit\ncase $1 in ps) cat ps ;; inspect) shift 3; printf '%s\\0' \"$#\" \"$@\" >asked; cat inspected ;; *) exit 1 ;; esac\n";
    std::fs::write(folder.join("docker"), docker)?;
    std::fs::set_permissions(folder.join("docker"), std::fs::Permissions::from_mode(0o755))?;
    let lines = |line: &dyn Fn(&str) -> String| cage.values.iter().map(|value| line(value) + "\n").collect::<String>();

    std::fs::write(folder.join("ps"), "0f\n")?;
    let told =
        |value: &str| json!([format!("/{value}"), value, value, value, value, value, value, value, value]).to_string();
    std::fs::write(folder.join("inspected"), lines(&told))?;
    let found = look::read_discovered(&ask(folder, &look::discover_script(Some("/nowhere")))?)?;
    let containers = found.containers.expect("they are told");
    assert_eq!(containers.len(), cage.values.len());
    for (container, value) in containers.iter().zip(&cage.values) {
        let part = container.compose.as_ref().expect("a part");
        let texts = [&container.name, &container.image, &part.project, &part.name, &part.files, &part.folder];
        assert!(texts.iter().all(|text| *text == value), "{value:?}: {container:?}");
        assert_eq!(container.service.as_ref(), Some(value));
    }

    let line = |id: &str, once: &str, project: &str| {
        [
            id.to_owned(),
            json!(once).to_string(),
            json!(project).to_string(),
            json!("n").to_string(),
            json!("i").to_string(),
        ]
        .join("\t")
    };
    let ours =
        lines(&|value| line("0f", "", value)) + &line("1e", "", "ours") + "\n" + &line("2d", "True", "ours") + "\n";
    std::fs::write(folder.join("ps"), ours)?;
    let inspected = lines(&|value| {
        let restart = json!({ "Name": value });
        let made = json!([value, value, value, 0, 0, 0, 0, 0, 0, value, null, restart]);
        json!([value, value, value, value, value, 0, 0, false, value, value, value, value, value, {}, 0, 0, made])
            .to_string()
    });
    std::fs::write(folder.join("inspected"), inspected)?;
    let question =
        Question { docker: true, projects: vec!["ours".into()], base: Some("/nowhere".into()), ..Question::default() };
    let seen = look::read(&ask(folder, &look::script(&question))?)?;
    assert_eq!(seen.blind, None);
    let all: Vec<_> = seen.containers.values().flatten().collect();
    assert_eq!(all.len(), cage.values.len());
    for value in &cage.values {
        let there = &seen.containers[&format!("{value}/{value}")];
        assert!(there.iter().any(|one| one.image == *value && one.state == *value), "{value:?}: {there:?}");
    }
    let asked = tell("cat asked", folder)?;
    assert_eq!(asked, [["1e"]], "only those of the project are asked for");
    cage.intact();
    Ok(())
}

/// What a host answers whose docker is the program in this folder.
fn ask(folder: &Path, script: &str) -> Result<Vec<u8>, Failed> {
    let path = format!("{}:{}", folder.display(), std::env::var("PATH")?);
    let mut shell = reader("sh").arg("-s").env("PATH", path).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let (mut input, script) = (shell.stdin.take().ok_or("an input")?, script.to_owned());
    let sent = std::thread::spawn(move || input.write_all(script.as_bytes()));
    let output = shell.wait_with_output()?;
    sent.join().map_err(|_| "the script was not sent")??;
    Ok(output.stdout)
}
