//! The flags that choose what a deploy is for, and what two hosts say at once.

use libtest_mimic::{Failed, Trial};

use super::kit::{Bench, Machine, PATIENCE, port, wait};
use super::signals::Talk;
use super::{pair, trial};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("flags_choose_services_and_hosts", chosen),
        trial("logs_of_two_hosts_are_followed_side_by_side", followed),
    ]
}

fn chosen(machines: Vec<Machine>) -> Result<(), Failed> {
    let machines = &pair(&machines)[..];
    let [one, two] = machines else { return Err("two hosts are needed".into()) };
    let bench = Bench::new("flags", machines);
    let (db, api) = (port(), port());
    let write = |version: &str| {
        let more = format!("    needs: [{}-db]\n    labels: {{ tier: web }}\n    deploy: {{ soak: 60s }}\n", bench.id);
        let more = if version == "slow" { more } else { more.replace("60s", "200ms") };
        bench.registry(
            &(bench.service("db", &[&one.name], db, "one", "    labels: { tier: data }\n")
                + &bench.service("api", &[&one.name, &two.name], api, version, &more)),
        );
    };
    write("one");
    let answers = || (bench.answer(one, db), bench.answer(one, api), bench.answer(two, api));
    let are = |db: &str, one: &str, two: &str| (db.to_owned(), one.to_owned(), two.to_owned());
    let name = format!("{}-api", bench.id);
    // A plan by another name: nothing is done, and only what is meant is told of.
    let dry = bench.run(&["deploy", "--label", "tier=web", "--dry-run"]).exits(0);
    assert!(dry.out.contains(&format!("{name} on {}, {}", one.name, two.name)), "{}", dry.out);
    assert!(!dry.out.contains("-db on"), "{}", dry.out);
    assert_eq!(answers(), are("", "", ""));
    bench.run(&["deploy", "--label", "tier=none"]).exits(2);
    bench.run(&["deploy", "--label", "tier=web", "--label", "team=none"]).exits(2);
    // What it needs comes first, and the other host is not touched.
    let needs = bench.run(&["deploy", "--label", "tier=web", "--host", &one.name, "--with-needs", "--events"]).exits(0);
    let order: Vec<&str> = needs
        .events
        .iter()
        .filter(|event| event["event"] == "ended")
        .map(|event| event["service"].as_str().unwrap_or_default())
        .collect();
    assert_eq!(order, [format!("{}-db", bench.id), name.clone()], "{}", needs.out);
    assert_eq!(answers(), are("one", "one", ""));
    bench.run(&["deploy", &name, "--host", &two.name]).exits(0);
    assert_eq!(answers(), are("one", "one", "one"));
    // Somebody else is at work there.
    write("slow");
    let mut first = Talk::of(&bench, "state", &["deploy", &name, "--host", &one.name]);
    wait("it is switched", PATIENCE, || bench.answer(one, api) == "slow");
    let locked = bench.run_in("colleague", &["deploy", "--all", "--wait-lock", "1s"], &mut |_, _| {}).exits(7);
    assert!(locked.err.contains("trial@"), "who holds it is said: {}", locked.err);
    first.signal("INT");
    assert_eq!(first.ends(PATIENCE), Some(130), "{:#?}", first.said);
    assert_eq!(answers(), are("one", "one", "one"));
    Ok(())
}

/// What each host says comes as it is said, with who says it; not one host after the other.
fn followed(machines: Vec<Machine>) -> Result<(), Failed> {
    let machines = &pair(&machines)[..];
    let [one, two] = machines else { return Err("two hosts are needed".into()) };
    let bench = Bench::new("follow", machines);
    // It repeats each line that is written into its pipe.
    bench.registry(&format!(
        "  {0}-echo:\n    type: native\n    hosts: [{1}, {2}]\n    user: root\n    \
         run: [/bin/sh, -c, \"rm -f /run/{0}; mkfifo /run/{0}; echo ready; while :; do cat /run/{0}; done\"]\n    \
         checks: [{{ log: '^ready$', interval: 100ms }}]\n",
        bench.id, one.name, two.name
    ));
    bench.run(&["deploy", "--all"]).exits(0);
    let name = format!("{}-echo", bench.id);
    let mut follow = Talk::of(&bench, "state", &["logs", &name, "--follow", "--lines", "1"]);
    let width = one.name.len().max(two.name.len());
    let line = |machine: &Machine| format!("{name} {:<width$} | ", machine.name);
    let first = [0, 1].map(|_| follow.says(&[" | "]));
    for machine in [one, two] {
        // Whether its own word or that of systemd about its start is the last one is decided there.
        let is = |heard: &&String| {
            heard.starts_with(&line(machine)) && ["ready", "Started "].iter().any(|says| heard.contains(says))
        };
        assert_eq!(first.iter().filter(is).count(), 1, "{first:?}");
    }
    // In turn: each line is shown before the next is said elsewhere.
    for number in 0..6 {
        let machine = [one, two][number % 2];
        let says = format!("line {number}");
        machine.inside(&format!("timeout 10 sh -c 'echo {says} >/run/{}'", bench.id));
        let heard = follow.says(&[&says]);
        assert!(heard.starts_with(&line(machine)) && heard.ends_with(&says), "{heard}");
    }
    follow.signal("INT");
    assert_eq!(follow.ends(PATIENCE), Some(130));
    for machine in [one, two] {
        machine.inside(&format!("rm -f /run/{}", bench.id));
    }
    Ok(())
}
