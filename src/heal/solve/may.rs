//! Whether a remedy may be applied now: by policy, risk, budget, cool-down, breaker and window. A pure function of what the
//! registry says, what was done before, and the time. Every refusal says why, and when it ends if it ends by itself.

use std::fmt;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::heal::playbook::Risk;
use crate::journal::{Remedy, Verdict};
use crate::model::{HostName, ServiceName};
use crate::registry::{Heal, HealPolicy, write_duration};

/// A remedy that is thought of, and where.
#[derive(Clone, Copy, Debug)]
pub struct Wish<'a> {
    pub host: &'a HostName,
    /// None when the problem is the host's own.
    pub service: Option<&'a ServiceName>,
    /// The problem's name or fingerprint.
    pub problem: &'a str,
    /// What it is called in the journal.
    pub remedy: &'a str,
    pub risk: Risk,
    /// How often it is tried for the same problem before it counts as one that does not help.
    pub tries: usize,
    /// Whether a person asked for it now; then policy and windows have nothing to say.
    pub asked: bool,
    /// Whether it runs words that helped elsewhere and are no more than a draft.
    pub draft: bool,
}

/// Why a remedy is not applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Held {
    /// The policy, and the risk that it does not take.
    Policy(HealPolicy, Risk),
    /// It is a draft, and the policy takes none.
    Draft { name: String },
    /// It interrupts, and no window is open.
    Window,
    /// It was tried for this problem and did not help.
    NoHelp { remedy: String },
    /// As many remedies as the budget has were applied; one is free again after this time.
    Budget { tries: usize, within: Duration, wait: Duration },
    /// The same problem was treated just now.
    Cooldown { wait: Duration },
    /// So many remedies on the host did not help, or not for long.
    Breaker { failed: usize, wait: Duration },
    /// A remedy for the same service or for its host is under way, or its controller was lost.
    Running { run: String },
    /// The registry wants a person's approval.
    Protected,
    /// It breaks nothing yet, and the remedy would interrupt what works.
    Latent,
    /// It breaks nothing yet, and whose the files are, and who may come to them, is for a person to say.
    Owner,
    /// A person stopped the service.
    Stopped { by: String },
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = |time: &Duration| write_duration(Duration::from_secs(time.as_secs().max(1)));
        match self {
            Self::Policy(HealPolicy::Off, _) => f.write_str("healing is off here"),
            Self::Policy(HealPolicy::Observe, _) => f.write_str("the policy is `observe`"),
            Self::Policy(HealPolicy::Suggest, _) => f.write_str("the policy is `suggest`"),
            Self::Policy(_, Risk::Ask) => f.write_str("only a person can say whether it is right"),
            Self::Policy(..) => f.write_str("it interrupts the service, and the policy is `safe`"),
            Self::Draft { name } => {
                write!(f, "it is a draft; `portoser playbook promote {name}` or `drafts: true` in `heal` lets it act")
            }
            Self::Window => f.write_str("it interrupts the service, and no window is open"),
            Self::NoHelp { remedy } => write!(f, "`{remedy}` did not help before"),
            Self::Budget { tries, within, wait } => {
                write!(f, "{tries} remedies in {} are the most; the next in {}", whole(within), whole(wait))
            }
            Self::Cooldown { wait } => write!(f, "this problem was treated just now; again in {}", whole(wait)),
            Self::Breaker { failed, wait } => {
                write!(
                    f,
                    "{failed} remedies on this host did not help, or not for long; it is left alone for {}",
                    whole(wait)
                )
            }
            Self::Running { run } => write!(f, "a remedy of run {run} is not over"),
            Self::Protected => f.write_str("it is protected; a person may give --risk"),
            Self::Latent => f.write_str("it breaks nothing yet, and the remedy would interrupt what works"),
            Self::Owner => f.write_str("it breaks nothing yet, and may be so on purpose; give --risk"),
            Self::Stopped { by } => write!(f, "it was stopped on purpose by {by}; `portoser start` lets it run again"),
        }
    }
}

/// A remedy whose end was never written counts as running for this long. If its controller was lost, its host has settled by
/// then; if it still runs, the lock of the host holds the next one back.
const LONGEST: SignedDuration = SignedDuration::from_mins(2);

/// A clock that was set back makes what was done look as if it were still to come. So far ahead it counts as done just now; what
/// lies farther ahead was written by a clock that was wrong, and would hold everything back for years.
const AHEAD: SignedDuration = SignedDuration::from_hours(24);

