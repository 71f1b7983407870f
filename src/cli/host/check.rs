//! `portoser host check`: what works on hosts.

use serde_json::{Value, json};

use crate::cli::table::table;
use crate::cli::{Exit, Face, Failure, block_on, safe, session};
use crate::deploy::{Checked, check_hosts};
use crate::host::Init;
use crate::model::{FailureKind, HostName};

/// Show what works on hosts: login and by what, sudo, init system, tools and their versions, disk, clock, base folder
///
/// One connection and one look for each host, side by side. Ends with 4 when a host cannot be reached, looked at, or
/// worked on with the rights that the registry wants.
#[derive(Debug, clap::Args)]
pub(super) struct Check {
    /// The hosts; all of the registry, if none is named
    #[arg(value_name = "HOST")]
    names: Vec<HostName>,
}

/// How far a clock may be off before it is worth a hint, in seconds: certificates and logs suffer then.
const CLOCK: i64 = 5;

impl Check {
    pub(super) fn run(self, face: &Face) -> Result<Exit, Failure> {
        let app = session::open(face)?;
        for name in &self.names {
            if !app.registry.hosts.contains_key(name) {
                let known = app.registry.hosts.keys().map(|name| name.as_str());
                return Err(crate::cli::registry::unknown("host", name.as_str(), known));
            }
        }
        let names = if self.names.is_empty() { app.registry.hosts.keys().cloned().collect() } else { self.names };
        let run = app.run_id();
        let all = block_on(async |stop| {
            let (ground, mut events) = app.ground(&run, "host check", stop.soon.clone());
            events.close();
            check_hosts(&ground, &names).await
        })?;
        if face.flags.json || face.flags.events {
            face.document(&json!({ "hosts": all.iter().map(document).collect::<Vec<_>>() }));
        } else {
            let heading = [
                "HOST",
                "LOGIN",
                "BY",
                "LOOK",
                "SUDO",
                "SYSTEM",
                "INIT",
                "PYTHON",
                "UV",
                "DOCKER",
                "COMPOSE",
                "DISK FREE",
                "CLOCK",
                "BASE",
            ];
            table(face, heading, &all.iter().map(row).collect::<Vec<_>>());
            face.flush();
            for one in &all {
                hints(one).iter().for_each(|line| face.talk(safe(&format!("{}: {line}", one.host))));
            }
        }
        let reached = |one: &Checked| one.facts.is_some() && !matches!(one.sudo, Some(Err(_)));
        Ok(if all.iter().all(reached) { Exit::DONE } else { Exit(FailureKind::Unreachable.code()) })
    }
}

fn row(one: &Checked) -> [String; 14] {
    let dash = || "-".to_owned();
    let millis = |time: &std::time::Duration| format!("{} ms", time.as_millis());
    let login = one.login.as_ref().map_or_else(|_| "FAILED".into(), millis);
    let proof = one.proof.clone().unwrap_or_else(dash);
    let answer = one.answer.as_ref().map_or_else(dash, millis);
    let sudo = match &one.sudo {
        Some(Ok(())) => "ok".into(),
        Some(Err(_)) => "FAILED".into(),
        None => dash(),
    };
    let Some(facts) = &one.facts else {
        let mut row = std::array::from_fn(|_| dash());
        row[..5].clone_from_slice(&[one.host.to_string(), login, proof, answer, sudo]);
        return row;
    };
    let has = |tool: &str| match facts.versions.get(tool) {
        Some(version) => version.clone(),
        None if facts.tools.contains(tool) => "yes".into(),
        None => "no".into(),
    };
    let init = [Some(init(&facts.init)), facts.versions.get("systemd").map(String::as_str)];
    let base = format!("{}{}", facts.base, if facts.writable { "" } else { " (NOT WRITABLE)" });
    [
        one.host.to_string(),
        login,
        proof,
        answer,
        sudo,
        format!("{} {}", facts.system, facts.machine),
        init.into_iter().flatten().collect::<Vec<_>>().join(" "),
        has("python3"),
        has("uv"),
        has("docker"),
        has("compose"),
        facts.disk.map_or_else(dash, disk),
        one.clock.map_or_else(dash, |ahead| format!("{ahead:+} s")),
        base,
    ]
}

fn disk((free, all): (u64, u64)) -> String {
    let share = free.saturating_mul(100).checked_div(all).unwrap_or_default();
    format!("{} GiB ({share}%)", free >> 30)
}

fn init(init: &Init) -> &'static str {
    match init {
        Init::Systemd => "systemd",
        Init::Launchd => "launchd",
        Init::None => "none",
    }
}

fn hints(one: &Checked) -> Vec<String> {
    let mut lines = Vec::new();
    if let Err(lost) = &one.login {
        lines.extend([lost.to_string(), format!("hint: {}", lost.hint())]);
    }
    if let Some(Err(lost)) = &one.sudo {
        lines.extend([lost.to_string(), format!("hint: {}", lost.hint())]);
    }
    if let Some((why, hint)) = &one.blind {
        lines.extend([why.clone(), format!("hint: {hint}")]);
    }
    if let Some(ahead) = one.clock.filter(|ahead| ahead.abs() > CLOCK) {
        lines.push(format!("its clock is {ahead:+} s off this machine's"));
        lines.push("hint: let it keep the time with chrony or systemd-timesyncd".into());
    }
    if let Some(facts) = one.facts.as_ref().filter(|facts| !facts.writable) {
        lines.push(format!("{} cannot be written as {}", facts.base, facts.user));
        lines.push("hint: set `become: sudo`, or a `base` that the user owns".into());
    }
    if let Some(holder) = &one.holder {
        lines.push(format!("locked by {holder}"));
    }
    lines
}

fn document(one: &Checked) -> Value {
    let sudo = one.sudo.as_ref().map(|sudo| match sudo {
        Ok(()) => json!({ "works": true }),
        Err(lost) => json!({ "works": false, "why": lost.to_string(), "hint": lost.hint() }),
    });
    let login = match &one.login {
        Ok(took) => json!({ "works": true, "took": took.as_secs_f64(), "by": one.proof }),
        Err(lost) => json!({ "works": false, "why": lost.to_string(), "hint": lost.hint() }),
    };
    let facts = one.facts.as_ref().map(|facts| {
        json!({
            "system": facts.system, "machine": facts.machine, "init": init(&facts.init), "user": facts.user,
            "uid": facts.uid, "tools": facts.tools, "versions": facts.versions, "base": facts.base, "writable": facts.writable,
            "disk_free": facts.disk.map(|disk| disk.0), "disk": facts.disk.map(|disk| disk.1),
        })
    });
    json!({
        "host": one.host, "login": login, "sudo": sudo, "answer": one.answer.map(|took| took.as_secs_f64()),
        "facts": facts, "clock_ahead": one.clock, "holder": one.holder,
        "why": one.blind.as_ref().map(|blind| &blind.0),
    })
}
