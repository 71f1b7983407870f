//! Files of what was learned: written, read back, counted, by several at once.

use super::*;
use crate::model::{HostName, ServiceName};

fn problem() -> Problem {
    Problem {
        name: "given-up".into(),
        host: HostName::try_from("pi1").expect("a name"),
        service: Some(ServiceName::try_from("web").expect("a name")),
        because: "web on pi1 {was} given up: \"too\" often".into(),
        hint: None,
        sure: 60,
        symptom: true,
        latent: false,
        risk: Risk::Ask,
        deeds: Vec::new(),
        until: None,
        tries: 1,
        captured: std::collections::BTreeMap::new(),
        evidence: Vec::new(),
        follows: Vec::new(),
        fingerprint: Some("0123456789012345".into()),
    }
}

fn finding(problem: &Problem) -> Finding<'_> {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let restart = Deed::of("restart", "unit").expect("a deed");
    Finding {
        problem,
        solves: problem.fingerprint.clone().expect("one"),
        pattern: Pattern { engine: "native".into(), looks: words(&["down"]), said: "cannot open <path>: no".into() },
        deeds: vec![Deed::of_words(words(&["rm", "-f", "{shared}/a b", "yes", "12"]), words(&["true"])), restart],
        risk: Risk::Disruptive,
        source: Source::Fix,
        by: "ann@desk".into(),
        at: Timestamp::from_second(1_795_219_200).expect("in range"),
        took: Duration::from_millis(31_200),
        own: Duration::from_millis(2_100),
    }
}

#[test]
fn what_is_written_is_read_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let problem = problem();
    let finding = finding(&problem);
    let noted = found(folder.path(), &finding).expect("written");
    assert!(noted.new && noted.name.starts_with("cannot-open-path-no-"), "{noted:?}");
    let text = std::fs::read_to_string(&noted.file).expect("a file");
    let book = read(&text, &noted.file).unwrap_or_else(|faults| panic!("{faults}\n{text}"));
    assert_eq!(book.deeds, finding.deeds);
    let learned = book.learned.expect("learned");
    assert_eq!((learned.state, learned.solves.as_str()), (State::Draft, "0123456789012345"));
    assert_eq!((learned.took, learned.record.worked), (Some(finding.took), 1));
    // The same once more is counted, and nothing else of the file changes.
    let again = found(folder.path(), &finding).expect("written");
    assert_eq!((again.new, again.name), (false, noted.name));
    let other = std::fs::read_to_string(&noted.file).expect("a file");
    assert_eq!(other, text.replace("worked: 1", "worked: 2"));
}

#[test]
fn what_helps_is_promoted_and_what_fails_is_demoted() {
    let folder = tempfile::tempdir().expect("a folder");
    let problem = problem();
    let file = found(folder.path(), &finding(&problem)).expect("written").file;
    let now = Timestamp::from_second(1_795_300_000).expect("in range");
    let states: Vec<State> = [true, true, false, true, false, false, false, false, true]
        .into_iter()
        .map(|worked| note(&file, worked, now, None).expect("written").state)
        .collect();
    use State::{Draft, Promoted, Retired};
    assert_eq!(states, [Draft, Promoted, Draft, Draft, Draft, Draft, Draft, Retired, Retired]);
    assert_eq!(restate(&file, Promoted).expect("written").state, Promoted);
}

#[test]
fn a_draft_has_to_help_anew_whoever_made_it_one() {
    use State::{Draft, Promoted};
    let folder = tempfile::tempdir().expect("a folder");
    let problem = problem();
    let file = found(folder.path(), &finding(&problem)).expect("written").file;
    let now = Timestamp::from_second(1_795_300_000).expect("in range");
    let next = |worked| note(&file, worked, now, None).expect("written").state;
    assert_eq!([true; 4].map(next), [Draft, Promoted, Promoted, Promoted]);
    // A person does not trust it any more.
    assert_eq!(restate(&file, Draft).expect("written").state, Draft);
    assert_eq!([true; 3].map(next), [Draft, Draft, Promoted]);
    assert_eq!([false, true, true, true].map(next), [Draft, Draft, Draft, Promoted]);
    // A file of before says nothing of it, and counts all.
    let text = std::fs::read_to_string(&file).expect("a text");
    let old = text.replace("state: promoted", "state: draft").replace(", before: 11", "");
    assert!(text.contains("before: 11") && old != text, "{text}");
    std::fs::write(&file, old).expect("written");
    assert_eq!(next(true), Promoted);
}

#[test]
fn one_time_of_another_machine_is_not_the_middle_of_fifty() {
    let folder = tempfile::tempdir().expect("a folder");
    let problem = problem();
    let file = found(folder.path(), &finding(&problem)).expect("written").file;
    let now = Timestamp::from_second(1_795_300_000).expect("in range");
    let second = Duration::from_secs(1);
    for count in 2..=50 {
        note(&file, true, now, Some((second, count))).expect("written");
    }
    let median = |worked, middle| {
        note(&file, worked, now, middle).expect("written");
        let book = read(&std::fs::read_to_string(&file).expect("a text"), &file).expect("valid");
        book.learned.and_then(|learned| learned.record.median)
    };
    assert_eq!(median(true, Some((60 * second, 1))), Some(second));
    assert_eq!(median(false, None), Some(second));
    assert_eq!(median(true, Some((2 * second, 26))), Some(2 * second), "26 of 52");
    assert_eq!(median(true, Some((60 * second, 26))), Some(2 * second), "26 of 53");
}

#[test]
fn what_a_person_wrote_into_it_stays() {
    let text =
        "# mine\nversion: 1\nrecord:\n  worked: 4\n  # so many\n  failed: 0\n# below\nstate: draft # for now\nlast: x";
    let new = line(&line(text, "record", "record: {}\n"), "state", "state: promoted\n");
    assert_eq!(new, "# mine\nversion: 1\nrecord: {}\n# below\nstate: promoted\nlast: x");
    assert_eq!(line("a: 1", "b", "b: 2\n"), "a: 1\nb: 2\n");
}

#[test]
fn those_who_count_at_once_lose_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let problem = problem();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| (0..5).for_each(|_| drop(found(folder.path(), &finding(&problem)).expect("written"))));
        }
    });
    let files: Vec<_> = std::fs::read_dir(folder.path().join("playbooks/learned")).expect("a folder").collect();
    assert_eq!(files.len(), 1, "{files:?}");
    let file = files.into_iter().next().expect("one").expect("a file").path();
    let book = read(&std::fs::read_to_string(&file).expect("a text"), &file).expect("valid");
    assert_eq!(book.learned.map(|learned| learned.record.worked), Some(40));
}
