//! The look that a plan is made from, and the quiet before it: nobody else is at work on the hosts, and nothing is half done. What
//! is out of service is neither waited for nor settled.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::deploy::cordon::{Whom, set_aside};
use crate::deploy::drive::{Drive, Start};
use crate::deploy::fault::Fault;
use crate::deploy::ground::{Ground, unless_stopped};
use crate::deploy::state::HostEnd;
use crate::deploy::survey::{Depth, Survey, survey};
use crate::host::run::{Compression, HostRun, Order};
use crate::host::{Record, Seen};
use crate::model::{HostName, ServiceName};
use crate::plan::shut;
use crate::registry::{STOP_MOST, Service};

/// How long bringing earlier runs to their end may take.
const SETTLE: Duration = Duration::from_secs(300);

/// Looks, as long as nobody stops it, and sets aside the hosts that are out of service where they are to be left alone.
pub(super) async fn look(
    ground: &Arc<Ground>,
    services: &BTreeSet<ServiceName>,
    hosts: &BTreeSet<HostName>,
    depth: Depth,
    whom: Whom,
) -> Result<Survey, Fault> {
    let found = unless_stopped(&ground.stop, survey(ground, services, hosts, depth)).await;
    let mut found = found.ok_or(Fault::Interrupted)?;
    set_aside(ground, &mut found, whom);
    Ok(found)
}

/// Waits until no other run is at work on the hosts, and brings those that stopped in the middle to their end: what they left
/// is neither old nor new, and nothing is planned from it. A run without stages does both, in the host's queue; then the host
/// is looked at again.
pub(super) async fn quiet(
    ground: &Arc<Ground>,
    services: &BTreeSet<ServiceName>,
    hosts: &BTreeSet<HostName>,
    depth: Depth,
    whom: Whom,
) -> Result<Survey, Fault> {
    let mut survey = look(ground, services, hosts, depth.clone(), whom).await?;
    let until = Instant::now() + ground.wait_lock;
    loop {
        let noisy = |seen: &Seen| seen.busy || !seen.unfinished.is_empty();
        let hosts: BTreeSet<HostName> =
            survey.seen.iter().filter(|(_, seen)| noisy(seen)).map(|(host, _)| host.clone()).collect();
        // A guest does not wait for its host.
        let hosts: BTreeSet<HostName> = hosts.into_iter().filter(|host| ground.within(host).is_none()).collect();
        if hosts.is_empty() {
            return Ok(survey);
        }
        if let Some(fault) = closed(&survey, &hosts) {
            ground.part(&survey.far).await;
            return Err(fault);
        }
        // What is settled may have to stop what takes its time.
        let stop = longest_stop(ground.registry.services.values(), survey.seen.values().flat_map(records));
        let wait = until.saturating_duration_since(Instant::now());
        let mut drives = Vec::new();
        for host in &hosts {
            if let (Some(far), Some(seen)) = (survey.far.get(host), survey.seen.get(host)) {
                drives.push((host, Drive::start(ground.clone(), far.clone(), stageless(ground, seen, wait)), seen));
            }
        }
        for (host, drive, seen) in &drives {
            let end = drive.finished_within(wait + SETTLE + stop * 2);
            let Some(state) = unless_stopped(&ground.stop, end).await else {
                let drives: Vec<Drive> = drives.iter().map(|(_, drive, _)| drive.clone()).collect();
                abandon(&drives).await;
                return Err(Fault::Interrupted);
            };
            let host = HostName::clone(host);
            match (state.end, state.lost) {
                (Some(HostEnd::LockTimeout), _) => {
                    let holder = seen.holder.clone().unwrap_or_default();
                    return Err(Fault::Locked { host, holder, waited: ground.wait_lock });
                }
                (Some(HostEnd::Refused(why)), _) => return Err(Fault::Begin { host, why }),
                (Some(_), _) => {}
                (None, why) => return Err(Fault::Gone { host, why: why.unwrap_or_else(|| "no answer".into()) }),
            }
        }
        let again = look(ground, services, &hosts, depth.clone(), whom).await?;
        survey.far.extend(again.far);
        survey.seen.retain(|host, _| !hosts.contains(host));
        survey.seen.extend(again.seen);
        survey.health.extend(again.health);
        survey.unseen.extend(again.unseen);
        survey.cordoned.extend(again.cordoned);
    }
}

