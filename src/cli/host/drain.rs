//! `portoser host drain`: takes a host out of service and stops what runs there, when other hosts carry it.

use std::sync::Arc;
use std::time::Duration;

use crate::cli::host::cordon::line;
use crate::cli::{Exit, Face, Failure, block_on, session};
use crate::deploy::{Fault, Ground, Pace, Terms, deploy, drain};
use crate::model::HostName;
use crate::plan::services_on;
use crate::registry::{Batch, parse_duration};

/// Take a host out of service, and stop its services, which other hosts carry
///
/// The host is cordoned first, as by `host cordon`. Each service that runs there must then be seen to be well on another host that is
/// in service; if one is not, nothing is stopped, the host is taken in again, and the end is 9. Then the services are stopped,
/// those that need others first. The way back is `host uncordon` and `start --host HOST`; a deploy or a sweep starts them, too, once
/// the host is in service.
#[derive(Debug, clap::Args)]
pub(super) struct Drain {
    /// The host
    #[arg(value_name = "HOST")]
    name: HostName,
    /// Why, in one line, for whoever is refused
    #[arg(long, value_name = "TEXT")]
    because: Option<String>,
    /// Stop what no other host carries, too
    #[arg(long)]
    alone: bool,
    /// How long to wait for a host that another run has locked
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = parse_duration)]
    wait_lock: Duration,
    /// Approve a change to what the registry protects, by its name
    #[arg(long, value_name = "NAME")]
    approve: Vec<String>,
}

impl Drain {
    pub(super) fn run(self, face: &Face) -> Result<Exit, Failure> {
        let Self { name, because, alone, wait_lock, approve } = self;
        let mut app = session::open(face)?;
        app.wait_lock = wait_lock;
        crate::cli::registry::all_hosts(&app.registry, std::slice::from_ref(&name))?;
        let (run, line) = (app.run_id(), line(&app, because));
        let pace = Pace { batch: Some(Batch::Percent(100)), max_fail: None, keep: true };
        let terms = Terms { run: run.clone(), pace, second_look: None, treatment: None, rescue: None };
        let said = serde_json::json!({ "hosts": [name], "alone": alone });
        let job = async |ground: Arc<Ground>| {
            let fault = |fault: Fault| session::failed("draining", &fault);
            session::approve(face, &app, &services_on(&app.registry, &name), &approve).await?;
            match drain(&ground, &name, &line, alone).await.map_err(fault)? {
                Some(prepared) => Ok(deploy(&ground, prepared, &terms).await.map_err(fault)?.0),
                None => Ok(Vec::new()),
            }
        };
        block_on(async |stop| session::carry(face, &app, (&run, "drain"), said, stop, job).await)?
    }
}
