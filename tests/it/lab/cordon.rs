//! Who is taken out of service is left alone: by deploys and by remedies, whoever asks, until it is taken in again.

use std::time::Duration;

use libtest_mimic::{Failed, Trial};
use serde_json::Value;

use super::kit::{Bench, Machine, port, wait};
use super::{pair, trial};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("who_is_cordoned_is_left_alone", cordoned),
        trial("cordoned_and_half_done_or_switched_off_it_holds_nobody_up", apart),
        trial("cordoned_and_drained_by_playbooks", remedies),
        trial("cordoned_by_a_drain_that_ends_nothing_which_stands_alone", drained),
    ]
}

fn cordoned(machines: Vec<Machine>) -> Result<(), Failed> {
    let machines = &pair(&machines)[..];
    let (one, other) = (&machines[0], &machines[1]);
    let (mut bench, port) = (Bench::new("cordon", machines), port());
    let heal = "    heal: { policy: full, looks: 1 }\n";
    let names = [one.name.as_str(), other.name.as_str()];
    let write = |bench: &Bench, version: &str| bench.registry(&bench.service("one", &names, port, version, heal));
    write(&bench, "one");
    bench.run(&["deploy", "--all"]).exits(0);
    let why = "its `disk` is $(changed); mind it";
    let kept = bench.run(&["host", "cordon", &one.name, "--because", why]).exits(0);
    assert!(kept.out.contains(why) && kept.out.contains("by trial@"), "{}", kept.out);
    let shown = bench.run(&["host", "check", &one.name, "--json"]).exits(0);
    assert!(shown.out.contains(why), "{}", shown.out);
    // Another controller, which knows nothing of the first one, finds it there.
    write(&bench, "two");
    let ran = bench.run_in("elsewhere", &["deploy", "--all"], &mut |_, _| {}).exits(0);
    assert!(ran.err.contains("left out, as it is cordoned") && ran.err.contains(why), "{}", ran.err);
    assert_eq!((bench.answer(one, port), bench.answer(other, port)), ("one".into(), "two".into()));
    let ran = bench.run(&["deploy", "--host", &one.name]).exits(9);
    assert!(ran.err.contains("host uncordon"), "{}", ran.err);
    one.inside(&format!("systemctl stop portoser-{}-one.service", bench.id));
    let ran = bench.run(&["heal", "--risk", "disruptive", "--json"]).exits(8);
    let document: Value = serde_json::from_str(&ran.out)?;
    assert_eq!(document["treated"].as_array().map(Vec::len), Some(0), "{document}");
    assert!(document["left"].to_string().contains("it is cordoned by trial@"), "{document}");
    // To cron it is no news, and neither is it healed.
    assert_eq!(bench.run(&["sweep"]).exits(0).out, "");
    // Nor is it when it is switched off.
    let door = bench.doors[&one.name].clone();
    bench.through(one, 1);
    write(&bench, "two");
    assert_eq!(bench.run(&["sweep"]).exits(0).out, "");
    bench.doors.insert(one.name.clone(), door);
    bench.know();
    write(&bench, "two");
    // A person's own word still counts.
    bench.run(&["start", "--host", &one.name]).exits(0);
    one.inside(&format!("systemctl stop portoser-{}-one.service", bench.id));
    bench.run(&["host", "uncordon", &one.name]).exits(0);
    bench.run(&["heal", "--json"]).exits(0);
    bench.run(&["deploy", "--all"]).exits(0);
    assert_eq!(bench.answer(one, port), "two");
    Ok(())
}

