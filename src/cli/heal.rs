//! `portoser heal`: remedies for what is the matter, as far as the registry allows them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::app::App;
use crate::cli::bundle::leave;
use crate::cli::diagnose::{place, selection, warn};
use crate::cli::face::Format;
use crate::cli::playbook::quietly;
use crate::cli::{Exit, Face, Failure, Flags, block_on, safe, session};
use crate::deploy::{Ground, Selection};
use crate::heal::playbook::Risk;
use crate::heal::{Cure, HealFault, Healing, Observation, Problem, Refrained, Treated, heal, may_pass, notify};
use crate::journal::Verdict;
use crate::model::FailureKind;

/// Find what is the matter with services and hosts, and mend what may be mended
///
/// Looks as `diagnose` does, several times where something is wrong; then applies the remedy of the root problem as a
/// transaction on its host, looks again, and undoes what did not help. `heal:` in the registry says what may be done without a
/// person, how often, and when. Ends with 8 when something is still wrong, and else with 4 when something could not be seen;
/// what is LATENT breaks nothing yet, and does not count.
#[derive(Debug, clap::Args)]
pub(super) struct Heal {
    /// Services or hosts; everything, if none is named
    #[arg(value_name = "SERVICE|HOST")]
    names: Vec<String>,
    /// Take this risk now, whatever the policy and its windows say
    #[arg(long, value_name = "RISK")]
    risk: Option<RiskWord>,
    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,
}

/// A risk as it is typed.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(super) enum RiskWord {
    /// Nobody notices more than they do already
    Safe,
    /// The service is away for a moment
    Disruptive,
    /// What only a person can decide
    Ask,
}

impl From<RiskWord> for Risk {
    fn from(word: RiskWord) -> Self {
        match word {
            RiskWord::Safe => Self::Safe,
            RiskWord::Disruptive => Self::Disruptive,
            RiskWord::Ask => Self::Ask,
        }
    }
}

/// So many looks that could not be taken are named.
const FEW: usize = 3;

/// Why nothing was decided about a root.
const CUT: &str = "it was over before it was seen often enough";
const APART: &str = "the looks do not agree on it";

fn undecided(healing: &Healing) -> &'static str {
    if healing.cut { CUT } else { APART }
}

/// Who hears only of news hears again after this time of what is still wrong.
const REMIND: Duration = Duration::from_secs(24 * 3600);

impl Heal {
    pub(super) fn run(self, face: &Face) -> Result<Exit, Failure> {
        let cure = Cure { risk: self.risk.map(Risk::from), only_look: self.dry_run, ..Cure::default() };
        go(face, "heal", |registry| selection(registry, &self.names), cure, false)
    }
}

/// Heals a selection and tells what came of it. With `news`, nothing is printed when all is well.
pub(super) fn go(
    face: &Face,
    verb: &'static str,
    select: impl Fn(&crate::registry::Registry) -> Result<Selection, Failure>,
    cure: Cure,
    news: bool,
) -> Result<Exit, Failure> {
    let app = if cure.only_look { session::look(face)? } else { session::open(face)? };
    let selection = select(&app.registry)?;
    warn(face, &app.registry);
    let library = Arc::new(quietly(face, &app, (news && !cure.only_look).then_some(REMIND))?);
    let run = app.run_id();
    let request = json!({
        "services": selection.services, "hosts": selection.hosts, "labels": selection.labels, "all": selection.all,
        "dry_run": cure.only_look,
    });
    let (mut found, mut left, asked) = (None, None, request.to_string());
    let job = async |ground: Arc<Ground>| {
        let healing = heal(&ground, &selection, &library, &app.journal, cure).await.map_err(failed)?;
        let (_, complaints) = match cure.only_look {
            true => Default::default(),
            false => {
                left = leave(face, &app, &run, &healing).map_err(failed)?;
                let about = (&healing, left.as_deref());
                notify(&ground.registry, &app.journal, about, app.clock.now()).await.map_err(failed)?
            }
        };
        complaints.iter().for_each(|complaint| face.warn(safe(complaint)));
        // Who stopped it knows that not all was seen.
        let ended = if ground.stop.is_cancelled() { Ok(()) } else { judge(&healing, news) };
        found = Some(healing);
        ended.map(|()| Vec::new())
    };
    // What came of it is the one document, and news to cron; how it came about is talk.
    let (json, events) = (face.flags.json, face.flags.events);
    let quiet = face.flags.quiet || news || json;
    let told = (!events).then(|| Face::new(Flags { json: false, quiet, ..face.flags.clone() }));
    let told = told.as_ref().unwrap_or(face);
    let ended = block_on(async |stop| session::carry(told, &app, (&run, verb), request, stop, job).await)?;
    if let Some(healing) = &found {
        let told = |healing| with(document(healing), json!({ "bundle": left }));
        if events {
            face.json_line(&json!({ "event": "healing", "healing": told(healing) }));
        } else if json {
            face.document(&told(healing));
        }
        // Who asks what would be done is always told.
        let silent =
            news && !cure.only_look && !json && !events && !is_told(face, &app, (verb, &asked), healing, &ended)?;
        if !json && !events && !silent {
            show(face, healing, news);
            left.iter().for_each(|file| face.data(safe(&format!("all that was seen: {}", file.display()))));
        }
        // The document says it all; a second one about the failure would not be JSON.
        if (json || silent)
            && let Err(failure) = &ended
        {
            return Ok(Exit(failure.kind().code()));
        }
    }
    ended
}

