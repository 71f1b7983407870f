//! `portoser status`: how services stand on their hosts.

use serde_json::{Value, json};

use crate::cli::deploy::Which;
use crate::cli::render::{duration, short};
use crate::cli::table::table;
use crate::cli::{Exit, Face, Failure, session};
use crate::deploy::{Found, Standing, state, status};
use crate::model::FailureKind;
use crate::plan::Health;

/// Show how services stand on their hosts; all services, if none is named
///
/// One look at each host, and every check asked. Ends with 8 when a service is not healthy, and else with 4 when a host
/// could not be seen: what was not seen is neither good nor bad. Without names, what else lies on the hosts is shown, too: it may
/// have been taken out of the registry, or belong to another one.
#[derive(Debug, clap::Args)]
pub(super) struct Status {
    #[command(flatten)]
    which: Which,
}

impl Status {
    pub(super) fn run(self, face: &Face) -> Result<Exit, Failure> {
        let mut selection = self.which.selection();
        selection.all |= selection.services.is_empty() && selection.labels.is_empty() && selection.hosts.is_empty();
        let app = session::look(face)?;
        let run = app.run_id();
        let all = session::looking(&app, async |stop| {
            let (ground, mut events) = app.ground(&run, "status", stop.soon.clone());
            events.close();
            status(&ground, &selection).await.map_err(|fault| session::failed("looking", &fault))
        })?;
        // Of hosts alone, all that lies there is shown.
        if !(selection.services.is_empty() && selection.labels.is_empty()) {
            session::tell_idle(face, &app.registry, &selection);
        }
        if face.flags.json || face.flags.events {
            face.document(&json!({ "services": all.iter().map(document).collect::<Vec<_>>() }));
        } else {
            // The last one is the longest, and makes no other wider.
            let heading = ["SERVICE", "HOST", "RELEASE", "STATE", "SINCE", "RESTARTS", "DRIFT", "HEALTH"];
            table(face, heading, &all.iter().map(row).collect::<Vec<_>>());
            face.flush();
            hints(face, &all);
        }
        let bad = |one: &Standing| {
            one.registered && one.found.as_ref().is_ok_and(|found| found.is_seen() && !found.is_healthy())
        };
        let meant = |one: &Standing| one.registered || one.service.is_none();
        let unseen = |one: &Standing| meant(one) && one.found.as_ref().map_or(true, |found| !found.is_seen());
        Ok(if all.iter().any(bad) {
            Exit(FailureKind::Unhealthy.code())
        } else if all.iter().any(unseen) {
            Exit(FailureKind::Unreachable.code())
        } else {
            Exit::DONE
        })
    }
}

fn row(one: &Standing) -> [String; 8] {
    let dash = || "-".to_owned();
    let service = one.service.as_ref().map_or_else(dash, ToString::to_string);
    let host = one.host.to_string();
    let found = match &one.found {
        Ok(found) => found,
        Err((why, _)) => return [service, host, dash(), "unseen".into(), dash(), dash(), dash(), why.clone()],
    };
    let Some(release) = &found.release else {
        let state = if one.service.is_some() { "not there" } else { "nothing is there" };
        return [service, host, dash(), state.into(), dash(), dash(), dash(), dash()];
    };
    let mut restarts = 0;
    let mut states: Vec<String> = Vec::new();
    for (_, unit) in &found.units {
        restarts += unit.as_ref().map_or(0, |unit| unit.restarts);
        states.push(unit.as_ref().map_or_else(|| "not seen".into(), state));
    }
    states.dedup();
    let drift = match &found.hangs {
        Some(why) => format!("unseen: {why}"),
        None if found.drift.is_empty() => "no".to_owned(),
        None => found.drift.join("; "),
    };
    // Of several instances the one that changed last tells most.
    let ages = found.units.iter().filter_map(|(_, unit)| unit.as_ref()?.age(found.uptime));
    let since = ages.min().map_or_else(dash, |age| format!("{} ago", duration(age)));
    let health = if one.registered { health(found) } else { "not in the registry".into() };
    [service, host, short(release).to_owned(), states.join(", "), since, restarts.to_string(), drift, health]
}

fn health(found: &Found) -> String {
    match &found.health {
        Some(Health::Good) => "good".into(),
        Some(Health::Bad(says)) => format!("BAD: {says}"),
        Some(Health::Unseen(says)) => format!("unseen: {says}"),
        None => "BAD: it does not run".into(),
    }
}

fn hints(face: &Face, all: &[Standing]) {
    let mut hints: Vec<&str> = all.iter().filter_map(|one| Some(one.found.as_ref().err()?.1.as_str())).collect();
    let stray = all.iter().find_map(|one| Some((one.service.as_ref().filter(|_| !one.registered)?, &one.host)));
    let remove =
        stray.map(|(service, host)| format!("`portoser remove {service} --host {host}` takes it from the host"));
    hints.extend(remove.as_deref());
    hints.sort_unstable();
    hints.dedup();
    hints.iter().for_each(|hint| face.talk(format!("hint: {}", crate::cli::safe(hint))));
}

fn document(one: &Standing) -> Value {
    let found = match &one.found {
        Ok(found) => found,
        Err((why, hint)) => {
            return json!({
                "service": one.service, "host": one.host, "seen": false, "why": why, "hint": hint,
            });
        }
    };
    let units = found.units.iter().map(|(name, unit)| match unit {
        Some(unit) => json!({
            "name": name, "active": unit.active, "sub": unit.sub, "result": unit.result, "status": unit.status,
            "restarts": unit.restarts, "pid": unit.pid, "enabled": unit.enabled,
            "for_seconds": unit.age(found.uptime).map(|age| age.as_secs()),
        }),
        None => json!({ "name": name, "active": null }),
    });
    let (health, says) = match &found.health {
        Some(Health::Good) => (Some("good"), None),
        Some(Health::Bad(says)) => (Some("bad"), Some(says)),
        Some(Health::Unseen(says)) => (Some("unseen"), Some(says)),
        // Nobody says what a stray's health would be.
        None => (one.registered.then_some("bad"), None),
    };
    json!({
        "service": one.service, "host": one.host, "registered": one.registered, "seen": true, "release": found.release,
        "healthy": one.registered.then(|| found.is_healthy()), "health": health, "says": says, "drift": found.drift, "units": units.collect::<Vec<_>>(), "containers": found.containers,
    })
}
