//! The gate played with answers by the clock: no time passes here.

use super::*;
use crate::check::{Bad, Good};
use crate::model::{Ask, From};

const fn ms(time: u64) -> Duration {
    Duration::from_millis(time)
}

fn check(start_period: u64, interval: u64, retries: u32) -> Check {
    Check {
        ask: Ask::Tcp { port: 80 },
        from: From::Controller,
        start_period: ms(start_period),
        interval: ms(interval),
        timeout: ms(1000),
        retries,
    }
}

fn good() -> Verdict {
    Verdict::good("good")
}

fn bad() -> Verdict {
    Verdict::bad("bad")
}

fn hopeless() -> Verdict {
    Verdict::Bad(Bad { says: "failed".into(), evidence: Vec::new(), hopeless: true })
}

fn alive(life: &str) -> Verdict {
    Verdict::Good(Good { says: "active".into(), life: Some(life.into()), certificate: None })
}

/// How the gate ends, when, and how many rounds it took; every answer is there at once.
fn play(checks: &[Check], soak: u64, answer: impl Fn(usize, u64) -> Verdict) -> (State, u64, usize) {
    let mut gate = Gate::new(checks, ms(soak));
    for round in 1..10_000 {
        let now = gate.next();
        let at = u64::try_from(now.as_millis()).expect("a short time");
        let verdicts = gate.due(now).into_iter().map(|one| (one, answer(one, at))).collect();
        match gate.hear(now, verdicts) {
            State::Waiting | State::Soaking { .. } => {}
            over => {
                assert!(now <= budget(checks, ms(soak)), "{now:?} is beyond the budget");
                return (over.clone(), at, round);
            }
        }
    }
    panic!("the gate does not end")
}

#[test]
fn one_check_ends_as_the_table_says() {
    type Answer = fn(u64) -> Verdict;
    let table: &[(&str, Check, u64, Answer, bool, u64)] = &[
        // what                                  start interval retries     soak  answer                                 green  at
        ("good at once", check(0, 2000, 3), 0, |_| good(), true, 0),
        ("good at once, soaked", check(0, 2000, 3), 5000, |_| good(), true, 5000),
        ("a soak shorter than the interval", check(0, 2000, 3), 300, |_| good(), true, 300),
        ("quick start is seen quickly", check(0, 2000, 3), 0, |t| if t < 100 { bad() } else { good() }, true, 150),
        ("never good", check(0, 2000, 3), 0, |_| bad(), false, 6000),
        ("never good, long start", check(20_000, 2000, 3), 0, |_| bad(), false, 24_000),
        (
            "good late in the start period",
            check(20_000, 2000, 3),
            0,
            |t| if t < 19_000 { bad() } else { good() },
            true,
            19_150,
        ),
        (
            "a success ends the start period",
            check(60_000, 1000, 2),
            9000,
            |t| if t < 500 { good() } else { bad() },
            false,
            2000,
        ),
        ("one failure in the soak", check(0, 1000, 2), 5000, |t| if t == 2000 { bad() } else { good() }, true, 5000),
        ("two in a row in the soak", check(0, 1000, 2), 5000, |t| if t < 2000 { good() } else { bad() }, false, 3000),
        ("bad at the end of the soak", check(0, 1000, 2), 3000, |t| if t == 3000 { bad() } else { good() }, true, 4000),
        ("retries of nought are one", check(0, 1000, 0), 0, |_| bad(), false, 1000),
        ("given up by its supervisor", check(60_000, 1000, 3), 0, |_| hopeless(), false, 150),
        ("never seen", check(0, 1000, 2), 0, |_| Verdict::Unseen("lost".into()), false, 16_000),
        (
            "unseen for a while",
            check(0, 1000, 1),
            0,
            |t| if t < 4000 { Verdict::Unseen("lost".into()) } else { good() },
            true,
            4000,
        ),
    ];
    for (what, check, soak, answer, green, at) in table {
        let (state, time, _) = play(std::slice::from_ref(check), *soak, |_, t| answer(t));
        assert_eq!(matches!(state, State::Green), *green, "{what}: {state:?}");
        assert_eq!(time, *at, "{what}: {state:?}");
    }
}

#[test]
fn all_are_good_in_the_same_round() {
    let checks = [check(0, 10_000, 3), check(0, 1000, 30)];
    // The first is good at once and bad from 3 s on; the second is good from 5 s on: they are never good together.
    let (state, ..) = play(&checks, 0, |one, t| if (one == 0) == (t < 4000) { good() } else { bad() });
    let State::Red(red) = state else { panic!("{state:?}") };
    assert_eq!(red.says, "bad");
    // The verdict of the first, which is asked rarely, is asked for again when the second turns good.
    let (state, at, _) = play(&checks, 0, |one, t| if one == 0 || t >= 5000 { good() } else { bad() });
    assert_eq!((state, at < 7000), (State::Green, true));
}

#[test]
fn a_service_that_is_started_again_is_not_proven() {
    let checks = [check(0, 1000, 3)];
    let life = |t: u64| if t < 2000 { alive("pid 7") } else { alive("pid 8") };
    let (state, at, _) = play(&checks, 5000, |_, t| life(t));
    let State::Red(red) = state else { panic!("{state:?}") };
    assert_eq!(at, 2000);
    assert!(red.evidence.iter().any(|line| line.contains("pid 8")), "{red:?}");
    // A loop of crashes is never good twice in a row, so it is red even without a soak of that length.
    let (state, ..) = play(&checks, 500, |_, t| alive(&t.to_string()));
    assert!(matches!(state, State::Red(_)));
}

#[test]
fn no_checks_means_to_wait_for_the_soak() {
    assert_eq!(play(&[], 0, |_, _| bad()), (State::Green, 0, 1));
    assert_eq!(play(&[], 700, |_, _| bad()), (State::Green, 700, 1));
}

#[test]
fn what_is_unseen_to_the_end_is_not_called_bad() {
    let (state, ..) = play(&[check(0, 1000, 2)], 0, |_, _| Verdict::Unseen("no curl".into()));
    let State::Red(red) = state else { panic!("{state:?}") };
    assert!(red.unseen);
    assert_eq!(red.to_string(), "tcp :80: no curl");
}

#[test]
fn asking_is_not_a_busy_loop() {
    let (_, at, rounds) = play(&[check(60_000, 1000, 3)], 0, |_, _| bad());
    assert!(u64::try_from(rounds).expect("few") < at / 1000 + 10, "{rounds} rounds in {at} ms");
}