/// Whether who hears only of news is told of a healing: not when all is well, nor when it is all as it was when it was last told.
/// A terminal and `-v` are told whatever is wrong.
fn is_told(
    face: &Face,
    app: &App,
    (verb, asked): (&str, &str),
    healing: &Healing,
    ended: &Result<Exit, Failure>,
) -> Result<bool, Failure> {
    let left = healing.left().map(|one| &one.problem).chain(healing.unsure().filter(|one| !healing.is_aside(one)));
    let left = left.map(|one| format!("{} {}", one.name, place(&one.host, one.service.as_ref())));
    let blind = healing.blind().map(|one| format!("{} {} unseen", one.look, place(&one.host, one.service.as_ref())));
    let all: BTreeSet<String> = left.chain(blind).collect();
    let well = all.is_empty() && healing.treated.is_empty();
    let judged = |failure: &Failure| matches!(failure.kind(), FailureKind::Unhealthy | FailureKind::Unreachable);
    if !ended.as_ref().err().is_none_or(judged) {
        return Ok(true);
    }
    let environment = app.registry.environment.as_deref().unwrap_or_default();
    let about = format!("{verb} {} {environment} {asked}", app.registry.file.display());
    let what = all.into_iter().collect::<Vec<_>>().join("\n");
    let news = app.journal.is_news(&about, &what, REMIND)? || !healing.treated.is_empty();
    let curious = face.format() == Format::Terminal || face.flags.verbose > 0;
    Ok(!well && (news || curious))
}

/// A fault of healing as the failure of a verb.
pub(super) fn failed(fault: HealFault) -> Failure {
    match fault {
        HealFault::Deploy(fault) => session::failed("healing", &fault),
        HealFault::Journal(error) => Failure::from(error),
    }
}

/// Good only when nothing is wrong any more, and all was seen; with `news`, on hosts that are in service.
fn judge(healing: &Healing, news: bool) -> Result<(), Failure> {
    let roots = healing.last.roots().filter(|problem| !(problem.latent || news && healing.is_aside(problem)));
    let left = roots.count();
    let unseen: Vec<&Observation> = if news { healing.blind().collect() } else { healing.unseen().collect() };
    if left > 0 {
        let says = if left == 1 { "1 problem is left".to_owned() } else { format!("{left} problems are left") };
        // That nothing is known of a host that cannot be reached is that problem; of others it is not to be missed beside what is left.
        let rest: Vec<&Observation> = unseen.into_iter().filter(|one| !healing.last.is_lost(&one.host)).collect();
        let says = if rest.is_empty() { says } else { format!("{says}, and {}", not_taken(healing, &rest)) };
        return Err(Failure::say(FailureKind::Unhealthy, says).hint("`portoser diagnose` shows all that was seen"));
    }
    if !unseen.is_empty() {
        let says = not_taken(healing, &unseen);
        let shows = "`portoser diagnose` shows all that was seen";
        let lasts = format!("{shows}; what need not be seen there is named in `heal: {{ unseen: [LOOK] }}`");
        let hint = if unseen.iter().any(|one| may_pass(one)) { shows.to_owned() } else { lasts };
        return Err(Failure::say(FailureKind::Unreachable, says).hint(hint));
    }
    Ok(())
}

/// How many looks could not be taken, and the first of them.
fn not_taken(healing: &Healing, unseen: &[&Observation]) -> String {
    let which = unseen.iter().take(FEW).map(|one| {
        let of = if one.of.is_empty() { String::new() } else { format!(" {}", one.of) };
        format!("{}{of} of {}: {}", one.look, place(&one.host, one.service.as_ref()), one.says)
    });
    let which = which.collect::<Vec<_>>().join(", ");
    let more = if unseen.len() > FEW { format!(", and {} more", unseen.len() - FEW) } else { String::new() };
    format!("{} of {} looks could not be taken: {which}{more}", unseen.len(), healing.last.observations.len())
}

