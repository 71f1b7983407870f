//! Where services are deployed: through another host, on this very machine; and where they were before.

use std::io::BufRead as _;

use libtest_mimic::{Failed, Trial};

use crate::fixture::delay_proxy::DelayProxy;
use crate::verbs::{Place, trial};

type Outcome = Result<(), Failed>;

pub fn trials() -> Vec<Trial> {
    vec![
        trial("places::a_jump_host_and_this_machine_are_deployed_to", roads),
        trial("places::what_was_left_on_a_host_is_told", left),
        trial("places::files_that_were_not_seen_are_not_taken_for_unchanged", unseen),
        trial("places::what_a_cut_kept_from_arriving_is_sent_again", cut),
        trial("places::what_the_registry_says_of_a_platform_goes_first", hinted),
        trial("places::hooks_run_in_the_release_and_one_that_fails_undoes", hooks),
        trial("places::what_is_named_and_has_nothing_to_do_is_told", idle),
    ]
}

/// The program that reads a release's files is killed, as by a kernel without memory: nobody knows whether they were edited.
fn unseen(place: &Place) -> Outcome {
    place.want(0, &["deploy", "below"])?;
    let program = place.folder.join("host/bin/sha256sum");
    let real = std::fs::read_link(&program)?;
    std::fs::remove_file(&program)?;
    std::fs::write(&program, "#!/bin/sh\nkill -9 $$\n")?;
    std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    let refused = place.want(9, &["deploy", "below"])?;
    assert!(refused.err.contains("could not be seen: `sha256sum` was ended by a signal"), "{}", refused.err);
    let status = place.want(0, &["status", "below"])?;
    assert!(status.out.contains("unseen: `sha256sum`"), "{}", status.out);
    std::fs::remove_file(&program)?;
    std::os::unix::fs::symlink(real, &program)?;
    let again = place.want(0, &["deploy", "below"])?;
    assert!(again.err.contains("nothing to do"), "{}", again.err);
    Ok(())
}

/// The hooks of a release run in its folder, around the switch; when one fails, the release before is back.
fn hooks(place: &Place) -> Outcome {
    let write = |word: &str, after: &str| {
        let host = format!("far: {{ address: 127.0.0.1, port: {}, base: {} }}", place.port, place.at("far"));
        let hook = |when: &str, then: &str| {
            format!(
                "{when}: [{{ run: [sh, -c, \"echo {when} {word} $(basename $(pwd -P)) >>{}; {then}\"] }}]",
                place.at("hooked")
            )
        };
        let hooks = format!("{}, {}", hook("before", "true"), hook("after", after));
        let service = format!(
            "type: native, host: far, run: [/bin/sleep, \"600\"], env: {{ WORD: {word} }}, hooks: {{ {hooks} }}"
        );
        let registry = format!(
            "version: 1\nhosts: {{ {host} }}\nservices: {{ api: {{ {service}, deploy: {{ soak: 100ms }} }} }}\n"
        );
        std::fs::write(place.folder.join("registry.yml"), registry)
    };
    let release = || -> Result<String, Failed> {
        let current = std::fs::read_link(place.folder.join("far/services/api/current"))?;
        Ok(current.file_name().ok_or("a release")?.to_string_lossy().into_owned())
    };
    write("one", "true")?;
    place.want(0, &["deploy", "api"])?;
    let first = release()?;
    write("two", "exit 3")?;
    let failed = place.want(5, &["deploy", "api", "--no-auto-heal"])?;
    assert!(failed.err.contains("exit code 3"), "{}", failed.err);
    assert_eq!(release()?, first);
    let hooked = std::fs::read_to_string(place.at("hooked"))?;
    let lines: Vec<&str> = hooked.lines().collect();
    assert_eq!(lines[..2], [format!("before one {first}"), format!("after one {first}")]);
    assert!(lines[2].starts_with("before two ") && lines[3].starts_with("after two ") && lines.len() == 4, "{hooked}");
    place.want(0, &["status", "api"])?;
    place.want(0, &["remove", "--all", "--yes"])?;
    Ok(())
}

