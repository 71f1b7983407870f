//! `portoser deploy`: look, plan, walk.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::cli::bundle::leaver;
use crate::cli::{Exit, Face, Failure, block_on, plan, said, session};
use crate::deploy::{Fault, Ground, Pace, Request, Selection, Terms, deploy, left_out, prepare, prepare_back, verdict};
use crate::model::{FailureKind, HostName, RunId, ServiceName};
use crate::plan::{RefusedAt, Target};
use crate::registry::{Batch, Service, parse_duration};

/// Which services, and where.
#[derive(Debug, clap::Args)]
pub(super) struct Which {
    /// The services
    #[arg(value_name = "SERVICE")]
    services: Vec<ServiceName>,
    #[command(flatten)]
    reach: Reach,
    /// What the services need, too
    #[arg(long)]
    with_needs: bool,
}

/// Services and hosts that are meant without their names, or narrow the names down.
#[derive(Debug, clap::Args)]
pub(super) struct Reach {
    /// Every service of the registry
    #[arg(long)]
    pub(super) all: bool,
    /// Services that carry this label, beside those that are named; given several times, those that carry all of them
    #[arg(long, value_name = "KEY=VALUE", value_parser = label)]
    pub(super) label: Vec<(String, String)>,
    /// Only on this host; may be given several times. One that has nothing to do is told
    #[arg(long, value_name = "HOST")]
    pub(super) host: Vec<HostName>,
}

impl Which {
    pub(super) fn selection(self) -> Selection {
        let Self { services, reach: Reach { all, label, host }, with_needs } = self;
        Selection { services, all, labels: label, hosts: host, with_needs }
    }
}

/// Bring services to their hosts, prove them, and bring the old version back when they cannot be proven
///
/// Hosts that are cordoned (`host cordon`) are left out and named, also one that cannot be reached but was cordoned when this machine
/// last heard of it. When that leaves a service with no host at all, the others are deployed, and the end is 9.
///
/// What lies on a host where the registry does not put it, or not any more, is told and left alone: `remove --host` takes it away.
#[derive(Debug, clap::Args)]
pub(super) struct Deploy {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    manner: Manner,
}

/// How a plan is carried out.
#[derive(Debug, Default, clap::Args)]
pub(super) struct Manner {
    /// Show what would be done, and do nothing
    #[arg(long)]
    pub(super) dry_run: bool,
    /// How long to wait for a host that another run has locked
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = parse_duration)]
    pub(super) wait_lock: Duration,
    /// How many hosts go at once after the canary: a number or a share, such as 25%
    #[arg(long, value_name = "N", value_parser = batch)]
    pub(super) batch: Option<Batch>,
    /// How many hosts may fail before the rest is not touched
    #[arg(long, value_name = "N")]
    pub(super) max_fail: Option<usize>,
    /// Leave hosts on the new version when another host fails
    #[arg(long)]
    pub(super) keep: bool,
    /// Write over files and containers that were changed on the host
    #[arg(long)]
    pub(super) overwrite: bool,
    /// Approve a change to what the registry protects, by its name
    #[arg(long, value_name = "NAME")]
    pub(super) approve: Vec<String>,
    /// Heal nothing that is in the way: neither before the deploy, nor when a release is not proven
    #[arg(long)]
    pub(super) no_auto_heal: bool,
}

impl Manner {
    fn pace(&self) -> Pace {
        Pace { batch: self.batch, max_fail: self.max_fail, keep: self.keep }
    }
}

impl Deploy {
    pub(super) fn run(self, face: &Face) -> Result<Exit, Failure> {
        let request = Request {
            selection: self.which.selection(),
            overwrite: self.manner.overwrite,
            only_look: self.manner.dry_run,
            renew: false,
        };
        go(face, "deploy", &request, None, &self.manner, None)
    }
}