fn show(face: &Face, healing: &Healing, news: bool) {
    let line = |text: String| face.data(safe(&text));
    for one in &healing.treated {
        let (word, problem) = (verdict(one), &one.problem);
        line(format!("{word:<8} {}: {}", place(&problem.host, problem.service.as_ref()), problem.because));
        line(format!("         {}, {:.1} s", remedy(one), one.took.as_secs_f64()));
        if let Some(says) = &one.says {
            line(format!("         {says}"));
        }
        if let Some(noted) = one.noted.as_ref().filter(|noted| noted.new) {
            line(format!("LEARNED  {}: {}", noted.name, noted.file.display()));
        }
    }
    for Refrained { problem, why } in healing.refrained.iter().filter(|one| !news || !healing.is_aside(&one.problem)) {
        let word = if problem.latent { "LATENT" } else { "LEFT" };
        line(format!("{word:<8} {}: {}", place(&problem.host, problem.service.as_ref()), problem.because));
        for (what, why) in why {
            line(format!("         not done: {what}: {why}"));
        }
        if let Some(hint) = problem.hint.as_ref().filter(|_| why.is_empty()) {
            line(format!("         hint: {hint}"));
        }
    }
    for problem in healing.unsure().filter(|one| !news || !healing.is_aside(one)) {
        line(format!("UNSURE   {}: {}", place(&problem.host, problem.service.as_ref()), problem.because));
        line(format!("         not done: {}", undecided(healing)));
    }
    if healing.treated.is_empty() && healing.refrained.is_empty() && healing.unsure().next().is_none() {
        line(calm(healing));
    }
}

/// What is said where nothing is left to tell.
fn calm(healing: &Healing) -> String {
    let off: Vec<&str> = healing.off.iter().map(String::as_str).collect();
    match healing.before.problems {
        0 if !off.is_empty() => {
            let rest =
                if healing.last.observations.is_empty() { "nothing was looked at" } else { "nothing else is wrong" };
            format!("{} not looked at, as healing is off there; {rest}", off.join(", "))
        }
        _ if healing.is_partial() => "it was over before all was looked at".to_owned(),
        0 => format!("nothing is wrong, score {} of 100", healing.last.score()),
        _ => "what was wrong passed by itself".to_owned(),
    }
}

fn verdict(one: &Treated) -> &'static str {
    match one.verdict {
        Verdict::Helped => "HEALED",
        Verdict::NoHelp => "NO HELP",
        Verdict::Failed => "FAILED",
    }
}

fn remedy(one: &Treated) -> String {
    if one.remedy.starts_with("ladder: ") {
        return one.remedy.clone();
    }
    format!("{}: {}", one.remedy, one.did)
}

/// A value with more keys.
fn with(mut value: Value, more: Value) -> Value {
    if let (Value::Object(value), Value::Object(more)) = (&mut value, more) {
        value.extend(more);
    }
    value
}

