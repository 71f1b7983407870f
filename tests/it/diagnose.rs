//! What a diagnosis says beside what is the matter: what would be done, what holds it, and the bundle for a ticket. What comes of a
//! healing without a host of the lab.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;

use libtest_mimic::{Failed, Trial};
use serde_json::{Value, json};

use crate::verbs::{Place, trial};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("diagnose::it_says_what_heal_would_choose_and_what_holds_it", chosen),
        trial("diagnose::what_breaks_nothing_yet_is_told_and_does_not_count", latent),
        trial("diagnose::a_silent_host_costs_a_pass_one_deadline", silent),
        trial("diagnose::a_deploy_that_gives_up_leaves_a_bundle_once", given_up),
        trial("diagnose::what_the_ladder_healed_is_known_the_next_time", ladder),
    ]
}

fn chosen(place: &Place<'_>) -> Result<(), Failed> {
    let file = place.folder.join("registry.yml");
    let text = std::fs::read_to_string(&file)?
        .replace("  down: { address: 127.0.0.1, port: 1 }\n", "")
        .replace("GREETING: \"it's $(me)\"", "PASSWORD: hunter2-and-more")
        .replace("echo up; exec", "echo error: wrong password $PASSWORD; exec");
    let with = |policy: &str| {
        std::fs::write(&file, format!("{text}defaults: {{ heal: {{ apart: 50ms, policy: {policy} }} }}\n"))
    };
    with("safe")?;
    place.want(0, &["deploy", "--all"])?;
    std::fs::remove_file(place.folder.join("good"))?;
    let says = |policy: &str, wanted: &str| {
        with(policy)?;
        let said = place.want(8, &["diagnose", "above"])?.out;
        assert!(said.contains(wanted), "{policy}: {said}");
        Ok::<_, Failed>(())
    };
    // What is off is looked at all the same, and `heal` would not touch it.
    says("off", "  would  not restart the unit: healing is off here")?;
    says("suggest", "  would  not restart the unit: the policy is `suggest`")?;
    says("safe", "  would  not restart the unit: it interrupts the service, and the policy is `safe`")?;
    says("full", "  would  restart the unit\n")?;
    // There is nothing to go back to.
    says("full", "  would  not go back to the release that was proven before: ")?;
    let bundle = place.folder.join("bundle.json");
    place.want(8, &["diagnose", "above", "--bundle", &bundle.to_string_lossy()])?;
    let text = std::fs::read_to_string(&bundle)?;
    assert!(!text.contains("hunter2") && text.contains("wrong password"), "{text}");
    assert_eq!(std::fs::metadata(&bundle)?.permissions().mode() & 0o777, 0o600);
    let document: Value = serde_json::from_str(&text)?;
    let problems = document["diagnosis"]["problems"].as_array().cloned().unwrap_or_default();
    let held: Vec<&Value> = problems.iter().flat_map(|one| one["remedies"].as_array()).flatten().collect();
    assert!(held.iter().any(|one| one["says"] == "restart the unit" && one["held_by"].is_null()), "{text}");
    Ok(())
}

/// `diagnose`, `heal` and `sweep` end alike.
fn latent(place: &Place<'_>) -> Result<(), Failed> {
    let file = place.folder.join("registry.yml");
    let text = std::fs::read_to_string(&file)?.replace("  down: { address: 127.0.0.1, port: 1 }\n", "");
    std::fs::write(&file, format!("{text}defaults: {{ heal: {{ apart: 50ms, policy: observe }} }}\n"))?;
    place.want(0, &["deploy", "--all"])?;
    let release = place.folder.join("base/services/above/current").canonicalize()?;
    std::fs::set_permissions(&release, std::fs::Permissions::from_mode(0o777))?;
    for verb in ["diagnose", "heal", "sweep"] {
        let said = place.want(0, &[verb, "-v"])?.out;
        assert!(said.contains("LATENT") && said.contains("above on box"), "{verb}: {said}");
    }
    std::fs::remove_file(place.folder.join("good"))?;
    for verb in ["diagnose", "heal", "sweep"] {
        place.want(8, &[verb])?;
    }
    Ok(())
}

/// At the usual `looks: 2`: the host where something is wrong is looked at again, and the one that says nothing is not.
fn silent(place: &Place<'_>) -> Result<(), Failed> {
    place.want(0, &["deploy", "--all"])?;
    std::fs::remove_file(place.folder.join("good"))?;
    // It accepts in the kernel, and never says a word.
    let mute = TcpListener::bind("127.0.0.1:0")?;
    mute.set_nonblocking(true)?;
    let tried = || std::iter::from_fn(|| mute.accept().ok()).count();
    let file = place.folder.join("registry.yml");
    let text = std::fs::read_to_string(&file)?.replace("port: 1 }", &format!("port: {} }}", mute.local_addr()?.port()));
    std::fs::write(&file, &text)?;
    let told = place.document(8, &["sweep", "--all", "--heal", "observe"])?;
    let left = told["left"].as_array().into_iter().flatten().map(|one| (&one["host"], one["problem"] == "host-silent"));
    assert_eq!(left.collect::<Vec<_>>(), [(&json!("box"), false), (&json!("down"), true)], "{told}");
    assert_eq!((&told["unsure"], tried()), (&json!([]), 1), "{told}");
    Ok(())
}