/// Whether the remedy may be applied now. `past` are the remedies that this machine remembers, the oldest first.
///
/// # Errors
/// The first reason against it.
pub fn may(wish: &Wish<'_>, service: &Heal, host: &Heal, past: &[Remedy], now: Timestamp) -> Result<(), Held> {
    let policy = service.policy.min(host.policy);
    if !wish.asked {
        let most = match policy {
            HealPolicy::Off | HealPolicy::Observe | HealPolicy::Suggest => None,
            HealPolicy::Safe => Some(Risk::Safe),
            HealPolicy::Full => Some(Risk::Disruptive),
        };
        if most.is_none_or(|most| wish.risk > most) {
            return Err(Held::Policy(policy, wish.risk));
        }
        if wish.draft && !service.drafts {
            return Err(Held::Draft { name: wish.remedy.to_owned() });
        }
        let open = |heal: &Heal| heal.open(now.as_second());
        if wish.risk >= Risk::Disruptive && !(open(service) && open(host)) {
            return Err(Held::Window);
        }
    }
    let believed = |one: &&Remedy| one.began.duration_since(now) < AHEAD;
    let here: Vec<&Remedy> = past.iter().filter(|one| one.host == *wish.host).filter(believed).collect();
    let since = |one: &Remedy| Duration::try_from(now.duration_since(one.began)).unwrap_or_default();
    let recent = |one: &&&Remedy| since(one) < service.within;
    // A remedy for another service is no reason against this one: the lock of the host puts them one behind the other.
    let near = |one: &&&Remedy| one.service.is_none() || one.service.as_ref() == wish.service;
    let open = |one: &&&Remedy| one.verdict.is_none() && now.duration_since(one.began).abs() < LONGEST;
    if let Some(one) = here.iter().filter(near).find(open) {
        return Err(Held::Running { run: one.run.to_string() });
    }
    // The breaker is the host's, and so is the time in which it counts.
    let failed = |one: &&&Remedy| !open(one) && in_vain(one, &here, wish) && since(one) < host.within;
    let failed: Vec<_> = here.iter().filter(failed).collect();
    if failed.len() >= host.breaker.min(service.breaker) {
        let wait = failed.last().map_or(host.within, |one| host.within.saturating_sub(since(one)));
        return Err(Held::Breaker { failed: failed.len(), wait });
    }
    let own: Vec<_> = here.iter().filter(|one| one.service.as_ref() == wish.service).collect();
    let spent: Vec<_> = own.iter().filter(|one| recent(one)).collect();
    if spent.len() >= service.tries {
        // The oldest of those that count leaves the budget first.
        let oldest = spent.get(spent.len() - service.tries);
        let wait = oldest.map_or(service.within, |one| service.within.saturating_sub(since(one)));
        return Err(Held::Budget { tries: service.tries, within: service.within, wait });
    }
    let same = |one: &&&&&Remedy| one.problem == wish.problem;
    let tried = |verdict, soon: bool| {
        let tried = spent.iter().filter(|one| repeats(one, wish, soon) && one.verdict == Some(verdict));
        tried.filter(|one| (now.duration_since(one.ended.unwrap_or(one.began)).abs() < LONGEST) == soon).count()
    };
    // That it could not be brought to its end, as when the host lost its power, says nothing of it the first time; but it is not
    // done again at once on what it may have left half undone.
    let failed = tried(Verdict::Failed, true) + tried(Verdict::Failed, false).saturating_sub(1);
    if tried(Verdict::NoHelp, true) + tried(Verdict::NoHelp, false) + failed >= wish.tries.max(1) {
        return Err(Held::NoHelp { remedy: wish.remedy.to_owned() });
    }
    // What helped and has to be done again at once does not help. After one that did not, the next may follow.
    let helped = spent.iter().filter(same).rfind(|one| one.verdict == Some(Verdict::Helped));
    match helped.map(|one| service.cooldown.saturating_sub(since(one))) {
        Some(wait) if !wait.is_zero() => Err(Held::Cooldown { wait }),
        _ => Ok(()),
    }
}

/// Whether it was the same remedy against the same problem. Just now counts whatever it was: what it left in the log may have given the
/// failure another fingerprint.
fn repeats(one: &Remedy, wish: &Wish<'_>, soon: bool) -> bool {
    one.remedy == wish.remedy && (one.problem == wish.problem || soon)
}

