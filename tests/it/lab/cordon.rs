//! Who is taken out of service is left alone: by deploys and by remedies, whoever asks, until it is taken in again.

use libtest_mimic::{Failed, Trial};
use serde_json::Value;

use super::kit::{Bench, Machine, port};
use super::{trial, usual};

pub fn trials() -> Vec<Trial> {
    vec![trial("who_is_cordoned_is_left_alone", cordoned)]
}

fn cordoned(machines: Vec<Machine>) -> Result<(), Failed> {
    let machines = &usual(&machines)[..2];
    let (one, other) = (&machines[0], &machines[1]);
    let (bench, port) = (Bench::new("cordon", machines), port());
    let heal = "    heal: { policy: full, looks: 1 }\n";
    let names = [one.name.as_str(), other.name.as_str()];
    let write = |version: &str| bench.registry(&bench.service("one", &names, port, version, heal));
    write("one");
    bench.run(&["deploy", "--all"]).exits(0);
    let why = "its `disk` is $(changed); mind it";
    let kept = bench.run(&["host", "cordon", &one.name, "--because", why]).exits(0);
    assert!(kept.out.contains(why) && kept.out.contains("by trial@"), "{}", kept.out);
    let shown = bench.run(&["host", "check", &one.name, "--json"]).exits(0);
    assert!(shown.out.contains(why), "{}", shown.out);
    // Another controller, which knows nothing of the first one, finds it there.
    write("two");
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
    // A person's own word still counts.
    bench.run(&["start", "--host", &one.name]).exits(0);
    one.inside(&format!("systemctl stop portoser-{}-one.service", bench.id));
    bench.run(&["host", "uncordon", &one.name]).exits(0);
    bench.run(&["heal", "--json"]).exits(0);
    bench.run(&["deploy", "--all"]).exits(0);
    assert_eq!(bench.answer(one, port), "two");
    Ok(())
}