/// Plans, and carries the plan out unless only a look is wanted: to what the registry says, or back to what was. It may go
/// on with a run that came to no end.
pub(super) fn go(
    face: &Face,
    verb: &'static str,
    request: &Request,
    back: Option<&Target>,
    manner: &Manner,
    resumes: Option<RunId>,
) -> Result<Exit, Failure> {
    let doing = if back.is_some() { "rolling back" } else { "deploying" };
    if manner.dry_run {
        return plan::look_only(face, request, back, face.flags.verbose > 0).map(|_| Exit::DONE);
    }
    let mut app = session::open(face)?;
    app.wait_lock = manner.wait_lock;
    app.resumes = resumes;
    let run = app.run_id();
    let pace = manner.pace();
    let said = said::write(request, back, &pace, manner.no_auto_heal);
    let healers = (!manner.no_auto_heal).then(|| app.healers(leaver(&app, &run)));
    let job = async |ground: Arc<Ground>| {
        let fault = |fault: Fault| session::failed(doing, &fault);
        let planned = async || match back {
            Some(target) => prepare_back(&ground, request, target).await,
            None => prepare(&ground, request).await,
        };
        let mut prepared = planned().await;
        if let (Some(healers), Err(fault)) = (&healers, &prepared)
            && fault.is_of_host()
        {
            // A host whose docker does not answer, say, may be mended; one whose disk is mounted read-only, by what was learned there.
            healers.clear_way(&ground, &request.selection).await;
            prepared = planned().await;
        }
        let mut prepared = prepared.map_err(fault)?;
        let moving = prepared.plan.moving().map(|change| &change.service);
        session::approve(face, &app, moving, &manner.approve).await?;
        if let Some(healers) = healers.as_ref().filter(|_| prepared.is_troubled(&ground)) {
            healers.clear_way(&ground, &request.selection).await;
            prepared = prepared.again(&ground).await.map_err(fault)?;
        }
        if let Err(error) = app.remember(&run, &prepared.plan) {
            face.warn(format!("the journal does not keep the releases of this run: {error}"));
        }
        let rescue = healers.as_ref().map(|healers| healers.rescue(&ground));
        let terms = Terms { run: run.clone(), pace, second_look: None, treatment: None, rescue };
        let mut wanted = prepared.services.clone();
        let (ended, walked) = deploy(&ground, prepared, &terms).await.map_err(fault)?;
        wanted.retain(|service| walked.left.iter().all(|(left, ..)| left != service));
        let left = left_out(&ground, &request.selection, &wanted, &ended);
        // What went wrong elsewhere speaks louder.
        if verdict(&ended, ground.stop.is_cancelled()).is_some() {
            return Ok(ended);
        }
        if left.is_empty() && walked.left.is_empty() {
            Ok(ended)
        } else {
            Err(not_all(doing, &request.selection, &left, &walked.left))
        }
    };
    block_on(async |stop| session::carry(face, &app, (&run, verb), said, stop, job).await)?
}

/// The rest is done; but of these services nothing was done anywhere: all their hosts are out of service, or they do not go back.
fn not_all(doing: &str, selection: &Selection, cordoned: &[&Service], left: &[RefusedAt]) -> Failure {
    let names = |names: BTreeSet<&ServiceName>| {
        names.into_iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
    };
    let (mut says, mut lines, mut hints) = (Vec::new(), Vec::new(), BTreeSet::new());
    if !cordoned.is_empty() {
        let all = names(cordoned.iter().map(|service| &service.name).collect());
        says.push(format!("nothing was done for {all}: all hosts that are meant are cordoned"));
        lines.extend(cordoned.iter().map(|service| {
            let hosts: Vec<String> = selection.meant(service).map(|host| format!("`{host}`")).collect();
            format!("{}: of {}", service.name, hosts.join(", "))
        }));
        hints.insert("take hosts in again with `portoser host uncordon`, and run the same command again".to_owned());
    }
    if !left.is_empty() {
        let all = names(left.iter().map(|(service, ..)| service).collect());
        says.push(format!("nothing was done for {all}: not every host that is meant has a way back"));
        lines.extend(left.iter().map(|(service, host, why)| format!("{service} on {host}: {why}")));
        hints.extend(left.iter().filter_map(|(_, _, why)| why.hint.clone()));
    }
    says.push("the other services are done".into());
    Failure::say(FailureKind::Refused, says.join("; ")).doing(doing).lines(lines).hints(hints)
}

pub(super) fn label(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or_else(|| format!("`{text}` is not KEY=VALUE"))?;
    Ok((key.to_owned(), value.to_owned()))
}

pub(super) fn batch(text: &str) -> Result<Batch, String> {
    let wrong = || format!("`{text}` is neither a number from 1 nor a share from 1% to 100%");
    match text.strip_suffix('%') {
        Some(share) => {
            share.parse().ok().filter(|share| (1..=100).contains(share)).map(Batch::Percent).ok_or_else(wrong)
        }
        None => text.parse().ok().filter(|count| *count > 0).map(Batch::Count).ok_or_else(wrong),
    }
}
