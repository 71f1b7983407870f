//! `portoser deploy`: look, plan, walk.

use std::sync::Arc;
use std::time::Duration;

use crate::cli::{Exit, Face, Failure, block_on, plan, session};
use crate::deploy::{Fault, Ground, Pace, Request, Selection, Terms, deploy, prepare};
use crate::model::{HostName, ServiceName};
use crate::plan::Action;
use crate::registry::{Batch, parse_duration};

/// Which services, and where.
#[derive(Debug, clap::Args)]
pub(super) struct Which {
    /// The services
    #[arg(value_name = "SERVICE")]
    services: Vec<ServiceName>,
    /// Every service of the registry
    #[arg(long)]
    all: bool,
    /// Services that carry this label; may be given several times
    #[arg(long, value_name = "KEY=VALUE", value_parser = label)]
    label: Vec<(String, String)>,
    /// Only on this host; may be given several times
    #[arg(long, value_name = "HOST")]
    host: Vec<HostName>,
    /// What the services need, too
    #[arg(long)]
    with_needs: bool,
}

impl Which {
    pub(super) fn selection(self) -> Selection {
        let Self { services, all, label, host, with_needs } = self;
        Selection { services, all, labels: label, hosts: host, with_needs }
    }
}

/// Bring services to their hosts, prove them, and bring the old version back when they cannot be proven
#[derive(Debug, clap::Args)]
pub(super) struct Deploy {
    #[command(flatten)]
    which: Which,
    /// Show what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// How long to wait for a host that another run has locked
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = parse_duration)]
    wait_lock: Duration,
    /// How many hosts go at once after the canary: a number or a share, such as 25%
    #[arg(long, value_name = "N", value_parser = batch)]
    batch: Option<Batch>,
    /// How many hosts may fail before the rest is not touched
    #[arg(long, value_name = "N")]
    max_fail: Option<usize>,
    /// Leave hosts on the new version when another host fails
    #[arg(long)]
    keep: bool,
    /// Write over files that were edited on the host
    #[arg(long)]
    overwrite: bool,
    /// Approve a change to what the registry protects, by its name
    #[arg(long, value_name = "NAME")]
    approve: Vec<String>,
}

impl Deploy {
    pub(super) fn run(self, face: &Face) -> Result<Exit, Failure> {
        let said = serde_json::json!({
            "services": self.which.services, "all": self.which.all, "labels": self.which.label,
            "hosts": self.which.host, "with_needs": self.which.with_needs, "overwrite": self.overwrite,
        });
        let request = Request { selection: self.which.selection(), overwrite: self.overwrite, only_look: self.dry_run };
        if self.dry_run {
            return plan::look_only(face, &request, face.flags.verbose > 0);
        }
        let mut app = session::open(face)?;
        app.wait_lock = self.wait_lock;
        let run = app.run_id();
        let pace = Pace { batch: self.batch, max_fail: self.max_fail, keep: self.keep };
        let terms = Terms { run: run.clone(), pace };
        let job = async |ground: Arc<Ground>| {
            let fault = |fault: Fault| session::failed("deploying", &fault);
            let prepared = prepare(&ground, &request).await.map_err(fault)?;
            let moving = prepared.plan.changes.iter().filter(|change| change.action != Action::Nothing);
            session::approve(face, &app, moving.map(|change| &change.service), &self.approve)?;
            if let Err(error) = app.remember(&run, &prepared.plan) {
                face.warn(format!("the journal does not keep the releases of this run: {error}"));
            }
            deploy(&ground, prepared, &terms).await.map_err(fault)
        };
        block_on(async |stop| session::carry(face, &app, (&run, "deploy"), said, stop, job).await)?
    }
}

fn label(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or_else(|| format!("`{text}` is not KEY=VALUE"))?;
    Ok((key.to_owned(), value.to_owned()))
}

fn batch(text: &str) -> Result<Batch, String> {
    let wrong = || format!("`{text}` is neither a number from 1 nor a share from 1% to 100%");
    match text.strip_suffix('%') {
        Some(share) => {
            share.parse().ok().filter(|share| (1..=100).contains(share)).map(Batch::Percent).ok_or_else(wrong)
        }
        None => text.parse().ok().filter(|count| *count > 0).map(Batch::Count).ok_or_else(wrong),
    }
}