/// A run that stopped in the middle on a cordoned host is not settled; a cordoned host that is switched off stops nobody.
fn apart(machines: Vec<Machine>) -> Result<(), Failed> {
    let machines = &pair(&machines)[..];
    let (one, other) = (&machines[0], &machines[1]);
    let (mut bench, ports) = (Bench::new("apart", machines), [port(), port()]);
    let names = [one.name.as_str(), other.name.as_str()];
    let write = |bench: &Bench, version: &str, soak: &str| {
        let more = format!("    needs: [{}-db]\n    deploy: {{ soak: {soak} }}\n", bench.id);
        let web = bench.service("web", &names, ports[0], version, &more);
        bench.registry(&(web + &bench.service("db", &names[..1], ports[1], "one", "")));
    };
    write(&bench, "one", "0s");
    bench.run(&["deploy", "--all"]).exits(0);
    write(&bench, "two", "60s");
    bench.run_in("elsewhere", &["deploy", "--host", &one.name, "--events"], &mut |count, child| {
        let last = format!("cd {}/runs/$(ls {0}/runs | tail -n 1)", bench.base());
        if count > 0 && one.inside(&format!("{last} && grep -c ' switched ' journal")).trim() == "1" {
            one.inside(&format!("{last} && read -r pid rest <runner && kill -9 $pid"));
            let _ = child.kill();
        }
    });
    let ends = format!("cd {}/runs && for run in *; do [ -e $run/end ] || echo $run; done", bench.base());
    let open = || one.inside(&ends);
    let left = open();
    assert_eq!(left.lines().count(), 1, "{left}");
    bench.run(&["host", "cordon", &one.name, "--because", "it smells"]).exits(0);
    write(&bench, "two", "0s");
    let ran = bench.run(&["deploy", "--all"]).exits(9);
    let needs = format!("{0}-web needs {0}-db, which is on cordoned hosts only ({1})", bench.id, one.name);
    assert!(
        ran.err.contains(&format!("nothing was done for `{}-db`", bench.id)) && ran.err.contains(&needs),
        "{}",
        ran.err
    );
    assert_eq!(bench.answer(other, ports[0]), "two");
    assert_eq!(open(), left, "a cordoned host is left as it is");
    let planned = bench.run(&["plan", "--json"]).exits(0);
    assert!(serde_json::from_str::<Value>(&planned.out)?["cordoned"][&one.name].to_string().contains("it smells"));
    // It is switched off. Who knows that it is cordoned goes on without it; who does not, asks for it.
    let door = bench.doors[&one.name].clone();
    let closed = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    bench.through(one, closed);
    write(&bench, "three", "0s");
    let ran = bench.run(&["deploy", "--all"]).exits(9);
    assert!(ran.err.contains("(it cannot be seen now)"), "{}", ran.err);
    assert_eq!(bench.answer(other, ports[0]), "three");
    bench.run_in("third", &["deploy", "--all"], &mut |_, _| {}).exits(4);
    let ran = bench.run_in("third", &["host", "cordon", &one.name], &mut |_, _| {}).exits(4);
    assert!(ran.err.contains("this machine leaves it alone now"), "{}", ran.err);
    let web = format!("{}-web", bench.id);
    bench.run_in("third", &["deploy", &web], &mut |_, _| {}).exits(0);
    bench.doors.insert(one.name.clone(), door);
    bench.know();
    write(&bench, "three", "0s");
    // Somebody else takes it in: the host's own word goes before what is remembered of it.
    bench.run_in("third", &["host", "uncordon", &one.name], &mut |_, _| {}).exits(0);
    bench.run(&["deploy", "--all"]).exits(0);
    assert_eq!((open(), bench.answer(one, ports[0])), (String::new(), "three".into()));
    Ok(())
}

/// A playbook of the user's in the place of one of ours: `do` is what it does when a unit was stopped.
fn playbook(bench: &Bench, verb: &str, risk: &str) -> Result<(), Failed> {
    std::fs::create_dir_all(bench.at("playbooks"))?;
    let text = format!(
        "version: 1\nname: unit-stopped\nwhen:\n  - {{ look: unit, where: {{ active: inactive }} }}\nbecause: \"{{unit}} was stopped\"\n\
         risk: {risk}\ndo:\n  - {verb}: host\nexamples:\n  - name: stopped\n    given:\n      - \
         {{ look: unit, values: {{ unit: a, active: inactive }} }}\n    expect: \"a was stopped\"\n  - name: well\n    given:\n      - \
         {{ look: unit, is: good, values: {{ unit: a, active: active }} }}\n"
    );
    Ok(std::fs::write(bench.at("playbooks/unit-stopped.yml"), text)?)
}

