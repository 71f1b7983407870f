//! From the registry as checked back to its own keys, with every default filled in. What comes out can be read again.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::checked::{
    Ask, Batch, Become, Body, Check, Connection, FileSource, From, Hook, Hooks, Host, Http, Init, Kind, Limits,
    LogLimits, ManagedFile, Native, Os, Policy, Python, Service, Tls,
};
use super::docker::{Docker, Healthcheck, Project, Push};
use super::harden::Hardening;
use super::healing::{Heal, HealPolicy};
use super::source::Source;
use super::units::{write_duration, write_size};
use crate::model::{OnLostContact, Scope};

/// Leaves out what is not given or empty.
fn object<const N: usize>(keys: [(&str, Value); N]) -> Value {
    let empty = |value: &Value| match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(keys) => keys.is_empty(),
        _ => false,
    };
    let keys = keys.into_iter().filter(|(_, value)| !empty(value));
    Value::Object(keys.map(|(key, value)| (key.to_owned(), value)).collect::<Map<_, _>>())
}

/// A host in the registry's own keys.
#[must_use]
pub fn write_host(host: &Host) -> Value {
    let os = host.platform.os.map(|os| match os {
        Os::Linux => "linux",
        Os::Macos => "macos",
    });
    let init = host.platform.init.map(|init| match init {
        Init::Systemd => "systemd",
        Init::Launchd => "launchd",
        Init::None => "none",
    });
    let local = host.connection == Connection::Local;
    object([
        ("address", json!(host.address)),
        ("user", json!(host.user)),
        ("port", json!(host.port)),
        ("identity", json!(host.identity)),
        ("labels", json!(host.labels)),
        ("base", json!(host.base)),
        ("jump", json!(host.jump)),
        ("connection", json!(if local { "local" } else { "ssh" })),
        ("become", json!(if host.r#become == Become::Sudo { "sudo" } else { "none" })),
        ("platform", object([("os", json!(os)), ("init", json!(init))])),
        ("env", json!(host.env)),
        ("heal", write_host_heal(host)),
    ])
}

/// A service in the registry's own keys.
#[must_use]
pub fn write_service(service: &Service) -> Value {
    let (kind, run, unit) = match &service.kind {
        Kind::Native(Native::Run { words }) => ("native", Some(words), None),
        Kind::Native(Native::Unit { name }) => ("native", None, Some(name)),
        Kind::Python(python) => ("python", Some(&python.words), None),
        Kind::Docker(_) => ("docker", None, None),
    };
    let docker = if let Kind::Docker(docker) = &service.kind { Some(&**docker) } else { None };
    let image = docker.is_some_and(|docker| matches!(docker.project, Project::Image(_)));
    // What is the user's own, a unit or a compose file, has its own restarting, limits and so on.
    let ours = |value: Value| if run.is_some() || image { value } else { Value::Null };
    let native = |value: Value| if docker.is_none() { value } else { Value::Null };
    let restart = &service.restart;
    let files: Map<String, Value> = service.files.iter().map(|(path, file)| (path.clone(), write_file(file))).collect();
    let mut written = object([
        ("type", json!(kind)),
        ("hosts", json!(service.hosts)),
        ("instances", ours(json!(service.instances))),
        ("needs", json!(service.needs)),
        ("source", service.source.as_ref().map(write_source).unwrap_or_default()),
        ("run", json!(run)),
        ("unit", json!(unit)),
        ("env", json!(service.env)),
        ("files", Value::Object(files)),
        ("port", json!(service.port)),
        ("ports", json!(service.ports)),
        ("checks", service.checks.iter().map(write_check).collect()),
        ("deploy", write_policy(&service.deploy)),
        (
            "restart",
            ours(json!({
                "policy": restart.policy,
                "max": restart.max,
                "within": write_duration(restart.within),
                "delay": write_duration(restart.delay),
            })),
        ),
        ("limits", ours(write_limits(&service.limits))),
        ("user", json!(service.user)),
        ("scope", native(json!(if service.scope == Scope::User { "user" } else { "system" }))),
        ("log", ours(write_log(&service.log))),
        ("stop", ours(json!({ "signal": service.stop.signal, "timeout": write_duration(service.stop.timeout) }))),
        ("reload", json!(service.reload)),
        ("hooks", write_hooks(&service.hooks)),
        ("harden", native(ours(write_harden(&service.harden)))),
        ("labels", json!(service.labels)),
        ("protected", json!(service.protected)),
        ("heal", write_heal(&service.heal)),
    ]);
    if let Value::Object(written) = &mut written {
        match &service.kind {
            Kind::Native(_) => {}
            Kind::Docker(docker) => write_docker(docker, written),
            Kind::Python(python) => write_python(python, written),
        }
    }
    written
}

fn write_source(source: &Source) -> Value {
    match source {
        Source::Here(path) => json!(path),
        Source::Git(git) => object([("git", json!(git.url)), ("ref", json!(git.reference)), ("path", json!(git.path))]),
    }
}

/// The keys of docker services, in the place of those that others have.
fn write_docker(docker: &Docker, written: &mut Map<String, Value>) {
    let keys = match &docker.project {
        Project::Image(image) => object([
            ("image", json!(image.reference)),
            ("command", json!(image.command)),
            ("ports", image.publish.iter().map(|publish| json!(publish.write())).collect()),
            ("volumes", image.volumes.iter().map(|mount| json!(mount.write())).collect()),
            ("networks", json!(image.networks)),
            ("healthcheck", image.healthcheck.as_ref().map(write_healthcheck).unwrap_or_default()),
        ]),
        Project::Compose { path, part, adopted } => object([
            ("compose", json!(path)),
            ("compose_service", json!(part)),
            (
                "project",
                adopted.as_ref().map(|one| json!({ "name": one.name, "folder": one.folder })).unwrap_or_default(),
            ),
        ]),
    };
    if let Value::Object(keys) = keys {
        written.extend(keys);
    }
    let push = match &docker.push {
        None => Value::Null,
        Some(Push::Engine) => json!("direct"),
        Some(Push::From(path)) => json!({ "from": path }),
        Some(Push::Build(path)) => json!({ "build": path }),
    };
    // Of a compose file the other parts may be fetched.
    let fetches = docker.push.is_none() || matches!(docker.project, Project::Compose { part: Some(_), .. });
    written.extend((!push.is_null()).then(|| ("push".to_owned(), push)));
    written.extend(fetches.then(|| ("pull".to_owned(), json!(docker.pull))));
}

fn write_healthcheck(check: &Healthcheck) -> Value {
    json!({
        "test": check.words,
        "interval": write_duration(check.interval),
        "timeout": write_duration(check.timeout),
        "retries": check.retries,
        "start_period": write_duration(check.start_period),
    })
}

fn write_hooks(all: &Hooks) -> Value {
    let hooks = |hooks: &[Hook]| hooks.iter().map(write_hook).collect::<Value>();
    let named = all.named.iter().map(|(name, hook)| (name.clone(), write_hook(hook))).collect::<Value>();
    object([("before", hooks(&all.before)), ("after", hooks(&all.after)), ("named", named)])
}

fn write_hook(hook: &Hook) -> Value {
    json!({ "run": hook.words, "timeout": write_duration(hook.timeout) })
}

/// The keys of Python services.
fn write_python(python: &Python, written: &mut Map<String, Value>) {
    let keys = object([
        ("python", json!(python.version)),
        ("extras", json!(python.extras)),
        ("groups", json!(python.groups)),
        ("build_env", json!(python.build_env)),
        ("index", json!(python.index)),
        ("wheels", json!(python.wheels)),
        ("once", json!(python.once.as_ref().map(write_hook))),
    ]);
    if let Value::Object(keys) = keys {
        written.extend(keys);
    }
}

fn write_file(file: &ManagedFile) -> Value {
    let mode = format!("{:04o}", file.mode);
    match &file.source {
        FileSource::Template(path) => json!({ "template": path, "mode": mode }),
        FileSource::Copy(path) => json!({ "copy": path, "mode": mode }),
        FileSource::Text(text) => json!({ "text": text, "mode": mode }),
    }
}

fn write_policy(policy: &Policy) -> Value {
    let batch = match policy.batch {
        Batch::Count(count) => json!(count),
        Batch::Percent(percent) => json!(format!("{percent}%")),
    };
    let lost = if policy.on_lost_contact == OnLostContact::Keep { "keep" } else { "undo" };
    json!({
        "canary": policy.canary,
        "batch": batch,
        "max_fail": policy.max_fail,
        "soak": write_duration(policy.soak),
        "on_lost_contact": lost,
        "lost_after": write_duration(policy.lost_after),
        "keep_releases": policy.keep_releases,
        "keep_for": write_duration(policy.keep_for),
    })
}

/// A host that does not say what it allows allows all, and what its own problems get is the defaults' word.
fn write_host_heal(host: &Host) -> Value {
    let mut written = write_heal(&host.heal);
    if let (None, Value::Object(keys)) = (host.heal_most, &mut written) {
        keys.shift_remove("policy");
    }
    written
}

fn write_heal(heal: &Heal) -> Value {
    let policy = match heal.policy {
        HealPolicy::Off => "off",
        HealPolicy::Observe => "observe",
        HealPolicy::Suggest => "suggest",
        HealPolicy::Safe => "safe",
        HealPolicy::Full => "full",
    };
    object([
        ("policy", json!(policy)),
        ("tries", json!(heal.tries)),
        ("within", json!(write_duration(heal.within))),
        ("cooldown", json!(write_duration(heal.cooldown))),
        ("looks", json!(heal.looks)),
        ("apart", json!(write_duration(heal.apart))),
        ("breaker", json!(heal.breaker)),
        ("windows", heal.windows.iter().map(ToString::to_string).collect()),
        ("drafts", json!(heal.drafts)),
        ("unseen", json!(heal.unseen)),
    ])
}

fn write_harden(harden: &BTreeSet<Hardening>) -> Value {
    match harden.is_empty() || *harden == Hardening::USUAL.into() {
        true => json!(!harden.is_empty()),
        false => harden.iter().map(|one| one.name()).collect(),
    }
}

fn write_limits(limits: &Limits) -> Value {
    object([
        ("memory", json!(limits.memory.map(write_size))),
        ("cpu", json!(limits.cpu_millis.map(|millis| f64::from(millis) / 1000.0))),
        ("files", json!(limits.files)),
        ("tasks", json!(limits.tasks)),
    ])
}

fn write_log(log: &LogLimits) -> Value {
    object([
        ("lines", json!(log.lines)),
        ("per", json!(log.per.map(write_duration))),
        ("max_size", json!(log.max_size.map(write_size))),
    ])
}

fn write_check(check: &Check) -> Value {
    let mut written = match &check.ask {
        Ask::Http(http) => write_http(http),
        Ask::Tcp { port } => json!({ "tcp": port }),
        Ask::Tls { port, tls } => json!({ "tcp": port, "tls": write_tls(tls) }),
        Ask::Command { words } => json!({ "command": words }),
        Ask::Unit => json!({ "unit": true }),
        Ask::Log { pattern } => json!({ "log": pattern }),
    };
    let timing = json!({
        "from": if check.from == From::Host { "host" } else { "controller" },
        "start_period": write_duration(check.start_period),
        "interval": write_duration(check.interval),
        "timeout": write_duration(check.timeout),
        "retries": check.retries,
    });
    if let (Value::Object(written), Value::Object(timing)) = (&mut written, timing) {
        written.extend(timing);
    }
    written
}

fn write_tls(tls: &Tls) -> Value {
    object([("name", json!(tls.name)), ("ca", json!(tls.ca))])
}

fn write_http(http: &Http) -> Value {
    let body = http.body.as_ref().map(|body| match body {
        Body::Contains(text) => json!({ "contains": text }),
        Body::Matches(pattern) => json!({ "matches": pattern }),
        Body::Json { pointer, equals } => json!({ "json": { "pointer": pointer, "equals": equals } }),
    });
    let tls = http.tls.as_ref().map(write_tls);
    object([
        ("http", json!(http.path)),
        ("port", json!(http.port)),
        ("status", json!(http.status)),
        ("host", json!(http.host)),
        ("send", json!(http.send)),
        ("header", json!(http.header)),
        ("body", json!(body)),
        ("tls", json!(tls)),
    ])
}