/// That what was left cannot be brought to its end either, as nothing can be begun there.
fn closed(survey: &Survey, hosts: &BTreeSet<HostName>) -> Option<Fault> {
    let all = shut(&survey.seen, |host| hosts.contains(host));
    (!all.is_empty()).then_some(Fault::Closed(all))
}

/// The longest that one of these may take to stop: by the registry, and by the releases, as a compose file has times of its own. What a
/// host says is bounded.
pub(super) fn longest_stop<'a>(
    services: impl IntoIterator<Item = &'a Service>,
    records: impl IntoIterator<Item = &'a Record>,
) -> Duration {
    let known = services.into_iter().map(|service| service.stop.timeout);
    let found = records.into_iter().filter_map(|record| record.stop.map(Duration::from_secs));
    known.chain(found).max().unwrap_or_default().min(STOP_MOST)
}

/// The records of the releases that were seen on a host.
fn records(seen: &Seen) -> impl Iterator<Item = &Record> {
    seen.services.values().flat_map(|found| found.record.iter().chain(found.past.values()).flatten())
}

fn stageless(ground: &Ground, seen: &Seen, wait: Duration) -> Start {
    let run = HostRun::stageless(&ground.run, &seen.facts.base, &ground.who, wait);
    Start { run, trees: Vec::new(), compression: Compression::None }
}

/// Ends runs that have touched nothing.
pub(super) async fn abandon(drives: &[Drive]) {
    for drive in drives {
        drive.order(Order::Stop);
    }
    for drive in drives {
        drive.finished().await;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::host::{Facts, SeenService};
    use crate::model::ReleaseId;

    #[test]
    fn what_was_left_on_a_closed_host_is_not_begun() {
        let host = |name: &str| HostName::try_from(name).expect("a name");
        let seen = |why: Option<&str>| {
            let facts = Facts { unwritable: why.map(str::to_owned), ..Facts::default() };
            Seen { facts, ..Seen::default() }
        };
        let all = [(host("open"), seen(None)), (host("shut"), seen(Some("Read-only file system")))];
        let survey = Survey { seen: BTreeMap::from(all), ..Survey::default() };
        assert!(closed(&survey, &BTreeSet::from([host("open")])).is_none());
        let fault = closed(&survey, &BTreeSet::from([host("open"), host("shut")])).expect("it is closed");
        assert!(matches!(&fault, Fault::Closed(hosts) if hosts.len() == 1 && hosts[0].0 == host("shut")), "{fault:?}");
    }

    #[test]
    fn what_takes_its_time_to_stop_is_waited_for() {
        let record = |stop: u64| {
            Record::parse(&format!(
                r#"{{"format":1,"service":"web","release":"{}","engine":"docker","supervisor":"compose","scope":"system","units":[],
                "user":null,"checks":[],"hooks":{{"before":[],"after":[]}},"stop":{stop},"summary":{{}},"files":{{}}}}"#,
                "07".repeat(8)
            ))
            .expect("a record")
        };
        let longest = |now: u64, past: u64| {
            let old = record(past);
            let found = SeenService {
                record: Some(Ok(record(now))),
                past: BTreeMap::from([
                    (old.release.clone(), Ok(old)),
                    (ReleaseId::from_digest(&[8; 32]), Err("unreadable".into())),
                ]),
                ..SeenService::default()
            };
            let service = ServiceName::try_from("web").expect("a name");
            let seen = Seen { services: BTreeMap::from([(service, found)]), ..Seen::default() };
            longest_stop([], records(&seen)).as_secs()
        };
        assert_eq!(longest(1800, 700), 1800);
        assert_eq!(longest(700, 1800), 1800);
        assert_eq!(longest(700, u64::MAX), STOP_MOST.as_secs(), "a host may say anything");
        assert_eq!(longest_stop([], []), Duration::ZERO);
    }
}
