//! What the looks stand on: the host and its services as the registry has them, and what was heard from the host.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::check::Verdict;
use crate::heal::Observation;
use crate::host::look::{Beside, late, process_name};
use crate::host::{Seen, SeenContainer, SeenService, SeenUnit};
use crate::model::{Check, HostName, Scope, ServiceName};
use crate::registry::{Host, Registry, Service};

/// How long any service may take to start, whatever its checks say.
const MOMENT: Duration = Duration::from_secs(2);

/// The longest that a look takes. What seems to have started still later was told by another clock, such as a container has that is
/// told of its own time only.
const LONGEST: Duration = Duration::from_secs(30);

/// What a look is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum About {
    Host,
    Service,
}

/// A look: what it asks on the host, and how it judges the answer.
pub(super) struct Look {
    pub(super) name: &'static str,
    pub(super) about: About,
    /// A shell function `look_NAME` that prints the answer; empty when the look asks nothing of its own.
    pub(super) shell: &'static str,
    /// The calls of that function: a key, then its words.
    pub(super) calls: fn(&Scene<'_>) -> Vec<Vec<String>>,
    /// What the answers mean. It says nothing of what does not concern the host.
    pub(super) judge: fn(&Scene<'_>, &Heard) -> Vec<Observation>,
}

/// The host, and what the registry puts there.
pub(super) struct Scene<'a> {
    pub(super) registry: &'a Registry,
    pub(super) host: &'a Host,
    pub(super) services: Vec<Placed<'a>>,
}

/// A service on the host.
pub(super) struct Placed<'a> {
    pub(super) service: &'a Service,
    /// Its units as systemd calls them.
    pub(super) units: Vec<(Scope, String)>,
}

/// A need that was tried from the host.
pub(super) struct Way {
    pub(super) service: ServiceName,
    pub(super) need: ServiceName,
    pub(super) at: HostName,
    pub(super) address: String,
    pub(super) port: u16,
    /// Whether it accepted; or why that was not seen.
    pub(super) open: Result<bool, String>,
}

/// All that was heard from a host.
pub(super) struct Heard {
    pub(super) found: Beside,
    /// What the services' checks say, in the registry's order.
    pub(super) verdicts: Vec<(ServiceName, Check, Verdict)>,
    pub(super) ways: Vec<Way>,
    /// Our clock when the host was asked, in seconds since 1970.
    pub(super) began: i64,
    /// Our clock when the answer came, before the checks that are asked behind it.
    pub(super) now: i64,
}

/// One instance of a service, as its supervisor tells of it.
pub(super) struct Instance<'h> {
    pub(super) name: String,
    /// What the host says of it; none when it says nothing.
    pub(super) unit: Option<&'h SeenUnit>,
    /// What systemd says besides; nothing with other supervisors.
    pub(super) shown: BTreeMap<&'h str, &'h str>,
}

/// The calls of a look that is asked once.
pub(super) fn once(_: &Scene<'_>) -> Vec<Vec<String>> {
    vec![vec![String::new()]]
}

/// The calls of a look that asks nothing of its own.
pub(super) fn none(_: &Scene<'_>) -> Vec<Vec<String>> {
    Vec::new()
}

/// One call for each service, with its name.
pub(super) fn each(scene: &Scene<'_>) -> Vec<Vec<String>> {
    let call = |placed: &Placed<'_>| vec![placed.service.name.to_string(), placed.service.name.to_string()];
    scene.services.iter().map(call).collect()
}

impl Scene<'_> {
    /// The beginning of an observation about the host.
    pub(super) fn of_host(&self, look: &Look) -> Observation {
        Observation::host(look.name, &self.host.name)
    }

    /// The beginning of an observation about a service here.
    pub(super) fn of(&self, look: &Look, placed: &Placed<'_>) -> Observation {
        Observation::service(look.name, &self.host.name, &placed.service.name)
    }

    /// What is said of a look when the host was not seen.
    pub(super) fn blind(&self, look: &Look, why: &str) -> Vec<Observation> {
        match look.about {
            About::Host => vec![self.of_host(look).unseen(why)],
            About::Service => self.services.iter().map(|placed| self.of(look, placed).unseen(why)).collect(),
        }
    }
}

impl Heard {
    pub(super) fn seen(&self) -> &Seen {
        &self.found.seen
    }

