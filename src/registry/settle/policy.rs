//! What a service does not say: the defaults of the registry, then those below, which the example file names too.

use std::time::Duration;

use crate::model::{OnLostContact, Scope};
use crate::registry::checked::{Batch, Limits, LogLimits, Policy, Restart, RestartPolicy, Stop};
use crate::registry::draft;
use crate::registry::healing::Heal;
use crate::registry::read::Field;
use crate::registry::window::Window;

/// The runner counts whole seconds, and a sign of life may take one to arrive.
const SHORTEST: Duration = Duration::from_secs(2);

/// The value of a key in the service's mapping, else in the defaults' one.
macro_rules! pick {
    ($own:expr, $default:expr, $key:ident) => {{
        let own = $own.value().and_then(|written| written.$key.value());
        own.or_else(|| $default.value().and_then(|written| written.$key.value()))
    }};
}
pub(super) use pick;

pub(super) fn deploy(own: &Field<Box<draft::Deploy>>, default: &Field<Box<draft::Deploy>>) -> Policy {
    Policy {
        canary: pick!(own, default, canary).map_or(1, |count| count.get()),
        batch: pick!(own, default, batch).map_or(Batch::Percent(25), |share| share.0),
        max_fail: pick!(own, default, max_fail).map_or(0, |count| count.get()),
        soak: pick!(own, default, soak).map_or(Duration::from_secs(5), |time| time.0),
        on_lost_contact: pick!(own, default, on_lost_contact).map_or(OnLostContact::Undo, |choice| choice.0),
        lost_after: pick!(own, default, lost_after).map_or(Duration::from_secs(30), |time| time.0.max(SHORTEST)),
        keep_releases: pick!(own, default, keep_releases).map_or(3, |count| count.get()),
        keep_for: pick!(own, default, keep_for).map_or(Duration::from_secs(86_400), |time| time.0),
    }
}

pub(super) fn restart(own: &Field<Box<draft::Restart>>, default: &Field<Box<draft::Restart>>) -> Restart {
    Restart {
        policy: pick!(own, default, policy).map_or(RestartPolicy::Always, |choice| choice.0),
        max: pick!(own, default, max).map_or(5, |count| count.get()),
        within: pick!(own, default, within).map_or(Duration::from_secs(60), |time| time.0),
        delay: pick!(own, default, delay).map_or(Duration::from_secs(1), |time| time.0),
    }
}

pub(super) fn limits(own: &Field<Box<draft::Limits>>, default: &Field<Box<draft::Limits>>) -> Limits {
    Limits {
        memory: pick!(own, default, memory).map(|size| size.0),
        cpu_millis: pick!(own, default, cpu).map(|cpu| cpu.0),
        files: pick!(own, default, files).map(|count| count.get()),
        tasks: pick!(own, default, tasks).map(|count| count.get()),
    }
}

pub(super) fn log(own: &Field<Box<draft::Log>>, default: &Field<Box<draft::Log>>) -> LogLimits {
    LogLimits {
        lines: pick!(own, default, lines).map(|count| count.get()),
        per: pick!(own, default, per).map(|time| time.0),
        max_size: pick!(own, default, max_size).map(|size| size.0),
    }
}

pub(super) fn stop(own: &Field<Box<draft::Stop>>, default: &Field<Box<draft::Stop>>) -> Stop {
    Stop {
        signal: pick!(own, default, signal).map_or("SIGTERM", |choice| choice.0.0).to_owned(),
        timeout: pick!(own, default, timeout).map_or(Duration::from_secs(30), |time| time.0),
    }
}

/// How a service is healed, or what is a host's own.
pub(super) fn heal(own: &Field<Box<draft::Heal>>, default: &Field<Box<draft::Heal>>) -> Heal {
    let usual = Heal::default();
    let windows = pick!(own, default, windows).map(|list| list.values().filter_map(|week| Window::parse(&week.0)));
    let unseen = pick!(own, default, unseen).map(|list| list.values().map(|look| look.0.clone()).collect());
    Heal {
        unseen: unseen.unwrap_or_default(),
        policy: pick!(own, default, policy).map_or(usual.policy, |choice| choice.0),
        tries: pick!(own, default, tries).map_or(usual.tries, |count| count.get()),
        within: pick!(own, default, within).map_or(usual.within, |time| time.0),
        cooldown: pick!(own, default, cooldown).map_or(usual.cooldown, |time| time.0),
        looks: pick!(own, default, looks).map_or(usual.looks, |count| count.get()),
        apart: pick!(own, default, apart).map_or(usual.apart, |time| time.0),
        breaker: pick!(own, default, breaker).map_or(usual.breaker, |count| count.get()),
        windows: windows.map(Iterator::collect).unwrap_or(usual.windows),
        drafts: pick!(own, default, drafts).map_or(usual.drafts, |yes| yes.0),
    }
}

pub(super) fn scope(service: &draft::Service, defaults: &draft::Defaults) -> Scope {
    service.scope.value().or(defaults.scope.value()).map_or(Scope::System, |choice| choice.0)
}