fn remedies(machines: Vec<Machine>) -> Result<(), Failed> {
    let machines = &pair(&machines)[..];
    let (one, other) = (&machines[0], &machines[1]);
    let (bench, ports) = (Bench::new("aside", machines), [port(), port(), port()]);
    let names = [one.name.as_str(), other.name.as_str()];
    let heal = "    heal: { looks: 1, tries: 9, cooldown: 1ms }\n";
    let both = bench.service("a", &names, ports[0], "one", heal) + &bench.service("b", &names, ports[1], "one", heal);
    bench.registry(&(both.clone() + &bench.service("alone", &names[..1], ports[2], "one", heal)));
    bench.run(&["deploy", "--all"]).exits(0);
    let unit = |name: &str| format!("portoser-{}-{name}.service", bench.id);
    let healed = |words: &[&str], code: i32| -> Result<Value, Failed> {
        let ran = bench.run(&[&["heal", "--json"], words].concat()).exits(code);
        Ok(serde_json::from_str(&ran.out)?)
    };
    let word = || one.inside(&format!("cat {}/cordon 2>&1", bench.base()));
    playbook(&bench, "cordon", "safe")?;
    one.inside(&format!("systemctl stop {}", unit("b")));
    let document = healed(&[], 8)?;
    assert_eq!(document["treated"][0]["verdict"], "helped", "{document}");
    assert!(word().starts_with("by a playbook: ") && word().contains("was stopped"), "{}", word());
    assert_eq!(healed(&[], 8)?["treated"].as_array().map(Vec::len), Some(0), "once is enough");
    assert_eq!(bench.answer(one, ports[0]), "one", "what runs there runs on");
    bench.run(&["host", "uncordon", &one.name]).exits(0);
    // A drain is a person's word, and ends nothing that no other host carries.
    playbook(&bench, "drain", "ask")?;
    assert_eq!(healed(&["--risk", "disruptive"], 8)?["treated"].as_array().map(Vec::len), Some(0));
    let document = healed(&["--risk", "ask"], 8)?;
    let why = format!("no other host was seen to carry {}-alone", bench.id);
    assert!(document["left"].to_string().contains(&why), "{document}");
    bench.run(&["stop", &format!("{}-alone", bench.id)]).exits(0);
    let document = healed(&["--risk", "ask"], 8)?;
    assert_eq!(document["treated"][0]["verdict"], "helped", "{document}");
    let state = |name: &str| one.inside(&format!("systemctl is-active {}", unit(name))).trim().to_owned();
    assert_eq!([state("a"), state("b"), state("alone")], ["inactive"; 3]);
    assert!(word().starts_with("by a playbook: "), "{}", word());
    assert_eq!((bench.answer(one, ports[0]), bench.answer(other, ports[0])), (String::new(), "one".into()));
    bench.run(&["host", "uncordon", &one.name]).exits(0);
    bench.run(&["start", "--host", &one.name]).exits(0);
    assert_eq!(bench.amiss(one), "");
    Ok(())
}

fn drained(machines: Vec<Machine>) -> Result<(), Failed> {
    let machines = &pair(&machines)[..];
    let (one, other) = (&machines[0], &machines[1]);
    let (bench, ports) = (Bench::new("drain", machines), [port(), port(), port()]);
    let names = [one.name.as_str(), other.name.as_str()];
    let needs = format!("    needs: [{}-b]\n", bench.id);
    let both = bench.service("a", &names, ports[0], "one", &needs) + &bench.service("b", &names, ports[1], "one", "");
    bench.registry(&(both.clone() + &bench.service("alone", &names[..1], ports[2], "one", "")));
    bench.run(&["deploy", "--all"]).exits(0);
    let answers = || [bench.answer(one, ports[0]), bench.answer(one, ports[1]), bench.answer(other, ports[0])];
    let is_cordoned = || !one.inside(&format!("ls {}/cordon", bench.base())).contains("No such file");
    let drain = |words: &[&str], code: i32| bench.run(&[&["host", "drain", &one.name], words].concat()).exits(code);
    let ran = drain(&[], 9);
    assert!(ran.err.contains(&format!("{}-alone: it is on no other host", bench.id)), "{}", ran.err);
    assert!(!ran.err.contains(&format!("{}-a:", bench.id)) && !is_cordoned(), "{}", ran.err);
    // The other host is out of service, or does not carry it: nothing is stopped.
    bench.registry(&both);
    bench.run(&["host", "cordon", &other.name]).exits(0);
    assert!(drain(&[], 9).err.contains("it is cordoned, too"));
    bench.run(&["host", "uncordon", &other.name]).exits(0);
    other.inside(&format!("systemctl stop portoser-{}-b.service", bench.id));
    assert!(drain(&[], 9).err.contains(&format!("{}-b: {}: it does not run there", bench.id, other.name)));
    bench.run(&["start", "--host", &other.name]).exits(0);
    assert_eq!((answers(), is_cordoned()), (["one".into(), "one".into(), "one".into()], false));
    let ran = drain(&["--events", "--because", "a new disk"], 0);
    let first = ran.events.iter().find(|event| event["event"] == "step").map(|event| event["service"].to_string());
    assert!(first.is_some_and(|name| name.contains("-a")), "what needs others stops first: {:?}", ran.events);
    assert_eq!((answers(), is_cordoned()), ([String::new(), String::new(), "one".into()], true));
    // Once more changes nothing, and nobody starts it again until it is taken in.
    let again = drain(&[], 0);
    assert!(again.err.contains("does not run") && !again.err.contains("unknown"), "{}", again.err);
    bench.run(&["heal", &one.name, "--risk", "disruptive"]).exits(8);
    bench.run(&["deploy", "--all"]).exits(0);
    assert_eq!(answers(), [String::new(), String::new(), "one".into()]);
    bench.run(&["host", "uncordon", &one.name]).exits(0);
    bench.run(&["start", "--host", &one.name]).exits(0);
    wait("it answers", Duration::from_secs(10), || answers() == ["one", "one", "one"]);
    assert_eq!(bench.amiss(one), "");
    Ok(())
}