    /// The answer to a call; or why there is none.
    pub(super) fn answer(&self, look: &Look, key: &str) -> Result<&str, String> {
        self.part(&format!("heal/{} {key}", look.name))
    }

    /// As `answer`, also where a program had to be ended, if the look itself tells of that.
    pub(super) fn whole(&self, look: &Look, key: &str) -> Result<&str, String> {
        let key = format!("heal/{} {key}", look.name);
        let text = self.found.parts.get(&key).ok_or_else(|| self.silence(&key))?;
        match text.lines().find_map(|line| line.strip_prefix("!lacks ")) {
            Some(tool) => Err(format!("the host has no {tool}")),
            None => Ok(text.trim()),
        }
    }

    /// What was said under a key; or why nothing was.
    pub(super) fn part(&self, key: &str) -> Result<&str, String> {
        let text = self.found.parts.get(key).ok_or_else(|| self.silence(key))?.trim();
        for line in text.lines() {
            if let Some(tool) = line.strip_prefix("!lacks ") {
                return Err(format!("the host has no {tool}"));
            }
            if let Some((seconds, tool)) = line.strip_prefix("!late ").and_then(|rest| rest.split_once(' ')) {
                return Err(late(seconds, tool));
            }
        }
        if let Some(why) = text.strip_prefix("!failed ") {
            return Err(format!("asking {}", why.lines().next().unwrap_or_default()));
        }
        Ok(text)
    }

    /// Why nothing was said under a key: a service whose folder hangs is asked nothing more.
    fn silence(&self, key: &str) -> String {
        let name = key.split_once(' ').and_then(|(_, name)| ServiceName::try_from(name.to_owned()).ok());
        let there = name.and_then(|name| self.seen().services.get(&name)).filter(|there| there.record.is_none());
        let why = there.and_then(|there| there.hangs.clone());
        why.unwrap_or_else(|| "the host did not answer this".to_owned())
    }

    /// What lies on the host of a service, if anything does.
    pub(super) fn service(&self, placed: &Placed<'_>) -> Option<&SeenService> {
        self.seen().services.get(&placed.service.name)
    }

    /// The instances of a service that is there, in their order.
    pub(super) fn instances(&self, placed: &Placed<'_>) -> Vec<Instance<'_>> {
        let Some(record) = self.service(placed).and_then(SeenService::readable) else { return Vec::new() };
        let units = &self.seen().units;
        let name = |unit: &crate::host::UnitFile| match record.supervisor {
            crate::host::Supervisor::Process => process_name(record.service.as_str(), &unit.name),
            _ => unit.name.clone(),
        };
        let instance = |name: String| Instance { unit: units.get(&name), shown: self.shown(&name), name };
        record.units.iter().map(|unit| instance(name(unit))).collect()
    }

    /// Why a service that runs need not listen yet: its unit runs for less than it may take to start.
    pub(super) fn starting(&self, placed: &Placed<'_>) -> Option<String> {
        let period = placed.service.checks.iter().map(|check| check.start_period).max().unwrap_or_default().max(MOMENT);
        let uptime = self.seen().facts.uptime?;
        self.instances(placed).into_iter().find_map(|instance| {
            let since = instance.unit.filter(|unit| unit.runs())?.since_boot?;
            if since > uptime + LONGEST {
                return None;
            }
            // What started since the host was asked for its clock has run for no time.
            let age = uptime.saturating_sub(since);
            let says = || {
                format!("{} runs for {} s and may take {} s to start", instance.name, age.as_secs(), period.as_secs())
            };
            (age < period).then(says)
        })
    }

    /// The containers of a service.
    pub(super) fn containers(&self, placed: &Placed<'_>) -> impl Iterator<Item = &SeenContainer> {
        let instances = self.instances(placed).into_iter();
        instances.flat_map(|instance| self.seen().containers.get(&instance.name).into_iter().flatten())
    }

    /// What systemd says of a unit.
    fn shown(&self, unit: &str) -> BTreeMap<&str, &str> {
        let parts = ["heal/shown system", "heal/shown user"].into_iter().filter_map(|key| self.part(key).ok());
        let mut blocks = parts.flat_map(|text| text.split("\n\n"));
        let own = blocks.find(|block| block.lines().any(|line| line.strip_prefix("Id=") == Some(unit)));
        own.unwrap_or_default().lines().filter_map(|line| line.split_once('=')).collect()
    }
}
