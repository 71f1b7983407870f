//! What works on hosts: one connection and one look for each, side by side. Changes nothing.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::deploy::far::{Far, Unseen};
use crate::deploy::ground::Ground;
use crate::host::Facts;
use crate::host::look::Question;
use crate::model::HostName;
use crate::registry::{Become, Host};
use crate::transport::Lost;

/// What was found of a host.
#[derive(Debug)]
pub struct Checked {
    pub host: HostName,
    /// How long it took to connect and to log in; or why that failed.
    pub login: Result<Duration, Lost>,
    /// What the host took as a proof of who we are; none where it asks for none.
    pub proof: Option<String>,
    /// Whether commands run as root where the registry wants that; none where it does not, or where nothing is known.
    pub sudo: Option<Result<(), Lost>>,
    /// How long the look took.
    pub answer: Option<Duration>,
    pub facts: Option<Facts>,
    /// Why the host could not be looked at though the login worked.
    pub blind: Option<(String, String)>,
    /// How many seconds the host's clock is ahead of ours, to the second.
    pub clock: Option<i64>,
    /// Who holds its lock.
    pub holder: Option<String>,
    /// Who took it out of service, since when and why.
    pub cordon: Option<String>,
}

/// Checks the hosts, in the order given.
pub async fn check_hosts(ground: &Arc<Ground>, hosts: &[HostName]) -> Vec<Checked> {
    let mut tasks = JoinSet::new();
    for (number, name) in hosts.iter().enumerate() {
        if let Some(host) = ground.registry.hosts.get(name) {
            let (ground, host) = (ground.clone(), host.clone());
            tasks.spawn(async move {
                let (checked, far) = one(&ground, &host).await;
                (number, (checked, far.filter(|_| ground.leads_on(&host.name))))
            });
        }
    }
    let mut all = tasks.join_all().await;
    all.sort_by_key(|(number, _)| *number);
    // Only now: they are the way to other hosts, which may have been still on their way when these were through.
    let far = all.iter().filter_map(|(_, (checked, far))| Some((checked.host.clone(), far.clone()?))).collect();
    ground.part(&far).await;
    all.into_iter().map(|(_, (checked, _))| checked).collect()
}

async fn one(ground: &Ground, host: &Host) -> (Checked, Option<Far>) {
    let mut checked = Checked {
        host: host.name.clone(),
        login: Ok(Duration::ZERO),
        proof: None,
        sudo: None,
        answer: None,
        facts: None,
        blind: None,
        clock: None,
        holder: None,
        cordon: None,
    };
    let (far, visit) = match ground.visit(&host.name).await {
        Ok(reached) => reached,
        Err(lost) => {
            checked.login = Err(lost);
            return (checked, None);
        }
    };
    checked.login = Ok(visit.began.elapsed());
    checked.proof = far.link.proof().map(str::to_owned);
    visit.work(look(ground, host, &far, &mut checked)).await;
    (checked, Some(far))
}

async fn look(ground: &Ground, host: &Host, far: &Far, checked: &mut Checked) {
    let question = Question { base: host.base.clone(), versions: true, ..Question::default() };
    let mut began = Instant::now();
    let mut seen = far.look(&question).await;
    if host.r#become == Become::Sudo {
        checked.sudo = match seen {
            Err(Unseen::Lost(
                lost @ (Lost::SudoMissing { .. } | Lost::SudoPassword { .. } | Lost::SudoRefused { .. }),
            )) => {
                // What can be seen without root is still worth seeing.
                began = Instant::now();
                seen = far.look_as(&question, false).await;
                Some(Err(lost))
            }
            Ok(_) => Some(Ok(())),
            Err(_) => None,
        };
    }
    match seen {
        Ok(seen) => {
            let ours = ground.clock.now().as_second();
            checked.answer = Some(began.elapsed());
            checked.clock = seen.facts.clock.map(|theirs| theirs - ours);
            checked.facts = Some(seen.facts);
            checked.holder = seen.holder;
            checked.cordon = seen.cordon;
        }
        Err(why) => checked.blind = Some((why.to_string(), why.hint())),
    }
}
