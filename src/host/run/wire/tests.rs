//! Each line that a run writes is read as what it says.

use proptest::prelude::*;

use super::*;
use crate::host::run::Reader;
use crate::host::run::line::encode;

const RUN: &str = "20260131-235959-0123abcd";
const RELEASE: &str = "0123456789abcdef";

fn run() -> RunId {
    RunId::try_from(RUN).expect("a run")
}

/// Text as it stands in a line: whatever was said, without what ends a line.
fn said() -> impl Strategy<Value = String> {
    "[^\r\n]{0,40}"
}

/// What a run is about, who it is, and what it says: each event as a line has it, and as it is read.
fn events() -> impl Strategy<Value = (String, Happened)> {
    (any::<(usize, usize, u32)>(), "(?s).{0,30}", said(), 0..23_usize).prop_map(
        |((stage, step, code), text, said, kind)| {
            let release = || ReleaseId::try_from(RELEASE).ok();
            let service = || ServiceName::try_from("api").expect("a name");
            match kind {
                0 => (format!("run {stage} {}", encode(&text)), Happened::Run { stages: stage, who: text }),
                1 => (format!("queued {said}"), Happened::Queued { ticket: said }),
                2 => (format!("locked {code}"), Happened::Locked { generation: code.into() }),
                3 => (format!("settling {RUN}.1"), Happened::Settling { run: run() }),
                4 => (format!("settled {RUN} stale"), Happened::Settled { run: run(), end: End::Stale }),
                5 => (format!("stale {stage} {said}"), Happened::Stale { stage, found: said }),
                6 => (format!("stage {stage}"), Happened::Stage { stage, about: None }),
                7 => {
                    let about = Some(About { service: service(), steps: step, before: None, release: release() });
                    (format!("stage {stage} api {step} - {RELEASE}"), Happened::Stage { stage, about })
                }
                8 => (format!("begin {stage} {step} {}", encode(&text)), Happened::Begin { stage, step, what: text }),
                9 => (format!("done {stage} {step}"), Happened::Done { stage, step }),
                10 => (format!("failed {stage} {step} {code}"), Happened::Failed { stage, step, code }),
                11 => (format!("evidence {said}"), Happened::Evidence(said)),
                12 => (format!("switched {stage}"), Happened::Switched { stage }),
                13 => (format!("late {stage}"), Happened::Late { stage }),
                14 => (format!("kept {stage} proven"), Happened::Kept { stage, proven: true }),
                15 => (format!("kept {stage} lost"), Happened::Kept { stage, proven: false }),
                16 => (format!("undoing {stage} ordered"), Happened::Undoing { stage, why: Why::Ordered }),
                17 => (format!("undoing {stage} settled"), Happened::Undoing { stage, why: Why::Settled }),
                18 => (format!("undo-failed {stage} {step} {code}"), Happened::UndoFailed { stage, step, code }),
                19 => (format!("stuck {stage}"), Happened::Stuck { stage }),
                20 => (format!("undone {stage}"), Happened::Undone { stage }),
                21 => (format!("note {said}"), Happened::Note(said)),
                _ => {
                    let (end, word) = End::ALL[step % End::ALL.len()];
                    (format!("end {word}"), Happened::End(end))
                }
            }
        },
    )
}

proptest! {
    #[test]
    fn what_a_run_tells_is_read_as_it_was_said(
        told in prop::collection::vec((any::<u64>(), 0..4_000_000_000_i64, 0..100_u8, events()), 0..6),
        greeting in "([^@\r\n][^\r\n]{0,20}\n)?",
    ) {
        let lines = told.iter().map(|(line, at, part, event)| format!("@run {line} {at}.{part:02} {}\n", event.0));
        let bytes = greeting.clone() + &lines.collect::<String>();
        let mut wanted: Vec<Report> = greeting.lines().map(|line| Report::Noise(line.to_owned())).collect();
        wanted.extend(told.into_iter().map(|(line, at, part, (_, event))| {
            let at = Timestamp::new(at, i32::from(part) * 10_000_000).expect("a time");
            Report::Told(Entry { line, at, event })
        }));
        prop_assert_eq!(Reader::default().push(bytes.as_bytes()), wanted);
    }

    #[test]
    fn who_holds_the_lock_is_read_as_it_was_said(since in 0..4_000_000_000_i64, who in "[!-~é\n\t]([ -~é\n\t]{0,20}[!-~])?") {
        let line = format!("@run 1 1.00 waiting {RUN} {since} {}\n", encode(&who));
        let since = Timestamp::from_second(since).ok();
        let holder = Holder { run: RUN.into(), since, who };
        let wanted = Report::Told(Entry { line: 1, at: Timestamp::from_second(1).expect("a time"), event: Happened::Waiting(holder) });
        prop_assert_eq!(Reader::default().push(line.as_bytes()), [wanted]);
    }

    #[test]
    fn a_line_that_lacks_its_end_is_not_taken_for_another(event in events(), cut in any::<prop::sample::Index>()) {
        let line = format!("@run 7 1800000000.25 {}", event.0);
        let end = (0..=line.len()).rev().find(|end| line.is_char_boundary(*end) && *end <= cut.index(line.len() + 1));
        let read = Report::parse(&line[..end.unwrap_or_default()]);
        let kind = std::mem::discriminant(&event.1);
        let same = matches!(&read, Report::Told(entry) if entry.line == 7 && std::mem::discriminant(&entry.event) == kind);
        prop_assert!(same || matches!(read, Report::Noise(_)), "{:?}", read);
    }
}