/// Whether a remedy did not help, or had to be done again: a host that flaps is left alone. Many services that are each healed
/// once are no flapping.
fn in_vain(one: &Remedy, here: &[&Remedy], wish: &Wish<'_>) -> bool {
    let wished = one.service.as_ref() == wish.service && one.problem == wish.problem;
    let same = |other: &Remedy| other.service == one.service && other.problem == one.problem;
    one.verdict != Some(Verdict::Helped) || wished || here.iter().any(|other| other.began > one.began && same(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_795_219_200;

    fn wish(risk: Risk) -> (HostName, ServiceName, Risk) {
        (HostName::try_from("web1").expect("a name"), ServiceName::try_from("api").expect("a name"), risk)
    }

    fn past(ago: i64, problem: &str, remedy: &str, verdict: Option<Verdict>) -> Remedy {
        let (host, service, _) = wish(Risk::Safe);
        let began = Timestamp::from_second(NOW - ago).expect("in range");
        let run = crate::model::RunId::new(began, 1);
        let (problem, remedy) = (problem.to_owned(), remedy.to_owned());
        Remedy { run, service: Some(service), host, problem, remedy, began, ended: None, verdict }
    }

    fn asked(heal: &Heal, risk: Risk, past: &[Remedy], asked: bool) -> Result<(), Held> {
        let (host, service, risk) = wish(risk);
        let (problem, remedy, tries, draft) = ("down", "start", 1, false);
        let wish = Wish { host: &host, service: Some(&service), problem, remedy, risk, tries, asked, draft };
        let all = Heal { policy: HealPolicy::Full, ..Heal::default() };
        may(&wish, heal, &all, past, Timestamp::from_second(NOW).expect("in range"))
    }

    #[test]
    fn the_policy_bounds_the_risk() {
        use HealPolicy::{Full, Observe, Off, Safe, Suggest};
        for (policy, risk, good) in [
            (Off, Risk::Safe, false),
            (Observe, Risk::Safe, false),
            (Suggest, Risk::Safe, false),
            (Safe, Risk::Safe, true),
            (Safe, Risk::Disruptive, false),
            (Full, Risk::Disruptive, true),
            (Full, Risk::Ask, false),
        ] {
            let heal = Heal { policy, ..Heal::default() };
            assert_eq!(asked(&heal, risk, &[], false).is_ok(), good, "{policy:?} {risk:?}");
            assert_eq!(asked(&heal, risk, &[], true), Ok(()), "a person may");
        }
    }

    #[test]
    fn a_draft_acts_only_where_it_may() {
        let (host, service, risk) = wish(Risk::Safe);
        let (problem, remedy, tries, draft) = ("down", "words-1", 1, true);
        let now = Timestamp::from_second(NOW).expect("in range");
        for (drafts, asked, good) in [(false, false, false), (true, false, true), (false, true, true)] {
            let wish = Wish { host: &host, service: Some(&service), problem, remedy, risk, tries, asked, draft };
            let heal = Heal { drafts, ..Heal::default() };
            assert_eq!(may(&wish, &heal, &heal, &[], now).is_ok(), good, "{drafts} {asked}");
        }
    }

    #[test]
    fn what_interrupts_waits_for_a_window() {
        let windows: Vec<_> = crate::registry::Window::parse("sun 00:00-24:00").into_iter().collect();
        let heal = Heal { policy: HealPolicy::Full, windows, ..Heal::default() };
        assert_eq!(asked(&heal, Risk::Disruptive, &[], false), Err(Held::Window));
        assert_eq!(asked(&heal, Risk::Safe, &[], false), Ok(()));
    }

    #[test]
    fn budget_cool_down_and_breaker_hold_even_when_a_person_asks() {
        let heal = Heal::default();
        let helped = |ago, problem: &str| past(ago, problem, "other", Some(Verdict::Helped));
        let bad = |ago, remedy: &str| past(ago, "down", remedy, Some(Verdict::NoHelp));
        let lost = |ago| past(ago, "down", "start", Some(Verdict::Failed));
        let wait = Duration::from_secs;
        for (past, held) in [
            (vec![helped(400, "down")], None),
            (vec![helped(100, "down")], Some(Held::Cooldown { wait: wait(200) })),
            (vec![helped(100, "else")], None),
            (vec![bad(10, "restart")], None),
            (vec![bad(10, "start")], Some(Held::NoHelp { remedy: "start".into() })),
            // The log may have other words for the same failure by now.
            (vec![past(10, "else", "start", Some(Verdict::NoHelp))], Some(Held::NoHelp { remedy: "start".into() })),
            (vec![past(400, "else", "start", Some(Verdict::NoHelp))], None),
            // It could not be brought to its end: once is an accident, but it is not done again at once.
            (vec![lost(300)], None),
            (vec![lost(10)], Some(Held::NoHelp { remedy: "start".into() })),
            (vec![lost(400), lost(300)], Some(Held::NoHelp { remedy: "start".into() })),
            (vec![bad(400, "start"), lost(300)], Some(Held::NoHelp { remedy: "start".into() })),
            (
                vec![helped(3000, "a"), helped(2000, "b"), helped(1000, "c")],
                Some(Held::Budget { tries: 3, within: wait(3600), wait: wait(600) }),
            ),
            (vec![helped(3601, "a"), helped(2000, "b"), helped(1000, "c")], None),
            (vec![past(60, "down", "x", None)], Some(Held::Running { run: past(60, "", "", None).run.to_string() })),
            (
                vec![Remedy { service: None, ..past(60, "disk-full", "x", None) }],
                Some(Held::Running { run: past(60, "", "", None).run.to_string() }),
            ),
            (vec![Remedy { service: ServiceName::try_from("db").ok(), ..past(60, "down", "x", None) }], None),
            // A controller was lost: what it tried was taken back, and says nothing about the remedy.
            (vec![past(600, "down", "start", None)], None),
            // The clock was set back; and one that was wrong by years is not believed.
            (vec![past(-60, "down", "start", Some(Verdict::NoHelp))], Some(Held::NoHelp { remedy: "start".into() })),
            (vec![past(-90_000, "down", "start", Some(Verdict::NoHelp))], None),
        ] {
            let shown = format!("{past:?}");
            assert_eq!(asked(&heal, Risk::Safe, &past, true).err(), held, "{shown}");
        }
        let patient = Heal { tries: 100, ..Heal::default() };
        let many: Vec<_> = (0..5).map(|n| bad(500 - n * 100, "x")).collect();
        let held = Held::Breaker { failed: 5, wait: wait(3500) };
        // What is under way elsewhere on the host has not failed.
        let open = Remedy { service: ServiceName::try_from("db").ok(), ..past(5, "down", "x", None) };
        let four_and_one: Vec<_> = many[1..].iter().cloned().chain([open]).collect();
        assert_eq!(asked(&patient, Risk::Safe, &four_and_one, true), Ok(()));
        assert_eq!(asked(&patient, Risk::Safe, &many, true), Err(held));
    }

    #[test]
    fn a_host_that_flaps_is_left_alone() {
        let patient = Heal { tries: 100, cooldown: Duration::from_secs(1), ..Heal::default() };
        let of = |service: &str, ago, problem: &str| {
            let service = ServiceName::try_from(service).ok();
            Remedy { service, ..past(ago, problem, "start", Some(Verdict::Helped)) }
        };
        let held = |failed, secs| Err(Held::Breaker { failed, wait: Duration::from_secs(secs) });
        // Five services, each healed once: as after a power cut.
        let once: Vec<_> = ["a", "b", "c", "d", "e", "f"].map(|name| of(name, 100, "down")).into();
        assert_eq!(asked(&patient, Risk::Safe, &once, true), Ok(()));
        // The very problem, again and again.
        let own: Vec<_> = (1..=5).rev().map(|n| of("api", n * 500, "down")).collect();
        assert_eq!(asked(&patient, Risk::Safe, &own, true), held(5, 3100));
        assert_eq!(asked(&patient, Risk::Safe, &own[1..], true), Ok(()));
        // Several services that come and go: the last of each may last.
        let two = |n: i64| [of("db", n * 400, "down"), of("web", n * 400 - 10, "given-up")];
        let more: Vec<_> = (1..=4).rev().flat_map(two).collect();
        assert_eq!(asked(&patient, Risk::Safe, &more, true), held(6, 2810));
        assert_eq!(asked(&patient, Risk::Safe, &more[2..], true), Ok(()));
        // What was long ago does not count.
        let old: Vec<_> = (1..=5).rev().map(|n| of("api", 3600 + n * 500, "down")).collect();
        assert_eq!(asked(&patient, Risk::Safe, &old, true), Ok(()));
    }
}