/// What a deployed service needs is ill, and what would help is not done: the deploy gives it up, and nobody who heals later does so
/// for the first time.
fn given_up(place: &Place<'_>) -> Result<(), Failed> {
    let file = place.folder.join("registry.yml");
    let need = "run: [/bin/sh, -c, 'echo up; exec sleep 600']\n  above:";
    let check = format!("checks: [{{ command: [test, -e, {}], interval: 200ms, retries: 2 }}]", place.at("needed"));
    let text = std::fs::read_to_string(&file)?.replace("  down: { address: 127.0.0.1, port: 1 }\n", "");
    let text = text.replace(need, &need.replace("\n", &format!("\n    {check}\n")));
    assert!(text.contains(&check), "{text}");
    let text = format!("{text}defaults: {{ heal: {{ apart: 50ms }} }}\n");
    std::fs::write(&file, &text)?;
    std::fs::write(place.folder.join("needed"), "")?;
    place.want(0, &["deploy", "--all"])?;
    ["good", "needed"].into_iter().try_for_each(|name| std::fs::remove_file(place.folder.join(name)))?;
    std::fs::write(&file, text.replace("it's $(me)", "another"))?;
    let said = place.want(6, &["deploy", "above"])?.err;
    let bundles =
        || std::fs::read_dir(place.folder.join("state/diagnoses")).map(|all| all.flatten().collect::<Vec<_>>());
    let all = bundles()?;
    assert_eq!(all.len(), 1, "{said}");
    let path = all[0].path();
    assert!(said.contains(&format!("all that was seen: {}", path.display())), "{said}");
    let bundle: Value = serde_json::from_str(&std::fs::read_to_string(&path)?)?;
    let problems = bundle["diagnosis"]["problems"].as_array().cloned().unwrap_or_default();
    assert!(problems.iter().any(|one| one["service"] == "below"), "{bundle}");
    // It is known by now: a second deploy, and who heals, leave none for it.
    place.want(6, &["deploy", "above"])?;
    let healed = place.document(8, &["heal", "below"])?;
    assert_eq!((bundles()?.len(), &healed["bundle"]), (1, &Value::Null), "{healed}");
    Ok(())
}

/// No playbook has a remedy for what it says, and to start it anew helps: the next time that is the first thing that is done.
fn ladder(place: &Place<'_>) -> Result<(), Failed> {
    let file = place.folder.join("registry.yml");
    let text = std::fs::read_to_string(&file)?.replace("  down: { address: 127.0.0.1, port: 1 }\n", "");
    let runs = "'echo up; exec sleep 600']\n    env";
    let anew = runs.replace("echo up", &format!("touch {}; echo error, no such host", place.at("good")));
    let text = text.replace(runs, &anew);
    assert!(text.contains(&anew), "{text}");
    std::fs::write(&file, format!("{text}defaults: {{ heal: {{ policy: full, apart: 50ms, cooldown: 1ms }} }}\n"))?;
    place.want(0, &["deploy", "--all"])?;
    let heal = || {
        std::fs::remove_file(place.folder.join("good"))?;
        let told = place.document(0, &["heal", "above"])?;
        let treated = told["treated"].as_array().cloned().unwrap_or_default();
        let all =
            treated.iter().map(|one| format!("{} {}", one["remedy"].as_str().unwrap_or_default(), one["verdict"]));
        Ok::<_, Failed>(all.collect::<Vec<_>>())
    };
    assert_eq!(heal()?, ["ladder: restart \"helped\""]);
    let learned = std::fs::read_dir(place.folder.join("playbooks/learned"))?.flatten().map(|one| one.path());
    let learned: Vec<_> = learned.filter(|path| path.extension().is_some_and(|end| end == "yml")).collect();
    let [book] = &*learned else { return Err(format!("{learned:?}").into()) };
    let text = std::fs::read_to_string(book)?;
    let book_says: Value = serde_yaml::from_str(&text)?;
    assert_eq!((&book_says["state"], &book_says["do"]), (&json!("draft"), &json!([{ "restart": "unit" }])), "{text}");
    assert_eq!(
        (&book_says["learned"]["from"], &book_says["record"]["worked"]),
        (&json!("ladder"), &json!(1)),
        "{text}"
    );
    let name = book.file_stem().unwrap_or_default().to_string_lossy();
    assert_eq!(heal()?, [format!("{name} \"helped\"")]);
    let text = std::fs::read_to_string(book)?;
    assert!(text.contains("worked: 2"), "{text}");
    Ok(())
}
