//! unit: whether what runs a service is up, and how its last process ended.

use crate::heal::Observation;
use crate::heal::observe::scene::{About, Heard, Instance, Look, Placed, Scene, none};

pub(super) const LOOK: Look = Look { name: "unit", about: About::Service, shell: "", calls: none, judge };

fn judge(scene: &Scene<'_>, heard: &Heard) -> Vec<Observation> {
    // What docker does not tell though it answers is gone; what it could not be asked for is unseen.
    let gone = |placed: &Placed<'_>| placed.service.kind.is_docker() && heard.seen().blind.is_none();
    let all =
        |placed| heard.instances(placed).into_iter().map(move |instance| one(scene, placed, &instance, gone(placed)));
    scene.services.iter().flat_map(all).collect()
}

fn one(scene: &Scene<'_>, placed: &Placed<'_>, instance: &Instance<'_>, gone: bool) -> Observation {
    let name = instance.name.as_str();
    let one = scene.of(&LOOK, placed).of(name).with("unit", name);
    if gone && instance.unit.is_none() {
        return one.with("load", "gone").bad(format!("there is no container {name}"));
    }
    let Some(unit) = instance.unit else { return one.unseen(format!("the host says nothing of {name}")) };
    let get = |key: &str| instance.shown.get(key).copied().unwrap_or_default();
    let load = if instance.shown.is_empty() && unit.loaded { "loaded" } else { get("LoadState") };
    let result = if unit.result.is_empty() { "success" } else { &unit.result };
    let mut one = one.with("active", &unit.active).with("sub", &unit.sub).with("result", result);
    one = one.with("status", &unit.status).with("restarts", unit.restarts).with("load", load);
    for (name, key) in [("files", "LimitNOFILE"), ("memory", "MemoryMax"), ("tasks", "TasksMax")] {
        if get(key).parse::<u64>().is_ok_and(|limit| limit < u64::MAX) {
            one = one.with(name, get(key));
        }
    }
    // Where the unit has no limit of its own, the host's memory was the limit.
    one = one.with("bound", if get("MemoryMax") == "infinity" { "none" } else { "memory" });
    // systemd.exec(5): 1 is an exit, 2 and 3 are signals (with a core dump).
    let signal = matches!(get("ExecMainCode"), "2" | "3");
    one = one.with("end", if signal { "signal" } else { "exit" });
    if matches!(load, "masked" | "not-found" | "bad-setting" | "error") || !unit.loaded {
        let load = if load.is_empty() { "not loaded" } else { load };
        return one.bad(format!("{name} is {load}"));
    }
    if unit.sub == "unhealthy" {
        return one.bad(format!("{name} runs, and its own health check says that it is unhealthy"));
    }
    if unit.runs() {
        return one.good(format!("{name} runs"));
    }
    let how = if signal { "by signal" } else { "with exit code" };
    let ended = match (unit.result.as_str(), unit.status.as_str()) {
        ("" | "success", "" | "0") => String::new(),
        (_, "" | "0") => format!("; its result is {}", unit.result),
        (result, status) => format!("; it ended {how} {status} ({result})"),
    };
    match (unit.active.as_str(), unit.sub.as_str()) {
        ("activating", sub) if sub != "auto-restart" => one.unseen(format!("{name} is just starting ({sub})")),
        ("deactivating", sub) => one.unseen(format!("{name} is just stopping ({sub})")),
        (active, sub) => one.bad(format!("{name} is {active} ({sub}){ended}")),
    }
}
