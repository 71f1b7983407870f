//! Where services are deployed: through another host, on this very machine; and where they were before.

use libtest_mimic::{Failed, Trial};

use crate::verbs::{Place, trial};

type Outcome = Result<(), Failed>;

pub fn trials() -> Vec<Trial> {
    vec![
        trial("places::a_jump_host_and_this_machine_are_deployed_to", roads),
        trial("places::what_was_left_on_a_host_is_told", left),
    ]
}

/// One service behind another host, one on this machine, which shows no init system here: both come, stay, and come back together.
fn roads(place: &Place) -> Outcome {
    let write = |seconds: &str| {
        let service = |host: &str| {
            format!(
                "  on-{host}: {{ type: native, host: {host}, run: [/bin/sleep, \"{seconds}\"], restart: {{ policy: never }}, deploy: {{ soak: 300ms }} }}\n"
            )
        };
        std::fs::write(
            place.folder.join("registry.yml"),
            format!(
                "version: 1\nhosts:\n  hop: {{ address: 127.0.0.1, port: {port} }}\n  \
                 far: {{ address: 127.0.0.1, port: {port}, jump: hop, base: {} }}\n  \
                 here: {{ connection: local, base: {} }}\nservices:\n{}{}",
                place.at("far"),
                place.at("here"),
                service("far"),
                service("here"),
                port = place.port
            ),
        )
    };
    // What runs on this machine is ended with the trial, whatever happens.
    let run = |code: i32, words: &[&str]| {
        let mut command = place.command(&[&["--events"], words].concat());
        command.env("PATH", place.folder.join("host/bin")).env("PORTOSER_DEMO", place.folder);
        let output = command.output()?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let talk = String::from_utf8_lossy(&output.stderr);
        if output.status.code() != Some(code) {
            return Err(Failed::from(format!("{words:?}: {:?}, not {code}\n{said}\n{talk}", output.status)));
        }
        Ok(said)
    };
    let ended = |events: &str, outcome: &str| {
        ["far", "here"].map(|host| {
            events.contains(&format!(r#""event":"ended","host":"{host}","service":"on-{host}","outcome":"{outcome}""#))
        }) == [true; 2]
    };
    write("601")?;
    let events = run(0, &["deploy", "--all"])?;
    assert!(ended(&events, "committed"), "{events}");
    let events = run(0, &["deploy", "--all"])?;
    assert!(ended(&events, "nothing-to-do"), "{events}");
    write("0")?;
    let events = run(5, &["deploy", "--all", "--no-auto-heal"])?;
    assert!(ended(&events, "rolled-back"), "{events}");
    write("601")?;
    run(0, &["status"])?;
    let events = run(0, &["deploy", "--all"])?;
    assert!(ended(&events, "nothing-to-do"), "{events}");
    run(0, &["remove", "--all", "--yes"])?;
    Ok(())
}

/// What the registry does not put on a host any more is told of by plan and deploy, and left alone until somebody removes it.
fn left(place: &Place) -> Outcome {
    let write = |hosts: &str, more: &str| {
        let host = |name: &str| {
            format!("  {name}: {{ address: 127.0.0.1, port: {}, base: {} }}\n", place.port, place.at(name))
        };
        let service = |name: &str, hosts: &str| {
            format!(
                "  {name}: {{ type: native, hosts: [{hosts}], run: [/bin/sleep, \"600\"], deploy: {{ soak: 200ms }} }}\n"
            )
        };
        let (hosts, api) = (host("one") + &host("two"), service("api", hosts));
        let more = if more.is_empty() { String::new() } else { service(more, "one") };
        std::fs::write(place.folder.join("registry.yml"), format!("version: 1\nhosts:\n{hosts}services:\n{api}{more}"))
    };
    let strays = |words: &[&str]| place.document(0, words).map(|plan| plan["strays"].clone());
    write("one, two", "old")?;
    place.want(0, &["deploy", "--all"])?;
    assert_eq!(strays(&["plan"])?, serde_json::json!([]));
    // A host that was taken out of a service, and a service that was taken out of the registry.
    write("one", "")?;
    let told = strays(&["plan"])?;
    let stray = |host: &str, service: &str| serde_json::json!({ "host": host, "services": [service], "seen": true });
    assert_eq!(told, serde_json::json!([stray("one", "old"), stray("two", "api")]));
    assert_eq!(strays(&["plan", "api"])?, serde_json::json!([stray("two", "api")]), "nobody asked for the other one");
    assert_eq!(strays(&["plan", "--host", "one"])?, serde_json::json!([stray("one", "old")]));
    let hint = "`portoser remove api --host two` takes it away";
    assert!(place.want(0, &["plan", "--detailed-exitcode"])?.out.contains(hint), "it is nothing to do");
    let said = place.want(0, &["deploy", "--all"])?;
    assert!(
        said.err.contains("api is there, where the registry does not put it") && said.err.contains(hint),
        "{}",
        said.err
    );
    place.want(0, &["status"])?;
    assert!(
        place.want(0, &["status", "--host", "two"])?.out.contains("not in the registry"),
        "no service belongs there"
    );
    // A plan that is made once more, as something might be healed, is no other run.
    let refused = place.want(9, &["rollback", "api"])?;
    assert_eq!(refused.err.matches(": rollback api on one").count(), 1, "{}", refused.err);
    place.want(0, &["remove", "api", "--host", "two", "--yes"])?;
    assert_eq!(strays(&["plan", "api"])?, serde_json::json!([]));
    // A host that cannot be seen keeps nobody from deploying elsewhere.
    write("one, two", "")?;
    place.want(0, &["deploy", "api"])?;
    write("one", "")?;
    let file = place.folder.join("registry.yml");
    let text = std::fs::read_to_string(&file)?;
    let two = format!("two: {{ address: 127.0.0.1, port: {}", place.port);
    std::fs::write(&file, text.replace(&two, "two: { address: 127.0.0.1, port: 1"))?;
    assert_eq!(strays(&["plan", "api"])?[0]["seen"], false);
    assert!(place.want(0, &["deploy", "api"])?.err.contains("the host cannot be seen now"));
    std::fs::write(&file, text)?;
    place.want(0, &["remove", "api", "--host", "two", "--yes"])?;
    place.want(0, &["remove", "api", "old", "--host", "one", "--yes"])?;
    Ok(())
}