pub(super) fn document(healing: &Healing) -> Value {
    let about = |problem: &Problem| {
        json!({
            "problem": problem.name, "host": problem.host, "service": problem.service, "because": problem.because,
            "sure": problem.sure, "latent": problem.latent, "fingerprint": problem.fingerprint,
        })
    };
    let treated = healing.treated.iter().map(|one| {
        let more = json!({
            "remedy": one.remedy, "verdict": one.verdict, "seconds": one.took.as_secs_f64(), "says": one.says,
        });
        with(about(&one.problem), more)
    });
    let refrained = healing.refrained.iter().map(|one| {
        let why = one.why.iter().map(|(what, why)| json!({ "remedy": what, "why": why }));
        let more = json!({ "not_done": why.collect::<Vec<_>>(), "aside": healing.is_aside(&one.problem) });
        with(about(&one.problem), more)
    });
    // Nothing was decided about them; they count for the exit code like what is left.
    let unsure = healing
        .unsure()
        .map(|problem| with(about(problem), json!({ "why": undecided(healing), "aside": healing.is_aside(problem) })));
    let blind = healing.unseen().map(
        |one| json!({ "look": one.look, "of": one.of, "host": one.host, "service": one.service, "why": one.says }),
    );
    json!({
        "score": { "before": healing.before.score, "after": healing.last.score() },
        "treated": treated.collect::<Vec<_>>(),
        "left": refrained.collect::<Vec<_>>(),
        "unsure": unsure.collect::<Vec<_>>(),
        "unseen": healing.unseen().count(),
        "blind": blind.collect::<Vec<_>>(),
        "cordoned": healing.aside,
        "off": healing.off,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::heal::playbook::Library;
    use crate::heal::{Before, Diagnosis, World, analyze};
    use crate::model::{HostName, ServiceName};

    #[test]
    fn what_was_looked_at_is_told_also_where_it_was_stopped() {
        let host = HostName::try_from("web1").expect("a name");
        let at = std::time::Instant::now();
        let seen = |one: Observation| Diagnosis { at, observations: vec![one], problems: Vec::new() };
        let stopped = |last: Diagnosis| {
            let (treated, refrained, aside) = (Vec::new(), Vec::new(), BTreeSet::new());
            Healing { before: Before::of(&last), last, treated, refrained, aside, off: BTreeSet::new(), cut: true }
        };
        let disk = || Observation::host("disk", &host);
        assert_eq!(calm(&stopped(seen(disk().good("there is room")))), "nothing is wrong, score 100 of 100");
        let late = disk().unseen("the run was stopped before the host had answered");
        assert_eq!(calm(&stopped(seen(late))), "it was over before all was looked at");
    }

    #[test]
    fn what_ends_it_with_8_is_in_the_document() {
        let (host, api) = (HostName::try_from("web1").expect("a name"), ServiceName::try_from("api").expect("a name"));
        let failed = Observation::service("unit", &host, &api).with("unit", "api.service").with("active", "failed");
        let observations = vec![failed.bad("api.service is failed")];
        let library = Library::load(std::path::Path::new("/nowhere")).unwrap_or_else(|_| panic!("they are valid"));
        let problems = analyze(&World::default(), &observations, &library);
        let at = std::time::Instant::now();
        let last = Diagnosis { at, observations, problems };
        // The looks did not agree on it: nothing was decided.
        let aside = BTreeSet::new();
        let apart = Healing {
            before: Before::of(&last),
            last,
            treated: Vec::new(),
            refrained: Vec::new(),
            aside,
            off: BTreeSet::new(),
            cut: false,
        };
        for (news, healing) in [(true, &apart), (false, &apart), (true, &Healing { cut: true, ..apart.clone() })] {
            let ended = judge(healing, news).expect_err("it is not well");
            assert_eq!(ended.kind(), FailureKind::Unhealthy);
            let told = document(healing);
            assert_eq!((&told["left"], told["unsure"].as_array().map(Vec::len)), (&json!([]), Some(1)), "{told}");
            let (one, why) = (&told["unsure"][0], if healing.cut { CUT } else { APART });
            assert_eq!((&one["host"], &one["service"], &one["why"]), (&json!("web1"), &json!("api"), &json!(why)));
        }
    }

    #[test]
    fn what_was_not_seen_is_named_beside_what_is_left() {
        let (host, away) = ["web1", "web2"].map(|name| HostName::try_from(name).expect("a name")).into();
        let (api, db) = ["api", "db"].map(|name| ServiceName::try_from(name).expect("a name")).into();
        let failed = Observation::service("unit", &host, &api).with("unit", "api.service").with("active", "failed");
        let observations = vec![
            failed.bad("api.service is failed"),
            Observation::service("check", &host, &db).of("http :80/").unseen("the host did not answer within 2 s"),
            // Of a host that cannot be reached that is all that is to be said.
            Observation::host("reach", &away).with("kind", "silent").bad("it did not answer"),
            Observation::host("disk", &away).unseen("it did not answer"),
        ];
        let library = Library::load(std::path::Path::new("/nowhere")).unwrap_or_else(|_| panic!("they are valid"));
        let problems = analyze(&World::default(), &observations, &library);
        let last = Diagnosis { at: std::time::Instant::now(), observations, problems };
        let (treated, refrained, aside) = (Vec::new(), Vec::new(), BTreeSet::new());
        let off = BTreeSet::new();
        let healing = Healing { before: Before::of(&last), last, treated, refrained, aside, off, cut: false };
        let ended = judge(&healing, true).expect_err("it is not well");
        assert_eq!(ended.kind(), FailureKind::Unhealthy);
        let says = "2 problems are left, and 1 of 4 looks could not be taken: check http :80/ of db on web1: the host did not answer";
        assert!(ended.text().starts_with(says), "{}", ended.text());
        let told = document(&healing);
        assert_eq!(told["blind"][0]["service"], json!("db"), "{told}");
    }
}
