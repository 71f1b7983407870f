//! Passes over what was seen, and what is told of them.

use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use super::*;
use crate::heal::owed::{due, told};
use crate::heal::playbook::Library;
use crate::heal::{Before, Refrained, World, analyze};
use crate::registry::{Notify, NotifyTo};

fn host() -> HostName {
    "web1".try_into().expect("a name")
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).expect("in range")
}

fn of_host(look: &str) -> Observation {
    Observation::host(look, &host())
}

fn of_api(look: &str) -> Observation {
    Observation::service(look, &host(), &"api".try_into().expect("a name"))
}

static SHIPPED: LazyLock<Library> =
    LazyLock::new(|| Library::load(Path::new("/nowhere")).unwrap_or_else(|_| panic!("they are valid")));

/// A healing that saw this, and may do nothing.
fn seen(observations: Vec<Observation>) -> Healing {
    let mut observations = observations;
    observations.insert(0, of_host("reach").good("it answers"));
    let api = "api".try_into().expect("a name");
    let world = World { engines: [(api, "native".to_owned())].into(), ..World::default() };
    let problems = analyze(&world, &observations, &SHIPPED);
    let last = Diagnosis { at: std::time::Instant::now(), observations, problems };
    let refrained = last.roots().map(|one| Refrained { problem: one.clone(), why: Vec::new() }).collect();
    Healing {
        before: Before::of(&last),
        last,
        treated: Vec::new(),
        refrained,
        aside: BTreeSet::new(),
        off: BTreeSet::new(),
        cut: false,
    }
}

fn down(line: &str) -> Vec<Observation> {
    let log = of_api("log").bad("it says something").saying(vec![line.to_owned()]);
    vec![of_api("unit").bad("it failed").with("state", "failed"), log]
}

fn well_again() -> Vec<Observation> {
    vec![of_api("unit").good("it runs"), of_api("log").good("")]
}

/// The kinds of news of one pass after the other.
fn passes(all: Vec<Healing>) -> Vec<Vec<&'static str>> {
    let (mut troubles, mut told) = (Vec::new(), Vec::new());
    for (number, one) in (0..).zip(all) {
        let (all, after) = news(&troubles, &one, at(number * 30));
        told.push(all.iter().map(|one| word(one.kind)).collect());
        troubles = after;
    }
    told
}

const BAD: [&str; 2] = ["went-bad", "gave-up"];

#[test]
fn what_is_unseen_is_not_healed() {
    let container = || of_api("container");
    let gone = vec![container().bad("it exited").with("state", "exited")];
    let hangs = vec![container().unseen("`docker ps` did not answer within 10 s")];
    let runs = vec![container().good("it runs")];
    let told = passes(vec![seen(gone), seen(hangs), seen(runs)]);
    assert_eq!(told, [BAD.to_vec(), vec![], vec!["healed"]]);
}

#[test]
fn what_is_never_seen_keeps_nobody_from_being_healed() {
    let blind = || of_api("open_files").unseen("not ours to read");
    let with = |mut all: Vec<Observation>| {
        all.push(blind());
        seen(all)
    };
    assert_eq!(passes(vec![with(down("x: error 1")), with(well_again())]), [BAD.to_vec(), vec!["healed"]]);
}

#[test]
fn a_root_that_is_found_above_it_heals_nothing() {
    let full = || of_host("disk").of("/").bad("full").with("mount", "/").with("free", "0").with("free_percent", "0");
    let mut both = down("write: error 28");
    both.push(full());
    let mut all = well_again();
    all.push(of_host("disk").of("/").good("half of it is free"));
    let told = passes(vec![seen(down("write: error 28")), seen(both), seen(all)]);
    assert_eq!(
        told,
        [BAD.to_vec(), BAD.to_vec(), vec!["healed", "healed"]],
        "the disk is news, and its service is not healed"
    );
}

#[test]
fn an_unknown_failure_is_the_same_whatever_its_last_line_says() {
    let all = ["worker lost: error a", "queue is gone: fatal b", "cannot c", "worker lost: error a"];
    let mut healings: Vec<Healing> = all.into_iter().map(|line| seen(down(line))).collect();
    healings.push(seen(well_again()));
    assert_eq!(passes(healings), [BAD.to_vec(), vec![], vec![], vec![], vec!["healed"]]);
}

#[test]
fn who_stops_it_in_the_middle_is_told_nothing() {
    let cut = Healing { cut: true, refrained: Vec::new(), ..seen(well_again()) };
    assert_eq!(passes(vec![seen(down("error x")), cut]), [BAD.to_vec(), vec![]]);
}

/// What one is told who wants this, in the first cool-down and after it; `deaf` are the passes in which it could not be handed over.
fn heard(kinds: &[NewsKind], states: &[(i64, bool)], deaf: &[i64]) -> Vec<(i64, Vec<&'static str>)> {
    let (cooldown, timeout) = (Duration::from_secs(3600), Duration::from_secs(1));
    let to = Notify { to: NotifyTo::Command(vec!["x".into()]), news: kinds.to_vec(), cooldown, timeout };
    let (mut troubles, mut heard) = (Vec::new(), Vec::new());
    for (minute, bad) in states {
        let healing = seen(if *bad { down("error x") } else { well_again() });
        let now = at(minute * 60);
        let (all, mut after) = news(&troubles, &healing, now);
        let due = due(&all, &mut after, |one| stands(one, &healing), &to, now);
        if !due.is_empty() && !deaf.contains(minute) {
            told(&due, &mut after, &to, now);
            heard.push((*minute, due.iter().map(|(_, one)| word(one.kind)).collect()));
        }
        troubles = after;
    }
    heard
}

#[test]
fn what_falls_into_the_cool_down_is_told_after_it_if_it_is_still_so() {
    use NewsKind::{Healed, WentBad};
    let both = [WentBad, Healed];
    let days = [(0, true), (5, false), (10, true), (30, true), (61, true), (100, true), (3000, true)];
    assert_eq!(heard(&both, &days, &[]), [(0, vec!["went-bad"]), (5, vec!["healed"]), (61, vec!["went-bad"])]);
    assert_eq!(heard(&[WentBad], &days, &[]), [(0, vec!["went-bad"]), (61, vec!["went-bad"])]);
    let passed = [(0, true), (5, false), (10, true), (15, false), (61, false), (70, false)];
    assert_eq!(heard(&both, &passed, &[]), [(0, vec!["went-bad"]), (5, vec!["healed"])], "the last word is true");
    assert_eq!(heard(&[WentBad], &passed, &[]), [(0, vec!["went-bad"])]);
}

#[test]
fn what_could_not_be_handed_over_is_told_by_the_first_pass_that_can() {
    use NewsKind::{GaveUp, Healed, WentBad};
    let all = [WentBad, GaveUp, Healed];
    let stays = [(0, true), (1, true), (2, true), (3, true)];
    assert_eq!(heard(&all, &stays, &[0, 1]), [(2, vec!["went-bad", "gave-up"])]);
    let passes = [(0, true), (1, true), (2, false), (3, false)];
    assert_eq!(heard(&all, &passes, &[0, 1]), [(2, vec!["healed"])]);
    assert_eq!(heard(&[WentBad], &passes, &[0, 1]), [], "it is not so any more");
    assert_eq!(heard(&all, &passes, &[2]), [(0, vec!["went-bad", "gave-up"]), (3, vec!["healed"])]);
}
