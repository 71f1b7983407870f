//! A person's words against what is wrong: look, run them on the host as a transaction, look again. Only what helped is learned,
//! and nothing is run where nothing is wrong, or where it was not seen.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::deploy::{Fault, Ground, Selection};
use crate::heal::learn::Noted;
use crate::heal::left::aside;
use crate::heal::playbook::{Deed, Library, Risk, Source};
use crate::heal::solve::cycle::{Before, Cure, Healer, Healing, Treated};
use crate::heal::solve::deed::way;
use crate::heal::solve::remedy::{Ready, Remedy, plan};
use crate::heal::solve::stands::runs;
use crate::heal::{Diagnosis, Problem, Sight};
use crate::journal::{Journal, JournalError, Verdict};
use crate::model::{HostName, RunId, ServiceName};
use crate::registry::{Mask, Registry};

/// Words may run so long when nobody says otherwise; then it is not written down.
const USUAL: Duration = Duration::from_secs(60);

/// What a person wants to try.
#[derive(Clone, Debug)]
pub struct Fix {
    pub service: ServiceName,
    pub host: HostName,
    pub words: Vec<String>,
    /// The words that take it back.
    pub undo: Vec<String>,
    /// Whether the service is restarted after the words, or started when it does not run.
    pub restart: bool,
    /// What doing it again risks.
    pub risk: Risk,
    /// How long the words may run.
    pub within: Duration,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Fixed {
    pub problem: Problem,
    pub verdict: Verdict,
    pub took: Duration,
    /// What was still wrong.
    pub says: Option<String>,
    /// The words with names in the place of what differs.
    pub steps: Vec<Deed>,
    /// The file that it was written into.
    pub noted: Option<Noted>,
    /// The same as a healing, for those who are told of news.
    pub healing: Healing,
}

/// Why nothing was tried, or nothing could be told of it.
#[derive(Debug, thiserror::Error)]
pub enum FixFault {
    #[error(transparent)]
    Deploy(#[from] Fault),
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error("nothing is wrong with {service} on {host}")]
    Well { service: ServiceName, host: HostName },
    #[error("{host} cannot be seen: {why}")]
    Unseen { host: HostName, why: String },
    #[error("the words hold a secret")]
    Secret,
    /// It cannot be planned, or need not be done any more.
    #[error("{0}")]
    Not(String),
}

/// The root that the words are for: what breaks the service goes before what breaks nothing yet, and its own problem before its
/// host's.
fn chosen(mut roots: Vec<Problem>, wish: &Fix) -> Result<Problem, FixFault> {
    let here =
        |root: &Problem| root.host == wish.host && root.service.as_ref().is_none_or(|service| *service == wish.service);
    roots.sort_by_key(|root| (!here(root), root.latent, root.service.is_none()));
    match roots.into_iter().next() {
        Some(root) if here(&root) => Ok(root),
        Some(root) => Err(FixFault::Not(format!("the root is elsewhere: {}", root.because))),
        None => Err(FixFault::Well { service: wish.service.clone(), host: wish.host.clone() }),
    }
}

/// The words as a remedy, and as steps with names in the place of what differs.
fn remedy(healer: &Healer, wish: &Fix, problem: &Problem, seen: &Diagnosis) -> Result<(Remedy, Vec<Deed>), FixFault> {
    let found = healer.found(problem, seen);
    let words = Deed::of_words(found.terms.generalize(&wish.words), found.terms.generalize(&wish.undo));
    let mut steps = vec![words.lasting(Some(wish.within).filter(|time| *time != USUAL))];
    // To start what does not run interrupts nobody.
    let verb = if runs(problem, seen) { "restart" } else { "start" };
    steps.extend(wish.restart.then(|| Deed::of(verb, "unit")).flatten());
    let ways = steps.iter().map(|deed| way(deed, &found)).collect::<Result<Vec<_>, _>>().map_err(FixFault::Not)?;
    let ways = ways.into_iter().map(|one| one.within(wish.within)).collect();
    let evidence = problem.evidence.iter().filter_map(|number| seen.observations.get(*number));
    let remedy = Remedy {
        host: wish.host.clone(),
        about: (problem.service.clone(), problem.host.clone()),
        problem: problem.name.clone(),
        bearer: wish.service.clone(),
        ways,
        until: None,
        patience: healer.patience(Some(&wish.service)),
        evidence: evidence.map(|one| one.look.clone()).collect(),
        treatment: healer.treatment(problem, "fix".to_owned()),
        across: false,
    };
    Ok((remedy, steps))
}

impl Fix {
    /// Whether the words may be written down. Who writes them down asks before that.
    ///
    /// # Errors
    /// When they hold a secret.
    pub fn is_open(&self, registry: &Registry) -> Result<(), FixFault> {
        let mask = Mask::of(registry);
        let secret = self.words.iter().chain(&self.undo).any(|word| mask.text(word) != *word);
        if secret { Err(FixFault::Secret) } else { Ok(()) }
    }
}

/// Carries the words out, if the problem is still there when the host is ours, and writes down how that ended.
async fn carried(
    healer: &Healer,
    ready: Ready,
    (problem, seen): (&Problem, &Diagnosis),
    name: &str,
) -> Result<(Duration, Verdict, Option<String>), FixFault> {
    let (mut began, mut passed, mut begun) = (Instant::now(), false, None);
    let wanted = async |_| {
        passed = !healer.look_near(problem, seen).await.roots().any(|root| root.is_same(problem));
        if !passed {
            began = Instant::now();
            begun = Some(healer.begin(problem, name));
        }
        matches!(begun, Some(Ok(_)))
    };
    let carried = ready.carry(&healer.ground, wanted).await;
    if passed {
        return Err(FixFault::Not("it passed by itself while the host was waited for".into()));
    }
    let number = begun.unwrap_or_else(|| healer.begin(problem, name))?;
    let verdict = carried.as_ref().map_or(Verdict::Failed, |(verdict, _)| *verdict);
    healer.journal.end_remedy(number, verdict)?;
    let (verdict, says) = carried?;
    Ok((began.elapsed(), verdict, says))
}

/// Tries the words.
///
/// # Errors
/// When nothing was done: nothing is wrong there, or it was not seen, or it cannot be planned. Or when it could not be written
/// down before.
pub async fn fix(
    ground: &Arc<Ground>,
    library: &Arc<Library>,
    journal: &Journal,
    wish: &Fix,
) -> Result<Fixed, FixFault> {
    wish.is_open(&ground.registry)?;
    let selection =
        Selection { services: vec![wish.service.clone()], hosts: vec![wish.host.clone()], ..Selection::default() };
    let cure = Cure { risk: Some(Risk::Ask), ..Cure::default() };
    let healer = Healer::new(ground, &selection, (library, journal), cure)?;
    let first = healer.look().await;
    if ground.stop.is_cancelled() {
        return Err(Fault::Interrupted.into());
    }
    let before = Before::of(&first);
    if let Some(lost) = first.seen_by("reach", &wish.host, None).find(|one| one.sight != Sight::Good) {
        return Err(FixFault::Unseen { host: wish.host.clone(), why: lost.says.clone() });
    }
    let (sure, seen) = healer.sure(first).await;
    let problem = chosen(sure, wish)?;
    let (mut remedy, steps) = remedy(&healer, wish, &problem, &seen)?;
    let risk = steps.iter().map(Deed::risk).max().unwrap_or(Risk::Ask).max(wish.risk);
    let since = healer.tried_since(&problem)?;
    let name = healer.finding((&problem, &seen), steps.clone(), (risk, Source::Fix), (Duration::ZERO, since)).name();
    remedy.treatment.remedy.clone_from(&name);
    let run = RunId::fresh(ground.clock.now());
    let ready = plan(ground, library, remedy, run).await.map_err(|halted| FixFault::Not(halted.why))?;
    let (took, verdict, says) = carried(&healer, ready, (&problem, &seen), &name).await?;
    let mut noted = None;
    if verdict == Verdict::Helped {
        let finding = healer.finding((&problem, &seen), steps.clone(), (risk, Source::Fix), (took, since));
        noted = healer.told(&problem, healer.write(&finding));
    }
    let last = healer.look().await;
    let treated = Treated {
        problem: problem.clone(),
        remedy: "fix".to_owned(),
        did: steps.iter().map(ToString::to_string).collect::<Vec<_>>().join(", then "),
        verdict,
        took,
        says: says.clone(),
        noted: noted.clone(),
    };
    let cut = ground.stop.is_cancelled();
    let aside = aside(ground, &last);
    let healing =
        Healing { before, last, treated: vec![treated], refrained: Vec::new(), aside, off: Default::default(), cut };
    Ok(Fixed { problem, verdict, took, says, steps, noted, healing })
}
