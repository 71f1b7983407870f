//! `portoser lessons`: what this machine knows of remedies from having applied them.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::cli::render::duration;
use crate::cli::runs::{took, when};
use crate::cli::table::table;
use crate::cli::{Exit, Face, Failure};
use crate::journal::{Remedy, Verdict};

/// Show which remedies helped against which problems, and how often
///
/// From the journal of this machine: every remedy that `heal` and `sweep` applied, and what the second look said of it.
#[derive(Debug, clap::Args)]
pub(super) struct Lessons {}

/// What came of one remedy against one problem.
#[derive(Debug, Default, PartialEq)]
struct Lesson {
    helped: usize,
    no_help: usize,
    failed: usize,
    /// Its end was not seen.
    unknown: usize,
    /// How long those took that helped.
    took: Vec<Duration>,
    last: Option<Timestamp>,
}

impl Lessons {
    pub(super) fn run(self, face: &Face) -> Result<Exit, Failure> {
        let lessons = lessons(&face.journal()?.remedies(Timestamp::MIN)?);
        if face.flags.json || face.flags.events {
            let all: Vec<Value> =
                lessons.iter().map(|((problem, remedy), one)| one.document(problem, remedy)).collect();
            face.document(&json!({ "lessons": all }));
            return Ok(Exit::DONE);
        }
        if lessons.is_empty() {
            face.talk("no remedy was applied yet");
        }
        let rows: Vec<_> = lessons.iter().map(|((problem, remedy), one)| one.row(problem, remedy)).collect();
        table(face, ["PROBLEM", "REMEDY", "HELPED", "NO HELP", "FAILED", "UNKNOWN", "MEDIAN", "LAST (UTC)"], &rows);
        Ok(Exit::DONE)
    }
}

fn lessons(remedies: &[Remedy]) -> BTreeMap<(String, String), Lesson> {
    let mut all: BTreeMap<(String, String), Lesson> = BTreeMap::new();
    for remedy in remedies {
        let lesson = all.entry((remedy.problem.clone(), remedy.remedy.clone())).or_default();
        match remedy.verdict {
            Some(Verdict::Helped) => lesson.helped += 1,
            Some(Verdict::NoHelp) => lesson.no_help += 1,
            Some(Verdict::Failed) => lesson.failed += 1,
            None => lesson.unknown += 1,
        }
        if let (Some(Verdict::Helped), Some(ended)) = (remedy.verdict, remedy.ended) {
            lesson.took.push(took(remedy.began, ended));
        }
        lesson.last = lesson.last.max(Some(remedy.began));
    }
    all
}

impl Lesson {
    fn median(&self) -> Option<Duration> {
        let mut took = self.took.clone();
        took.sort();
        took.get(took.len() / 2).copied()
    }

    fn row(&self, problem: &str, remedy: &str) -> [String; 8] {
        let dash = || "-".to_owned();
        [
            problem.to_owned(),
            remedy.to_owned(),
            self.helped.to_string(),
            self.no_help.to_string(),
            self.failed.to_string(),
            self.unknown.to_string(),
            self.median().map_or_else(dash, duration),
            self.last.map_or_else(dash, when),
        ]
    }

    fn document(&self, problem: &str, remedy: &str) -> Value {
        json!({
            "problem": problem,
            "remedy": remedy,
            "helped": self.helped,
            "no_help": self.no_help,
            "failed": self.failed,
            "unknown": self.unknown,
            "median_seconds": self.median().map(|time| time.as_secs_f64()),
            "last": self.last.map(|time| time.to_string()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{HostName, RunId};

    #[test]
    fn what_helped_is_counted_and_its_middle_time_is_told() {
        let at = |second: i64| Timestamp::from_second(second).expect("in range");
        let one = |began: i64, took: i64, verdict: Option<Verdict>| Remedy {
            run: RunId::new(at(began), 1),
            service: None,
            host: HostName::try_from("web1").expect("a name"),
            problem: "disk-full".into(),
            remedy: "disk-full".into(),
            began: at(began),
            ended: verdict.map(|_| at(began + took)),
            verdict,
        };
        let helped = Some(Verdict::Helped);
        let all = [
            one(0, 9, helped),
            one(50, 1, helped),
            one(20, 3, helped),
            one(30, 99, Some(Verdict::NoHelp)),
            one(40, 0, None),
        ];
        let lessons = lessons(&all);
        let lesson = lessons.values().next().expect("one");
        assert_eq!((lessons.len(), lesson.helped, lesson.no_help, lesson.unknown), (1, 3, 1, 1));
        assert_eq!((lesson.median(), lesson.last), (Some(Duration::from_secs(3)), Some(at(50))));
    }
}
