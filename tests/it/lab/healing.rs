//! Healing on a real host: what helps is kept, what does not is undone and not repeated, and what is not allowed is left alone.

use libtest_mimic::{Failed, Trial};
use serde_json::Value;

use super::kit::{Bench, Machine, Ran, port};
use super::trial;

pub fn trials() -> Vec<Trial> {
    vec![trial("what_is_wrong_is_healed_as_far_as_the_registry_allows", heals)]
}

/// Says what the healing has done and left, from its document.
fn told(ran: &Ran) -> (Vec<(String, String)>, Vec<String>) {
    let document: Value =
        serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}: {}{}", ran.out, ran.err));
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let list = |key: &str| document[key].as_array().cloned().unwrap_or_default();
    let treated = list("treated").iter().map(|one| (text(&one["remedy"]), text(&one["verdict"]))).collect();
    let left = list("left").into_iter().filter(|one| one["latent"] == Value::Bool(false));
    (treated, left.map(|one| one.to_string()).collect())
}

fn heals(machines: Vec<Machine>) -> Result<(), Failed> {
    let machine = machines.into_iter().find(|one| one.image == "bookworm").expect("a host with systemd");
    let mut bench = Bench::new("heal", std::slice::from_ref(&machine));
    let port = port();
    let write = |bench: &Bench, policy: &str, version: &str| {
        let heal = format!("    heal: {{ policy: {policy}, apart: 100ms, cooldown: 1s, tries: 50, breaker: 50 }}\n");
        bench.registry(&bench.service("one", &[&machine.name], port, version, &heal));
    };
    let service = format!("{}-one", bench.id);
    let unit = format!("portoser-{service}.service");
    let systemctl = |words: &str| machine.inside(&format!("systemctl {words} {unit}"));
    let pid = || systemctl("show -p MainPID --value").trim().to_owned();
    write(&bench, "full", "one");
    bench.run(&["deploy", "--all"]).exits(0);

    // All is well: a sweep says nothing at all, on neither stream, and does nothing.
    let before = pid();
    let quiet = bench.run(&["sweep"]).exits(0);
    assert_eq!((quiet.out.as_str(), quiet.err.as_str(), pid()), ("", "", before));

    // It was stopped by somebody else: it is started, and the second look says so.
    systemctl("stop");
    let dry = bench.run(&["heal", "--dry-run", "--json"]).exits(8);
    assert_eq!(told(&dry).0, [], "{}", dry.out);
    // What a sweep would do is said to a pipe, too, as often as it is asked for, and is then no old news to a sweep.
    for _ in 0..2 {
        let dry = bench.run(&["sweep", "--dry-run"]).exits(8);
        assert!(dry.out.contains("not done: start the unit: it would be done"), "{}", dry.out);
    }
    let healed = bench.run(&["heal", "--json"]).exits(0);
    assert_eq!(told(&healed), (vec![("unit-stopped".into(), "helped".into())], vec![]), "{}", healed.out);
    assert_eq!(bench.answer(&machine, port), "one");

    // A process that does nothing goes on as the very same process.
    let stopped = pid();
    machine.inside(&format!("kill -STOP {stopped}"));
    let healed = bench.run(&["heal", "--json"]).exits(0);
    assert_eq!(told(&healed).0, [("process-stopped".into(), "helped".into())], "{}", healed.out);
    assert_eq!(pid(), stopped);

    // A file of the release is gone: it comes back as it was deployed.
    machine.inside(&format!("rm {}/services/{service}/current/server.py; systemctl kill -s KILL {unit}", bench.base()));
    let healed = bench.run(&["heal", "--json"]).exits(0);
    assert_eq!(told(&healed).0, [("file-gone".into(), "helped".into())], "{}", healed.out);
    assert_eq!((bench.answer(&machine, port).as_str(), bench.amiss(&machine).as_str()), ("one", ""));

    // What a person stopped stays stopped.
    bench.run(&["stop", &service]).exits(0);
    let left = bench.run(&["heal", "--json"]).exits(8);
    assert!(told(&left).0.is_empty() && left.out.contains("stopped on purpose"), "{}", left.out);
    bench.run(&["start", &service]).exits(0);

    // What does not help is undone, is tried once only, and the list of what was tried is the report.
    write(&bench, "full", "two");
    bench.run(&["deploy", "--all"]).exits(0);
    machine.inside(&format!("touch /tmp/bad-{port}; systemctl restart {unit}"));
    let back = bench.run(&["heal", "--json"]).exits(0);
    let tried = told(&back).0;
    assert_eq!(tried.last(), Some(&("ladder: roll-back".into(), "helped".into())), "{}", back.out);
    assert_eq!(tried[..tried.len() - 1], [("check-failing".into(), "no-help".into())], "{}", back.out);
    assert_eq!(bench.answer(&machine, port), "one");
    machine.inside(&format!("rm /tmp/bad-{port}"));

    // A policy that only suggests does nothing and says what it would do.
    write(&bench, "suggest", "one");
    systemctl("stop");
    let left = bench.run(&["heal", "--json"]).exits(8);
    assert!(told(&left).0.is_empty() && left.out.contains("the policy is `suggest`"), "{}", left.out);
    assert_eq!(systemctl("is-active").trim(), "inactive");
    // Who gives up leaves all that was seen, once.
    let left: Value = serde_json::from_str(&left.out).expect("a document");
    let bundle = std::path::PathBuf::from(left["bundle"].as_str().expect("a bundle"));
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&bundle)?.permissions());
    let text = std::fs::read_to_string(&bundle)?;
    assert!(
        mode & 0o777 == 0o600 && text.contains("unit-stopped") && text.contains("the policy is `suggest`"),
        "{text}"
    );
    let again: Value = serde_json::from_str(&bench.run(&["heal", "--json"]).exits(8).out).expect("a document");
    assert_eq!(again["bundle"], Value::Null);
    // A step that fails is told in its own words.
    let words = ["fix", &service, "--", "/bin/sh", "-c", "echo the pump is broken; exit 3"];
    let vain = bench.run(&words);
    assert!(
        vain.out.contains("it could not be done to its end") && vain.out.contains("the pump is broken"),
        "{}{}",
        vain.out,
        vain.err
    );
    // A pass whose time is over has seen nothing, and does nothing.
    let late = bench.run(&["sweep", "--deadline", "0s", "--json"]).exits(4);
    assert!(told(&late).0.is_empty() && told(&late).1.is_empty(), "{}", late.out);
    // A sweep may be held back further, and never goes beyond it.
    let held = bench.run(&["sweep", "--heal", "full", "--json"]).exits(8);
    assert!(told(&held).0.is_empty() && held.out.contains("the policy is `suggest`"), "{}", held.out);
    write(&bench, "full", "one");
    let held = bench.run(&["sweep", "--heal", "observe", "--json"]).exits(8);
    assert!(told(&held).0.is_empty() && held.out.contains("the policy is `observe`"), "{}", held.out);
    write(&bench, "suggest", "one");
    // A person may go beyond it.
    let healed = bench.run(&["heal", "--risk", "safe", "--json"]).exits(0);
    assert_eq!(told(&healed).0, [("unit-stopped".into(), "helped".into())], "{}", healed.out);

    // A host that cannot be seen is neither well nor touched.
    bench.through(&machine, 1);
    write(&bench, "full", "one");
    let unseen = bench.run(&["sweep", "--json"]).exits(8);
    assert!(told(&unseen).0.is_empty(), "{}", unseen.out);
    Ok(())
}
