//! `portoser host check`: what works on hosts.

use std::time::Duration;

use serde_json::{Value, json};

use crate::cli::table::table;
use crate::cli::{Exit, Face, Failure, safe, session};
use crate::deploy::{Checked, check_hosts};
use crate::host::{Facts, Init};
use crate::model::{FailureKind, HostName};
use crate::transport::Lost;

/// Show what works on hosts: login and by what, sudo, init system, tools and their versions, disk, clock, base folder
///
/// One connection and one look for each host, side by side. Ends with 4 when a host cannot be reached, looked at, or
/// worked on with the rights that the registry wants.
#[derive(Debug, clap::Args)]
pub(super) struct Check {
    /// The hosts; all of the registry, if none is named. Of one host, and with -v of each, all that was found is shown
    #[arg(value_name = "HOST")]
    names: Vec<HostName>,
}

/// How far a clock may be off before it is worth a hint, in seconds: certificates and logs suffer then.
const CLOCK: i64 = 5;

impl Check {
    pub(super) fn run(self, face: &Face) -> Result<Exit, Failure> {
        let app = session::look(face)?;
        crate::cli::registry::all_hosts(&app.registry, &self.names)?;
        let named = self.names.len();
        let names = if self.names.is_empty() { app.registry.hosts.keys().cloned().collect() } else { self.names };
        let run = app.run_id();
        let all = session::looking(&app, async |stop| {
            let (ground, mut events) = app.ground(&run, "host check", stop.soon.clone());
            events.close();
            Ok(check_hosts(&ground, &names).await)
        })?;
        let whole = face.flags.verbose > 0 || named == 1;
        if face.flags.json || face.flags.events {
            face.document(&json!({ "hosts": all.iter().map(document).collect::<Vec<_>>() }));
        } else {
            if whole {
                all.iter().for_each(|one| fields(face, one, all.len() > 1));
            } else {
                let heading = ["HOST", "STATE", "ANSWERED", "SYSTEM", "DISK FREE", "WITHOUT"];
                table(face, heading, &all.iter().map(row).collect::<Vec<_>>());
            }
            face.flush();
            for one in &all {
                hints(one).iter().for_each(|line| face.talk(safe(&format!("{}: {line}", one.host))));
            }
        }
        let reached = |one: &Checked| one.facts.is_some() && !matches!(one.sudo, Some(Err(_)));
        Ok(if all.iter().all(reached) { Exit::DONE } else { Exit(FailureKind::Unreachable.code()) })
    }
}

/// A host in one line: how it stands, and what of the tools that services may need it has not.
fn row(one: &Checked) -> [String; 6] {
    let dash = || "-".to_owned();
    let answered = one.login.as_ref().ok().zip(one.answer).map(|(login, look)| millis(*login + look));
    let name = one.host.to_string();
    let Some(facts) = &one.facts else {
        return [name, state(one).into(), answered.unwrap_or_else(dash), dash(), dash(), dash()];
    };
    let without = without(facts);
    [
        name,
        state(one).into(),
        answered.unwrap_or_else(dash),
        format!("{} {}, {}", facts.system, facts.machine, init(&facts.init)),
        facts.disk.map_or_else(dash, disk),
        if without.is_empty() { dash() } else { without.join(", ") },
    ]
}

/// What is the matter, in a word or two; the lines below the table tell it in full.
fn state(one: &Checked) -> &'static str {
    match (&one.login, &one.sudo, &one.facts) {
        (Err(Lost::HostKey(_)), ..) => "HOST KEY",
        (Err(Lost::Authentication { .. } | Lost::NoShell { .. }), ..) => "NO LOGIN",
        (Err(_), ..) => "UNREACHABLE",
        (_, Some(Err(_)), _) => "NO SUDO",
        (_, _, None) => "NOT SEEN",
        (_, _, Some(facts)) if facts.unwritable.is_some() => "NOT WRITABLE",
        _ if one.clock.is_some_and(|ahead| ahead.abs() > CLOCK) => "CLOCK OFF",
        _ if one.cordon.is_some() => "ok, cordoned",
        _ if one.holder.is_some() => "ok, locked",
        _ => "ok",
    }
}

fn without(facts: &Facts) -> Vec<&'static str> {
    let has = |tool: &str| facts.tools.contains(tool) || facts.versions.contains_key(tool);
    // Nobody without docker looks for its compose.
    let wanted = |tool: &&str| !has(tool) && (*tool != "compose" || has("docker"));
    ["python3", "uv", "docker", "compose"].into_iter().filter(wanted).collect()
}

/// All that was found of a host, one line each.
fn fields(face: &Face, one: &Checked, several: bool) {
    let field = |name: &str, value: &str| face.data(format!("{name:<10} {}", safe(value)));
    field("host", one.host.as_str());
    match &one.login {
        Ok(took) => {
            let by = one.proof.as_ref().map(|proof| format!(", by {proof}")).unwrap_or_default();
            field("login", &format!("{}{by}", millis(*took)));
        }
        Err(_) => field("login", "FAILED"),
    }
    one.sudo.iter().for_each(|sudo| field("sudo", if sudo.is_ok() { "ok" } else { "FAILED" }));
    one.answer.iter().for_each(|took| field("look", &millis(*took)));
    if let Some(facts) = &one.facts {
        let version = |tool: &str| match facts.versions.get(tool) {
            Some(version) => version.clone(),
            None if facts.tools.contains(tool) => "yes".into(),
            None => "no".into(),
        };
        let systemd = facts.versions.get("systemd").map(|version| format!(" {version}")).unwrap_or_default();
        field("system", &format!("{} {}, {}{systemd}", facts.system, facts.machine, init(&facts.init)));
        ["python3", "uv", "docker", "compose"].iter().for_each(|tool| field(tool, &version(tool)));
        let writable = if facts.unwritable.is_none() { "" } else { " (NOT WRITABLE)" };
        field("base", &format!("{}{writable}", facts.base));
        facts.disk.iter().for_each(|found| field("disk free", &disk(*found)));
    }
    one.clock.iter().for_each(|ahead| field("clock", &format!("{ahead:+} s")));
    if several {
        face.data("");
    }
}

fn millis(time: Duration) -> String {
    format!("{} ms", time.as_millis())
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
    // Without sudo the look was the login user's, which says nothing of what root may write.
    let facts = one.facts.as_ref().filter(|_| !matches!(one.sudo, Some(Err(_))));
    if let Some((why, hint)) = facts.and_then(Facts::closed) {
        lines.extend([why, format!("hint: {hint}")]);
    }
    if let Some(why) = &one.cordon {
        lines.push(format!("cordoned: {why}"));
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
            "uid": facts.uid, "tools": facts.tools, "versions": facts.versions, "base": facts.base, "writable": facts.unwritable.is_none(),
            "disk_free": facts.disk.map(|disk| disk.0), "disk": facts.disk.map(|disk| disk.1),
        })
    });
    json!({
        "host": one.host, "login": login, "sudo": sudo, "answer": one.answer.map(|took| took.as_secs_f64()),
        "facts": facts, "clock_ahead": one.clock, "holder": one.holder, "cordoned": one.cordon,
        "why": one.blind.as_ref().map(|blind| &blind.0),
    })
}