/// The host has no init system of its own; the registry says otherwise, and is believed.
fn hinted(place: &Place) -> Outcome {
    let units = |init: &str| -> Result<Vec<String>, Failed> {
        let host = format!("far: {{ address: 127.0.0.1, port: {}, platform: {{ {init} }} }}", place.port);
        let service = "api: { type: native, host: far, run: [/bin/sleep, \"600\"] }";
        let registry = format!("version: 1\nhosts: {{ {host} }}\nservices: {{ {service} }}\n");
        std::fs::write(place.folder.join("registry.yml"), registry)?;
        let plan = place.document(0, &["plan"])?.to_string();
        Ok(["read the units again", "supervise"]
            .into_iter()
            .filter(|word| plan.contains(word))
            .map(str::to_owned)
            .collect())
    };
    assert_eq!(units("")?, ["supervise"]);
    assert_eq!(units("init: none")?, ["supervise"]);
    assert_eq!(units("init: systemd")?, ["read the units again"]);
    Ok(())
}

/// The link is cut in the middle of a large source, twice, and the third sending arrives; then while the release is being proven. To
/// lose a link is no failure of a release, and the deploy goes on by the next one.
fn cut(place: &Place) -> Outcome {
    const SIZE: u64 = 4 << 20;
    let runtime = tokio::runtime::Runtime::new()?;
    let target = ([127, 0, 0, 1], place.port).into();
    let proxy = runtime.block_on(DelayProxy::start(target, std::time::Duration::ZERO));
    let known = place.folder.join("operator/known_hosts");
    let line = std::fs::read_to_string(&known)?;
    std::fs::write(&known, format!("{line}{}", line.replace(&place.port.to_string(), &proxy.port().to_string())))?;
    std::fs::create_dir(place.folder.join("large"))?;
    let noise = (0..SIZE / 8).scan(1_u64, |seed, _| {
        *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        Some(seed.to_le_bytes())
    });
    std::fs::write(place.folder.join("large/blob"), noise.flatten().collect::<Vec<u8>>())?;
    let host = format!("far: {{ address: 127.0.0.1, port: {}, base: {} }}", proxy.port(), place.at("far"));
    let write = |more: &str| {
        let service = format!("api: {{ type: native, host: far, run: [/bin/sleep, \"600\"], {more} }}");
        let registry = format!("version: 1\nhosts: {{ {host} }}\nservices: {{ {service} }}\n");
        std::fs::write(place.folder.join("registry.yml"), registry)
    };
    write("source: ./large, deploy: { soak: 200ms }")?;
    proxy.throttle(SIZE);
    let child = place.command(&["deploy", "api"]).stderr(std::process::Stdio::piped()).spawn()?;
    for _ in 0..2 {
        let until = std::time::Instant::now() + std::time::Duration::from_secs(30);
        let before = proxy.bytes();
        while proxy.bytes() < before + SIZE / 3 {
            assert!(std::time::Instant::now() < until, "{} bytes passed", proxy.bytes() - before);
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        proxy.cut();
    }
    let ended = child.wait_with_output()?;
    let said = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(0), "{said}");
    assert_eq!(said.matches("before all had arrived; it is sent again").count(), 2, "{said}");
    let runs: Vec<_> = std::fs::read_dir(place.folder.join("far/runs"))?.collect::<Result<_, _>>()?;
    assert!(runs.iter().all(|run| !run.file_name().to_string_lossy().starts_with(".new")), "{runs:?}");
    proxy.throttle(0);
    write("env: { A: b }, deploy: { soak: 2s }")?;
    let mut child = place.command(&["--events", "deploy", "api"]).stdout(std::process::Stdio::piped()).spawn()?;
    let mut events = String::new();
    for line in std::io::BufReader::new(child.stdout.take().ok_or("a pipe")?).lines() {
        let line = line?;
        if line.contains("\"event\":\"soaking\"") {
            proxy.cut();
        }
        events.push_str(&line);
    }
    assert_eq!(child.wait()?.code(), Some(0), "{events}");
    assert_eq!(events.matches("\"event\":\"soaking\"").count(), 1, "{events}");
    place.want(0, &["remove", "--all", "--yes"])?;
    Ok(())
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

/// A host or a service that is named, and of which nothing is done, is not taken for done: whatever the verb.
fn idle(place: &Place) -> Outcome {
    let write = |hosts: &str| {
        let host = |name: &str| {
            format!("  {name}: {{ address: 127.0.0.1, port: {}, base: {} }}\n", place.port, place.at(name))
        };
        let service = |name: &str, hosts: &str, seconds: u32| {
            format!(
                "  {name}: {{ type: native, hosts: [{hosts}], run: [/bin/sleep, \"{seconds}\"], deploy: {{ soak: 200ms }} }}\n"
            )
        };
        let hosts = [host("one"), host("two"), service("api", hosts, 600), service("db", "two", 601)];
        let text = hosts.concat().replacen("  api", "services:\n  api", 1);
        std::fs::write(place.folder.join("registry.yml"), format!("version: 1\nhosts:\n{text}"))
    };
    write("one")?;
    let both = ["--host", "one", "--host", "two"];
    let told = |verb: &[&str], service: &str| {
        let said = place.want(0, &[verb, &[service], &both].concat())?;
        Ok::<_, Failed>((said.out, said.err))
    };
    let left_out = "left out, as the registry puts none of these services there";
    let tells = |verb: &[&str]| {
        let (_, talk) = told(verb, "api")?;
        let lines: Vec<&str> = talk.lines().filter(|line| line.contains(left_out)).collect();
        assert!(matches!(lines.as_slice(), [line] if line.contains("two")), "{verb:?}: {talk}");
        Ok::<_, Failed>(())
    };
    let verbs: &[&[&str]] = &[
        &["deploy", "--dry-run"],
        &["deploy"],
        &["plan"],
        &["status"],
        &["logs"],
        &["restart"],
        &["stop"],
        &["start"],
    ];
    for verb in verbs.iter().filter(|verb| **verb != ["stop"]) {
        tells(verb)?;
    }
    // What is ended is looked for on each host that is named.
    let (_, talk) = told(&["stop"], "api")?;
    assert!(talk.contains("two  api is not there"), "{talk}");
    place.want(0, &["start", "api"])?;
    // The other way round: a service that is on none of the hosts. All of what is meant being elsewhere is a fault, as ever.
    let said = place.want(0, &["deploy", "api", "db", "--host", "one"])?;
    assert!(said.err.contains("db is left out, as the registry puts it on none of these hosts"), "{}", said.err);
    place.want(2, &["deploy", "db", "--host", "one"])?;
    // Nothing is said where there is nothing to say.
    let said = place.want(0, &["deploy", "api", "db", "--host", "one", "--host", "two"])?;
    assert!(!said.err.contains("left out"), "{}", said.err);
    place.want(0, &["deploy", "--all"])?;
    // It lies on both hosts, one of which the registry does not name any more: it goes from both, and is told of where it is not.
    write("one, two")?;
    place.want(0, &["deploy", "api"])?;
    write("one")?;
    let (_, talk) = told(&["remove", "--yes"], "api")?;
    assert_eq!(talk.matches("removed").count(), 2, "{talk}");
    assert!(!talk.contains("is not there"), "{talk}");
    let (_, talk) = told(&["remove", "--yes"], "api")?;
    assert_eq!(talk.matches("api is not there").count(), 2, "{talk}");
    // Of hosts alone all is shown that lies there, also nothing.
    let rows = |hosts: &[&str]| place.want(0, &[&["status"], hosts].concat()).map(|said| said.out);
    place.want(0, &["remove", "db", "--yes"])?;
    write("two")?;
    place.want(0, &["deploy", "--all"])?;
    let out = rows(&both)?;
    assert!(out.contains("nothing is there") && out.lines().count() == 4, "{out}");
    place.want(0, &["remove", "--all", "--yes"])?;
    Ok(())
}
